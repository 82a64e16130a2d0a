//! `ggraft inspect`: shows a GGUF file with all its splits, or a checkpoint.

use std::io::Write as _;
use std::num::NonZeroU64;
use std::path::PathBuf;

use ggraft_platform::FileSystem;

use super::messages::start_logging;
use super::options::HubArgs;
use super::stdout;
use crate::error::{Error, Result};
use crate::input::one_line;
use crate::inspect::{self, Hashed};
use crate::source::ModelDir;

/// Arguments of `ggraft inspect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "OFFSET is where in the file a tensor begins, PHASE how many bytes that is into a block of the file system. Only \
what begins equally far into a block, here and in the file made of it, can be shared."
)]
pub struct Args {
    /// A GGUF file (any one of a split set), a model directory, a .safetensors file, or a repository on the hub
    path: PathBuf,

    #[command(flatten)]
    hub: HubArgs,

    /// Print the SHA-256 of each tensor's data, of each file's tensors and of all, as llama-gguf-hash does
    #[arg(long)]
    hash: bool,

    /// Print JSON, with arrays in full
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs `ggraft inspect`.
pub fn run(args: &Args) -> Result<()> {
    start_logging(false, false);
    let on_hub = args.hub.on_hub();
    if args.hash && ModelDir::is_on_hub(&args.path, &on_hub)? {
        let problem = format!("--hash reads all of {}, which is on a hub", args.path.display());
        return Err(
            Error::usage(problem).hint("`ggraft pull` it first; the hub lists the hashes of whole files")
        );
    }
    let mut inspection = inspect::inspect_on_hub(&args.path, &on_hub)?;
    // Phases are relative to the blocks of the file system at hand.
    if let Some(block) = FileSystem::of(&args.path).ok().and_then(|fs| NonZeroU64::new(fs.block_size)) {
        inspection.block = block;
    }
    if args.hash {
        let paths: Vec<PathBuf> = inspection.files.iter().map(|file| file.path.clone()).collect();
        let mut print = |of: Hashed, digest: &str| match args.json {
            true => Ok(()),
            false => stdout::text(|out| writeln!(out, "sha256    {digest}  {}", one_line(&name(of, &paths)))),
        };
        inspection.hash(&mut print)?;
        if !args.json {
            return Ok(());
        }
    }
    match args.json {
        true => stdout::json(|out| inspection.write_json(out)),
        false => stdout::text(|out| inspection.write_text(out)),
    }
}

/// What llama-gguf-hash calls it; it knows no sets of files.
fn name(of: Hashed, paths: &[PathBuf]) -> String {
    let path = |file: usize| paths[file].to_string_lossy();
    match of {
        Hashed::Tensor(file, name) => format!("{}:{name}", path(file)),
        Hashed::File(file) => path(file).into_owned(),
        Hashed::All => format!("all {} files", paths.len()),
    }
}
