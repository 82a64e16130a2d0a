//! A read-only file system that shows a conversion's outputs without writing them: bytes are computed as they are asked for.
//!
//! Knows plans and how to evaluate them; nothing of models. A source that changes under the mount makes reads fail, never
//! wrong.

mod private;

use std::cell::RefCell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory,
    ReplyEntry, ReplyOpen, Request, SessionACL,
};
use ggraft_platform::{is_root, owner, unmount};

pub use private::PrivateDir;

use crate::conversion::Conversion;
use crate::error::{Error, Result};
use crate::evaluate::Buffers;

/// How long the kernel may believe what it was told: nothing changes while it is mounted.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Bytes the kernel reads ahead of whoever reads in order.
const READ_AHEAD: u32 = 4 << 20;

/// Most threads that answer the kernel; each has buffers of some megabytes.
const MOST_THREADS: usize = 16;

/// A mounted conversion. Unmounted when dropped, whoever still has files open.
#[derive(Debug)]
pub struct Mounted {
    session: Option<BackgroundSession>,
    mountpoint: PathBuf,
    files: Vec<PathBuf>,
}

impl Mounted {
    /// Shows the outputs of `conversion` in the directory `mountpoint`.
    ///
    /// # Errors
    /// [`Error::Io`] saying what is missing.
    pub fn new(conversion: Conversion, mountpoint: &Path) -> Result<Self> {
        let outputs = Outputs::of(conversion);
        let files = outputs.files.iter().map(|file| mountpoint.join(&file.name)).collect();
        let mut config = Config::default();
        config.mount_options =
            vec![MountOption::RO, MountOption::FSName("ggraft".into()), MountOption::DefaultPermissions];
        // Root mounts for everybody; others may only if the machine's administrator lets them.
        config.acl = if is_root() { SessionACL::All } else { SessionACL::Owner };
        config.n_threads =
            Some(std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS));
        let session = fuser::spawn_mount(outputs, mountpoint, &config);
        let session = session.map_err(|e| Error::io("cannot mount at", mountpoint, explained(e)))?;
        Ok(Self { session: Some(session), mountpoint: mountpoint.to_owned(), files })
    }

    /// Paths of the files there are, the first of a split set first.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether somebody else has unmounted it.
    pub fn is_over(&self) -> bool {
        self.session.as_ref().is_none_or(|session| session.guard.is_finished())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // It disappears at once; what is open can be read until this process ends.
        let gone = self.is_over() || unmount(&self.mountpoint).is_ok();
        if let Some(session) = self.session.take().filter(|_| gone) {
            // Its own way to unmount would wait, or complain that it is unmounted already.
            std::mem::forget(session);
        }
    }
}

/// What is missing, if `error` comes of that.
fn explained(error: std::io::Error) -> std::io::Error {
    let hint = if !Path::new("/dev/fuse").exists() {
        "there is no /dev/fuse: load the kernel's module fuse or, in a container, pass --device /dev/fuse"
    } else if !is_root() {
        "without root this takes fusermount3 (package fuse3)"
    } else {
        return error;
    };
    std::io::Error::new(error.kind(), format!("{error}; {hint}"))
}

/// A file to show.
#[derive(Debug)]
struct Shown {
    name: String,
    len: u64,
}

/// The file system: one directory with the outputs of a plan.
#[derive(Debug)]
struct Outputs {
    conversion: Conversion,
    files: Vec<Shown>,
    /// Set once a change of a source was told of.
    told: AtomicBool,
    owner: (u32, u32),
}

thread_local! {
    /// Memory that a thread computes in.
    static MEMORY: RefCell<(Vec<u8>, Buffers)> = RefCell::default();
}

impl Outputs {
    fn of(conversion: Conversion) -> Self {
        let files = conversion.plan.outputs.iter().map(|output| Shown {
            name: output.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            len: output.len,
        });
        let files = files.collect();
        Self { conversion, files, told: AtomicBool::new(false), owner: owner() }
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

    /// Computes `size` bytes of an output, and makes sure that they are of the state that was planned.
    fn compute<T>(
        &self,
        output: usize,
        offset: u64,
        size: usize,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        MEMORY.with_borrow_mut(|(bytes, buffers)| {
            bytes.resize(size, 0);
            let read = self.conversion.evaluator().read_at(output, offset, bytes, buffers)?;
            self.conversion.check_sources()?;
            Ok(take(&bytes[..read]))
        })
    }
}

impl Filesystem for Outputs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Less will do where the kernel wants less.
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
        let result = self.compute(output, offset, size as usize, |bytes| {
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
