//! One file to read ranges of: opened once and used through that handle, whatever happens to its name meanwhile.
//!
//! Where more files are needed than may be open at once, some are closed between uses. Such a file is opened again
//! by its path and compared with what it was.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use ggraft_platform::{
    Identity, advise_huge_pages, advise_sequential, append_exact_at, drop_cache, open_file_limit,
    read_exact_at,
};

use super::hub::Remote;
use super::local;
use super::mistaken::lfs_pointer;
use crate::error::{Error, Result};

/// An open file. Clones share the handle.
#[derive(Clone, Debug)]
pub struct File(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Local(Handle),
    Memory(Arc<[u8]>),
    Remote(Remote),
}

/// A file of this machine.
#[derive(Debug)]
struct Handle {
    /// Where it really is.
    real: PathBuf,
    identity: Identity,
    /// The open file, unless too many are open.
    kept: Option<Arc<fs::File>>,
}

/// Bytes that are streamed at a time.
const PIECE: u64 = 1 << 20;

/// Files that are kept open, of all models.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// How many may be: half of what the process may open besides the few it always has. Outputs need handles, too.
static MOST_KEPT: LazyLock<usize> = LazyLock::new(|| (open_file_limit().saturating_sub(16) / 2).max(1));

impl File {
    /// Opens the file at `path`, through symlinks, if it leads to a regular file.
    ///
    /// # Errors
    /// [`Error::Invalid`] for directories, FIFOs, devices, sockets and symlinks that lead nowhere; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let real = local::resolve(path)?;
        local::check_regular(path)?;
        Self::open_at(path, &real)
    }

    /// Opens `real`, which `path` leads to.
    pub(super) fn open_at(path: &Path, real: &Path) -> Result<Self> {
        let file = open(path, real)?;
        let identity = Identity::of(&file).map_err(|e| Error::io("cannot read", path, e))?;
        let keep = KEPT.fetch_add(1, Ordering::Relaxed) < *MOST_KEPT;
        if !keep {
            KEPT.fetch_sub(1, Ordering::Relaxed);
        }
        let kept = keep.then(|| Arc::new(file));
        let handle = Handle { real: real.to_owned(), identity, kept };
        Ok(Self(Arc::new(Inner { path: path.to_owned(), content: Content::Local(handle) })))
    }

    /// One that is open already, and called `path`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn opened(path: &Path, file: Arc<fs::File>) -> Result<Self> {
        let identity = Identity::of(&file).map_err(|e| Error::io("cannot read", path, e))?;
        KEPT.fetch_add(1, Ordering::Relaxed);
        let handle = Handle { real: path.to_owned(), identity, kept: Some(file) };
        Ok(Self(Arc::new(Inner { path: path.to_owned(), content: Content::Local(handle) })))
    }

    pub(super) fn in_memory(path: PathBuf, bytes: Arc<[u8]>) -> Self {
        Self(Arc::new(Inner { path, content: Content::Memory(bytes) }))
    }

    pub(super) fn remote(path: PathBuf, file: Remote) -> Self {
        Self(Arc::new(Inner { path, content: Content::Remote(file) }))
    }

    /// Whether it is a file of this machine, with blocks to share and a [handle](File::handle).
    pub fn is_local(&self) -> bool {
        matches!(self.0.content, Content::Local(_))
    }

    /// Whether every read of it may take a while, so that several had better be made at once.
    pub fn is_remote(&self) -> bool {
        matches!(self.0.content, Content::Remote(_))
    }

    /// What to call it in messages.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Its length in bytes when it was opened.
    pub fn len(&self) -> u64 {
        match &self.0.content {
            Content::Local(handle) => handle.identity.len,
            Content::Memory(bytes) => bytes.len() as u64,
            Content::Remote(file) => file.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which file in which state it was when it was opened; none for one that is not of this machine.
    pub fn identity(&self) -> Option<Identity> {
        match &self.0.content {
            Content::Local(handle) => Some(handle.identity),
            Content::Memory(_) | Content::Remote(_) => None,
        }
    }

    /// Fills `out` from byte `offset` on.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the file has become shorter or was replaced, [`Error::Io`].
    pub fn read_exact_at(&self, out: &mut [u8], offset: u64) -> Result<()> {
        match &self.0.content {
            Content::Local(_) => read_exact_at(&*self.handle()?, out, offset).map_err(|e| self.unreadable(e)),
            Content::Memory(bytes) => {
                let start = usize::try_from(offset).ok();
                let range = start.and_then(|start| Some(start..start.checked_add(out.len())?));
                let found = range.and_then(|range| bytes.get(range));
                out.copy_from_slice(
                    found.ok_or_else(|| self.unreadable(io::ErrorKind::UnexpectedEof.into()))?,
                );
                Ok(())
            }
            Content::Remote(file) => file.read_at(out, offset),
        }
    }

    /// As [`File::read_exact_at`], by one of several threads that will soon have read all that lies around.
    ///
    /// # Errors
    /// As [`File::read_exact_at`].
    pub fn read_nearby(&self, out: &mut [u8], offset: u64) -> Result<()> {
        match &self.0.content {
            Content::Remote(file) => file.read_nearby(out, offset),
            _ => self.read_exact_at(out, offset),
        }
    }

    /// All of it, which must be at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is longer, or only Git LFS's pointer to the file; as [`File::read_exact_at`].
    pub fn read_all(&self, limit: u64) -> Result<Vec<u8>> {
        if self.len() > limit {
            let problem = format!("expected at most {limit} bytes, found {}", self.len());
            return Err(Error::invalid(self.path(), problem));
        }
        let bytes = match &self.0.content {
            Content::Remote(file) => file.read_all()?,
            _ => self.read_range(0, self.len())?,
        };
        lfs_pointer(self.path(), &bytes).map_or(Ok(bytes), Err)
    }

    /// `len` bytes from `offset` on. Bound `len` before: it is allocated.
    ///
    /// # Errors
    /// As [`File::read_exact_at`].
    pub fn read_range(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let len = usize::try_from(len).map_err(|_| Error::invalid(self.path(), "is too long to be read"))?;
        if let Content::Remote(file) = &self.0.content {
            return file.read_range(offset, len as u64);
        }
        let mut bytes = Vec::with_capacity(len);
        // A tokenizer has 17 to 33 MB, and a fault for every 4 KiB of it costs more than reading it.
        _ = advise_huge_pages(bytes.spare_capacity_mut());
        match &self.0.content {
            Content::Local(_) => {
                append_exact_at(&*self.handle()?, &mut bytes, offset, len).map_err(|e| self.unreadable(e))?
            }
            Content::Memory(_) | Content::Remote(_) => {
                bytes.resize(len, 0);
                self.read_exact_at(&mut bytes, offset)?;
            }
        }
        Ok(bytes)
    }

    /// Gives the bytes of `range` to `sink` as they come, in order, each once.
    ///
    /// # Errors
    /// As [`File::read_exact_at`], and those of `sink`.
    pub fn stream(&self, range: Range<u64>, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Content::Remote(file) = &self.0.content {
            return file.stream(range, sink);
        }
        let (mut at, mut piece) = (range.start, Vec::new());
        while at < range.end {
            piece.resize((range.end - at).min(PIECE) as usize, 0);
            self.read_exact_at(&mut piece, at)?;
            sink(&piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// The file of the operating system, to share its blocks or ask for its extents; read through
    /// [`File::read_exact_at`].
    ///
    /// # Errors
    /// [`Error::Invalid`] if it had to be opened again and is another one, or changed; [`Error::Unsupported`] if it is
    /// none of this machine; [`Error::Io`].
    pub fn handle(&self) -> Result<Arc<fs::File>> {
        let Content::Local(handle) = &self.0.content else {
            return Err(Error::unsupported("is not a file of this machine").at(self.path()));
        };
        if let Some(file) = &handle.kept {
            return Ok(file.clone());
        }
        let file = Arc::new(open(self.path(), &handle.real)?);
        if Identity::of(&file).map_err(|e| Error::io("cannot read", self.path(), e))? != handle.identity {
            return Err(changed(self.path()));
        }
        Ok(file)
    }

    /// Tells that `len` bytes at `offset` will not be needed again, so that the kernel may forget them.
    pub fn forget(&self, offset: u64, len: u64) {
        if let Ok(file) = self.handle() {
            // Only a hint.
            _ = drop_cache(&file, offset, len);
        }
    }

    /// Makes sure that the file is still the one that was opened, in the same state, under the same name.
    ///
    /// # Errors
    /// [`Error::Invalid`] if not, [`Error::Io`].
    pub fn check_unchanged(&self) -> Result<()> {
        self.identity().map_or(Ok(()), |identity| check_unchanged(self.path(), &identity))
    }

    /// What to say about an error while reading.
    pub fn unreadable(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::invalid(self.path(), "became shorter while it was being read")
                    .hint("wait until it is downloaded")
            }
            _ => Error::io("cannot read", self.path(), error),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.kept.is_some() {
            KEPT.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn open(path: &Path, real: &Path) -> Result<fs::File> {
    let file = fs::File::open(real).map_err(|e| Error::io("cannot open", path, e))?;
    // Only a hint.
    _ = advise_sequential(&file);
    Ok(file)
}

/// Compares what is at `path` with what was there.
pub(super) fn check_unchanged(path: &Path, identity: &Identity) -> Result<()> {
    match Identity::at(path) {
        Ok(found) if found == *identity => Ok(()),
        Ok(_) => Err(changed(path)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(changed(path)),
        Err(e) => Err(Error::io("cannot read", path, e)),
    }
}

/// A file that is not what it was when it was opened.
pub(super) fn changed(path: &Path) -> Error {
    Error::invalid(path, "was changed, replaced or removed while it was being read; nothing was written")
        .hint("try again when nobody writes to it")
}
