//! `ggraft lora`: the flags of `convert_lora_to_gguf.py` by the same names, and a few of our own.

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::ArgAction;

use super::options::{OutTypeArg, each_once};
use super::report_args::ReportArgs;
use super::several::{self, Names};
use super::{report, stdout, stream};
use crate::arch;
use crate::conversion::{Conversion, Options, Reflink};
use crate::describe;
use crate::error::{Error, Result};

/// Arguments of `ggraft lora`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What comes out is the adapter alone, byte for byte what convert_lora_to_gguf.py writes; llama.cpp adds it to a model \
when it loads that: llama-cli -m MODEL.gguf --lora ADAPTER.gguf.

Examples:
  ggraft lora my-adapter --base Llama-3.2-1B        default name, in the adapter's directory
  ggraft lora my-adapter                            base model as the adapter names it
  ggraft lora adapters/* --outtype f16,q8_0 --outfile out/
  ggraft lora my-adapter --merge                    base model and adapter in one GGUF

--merge needs the base model's weights, and no merged checkpoint: matrices are computed as they are written. It is \
short for `ggraft convert BASE --lora my-adapter --outfile my-adapter`, which has all flags of convert.")]
pub struct Args {
    /// Directory that holds the adapter as PEFT saves it: adapter_config.json, adapter_model.safetensors. Several are
    /// converted one after the other, whatever becomes of those before
    #[arg(required = true, value_name = "ADAPTER")]
    adapters: Vec<PathBuf>,

    /// Directory of the model that the adapter is for; its config.json and tokenizer will do [default: what the adapter
    /// names, a directory or a model in the Hugging Face cache]
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,

    /// Id of that model (ORG/NAME), which becomes the adapter's name; taken from the Hugging Face cache unless --base
    /// says where it is
    #[arg(long, value_name = "ID")]
    base_model_id: Option<String>,

    /// Write the base model with the adapter in it instead: W + scale · B · A, as PEFT's merge_and_unload computes it
    #[arg(long)]
    merge: bool,

    /// File or directory to write to, or - for standard output; {ftype} in a file name becomes the output type [default: a name made from the
    /// adapter's name and type, in the adapter's directory]
    #[arg(long, short, alias = "output", value_name = "PATH")]
    outfile: Option<PathBuf>,

    /// Type of the output's matrices; auto keeps the 16-bit type there is. Several with commas between make a file of each
    /// [default: f32; with --merge auto]
    #[arg(long, value_name = "TYPE", value_enum, ignore_case = true, action = ArgAction::Set, value_delimiter = ',')]
    outtype: Vec<OutTypeArg>,

    /// Name of what is written [default: from the adapter's card or directory; with --merge from the base model's]
    #[arg(long, value_name = "NAME")]
    model_name: Option<String>,

    /// JSON file whose general.* keys override what the card and the directory's name say
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,

    /// Threads that read, convert and write [default: as many as there are processors, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Do not wait until the output is on the disk before it gets its name
    #[arg(long)]
    no_fsync: bool,

    /// With --merge: do not share blocks with the base model where those stay as they are
    #[arg(long, requires = "merge")]
    no_reflink: bool,

    /// Only print the name of the file that would be written
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    pub(super) reports: ReportArgs,

    #[command(flatten)]
    reference: ReferenceOnly,
}

/// Flags of `convert_lora_to_gguf.py` without a meaning here.
#[derive(Debug, clap::Args)]
struct ReferenceOnly {
    #[arg(long, hide = true)]
    no_lazy: bool,
    #[arg(long, hide = true)]
    bigendian: bool,
    #[arg(long, hide = true)]
    trust_remote_code: bool,
}

impl ReferenceOnly {
    /// Refuses what would change the output, warns of what has no effect.
    fn check(&self) -> Result<()> {
        if self.bigendian {
            let problem = "--bigendian is a flag of convert_lora_to_gguf.py that ggraft does not have yet";
            return Err(Error::unsupported(problem));
        }
        if self.no_lazy {
            tracing::warn!("--no-lazy has no effect: ggraft never holds tensors in memory");
        }
        if self.trust_remote_code {
            tracing::warn!("--trust-remote-code has no effect: ggraft runs no code of a model");
        }
        Ok(())
    }
}

impl Args {
    /// Every adapter in every type, if any can be in all of them.
    fn wanted<'a>(&'a self) -> Result<Vec<(&'a Path, OutTypeArg)>> {
        self.reference.check()?;
        let usual = if self.merge { OutTypeArg::Auto } else { OutTypeArg::F32 };
        let types = if self.outtype.is_empty() { vec![usual] } else { each_once(&self.outtype) };
        let ternary = |kind: &OutTypeArg| matches!(kind, OutTypeArg::Tq1_0 | OutTypeArg::Tq2_0);
        if !self.merge && types.iter().any(ternary) {
            let problem = "--outtype: an adapter can be f32, f16, bf16, q8_0 or auto";
            return Err(Error::usage(problem));
        }
        let of = |adapter: &'a Path| types.iter().map(move |kind| (adapter, *kind));
        let wanted: Vec<_> = self.adapters.iter().flat_map(|adapter| of(adapter)).collect();
        several::check(wanted.len(), self.outfile.as_deref())?;
        Ok(wanted)
    }

    /// What to make of `adapter`.
    fn options(&self, adapter: &Path, outtype: OutTypeArg) -> Result<Options> {
        let describe = describe::Options {
            arch: arch::Options { out: outtype.into(), ..arch::Options::default() },
            model_name: self.model_name.clone(),
            metadata: self.metadata.clone(),
            base: self.base.clone(),
            base_model_id: self.base_model_id.clone(),
            adapter: self.merge.then(|| adapter.to_owned()),
            ..describe::Options::default()
        };
        let model = match self.merge {
            true => describe::base_of(adapter, &describe)?,
            false => adapter.to_owned(),
        };
        let outfile = self.outfile.clone().unwrap_or_else(|| adapter.to_owned());
        // Adapters are small, and whoever makes one wants the reference's.
        let share = self.merge && !self.no_reflink;
        Ok(Options {
            describe,
            adapter: !self.merge,
            reflink: if share { Reflink::Auto } else { Reflink::Never },
            fsync: !self.no_fsync,
            threads: self.threads.and_then(|n| NonZeroUsize::new(n.into())),
            ..Options::new(model, outfile)
        })
    }
}

/// Runs `ggraft lora`. Some of several conversions may fail, which is no error but has an exit code.
pub fn run(args: &Args) -> Result<ExitCode> {
    args.reports.begin()?;
    several::run(&args.wanted()?, args.reports.json, |(adapter, outtype), names| {
        convert(args, &args.options(adapter, *outtype)?, names)
    })
}

fn convert(args: &Args, options: &Options, names: &mut Names) -> Result<()> {
    if options.outfile.as_deref().is_some_and(stdout::is_stream) {
        return stream::conversion(options, &args.reports, args.reports.json || args.dry_run);
    }
    let began = Instant::now();
    let conversion = Conversion::prepare(options)?;
    names.claim(options, &conversion.plan)?;
    if args.dry_run {
        return report::print_names(&conversion.plan);
    }
    let outcome = args.reports.watch(conversion.work(), |advance| conversion.run(advance))?;
    report::warn(&outcome);
    if args.reports.json {
        let json = report::to_json(&outcome, &conversion.notes);
        stdout::json(|out| writeln!(out, "{json:#}"))?;
    }
    if !args.reports.quiet {
        let source = if args.merge { "the checkpoint" } else { "the adapter" };
        report::print_parts(&outcome, began.elapsed(), source);
        report::print_notes(&conversion.notes);
    }
    Ok(())
}
