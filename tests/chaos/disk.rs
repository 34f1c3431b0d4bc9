//! A small disk for a node, in memory, that can be filled up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Room for a node's log, snapshots and history in a run of some minutes.
const SIZE: &str = "size=512m";

/// A mounted disk. Unmounted when dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts one at `folder`, where this process may.
    pub fn mount(folder: &Path) -> Option<Disk> {
        fs::create_dir_all(folder).ok()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
            .arg(folder)
            .status()
            .is_ok_and(|status| status.success());
        mounted.then(|| Disk(folder.to_owned()))
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Leaves no room at all.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.ballast()).expect("a file");
        let bytes = vec![0; 1 << 20];
        let mut part = bytes.len();
        // Ever smaller, until not one page is left.
        while part >= 4096 {
            if std::io::Write::write_all(&mut file, &bytes[..part]).is_err() {
                part /= 2;
            }
        }
    }

    /// Makes room again.
    pub fn free(&self) {
        // Absent where it was not filled.
        let _ = fs::remove_file(self.ballast());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
