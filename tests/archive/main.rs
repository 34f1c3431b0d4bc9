//! The history archive: it finds what it holds by what a look-up needs, and
//! whatever happens to its files, it is never wrong.
//!
//! Every test compares answers with a whole history kept aside. `SEED` repeats
//! a run. The power test needs root, `/dev/fuse`, `losetup` and `mkfs.ext4`; it
//! says so and passes where they are missing.

mod damage;
mod finding;
mod kill;
mod lost_pages;
mod peers;
mod power;
mod story;
mod truth;
