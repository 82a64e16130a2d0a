//! `ggraft merge`: the files of a split GGUF become one.

use std::path::PathBuf;

use indicatif::DecimalBytes;

use super::messages::say;
use super::stdout::is_stream;
use super::surgery::WritingArgs;
use crate::error::{Error, Result};
use crate::source::{File, must_be_gguf};
use crate::surgery::{How, Job, To, merge};

/// Arguments of `ggraft merge`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ggraft merge model-00001-of-00003.gguf -o model.gguf
  ggraft merge model-*-of-00003.gguf -o model.gguf --remove-inputs
  ggraft merge model-00001-of-00003.gguf -o model.gguf --no-reflink   as llama-gguf-split writes it

On XFS and Btrfs the tensors of the new file are the blocks of the old ones, as far as their places within \
blocks allow; the report says what is not shared, and why.")]
pub struct Args {
    /// A file of the set, such as the first; more of it may be named
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// File to write to, or - for standard output
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,

    /// Remove the files of the set, once the output was compared with them and is on the disk under its name
    #[arg(long, conflicts_with_all = ["no_fsync", "dry_run"])]
    remove_inputs: bool,

    /// Replace an output that exists
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    pub(super) writing: WritingArgs,
}

/// What to do with the set that the files named are of.
fn prepare(args: &Args, to: &To, how: How) -> Result<Job> {
    let (first, others) = args.files.split_first().ok_or_else(|| Error::usage("name a file of the set"))?;
    let job = merge::prepare(first, to, how)?;
    for other in others {
        must_be_gguf(other)?;
        let same = |source: &File| match (source.path().canonicalize(), other.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        };
        if !job.sources().iter().any(same) {
            let (other, first) = (other.display(), first.display());
            let problem = format!("{other} is not of the same set as {first}");
            return Err(
                Error::usage(problem).hint("one file of the set is enough: the others are found by its name")
            );
        }
    }
    Ok(job)
}

/// Runs `ggraft merge`.
pub fn run(args: &Args) -> Result<()> {
    let mut how = args.writing.begin(args.force)?;
    if is_stream(&args.output) {
        if args.remove_inputs {
            return Err(Error::usage(
                "--remove-inputs: not with -o -, for nobody knows what became of the bytes",
            ));
        }
        how = args.writing.streaming(how)?;
        return args.writing.stream(&prepare(args, &To::Stream, how)?);
    }
    how.verify |= args.remove_inputs;
    let job = prepare(args, &To::File(args.output.clone()), how)?;
    if args.remove_inputs {
        merge::check_removable(&job)?;
    }
    args.writing.write(&job, |json| {
        if args.remove_inputs {
            let bytes = merge::remove_inputs(job.sources())?;
            json["removed"] = job.sources().iter().map(|source| source.path().to_string_lossy()).collect();
            if !args.writing.reports.quiet {
                say(format_args!("removed {} files ({})", job.sources().len(), DecimalBytes(bytes)));
            }
        }
        Ok(())
    })
}
