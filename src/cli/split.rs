//! `ggraft split`: one GGUF file becomes several.

use std::path::PathBuf;

use super::sizes::parse_size;
use super::surgery::WritingArgs;
use crate::error::{Error, Result};
use crate::plan::SplitRules;
use crate::surgery::split;

/// Arguments of `ggraft split`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ggraft split model.gguf --max-size 4G -o model         4 GB of tensors in a file at most
  ggraft split model.gguf --max-tensors 100 -o model
  ggraft split model.gguf --no-reflink -o model          byte for byte what llama-gguf-split writes

llama.cpp loads a set by the name of its first file, which has the key-values of all.")]
pub struct Args {
    /// The GGUF file (or any one of a split set, to split it another way)
    file: PathBuf,

    /// What the names of the files begin with: PREFIX-00001-of-0000N.gguf
    #[arg(long, short, value_name = "PREFIX")]
    output: PathBuf,

    /// Start another file beyond this many bytes of tensors (K, M and G are powers of 1000)
    #[arg(long, alias = "split-max-size", value_name = "N[K|M|G]", value_parser = parse_size, conflicts_with = "max_tensors")]
    max_size: Option<u64>,

    /// Start another file after this many tensors [default: 128, without --max-size]
    #[arg(long, alias = "split-max-tensors", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_tensors: Option<u64>,

    /// Put only the key-values into the first file
    #[arg(long)]
    no_tensor_first_split: bool,

    /// Replace outputs that exist
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    pub(super) writing: WritingArgs,
}

/// What llama-gguf-split puts into a file if it is not told.
const USUAL_TENSORS: u64 = 128;

/// Runs `ggraft split`.
pub fn run(args: &Args) -> Result<()> {
    let how = args.writing.begin(args.force)?;
    if args.max_size == Some(0) {
        return Err(Error::usage("--max-size 0: expected a byte at least"));
    }
    let rules = SplitRules {
        max_tensors: args.max_tensors.unwrap_or(if args.max_size.is_some() { 0 } else { USUAL_TENSORS }),
        max_bytes: args.max_size.unwrap_or(0),
        no_tensor_first_split: args.no_tensor_first_split,
    };
    args.writing.write(&split::prepare(&args.file, &args.output, &rules, how)?, |_| Ok(()))
}
