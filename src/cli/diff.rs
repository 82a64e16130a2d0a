//! `ggraft diff`: what two GGUF files have in common.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::messages::{explain_difference, start_logging};
use super::progress::Progress;
use super::{catch_signals, stdout};
use crate::error::Result;
use crate::surgery::diff;

/// Arguments of `ggraft diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ggraft diff model.gguf new.gguf
  ggraft diff model-00001-of-00003.gguf model.gguf       a set and one file of it

Lines with - are of the first file, with + of the second, with ! of both. Keys about layout (alignment, padding, splits) are \
shown and do not count. Exits with 6 if anything else differs.")]
pub struct Args {
    /// A GGUF file, any one of a split set
    a: PathBuf,

    /// Another
    b: PathBuf,

    /// Read everything, even what the file system says to be the same blocks
    #[arg(long)]
    read_all: bool,

    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,

    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Runs `ggraft diff`. That files differ is no error, but has an exit code.
pub fn run(args: &Args) -> Result<ExitCode> {
    start_logging(false, false);
    catch_signals()?;
    let found = Progress::watch(0, args.quiet, |progress| {
        let (begin, advance) = (&mut |bytes| progress.expect(bytes), &mut |bytes| progress.advance(bytes));
        diff::diff(&args.a, &args.b, args.read_all, begin, advance)
    })?;
    match args.json {
        true => stdout::json(|out| writeln!(out, "{:#}", found.to_json()))?,
        false => stdout::text(|out| found.write_text(out))?,
    }
    if found.is_equal() {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(explain_difference(&args.b, &args.a.display().to_string(), found.differences()))
}
