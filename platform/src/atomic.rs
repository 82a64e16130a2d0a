//! Files that appear under their name only when they are complete.
//!
//! Until then they have no name at all where the file system allows that (`O_TMPFILE`), so that not
//! even `kill -9` leaves anything behind; elsewhere they have a hidden temporary one.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::linkat;

/// A file being written that will replace `path` when it is published. Dropping it instead leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    path: PathBuf,
    /// The temporary name, if the file has one.
    temporary: Option<PathBuf>,
}

impl AtomicFile {
    /// Creates an empty file in the directory of `path`, with the mode that any new file would get.
    ///
    /// # Errors
    /// What the operating system says, for instance that the directory is not writable.
    pub fn create(path: &Path) -> io::Result<Self> {
        let (file, temporary) = match open_unnamed(parent(path)) {
            Ok(file) => (file, None),
            Err(e) if has_no_unnamed_files(&e) => {
                let (file, name) = create_named(path)?;
                (file, Some(name))
            }
            Err(e) => return Err(e),
        };
        Ok(Self { file, path: path.to_owned(), temporary })
    }

    /// The file, to write to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Syncs all of `files`, then gives each its name, replacing what had it before, and syncs the
    /// directories. A symbolic link that had the name is replaced itself, not what it points to.
    ///
    /// # Errors
    /// What the operating system says. Files published before the failure are removed again.
    pub fn publish_all(files: Vec<Self>) -> io::Result<()> {
        files.iter().try_for_each(|f| f.file.sync_all())?;
        let mut published: Vec<PathBuf> = Vec::with_capacity(files.len());
        for file in files {
            let (path, result) = (file.path.clone(), file.publish());
            if let Err(e) = result {
                published.iter().for_each(|path| _ = fs::remove_file(path));
                return Err(e);
            }
            published.push(path);
        }
        let mut dirs: Vec<&Path> = published.iter().map(|p| parent(p)).collect();
        dirs.dedup();
        dirs.into_iter().try_for_each(|dir| File::open(dir)?.sync_all())
    }

    fn publish(mut self) -> io::Result<()> {
        let temporary = match self.temporary.clone() {
            Some(name) => name,
            None => {
                // An unnamed file can be linked, but not over an existing name: link it beside, then rename.
                let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                let name = with_temporary_name(&self.path, |name| {
                    let follow = AtFlags::AT_SYMLINK_FOLLOW;
                    linkat(AT_FDCWD, from.as_str(), AT_FDCWD, name, follow).map_err(io::Error::from)
                })?
                .1;
                self.temporary = Some(name.clone());
                name
            }
        };
        fs::rename(&temporary, &self.path)?;
        self.temporary = None;
        Ok(())
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
    match open_unnamed(dir) {
        Err(e) if has_no_unnamed_files(&e) => {
            let (file, name) = create_named(&dir.join("probe"))?;
            fs::remove_file(name)?;
            Ok(file)
        }
        other => other,
    }
}

fn open_unnamed(dir: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).mode(0o666).custom_flags(libc::O_TMPFILE).open(dir)
}

/// Old kernels take `O_TMPFILE` for an attempt to open the directory for writing.
fn has_no_unnamed_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::ENOENT | libc::EINVAL))
}

fn create_named(path: &Path) -> io::Result<(File, PathBuf)> {
    with_temporary_name(path, |name| {
        OpenOptions::new().read(true).write(true).mode(0o666).create_new(true).open(name)
    })
}

/// Tries hidden names beside `path` until `create` succeeds with one that was free.
fn with_temporary_name<T>(path: &Path, create: impl Fn(&Path) -> io::Result<T>) -> io::Result<(T, PathBuf)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut name = OsString::from(".");
        // Leave room for the suffix in the 255 bytes that names usually have.
        let base = path.file_name().unwrap_or_default().to_string_lossy();
        name.push(base.chars().take(50).collect::<String>());
        name.push(format!(".ggraft-{}-{n}.tmp", std::process::id()));
        let name = path.with_file_name(name);
        match create(&name) {
            Ok(value) => return Ok((value, name)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
