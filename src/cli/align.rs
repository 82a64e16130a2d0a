//! `ggraft align`: rewrites a checkpoint so that conversions share nearly everything.

use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::DecimalBytes;

use super::messages::say;
use super::report_args::ReportArgs;
use super::{report, stdout};
use crate::align::{self, Check, Job, Outcome, Part, Target, percent};
use crate::error::{Error, Result};
use crate::input::{counted, one_line};
use crate::source::{cached, is_dir};

/// Arguments of `ggraft align`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ggraft align Llama-3.2-1B --check              what conversions share today, and would share
  ggraft align Llama-3.2-1B -o Llama-aligned     a new directory with all that belongs to the model
  ggraft align Llama-3.2-1B --in-place           one file after the other; a kill loses nothing

The result is a checkpoint like any other: same tensors, same metadata, readable by every safetensors \
library. Data starts on a block boundary, and tensors that are whole blocks come first.")]
pub struct Args {
    /// Directory that holds the model: config.json, *.safetensors, tokenizer files; or the name of a repository of which the
    /// Hugging Face cache has a snapshot
    model: PathBuf,

    /// New (or empty) directory to write the aligned model to
    #[arg(long, short, value_name = "DIR", conflicts_with = "in_place")]
    output: Option<PathBuf>,

    /// Replace the model's files by aligned ones. Needs space for one file at a time; a symlink into a cache is
    /// replaced by a file, what it points to is left as it is (but see --replace-blob)
    #[arg(long)]
    in_place: bool,

    /// With --in-place in a Hugging Face cache: replace the files that the links lead to, unless another snapshot uses them. They are
    /// named after what was in them, so whoever checks the cache (`hf cache verify`) will report them as changed
    #[arg(long, requires = "in_place", conflicts_with_all = ["output", "check"])]
    replace_blob: bool,

    /// Do not read what was written again to compare it with the original before it takes its place
    #[arg(long, conflicts_with = "check")]
    no_verify: bool,

    /// Write nothing; tell what conversions share today and would share after aligning
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    pub(super) reports: ReportArgs,
}

/// Runs `ggraft align`.
pub fn run(args: &Args) -> Result<()> {
    args.reports.begin()?;
    let target = match (&args.output, args.check) {
        (Some(to), _) => Target::Directory(to.clone()),
        (None, true) => Target::Nowhere,
        (None, false) if args.in_place => Target::InPlace { blobs: args.replace_blob },
        (None, false) => {
            return Err(Error::usage("say what to do with the model: --check, --output or --in-place")
                .hint("--check writes nothing, and tells what conversions share today and would share after aligning")
                .hint("--output DIR writes an aligned copy of the model to a new directory")
                .hint("--in-place replaces the model's files by aligned ones"));
        }
    };
    let mut job = Job::prepare(&here(&args.model)?, target)?;
    job.verify = !args.no_verify;
    if args.check {
        let found = align::check(job)?;
        return match (args.reports.json, args.reports.quiet) {
            (true, _) => stdout::json(|out| writeln!(out, "{:#}", found.to_json())),
            (false, true) => Ok(()),
            (false, false) => stdout::text(|out| print_check(out, &found)),
        };
    }
    for (path, why) in &job.others.left_out {
        tracing::warn!("left out: {} {why}", path.display());
    }
    let parts = job.parts()?;
    if !args.reports.quiet {
        print_costs(&job, &parts, args.replace_blob);
    }
    let outcome = args.reports.watch(job.work(&parts), |advance| job.run(&parts, advance))?;
    if args.reports.json {
        stdout::json(|out| writeln!(out, "{:#}", outcome.to_json(&job)))?;
    }
    if !args.reports.quiet {
        print_outcome(&job, &outcome);
    }
    Ok(())
}

/// The directory that `model` names: itself, or what this machine's cache has of a repository of that name.
fn here(model: &Path) -> Result<PathBuf> {
    let snapshot = match model.to_str() {
        Some(id) if !is_dir(model)? => cached(id)?,
        _ => None,
    };
    Ok(snapshot.unwrap_or_else(|| model.to_owned()))
}

/// Says what one should know before it is done.
fn print_costs(job: &Job, parts: &[Part], replaces_blobs: bool) {
    let bytes = DecimalBytes(parts.iter().map(|part| part.plan.bytes()).sum());
    if let Some(why) = job.refusal(parts) {
        say(format_args!(
            "{why}: nothing that is converted there will share blocks with the {bytes} that are rewritten now; \
             `ggraft mount` needs no space"
        ));
    }
    match job.staying() {
        0 if replaces_blobs && !parts.is_empty() => say(format_args!(
            "replacing {bytes} in the cache, named after what was in them: whoever checks them (`hf cache verify`) will \
             report a change"
        )),
        0 => {}
        staying => say(format_args!(
            "links in the cache become files of {bytes}; the {} that they led to stay (--replace-blob replaces those)",
            DecimalBytes(staying)
        )),
    }
}

fn print_check(out: &mut impl Write, check: &Check) -> std::io::Result<()> {
    for shard in &check.shards {
        let (path, start) = (one_line(&shard.path.to_string_lossy()), shard.data_start);
        let (today, aligned) = shard.on_boundary;
        match shard.is_aligned {
            true => writeln!(out, "{path}: aligned")?,
            false => writeln!(
                out,
                "{path}: data starts at byte {start}, {} beyond a {}-byte block; {today} of {} tensors start on a \
                 block boundary, {aligned} after aligning",
                start % check.block,
                check.block,
                shard.tensors
            )?,
        }
    }
    let gain = match &check.conversion {
        Ok(gain) => gain,
        Err(why) => {
            return writeln!(out, "cannot be converted, so there is nothing to share: {}", one_line(why));
        }
    };
    writeln!(out, "ggraft convert, where the file system can share blocks:")?;
    for (when, (shared, extents)) in [("today", gain.today), ("aligned", gain.aligned)] {
        let (part, all) = (DecimalBytes(shared), DecimalBytes(gain.total));
        let percent = percent(shared, gain.total);
        let extents = match extents {
            0 => String::new(),
            1 => ", in 1 extent".into(),
            n => format!(", in {n} extents"),
        };
        writeln!(out, "  {when:8} shares {part} of {all} ({percent:.2} %){extents}")?;
    }
    if gain.rewritten > 0 && !gain.is_worth_it() {
        writeln!(out, "  not worth rewriting {}", DecimalBytes(gain.rewritten))?;
    }
    for shortfall in &gain.reasons {
        let (bytes, why) = (DecimalBytes(shortfall.bytes), &shortfall.explanation);
        let tensors = counted(shortfall.tensors, "tensor");
        writeln!(out, "  not shared even then: {bytes} in {tensors}: {why}")?;
    }
    Ok(())
}

fn print_outcome(job: &Job, outcome: &Outcome) {
    for shard in &job.shards {
        let (path, len) = (shard.path.display(), DecimalBytes(shard.len));
        match shard.is_aligned {
            true => say(format_args!("{path} ({len}): aligned already, left as it is")),
            false => say(format_args!(
                "{path} ({len}): {} of {} tensors on block boundaries, before {}",
                shard.on_boundary.1, shard.tensors, shard.on_boundary.0
            )),
        }
    }
    let (bytes, files) = (&outcome.bytes, outcome.written.len());
    say(format_args!(
        "wrote {}: copied {}, shared {} with the original",
        counted(files, "file"),
        DecimalBytes(bytes.copied + bytes.header),
        DecimalBytes(bytes.cloned)
    ));
    if let Some(verified) = &outcome.verified {
        report::print_verified(verified);
    }
}
