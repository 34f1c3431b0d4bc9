//! The only place where stores read the time. The rules get it as data, and
//! tests replace the clock with one that they move by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A shared source of time.
pub type Clock = Arc<dyn TimeSource>;

/// Two clocks: one that people read and administrators may set, and one that
/// never goes back.
pub trait TimeSource: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch. It may jump in either direction.
    fn wall_ms(&self) -> u64;
    /// Milliseconds since some moment after this process started. It never
    /// goes back.
    fn monotonic_ms(&self) -> u64;
}

/// The machine's own clocks.
pub fn system() -> Clock {
    Arc::new(SystemClock { started: Instant::now() })
}

struct SystemClock {
    started: Instant,
}

impl TimeSource for SystemClock {
    fn wall_ms(&self) -> u64 {
        // A clock before 1970 reads as 1970, so that deadlines can still be counted.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
    }

    fn monotonic_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// A clock that moves only when a test moves it.
pub struct ManualClock {
    wall_ms: AtomicU64,
    monotonic_ms: AtomicU64,
}

impl ManualClock {
    /// A clock whose wall clock shows `wall_ms`.
    pub fn at(wall_ms: u64) -> Arc<ManualClock> {
        Arc::new(ManualClock { wall_ms: AtomicU64::new(wall_ms), monotonic_ms: AtomicU64::new(0) })
    }

    /// Moves both clocks forward.
    pub fn advance_ms(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock, possibly back, as an administrator might.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}

impl TimeSource for ManualClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}
