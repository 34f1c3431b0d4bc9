//! Peers, played: honest, lying, slow to come, or none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use mcp_state_sidecar::machine::Answer;
use mcp_state_sidecar::machine::value::Json;
use mcp_state_sidecar::store::raft::history::archive::{EventRun, RevisionSpan};
use mcp_state_sidecar::store::raft::history::{HistorySource, HistorySourceError, PeerQuestion};

use super::story::Story;
use super::truth;

/// How a peer behaves.
#[derive(Clone, Copy, PartialEq)]
pub enum Manner {
    Honest,
    /// Sends runs in which one event was altered, this way, on every first try.
    Lies(Lie),
    /// Gives no answer.
    Absent,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Lie {
    /// A value was changed, the chain values were not.
    Value,
    /// A value was changed and the run sealed anew.
    Resealed,
    /// An event is left out.
    Gap,
    /// Another range than was asked for.
    Elsewhere,
}

/// A peer that has the whole story.
pub struct Peer {
    pub story: Arc<Story>,
    pub manner: Manner,
    /// Events sent, and lies told.
    pub sent: AtomicU64,
    pub lies: AtomicU64,
}

impl Peer {
    pub fn new(story: &Arc<Story>, manner: Manner) -> Arc<Peer> {
        let (sent, lies) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Peer { story: story.clone(), manner, sent, lies })
    }
}

#[async_trait]
impl HistorySource for Peer {
    fn has_peers(&self) -> bool {
        self.manner != Manner::Absent
    }

    async fn fetch(&self, span: RevisionSpan, turn: u32) -> Result<EventRun, HistorySourceError> {
        // As much as one message may hold.
        let first = span.first.0.max(span.last.0.saturating_sub(699));
        let mut run = self.story.run(RevisionSpan::new(first, span.last.0));
        match self.manner {
            Manner::Absent => return Err(HistorySourceError("nobody is there".into())),
            Manner::Lies(lie) if turn == 0 => {
                self.lies.fetch_add(1, Ordering::Relaxed);
                tell(&mut run, lie);
            }
            Manner::Lies(_) | Manner::Honest => {}
        }
        self.sent.fetch_add(run.events.len() as u64, Ordering::Relaxed);
        Ok(run)
    }

    async fn ask(&self, asked: PeerQuestion, _turn: u32) -> Result<Answer, HistorySourceError> {
        if self.manner != Manner::Honest {
            return Err(HistorySourceError("nobody is there".into()));
        }
        // It is ahead of whoever asks.
        let mut meta = self.story.meta(self.story.last());
        meta.anchor = self.story.anchor(asked.anchor.0);
        Ok(truth::answer(&self.story, &asked.question, &meta))
    }
}

fn tell(run: &mut EventRun, lie: Lie) {
    let middle = run.events.len() / 2;
    match lie {
        Lie::Value => run.events[middle].new = Some(Json::new("\"altered\"")),
        Lie::Resealed => {
            run.events[middle].new = Some(Json::new("\"altered\""));
            let mut chain = run.before;
            for event in &mut run.events {
                *event = event.clone().seal(chain);
                chain = event.chain;
            }
        }
        Lie::Gap => drop(run.events.remove(middle)),
        Lie::Elsewhere => drop(run.events.pop()),
    }
}
