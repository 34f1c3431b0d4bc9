//! A node's session: how its commands are numbered, so that one asked again
//! after a change of leader is applied once (section 6.3 of Ongaro's thesis).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::machine::command::Origin;

/// One run of a node, and which of its commands still wait for an answer.
#[derive(Clone)]
pub struct Session {
    id: u64,
    outstanding: Arc<Mutex<Outstanding>>,
}

#[derive(Default)]
struct Outstanding {
    next: u64,
    /// Bounded by the calls that the service admits at a time.
    open: BTreeSet<u64>,
}

/// A number in use. Dropped when the caller has its answer or gave up: the
/// replicas may then forget the answer.
pub struct SequenceTicket {
    session: Session,
    /// What the command carries.
    pub origin: Origin,
}

impl Session {
    /// A session under an `id` that no other run of any node has drawn.
    pub fn new(id: u64) -> Session {
        Session { id, outstanding: Arc::default() }
    }

    /// The next number.
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
        // A set of numbers is whole at every step, whoever panicked meanwhile.
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
        let session = Session::new(7);
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
