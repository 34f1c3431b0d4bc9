//! A disk with a volatile cache: what was written and not synced may be lost.
//!
//! One file, served through FUSE from this process, behind a loop device with
//! ext4 on it. At a cut the disk keeps what was synced and, of the rest, a
//! random part, block by block; afterwards it takes writes and forgets them, and
//! fails every sync, so nothing is acknowledged after the cut that is not in its
//! image. `commit=300` keeps ext4 from syncing on its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty,
    ReplyEntry, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

/// The unit in which the disk remembers what is not synced.
const SECTOR_BYTES: u64 = 512;
const ATTR_TTL: Duration = Duration::from_secs(1);
const FOLDER: INodeNo = INodeNo(1);
const IMAGE: INodeNo = INodeNo(2);
/// Files of a log whose test failed are closed by then.
const UNMOUNT_WITHIN: Duration = Duration::from_secs(5);
const UNMOUNT_POLL: Duration = Duration::from_millis(10);
/// Other users of loop devices may win a race for one.
const LOOP_TRIES: usize = 10;

/// When and how power goes.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Writes that the disk still takes.
    pub writes: u64,
    /// Decides which blocks are kept.
    pub seed: u64,
    /// Of the blocks not synced, the part that is kept.
    pub keep_percent: u32,
    /// The size of a block that is kept or lost whole.
    pub tear_bytes: u64,
}

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

    /// Whether power is gone.
    pub fn is_cut(&self) -> bool {
        self.blocks().image.is_some()
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
            blocks
                .image
                .take()
                .expect("power is gone, so there is an image")
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
        let blocks = Arc::new(Mutex::new(Blocks {
            durable,
            ..Blocks::default()
        }));
        let mut disk = Self {
            blocks,
            folder,
            device: None,
            session: None,
        };
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("crash-disk".into())];
        let files = Files {
            blocks: disk.blocks.clone(),
            size,
        };
        let fuse = disk.folder.path().join("fuse");
        disk.session = Some(fuser::spawn_mount(files, &fuse, &config)?);
        let device = attach(&fuse.join("image"))?;
        disk.device = Some(device.clone());
        if format {
            tool(
                "mkfs.ext4",
                &["-q", "-F", "-E", "nodiscard", "-J", "size=4", &device],
            )?;
        }
        tool(
            "mount",
            &[
                "-t",
                "ext4",
                "-o",
                "commit=300",
                &device,
                &text(&disk.path()),
            ],
        )?;
        if format {
            tool("sync", &["-f", &text(&disk.path())])?;
        }
        Ok(disk)
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        lock(&self.blocks)
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

/// What the disk holds.
#[derive(Default)]
struct Blocks {
    durable: Vec<u8>,
    /// Sectors written since the last sync.
    pending: BTreeMap<u64, [u8; SECTOR_BYTES as usize]>,
    cut: Option<Cut>,
    /// What is left after the cut.
    image: Option<Vec<u8>>,
    failing_syncs: u32,
    /// Nothing on this disk is needed any more.
    forgets: bool,
}

impl Blocks {
    fn read(&self, at: u64, size: u64) -> Vec<u8> {
        let end = at + size;
        let mut bytes = self.durable[at as usize..end as usize].to_vec();
        for (sector, content) in self
            .pending
            .range(at / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES))
        {
            let from = sector * SECTOR_BYTES;
            let (low, high) = (from.max(at), (from + SECTOR_BYTES).min(end));
            bytes[(low - at) as usize..(high - at) as usize]
                .copy_from_slice(&content[(low - from) as usize..(high - from) as usize]);
        }
        bytes
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        if let Some(cut) = &mut self.cut
            && self.image.is_none()
        {
            cut.writes = cut.writes.saturating_sub(1);
            if cut.writes == 0 {
                self.lose_power();
            }
        }
        let end = at + bytes.len() as u64;
        let mut from = at;
        while from < end {
            let sector = from / SECTOR_BYTES;
            let start = sector * SECTOR_BYTES;
            let to = (start + SECTOR_BYTES).min(end);
            let durable = &self.durable[start as usize..(start + SECTOR_BYTES) as usize];
            let content = self.pending.entry(sector).or_insert_with(|| {
                durable
                    .try_into()
                    .expect("the disk is a whole number of sectors")
            });
            content[(from - start) as usize..(to - start) as usize]
                .copy_from_slice(&bytes[(from - at) as usize..(to - at) as usize]);
            from = to;
        }
    }

    fn sync(&mut self) -> Result<(), Errno> {
        if self.forgets {
            return Ok(());
        }
        if self.image.is_some() {
            return Err(Errno::EIO);
        }
        if self.failing_syncs > 0 {
            self.failing_syncs -= 1;
            return Err(Errno::EIO);
        }
        for (sector, content) in std::mem::take(&mut self.pending) {
            let from = (sector * SECTOR_BYTES) as usize;
            self.durable[from..from + SECTOR_BYTES as usize].copy_from_slice(&content);
        }
        Ok(())
    }

    fn lose_power(&mut self) {
        if self.image.is_some() {
            return;
        }
        let default = Cut {
            writes: 0,
            seed: 0,
            keep_percent: 0,
            tear_bytes: 4096,
        };
        let cut = self.cut.unwrap_or(default);
        let mut image = self.durable.clone();
        let mut rng = StdRng::seed_from_u64(cut.seed);
        let mut block = (u64::MAX, false);
        for (sector, content) in &self.pending {
            let number = sector * SECTOR_BYTES / cut.tear_bytes;
            if number != block.0 {
                block = (number, rng.random_range(0..100) < cut.keep_percent);
            }
            if block.1 {
                let from = (sector * SECTOR_BYTES) as usize;
                image[from..from + SECTOR_BYTES as usize].copy_from_slice(content);
            }
        }
        self.image = Some(image);
    }
}

/// The one file that is the disk.
struct Files {
    blocks: Arc<Mutex<Blocks>>,
    size: u64,
}

impl Files {
    fn attr(&self, inode: INodeNo) -> FileAttr {
        let (kind, size) = match inode {
            FOLDER => (FileType::Directory, 0),
            _ => (FileType::RegularFile, self.size),
        };
        FileAttr {
            ino: inode,
            size,
            blocks: size / SECTOR_BYTES,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: 0o755,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        }
    }
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == "image" {
            true => reply.entry(&ATTR_TTL, &self.attr(IMAGE), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&ATTR_TTL, &self.attr(inode));
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.attr(&ATTR_TTL, &self.attr(inode));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let size = u64::from(size).min(self.size.saturating_sub(offset));
        reply.data(&lock(&self.blocks).read(offset.min(self.size), size));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        lock(&self.blocks).write(offset, data);
        reply.written(data.len() as u32);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        match lock(&self.blocks).sync() {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }
}

/// A test that panicked elsewhere must still be able to unmount.
fn lock(blocks: &Mutex<Blocks>) -> MutexGuard<'_, Blocks> {
    blocks
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What a crash disk needs and this machine lacks.
fn missing() -> Vec<&'static str> {
    let root = rustix::process::geteuid().is_root();
    let tool = |name: &str| {
        let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
        folders
            .iter()
            .any(|folder| Path::new(folder).join(name).exists())
    };
    let needs = [
        ("root", root),
        ("/dev/fuse", Path::new("/dev/fuse").exists()),
        ("/dev/loop-control", Path::new("/dev/loop-control").exists()),
        ("losetup", tool("losetup")),
        ("mkfs.ext4", tool("mkfs.ext4")),
    ];
    needs
        .into_iter()
        .filter(|(_, found)| !found)
        .map(|(name, _)| name)
        .collect()
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
            Err(io::Error::other(format!(
                "{name} {}: {said}",
                arguments.join(" ")
            )))
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
