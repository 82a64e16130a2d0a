//! `ggraft mount` and `ggraft with`: a conversion that nobody has to wait for, or to find space for.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;
use std::time::Duration;

use ggraft_platform::{die_with_parent, forward, interrupt};

use super::messages::{say, start_logging};
use super::options::{OptionArgs, REPORTS};
use super::{catch_signals, stdout};
use crate::conversion::{Conversion, Options, Reflink};
use crate::error::{Error, Result};
use crate::input::one_line;
use crate::mount::{Mounted, PrivateDir};

/// How often whoever waits looks at what there is to wait for.
const INTERVAL: Duration = Duration::from_millis(20);

/// Arguments of `ggraft mount`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The files are those that `ggraft convert --no-reflink` writes, byte for byte, and take no space.
It stays until it is interrupted (Ctrl-C, SIGTERM) or unmounted (umount, fusermount3 -u).

Example:
  ggraft mount Llama-3.2-1B /mnt --outtype q8_0"
)]
pub struct MountArgs {
    /// Directory that holds the model
    model: PathBuf,

    /// Directory to show the files in
    mountpoint: PathBuf,

    #[command(flatten)]
    options: OptionArgs,

    /// Print nothing but errors
    #[arg(long, short, help_heading = REPORTS)]
    quiet: bool,
}

/// Arguments of `ggraft with`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ggraft with Llama-3.2-1B -- llama-quantize {} Llama-3.2-1B-Q4_K_M.gguf Q4_K_M")]
pub struct WithArgs {
    /// Directory that holds the model
    model: PathBuf,

    #[command(flatten)]
    options: OptionArgs,

    /// What to run; {} becomes the path of the GGUF file, the first of a split set
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The conversion that is shown: the reference's files, without a place to write them to.
fn prepare(model: &Path, options: &OptionArgs) -> Result<Conversion> {
    catch_signals()?;
    Conversion::prepare(&Options { reflink: Reflink::Never, ..options.options(model)? })
}

/// Runs `ggraft mount`.
pub fn mount(args: &MountArgs) -> Result<()> {
    start_logging(false, args.quiet);
    if !args.mountpoint.is_dir() {
        let missing = args.mountpoint.display();
        return Err(Error::usage(format!("{missing} is not a directory; name an empty one to mount at")));
    }
    let mounted = Mounted::new(prepare(&args.model, &args.options)?, &args.mountpoint)?;
    if !args.quiet {
        let mut files = mounted.files().iter().map(|path| one_line(&path.to_string_lossy()));
        stdout::text(|out| files.try_for_each(|file| writeln!(out, "{file}")))?;
        say("mounted; Ctrl-C ends it");
    }
    while !interrupt::interrupted() && !mounted.is_over() {
        thread::sleep(INTERVAL);
    }
    Ok(())
}

/// Runs `ggraft with`, and answers the command's exit code.
pub fn with(args: &WithArgs) -> Result<ExitCode> {
    start_logging(false, false);
    let dir = PrivateDir::new()?;
    let mounted = Mounted::new(prepare(&args.model, &args.options)?, dir.path())?;
    let file = mounted.files().first().ok_or_else(|| Error::Internal("nothing is mounted".into()))?;
    let path = file.as_os_str();
    let mut words = args.command.iter().map(|word| filled(word, path));
    let program = words.next().ok_or_else(|| Error::usage("name a command to run"))?;
    let mut command = Command::new(&program);
    command.args(words);
    die_with_parent(&mut command);
    let child = command.spawn().map_err(|e| Error::io("cannot run", &program, e))?;
    let status = wait(child)?;
    drop(mounted);
    drop(dir);
    Ok(ExitCode::from(code(status)))
}

/// `word` with `{}` replaced by `path`.
fn filled(word: &OsString, path: &OsStr) -> OsString {
    let (mut filled, mut rest) = (OsString::new(), word.as_encoded_bytes());
    while let Some(at) = rest.windows(2).position(|two| two == b"{}") {
        filled.push(os_str(&rest[..at]));
        filled.push(path);
        rest = &rest[at + 2..];
    }
    filled.push(os_str(rest));
    filled
}

fn os_str(bytes: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

/// Waits for the command, which gets the signals that this process gets.
fn wait(mut child: Child) -> Result<ExitStatus> {
    let mut passed_on = false;
    loop {
        let status = child.try_wait().map_err(|e| Error::io("cannot wait for", "the command", e))?;
        if let Some(status) = status {
            return Ok(status);
        }
        if interrupt::interrupted() && !passed_on {
            passed_on = true;
            forward(&child);
        }
        thread::sleep(INTERVAL);
    }
}

/// The exit code that a shell gives a command that ended so.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(1)
}
