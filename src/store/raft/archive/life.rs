//! How the archive opens, gets over faults, and does what is due of itself.

use std::time::Instant;

use super::ArchiveError;
use super::database::{Database, Fault};
use super::format::{META_KEY, decode_meta};
use super::held::Held;
use super::place;
use super::proof::Proof;
use super::tail::Tail;
use super::worker::{Failure, State, Worker};

impl Worker {
    /// Opens sled and learns what it holds.
    pub(super) fn begin(&mut self) -> Result<(), Fault> {
        let database = Database::open(&self.dir, &self.options)?;
        let found = database.get(META_KEY);
        let empty = database.first(&[], &[u8::MAX]);
        self.state = State::Open(database);
        self.held = match found? {
            Some(value) => decode_meta(&value)
                .ok_or_else(|| Fault::Damaged("the record of what is held is broken".into()))?,
            None if empty?.is_none() => Held::default(),
            None => return Err(Fault::Damaged("the record of what is held is gone".into())),
        };
        self.proven = Held::default();
        self.load_tail()?;
        self.proof = Proof::from_start();
        self.publish();
        // Whoever feeds it is to ask again what is wanted, even if it is as before.
        self.signals.durable.send_modify(|_| {});
        Ok(())
    }

    /// Gives what is to be answered, after seeing to a fault.
    pub(super) fn settle<T>(&mut self, result: Result<T, Failure>) -> Result<T, ArchiveError> {
        match (result, &self.state) {
            (Ok(value), _) => Ok(value),
            (Err(Failure::Refused(error)), _) => Err(error),
            (Err(Failure::Fault(_)), State::Closed) => Err(ArchiveError::Closed),
            (Err(Failure::Fault(Fault::Io(reason))), State::Stopped(..)) => {
                Err(ArchiveError::Stopped(reason))
            }
            (Err(Failure::Fault(Fault::Io(reason))), State::Open(_)) => {
                self.stop(reason.clone());
                Err(ArchiveError::Stopped(reason))
            }
            (Err(Failure::Fault(Fault::Damaged(reason))), _) => {
                self.start_over(&reason);
                Err(ArchiveError::Stopped(reason))
            }
        }
    }

    /// The disk refused. Events that wait are sent again by who has them.
    fn stop(&mut self, reason: String) {
        tracing::error!(reason, "the archive stopped and will be opened again");
        let retry_at = Instant::now() + self.options.retry;
        let state = std::mem::replace(&mut self.state, State::Stopped(reason, retry_at));
        if let State::Open(database) = state {
            database.abandon();
        }
        self.tail = None;
        self.proof = Proof::default();
        self.signals.hole.send_replace(None);
    }

    /// What is there is not to be trusted: moves it aside and begins anew.
    pub(super) fn start_over(&mut self, reason: &str) {
        tracing::error!(reason, dir = %self.dir.display(), "the archive was damaged and begins anew");
        self.forget();
        let begun = place::set_aside(&self.dir).map_err(Fault::from).and_then(|()| self.begin());
        if let Err(Fault::Io(reason) | Fault::Damaged(reason)) = begun {
            self.stop(reason);
        }
    }

    /// Empties the archive: nothing in it is history any more.
    pub(super) fn empty(&mut self) -> Result<(), Fault> {
        self.forget();
        place::discard(&self.dir)?;
        self.begin()
    }

    fn forget(&mut self) {
        let anew = State::Stopped("it begins anew".into(), Instant::now());
        if let State::Open(database) = std::mem::replace(&mut self.state, anew) {
            database.abandon();
        }
        self.held = Held::default();
        self.tail = None;
        self.publish();
    }

    /// When something is to be done unasked.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Closed => None,
            State::Stopped(_, retry_at) => Some(*retry_at),
            State::Open(_) if !self.proof.is_done() => Some(Instant::now()),
            State::Open(_) => {
                self.tail.as_ref().and_then(Tail::since).map(|since| since + self.options.linger)
            }
        }
    }

    /// Does a bounded piece of what is due.
    pub(super) fn turn(&mut self) -> Result<(), Failure> {
        if matches!(self.state, State::Stopped(..)) {
            return match self.begin() {
                // One more line a try would say nothing new.
                Err(Fault::Io(reason)) => {
                    self.state = State::Stopped(reason, Instant::now() + self.options.retry);
                    Ok(())
                }
                Err(fault) => Err(fault.into()),
                Ok(()) => self.adopt(self.tip.clone()),
            };
        }
        let since = self.tail.as_ref().and_then(Tail::since);
        if since.is_some_and(|since| since.elapsed() >= self.options.linger) {
            self.flush()?;
        }
        self.prove_some()
    }
}
