//! Admission: how many calls, and bytes of calls, may be under way at once.
//! What does not fit is refused at once, not queued.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Options, ServiceError};

pub(super) struct Admission {
    calls: Bound,
    bytes: Bound,
    waiting: Bound,
    exports: Bound,
}

/// Most exports at once: each keeps an old state alive until it has ended, and
/// in a file everything that was written since.
const EXPORTS_MAX: usize = 2;

/// Leaves when dropped.
#[must_use]
pub(super) struct Permit {
    _parts: [OwnedSemaphorePermit; 2],
}

struct Bound {
    free: Arc<Semaphore>,
    most: usize,
}

impl Admission {
    pub(super) fn new(options: &Options) -> Admission {
        Admission {
            calls: Bound::new(options.in_flight_max),
            bytes: Bound::new(options.in_flight_bytes_max),
            waiting: Bound::new(options.waiting_max),
            exports: Bound::new(EXPORTS_MAX),
        }
    }

    /// Lets a call of about `bytes` in.
    pub(super) fn enter(&self, bytes: usize) -> Result<Permit, ServiceError> {
        let call = self
            .calls
            .take(1)
            .ok_or_else(|| busy(format!("{} calls are under way already", self.calls.most)))?;
        // One call larger than the whole bound still gets in, alone.
        let bytes = self.bytes.take(bytes.min(self.bytes.most)).ok_or_else(|| {
            busy(format!("{} bytes of calls are under way already", self.bytes.most))
        })?;
        Ok(Permit { _parts: [call, bytes] })
    }

    /// Lets a call wait.
    pub(super) fn wait(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        self.waiting
            .take(1)
            .ok_or_else(|| busy(format!("{} calls wait already", self.waiting.most)))
    }

    /// Lets an export begin.
    pub(super) fn export(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        self.exports
            .take(1)
            .ok_or_else(|| busy(format!("{} exports are under way already", self.exports.most)))
    }

    /// Calls under way, and calls that wait.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.calls.taken(), self.waiting.taken())
    }
}

impl Bound {
    fn new(most: usize) -> Bound {
        let most = most.clamp(1, u32::MAX as usize);
        Bound { free: Arc::new(Semaphore::new(most)), most }
    }

    fn take(&self, number: usize) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_many_owned(number as u32).ok()
    }

    fn taken(&self) -> usize {
        self.most - self.free.available_permits()
    }
}

fn busy(why: String) -> ServiceError {
    ServiceError::unavailable(format!("unavailable: the server is busy, {why}; try again"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Code;

    #[test]
    fn what_does_not_fit_is_refused_and_room_is_given_back() {
        let options = Options {
            in_flight_max: 2,
            in_flight_bytes_max: 100,
            waiting_max: 1,
            ..Options::default()
        };
        let admission = Admission::new(&options);
        let first = admission.enter(60).unwrap();
        let refused = admission.enter(60).err().unwrap();
        assert_eq!(refused.code, Code::Unavailable, "bytes are bounded");
        let second = admission.enter(10).unwrap();
        assert!(admission.enter(1).is_err(), "calls are bounded");
        drop(first);
        drop(second);
        let _large = admission.enter(1_000_000).expect("a large call gets in alone");
        assert!(admission.enter(1).is_err());
        let _waiting = admission.wait().unwrap();
        assert!(admission.wait().is_err(), "waits are bounded");
        assert_eq!(admission.load(), (1, 1));
    }
}
