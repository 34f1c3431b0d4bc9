//! The folder that sled lives in, and where its remains go.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where damaged files are kept, for a person to look at: one set, the latest.
pub(super) fn damaged(dir: &Path) -> PathBuf {
    beside(dir, "damaged")
}

/// Moves the folder aside as damaged, in place of an earlier one.
pub(super) fn set_aside(dir: &Path) -> io::Result<()> {
    let aside = damaged(dir);
    remove(&aside)?;
    rename(dir, &aside)
}

/// Removes the folder; its files go in the background.
pub(super) fn discard(dir: &Path) -> io::Result<()> {
    let aside = beside(dir, "dropped");
    remove(&aside)?;
    rename(dir, &aside)?;
    // What is left behind by a crash goes with the next discard.
    let _ = std::thread::Builder::new().name("archive-remove".into()).spawn(move || remove(&aside));
    Ok(())
}

fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    dir.with_file_name(name)
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
