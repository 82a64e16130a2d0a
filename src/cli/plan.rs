//! `ggraft plan`: what `ggraft convert` would do with the same flags.

use std::path::PathBuf;

use super::messages::start_logging;
use super::options::OptionArgs;
use super::stdout::is_stream;
use super::{publish, stdout};
use crate::conversion::Conversion;
use crate::error::Result;

/// Arguments of `ggraft plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ggraft plan Llama-3.2-1B                          what would be shared, what not, and why
  ggraft plan Llama-3.2-1B --html plan.html         the same as a picture, for a browser
  ggraft plan Llama-3.2-1B --layout split --json    every range of every file, for machines")]
pub struct Args {
    /// Directory that holds the model: config.json, *.safetensors, tokenizer files;
    /// or a repository on the Hugging Face hub, org/name or hf://org/name@revision
    model: PathBuf,

    #[command(flatten)]
    options: OptionArgs,

    /// List every tensor: where it begins in the file, how far that is into a block (PHASE) there and in the checkpoint, and what
    /// would happen to it
    #[arg(long, conflicts_with_all = ["json", "html"])]
    tensors: bool,

    /// Print the whole plan as JSON
    #[arg(long, conflicts_with = "html")]
    pub(super) json: bool,

    /// Write a page that shows the plan to FILE, or to standard output (-); it needs nothing else to be looked at
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Say what is being done
    #[arg(long, short)]
    verbose: bool,
}

/// Runs `ggraft plan`.
pub fn run(args: &Args) -> Result<()> {
    start_logging(args.verbose, false);
    let conversion = Conversion::prepare(&args.options.options(&args.model)?)?;
    if let Some(path) = &args.html {
        let explanation = conversion.explain()?;
        if is_stream(path) {
            return stdout::raw("--html -", |out| explanation.write_html(out));
        }
        conversion.check_not_a_source("--html", path)?;
        return publish::file(path, |out| explanation.write_html(out));
    }
    let explanation = conversion.explain()?;
    match args.json {
        true => stdout::json(|out| explanation.write_json(out)),
        false => {
            let explanation = explanation.on(stdout::columns());
            stdout::text(|out| explanation.write_text(out, args.tensors))
        }
    }
}
