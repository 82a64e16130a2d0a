//! `ggraft inspect`: shows a GGUF file with all its splits, or a checkpoint.

use std::num::NonZeroU64;
use std::path::PathBuf;

use ggraft_platform::FileSystem;

use super::messages::start_logging;
use super::stdout;
use crate::error::Result;
use crate::inspect;

/// Arguments of `ggraft inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A GGUF file (any one of a split set), a model directory or a .safetensors file
    path: PathBuf,

    /// Print JSON, with arrays in full
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs `ggraft inspect`.
pub fn run(args: &Args) -> Result<()> {
    start_logging(false, false);
    let mut inspection = inspect::inspect(&args.path)?;
    // Phases are relative to the blocks of the file system at hand.
    if let Some(block) = FileSystem::of(&args.path).ok().and_then(|fs| NonZeroU64::new(fs.block_size)) {
        inspection.block = block;
    }
    match args.json {
        true => stdout::json(|out| inspection.write_json(out)),
        false => stdout::text(|out| inspection.write_text(out)),
    }
}
