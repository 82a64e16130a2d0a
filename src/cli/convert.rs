//! `ggraft convert`: the reference's flags by the same names, and a few of our own.

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use ggraft_platform::interrupt;

use super::messages::start_logging;
use super::progress::Progress;
use super::{report, stdout_error};
use crate::arch::{self, OutType};
use crate::conversion::{Conversion, Options, Reflink};
use crate::error::{Error, Result};
use crate::plan::{Alignment, Layout, SplitRules};

const SPLITTING: &str = "Splitting";
const SHARING: &str = "Sharing blocks";
const REPORTS: &str = "Reports";

/// Arguments of `ggraft convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ggraft convert Llama-3.2-1B                       default name, in the model's directory
  ggraft convert Llama-3.2-1B --outfile out/        default name, elsewhere
  ggraft convert Llama-3.2-1B --outfile 'm-{ftype}.gguf' --outtype f16
  ggraft convert Llama-3.2-1B --no-reflink          byte for byte what convert_hf_to_gguf.py writes")]
pub struct Args {
    /// Directory of the model as Hugging Face publishes it: config.json, *.safetensors, tokenizer files
    #[arg(required_unless_present = "print_supported_models")]
    model: Option<PathBuf>,

    /// File or directory to write to; {ftype} in a file name becomes the output type [default: a name made from the
    /// model's name, size and type, in the model's directory]
    #[arg(long, value_name = "PATH")]
    outfile: Option<PathBuf>,

    /// Type of the output's tensors; auto keeps the checkpoint's 16-bit type, which is also what can be shared
    #[arg(long, value_name = "TYPE", value_enum, default_value_t = OutTypeArg::Auto)]
    outtype: OutTypeArg,

    /// Write only the tokenizer and the metadata, no tensors
    #[arg(long)]
    vocab_only: bool,

    /// Name of the model [default: from the model card, the configuration or the directory]
    #[arg(long, value_name = "NAME")]
    model_name: Option<String>,

    /// JSON file whose general.* keys override what the model card and the directory's name say
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,

    /// Only print the names of the files that would be written
    #[arg(long)]
    dry_run: bool,

    /// Start another file beyond this many bytes of tensors (K, M and G are powers of 1000); 0 is no limit
    #[arg(long, value_name = "N[K|M|G]", value_parser = parse_size, default_value = "0", help_heading = SPLITTING)]
    split_max_size: u64,

    /// Start another file after this many tensors; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = SPLITTING)]
    split_max_tensors: u64,

    /// Put only the metadata into the first file
    #[arg(long, help_heading = SPLITTING)]
    no_tensor_first_split: bool,

    /// List the architectures that can be converted ("architectures" in config.json), and stop
    #[arg(long)]
    print_supported_models: bool,

    /// Say more about what is being done
    #[arg(long, short, help_heading = REPORTS)]
    verbose: bool,

    /// Whether the output shares disk blocks with the checkpoint instead of holding copies, which takes Btrfs or XFS:
    /// auto does so where possible, always fails where nothing can be shared, never writes byte for byte what
    /// convert_hf_to_gguf.py does
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ReflinkArg::Auto, help_heading = SHARING)]
    reflink: ReflinkArg,

    /// Same as --reflink never
    #[arg(long, conflicts_with = "reflink", help_heading = SHARING)]
    no_reflink: bool,

    #[command(flatten)]
    sharing: SharingArgs,

    /// Print a report for machines (JSON) on standard output
    #[arg(long, help_heading = REPORTS)]
    json: bool,

    /// Print nothing but errors
    #[arg(long, short, help_heading = REPORTS)]
    quiet: bool,

    #[command(flatten)]
    reference: ReferenceOnly,
}

/// How the output is laid out to share more.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = SHARING)]
struct SharingArgs {
    /// One file, or as many as sharing needs (llama.cpp loads them by the name of the first)
    #[arg(long, value_name = "LAYOUT", value_enum, default_value_t = LayoutArg::Single,
          conflicts_with_all = ["split_max_size", "split_max_tensors", "no_tensor_first_split"])]
    layout: LayoutArg,

    /// With --layout split: relaxed puts tensors on the 8-byte grid that checkpoints use, so that more can be shared.
    /// Such files are meant for llama-quantize and llama-gguf-split --merge. llama.cpp itself loads them with
    /// --load-mode none only; memory-mapped on the CPU it aborts
    #[arg(long, value_name = "GRID", value_enum, default_value_t = AlignmentArg::Strict)]
    alignment: AlignmentArg,

    /// Copy runs shorter than this instead of sharing them, to bound fragmentation (K and M are powers of 1024)
    #[arg(long, value_name = "SIZE", value_parser = parse_extent, default_value = "64K")]
    min_extent: u64,
}

impl SharingArgs {
    fn layout(&self) -> Result<Layout> {
        match (self.layout, self.alignment) {
            (LayoutArg::Single, AlignmentArg::Relaxed) => Err(Error::Usage(
                "--alignment relaxed needs --layout split: a single file keeps the 32-byte grid".into(),
            )),
            (LayoutArg::Single, _) => Ok(Layout::Single),
            (LayoutArg::Split, _) => Ok(Layout::Split),
        }
    }

    fn alignment(&self) -> Alignment {
        match self.alignment {
            AlignmentArg::Strict => Alignment::Strict,
            AlignmentArg::Relaxed => Alignment::Relaxed,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LayoutArg {
    Single,
    Split,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AlignmentArg {
    Strict,
    Relaxed,
}

/// Flags of the reference that do nothing here, or are not there yet. Hidden from the help, so
/// that scripts which use them learn what became of them.
#[derive(Debug, clap::Args)]
struct ReferenceOnly {
    #[arg(long, hide = true)]
    use_temp_file: bool,
    #[arg(long, hide = true)]
    no_lazy: bool,
    #[arg(long, hide = true)]
    bigendian: bool,
    #[arg(long, hide = true)]
    remote: bool,
    #[arg(long, hide = true)]
    mmproj: bool,
    #[arg(long, hide = true)]
    mtp: bool,
    #[arg(long, hide = true, alias = "no-mtp")]
    no_nextn: bool,
    #[arg(long, hide = true)]
    dspark: bool,
    #[arg(long, hide = true)]
    mistral_format: bool,
    #[arg(long, hide = true)]
    disable_mistral_community_chat_template: bool,
    #[arg(long, hide = true)]
    sentence_transformers_dense_modules: bool,
    #[arg(long, hide = true)]
    fuse_gate_up_exps: bool,
    #[arg(long, hide = true)]
    fp8_as_q8: bool,
    #[arg(long, hide = true)]
    fuse_qkv: bool,
    #[arg(long, hide = true, value_name = "DIR")]
    target_model_dir: Option<PathBuf>,
}

impl ReferenceOnly {
    fn check(&self) -> Result<()> {
        let missing = [
            ("--bigendian", self.bigendian),
            ("--remote", self.remote),
            ("--mmproj", self.mmproj),
            ("--mtp", self.mtp),
            ("--no-nextn", self.no_nextn),
            ("--dspark", self.dspark),
            ("--mistral-format", self.mistral_format),
            ("--disable-mistral-community-chat-template", self.disable_mistral_community_chat_template),
            ("--sentence-transformers-dense-modules", self.sentence_transformers_dense_modules),
            ("--fuse-gate-up-exps", self.fuse_gate_up_exps),
            ("--fp8-as-q8", self.fp8_as_q8),
            ("--fuse-qkv", self.fuse_qkv),
            ("--target-model-dir", self.target_model_dir.is_some()),
        ];
        if let Some((flag, _)) = missing.iter().find(|(_, given)| *given) {
            return Err(Error::Unsupported(format!(
                "{flag} is a flag of convert_hf_to_gguf.py that ggraft does not have yet"
            )));
        }
        for (flag, given) in [("--use-temp-file", self.use_temp_file), ("--no-lazy", self.no_lazy)] {
            if given {
                tracing::warn!("{flag} has no effect: ggraft never holds tensors in memory");
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum OutTypeArg {
    Auto,
    F32,
    F16,
    Bf16,
    #[value(hide = true)]
    Q8_0,
    #[value(hide = true)]
    Tq1_0,
    #[value(hide = true)]
    Tq2_0,
}

impl OutTypeArg {
    fn resolve(self) -> Result<OutType> {
        match self {
            Self::Auto => Ok(OutType::Auto),
            Self::F32 => Ok(OutType::F32),
            Self::F16 => Ok(OutType::F16),
            Self::Bf16 => Ok(OutType::Bf16),
            Self::Q8_0 | Self::Tq1_0 | Self::Tq2_0 => Err(Error::Unsupported(
                "--outtype q8_0, tq1_0 and tq2_0 are not there yet; convert to bf16 and use llama-quantize"
                    .into(),
            )),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReflinkArg {
    Auto,
    Always,
    Never,
}

/// A size as the reference reads it: a number, optionally followed by K, M or G (powers of 1000).
fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 1000),
        Some(b'M') => (&text[..text.len() - 1], 1_000_000),
        Some(b'G') => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1u64),
    };
    let number: u64 = digits.parse().map_err(|_| "expected a number, optionally followed by K, M or G")?;
    number.checked_mul(unit).ok_or_else(|| "too large".into())
}

/// A size in bytes, optionally followed by K or M (powers of 1024, as file systems count).
fn parse_extent(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1u64),
    };
    let number: u64 = digits.parse().map_err(|_| "expected a number, optionally followed by K or M")?;
    number.checked_mul(unit).ok_or_else(|| "too large".into())
}

/// Runs `ggraft convert`.
pub fn run(args: &Args) -> Result<()> {
    start_logging(args.verbose, args.quiet);
    if args.print_supported_models {
        let mut out = std::io::stdout().lock();
        return arch::supported().try_for_each(|(name, _)| writeln!(out, "{name}")).map_err(stdout_error);
    }
    args.reference.check()?;
    interrupt::install().map_err(|e| Error::io("cannot install", "signal handlers", e))?;
    let options = Options {
        model: args.model.clone().ok_or_else(|| Error::Usage("name a model directory".into()))?,
        outfile: args.outfile.clone(),
        outtype: args.outtype.resolve()?,
        vocab_only: args.vocab_only,
        model_name: args.model_name.clone(),
        metadata: args.metadata.clone(),
        splits: SplitRules {
            max_tensors: args.split_max_tensors,
            max_bytes: args.split_max_size,
            no_tensor_first_split: args.no_tensor_first_split,
        },
        layout: args.sharing.layout()?,
        alignment: args.sharing.alignment(),
        min_extent: args.sharing.min_extent,
        reflink: match args.reflink {
            _ if args.no_reflink => Reflink::Never,
            ReflinkArg::Auto => Reflink::Auto,
            ReflinkArg::Always => Reflink::Always,
            ReflinkArg::Never => Reflink::Never,
        },
    };
    let conversion = Conversion::prepare(&options)?;
    if args.dry_run {
        let mut out = std::io::stdout().lock();
        return (conversion.plan.outputs.iter())
            .try_for_each(|o| writeln!(out, "{}", o.path.display()))
            .map_err(stdout_error);
    }
    let progress = Progress::start(conversion.plan.bytes(), args.quiet);
    let result = conversion.run(&mut |bytes| progress.advance(bytes));
    progress.finish();
    let outcome = result?;
    if args.json {
        writeln!(std::io::stdout().lock(), "{:#}", outcome.to_json()).map_err(stdout_error)?;
    }
    if !args.quiet {
        report::print(&outcome);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_the_references() {
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("300"), Ok(300));
        assert_eq!(parse_size("2G"), Ok(2_000_000_000));
        assert_eq!(parse_size("5M"), Ok(5_000_000));
        for bad in ["", "G", "-1", "1.5G", "2g", "99999999999G", "1KiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
