//! Time by the simulation, also for libraries that ask the operating system for
//! it, as h2 does: how long a real run takes must not decide anything.

use std::cell::Cell;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime as real_time};

/// So many seconds had passed when a simulation begins: libraries go back a
/// little from the present.
const BEGIN_SECONDS: u64 = 1_000_000;

thread_local! {
    static NOW: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Sets this thread's clocks to the time since the simulation began.
pub fn set(elapsed: Duration) {
    NOW.set(Some(elapsed + Duration::from_secs(BEGIN_SECONDS)));
}

/// As the C library lays it out.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// The C library's function of this name, which everything asks.
///
/// # Safety
/// `time` can be written to, as the C library's caller promises.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: i32, time: *mut Timespec) -> i32 {
    let now = match NOW.try_with(Cell::get) {
        Ok(Some(now)) => {
            Timespec { seconds: now.as_secs() as i64, nanoseconds: now.subsec_nanos().into() }
        }
        // Another thread of the test program.
        Ok(None) | Err(_) => {
            let wall = clock == ClockId::Realtime as i32;
            let now = real_time(if wall { ClockId::Realtime } else { ClockId::Monotonic });
            Timespec { seconds: now.tv_sec, nanoseconds: now.tv_nsec }
        }
    };
    // SAFETY: the caller's promise.
    unsafe { time.write(now) };
    0
}
