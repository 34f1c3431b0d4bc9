//! A disk with a volatile cache: what was written and not synced may be lost.
//!
//! One file, served through FUSE from this process, behind a loop device with
//! ext4 on it. At a cut the disk keeps what was synced and, of the rest, a
//! random part, block by block; afterwards it takes writes and forgets them, and
//! fails every sync, so nothing is acknowledged after the cut that is not in its
//! image. `commit=300` keeps ext4 from syncing on its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use fuser::{BackgroundSession, Config, MountOption};
use tempfile::TempDir;

pub use blocks::Cut;
use blocks::{Blocks, lock};
use image::Files;

mod blocks;
mod image;

/// Files of a log whose test failed are closed by then.
const UNMOUNT_WITHIN: Duration = Duration::from_secs(5);
/// A sync that a test waits for comes within this time.
const SYNC_WITHIN: Duration = Duration::from_secs(10);
const UNMOUNT_POLL: Duration = Duration::from_millis(10);
/// Other users of loop devices may win a race for one.
const LOOP_TRIES: usize = 10;

/// A mounted disk; unmounted and gone when dropped.
pub struct CrashDisk {
    blocks: Arc<Mutex<Blocks>>,
    folder: TempDir,
    device: Option<String>,
    session: Option<BackgroundSession>,
}

impl CrashDisk {
    /// A new disk, or `None` and a word on standard error where there can be none.
    pub fn new_or_say_why(size: u64) -> Option<Self> {
        let why = missing();
        if !why.is_empty() {
            eprintln!("SKIPPED: a disk that loses power needs {}", why.join(", "));
            return None;
        }
        Some(Self::new(size).expect("the disk is made of what was found"))
    }

    /// A new, formatted and mounted disk of `size` bytes.
    pub fn new(size: u64) -> io::Result<Self> {
        Self::mount(vec![0; size as usize], true)
    }

    /// Where the disk is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mnt")
    }

    /// Power goes after some more writes, or at [`CrashDisk::restart`].
    pub fn cut_after(&self, cut: Cut) {
        self.blocks().cut = Some(cut);
    }

    /// Power goes at all these disks at one instant, now.
    pub fn cut_together(disks: &[CrashDisk], cuts: &[Cut]) {
        let mut all: Vec<_> = disks.iter().map(CrashDisk::blocks).collect();
        for (blocks, cut) in all.iter_mut().zip(cuts) {
            blocks.cut = Some(*cut);
            blocks.lose_power();
        }
    }

    /// Makes the file system read-only, as it makes itself where it finds a fault.
    pub fn turn_read_only(&self) {
        let options = "remount,errors=remount-ro,commit=300";
        tool("mount", &["-o", options, &text(&self.path())]).expect("it is mounted");
        let device = self.device.as_deref().expect("it is attached");
        let name = Path::new(device).file_name().expect("a device has a name");
        let trigger = Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error");
        fs::write(trigger, "a fault of the test's").expect("ext4 takes faults");
    }

    /// Whether power is gone.
    pub fn is_cut(&self) -> bool {
        self.blocks().image.is_some()
    }

    /// Makes the next sync fail; those after it work again.
    pub fn fail_next_sync(&self) -> FailingSync {
        let (began_tx, began) = channel();
        let (goes_on, goes_on_rx) = channel();
        self.blocks().failing = Some((began_tx, goes_on_rx));
        FailingSync { began, goes_on }
    }

    /// Makes the next syncs fail; those after them work again.
    pub fn fail_syncs(&self, count: u32) {
        self.blocks().failing_syncs = count;
    }

    /// The disk as it is after power came back. Files on this one must be closed.
    pub fn restart(self) -> Self {
        let image = {
            let mut blocks = self.blocks();
            blocks.lose_power();
            blocks.image.take().expect("power is gone, so there is an image")
        };
        drop(self);
        Self::mount(image, false).expect("a disk that was mounted mounts again")
    }

    fn mount(durable: Vec<u8>, format: bool) -> io::Result<Self> {
        let size = durable.len() as u64;
        let folder = tempfile::Builder::new().prefix("crash-disk-").tempdir()?;
        for name in ["fuse", "mnt"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let blocks = Arc::new(Mutex::new(Blocks::new(durable)));
        let mut disk = Self { blocks, folder, device: None, session: None };
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("crash-disk".into())];
        let files = Files { blocks: disk.blocks.clone(), size };
        let fuse = disk.folder.path().join("fuse");
        disk.session = Some(fuser::spawn_mount(files, &fuse, &config)?);
        let device = attach(&fuse.join("image"))?;
        disk.device = Some(device.clone());
        if format {
            tool("mkfs.ext4", &["-q", "-F", "-E", "nodiscard", "-J", "size=4", &device])?;
        }
        tool("mount", &["-t", "ext4", "-o", "commit=300", &device, &text(&disk.path())])?;
        if format {
            tool("sync", &["-f", &text(&disk.path())])?;
        }
        Ok(disk)
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        lock(&self.blocks)
    }
}

/// A sync that is going to fail, once let go on.
pub struct FailingSync {
    began: Receiver<()>,
    goes_on: Sender<()>,
}

impl FailingSync {
    /// Waits until the sync is under way.
    pub fn wait(&self) {
        let began = self.began.recv_timeout(SYNC_WITHIN);
        began.expect("somebody syncs the disk");
    }

    /// Lets it fail.
    pub fn fail(self) {
        self.goes_on.send(()).expect("the sync waits");
    }
}

impl Drop for CrashDisk {
    fn drop(&mut self) {
        // Unmounting syncs: let it succeed, whatever the disk did before.
        {
            let mut blocks = self.blocks();
            blocks.forgets = true;
        }
        unmount(&self.path());
        if let Some(device) = &self.device
            && let Err(error) = tool("losetup", &["-d", device])
        {
            eprintln!("{device} stays attached: {error}");
        }
        if let Some(session) = self.session.take() {
            let fuse = self.folder.path().join("fuse");
            unmount(&fuse);
            let _ = session.umount_and_join();
        }
    }
}

/// What a crash disk needs and this machine lacks.
fn missing() -> Vec<&'static str> {
    let root = rustix::process::geteuid().is_root();
    let tool = |name: &str| {
        let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
        folders.iter().any(|folder| Path::new(folder).join(name).exists())
    };
    let needs = [
        ("root", root),
        ("/dev/fuse", Path::new("/dev/fuse").exists()),
        ("/dev/loop-control", Path::new("/dev/loop-control").exists()),
        ("losetup", tool("losetup")),
        ("mkfs.ext4", tool("mkfs.ext4")),
    ];
    needs.into_iter().filter(|(_, found)| !found).map(|(name, _)| name).collect()
}

fn attach(image: &Path) -> io::Result<String> {
    let mut tries = 0;
    loop {
        tries += 1;
        match tool("losetup", &["--find", "--show", &text(image)]) {
            Ok(device) => return Ok(device.trim().to_owned()),
            Err(error) if tries == LOOP_TRIES => return Err(error),
            Err(_) => {}
        }
    }
}

/// Unmounts once files of a test that failed are closed, or soon in any case.
fn unmount(path: &Path) {
    let deadline = Instant::now() + UNMOUNT_WITHIN;
    while let Err(error) = tool("umount", &[&text(path)]) {
        if Instant::now() > deadline {
            eprintln!("{error}; detached instead");
            let _ = tool("umount", &["-l", &text(path)]);
            return;
        }
        std::thread::sleep(UNMOUNT_POLL);
    }
}

/// Runs a tool; what it printed.
fn tool(name: &str, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(name).args(arguments).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(io::Error::other(format!("{name} {}: {said}", arguments.join(" "))))
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
