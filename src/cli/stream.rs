//! `ggraft convert --outfile -` and the like: a GGUF goes to standard output while it is made, and no file is written.

use std::io::{self, Write as _};

use ggraft_platform::interrupt;

use super::report_args::ReportArgs;
use super::{report, stdout};
use crate::conversion::{Conversion, Options};
use crate::error::{Error, Result};
use crate::evaluate::{Buffers, Evaluator};
use crate::plan::Plan;
use crate::write::Reflink;

/// Whether blocks are shared with standard output, which `flag` asked for: they cannot be, so the bytes may as well be the
/// reference's.
///
/// # Errors
/// If they are to be shared, or something else is asked for that `needs_file`.
pub fn reflink(flag: &str, needs_file: bool, wished: Reflink) -> Result<Reflink> {
    if needs_file {
        let problem = format!("{flag}: not with --json, --verify or --dry-run, for there is no file");
        return Err(Error::usage(problem));
    }
    match wished {
        Reflink::Always => Err(Error::cannot_share("--reflink always: standard output cannot share blocks")),
        Reflink::Auto | Reflink::Never => Ok(Reflink::Never),
    }
}

/// Makes what `options` say of `--outfile -`, and says what is left out, but for what `needs_file`.
///
/// # Errors
/// As [`reflink`], [`Conversion::prepare`] and [`run`].
pub fn conversion(options: &Options, reports: &ReportArgs, needs_file: bool) -> Result<()> {
    let reflink = reflink("--outfile -", needs_file, options.reflink)?;
    let conversion = Conversion::prepare(&Options { reflink, ..options.clone() })?;
    let result = reports.watch(conversion.work(), |advance| {
        run("--outfile -", &conversion.plan, &conversion.evaluator(), advance)
    });
    let result = result.and_then(|()| conversion.check_sources());
    if !reports.quiet {
        report::print_notes(&conversion.notes);
    }
    result
}

/// What errors call it. Not as where text is printed: whoever stops reading this has no whole file.
const STANDARD_OUTPUT: &str = "standard output (-)";

/// Bytes computed and written at a time.
const CHUNK: usize = 4 << 20;

/// Writes the output of `plan`, which `flag` asked for, telling `progress` of bytes as they are done. Whoever reads it can take it for
/// complete only if the process exits with 0: only then is it known to be from one state of its sources, which the caller checks.
///
/// # Errors
/// If there is more than one output, standard output is a terminal, or a source or standard output fails.
pub fn run(flag: &str, plan: &Plan, evaluator: &Evaluator, progress: &mut dyn FnMut(u64)) -> Result<()> {
    if plan.outputs.len() != 1 {
        let problem = format!("{flag}: expected one file, but the plan has {}", plan.outputs.len());
        return Err(Error::usage(problem).hint("leave out the flags that split the output"));
    }
    stdout::not_a_terminal(flag)?;
    let mut out = io::stdout().lock();
    let (mut chunk, mut buffers, mut at) = (vec![0; CHUNK], Buffers::default(), 0);
    loop {
        if interrupt::interrupted() {
            return Err(Error::Interrupted);
        }
        let count = evaluator.read_at(0, at, &mut chunk, &mut buffers)?;
        if count == 0 {
            break;
        }
        out.write_all(&chunk[..count]).map_err(|e| Error::io("cannot write to", STANDARD_OUTPUT, e))?;
        at += count as u64;
        progress(count as u64);
    }
    out.flush().map_err(|e| Error::io("cannot write to", STANDARD_OUTPUT, e))
}
