//! The history archive: it finds what it holds by what a look-up needs, and
//! whatever happens to its files, it is never wrong.
//!
//! Every test compares answers with a whole history kept aside. `SEED` repeats
//! a run. The power test needs root, `/dev/fuse`, `losetup` and `mkfs.ext4`; it
//! says so and passes where they are missing.

#[path = "archive/damage.rs"]
mod damage;
#[allow(dead_code, reason = "each test binary uses a part")]
#[path = "power/disk.rs"]
mod disk;
#[path = "archive/finding.rs"]
mod finding;
#[path = "archive/kill.rs"]
mod kill;
#[path = "archive/lost_pages.rs"]
mod lost_pages;
#[path = "archive/peers.rs"]
mod peers;
#[path = "archive/power.rs"]
mod power;
#[path = "archive/story.rs"]
mod story;
#[path = "archive/truth.rs"]
mod truth;
