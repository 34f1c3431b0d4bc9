//! The memory store: the rules and nothing around them. The state and its whole
//! history are lost when the program ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::error::StoreError;
use super::export::{Export, Part, PartSender, channel};
use super::health::Health;
use super::interface::Store;
use super::request::{Answered, Consistency, Request};
use super::steady_clock::SteadyClock;
use super::tables::{Tables, release};
use super::window::Window;
use crate::machine::command::StateLimits;
use crate::machine::lookup::{self, Due};
use crate::machine::{
    ClusterMs, Command, Envelope, Event, Question, Reply, Revision, Row, WallMs, answer,
    answer_history, decide,
};

/// A state in this process's memory.
///
/// Invariant: `published` is replaced as a whole, and only under `writer`. So a
/// reader sees a state between two commands, and it includes every command that
/// was answered before.
pub struct MemoryStore {
    clock: SteadyClock,
    limits: StateLimits,
    writer: Mutex<()>,
    published: ArcSwap<MemoryState>,
    revision: watch::Sender<Revision>,
    closed: AtomicBool,
}

/// The rows and the history that led to them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryState {
    pub tables: Tables,
    pub history: Window,
}

impl MemoryState {
    /// Decides and commits one command, and returns the reply.
    pub fn step(&mut self, envelope: &Envelope) -> Reply {
        let Ok(decision) = decide(envelope, &self.tables);
        self.tables.apply(&decision);
        for event in decision.events {
            self.history.push(event);
        }
        self.history.evict_to(decision.meta.anchor.revision);
        decision.reply
    }

    /// Sends the parts of an export, in their order.
    fn send_parts(&self, sender: &mut PartSender) -> Result<(), StoreError> {
        let rows = self.tables.rows().map(|row| Row::clone(row));
        let mut rows = rows.filter_map(Part::of_row);
        rows.try_for_each(|row| sender.push(row))?;
        let mut events = self.history.iter_after(Revision::ZERO);
        events.try_for_each(|event| sender.push(Part::Event(Event::clone(event))))
    }
}

impl MemoryStore {
    /// An empty store that reads the time from `clock`.
    pub fn new(clock: Clock) -> MemoryStore {
        MemoryStore {
            clock: SteadyClock::new(clock, ClusterMs::default()),
            limits: StateLimits::default(),
            writer: Mutex::new(()),
            published: ArcSwap::default(),
            revision: watch::Sender::new(Revision::ZERO),
            closed: AtomicBool::new(false),
        }
    }

    /// The same store with a limit to the size of its state.
    pub fn limited_to(self, limits: StateLimits) -> MemoryStore {
        MemoryStore { limits, ..self }
    }

    /// The state after the newest command.
    pub fn state(&self) -> Arc<MemoryState> {
        self.published.load_full()
    }

    fn commit(&self, request: Request) -> Result<Reply, StoreError> {
        // A writer that panicked had not published its changes yet, so the state
        // is still good.
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_open()?;
        let envelope = request.stamped(self.clock.now(), self.limits);
        let mut state = MemoryState::clone(&self.published.load());
        let reply = state.step(&envelope);
        let (revision, rows) = (state.tables.meta().revision, state.tables.len());
        let replaced = self.published.swap(Arc::new(state));
        let removed = replaced.tables.len().saturating_sub(rows);
        release(replaced, removed);
        self.revision.send_if_modified(|seen| std::mem::replace(seen, revision) != revision);
        Ok(reply)
    }

    /// The newest state. If a deadline has passed since it was written, its clock
    /// is moved forward first, so that a row that was seen to be expired never
    /// comes back.
    fn current_state(&self) -> Result<Arc<MemoryState>, StoreError> {
        let state = self.state();
        let Ok(deadline) = lookup::next_deadline(&state.tables, state.tables.meta().clock);
        if deadline.is_none_or(|deadline| deadline > self.clock.now()) {
            return Ok(state);
        }
        self.commit(Request::own(Command::Sweep { limit: 0 }))?;
        Ok(self.state())
    }

    fn check_open(&self) -> Result<(), StoreError> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(StoreError::Unavailable("the store is closed".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn submit(&self, request: Request, _deadline: Instant) -> Result<Reply, StoreError> {
        self.commit(request)
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        _deadline: Instant,
    ) -> Result<Answered, StoreError> {
        self.check_open()?;
        let (state, now) = match consistency {
            Consistency::Linearizable => {
                let state = self.current_state()?;
                let now = question.answered_at(state.tables.meta().clock, self.clock.now());
                (state, now)
            }
            Consistency::Local => {
                let state = self.state();
                let now = state.tables.meta().clock.max(self.clock.now());
                (state, now)
            }
        };
        let meta = state.tables.meta();
        let Ok(answer) = match question.is_about_history() {
            true => answer_history(&question, &state.history, meta),
            false => answer(&question, &state.tables, now),
        };
        Ok(Answered { answer, revision: meta.revision, age: Some(Duration::ZERO) })
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    async fn due(&self) -> Due {
        if self.check_open().is_err() {
            return Due::default();
        }
        let state = self.state();
        let now = state.tables.meta().clock.max(self.clock.now());
        let Ok(due) = lookup::due(&state.tables, now, WallMs(now.0));
        due
    }

    async fn export(&self, _deadline: Instant) -> Result<Export, StoreError> {
        self.check_open()?;
        let state = self.state();
        let meta = state.tables.meta().clone();
        let (mut sender, parts) = channel(CancellationToken::new());
        tokio::task::spawn_blocking(move || {
            let sent = state.send_parts(&mut sender);
            sender.end(sent);
        });
        Ok(Export { meta, parts })
    }

    async fn health(&self) -> Health {
        let state = self.state();
        let meta = state.tables.meta();
        Health {
            backend: "memory",
            fault: self.check_open().err().map(|error| error.to_string()),
            revision: meta.revision,
            chain: meta.chain,
            state_bytes: meta.state_bytes,
            state_bytes_max: self.limits.bytes_max,
            warning: self.clock.warning(),
            cluster: None,
        }
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // When the lock is free, the last writer has finished.
        drop(self.writer.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Answer;
    use crate::machine::command::Set;
    use crate::machine::{Json, Text};
    use crate::store::clock::ManualClock;

    fn set(key: &str, ttl_ms: Option<u64>) -> Request {
        let set = Set {
            key: key.into(),
            value: Json::new("1"),
            ttl_ms,
            agent_id: None,
            if_revision: None,
            fence: None,
        };
        Request::own(Command::Set(set))
    }

    async fn is_there(store: &MemoryStore, consistency: Consistency) -> bool {
        let question = Question::Key { key: Text::from("k") };
        let answered = store.ask(question, consistency, Instant::now()).await.unwrap();
        matches!(answered.answer, Answer::Key(Some(_)))
    }

    #[tokio::test]
    async fn a_key_seen_expired_never_comes_back_when_the_clock_is_set_back() {
        let clock = ManualClock::at(10_000);
        let store = MemoryStore::new(clock.clone());
        store.submit(set("k", Some(1_000)), Instant::now()).await.unwrap();
        assert!(is_there(&store, Consistency::Linearizable).await);
        clock.advance_ms(1_000);
        assert!(!is_there(&store, Consistency::Local).await);
        assert!(!is_there(&store, Consistency::Linearizable).await);
        clock.set_wall_ms(10_000);
        assert!(!is_there(&store, Consistency::Linearizable).await);
        assert!(!is_there(&store, Consistency::Local).await);
        assert_eq!(store.state().tables.meta().clock, ClusterMs(11_000));
    }

    #[tokio::test]
    async fn a_change_wakes_watchers_and_a_closed_store_refuses_commands() {
        let store = MemoryStore::new(ManualClock::at(1));
        let mut revision = store.revision();
        store.submit(set("k", None), Instant::now()).await.unwrap();
        assert!(revision.has_changed().unwrap());
        assert_eq!(*revision.borrow_and_update(), Revision(1));
        store.close().await;
        let refused = store.submit(set("k", None), Instant::now()).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(store.health().await.fault.is_some());
    }
}
