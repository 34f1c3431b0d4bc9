//! Counts what a test's own thread has allocated and not freed, so that tests
//! beside it do not disturb the measurement.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What an allocator keeps beside each piece.
const OVERHEAD_BYTES: i64 = 16;

thread_local! {
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

/// Bytes that this thread has allocated and nobody on it has freed.
pub fn allocated_bytes() -> i64 {
    BYTES.get()
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came; the counter is
// a plain cell of the thread and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get() + layout.size() as i64 + OVERHEAD_BYTES);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get() - layout.size() as i64 - OVERHEAD_BYTES);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(piece, layout) }
    }
}
