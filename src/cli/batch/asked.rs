//! The jobs that were asked for, each with arguments that `ggraft convert` takes.

use std::ffi::OsString;
use std::path::Path;

use clap::{Args as _, Command, FromArgMatches as _};

use super::Args;
use crate::batch::jobs::{Defaults, read};
use crate::batch::scan::scan;
use crate::batch::{Job, Selection};
use crate::cli::convert;
use crate::cli::messages::first_line;
use crate::error::{Error, Result};
use crate::source::ModelDir;

/// A model's name, where none is known yet.
const ANY: &str = "MODEL";

/// The jobs that `args` ask for.
///
/// # Errors
/// [`Error::Usage`] naming what makes no sense, [`Error::Io`].
pub fn jobs(args: &Args) -> Result<Vec<Job>> {
    let defaults =
        Defaults { outdir: args.outdir.clone(), outtypes: args.outtype.clone(), args: args.flags.clone() };
    let only = args.index.map(Selection::One).or(args.only).unwrap_or_default();
    if let Some(outdir) = args.outdir.as_ref().filter(|outdir| outdir.to_str().is_none()) {
        return Err(Error::usage(format!("--outdir: {} is not UTF-8", outdir.display())));
    }
    check_flags(&args.flags)?;
    let mut jobs = match (&args.scan, &args.list) {
        (Some(root), _) => scan(root, &defaults, only)?,
        (None, Some(list)) => read(list, &defaults, only)?,
        (None, None) => return Err(Error::usage("name a list of jobs, or --scan a directory")),
    };
    jobs.iter_mut().try_for_each(complete)?;
    Ok(jobs)
}

/// Flags for all jobs leave to each what is its own.
fn check_flags(flags: &[OsString]) -> Result<()> {
    let what = "flags after --";
    match parse(what, flags, Path::new(ANY))?.options().outfile() {
        Some(_) => Err(Error::usage(format!("{what}: --outfile is for one job"))
            .hint("use --outdir, or \"outfile\" in the list")),
        None => Ok(()),
    }
}

/// What `ggraft convert` understands of these arguments.
fn parse(what: &str, args: &[OsString], model: &Path) -> Result<convert::Args> {
    let line = ["convert".into()].into_iter().chain(args.iter().cloned());
    let line = line.chain(["--".into(), model.as_os_str().to_owned()]);
    let command = convert::Args::augment_args(Command::new("convert"));
    let parsed = command.try_get_matches_from(line).and_then(|m| convert::Args::from_arg_matches(&m));
    let parsed = parsed.map_err(|e| Error::usage(format!("{what}: {}", first_line(&e.to_string()))))?;
    match parsed.not_for_batch(model) {
        Some(problem) => Err(Error::usage(format!("{what}: not in a batch: {problem}"))),
        None => Ok(parsed),
    }
}

/// Adds to `job` what its arguments mean.
fn complete(job: &mut Job) -> Result<()> {
    let parsed = parse(&job.name, &job.args, &job.model)?;
    (job.verify, job.inputs) = (parsed.for_verify(), parsed.options().inputs());
    let on_hub = parsed.options().on_hub();
    if !ModelDir::is_on_hub(&job.model, &on_hub)? {
        return Ok(());
    }
    if parsed.options().outfile().is_none() {
        if on_hub.remote {
            return Err(Error::usage(format!("{}: with --remote, name an outfile or --outdir", job.name)));
        }
        job.outdir = ".".into();
    }
    job.on_hub = Some(on_hub);
    Ok(())
}
