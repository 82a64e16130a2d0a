//! What the kernel asks, and what it is answered: one directory with the outputs of a conversion.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, ReplyOpen, Request,
};
use ggraft_platform::owner;

use super::READ_AHEAD;
use super::reading::Reading;

/// How long the kernel may believe what it was told: nothing changes while it is mounted.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A file to show.
#[derive(Debug)]
struct Shown {
    name: String,
    len: u64,
}

/// The file system: one directory with the outputs of a plan.
#[derive(Debug)]
pub struct Outputs {
    reading: Arc<Reading>,
    files: Vec<Shown>,
    /// Set once a change of a source was told of.
    told: AtomicBool,
    owner: (u32, u32),
}

impl Outputs {
    /// Of what `reading` reads.
    pub fn of(reading: Arc<Reading>) -> Self {
        let files = reading.conversion().plan.outputs.iter().map(|output| Shown {
            name: output.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            len: output.len,
        });
        let files = files.collect();
        Self { reading, files, told: AtomicBool::new(false), owner: owner() }
    }

    /// Names of the files, the first of a split set first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// The output that `inode` stands for.
    fn index(inode: INodeNo) -> Option<usize> {
        usize::try_from(u64::from(inode).checked_sub(2)?).ok()
    }

    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let (kind, perm, size) = match Self::index(inode) {
            None => (FileType::Directory, 0o555, 0),
            Some(index) => (FileType::RegularFile, 0o444, self.files.get(index)?.len),
        };
        let time = UNIX_EPOCH;
        Some(FileAttr {
            ino: inode,
            size,
            blocks: size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: if kind == FileType::Directory { 2 } else { 1 },
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

impl Filesystem for Outputs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // The kernel offers as much as it does without being told to by root; see `Mounted`.
        if let Err(most) = config.set_max_readahead(READ_AHEAD) {
            _ = config.set_max_readahead(most);
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.files.iter().position(|file| OsStr::new(&file.name) == name);
        let found = found.filter(|_| parent == INodeNo::ROOT).map(|index| INodeNo(index as u64 + 2));
        match found.and_then(|inode| self.attributes(inode)) {
            Some(attributes) => reply.entry(&FOREVER, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(attributes) => reply.attr(&FOREVER, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(output) = Self::index(inode) else { return reply.error(Errno::EISDIR) };
        let mut reply = Some(reply);
        let result = self.reading.read(output, offset..offset.saturating_add(size.into()), |bytes| {
            if let Some(reply) = reply.take() {
                reply.data(bytes);
            }
        });
        if let Err(error) = result {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::error!("{error}; reads fail from here on");
            }
            if let Some(reply) = reply {
                reply.error(Errno::EIO);
            }
        }
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        if inode != INodeNo::ROOT {
            return reply.error(Errno::ENOTDIR);
        }
        let files =
            (2..).zip(&self.files).map(|(inode, file)| (inode, FileType::RegularFile, file.name.as_str()));
        let entries =
            [(1, FileType::Directory, "."), (1, FileType::Directory, "..")].into_iter().chain(files);
        for (next, (inode, kind, name)) in (1..).zip(entries).skip(offset as usize) {
            if reply.add(INodeNo(inode), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
