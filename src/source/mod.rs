//! The one door to a model's files.
//!
//! A [`ModelDir`] lists, reads small files whole and opens large ones for reading by range ([`File`]). Nothing else
//! opens a model's files. It decides what may be followed, since a model comes from strangers: what lies in the
//! directory, and the blobs of the Hugging Face cache that the directory is part of. A repository on a hub is a model
//! directory, too, whose files are read over HTTP. And it remembers what was read,
//! in which state: what a conversion makes must come from one state of its source.
//!
//! Must not know what the files mean.

mod file;
pub(crate) mod hub;
mod local;
mod mistaken;
mod on_hub;
mod reader;
mod walk;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ggraft_platform::Identity;

use crate::error::{Error, Result};
use hub::{Remote, Repository};

pub use file::File;
pub(crate) use hub::{cached, is_repository};
pub(crate) use local::{is_dir, look};
use mistaken::SOURCE_EXTENSIONS;
pub(crate) use mistaken::{lfs_pointer, must_be_gguf, must_exist, not_a_model, not_an_adapter};
pub use on_hub::OnHub;
pub use reader::Reader;
pub use walk::{Below, LeftOut};

/// A model's files, wherever they are. Clones are the same directory, and share what it remembers.
#[derive(Clone, Debug)]
pub struct ModelDir(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    kind: Kind,
    /// What to call it, if that is not for its place to say.
    name: Option<String>,
    record: Arc<Mutex<Record>>,
}

/// What directories that are read together remember together.
#[derive(Debug, Default)]
struct Record {
    /// What was read, by the path it was read from.
    read: BTreeMap<PathBuf, Identity>,
    /// The directories of this machine, each with where the files in it may really be.
    roots: Vec<(PathBuf, Vec<PathBuf>)>,
}

#[derive(Debug)]
enum Kind {
    /// A directory of this machine, and where the files in it may really be.
    Local(Vec<PathBuf>),
    /// Files by name.
    Memory(BTreeMap<PathBuf, Arc<[u8]>>),
    /// A repository on a hub.
    Hub(Arc<Repository>),
}

/// Holds the name of a model whose directory is called something else, as `ggraft align` leaves it.
pub const NAME_FILE: &str = "ggraft-name.txt";

/// Longest name of a model in bytes: what a file's name may have.
const MAX_NAME: u64 = 255;

impl ModelDir {
    /// The model in the directory `root`.
    ///
    /// # Errors
    /// [`Error::Usage`] if that is no directory, [`Error::Io`].
    pub fn open(root: &Path) -> Result<Self> {
        Self::open_recording(root, Arc::default(), not_a_model)
    }

    /// The adapter in the directory `root`.
    ///
    /// # Errors
    /// As [`ModelDir::open`], in the words for adapters.
    pub fn open_adapter(root: &Path) -> Result<Self> {
        Self::open_recording(root, Arc::default(), not_an_adapter)
    }

    /// The directory `root`, whose files are read together with those of this one: [`ModelDir::check_unchanged`] and
    /// [`ModelDir::owns`] of either look at both.
    ///
    /// # Errors
    /// As [`ModelDir::open`].
    pub fn open_beside(&self, root: &Path) -> Result<Self> {
        Self::open_recording(root, self.0.record.clone(), not_a_model)
    }

    /// As [`ModelDir::open_beside`] an adapter.
    ///
    /// # Errors
    /// As [`ModelDir::open_adapter`].
    pub fn open_adapter_beside(&self, root: &Path) -> Result<Self> {
        Self::open_recording(root, self.0.record.clone(), not_an_adapter)
    }

    fn open_recording(root: &Path, record: Arc<Mutex<Record>>, absent: fn(&Path) -> Error) -> Result<Self> {
        if !is_dir(root)? {
            return Err(absent(root));
        }
        let homes = local::homes(root).map_err(|e| Error::io("cannot resolve", root, e))?;
        let dir = Self::new(root.to_owned(), Kind::Local(homes.clone()), record);
        dir.record().roots.push((root.to_owned(), homes));
        Ok(dir)
    }

    /// Whether it is a directory of this machine.
    pub fn is_local(&self) -> bool {
        matches!(self.0.kind, Kind::Local(_))
    }

    /// A model whose files are given; `name` stands for the directory in messages and metadata.
    pub fn in_memory<N: Into<PathBuf>, B: Into<Arc<[u8]>>>(
        name: impl Into<PathBuf>,
        files: impl IntoIterator<Item = (N, B)>,
    ) -> Self {
        let files = files.into_iter().map(|(name, bytes)| (name.into(), bytes.into())).collect();
        Self::new(name.into(), Kind::Memory(files), Arc::default())
    }

    fn new(root: PathBuf, kind: Kind, record: Arc<Mutex<Record>>) -> Self {
        Self(Arc::new(Inner { root, kind, name: None, record }))
    }

    /// The directory, as it was named.
    pub fn path(&self) -> &Path {
        &self.0.root
    }

    /// What to call the model: [what is written down](NAME_FILE) in the directory, or the directory's
    /// name, or that of the repository that it is a snapshot of.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not UTF-8; as [`ModelDir::read`].
    pub fn name(&self) -> Result<String> {
        if let Some(name) = &self.0.name {
            return Ok(name.clone());
        }
        let written = self.read_if_there(NAME_FILE, MAX_NAME)?;
        if let Some(name) = written.map(String::from_utf8) {
            let name = name.map_err(|_| Error::invalid(self.join(NAME_FILE), "is not UTF-8"))?;
            return Ok(name.trim().to_owned());
        }
        let name = match &self.0.kind {
            Kind::Local(_) => local::name(self.path()),
            Kind::Memory(_) => self.path().file_name().unwrap_or_default().to_owned(),
            Kind::Hub(repository) => repository.address.name().into(),
        };
        let not_text = |_| Error::invalid(self, "the directory's name is not UTF-8").hint("rename it");
        name.into_string().map_err(not_text)
    }

    /// Where the file really is that is a symbolic link at `path`; none if it is no link.
    pub fn blob(&self, path: &Path) -> Option<PathBuf> {
        match &self.0.kind {
            Kind::Local(_) if path.is_symlink() => path.canonicalize().ok(),
            _ => None,
        }
    }

    /// Whether anything but this model leads to `blob`, a file of the Hugging Face cache that it is a snapshot of.
    ///
    /// # Errors
    /// [`Error::Io`] if the other snapshots cannot be read.
    pub fn other_link(&self, blob: &Path) -> Result<Option<PathBuf>> {
        local::other_link(self.path(), blob)
            .map_err(|e| Error::io("cannot list the snapshots beside", self, e))
    }

    /// What to call the file `name` in messages.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.root.join(name)
    }

    /// Names of everything in the directory, or in `below` it, in bytewise order; none where there is no such directory.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn list(&self, below: &str) -> Result<Vec<OsString>> {
        match &self.0.kind {
            Kind::Local(homes) => local::list(&self.0.root, below, homes),
            Kind::Memory(files) => Ok(names_below(files.keys(), below)),
            Kind::Hub(repository) => Ok(names_below(repository.files.keys(), below)),
        }
    }

    /// Whether there is a file `name`. What is there and cannot be read is not taken for absent; a name too long
    /// to exist is.
    ///
    /// # Errors
    /// [`Error::Invalid`] if what is there is no file, or leads out of the model.
    pub fn exists(&self, name: impl AsRef<Path>) -> Result<bool> {
        let name = name.as_ref();
        match &self.0.kind {
            Kind::Local(homes) => match local::is_absent(&self.join(name)) {
                true => Ok(false),
                false => local::follow(&self.join(name), homes).map(|_| true),
            },
            Kind::Memory(files) => Ok(files.contains_key(name)),
            Kind::Hub(repository) => Ok(repository.files.contains_key(&tidy(name))),
        }
    }

    /// Whether nothing is called `name`, or could be; a link that leads nowhere is something.
    pub fn is_absent(&self, name: impl AsRef<Path>) -> bool {
        match &self.0.kind {
            Kind::Local(_) => local::is_absent(&self.join(name)),
            Kind::Memory(files) => !files.contains_key(name.as_ref()),
            Kind::Hub(repository) => !repository.files.contains_key(&tidy(name.as_ref())),
        }
    }

    /// All of the file `name`, which must have at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is longer, no regular file, or leads out of the model; [`Error::Io`].
    pub fn read(&self, name: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>> {
        self.file(name)?.read_all(limit)
    }

    /// [`ModelDir::read`], if there is such a file.
    ///
    /// # Errors
    /// As [`ModelDir::read`].
    pub fn read_if_there(&self, name: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>> {
        let name = name.as_ref();
        if self.exists(name)? { self.read(name, limit).map(Some) } else { Ok(None) }
    }

    /// Opens the file `name`, to read ranges of it.
    ///
    /// # Errors
    /// As [`ModelDir::read`].
    pub fn file(&self, name: impl AsRef<Path>) -> Result<File> {
        let (name, path) = (name.as_ref(), self.join(&name));
        if !name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(Error::invalid(path, "leads out of the model directory"));
        }
        match &self.0.kind {
            Kind::Local(homes) => self.remember(File::open_at(&path, &local::follow(&path, homes)?)?),
            Kind::Memory(files) => match files.get(name) {
                Some(bytes) => Ok(File::in_memory(path, bytes.clone())),
                None => Err(absent(path)),
            },
            Kind::Hub(repository) => match Remote::new(repository, &tidy(name)) {
                Some(file) => Ok(File::remote(path, file)),
                None => Err(absent(path)),
            },
        }
    }

    /// Opens a file that belongs to the model because the user says so, wherever it is, and remembers it like the others.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is no regular file; [`Error::Io`].
    pub fn file_elsewhere(&self, path: &Path) -> Result<File> {
        self.remember(File::open(path)?)
    }

    /// Everything below the directory that may be taken along, and what may not.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Unsupported`] where there are no directories to walk.
    pub fn below(&self) -> Result<Below> {
        match &self.0.kind {
            Kind::Local(homes) => walk::below(&self.0.root, homes),
            Kind::Memory(_) | Kind::Hub(_) => {
                Err(Error::unsupported("is not a directory of this machine").at(self.path()))
            }
        }
    }

    /// Every file that was read, with its state when it was opened.
    pub fn read_so_far(&self) -> Vec<(PathBuf, Identity)> {
        self.record().read.iter().map(|(path, identity)| (path.clone(), *identity)).collect()
    }

    /// Makes sure that every file that was read is still what it was. To be asked before anything made from them
    /// gets its name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the first that is not.
    pub fn check_unchanged(&self) -> Result<()> {
        self.read_so_far().iter().try_for_each(|(path, identity)| file::check_unchanged(path, identity))
    }

    /// No longer expects the file at `path` to stay as it is: whoever calls this has replaced it.
    pub fn forget(&self, path: &Path) {
        self.record().read.remove(path);
    }

    /// Whether `target` is one of the files of the model, under whatever name.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be listed.
    pub fn owns(&self, target: &Identity) -> Result<bool> {
        if self.record().read.values().any(|identity| identity.is_same_file(target)) {
            return Ok(true);
        }
        let is_source = |name: &&OsString| {
            let path = Path::new(name);
            let versioned = path.file_stem().and_then(|stem| stem.to_str());
            let extension = path.extension().and_then(|e| e.to_str());
            extension.is_some_and(|e| SOURCE_EXTENSIONS.contains(&e))
                || versioned.is_some_and(|stem| stem.ends_with(".model"))
        };
        let roots = self.record().roots.clone();
        for (root, homes) in roots {
            for name in local::list(&root, "", &homes)?.iter().filter(is_source) {
                // Links may lead nowhere.
                let found = look(&root.join(name))?;
                if found.is_some_and(|found| Identity::from_metadata(&found).is_same_file(target)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether `dir` is this directory.
    pub fn is_at(&self, dir: &Path) -> bool {
        let [here, there] = [self.path(), dir].map(|path| fs::canonicalize(path).ok());
        here.is_some() && here == there
    }

    fn remember(&self, file: File) -> Result<File> {
        if let Some(identity) = file.identity() {
            let before = self.record().read.insert(file.path().to_owned(), identity);
            if before.is_some_and(|before| before != identity) {
                return Err(file::changed(file.path()));
            }
        }
        Ok(file)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<Path> for ModelDir {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

/// The first parts of what `paths` are called from `below` on, each once.
fn names_below<'a>(paths: impl Iterator<Item = &'a PathBuf>, below: &str) -> Vec<OsString> {
    let here = paths.filter_map(|path| path.strip_prefix(below).ok());
    let mut names: Vec<_> = here.filter_map(|path| path.iter().next()).map(OsString::from).collect();
    names.dedup();
    names
}

/// A path as it is listed: without `.`.
fn tidy(name: &Path) -> PathBuf {
    name.components().filter(|part| *part != Component::CurDir).collect()
}

fn absent(path: PathBuf) -> Error {
    Error::io("cannot open", path, std::io::ErrorKind::NotFound.into())
}

/// A model without files.
impl Default for ModelDir {
    fn default() -> Self {
        Self::new(PathBuf::new(), Kind::Memory(BTreeMap::new()), Arc::default())
    }
}
