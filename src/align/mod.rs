//! `ggraft align`: rewrites a checkpoint once so that every conversion of it shares nearly everything.
//!
//! In an aligned file data starts on a block boundary, and tensors that are whole blocks come first,
//! so that they all start on one. It is still a safetensors file with the same tensors and metadata.
//! Rewriting is a [`Plan`] like a conversion, and carried out in the same way.

mod arrange;
mod carry;
mod check;
mod holes;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ggraft_platform::{self as platform, FileSystem, interrupt};
use serde_json::{Value, json};

use crate::checkpoint::{Checkpoint, Format};
use crate::error::{Error, Result};
use crate::plan::{Placed, Plan, Range, Rewrite, Sharing};
use crate::write::{self, Bytes, Settings};
use arrange::{Arrangement, arrange};

pub use arrange::{Aligned, aligned};
pub use carry::Others;
pub use check::{Check, Gain, check, is_worth, percent};

/// Data is put on a boundary of at least this many bytes: the block size of most file systems.
const BLOCK_MIN: u64 = 4096;

/// No file system that shares blocks has larger ones. Some (NFS) call their transfer size a block.
const BLOCK_MAX: u64 = 64 << 10;

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
    InPlace,
}

/// A checkpoint and how it will be aligned.
#[derive(Debug)]
pub struct Job {
    /// Block size in bytes that files are aligned to.
    pub block: u64,
    /// The files that hold tensors.
    pub shards: Vec<Shard>,
    /// What else is in the directory.
    pub others: Others,
    checkpoint: Checkpoint,
    arrangements: Vec<Arrangement>,
    /// Unit of clones: the file system's own block size.
    unit: u64,
    target: Target,
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

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Bytes of all files written.
    pub bytes: Bytes,
    /// The files, shards and others.
    pub written: Vec<PathBuf>,
}

impl Job {
    /// Looks at the checkpoint in `dir` and arranges its files for the file system it will be on. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Usage`] if the target makes no sense; what [`Checkpoint::open`] says of bad checkpoints.
    pub fn prepare(dir: &Path, target: Target) -> Result<Self> {
        if !dir.is_dir() {
            let problem = "is not a directory; name one that holds a model";
            return Err(Error::Usage(format!("{} {problem}", dir.display())));
        }
        let home = match &target {
            Target::Directory(to) => check_target(dir, to)?,
            Target::InPlace => dir.to_owned(),
        };
        let unit = FileSystem::of(&home).map_err(|e| Error::io("cannot look at", &home, e))?.block_size;
        let mut job = Self {
            block: block(unit),
            shards: Vec::new(),
            others: Others::default(),
            checkpoint: Checkpoint::default(),
            arrangements: Vec::new(),
            unit,
            target,
        };
        let mut metadata = Vec::new();
        job.checkpoint = Checkpoint::open_with(dir, |file| metadata.push(file.metadata.clone()))?;
        if job.checkpoint.format != Format::Safetensors {
            return Err(Error::Unsupported(format!(
                "{}: only safetensors can be aligned; tensors of pytorch_model*.bin already start on \
                 64-byte boundaries",
                dir.display()
            )));
        }
        job.arrange(&metadata)?;
        if let Target::Directory(_) = job.target {
            let shards: Vec<PathBuf> = job.shards.iter().map(|s| s.path.clone()).collect();
            job.others = carry::others(dir, &shards)?;
        }
        Ok(job)
    }

    fn arrange(&mut self, metadata: &[BTreeMap<String, String>]) -> Result<()> {
        let Checkpoint { dir, files, tensors, .. } = &self.checkpoint;
        let members = arrange::members(&self.checkpoint);
        for ((file, members), metadata) in files.iter().zip(members).zip(metadata) {
            let arrangement = arrange(tensors, members, metadata, file.data_start, self.block)
                .map_err(|problem| Error::Unsupported(format!("{}: {problem}", file.path.display())))?;
            let on_boundary = |offset: u64| usize::from(offset.is_multiple_of(self.block));
            let places = &arrangement.places;
            self.shards.push(Shard {
                path: shard_path(dir, &file.path)?,
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

    /// The plans to carry out one after the other: one for a new directory, so that it appears all at
    /// once; one per file in place, so that space for one is enough.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be opened.
    pub fn plans(&self) -> Result<Vec<Plan>> {
        let dir = &self.checkpoint.dir;
        match &self.target {
            Target::InPlace => {
                let misaligned = (0..self.shards.len()).filter(|i| !self.shards[*i].is_aligned);
                let plan = |i: usize| {
                    let path = dir.join(&self.shards[i].path);
                    self.plan(vec![path.clone()], vec![self.rewrite(i, 0, path)])
                };
                misaligned.map(plan).collect()
            }
            Target::Directory(to) => {
                let shards = self.shards.iter().map(|s| (&s.path, s.len));
                let files: Vec<_> = shards.chain(self.others.files.iter().map(|(p, n)| (p, *n))).collect();
                let whole = |(i, (path, len)): (usize, &(&PathBuf, u64))| match self.shards.get(i) {
                    Some(shard) if !shard.is_aligned => self.rewrite(i, i, to.join(path)),
                    _ => Rewrite {
                        path: to.join(path),
                        header: Vec::new(),
                        ranges: vec![Range { file: i, offset: 0, len: *len }],
                        tensors: Vec::new(),
                        like: i,
                    },
                };
                let rewrites = files.iter().enumerate().map(whole).collect();
                let sources = files.iter().map(|(path, _)| dir.join(path)).collect();
                self.plan(sources, rewrites).map(|plan| vec![plan])
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
                    shape: t.shape.clone(),
                    dtype: t.dtype.name(),
                    offset,
                    len: t.len,
                })
                .collect(),
            like: file,
        }
    }

    fn plan(&self, sources: Vec<PathBuf>, files: Vec<Rewrite>) -> Result<Plan> {
        let home = match &self.target {
            Target::Directory(to) if to.exists() => to,
            Target::Directory(to) => parent(to),
            Target::InPlace => &self.checkpoint.dir,
        };
        let mut sharing = self.sharing();
        for path in &sources {
            let source = File::open(path).map_err(|e| Error::io("cannot open", path, e))?;
            sharing.refusals.push(platform::can_clone(&source, home).err().map(|why| why.to_string()));
        }
        let mut plan = Plan::rewrite(sources, &sharing, files)?;
        holes::keep(&mut plan)?;
        Ok(plan)
    }

    /// Carries out [`plans`](Self::plans), telling `progress` of bytes as they are done.
    ///
    /// # Errors
    /// See [`write::write`]. Whatever goes wrong, the model that was there is still there and complete:
    /// every file of it is the old one or the aligned one. A new directory is taken away again.
    pub fn run(&self, plans: &[Plan], progress: &mut dyn FnMut(u64)) -> Result<Outcome> {
        let mut created = Vec::new();
        let result = self.carry_out(plans, &mut created, progress);
        if result.is_err() {
            // Only what is empty goes; nothing better can be done about a failure here.
            created.iter().rev().for_each(|dir| _ = fs::remove_dir(dir));
        }
        result
    }

    fn carry_out(
        &self,
        plans: &[Plan],
        created: &mut Vec<PathBuf>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Outcome> {
        if let Target::Directory(to) = &self.target {
            for output in plans.iter().flat_map(|p| &p.outputs) {
                create_dirs(to, parent(&output.path), created)?;
            }
        }
        // Every plan by itself: what the one before replaces is free again, unless something else still
        // refers to it, which is found out in time, too.
        plans.iter().try_for_each(write::check_space)?;
        let mut outcome = Outcome::default();
        for plan in plans {
            if interrupt::interrupted() {
                return Err(Error::Interrupted);
            }
            write::check_space(plan)?;
            // Synced, since it may replace the only copy.
            let settings = Settings { sync: true, ..Settings::default() };
            let report = write::write(plan, settings, progress)?;
            outcome.bytes += report.bytes;
            outcome.written.extend(report.outputs.into_iter().map(|o| o.path));
        }
        Ok(outcome)
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

impl Outcome {
    /// What was done to `job`, for machines; the keys are a promise.
    pub fn to_json(&self, job: &Job) -> Value {
        let Bytes { total, cloned, copied, header, .. } = self.bytes;
        json!({
            "block": job.block,
            "shards": job.shards.iter().map(Shard::to_json).collect::<Vec<_>>(),
            "written": self.written.iter().map(|p| p.to_string_lossy()).collect::<Vec<_>>(),
            "left_out": job.others.left_out.iter()
                .map(|(path, why)| json!({"path": path.to_string_lossy(), "why": why})).collect::<Vec<_>>(),
            "bytes": {"total": total, "cloned": cloned, "copied": copied, "header": header},
        })
    }
}

/// Refuses directories that cannot take the aligned checkpoint; gives one that is there, on the same
/// file system.
fn check_target(dir: &Path, to: &Path) -> Result<PathBuf> {
    let refuse = |problem: String| Err(Error::Usage(format!("-o {}: {problem}", to.display())));
    let resolve = |path: &Path| path.canonicalize().map_err(|e| Error::io("cannot resolve", path, e));
    let existing = match fs::symlink_metadata(to) {
        Ok(_) if !to.is_dir() => return refuse("exists and is not a directory".into()),
        Ok(_) => to,
        Err(_) if !parent(to).is_dir() => {
            return refuse(format!("there is no directory {}", parent(to).display()));
        }
        Err(_) => parent(to),
    };
    let (source, target) = (resolve(dir)?, resolve(existing)?);
    if existing == to && source == target {
        return refuse("is the model's own directory; use --in-place to align it there".into());
    }
    if target.starts_with(&source) {
        return refuse("lies in the model's directory; name one elsewhere, or use --in-place".into());
    }
    if existing == to && fs::read_dir(to).map_err(|e| Error::io("cannot list", to, e))?.next().is_some() {
        return refuse("exists and is not empty; name a new directory".into());
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

/// Creates `dir`, which is `top` or below, and adds what was not there before to `created`.
fn create_dirs(top: &Path, dir: &Path, created: &mut Vec<PathBuf>) -> Result<()> {
    let mut missing: Vec<&Path> =
        dir.ancestors().take_while(|d| d.starts_with(top)).filter(|d| !d.is_dir()).collect();
    while let Some(dir) = missing.pop() {
        fs::create_dir(dir).map_err(|e| Error::io("cannot create", dir, e))?;
        created.push(dir.to_owned());
    }
    Ok(())
}

/// The directory that `path` is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
