//! A new directory while it is being filled: what to take away again should that fail.

use std::fs;
use std::path::{Path, PathBuf};

use ggraft_platform::{Published, parent, sync_directory};

use crate::error::{Error, Result};

/// What a new directory consists of so far.
#[derive(Default)]
pub struct Created {
    dirs: Vec<PathBuf>,
    files: Vec<Published>,
}

impl Created {
    /// Creates `dir`, which is `top` or below, and what else of `top` is missing above it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn dirs(&mut self, top: &Path, dir: &Path) -> Result<()> {
        let mut missing: Vec<&Path> =
            dir.ancestors().take_while(|d| d.starts_with(top)).filter(|d| !d.is_dir()).collect();
        while let Some(dir) = missing.pop() {
            fs::create_dir(dir).map_err(|e| Error::io("cannot create", dir, e))?;
            self.dirs.push(dir.to_owned());
        }
        Ok(())
    }

    /// Remembers files that were put there.
    pub fn add(&mut self, files: Vec<Published>) {
        self.files.extend(files);
    }

    /// Makes sure that the names of new directories are on the disk.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&self) -> Result<()> {
        let mut above = self.dirs.iter().map(|dir| parent(dir));
        above.try_for_each(|dir| sync_directory(dir).map_err(|e| Error::io("cannot sync", dir, e)))
    }

    /// Removes all of it. Nothing better can be done about failures here; of directories, only what is empty goes.
    pub fn take_away(&self) {
        self.files.iter().for_each(Published::withdraw);
        self.dirs.iter().rev().for_each(|dir| _ = fs::remove_dir(dir));
    }
}
