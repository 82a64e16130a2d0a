//! What is known on the disk of a download that is under way, so that a killed one goes on where it was.
//!
//! `.cache/ggraft` in the directory holds a manifest (which commit, which way), a line for each file that is complete, and
//! for each that is not the bytes so far, with a bit for each unit of them that has come. No token, and no address that is as
//! good as one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ggraft_platform::{Identity, Lock, LockError, boot_id, sync_directory};
use serde::{Deserialize, Serialize};

use crate::align;
use crate::error::{Error, Result};

/// Where the state is kept, in the directory that is filled.
const HOME: &str = ".cache/ggraft";

/// The beginning of that: nothing of a repository gets a name that begins so.
pub const RESERVED: &str = ".cache";

/// The manifest before it has its name.
const NEW: &str = "manifest.new";

/// Longest manifest, and longest list of complete files, in bytes.
const NOTES_MAX: u64 = 64 << 20;

/// Form of the state; another one is not understood.
const VERSION: u32 = 1;

/// What a download is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    /// Address of the hub.
    pub endpoint: String,
    /// The repository, as it was asked for.
    pub id: String,
    /// What was asked for: a branch, a tag or a commit.
    pub revision: String,
    /// What that was.
    pub commit: String,
    /// Whether files stay as they are published.
    pub plain: bool,
    /// What files are aligned to, in bytes.
    pub block: u64,
    /// Which run of the kernel wrote what is not complete yet.
    boot: Option<String>,
}

impl Manifest {
    /// Of a download that begins now.
    pub fn new(endpoint: &str, id: &str, revision: &str, commit: &str, plain: bool, block: u64) -> Self {
        let [endpoint, id, revision, commit] = [endpoint, id, revision, commit].map(str::to_owned);
        Self { version: VERSION, endpoint, id, revision, commit, plain, block, boot: boot_id() }
    }
}

/// A file that is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Relative to the directory.
    pub path: PathBuf,
    /// What the hub calls its content.
    pub id: String,
    len: u64,
    modified: (i64, i64),
}

/// The state of a directory. No two processes fill one at a time.
#[derive(Debug)]
pub struct State {
    /// The directory that is filled.
    pub dir: PathBuf,
    home: PathBuf,
    _lock: Lock,
}

impl State {
    /// Creates the state of `dir`, or takes it over.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Usage`] if another process is at it.
    pub fn lock(dir: &Path) -> Result<Self> {
        let home = dir.join(HOME);
        fs::create_dir_all(&home).map_err(|e| Error::io("cannot create", &home, e))?;
        let lock = Lock::take(&home.join("lock")).map_err(|error| match error {
            LockError::Held(holder) => {
                let problem = format!("{holder} is downloading to {}", dir.display());
                Error::usage(problem).about(dir).hint("wait until it is done")
            }
            LockError::Io(error) => Error::io("cannot lock", &home, error),
        })?;
        Ok(Self { dir: dir.to_owned(), home, _lock: lock })
    }

    /// The manifest in `dir`, if there is one that is understood.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn manifest(dir: &Path) -> Result<Option<Manifest>> {
        let bytes = read(&dir.join(HOME).join("manifest.json"))?;
        let manifest = bytes.and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
        let is_ours = |m: &Manifest| m.version == VERSION && align::block(m.block) == m.block;
        Ok(manifest.filter(is_ours))
    }

    /// Whether nothing is in `dir` but what is there before there is a manifest: a download that was killed at once.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn is_empty(dir: &Path) -> io::Result<bool> {
        // Nothing else than `names` is in the directory `dir`, if there is one.
        let only = |dir: &Path, names: &[&str]| match fs::symlink_metadata(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
            Ok(found) if found.is_dir() => {
                let names: Vec<_> = names.iter().map(|name| dir.join(name)).collect();
                fs::read_dir(dir)?.try_fold(true, |all, entry| Ok(all && names.contains(&entry?.path())))
            }
            found => found.map(|_| false),
        };
        Ok(only(dir, &[RESERVED])?
            && only(&dir.join(RESERVED), &["ggraft"])?
            && only(&dir.join(HOME), &["lock", NEW])?)
    }

    /// Begins with `manifest`, or goes on: what came before is forgotten if it may be lost, or is of something else.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(&self, manifest: &Manifest) -> Result<()> {
        if Self::manifest(&self.dir)?.as_ref() == Some(manifest) {
            return Ok(());
        }
        for entry in fs::read_dir(&self.home).map_err(|e| Error::io("cannot list", &self.home, e))? {
            let path = entry.map_err(|e| Error::io("cannot list", &self.home, e))?.path();
            if path.extension().is_some_and(|e| ["part", "done"].iter().any(|ours| e == *ours)) {
                fs::remove_file(&path).map_err(|e| Error::io("cannot remove", &path, e))?;
            }
        }
        let (path, new) = (self.home.join("manifest.json"), self.home.join(NEW));
        let json = serde_json::to_vec_pretty(manifest).map_err(|e| Error::Internal(e.to_string()))?;
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            sync_directory(&self.home)
        };
        write().map_err(|e| Error::io("cannot write", &path, e))
    }

    /// The files in `dir` that are complete, and still what they were then.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finished(dir: &Path) -> Result<Vec<Finished>> {
        let bytes = read(&dir.join(HOME).join("finished.jsonl"))?.unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n');
        let found = lines.filter_map(|line| serde_json::from_slice::<Finished>(line).ok());
        let is_as_it_was = |finished: &Finished| {
            let identity = Identity::at(&dir.join(&finished.path));
            identity.is_ok_and(|found| found.len == finished.len && found.modified == finished.modified)
        };
        Ok(found.filter(is_as_it_was).collect())
    }

    /// Bytes that files in `dir` take which are not complete.
    pub fn partial(dir: &Path) -> u64 {
        let entries = fs::read_dir(dir.join(HOME)).into_iter().flatten().flatten();
        let parts = entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "part"));
        parts.filter_map(|entry| entry.metadata().ok()).map(|found| found.blocks() * 512).sum()
    }

    /// Gives the complete file `part` its name `path`, and notes that it is there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn publish(&self, part: &Path, path: &Path, id: &str) -> Result<()> {
        let target = self.dir.join(path);
        let parent = ggraft_platform::parent(&target).to_owned();
        let publish = || -> io::Result<()> {
            fs::create_dir_all(&parent)?;
            // Noted first: a note about what has no name yet says nothing, and a name without a note would be fetched again.
            let found = Identity::at(part)?;
            let (len, modified) = (found.len, found.modified);
            let finished = Finished { path: path.to_owned(), id: id.to_owned(), len, modified };
            let line = serde_json::to_string(&finished)? + "\n";
            let notes = self.home.join("finished.jsonl");
            OpenOptions::new().append(true).create(true).open(notes)?.write_all(line.as_bytes())?;
            fs::rename(part, &target)?;
            parent.ancestors().take_while(|dir| dir.starts_with(&self.dir)).try_for_each(sync_directory)
        };
        publish().map_err(|e| Error::io("cannot write", &target, e))
    }

    /// Where the bytes of file number `n` are until it is complete.
    pub fn part(&self, n: usize) -> PathBuf {
        self.home.join(format!("{n}.part"))
    }

    /// Where it is noted which of them have come.
    pub fn done(&self, n: usize) -> PathBuf {
        self.home.join(format!("{n}.done"))
    }
}

/// All of a small file of ours; none if it is not there.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(found) if found.len() <= NOTES_MAX => {}
        Ok(_) => return Err(Error::invalid(path, "is longer than ggraft makes it; remove it")),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(Error::io("cannot read", path, e)),
    }
    fs::read(path).map(Some).map_err(|e| Error::io("cannot read", path, e))
}
