//! `ggraft mount` and `ggraft with`: a conversion that nobody has to wait for, or to find space for.

use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use ggraft_platform::{die_with_parent, forward, interrupt, leave_terminal};

use super::messages::{say, start_logging};
use super::options::{OptionArgs, REPORTS};
use super::ready::{Pipe, notify};
use super::sizes::parse_extent;
use super::{catch_signals, stdout};
use crate::conversion::{Conversion, Options, Reflink};
use crate::error::{Error, Result};
use crate::input::one_line;
use crate::mount::{Mounted, Place, PrivateDir};

/// How often whoever waits looks at what there is to wait for.
const INTERVAL: Duration = Duration::from_millis(20);

/// Arguments of `ggraft mount`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The files are those that `ggraft convert --no-reflink` writes, byte for byte, and take no space. \
The mount stays until it is interrupted (Ctrl-C, SIGTERM) or unmounted (umount, fusermount3 -u). Service managers are told when it is \
ready (systemd: Type=notify).

Examples:
  ggraft mount Llama-3.2-1B /mnt --outtype q8_0
  ggraft mount Llama-3.2-1B /mnt --background && llama-cli -m /mnt/*.gguf; umount /mnt"
)]
pub struct MountArgs {
    /// Directory that holds the model, or a repository on the Hugging Face hub: org/name or hf://org/name@revision
    model: PathBuf,

    /// Directory to show the files in
    mountpoint: PathBuf,

    #[command(flatten)]
    options: OptionArgs,

    #[command(flatten)]
    serving: ServingArgs,

    /// Stay in the foreground; the default
    #[arg(long, short, conflicts_with = "background")]
    foreground: bool,

    /// Return as soon as the files are there, and go on in the background until unmounted
    #[arg(long)]
    background: bool,

    /// Write the files' paths to this open file descriptor as soon as they are there, a line each, and close it
    #[arg(long, value_name = "N")]
    ready_fd: Option<i32>,

    /// What `--background` starts: tells the process that waits for it on standard output, and leaves the terminal
    #[arg(long, hide = true)]
    detached: bool,

    /// Print nothing but errors
    #[arg(long, short, help_heading = REPORTS)]
    quiet: bool,
}

/// Arguments of `ggraft with`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ggraft with Llama-3.2-1B -- llama-quantize {} Llama-3.2-1B-Q4_K_M.gguf Q4_K_M")]
pub struct WithArgs {
    /// Directory that holds the model, or a repository on the Hugging Face hub: org/name or hf://org/name@revision
    model: PathBuf,

    #[command(flatten)]
    options: OptionArgs,

    #[command(flatten)]
    serving: ServingArgs,

    /// What to run; {} becomes the path of the GGUF file, the first of a split set
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// How the files are shown.
#[derive(Debug, clap::Args)]
struct ServingArgs {
    /// Memory for what was computed and not read yet, besides what a few threads need (K, M and G are powers of 1024)
    #[arg(long, value_name = "SIZE", value_parser = parse_extent, default_value = "256M")]
    cache: u64,
}

/// The conversion that is shown: the reference's files, without a place to write them to.
fn prepare(model: &Path, options: &OptionArgs) -> Result<Conversion> {
    catch_signals()?;
    Conversion::prepare(&Options { reflink: Reflink::Never, ..options.options(model)? })
}

/// Runs `ggraft mount`.
pub fn mount(args: &MountArgs) -> Result<ExitCode> {
    start_logging(false, args.quiet);
    if args.background && !args.detached {
        return in_background(args.quiet);
    }
    let place = Place::take(&args.mountpoint)?;
    let pipe = args.ready_fd.map(Pipe::open).transpose()?;
    let conversion = prepare(&args.model, &args.options)?;
    interrupt::never_at_once();
    let mounted = Mounted::new(conversion, place, &args.mountpoint, args.serving.cache)?;
    let paths = mounted.files().iter().map(|path| one_line(&path.to_string_lossy()) + "\n");
    let paths: String = paths.collect();
    if args.detached || !args.quiet {
        stdout::text(|out| write!(out, "{paths}"))?;
    }
    if let Some(pipe) = pipe {
        pipe.tell(&paths)?;
    }
    notify(&format!("READY=1\nMAINPID={}", std::process::id()));
    if args.detached {
        leave_terminal().map_err(|e| Error::io("cannot leave", "the terminal", e))?;
    } else if !args.quiet {
        say("mounted; Ctrl-C ends it");
    }
    while !interrupt::interrupted() && !mounted.is_over() {
        thread::sleep(INTERVAL);
    }
    notify("STOPPING=1");
    Ok(ExitCode::SUCCESS)
}

/// Runs the same command detached, and waits until it is ready or has failed.
fn in_background(quiet: bool) -> Result<ExitCode> {
    let program = std::env::current_exe().map_err(|e| Error::io("cannot find", "this program", e))?;
    let mut words = std::env::args_os().skip(1);
    let mut command = Command::new(&program);
    command.args(words.next()).arg("--detached").args(words);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| Error::io("cannot run", &program, e))?;
    let mut paths = String::new();
    // It closes its end when it leaves the terminal, or dies.
    let read = child.stdout.take().map_or(Ok(0), |mut pipe| pipe.read_to_string(&mut paths));
    read.map_err(|e| Error::io("cannot read from", &program, e))?;
    if paths.is_empty() {
        let status = child.wait().map_err(|e| Error::io("cannot wait for", &program, e))?;
        return Ok(ExitCode::from(code(status)));
    }
    if !quiet {
        stdout::text(|out| write!(out, "{paths}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `ggraft with`, and answers the command's exit code.
pub fn with(args: &WithArgs) -> Result<ExitCode> {
    start_logging(false, false);
    let dir = PrivateDir::new()?;
    let conversion = prepare(&args.model, &args.options)?;
    interrupt::never_at_once();
    let mounted = Mounted::new(conversion, Place::take(dir.path())?, dir.path(), args.serving.cache)?;
    let file = mounted.files().first().ok_or_else(|| Error::Internal("nothing is mounted".into()))?;
    let path = file.as_os_str();
    let mut words = args.command.iter().map(|word| filled(word, path));
    let program = words.next().ok_or_else(|| Error::usage("name a command to run"))?;
    let mut command = Command::new(&program);
    command.args(words);
    die_with_parent(&mut command);
    if interrupt::interrupted() {
        return Err(Error::Interrupted);
    }
    interrupt::relay().map_err(|e| Error::io("cannot install", "signal handlers", e))?;
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
    loop {
        let status = child.try_wait().map_err(|e| Error::io("cannot wait for", "the command", e))?;
        if let Some(status) = status {
            match std::os::unix::process::ExitStatusExt::signal(&status) {
                // Whoever interrupted both has to hear that it worked.
                Some(signal) => interrupt::child_died_of(signal),
                None => interrupt::child_exited(),
            }
            return Ok(status);
        }
        forward(&child);
        thread::sleep(INTERVAL);
    }
}

/// The exit code that a shell gives a command that ended so.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(1)
}
