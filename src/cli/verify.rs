//! `ggraft verify`: proves that a GGUF file is what becomes of a model.

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::messages::{explain_difference, start_logging};
use super::options::HubArgs;
use super::progress::Progress;
use super::{catch_signals, stdout};
use crate::describe;
use crate::error::{Error, Result};
use crate::input::shell_word;
use crate::verify::{self, Options};

/// Arguments of `ggraft verify`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Whatever made the file, ggraft or convert_hf_to_gguf.py: types, order, padding, splits and joined \
matrices are taken from it. Padding between tensors must be zeros; the header's own padding is not looked at. \
Exits with 6 if the file differs from the model."
)]
pub struct Args {
    /// The GGUF file, any one of a split set
    gguf: PathBuf,

    /// Directory of the model it should be made of, or a repository on the hub: of that only headers are read, unless
    /// --read-all is given [default: only the file's structure is looked at]
    model: Option<PathBuf>,

    #[command(flatten)]
    hub: HubArgs,

    /// Directory of the LoRA adapter that was merged into the model
    #[arg(long, value_name = "ADAPTER_DIR", requires = "model")]
    lora: Option<PathBuf>,

    /// If the file is an adapter's, and MODEL the adapter's directory: the model that it is for
    #[arg(long, value_name = "DIR", requires = "model")]
    base: Option<PathBuf>,

    /// Read everything, even what the file system says to be the same blocks, and all of a model on the hub
    #[arg(long)]
    read_all: bool,

    /// The --model-name it was converted with
    #[arg(long, value_name = "NAME")]
    model_name: Option<String>,

    /// The --metadata it was converted with
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,

    /// Directory of the model that a draft model drafts for
    #[arg(long, value_name = "DIR")]
    target_model_dir: Option<PathBuf>,

    /// It was converted with --mistral-format
    #[arg(long)]
    mistral_format: bool,

    /// It was converted with --disable-mistral-community-chat-template
    #[arg(long)]
    disable_mistral_community_chat_template: bool,

    /// Threads that read and compute [default: as many as there are processors, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,

    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Refuses what was named in the wrong order, or is for another command.
fn check_order(args: &Args) -> Result<()> {
    let Some(model) = args.model.as_deref().filter(|model| model.is_file()) else { return Ok(()) };
    let word = |path: &Path| shell_word(&path.to_string_lossy());
    let (first, second) = (word(&args.gguf), word(model));
    if args.gguf.is_dir() {
        let problem =
            format!("{} is a directory: the GGUF file comes first, then the model", args.gguf.display());
        let error = Error::usage(problem).about(&args.gguf);
        return Err(error.hint(format!("`ggraft verify {second} {first}`")));
    }
    if model.extension().is_some_and(|extension| extension == "gguf") {
        let problem = format!("{} is a GGUF file: expected the directory of a model", model.display());
        let error = Error::usage(problem).about(model);
        return Err(error.hint(format!("`ggraft diff {first} {second}` compares two GGUF files")));
    }
    Ok(())
}

/// Runs `ggraft verify`. That the file differs is no error, but has an exit code.
pub fn run(args: &Args) -> Result<ExitCode> {
    start_logging(false, true);
    catch_signals()?;
    let options = Options {
        gguf: args.gguf.clone(),
        model: args.model.clone(),
        on_hub: args.hub.on_hub(),
        describe: describe::Options {
            model_name: args.model_name.clone(),
            metadata: args.metadata.clone(),
            target_model: args.target_model_dir.clone(),
            adapter: args.lora.clone(),
            base: args.base.clone(),
            mistral_format: args.mistral_format,
            own_template_only: args.disable_mistral_community_chat_template,
            ..describe::Options::default()
        },
        read_all: args.read_all,
        threads: args.threads.and_then(|n| NonZeroUsize::new(n.into())),
    };
    check_order(args)?;
    let report = Progress::watch(0, args.quiet, |progress| {
        verify::verify(&options, &mut |bytes| progress.expect(bytes), &mut |bytes| progress.advance(bytes))
    })?;
    match args.json {
        true => stdout::json(|out| writeln!(out, "{:#}", report.to_json()))?,
        false => stdout::text(|out| report.write_text(out))?,
    }
    let count = report.differences.len();
    if count == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(explain_difference(&args.gguf, "the model", count))
}
