//! `ggraft convert`: the reference's flags by the same names, and a few of our own.

use std::io::Write as _;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use super::events::{self, Events};
use super::messages::{start_logging, warnings};
use super::options::{OptionArgs, REPORTS, parse_size};
use super::progress::Progress;
use super::{catch_signals, report, stdout};
use crate::arch;
use crate::conversion::{Conversion, Options};
use crate::describe::Note;
use crate::error::{Error, Result};
use crate::input::one_line;

/// Arguments of `ggraft convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ggraft convert Llama-3.2-1B                       default name, in the model's directory
  ggraft convert Llama-3.2-1B --outfile out/        default name, elsewhere
  ggraft convert Llama-3.2-1B --outfile 'm-{ftype}.gguf' --outtype f16
  ggraft convert Llama-3.2-1B --no-reflink          byte for byte what convert_hf_to_gguf.py writes")]
pub struct Args {
    /// Directory that holds the model: config.json, *.safetensors, tokenizer files
    #[arg(required_unless_present = "print_supported_models")]
    model: Option<PathBuf>,

    #[command(flatten)]
    options: OptionArgs,

    /// Threads that read, convert and write [default: as many as there are processors, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Write at most this many bytes a second (K, M and G are powers of 1000)
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

    /// Say more about what is being done
    #[arg(long, short, help_heading = REPORTS)]
    verbose: bool,

    /// Print a report for machines (JSON) on standard output
    #[arg(long, help_heading = REPORTS)]
    pub(super) json: bool,

    /// Print nothing but errors
    #[arg(long, short, help_heading = REPORTS)]
    quiet: bool,

    /// For `ggraft batch`: tell what happens, an object a line
    #[arg(long, hide = true, value_name = "-", value_parser = ["-"], conflicts_with = "json")]
    events: Option<String>,

    /// For `ggraft batch`: wait for a line on standard input, and stop when that ends
    #[arg(long, hide = true, requires = "events")]
    hold: bool,
}

/// Runs `ggraft convert`.
pub fn run(args: &Args) -> Result<()> {
    start_logging(args.verbose, args.quiet);
    if args.print_supported_models {
        return stdout::text(|out| arch::supported().try_for_each(|(name, _)| writeln!(out, "{name}")));
    }
    catch_signals()?;
    let model = args.model.as_deref().ok_or_else(|| Error::usage("name a model directory"))?;
    let options = Options {
        fsync: !args.no_fsync,
        verify: args.verify,
        threads: args.threads.and_then(|n| NonZeroUsize::new(n.into())),
        rate: args.io_limit.and_then(NonZeroU64::new),
        ..args.options.options(model)?
    };
    let mut events = Events::new(args.events.is_some());
    let result = convert(args, model, &options, &mut events);
    if let Err(error) = &result {
        events.failed(error);
    }
    result
}

fn convert(args: &Args, model: &Path, options: &Options, events: &mut Events) -> Result<()> {
    let conversion = Conversion::prepare(options)?;
    if args.dry_run {
        let mut names = conversion.plan.outputs.iter().map(|o| one_line(&o.path.to_string_lossy()));
        return stdout::text(|out| names.try_for_each(|name| writeln!(out, "{name}")));
    }
    events.planned(&conversion);
    if args.hold {
        events::hold()?;
    }
    let progress = Progress::start(conversion.work(), args.quiet);
    let result = conversion.run(&mut |bytes| {
        progress.advance(bytes);
        events.advance(bytes);
    });
    progress.finish();
    let outcome = result?;
    report::warn(&outcome);
    if args.json || args.events.is_some() {
        let mut json = outcome.to_json();
        json["left_out"] = conversion.notes.iter().map(Note::to_json).collect();
        json["warnings"] = warnings().into();
        events.finished(&json);
        if args.json {
            stdout::json(|out| writeln!(out, "{json:#}"))?;
        }
    }
    if !args.quiet {
        report::print(&outcome);
        report::print_notes(&conversion.notes);
        if conversion.may_share() {
            report::print_advice(conversion.brief_advice()?.as_ref(), &outcome, model);
        }
    }
    Ok(())
}
