//! The listener: hears of every commit as it happens, whichever sidecar made
//! it, and of the turns; looks by itself once a second, for what was not heard
//! and for health.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use redis::aio::PubSub;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::address::RedisAddress;
use super::connection::RedisConnection;
use super::error::RedisFault;
use super::fetch::Fetch;
use super::layout::Keys;
use super::shared::RedisShared;
use crate::machine::Revision;

/// How often the state is looked at although nothing was heard.
const LOOK: Duration = Duration::from_secs(1);

/// Between two attempts to listen.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct CommitListener {
    pub(super) target: Arc<RedisAddress>,
    pub(super) keys: Arc<Keys>,
    pub(super) link: Arc<RedisConnection>,
    pub(super) shared: Arc<RedisShared>,
    pub(super) me: String,
    /// The newest revision that was told.
    pub(super) heard: Revision,
    /// The newest one that the last look found.
    pub(super) looked: Revision,
}

impl CommitListener {
    /// Listens for ever.
    pub(super) async fn run(mut self) {
        loop {
            match self.target.listen(&self.keys.channel).await {
                Ok(listening) => self.listen(listening).await,
                Err(fault) => self.shared.failed(&fault),
            }
            sleep(PAUSE).await;
        }
    }

    /// Until the connection breaks.
    async fn listen(&mut self, mut listening: PubSub) {
        // What was told before is found by the first look.
        (self.heard, self.looked) = (Revision(0), Revision(0));
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut messages = listening.on_message();
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.hear(message.get_payload_bytes()),
                    None => return,
                },
                // The first comes at once: what was told before is looked for.
                _ = looks.tick() => {
                    // A primary that was demoted or is gone leaves its
                    // listeners where they are.
                    if let Err(fault) = self.look().await {
                        self.shared.failed(&fault);
                        return;
                    }
                }
            }
        }
    }

    /// `REVISION NEXT`, where either may be missing.
    fn hear(&mut self, message: &[u8]) {
        let text = String::from_utf8_lossy(message);
        let (revision, heir) = text.split_once(' ').unwrap_or((&text, ""));
        if let Ok(revision) = revision.parse().map(Revision) {
            self.heard = self.heard.max(revision);
            self.shared.progress.announce(revision);
        }
        if heir == self.me {
            self.shared.turn.notify_one();
        }
    }

    /// Finds out by itself. What was found at the look before should have
    /// been heard by now: a connection can break without a word.
    async fn look(&mut self) -> Result<(), RedisFault> {
        let found = self.link.read(&Fetch::default(), self.shared.given_now()).await?;
        self.shared.saw(&found);
        let deaf = self.heard < self.looked && !found.astray;
        self.looked = found.meta.revision;
        match deaf {
            true => Err(RedisFault::Unreached("changes are not told any more".into())),
            false => Ok(()),
        }
    }
}
