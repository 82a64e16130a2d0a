//! One file while it comes: its bytes go to their places, what has come is noted, and the published bytes are hashed in their
//! order behind that.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ggraft_platform::write_all_at;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::layout::Layout;
use super::state::State;
use crate::error::{Error, Result};
use crate::hex::hex;

/// What has come is noted in units of this many bytes.
pub const UNIT: u64 = 256 << 10;

/// A file that is not complete yet.
#[derive(Debug)]
pub struct Part {
    /// Where it is until then.
    pub path: PathBuf,
    file: File,
    notes: File,
    layout: Layout,
    /// What the hub calls its content.
    id: String,
    come: Mutex<Vec<bool>>,
    hash: Mutex<Hash>,
}

/// The hash of the published bytes so far.
#[derive(Debug)]
struct Hash {
    digest: Algorithm,
    units: usize,
}

#[derive(Debug)]
enum Algorithm {
    Sha256(Sha256),
    Git(Sha1),
}

impl Algorithm {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Git(hash) => hash.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Sha256(hash) => hex(&hash.finalize()),
            Self::Git(hash) => hex(&hash.finalize()),
        }
    }
}

impl Part {
    /// File number `n` of `state`, whose content the hub calls `id`: new, or as far as it had come.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(state: &State, n: usize, layout: Layout, id: &str) -> Result<Self> {
        let (path, notes) = (state.part(n), state.done(n));
        let open = |path: &PathBuf| {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
        };
        let cannot = |e| Error::io("cannot write", &path, e);
        let file = open(&path).map_err(cannot)?;
        let known = if file.metadata().map_err(cannot)?.len() == layout.len {
            super::state::read(&notes)?.unwrap_or_default()
        } else {
            Vec::new()
        };
        file.set_len(layout.len).map_err(cannot)?;
        write_all_at(&file, &layout.header, 0).map_err(cannot)?;
        let units = (layout.published - layout.start).div_ceil(UNIT) as usize;
        let come = (0..units).map(|unit| known.get(unit) == Some(&1)).collect();
        let notes = open(&notes).map_err(cannot)?;
        notes.set_len(units as u64).map_err(cannot)?;
        let mut digest = match id.len() {
            64 => Algorithm::Sha256(Sha256::new()),
            _ => Algorithm::Git(Sha1::new()),
        };
        if let Algorithm::Git(hash) = &mut digest {
            hash.update(format!("blob {}\0", layout.published));
        }
        digest.update(&layout.head);
        let (come, hash) = (Mutex::new(come), Mutex::new(Hash { digest, units: 0 }));
        Ok(Self { path, file, notes, layout, id: id.to_owned(), come, hash })
    }

    /// Published bytes that have not come, in ranges of at most `most` bytes.
    pub fn missing(&self, most: u64) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for (unit, come) in self.come().iter().enumerate() {
            let bytes = self.unit(unit);
            match ranges.last_mut() {
                _ if *come => {}
                Some(last) if last.end == bytes.start && bytes.end - last.start <= most => {
                    last.end = bytes.end
                }
                _ => ranges.push(bytes),
            }
        }
        ranges
    }

    /// The published bytes of a unit.
    fn unit(&self, unit: usize) -> Range<u64> {
        let start = self.layout.start + unit as u64 * UNIT;
        start..(start + UNIT).min(self.layout.published)
    }

    /// Takes published `bytes` from `at` on. They come in order from where a range of [`Part::missing`] begins.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn put(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.layout.write(&self.file, &self.path, at, bytes)?;
        let end = at + bytes.len() as u64;
        let mut unit = ((at - self.layout.start) / UNIT) as usize;
        while unit < self.come().len() && self.unit(unit).end <= end {
            write_all_at(&self.notes, &[1], unit as u64)
                .map_err(|e| Error::io("cannot write", &self.path, e))?;
            self.come()[unit] = true;
            unit += 1;
        }
        // One thread hashes for all.
        match self.hash.try_lock() {
            Ok(mut hash) => self.follow(&mut hash),
            Err(_) => Ok(()),
        }
    }

    /// Hashes what has come without a gap.
    fn follow(&self, hash: &mut Hash) -> Result<()> {
        let mut buffer = Vec::new();
        while self.come().get(hash.units) == Some(&true) {
            let bytes = self.unit(hash.units);
            buffer.resize((bytes.end - bytes.start) as usize, 0);
            self.layout.read(&self.file, &self.path, bytes.start, &mut buffer)?;
            hash.digest.update(&buffer);
            hash.units += 1;
        }
        Ok(())
    }

    /// Makes sure that all has come, that it is what the hub lists, and that it is on the disk; `name` is what messages call it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is something else, which is then thrown away; [`Error::Io`].
    pub fn finish(self, name: &std::path::Path) -> Result<()> {
        let mut hash = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        self.follow(&mut hash)?;
        let digest = std::mem::replace(&mut hash.digest, Algorithm::Git(Sha1::new()));
        if hash.units < self.come().len() {
            return Err(Error::Internal(format!("{}: not all of it has come", name.display())));
        }
        let (found, expected) = (digest.finish(), &self.id);
        if found != *expected {
            let forget = || -> io::Result<()> { self.notes.set_len(0) };
            forget().map_err(|e| Error::io("cannot write", &self.path, e))?;
            let kind = if expected.len() == 64 { "SHA-256" } else { "Git hash" };
            let problem = format!("expected {kind} {expected}, found {found}; it was thrown away");
            return Err(Error::invalid(name, problem).hint("the same command fetches it again"));
        }
        self.file.sync_all().map_err(|e| Error::io("cannot sync", &self.path, e))
    }

    fn come(&self) -> MutexGuard<'_, Vec<bool>> {
        self.come.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
