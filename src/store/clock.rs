//! Where the stores that order commands read the time. The only place: rules
//! get it as data, and tests drive it by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A source of time, shared.
pub type Clock = Arc<dyn TimeSource>;

/// Two clocks: one that people read and administrators may set, one that only
/// counts on.
pub trait TimeSource: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch; may jump.
    fn wall_ms(&self) -> u64;
    /// Milliseconds since some moment in this process's life; never falls.
    fn monotonic_ms(&self) -> u64;
}

/// The machine's own clocks.
pub fn system() -> Clock {
    Arc::new(System { started: Instant::now() })
}

struct System {
    started: Instant,
}

impl TimeSource for System {
    fn wall_ms(&self) -> u64 {
        // A clock before 1970 reads as 1970: deadlines then run from there.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
    }

    fn monotonic_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// A clock that moves only when told to.
pub struct Manual {
    wall_ms: AtomicU64,
    monotonic_ms: AtomicU64,
}

impl Manual {
    /// A clock that stands at `wall_ms`.
    pub fn at(wall_ms: u64) -> Arc<Manual> {
        Arc::new(Manual { wall_ms: AtomicU64::new(wall_ms), monotonic_ms: AtomicU64::new(0) })
    }

    /// Moves both clocks on.
    pub fn advance_ms(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock, as an administrator might, also backwards.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}

impl TimeSource for Manual {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}
