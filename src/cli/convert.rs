//! `ggraft convert`: the reference's flags by the same names, and a few of our own.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::Write as _;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::events::{Events, Master};
use super::options::OptionArgs;
use super::report_args::ReportArgs;
use super::several::{self, Names};
use super::sizes::parse_size;
use super::{report, stdout, stream};
use crate::arch;
use crate::conversion::{Conversion, Options};
use crate::error::{Error, Result};
use crate::plan::{Alignment, Layout};
use crate::write::Control;

/// Arguments of `ggraft convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ggraft convert Llama-3.2-1B                       default name, in the model's directory
  ggraft convert Llama-3.2-1B --outfile out/        default name, elsewhere
  ggraft convert Llama-3.2-1B --outfile 'm-{ftype}.gguf' --outtype f16
  ggraft convert models/* --outfile out/ --outtype bf16,q8_0
  ggraft convert Llama-3.2-1B --no-reflink          byte for byte what convert_hf_to_gguf.py writes
  ggraft convert meta-llama/Llama-3.2-1B            from the hub, and no copy of the checkpoint here
  ggraft convert Llama-3.2-1B --outfile - | ssh …   no file here, the same bytes elsewhere")]
pub struct Args {
    /// Directory that holds the model: config.json, *.safetensors, tokenizer files;
    /// or a repository on the Hugging Face hub, org/name or hf://org/name@revision. Several are converted one after the
    /// other, whatever becomes of those before
    #[arg(required_unless_present = "print_supported_models", value_name = "MODEL")]
    models: Vec<PathBuf>,

    #[command(flatten)]
    options: OptionArgs,

    /// Threads that read, convert and write [default: as many as there are processors, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Read at most this many bytes a second, and write at most as many (K, M and G are powers of 1000)
    #[arg(long, value_name = "N[K|M|G]", value_parser = parse_size)]
    io_limit: Option<u64>,

    /// Do not wait until the output is on the disk before it gets its name. Faster, but a power failure within the next
    /// half minute can leave a file of the right length full of zeros, also in place of an older, complete one
    #[arg(long)]
    no_fsync: bool,

    /// The default
    #[arg(long, hide = true, overrides_with = "no_fsync")]
    fsync: bool,

    /// Read what was written again and compare it with the checkpoint before it gets its name; blocks that are shared need
    /// not be read. If anything differs, nothing is written, and ggraft exits with 6
    #[arg(long)]
    verify: bool,

    /// Only print the names of the files that would be written
    #[arg(long)]
    dry_run: bool,

    /// List the architectures that can be converted ("architectures" in config.json), and stop
    #[arg(long)]
    print_supported_models: bool,

    #[command(flatten)]
    pub(super) reports: ReportArgs,

    /// For `ggraft batch`: tell what happens, an object a line
    #[arg(long, hide = true, value_name = "-", value_parser = ["-"], conflicts_with = "json")]
    events: Option<String>,

    /// For `ggraft batch`: wait for a line on standard input before writing and once more before publishing, and stop when
    /// that ends
    #[arg(long, hide = true, requires = "events")]
    hold: bool,
}

impl Args {
    /// Every model in every type.
    fn wanted(&self) -> Result<Vec<Options>> {
        let mut wanted = Vec::new();
        for model in &self.models {
            for mut options in self.options.for_each_type(model)? {
                options.fsync = !self.no_fsync;
                options.verify = self.verify;
                options.threads = self.threads.and_then(|n| NonZeroUsize::new(n.into()));
                options.rate = self.io_limit.and_then(NonZeroU64::new);
                wanted.push(options);
            }
        }
        if wanted.len() > 1 && self.events.is_some() {
            return Err(Error::usage(
                "--events: expected one model and one type; in a batch, name each on its own",
            ));
        }
        several::check(wanted.len(), wanted.first().and_then(|options| options.outfile.as_deref()))?;
        Ok(wanted)
    }

    /// What one job of `ggraft batch` whose model is `model` must not have of these.
    pub fn not_for_batch(&self, model: &Path) -> Option<&'static str> {
        let problems = [
            (self.models != [model], "a second model: each is a job of its own"),
            (self.options.is_several(), "several types: each is a job of its own"),
            (self.options.outfile().is_some_and(stdout::is_stream), "--outfile -: outputs are files"),
            (self.print_supported_models, "--print-supported-models: nothing is converted"),
            (self.dry_run, "--dry-run: it is for the whole list, before the list's name"),
            (self.reports.json || self.events.is_some() || self.hold, "--json: --events tells what happens"),
        ];
        problems.into_iter().find_map(|(is, problem)| is.then_some(problem))
    }

    /// The flags of the model.
    pub fn options(&self) -> &OptionArgs {
        &self.options
    }

    /// Arguments of `ggraft verify` for what these make of the model.
    pub fn for_verify(&self) -> Vec<OsString> {
        self.options.for_verify()
    }
}

/// Runs `ggraft convert`. Some of several conversions may fail, which is no error but has an exit code.
pub fn run(args: &Args) -> Result<ExitCode> {
    args.reports.begin()?;
    if args.print_supported_models {
        return print_supported_models().map(|()| ExitCode::SUCCESS);
    }
    if matches!(args.options.grid(), Ok((Layout::Split, Alignment::Relaxed))) {
        tracing::warn!(
            "--alignment relaxed: these files are for llama-quantize and llama-gguf-split --merge; llama.cpp itself loads \
             them with --load-mode none or dio only"
        );
    }
    several::run(&args.wanted()?, args.reports.json, |options, names| run_one(args, options, names))
}

/// One conversion; `names` are what those before in the same run have written.
fn run_one(args: &Args, options: &Options, names: &mut Names) -> Result<()> {
    if options.outfile.as_deref().is_some_and(stdout::is_stream) {
        let needs_file = args.reports.json || args.verify || args.dry_run;
        return stream::conversion(options, &args.reports, needs_file);
    }
    let mut events = Events::new(args.events.is_some());
    let result = convert(args, options, names, &mut events);
    if let Err(error) = &result {
        events.failed(error);
    }
    result
}

/// All names, under the reference's headings.
fn print_supported_models() -> Result<()> {
    let mut text: Vec<&str> = arch::supported().map(|(name, _)| name).collect();
    let mut projectors: Vec<&str> = arch::supported_projectors().collect();
    text.sort_unstable();
    projectors.sort_unstable();
    stdout::text(|out| {
        for (heading, names) in [("TEXT models:", &text), ("MMPROJ models:", &projectors)] {
            writeln!(out, "{heading}")?;
            names.iter().try_for_each(|name| writeln!(out, "  - {name}"))?;
        }
        Ok(())
    })
}

fn convert(args: &Args, options: &Options, names: &mut Names, events: &mut Events) -> Result<()> {
    let began = Instant::now();
    let conversion = Conversion::prepare(options)?;
    names.claim(options, &conversion.plan)?;
    if args.dry_run {
        return report::print_names(&conversion.plan);
    }
    events.planned(&conversion);
    let master = args.hold.then(Master::listen);
    master.as_ref().map_or(Ok(()), Master::wait)?;
    let events = RefCell::new(events);
    let result = args.reports.watch(conversion.work(), |advance| {
        let advance = &mut |bytes| {
            advance(bytes);
            events.borrow_mut().advance(bytes);
        };
        let Some(master) = &master else { return conversion.run(advance) };
        let ready = &mut |files: &[_]| {
            events.borrow().ready(&conversion, options.fsync, files)?;
            master.wait()
        };
        let heard = master.rate();
        let heard = || NonZeroU64::new(heard.load(Ordering::Relaxed));
        let rate = || [options.rate, heard()].into_iter().flatten().min();
        conversion.run_controlled(advance, Control { ready, rate: &rate })
    });
    let events = events.into_inner();
    let outcome = result?;
    report::warn(&outcome);
    if args.reports.json || args.events.is_some() {
        let json = report::to_json(&outcome, &conversion.notes);
        events.finished(&json);
        if args.reports.json {
            stdout::json(|out| writeln!(out, "{json:#}"))?;
        }
    }
    if !args.reports.quiet {
        report::print(&outcome, began.elapsed());
        report::print_notes(&conversion.notes);
        if conversion.may_share() {
            report::print_advice(conversion.brief_advice()?.as_ref(), &outcome, &options.model);
        }
    }
    Ok(())
}
