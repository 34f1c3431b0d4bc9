//! The disk on which a node keeps its log, its snapshots and who it is: the
//! machine's own, by the names of `std::fs`. In a simulation it is one that
//! forgets at a crash what was not synced, names included, and tears writes
//! into sectors.

use std::io;
use std::path::Path;

#[cfg(not(feature = "simulation"))]
mod home {
    pub use std::fs::{
        File, OpenOptions, create_dir_all, read, read_dir, read_to_string, remove_file, rename,
    };
}

#[cfg(feature = "simulation")]
mod home {
    pub use turmoil::fs::shim::std::fs::{
        File, OpenOptions, create_dir_all, read, read_dir, read_to_string, remove_file, rename,
    };
}

pub use home::*;

/// Makes names that came and went in `folder` durable.
///
/// # Errors
/// When the disk refuses.
pub fn sync_dir(folder: &Path) -> io::Result<()> {
    #[cfg(not(feature = "simulation"))]
    return File::open(folder)?.sync_all();
    #[cfg(feature = "simulation")]
    return turmoil::fs::shim::std::fs::sync_dir(folder);
}
