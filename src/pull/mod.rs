//! `ggraft pull`: downloads a repository so that everything after is instant.
//!
//! Shards of safetensors are written aligned as they come: their headers are replaced, and ranges go straight to their places.
//! What is hashed is what is published, so the hub's hashes hold. A download that was killed goes on where it was.
//!
//! Knows `source` for what is read, and `align` for where it goes; nothing of what is made from it.

mod fetch;
mod layout;
mod part;
mod state;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ggraft_platform::{FileSystem, parent};
use serde_json::{Value, json};

use crate::align;
use crate::error::{Error, Result};
use crate::source::hub::{Listed, Repository, is_wanted};
use crate::source::{ModelDir, NAME_FILE, OnHub, look};
use state::{Manifest, State};

/// What to download, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The repository.
    pub model: PathBuf,
    /// Which state of it.
    pub revision: Option<String>,
    /// Where to; a directory with the repository's own name if absent.
    pub dir: Option<PathBuf>,
    /// Keeps files as they are published.
    pub plain: bool,
    /// Also downloads what no conversion reads: the same weights in other formats, pictures.
    pub all: bool,
    /// How many files, or parts of them, come at once.
    pub streams: usize,
    /// How many bytes come a second, at most.
    pub rate: Option<NonZeroU64>,
}

/// A download that is ready to begin, or to go on.
#[derive(Debug)]
pub struct Pull {
    /// Where to.
    pub dir: PathBuf,
    /// Which commit of which repository.
    pub manifest: Manifest,
    /// The files, in the order they are fetched.
    pub files: Vec<Wanted>,
    /// Files that are not.
    pub left_out: Vec<PathBuf>,
    model: ModelDir,
    /// What to call the model, if the directory is called something else.
    name: Option<String>,
    streams: usize,
    rate: Option<NonZeroU64>,
}

/// A file to download.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its path in the repository, and in the directory.
    pub path: PathBuf,
    /// Length in bytes, as it is published.
    pub len: u64,
    /// What the hub calls its content.
    id: String,
    /// Whether it is there already.
    pub is_here: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Bytes that were fetched.
    pub fetched: u64,
    /// Files that are aligned and were not.
    pub aligned: usize,
}

impl Pull {
    /// Asks the hub what there is, and looks at what is here. Writes nothing.
    ///
    /// # Errors
    /// As [`ModelDir::find`]; [`Error::Usage`] if the directory holds something else.
    pub fn prepare(options: &Options) -> Result<Self> {
        let wish = OnHub { remote: true, revision: options.revision.clone() };
        let mut address = ModelDir::address(&options.model, &wish)?;
        let dir = options.dir.clone().unwrap_or_else(|| address.name().into());
        let before = State::manifest(&dir)?;
        check_directory(&dir, before.as_ref())?;
        if let Some(before) = &before {
            check_same(before, &address.id, options.plain, &dir)?;
            address.revision.get_or_insert_with(|| before.revision.clone());
        }
        let finished = if before.is_some() { State::finished(&dir)? } else { Vec::new() };
        let (model, repository) = open(&address, before.as_ref(), &finished)?;
        let (files, left_out) = choose(&repository, options.all, &finished);
        let endpoint = &repository.client.settings.endpoint;
        if let Some(before) = before.as_ref().filter(|before| before.endpoint != *endpoint) {
            return Err(other(&dir, before));
        }
        let block = match &before {
            Some(before) => before.block,
            None => align::block(file_system(&dir)?.block_size),
        };
        let manifest = Manifest::new(
            endpoint,
            &address.id,
            address.revision(),
            &repository.commit,
            options.plain,
            block,
        );
        let own = address.name().to_owned();
        let is_called = dir.canonicalize().ok().or(Some(dir.clone())).is_some_and(|dir| dir.ends_with(&own));
        let name = Some(own).filter(|_| !is_called && !repository.files.contains_key(Path::new(NAME_FILE)));
        Ok(Self {
            dir,
            manifest,
            files,
            left_out,
            model,
            name,
            streams: options.streams.max(1),
            rate: options.rate,
        })
    }

    /// Bytes of all its files as they are published.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.len))
    }

    /// Bytes that are still to come, as far as whole files tell.
    pub fn missing(&self) -> u64 {
        self.files.iter().filter(|file| !file.is_here).fold(0, |sum, file| sum.saturating_add(file.len))
    }

    /// Bytes on the disk of files that are not complete.
    pub fn partial(&self) -> u64 {
        State::partial(&self.dir)
    }

    /// Bytes that are free where it goes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn free(&self) -> Result<u64> {
        file_system(&self.dir).map(|found| found.free_bytes)
    }

    /// Downloads what is not here, and tells `progress` of bytes as they come.
    ///
    /// # Errors
    /// What the hub, the network or the disk have against it; [`Error::Invalid`] for a file that is not what the hub lists;
    /// [`Error::Interrupted`]. Whatever it is, files are complete or not there under their names, and the next run goes on.
    pub fn run(&self, progress: &mut dyn FnMut(u64)) -> Result<Outcome> {
        if !self.dir.is_dir() {
            fs::create_dir(&self.dir).map_err(|e| Error::io("cannot create", &self.dir, e))?;
            let above = parent(&self.dir);
            ggraft_platform::sync_directory(above).map_err(|e| Error::io("cannot sync", above, e))?;
        }
        let state = State::lock(&self.dir)?;
        state.begin(&self.manifest)?;
        if let Some(name) = &self.name {
            let path = self.dir.join(NAME_FILE);
            fs::write(&path, format!("{name}\n")).map_err(|e| Error::io("cannot write", path, e))?;
        }
        fetch::run(self, &state, progress)
    }

    /// What was done, for machines; the keys are a promise.
    pub fn to_json(&self, outcome: &Outcome) -> Value {
        let file = |file: &Wanted| {
            let sha256 = (file.id.len() == 64).then_some(&file.id);
            json!({"path": file.path.to_string_lossy(), "bytes": file.len, "sha256": sha256, "was_here": file.is_here})
        };
        json!({
            "repository": self.manifest.id, "commit": self.manifest.commit, "directory": self.dir.to_string_lossy(),
            "plain": self.manifest.plain, "bytes": self.bytes(), "missing": self.missing(),
            "fetched": outcome.fetched, "aligned": outcome.aligned,
            "files": self.files.iter().map(file).collect::<Vec<_>>(),
            "left_out": self.left_out.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
        })
    }
}

/// The repository at the commit that a download that is not complete is of, or at the revision that is asked for.
fn open(
    address: &crate::source::hub::Address,
    before: Option<&Manifest>,
    finished: &[state::Finished],
) -> Result<(ModelDir, Arc<Repository>)> {
    let at = |revision: Option<String>| {
        let address = crate::source::hub::Address { revision, ..address.clone() };
        ModelDir::on_hub(address)
    };
    let Some(before) = before.filter(|before| before.revision == address.revision()) else {
        return at(address.revision.clone());
    };
    let (model, repository) = at(Some(before.commit.clone()))?;
    let is_complete = choose(&repository, false, finished).0.iter().all(|file| file.is_here);
    match is_complete {
        true => at(address.revision.clone()),
        false => {
            tracing::debug!("going on with commit {}", before.commit);
            Ok((model, repository))
        }
    }
}

/// The files to download, the largest first and what says what the model is last, and those to leave.
fn choose(repository: &Repository, all: bool, finished: &[state::Finished]) -> (Vec<Wanted>, Vec<PathBuf>) {
    let here: HashSet<(&Path, &str)> =
        finished.iter().map(|finished| (finished.path.as_path(), finished.id.as_str())).collect();
    let is_wanted = |(path, _): &(&PathBuf, &Listed)| {
        !path.starts_with(state::RESERVED) && (all || is_wanted(path, &repository.files))
    };
    let (wanted, left): (Vec<_>, Vec<_>) = repository.files.iter().partition(is_wanted);
    let mut files: Vec<Wanted> = wanted
        .into_iter()
        .map(|(path, listed)| Wanted {
            path: path.clone(),
            len: listed.size,
            id: listed.id.clone(),
            is_here: here.contains(&(path.as_path(), listed.id.as_str())),
        })
        .collect();
    let is_weights = |path: &Path| path.extension().is_some_and(|e| e == "safetensors");
    files.sort_by_key(|file| {
        (!is_weights(&file.path), file.path == Path::new("config.json"), file.path.clone())
    });
    (files, left.into_iter().map(|(path, _)| path.clone()).collect())
}

/// Refuses a directory that holds something else.
fn check_directory(dir: &Path, before: Option<&Manifest>) -> Result<()> {
    let refused = |problem: &str| Error::usage(format!("{}: {problem}", dir.display())).about(dir);
    match look(dir)? {
        Some(found) if !found.is_dir() => Err(refused("is no directory")),
        Some(_) if before.is_none() => {
            let cannot = |e: io::Error| Error::io("cannot list", dir, e);
            match State::is_empty(dir).map_err(cannot)? {
                false => Err(refused("is not empty, and no download of ggraft").hint("name a new directory")),
                true => Ok(()),
            }
        }
        None if !parent(dir).is_dir() => {
            Err(refused("there is no directory to create it in").hint("create that first"))
        }
        _ => Ok(()),
    }
}

/// Refuses to go on with a download of something else, or in another way.
fn check_same(before: &Manifest, id: &str, plain: bool, dir: &Path) -> Result<()> {
    if !before.id.eq_ignore_ascii_case(id) {
        return Err(other(dir, before));
    }
    if before.plain == plain {
        return Ok(());
    }
    let (was, flag) = if before.plain { ("with", "give it again") } else { ("without", "leave it out") };
    let problem = format!("{}: this download was begun {was} --plain", dir.display());
    Err(Error::usage(problem).about(dir).hint(format!("{flag}, or name another directory")))
}

fn other(dir: &Path, before: &Manifest) -> Error {
    let problem = format!("{}: is a download of {} from {}", dir.display(), before.id, before.endpoint);
    Error::usage(problem).about(dir).hint("name another directory")
}

/// Where `dir` is, or will be.
fn file_system(dir: &Path) -> Result<FileSystem> {
    let home = if dir.is_dir() { dir } else { parent(dir) };
    FileSystem::of(home).map_err(|e| Error::io("cannot look at", home, e))
}
