//! Files that appear under their name only when they are complete.
//!
//! Until then they have no name at all where the file system allows that (`O_TMPFILE`), so that not
//! even `kill -9` leaves anything behind; elsewhere they have a hidden temporary one.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys;

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
    /// `InvalidInput` if what is at `path` is not a regular file (or a symbolic link to one, or to nothing);
    /// what the operating system says, for instance that the directory is not writable.
    pub fn create(path: &Path) -> io::Result<Self> {
        check_target(path)?;
        let (file, temporary) = match sys::open_unnamed(parent(path))? {
            Some(file) => (file, None),
            None => {
                let (file, name) = create_named(path)?;
                (file, Some(name))
            }
        };
        Ok(Self { file, path: path.to_owned(), temporary })
    }

    /// The file, to write to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives each of `files` its name, replacing what had it before. With `sync`, all of them are on the disk before
    /// that, and their names after it. A symbolic link that had the name is replaced itself, not what
    /// it points to.
    ///
    /// # Errors
    /// What the operating system says. Files published before the failure are removed again; those that
    /// they replaced are gone.
    pub fn publish_all(files: Vec<Self>, sync: bool) -> io::Result<()> {
        if sync {
            files.iter().try_for_each(|f| f.file.sync_all())?;
        }
        let paths: Vec<PathBuf> = files.iter().map(|f| f.path.clone()).collect();
        let mut published = 0;
        let result = files
            .into_iter()
            .try_for_each(|file| {
                file.publish()?;
                published += 1;
                Ok(())
            })
            .and_then(|()| if sync { sync_directories(&paths) } else { Ok(()) });
        if result.is_err() {
            paths.iter().take(published).for_each(|path| _ = fs::remove_file(path));
        }
        result
    }

    fn publish(mut self) -> io::Result<()> {
        // Once more: much can have happened since the file was created.
        check_target(&self.path)?;
        let temporary = match self.temporary.clone() {
            Some(name) => name,
            None => {
                match sys::link_unnamed(&self.file, &self.path) {
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                    other => return other,
                }
                // Linking never replaces: link it beside, then rename.
                let link = |name: &Path| sys::link_unnamed(&self.file, name);
                let ((), name) = with_temporary_name(&self.path, link)?;
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
    if let Some(file) = sys::open_unnamed(dir)? {
        return Ok(file);
    }
    let (file, name) = create_named(&dir.join("probe"))?;
    fs::remove_file(name)?;
    Ok(file)
}

/// Refuses to replace a directory, or a device: root could, and would lose /dev/null.
fn check_target(path: &Path) -> io::Result<()> {
    let problem = match fs::metadata(path) {
        _ if path.file_name().is_none() => "not the name of a file",
        Ok(existing) if !existing.is_file() => "exists and is not a regular file",
        _ => return Ok(()),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

/// Makes the names in the directories of `paths` durable, where the system lets us.
fn sync_directories(paths: &[PathBuf]) -> io::Result<()> {
    let mut dirs: Vec<&Path> = paths.iter().map(|p| parent(p)).collect();
    dirs.dedup();
    dirs.into_iter().try_for_each(|dir| match File::open(dir).and_then(|dir| dir.sync_all()) {
        // One that may be written but not read, or a file system that cannot sync directories. The
        // files are complete and in place.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS)) => Ok(()),
        other => other,
    })
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
