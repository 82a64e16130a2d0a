//! Files that appear under their name only when they are complete.
//!
//! Until then they have no name at all where the file system allows that (`O_TMPFILE`), so that not
//! even `kill -9` leaves anything behind; elsewhere they have a hidden temporary one, which the next run removes.

mod publish;
mod target;
mod temporary;

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::statvfs::fstatvfs;

use crate::sys;

pub use publish::{Flushed, PublishError, Published, sync_directory};
pub use target::{Links, output_target};
pub use temporary::remove_leftovers;

/// A file being written that will replace `path` when it is published. Dropping it instead leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    file: Arc<File>,
    /// The name it will have, with no symbolic link left to follow.
    path: PathBuf,
    /// The temporary name, if the file has one.
    temporary: Option<PathBuf>,
}

impl AtomicFile {
    /// Creates an empty file in the directory of what `path` leads to. It has the mode and, where that is allowed, the
    /// owner of the file that it will replace; if there is none, the mode that any new file would get.
    ///
    /// # Errors
    /// `InvalidInput` if what is at `path` is not a regular file (or a symbolic link to one, or to nothing);
    /// `InvalidFilename` if the name, or a temporary one beside it, is too long for the file system; what
    /// the operating system says, for instance that the directory is not writable.
    pub fn create(path: &Path, links: Links) -> io::Result<Self> {
        let path = output_target(path, links)?;
        let existing = target::existing(&path)?;
        temporary::check_length(&path)?;
        let (file, temporary) = match sys::open_unnamed(parent(&path))? {
            Some(file) => (file, None),
            None => {
                let (file, name) = temporary::create(&path)?;
                (file, Some(name))
            }
        };
        let created = Self { file: Arc::new(file), path, temporary };
        // Some file systems find out only when the file gets its name.
        let longest = fstatvfs(&*created.file)?.name_max();
        if created.path.file_name().is_some_and(|name| name.len() as u64 > longest) {
            return Err(Errno::ENAMETOOLONG.into());
        }
        if let Some(existing) = existing {
            resemble(&created.file, &existing)?;
        }
        Ok(created)
    }

    /// The file, to write to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Finds out whether everything that was written got where it was written to; `durable` means to the disk.
    fn flush(&self, durable: bool) -> io::Result<()> {
        if durable {
            self.file.sync_all()?;
        }
        // NFS, FUSE and quotas have errors that come with `close`, of any descriptor of the file.
        loop {
            match nix::unistd::close(self.file.try_clone()?) {
                Err(Errno::EINTR) => {}
                other => return Ok(other?),
            }
        }
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(name) = &self.temporary {
            // Nothing better can be done about a failure here.
            _ = fs::remove_file(name);
        }
    }
}

/// An unnamed (or already unlinked) file in `dir`, for trying things out.
pub(crate) fn unnamed_file(dir: &Path) -> io::Result<File> {
    if let Some(file) = sys::open_unnamed(dir)? {
        return Ok(file);
    }
    let (file, name) = temporary::create(&dir.join("probe"))?;
    fs::remove_file(name)?;
    Ok(file)
}

/// Gives `file` the permissions of a file like `like`, and its owner where that is allowed (only root may give files
/// away).
///
/// # Errors
/// What the operating system says of the permissions.
pub fn resemble(file: &File, like: &fs::Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (like.uid(), like.gid())
        && fchown(file, Some(like.uid()), Some(like.gid())).is_err()
    {
        // The group alone can be any that this user belongs to.
        _ = fchown(file, None, Some(like.gid()));
    }
    file.set_permissions(Permissions::from_mode(like.mode() & 0o777))
}

/// The directory that the file at `path` is in; the present one for a bare name.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What tells a file from all others that exist: device and inode.
fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
