//! A node's client session in the log: its commands are numbered, so that one that
//! is proposed again after a change of leader is applied once (section 6.3 of
//! Ongaro's thesis).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::machine::command::Origin;

/// The session of one run of a node, with the numbers of its commands that still
/// wait for an answer.
#[derive(Clone)]
pub struct ProposerSession {
    id: u64,
    outstanding: Arc<Mutex<Outstanding>>,
}

#[derive(Default)]
struct Outstanding {
    next: u64,
    /// Bounded by the number of calls that the service admits at a time.
    open: BTreeSet<u64>,
}

/// A sequence number in use. It is dropped once the caller has its answer or has
/// given up, and the replicas may then forget the answer.
pub struct SequenceTicket {
    session: ProposerSession,
    /// The session and number that the command carries.
    pub origin: Origin,
}

impl ProposerSession {
    /// A session with an `id` that no other run of any node uses.
    pub fn new(id: u64) -> ProposerSession {
        ProposerSession { id, outstanding: Arc::default() }
    }

    /// Takes the next number.
    pub fn ticket(&self) -> SequenceTicket {
        let mut outstanding = self.lock();
        let sequence = outstanding.next;
        outstanding.next += 1;
        outstanding.open.insert(sequence);
        let lowest = outstanding.open.first().copied().unwrap_or(sequence);
        let origin = Origin { session: self.id, sequence, lowest };
        SequenceTicket { session: self.clone(), origin }
    }

    fn lock(&self) -> MutexGuard<'_, Outstanding> {
        // A panic cannot leave a set of numbers half changed.
        self.outstanding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SequenceTicket {
    fn drop(&mut self) {
        self.session.lock().open.remove(&self.origin.sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_outstanding_number_rises_only_past_answers() {
        let session = ProposerSession::new(7);
        let first = session.ticket();
        let second = session.ticket();
        assert_eq!((first.origin.sequence, second.origin.sequence), (0, 1));
        drop(second);
        assert_eq!(session.ticket().origin.lowest, 0, "the first still waits");
        drop(first);
        let last = session.ticket();
        assert_eq!(last.origin.lowest, last.origin.sequence);
    }
}
