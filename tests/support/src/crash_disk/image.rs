//! The file system that shows a crash disk: a folder with one file, `image`.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyWrite, Request,
    TimeOrNow, WriteFlags,
};

use super::blocks::{Blocks, SECTOR_BYTES, lock};

const ATTR_TTL: Duration = Duration::from_secs(1);
const FOLDER: INodeNo = INodeNo(1);
const IMAGE: INodeNo = INodeNo(2);

/// The one file that is the disk.
pub struct Files {
    pub blocks: Arc<Mutex<Blocks>>,
    pub size: u64,
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
        let failing = lock(&self.blocks).failing.take();
        if let Some((began, goes_on)) = failing {
            // Whoever waits for either may have failed.
            let _ = began.send(());
            let _ = goes_on.recv();
            return reply.error(Errno::EIO);
        }
        match lock(&self.blocks).sync() {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }
}
