//! `ggraft align`: rewrites a checkpoint once so that every conversion of it shares nearly everything.
//!
//! In an aligned file data starts on a block boundary, and tensors that are whole blocks come first,
//! so that they all start on one. It is still a safetensors file with the same tensors and metadata.
//! Rewriting is a [`Plan`] like a conversion, and carried out in the same way.

mod arrange;
mod cached;
mod carry;
mod check;
mod created;
mod run;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ggraft_platform::{self as platform, FileSystem, Lock, LockError, parent};
use serde_json::{Value, json};

use crate::checkpoint::{Checkpoint, Format};
use crate::error::{Error, Result};
use crate::plan::{Placed, Plan, Range, Rewrite, Sharing};
use crate::source::{Below, File, ModelDir, is_dir, look};
use crate::write;
use arrange::Arrangement;
pub(crate) use arrange::arrange;

pub use arrange::{Aligned, aligned};
pub use check::{Check, Gain, check, is_worth, percent};
pub use run::Outcome;

/// Data is put on a boundary of at least this many bytes: the block size of most file systems.
const BLOCK_MIN: u64 = 4096;

/// No file system that shares blocks has larger ones. Some (NFS) call their transfer size a block.
const BLOCK_MAX: u64 = 64 << 10;

/// Carries the lock of those who align in place.
const LOCK: &str = ".ggraft-align.lock";

/// Files of a new directory that are written together. Each is open twice, and every system allows 1024.
const BATCH: usize = 256;

/// What files are aligned to where the file system's blocks are `unit` bytes long.
pub fn block(unit: u64) -> u64 {
    let block = Some(unit.max(BLOCK_MIN)).filter(|b| b.is_power_of_two() && *b <= BLOCK_MAX);
    block.unwrap_or(BLOCK_MIN)
}

/// Where the aligned checkpoint goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// To a new directory, with all that belongs to the model.
    Directory(PathBuf),
    /// To where it is, file by file.
    InPlace {
        /// Whether files that links in the directory lead to are replaced, not the links.
        blobs: bool,
    },
    /// Nowhere: it is only looked at.
    Nowhere,
}

/// A checkpoint and how it will be aligned.
#[derive(Debug)]
pub struct Job {
    /// Block size in bytes that files are aligned to.
    pub block: u64,
    /// The files that hold tensors.
    pub shards: Vec<Shard>,
    /// What else is in the directory.
    pub others: Below,
    checkpoint: Checkpoint,
    arrangements: Vec<Arrangement>,
    /// Unit of clones: the file system's own block size.
    unit: u64,
    target: Target,
    /// Whether what was written is compared with the original before it gets its name; on by default.
    pub verify: bool,
    /// Keeps others from aligning in place at the same time.
    _lock: Option<Lock>,
}

/// Files that are written and get their names together.
#[derive(Debug)]
pub struct Part {
    /// How.
    pub plan: Plan,
    /// What from.
    sources: Vec<File>,
}

/// One file that holds tensors.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Where it is, relative to the model directory.
    pub path: PathBuf,
    /// Its length in bytes.
    pub len: u64,
    /// Where its data starts, in bytes.
    pub data_start: u64,
    /// How many tensors it holds.
    pub tensors: usize,
    /// How many of them start on a block boundary, and how many would.
    pub on_boundary: (usize, usize),
    /// Whether there is nothing to gain.
    pub is_aligned: bool,
}

impl Job {
    /// Looks at the checkpoint in `dir` and arranges its files for the file system it will be on. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Usage`] if the target makes no sense; what [`Checkpoint::open`] says of bad checkpoints.
    pub fn prepare(dir: &Path, target: Target) -> Result<Self> {
        let model = ModelDir::open(dir)?;
        // Before anything is read, or what is read may be what another process is about to replace.
        let lock = matches!(target, Target::InPlace { .. }).then(|| lock(dir)).transpose()?;
        let home = match &target {
            Target::Directory(to) => check_target(dir, to)?,
            Target::InPlace { .. } | Target::Nowhere => dir.to_owned(),
        };
        let unit = FileSystem::of(&home).map_err(|e| Error::io("cannot look at", &home, e))?.block_size;
        let mut job = Self {
            block: block(unit),
            shards: Vec::new(),
            others: Below::default(),
            checkpoint: Checkpoint::default(),
            arrangements: Vec::new(),
            unit,
            target,
            verify: true,
            _lock: lock,
        };
        let mut metadata = Vec::new();
        job.checkpoint = Checkpoint::open_with(&model, |file| metadata.push(file.metadata.clone()))?;
        if job.checkpoint.format != Format::Safetensors {
            return Err(Error::unsupported(
                "only safetensors can be aligned; tensors of pytorch_model*.bin already start on \
                 64-byte boundaries",
            )
            .at(dir));
        }
        job.arrange(&metadata)?;
        if let Target::Directory(_) = job.target {
            let shards: Vec<PathBuf> = job.shards.iter().map(|s| s.path.clone()).collect();
            job.others = carry::others(&model, &shards)?;
        }
        Ok(job)
    }

    fn arrange(&mut self, metadata: &[Option<BTreeMap<String, String>>]) -> Result<()> {
        let Checkpoint { dir, files, tensors, .. } = &self.checkpoint;
        let members = arrange::members(&self.checkpoint);
        for ((file, members), metadata) in files.iter().zip(members).zip(metadata) {
            let arrangement = arrange(tensors, members, metadata.as_ref(), file.data_start, self.block)
                .map_err(|problem| Error::unsupported(problem).at(&file.path))?;
            let on_boundary = |offset: u64| usize::from(offset.is_multiple_of(self.block));
            let places = &arrangement.places;
            self.shards.push(Shard {
                path: shard_path(dir.path(), &file.path)?,
                len: file.len,
                data_start: file.data_start,
                tensors: places.len(),
                on_boundary: (
                    places.iter().map(|(i, _)| on_boundary(tensors[*i].offset)).sum(),
                    places.iter().map(|(_, at)| on_boundary(*at)).sum(),
                ),
                is_aligned: arrangement.is_aligned,
            });
            self.arrangements.push(arrangement);
        }
        Ok(())
    }

    /// Sharing within the file system of the target, of no files yet.
    fn sharing(&self) -> Sharing {
        let block = self.unit.min(self.block);
        Sharing { block, min_extent: Sharing::DEFAULT_MIN_EXTENT, refusals: Vec::new() }
    }

    /// What to carry out one after the other: for a new directory as many files at a time as can be open, shards
    /// first; one per file in place, so that space for one is enough.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be opened.
    pub fn parts(&self) -> Result<Vec<Part>> {
        let dir = &self.checkpoint.dir;
        match &self.target {
            Target::Nowhere => Ok(Vec::new()),
            Target::InPlace { blobs } => {
                let misaligned = (0..self.shards.len()).filter(|i| !self.shards[*i].is_aligned);
                let plan = |i: usize| {
                    let mut path = dir.join(&self.shards[i].path);
                    if let Some(blob) = dir.blob(&path).filter(|_| *blobs) {
                        cached::check_unshared(dir, &blob)?;
                        path = blob;
                    }
                    self.part(vec![self.checkpoint.sources[i].clone()], vec![self.rewrite(i, 0, path)])
                };
                misaligned.map(plan).collect()
            }
            Target::Directory(to) => {
                let shards = self.shards.iter().map(|s| (&s.path, s.len));
                let files: Vec<_> = shards.chain(self.others.files.iter().map(|(p, n)| (p, *n))).collect();
                let whole =
                    |(file, &(i, (path, len))): (usize, &(usize, &(&PathBuf, u64)))| match self.shards.get(i)
                    {
                        Some(shard) if !shard.is_aligned => self.rewrite(i, file, to.join(path)),
                        _ => Rewrite {
                            path: to.join(path),
                            header: Vec::new(),
                            ranges: vec![Range { file, offset: 0, len: *len }],
                            tensors: Vec::new(),
                            like: file,
                        },
                    };
                let numbered: Vec<_> = files.iter().enumerate().collect();
                let source = |i: usize, path: &Path| match self.checkpoint.sources.get(i) {
                    Some(shard) => Ok(shard.clone()),
                    None => dir.file(path),
                };
                let part = |batch: &[(usize, &(&PathBuf, u64))]| {
                    let sources =
                        batch.iter().map(|(i, (path, _))| source(*i, path)).collect::<Result<_>>()?;
                    let mut files: Vec<_> = batch.iter().enumerate().map(whole).collect();
                    if batch.first().is_some_and(|(i, _)| *i == 0) {
                        files.extend(carry::name(dir, to)?);
                    }
                    self.part(sources, files)
                };
                numbered.chunks(BATCH).map(part).collect()
            }
        }
    }

    /// Shard `i`, which is source `file` of its plan, rewritten.
    fn rewrite(&self, i: usize, file: usize, path: PathBuf) -> Rewrite {
        let Arrangement { header, places, .. } = &self.arrangements[i];
        let tensors = places.iter().map(|(i, at)| (&self.checkpoint.tensors[*i], *at));
        Rewrite {
            path,
            header: header.clone(),
            ranges: tensors.clone().map(|(t, _)| Range { file, offset: t.offset, len: t.len }).collect(),
            tensors: tensors
                .map(|(t, offset)| Placed {
                    name: t.name.clone(),
                    shape: t.shape.to_vec(),
                    dtype: t.dtype.name(),
                    offset,
                    len: t.len,
                })
                .collect(),
            like: file,
        }
    }

    fn part(&self, sources: Vec<File>, files: Vec<Rewrite>) -> Result<Part> {
        let home = match &self.target {
            Target::Directory(to) if to.exists() => to.as_path(),
            Target::Directory(to) => parent(to),
            Target::InPlace { .. } | Target::Nowhere => self.checkpoint.dir.path(),
        };
        let mut sharing = self.sharing();
        for source in &sources {
            let refusal = platform::can_clone(&*source.handle()?, home).err();
            sharing.refusals.push(refusal.map(|why| why.to_string()));
        }
        let paths = sources.iter().map(|source| source.path().to_owned()).collect();
        let mut plan = Plan::rewrite(paths, &sharing, files)?;
        write::keep_holes(&mut plan, &sources)?;
        Ok(Part { plan, sources })
    }

    /// Why conversions beside the aligned files will not share their blocks, if that is known.
    pub fn refusal(&self, parts: &[Part]) -> Option<String> {
        match &self.target {
            // Whether the new files share blocks with the old ones says nothing of that.
            Target::Directory(to) => {
                let home = if to.is_dir() { to.as_path() } else { ggraft_platform::parent(to) };
                ggraft_platform::can_clone_within(home).err().map(|why| why.to_string())
            }
            _ => parts.iter().find_map(|part| part.plan.refusal.clone()),
        }
    }

    /// Bytes that aligning in place will not give back: links become files, and what they led to stays where it is.
    pub fn staying(&self) -> u64 {
        let dir = &self.checkpoint.dir;
        let misaligned = self.shards.iter().filter(|shard| !shard.is_aligned);
        let links = misaligned.filter(|shard| dir.blob(&dir.join(&shard.path)).is_some());
        match self.target {
            Target::InPlace { blobs: false } => links.map(|shard| shard.len).sum(),
            _ => 0,
        }
    }
}

impl Shard {
    /// The shard for machines.
    pub fn to_json(&self) -> Value {
        json!({
            "path": self.path.to_string_lossy(), "bytes": self.len, "data_start": self.data_start,
            "tensors": self.tensors, "aligned": self.is_aligned,
            "on_boundary": {"today": self.on_boundary.0, "aligned": self.on_boundary.1},
        })
    }
}

/// Refuses directories that cannot take the aligned checkpoint; gives one that is there, on the same
/// file system.
fn check_target(dir: &Path, to: &Path) -> Result<PathBuf> {
    let refused = |problem: &str| Error::usage(format!("-o {}: {problem}", to.display())).about(to);
    let resolve = |path: &Path| path.canonicalize().map_err(|e| Error::io("cannot resolve", path, e));
    let existing = match look(to)? {
        Some(found) if found.is_dir() => to,
        Some(_) => return Err(refused("exists and is not a directory")),
        None if to.is_symlink() => return Err(refused("is a link that leads nowhere")),
        None if !is_dir(parent(to))? => {
            return Err(refused(&format!("there is no directory {}", parent(to).display())));
        }
        None => parent(to),
    };
    let (source, target) = (resolve(dir)?, resolve(existing)?);
    if existing == to && source == target {
        return Err(refused("is the model's own directory").hint("use --in-place to align it there"));
    }
    if target.starts_with(&source) {
        return Err(refused("lies in the model's directory").hint("name one elsewhere, or use --in-place"));
    }
    if existing == to {
        platform::remove_leftovers(to);
    }
    let cannot = |e| Error::io("cannot list", to, e);
    if existing == to && fs::read_dir(to).map_err(cannot)?.next().transpose().map_err(cannot)?.is_some() {
        return Err(refused("exists and is not empty").hint("name a new directory"));
    }
    Ok(existing.to_owned())
}

/// A shard's path relative to the model directory. The name in the index cannot lead out of it, but
/// directories on the way can be symlinks.
fn shard_path(dir: &Path, path: &Path) -> Result<PathBuf> {
    let resolve = |path: &Path| path.canonicalize().map_err(|e| Error::io("cannot resolve", path, e));
    let relative = path
        .strip_prefix(dir)
        .map_err(|_| Error::Internal(format!("{} is not in {}", path.display(), dir.display())))?;
    if !resolve(parent(path))?.starts_with(resolve(dir)?) {
        return Err(Error::invalid(path, "expected a file in the model directory, found one outside of it"));
    }
    Ok(relative.to_owned())
}

/// Keeps other processes from aligning `dir` in place.
fn lock(dir: &Path) -> Result<Lock> {
    let path = dir.join(LOCK);
    Lock::take(&path).map_err(|error| match error {
        LockError::Held(holder) => Error::Locked { path: dir.to_owned(), holder },
        LockError::Io(error) => Error::io("cannot lock", path, error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_the_file_system_if_that_is_sane() {
        for (unit, expected) in [
            (1, 4096),
            (512, 4096),
            (4096, 4096),
            (8192, 8192),
            (65536, 65536),
            (131_072, 4096),
            (5000, 4096),
        ] {
            assert_eq!(block(unit), expected, "{unit}");
        }
    }
}
