//! RandomSource by seed. All chance in a program comes from the operating system in
//! the end: the keys of hash maps, the seeds of thread-local generators, the
//! order in which tokio polls. This test program answers in its place, on the
//! threads of simulations, with the numbers of a generator.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

thread_local! {
    static GENERATOR: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// From now on this thread's chance follows from `seed`. For a thread that has
/// drawn none before.
pub fn seed(seed: u64) {
    GENERATOR.set(Some(StdRng::seed_from_u64(seed)));
}

/// The C library's function of this name, which everything asks.
///
/// # Safety
/// `buffer` has room for `length` bytes, as the C library's caller promises.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    let drawn = GENERATOR.try_with(|generator| {
        let mut generator = generator.borrow_mut();
        generator.as_mut().map(|generator| generator.fill_bytes(bytes)).is_some()
    });
    if drawn.unwrap_or(false) {
        return length as isize;
    }
    // Another thread of the test program.
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(bytes));
    read.map_or(-1, |()| length as isize)
}
