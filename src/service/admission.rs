//! Admission: how many calls, and bytes of calls, may be under way at once. A call
//! that does not fit is refused at once and never queued.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::options::Options;
use crate::error::ServiceError;

pub(super) struct Admission {
    calls: Bound,
    bytes: Bound,
    waiting: Bound,
    exports: Bound,
}

/// How many exports may run at once. Each keeps an old state in memory, or in SQLite
/// everything that was written since it began, until it has ended.
const EXPORTS_MAX: usize = 2;

/// The place of one call. Dropping it makes room for another.
#[must_use]
pub(super) struct AdmissionPermit {
    _parts: [OwnedSemaphorePermit; 2],
}

struct Bound {
    free: Arc<Semaphore>,
    max: usize,
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

    /// Admits a call of about `bytes`.
    pub(super) fn enter(&self, bytes: usize) -> Result<AdmissionPermit, ServiceError> {
        let call = self
            .calls
            .take(1)
            .ok_or_else(|| busy(format!("{} calls are under way already", self.calls.max)))?;
        // One call larger than the whole bound still gets in, alone.
        let bytes = self.bytes.take(bytes.min(self.bytes.max)).ok_or_else(|| {
            busy(format!("{} bytes of calls are under way already", self.bytes.max))
        })?;
        Ok(AdmissionPermit { _parts: [call, bytes] })
    }

    /// Admits a call that waits.
    pub(super) fn begin_wait(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        self.waiting.take(1).ok_or_else(|| busy(format!("{} calls wait already", self.waiting.max)))
    }

    /// Admits an export.
    pub(super) fn begin_export(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        self.exports
            .take(1)
            .ok_or_else(|| busy(format!("{} exports are under way already", self.exports.max)))
    }

    /// How many calls are under way, and how many wait.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.calls.taken(), self.waiting.taken())
    }
}

impl Bound {
    fn new(max: usize) -> Bound {
        let max = max.clamp(1, u32::MAX as usize);
        Bound { free: Arc::new(Semaphore::new(max)), max }
    }

    fn take(&self, number: usize) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_many_owned(number as u32).ok()
    }

    fn taken(&self) -> usize {
        self.max - self.free.available_permits()
    }
}

fn busy(why: String) -> ServiceError {
    ServiceError::unavailable(format!("unavailable: the server is busy, {why}; try again"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn calls_beyond_the_bound_are_refused_until_others_end() {
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
        let _waiting = admission.begin_wait().unwrap();
        assert!(admission.begin_wait().is_err(), "waits are bounded");
        assert_eq!(admission.load(), (1, 1));
    }
}
