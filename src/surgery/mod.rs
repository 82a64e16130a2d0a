//! Changes GGUF files without a second copy of what stays: key-values ([`mod@edit`]), how many files there are ([`mod@split`],
//! [`mod@merge`]); and tells what two of them have in common ([`mod@diff`]).
//!
//! A GGUF is a source like any other: its tensors are ranges of bytes, which a [`Plan`] puts elsewhere. Nothing here needs to
//! know what a tensor's type means.

pub mod diff;
pub mod edit;
mod header;
mod input;
pub mod merge;
pub mod split;

use std::path::{Path, PathBuf};

use ggraft_platform::{Links, parent};

use crate::error::{Error, Result};
use crate::evaluate::Evaluator;
use crate::gguf::{HEADER_MAX, KeyValues};
use crate::plan::{Group, Output, Plan, Regroup, Sharing, Stored};
use crate::source::{File, is_dir, look};
use crate::write::{self, Reflink, Report, Settings};
use input::Input;

/// How to write.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Whether to share blocks.
    pub reflink: Reflink,
    /// Makes sure that outputs are on the disk before they get their names.
    pub fsync: bool,
    /// Compares outputs with what they are made of before they get their names.
    pub verify: bool,
    /// Replaces files that exist, and makes changes that llama.cpp does not expect.
    pub force: bool,
}

impl Default for How {
    fn default() -> Self {
        Self { reflink: Reflink::Auto, fsync: true, verify: false, force: false }
    }
}

/// Where a file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// To this file.
    File(PathBuf),
    /// To whoever reads; nothing is shared.
    Stream,
    /// To where it is.
    InPlace,
}

/// What is ready to be written.
#[derive(Debug)]
pub struct Job {
    /// How.
    pub plan: Plan,
    /// Whether tensors will be in another order, so that more of them are shared.
    pub is_reordered: bool,
    input: Input,
    settings: Settings,
}

impl Job {
    fn new(input: Input, plan: Plan, how: How, links: Links) -> Result<Self> {
        let names = input.tensors.iter().map(|tensor| tensor.info.name.as_str());
        let planned = plan.outputs.iter().flat_map(|output| &output.tensors).map(|t| t.name.as_str());
        let is_reordered = !names.eq(planned);
        let must_share = how.reflink == Reflink::Always;
        if must_share && !input.tensors.is_empty() && plan.shared().0 == 0 {
            let report = Report::of(&plan);
            let why = report.reasons.first().map_or("there is nothing to share", |s| s.explanation.as_str());
            return Err(Error::cannot_share(format!("--reflink always: no block can be shared: {why}")));
        }
        let settings =
            Settings { must_share, sync: how.fsync, links, verify: how.verify, ..Settings::default() };
        Ok(Self { plan, is_reordered, input, settings })
    }

    /// How many bytes [`Job::run`] tells of (see [`write::work`]).
    pub fn work(&self) -> u64 {
        write::work(&self.plan, &self.settings)
    }

    /// Writes, telling `progress` of bytes as they are done.
    ///
    /// # Errors
    /// See [`write::write`]; nothing is changed then.
    pub fn run(&self, progress: &mut dyn FnMut(u64)) -> Result<Report> {
        write::tidy(&self.plan, self.settings.links);
        write::check_space([&self.plan], self.settings.links)?;
        let finished =
            write::write(&self.plan, &self.input.model, &self.input.sources, self.settings, progress)?;
        Ok(finished.report)
    }

    /// The files that are read.
    pub fn sources(&self) -> &[File] {
        &self.input.sources
    }

    /// Reads the outputs as if they had been written.
    pub fn evaluator(&self) -> Evaluator<'_> {
        Evaluator::new(&self.plan, &self.input.sources)
    }

    /// Makes sure that what is read is as it was.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the file that is not.
    pub fn check_sources(&self) -> Result<()> {
        self.input.model.check_unchanged()
    }
}

/// What of `input` can be shared with a file at `path`.
fn sharing(input: &Input, path: &Path, how: How) -> Result<Sharing> {
    write::probe(&input.sources, path, how.reflink, Sharing::DEFAULT_MIN_EXTENT)
}

/// Plans `files` of the tensors of `input`.
fn plan(input: &Input, files: Vec<Group>, may_reorder: bool, sharing: &Sharing) -> Result<Plan> {
    let mut plan = Plan::regroup(Regroup {
        sources: input.sources.iter().map(|source| source.path().to_owned()).collect(),
        tensors: &input.tensors,
        files,
        may_reorder,
        sharing,
        stamp: &write::stamp(&input.sources),
    })?;
    let too_long = |output: &&Output| output.data_start > HEADER_MAX.next_multiple_of(output.alignment);
    if let Some(output) = plan.outputs.iter().find(too_long) {
        let problem = format!("key-values and tensors' names take more than {HEADER_MAX} bytes");
        return Err(Error::usage(problem).about(&output.path));
    }
    header::share(&mut plan, &input.sources)?;
    write::keep_holes(&mut plan, &input.sources)?;
    Ok(plan)
}

/// Refuses to write to `path` if it is read, or there is something and nobody said that it may be replaced.
fn check_output(path: &Path, input: &Input, how: How) -> Result<()> {
    let dir = parent(path);
    if !is_dir(dir)? {
        return Err(Error::usage(format!("-o: there is no directory {}", dir.display())).about(path));
    }
    write::check_target("-o", path, &input.model)?;
    if look(path)?.is_some() && !how.force {
        let problem = format!("-o: {} exists", path.display());
        return Err(Error::usage(problem)
            .about(path)
            .hint("--force replaces it, once the new one is complete"));
    }
    Ok(())
}
