//! `ggraft plan`: what `ggraft convert` would do with the same flags.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use ggraft_platform::{AtomicFile, Flushed, Links};

use super::messages::start_logging;
use super::options::OptionArgs;
use super::stdout;
use crate::conversion::Conversion;
use crate::error::{Error, Result};
use crate::explain::Explanation;

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

    /// List every tensor with its offset, its phase, and what would happen to it
    #[arg(long, conflicts_with_all = ["json", "html"])]
    tensors: bool,

    /// Print the whole plan as JSON
    #[arg(long, conflicts_with = "html")]
    pub(super) json: bool,

    /// Write a page that shows the plan to FILE; it needs nothing else to be looked at
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
        conversion.check_not_a_source("--html", path)?;
        return write_page(&conversion.explain()?, path).map_err(|e| Error::io("cannot write", path, e));
    }
    let explanation = conversion.explain()?;
    match args.json {
        true => stdout::json(|out| explanation.write_json(out)),
        false => stdout::text(|out| explanation.write_text(out, args.tensors)),
    }
}

fn write_page(explanation: &Explanation, path: &Path) -> io::Result<()> {
    let file = AtomicFile::create(path, Links::Follow)?;
    let mut out = BufWriter::new(file.file());
    explanation.write_html(&mut out)?;
    out.flush()?;
    drop(out);
    AtomicFile::flush_all(vec![file], true).and_then(Flushed::publish).map(drop).map_err(|e| e.source)
}
