//! Giving finished files their names, in an order that leaves no set of them mixed, whenever the process or the
//! power fails.
//!
//! Readers find a set by its first file. So where files of an older set have the names, its first goes first, the new
//! first comes last, and the directory is written to the disk in between: a set with a first file is complete, and
//! all of it is old or all of it is new. Files that are in the way are set aside under temporary names until that is
//! done; after a failure they get their names back.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{AtomicFile, identity, parent, target, temporary};
use crate::{start_writeback, sys};

/// What could not be published, and why.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}: {source}", path.display())]
pub struct PublishError {
    /// What was tried, as the start of a sentence: "cannot publish".
    pub action: &'static str,
    /// The file it was tried on.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

/// A file that has its name.
#[derive(Debug)]
pub struct Published {
    path: PathBuf,
    /// Device and inode, if there was no file of that name before.
    created: Option<(u64, u64)>,
}

impl Published {
    /// Removes the file again if nothing can be lost by that: it took no other file's place, and nobody has put
    /// another in its own.
    pub fn withdraw(&self) {
        if self.is_in_place() {
            // Nothing better can be done about a failure here.
            _ = fs::remove_file(&self.path);
        }
    }

    /// Whether its name, which was free, is still its.
    fn is_in_place(&self) -> bool {
        let found = fs::symlink_metadata(&self.path).ok().map(|m| identity(&m));
        self.created.is_some() && self.created == found
    }
}

/// Files that are complete, and on the disk if that was wished, and have no names yet.
#[derive(Debug)]
pub struct Flushed {
    files: Vec<AtomicFile>,
    durable: bool,
}

impl Flushed {
    /// The files, to read.
    pub fn files(&self) -> impl Iterator<Item = &Arc<File>> {
        self.files.iter().map(|file| &file.file)
    }

    /// Gives each of the files, a set that readers find by the first of them, its name, replacing what had it before.
    /// If they are on the disk, so are their names when this returns.
    ///
    /// # Errors
    /// What the operating system says. Then names are what they were before; except that after a failure to write
    /// names to the disk all files are in place.
    pub fn publish(self) -> Result<Vec<Published>, PublishError> {
        let mut set = Set::new(&self.files, self.durable);
        match set.publish(self.files) {
            Ok(()) => set.finish(),
            Err(error) => {
                set.undo();
                Err(error)
            }
        }
    }
}

impl AtomicFile {
    /// Makes sure that everything that was written to `files` was accepted and, with `durable`, is on the disk.
    ///
    /// # Errors
    /// What the operating system says: some errors of writing come only now.
    pub fn flush_all(files: Vec<Self>, durable: bool) -> Result<Flushed, PublishError> {
        if durable {
            // All at once; waiting for one after the other comes next. Only a hint.
            files.iter().for_each(|f| _ = start_writeback(&f.file, 0, i64::MAX as u64));
        }
        for file in &files {
            file.flush(durable).map_err(|e| error("cannot write", &file.path, e))?;
        }
        Ok(Flushed { files, durable })
    }

    /// Gives the file its name.
    fn publish(mut self) -> io::Result<Published> {
        // Once more: much can have happened since the file was created.
        target::existing(&self.path)?;
        let created = self.file.metadata().map(|m| identity(&m))?;
        let temporary = match self.temporary.clone() {
            Some(name) => name,
            None => {
                match sys::link_unnamed(&self.file, &self.path) {
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                    result => {
                        result?;
                        return Ok(Published { path: self.path.clone(), created: Some(created) });
                    }
                }
                // Linking never replaces: link it beside, then rename.
                temporary::lock(&self.file);
                let link = |name: &Path| sys::link_unnamed(&self.file, name);
                let ((), name) = temporary::with_name(&self.path, link)?;
                self.temporary = Some(name.clone());
                name
            }
        };
        let replaces = fs::symlink_metadata(&self.path).is_ok();
        fs::rename(&temporary, &self.path)?;
        self.temporary = None;
        Ok(Published { path: self.path.clone(), created: Some(created).filter(|_| !replaces) })
    }
}

/// A set that is being published.
struct Set {
    /// Directories of the files.
    dirs: BTreeSet<PathBuf>,
    durable: bool,
    /// What had the names before, in the order it was set aside.
    aside: Vec<Aside>,
    published: Vec<Published>,
    /// The first failure to write names to the disk when it was too late to go back.
    unsynced: Option<PublishError>,
}

/// A file that had the name of one of a set.
struct Aside {
    path: PathBuf,
    temporary: PathBuf,
    /// Keeps others from taking it for a leftover. None if it may not be read, by others of this user neither.
    _lock: Option<File>,
}

impl Set {
    fn new(files: &[AtomicFile], durable: bool) -> Self {
        let dirs = files.iter().map(|f| parent(&f.path).to_owned()).collect();
        Self { dirs, durable, aside: Vec::new(), published: Vec::new(), unsynced: None }
    }

    fn publish(&mut self, mut files: Vec<AtomicFile>) -> Result<(), PublishError> {
        if files.len() > 1 {
            for (i, file) in files.iter().enumerate() {
                self.set_aside(&file.path).map_err(|e| error("cannot replace", &file.path, e))?;
                // Without the old first file nothing is loaded: from here on there is time.
                if i == 0 && !self.aside.is_empty() {
                    self.sync()?;
                }
            }
        }
        let rest = files.split_off(files.len().min(1));
        let is_set = !rest.is_empty();
        for file in rest {
            self.publish_one(file)?;
        }
        if is_set {
            self.sync()?;
        }
        files.into_iter().try_for_each(|first| self.publish_one(first))?;
        let action = "all files are in place, but a power failure may take them: cannot sync";
        self.unsynced = self.sync().map_err(|e| PublishError { action, ..e }).err();
        Ok(())
    }

    fn publish_one(&mut self, file: AtomicFile) -> Result<(), PublishError> {
        let path = file.path.clone();
        self.published.push(file.publish().map_err(|e| error("cannot publish", &path, e))?);
        Ok(())
    }

    /// Takes the name away from the file at `path`, if there is one.
    fn set_aside(&mut self, path: &Path) -> io::Result<()> {
        if target::existing(path)?.is_none() {
            return Ok(());
        }
        let lock = File::open(path).ok().filter(temporary::lock);
        // Nobody else makes these names, so that none is replaced.
        let ((), temporary) = temporary::with_name(path, |name| fs::rename(path, name))?;
        self.aside.push(Aside { path: path.to_owned(), temporary, _lock: lock });
        Ok(())
    }

    fn sync(&self) -> Result<(), PublishError> {
        if !self.durable {
            return Ok(());
        }
        self.dirs.iter().try_for_each(|dir| sync_directory(dir).map_err(|e| error("cannot sync", dir, e)))
    }

    /// Everything has its name: what had it before goes.
    fn finish(self) -> Result<Vec<Published>, PublishError> {
        self.aside.iter().for_each(|old| _ = fs::remove_file(&old.temporary));
        self.unsynced.map_or(Ok(self.published), Err)
    }

    /// Names become what they were, the first file's last. Nothing better can be done about failures here.
    fn undo(&self) {
        let replaced = |path: &Path| self.aside.iter().any(|old| old.path == path);
        self.published.iter().filter(|new| !replaced(&new.path)).for_each(Published::withdraw);
        for (i, old) in self.aside.iter().enumerate().rev() {
            if i == 0 {
                _ = self.sync();
            }
            // Whatever somebody has put there meanwhile stays.
            let ours = || self.published.iter().any(|new| new.path == old.path && new.is_in_place());
            let free = fs::symlink_metadata(&old.path).is_err() || ours();
            if !free || fs::rename(&old.temporary, &old.path).is_err() {
                // Without its first file the set is not loaded, mixed as it may be.
                return;
            }
        }
        _ = self.sync();
    }
}

/// Writes the names in `dir` to the disk, where the system lets us.
///
/// # Errors
/// What the operating system says.
pub fn sync_directory(dir: &Path) -> io::Result<()> {
    match File::open(dir).and_then(|dir| dir.sync_all()) {
        // One that may be written but not read, or a file system that cannot sync directories. The
        // files are complete and in place.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS)) => Ok(()),
        other => other,
    }
}

fn error(action: &'static str, path: &Path, source: io::Error) -> PublishError {
    PublishError { action, path: path.to_owned(), source }
}
