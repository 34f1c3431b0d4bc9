//! The listener: it hears of every commit when it happens, whichever sidecar made
//! it, and of turns. Once a second it reads the state's position itself, for the
//! health report and in case it has missed something.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use redis::aio::PubSub;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::address::RedisAddress;
use super::connection::RedisConnection;
use super::error::RedisFault;
use super::fetch::Fetch;
use super::layout::RedisKeys;
use super::shared::RedisShared;
use crate::machine::Revision;

/// How often the state's position is read although nothing was heard.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The pause between two attempts to listen.
const LISTEN_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct CommitListener {
    pub(super) address: Arc<RedisAddress>,
    pub(super) keys: Arc<RedisKeys>,
    pub(super) connection: Arc<RedisConnection>,
    pub(super) shared: Arc<RedisShared>,
    /// The newest revision that was announced.
    pub(super) heard: Revision,
    /// The revision that the last poll found.
    pub(super) polled: Revision,
}

impl CommitListener {
    /// Listens until the task is aborted.
    pub(super) async fn run(mut self) {
        loop {
            match self.address.listen(&self.keys.channel).await {
                Ok(listening) => self.listen(listening).await,
                Err(fault) => self.shared.set_fault(&fault),
            }
            sleep(LISTEN_PAUSE).await;
        }
    }

    /// Listens until the connection breaks.
    async fn listen(&mut self, mut listening: PubSub) {
        // The first poll finds what was announced before.
        (self.heard, self.polled) = (Revision(0), Revision(0));
        let mut polls = interval(POLL_INTERVAL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut messages = listening.on_message();
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.hear(message.get_payload_bytes()),
                    None => return,
                },
                // The first tick comes immediately.
                _ = polls.tick() => {
                    // A primary that was demoted, or has vanished, does not close
                    // its listeners' connections.
                    if let Err(fault) = self.poll().await {
                        self.shared.set_fault(&fault);
                        return;
                    }
                }
            }
        }
    }

    /// Reads an announcement: `REVISION SIDECAR`, the newest revision and who has the
    /// turn. Either may be missing.
    fn hear(&mut self, message: &[u8]) {
        let text = String::from_utf8_lossy(message);
        let (revision, turn) = text.split_once(' ').unwrap_or((&text, ""));
        if let Ok(revision) = revision.parse().map(Revision) {
            self.heard = self.heard.max(revision);
            self.shared.progress.announce(revision);
        }
        if turn == self.connection.sidecar() {
            self.shared.turn.notify_one();
        }
    }

    /// Reads the position. What the poll before this one has found should have been
    /// heard by now; if it was not, the connection has silently broken.
    async fn poll(&mut self) -> Result<(), RedisFault> {
        let found = self.connection.read(&Fetch::default(), self.shared.given_now()).await?;
        self.shared.observe(&found);
        let missed = self.heard < self.polled && !found.lost_commits;
        self.polled = found.meta.revision;
        match missed {
            true => Err(RedisFault::Unreached("changes are not announced any more".into())),
            false => Ok(()),
        }
    }
}
