//! `ggraft pull`: a model from the hub, aligned as it comes, and its GGUF in the same go.

use std::io::Write;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Instant;

use ggraft_platform::can_clone_within;
use indicatif::DecimalBytes;
use serde_json::json;

use super::messages::say;
use super::options::{HubArgs, OutTypeArg};
use super::report_args::ReportArgs;
use super::sizes::parse_size;
use super::{report, stdout};
use crate::conversion::{Conversion, Options};
use crate::error::{Error, Result};
use crate::input::{counted, one_line};
use crate::plan::Outlook;
use crate::pull::{self, Outcome, Pull};
use crate::source::OnHub;
use crate::write::Report;

/// Arguments of `ggraft pull`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ggraft pull meta-llama/Llama-3.2-1B                to Llama-3.2-1B in this directory, aligned
  ggraft pull meta-llama/Llama-3.2-1B --gguf         and the GGUF, sharing blocks if possible
  ggraft pull meta-llama/Llama-3.2-1B --dry-run      what that takes
  ggraft pull org/name@v1.0 DIR --plain              the published bytes, elsewhere

The hub's SHA-256 of every file is checked. What was stopped, by whatever, goes on with the same command.")]
pub struct Args {
    /// The repository: org/name, hf://org/name@revision
    model: PathBuf,

    /// New directory to download to, or one whose download was stopped [default: the repository's name, here]
    dir: Option<PathBuf>,

    #[command(flatten)]
    hub: HubArgs,

    /// Keep files as they are published; then conversions share less
    #[arg(long)]
    plain: bool,

    /// Also download what no conversion reads: the same weights in other formats, pictures
    #[arg(long)]
    all: bool,

    /// Make the GGUF, too, in the same directory
    #[arg(long)]
    gguf: bool,

    /// With --gguf: type of its tensors
    #[arg(long, value_name = "TYPE", value_enum, ignore_case = true, default_value_t = OutTypeArg::Auto, requires = "gguf")]
    outtype: OutTypeArg,

    /// Requests at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    streams: u16,

    /// Download at most this many bytes a second (K, M and G are powers of 1000)
    #[arg(long, value_name = "N[K|M|G]", value_parser = parse_size)]
    limit_rate: Option<u64>,

    /// Write nothing; tell what would be downloaded, and what space that takes
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    pub(super) reports: ReportArgs,
}

/// Runs `ggraft pull`.
pub fn run(args: &Args) -> Result<()> {
    args.reports.begin()?;
    let pull = Pull::prepare(&pull::Options {
        model: args.model.clone(),
        revision: args.hub.revision.clone(),
        dir: args.dir.clone(),
        plain: args.plain,
        all: args.all,
        streams: args.streams.into(),
        rate: args.limit_rate.and_then(NonZeroU64::new),
    })?;
    if args.dry_run {
        return dry_run(args, &pull);
    }
    let (missing, free) = (pull.missing(), pull.free()?);
    if missing.saturating_sub(pull.partial()) > free {
        let problem = format!("needs {missing} bytes, the file system has {free} free");
        let full = std::io::Error::new(std::io::ErrorKind::StorageFull, problem);
        return Err(Error::io("too little space for", &pull.dir, full));
    }
    if !args.reports.quiet {
        announce(&pull);
    }
    let outcome = args.reports.watch(missing, |advance| pull.run(advance)).inspect_err(|_| {
        if !args.reports.quiet {
            say(format_args!("what has come is kept: the same command goes on from there"));
        }
    })?;
    let began = Instant::now();
    let gguf = args.gguf.then(|| convert(args, &pull)).transpose()?;
    let took = began.elapsed();
    if args.reports.json {
        let mut json = pull.to_json(&outcome);
        json["gguf"] = gguf.as_ref().map(Report::to_json).unwrap_or_default();
        stdout::json(|out| writeln!(out, "{json:#}"))?;
    }
    if !args.reports.quiet {
        tell(&pull, &outcome);
        gguf.iter().for_each(|report| report::print(report, took));
    }
    Ok(())
}

/// The conversion that follows.
fn options(args: &Args, pull: &Pull) -> Options {
    let mut options = Options::new(&pull.dir, &pull.dir);
    options.describe.arch.out = args.outtype.into();
    options
}

fn convert(args: &Args, pull: &Pull) -> Result<Report> {
    let conversion = Conversion::prepare(&options(args, pull))?;
    let report = args.reports.watch(conversion.work(), |advance| conversion.run(advance))?;
    report::warn(&report);
    Ok(report)
}

fn announce(pull: &Pull) {
    let here = pull.files.iter().filter(|file| file.is_here).count();
    let (files, bytes) = (counted(pull.files.len() - here, "file"), DecimalBytes(pull.missing()));
    let (id, commit, dir) = (&pull.manifest.id, &pull.manifest.commit, pull.dir.display());
    let already = match here {
        0 => String::new(),
        1 => ", 1 is there already".into(),
        n => format!(", {n} are there already"),
    };
    say(format_args!("{id} at {commit}: {files} of {bytes} to {dir}{already}"));
    if !pull.left_out.is_empty() {
        let files = counted(pull.left_out.len(), "file");
        say(format_args!("left out: {files} that no conversion reads (--all takes them)"));
    }
}

fn tell(pull: &Pull, outcome: &Outcome) {
    let (fetched, dir) = (DecimalBytes(outcome.fetched), pull.dir.display());
    match outcome.aligned {
        0 => say(format_args!("{dir} is complete: fetched {fetched}")),
        n => {
            let files = counted(n, "file");
            say(format_args!("{dir} is complete: fetched {fetched}, aligned {files} on the way"));
        }
    }
}

/// What it would take.
fn dry_run(args: &Args, pull: &Pull) -> Result<()> {
    let model = Options {
        on_hub: OnHub { remote: false, revision: Some(pull.manifest.commit.clone()) },
        ..Options::new(format!("hf://{}", pull.manifest.id), "-")
    };
    let (bytes, free, shares) = (pull.bytes(), pull.free()?, shares(pull));
    let gguf = match args.gguf {
        true => {
            let mut model = model;
            model.describe.arch.out = args.outtype.into();
            let conversion = Conversion::prepare(&model)?;
            Some(match shares {
                true => conversion.beside(!args.plain)?,
                false => Outlook::of(&conversion.plan.outputs),
            })
        }
        false => None,
    };
    let gguf = gguf.map(|outlook| (outlook.bytes, outlook.shared.0));
    let peak = bytes.saturating_add(gguf.map_or(0, |(bytes, shared)| bytes - shared));
    if args.reports.json {
        let mut json = pull.to_json(&Outcome::default());
        json["gguf_bytes"] = json!(gguf.map(|(bytes, _)| bytes));
        json["gguf_shared_bytes"] = json!(gguf.map(|(_, shared)| shared));
        json["shares_blocks"] = json!(shares);
        json["peak_bytes"] = json!(peak);
        json["free_bytes"] = json!(free);
        return stdout::json(|out| writeln!(out, "{json:#}"));
    }
    stdout::text(|out| {
        for file in &pull.files {
            let note = if file.is_here { "  (here)" } else { "" };
            writeln!(
                out,
                "{:>12}  {}{note}",
                DecimalBytes(file.len).to_string(),
                one_line(&file.path.to_string_lossy())
            )?;
        }
        for path in &pull.left_out {
            writeln!(out, "    left out  {}", one_line(&path.to_string_lossy()))?;
        }
        writeln!(out, "{} at {}", one_line(&pull.manifest.id), pull.manifest.commit)?;
        writeln!(out, "to download: {} of {}", DecimalBytes(pull.missing()), DecimalBytes(bytes))?;
        if let Some((bytes, shared)) = gguf {
            let how = match shared {
                0 => "which takes its own space".into(),
                shared => format!("of which {} are shared with the checkpoint", DecimalBytes(shared)),
            };
            writeln!(out, "GGUF: {}, {how}", DecimalBytes(bytes))?;
        }
        writeln!(out, "on the disk at most: {}; free: {}", DecimalBytes(peak), DecimalBytes(free))
    })
}

/// Whether files beside each other can share blocks where it goes.
fn shares(pull: &Pull) -> bool {
    let dir = if pull.dir.is_dir() { pull.dir.as_path() } else { ggraft_platform::parent(&pull.dir) };
    can_clone_within(dir).is_ok()
}
