//! The command line: arguments in, library calls, words and exit codes out.

mod align;
mod batch;
mod convert;
mod diff;
mod edit;
mod events;
mod generate;
mod hints;
mod inspect;
mod lora;
mod merge;
mod messages;
mod mount;
mod options;
mod plan;
mod prefixes;
mod progress;
mod publish;
mod pull;
mod ready;
mod reference;
mod report;
mod report_args;
mod several;
mod sizes;
mod split;
mod stdout;
mod stream;
mod surgery;
mod verify;
mod words;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{FromArgMatches as _, Parser, Subcommand};
use ggraft_platform::{interrupt, report_file_size_limit};

use crate::error::{Error, Result};
use crate::input::one_line;

/// Convert Hugging Face checkpoints to GGUF, sharing blocks instead of copying them.
#[derive(Debug, Parser)]
#[command(
    version,
    // As argparse does: a flag may be given twice, and the last value counts.
    args_override_self = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done; 1 I/O or internal error; 2 usage; 3 unsupported model; 4 invalid checkpoint; \
                  5 sharing demanded (--reflink always) but impossible; 6 a file differs from what it is made \
                  of (`verify`, `convert --verify`, `align`), or two differ (`diff`); 7 some jobs of a batch failed.\n\
                  SIGINT, SIGTERM and SIGHUP end ggraft as they end any program, once it has cleaned up."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Convert a model directory to GGUF.
    Convert(Box<convert::Args>),
    /// Download a model from the hub, laid out on the way so that every conversion of it shares nearly everything.
    Pull(Box<pull::Args>),
    /// Convert a LoRA adapter to GGUF.
    Lora(Box<lora::Args>),
    /// Rewrite a checkpoint once, so that every conversion of it shares nearly everything.
    Align(align::Args),
    /// Show what a conversion would share, copy and convert, and why, without writing anything.
    Plan(Box<plan::Args>),
    /// Convert many models, unattended: each once, whatever happens meanwhile.
    Batch(batch::Args),
    /// Show a model's GGUF without writing it: no wait and no space, on any file system.
    Mount(Box<mount::MountArgs>),
    /// Run a command on a model's GGUF that exists only while it runs.
    With(Box<mount::WithArgs>),
    /// Print the JSON schema of the events that `ggraft batch --events` tells.
    Schema,
    /// Show what a GGUF file or a checkpoint holds: key-values, tensors, and where in the file each begins.
    Inspect(inspect::Args),
    /// Prove that a GGUF file is what becomes of a model, byte for byte.
    Verify(Box<verify::Args>),
    /// Change key-values of a GGUF file, such as its chat template; the tensors stay where they are.
    Edit(Box<edit::Args>),
    /// Split a GGUF file into several.
    Split(split::Args),
    /// Merge the files of a split GGUF into one.
    Merge(merge::Args),
    /// Show what differs between two GGUF files.
    Diff(diff::Args),
    /// Print a script that completes ggraft's commands and flags in a shell.
    Completions(generate::CompletionsArgs),
    /// Write ggraft's man pages to a directory.
    Man(generate::ManArgs),
}

/// Reads a command line.
fn parse<S: Into<OsString> + Clone>(args: impl IntoIterator<Item = S>) -> Result<Cli, clap::Error> {
    let mut matches = words::command().try_get_matches_from(args)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|e| e.format(&mut words::command()))
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    ggraft_platform::give_back_large_buffers();
    let cli = match parse(prefixes::completed(&words::command(), std::env::args_os())) {
        Ok(cli) => cli,
        Err(e) => {
            // What it complains about may be the name of a stranger's file.
            let escaped = std::env::args_os().map(|argument| one_line(&argument.to_string_lossy()));
            let e = parse(escaped).err().unwrap_or(e);
            // Help and version are not errors to clap either; printing to a closed pipe is fine.
            _ = if e.use_stderr() { messages::explain_usage(&e) } else { e.print() };
            if !e.use_stderr() {
                return ExitCode::SUCCESS;
            }
            let mut error = Error::usage(messages::first_line(&e.to_string()));
            let command = std::env::args_os().nth(1).unwrap_or_default();
            if let Some(hint) = hints::hint(&e, &command.to_string_lossy()) {
                messages::say(format_args!("  hint: {hint}"));
                error = error.hint(hint);
            }
            if std::env::args_os().any(|argument| argument == "--json") {
                messages::as_json(&error);
            }
            return ExitCode::from(error.exit_code());
        }
    };
    // If it fails, a file that is too large ends the process without a word, as it ends any other.
    _ = report_file_size_limit();
    let mut code = ExitCode::SUCCESS;
    let (json, result) = match cli.command {
        Command::Convert(args) => (args.reports.json, convert::run(&args).map(|ended| code = ended)),
        Command::Pull(args) => (args.reports.json, pull::run(&args)),
        Command::Lora(args) => (args.reports.json, lora::run(&args).map(|ended| code = ended)),
        Command::Align(args) => (args.reports.json, align::run(&args)),
        Command::Plan(args) => (args.json, plan::run(&args)),
        Command::Inspect(args) => (args.json, inspect::run(&args)),
        Command::Verify(args) => (args.json, verify::run(&args).map(|ended| code = ended)),
        Command::Edit(args) => (args.writing.reports.json, edit::run(&args)),
        Command::Split(args) => (args.writing.reports.json, split::run(&args)),
        Command::Merge(args) => (args.writing.reports.json, merge::run(&args)),
        Command::Diff(args) => (args.json, diff::run(&args).map(|ended| code = ended)),
        Command::Batch(args) => (false, batch::run(&args)),
        Command::Schema => (false, batch::schema()),
        Command::Mount(args) => (false, mount::mount(&args).map(|ended| code = ended)),
        Command::Completions(args) => (false, generate::completions(&args)),
        Command::Man(args) => (false, generate::man(&args)),
        Command::With(args) => (false, mount::with(&args).map(|ended| code = ended)),
    };
    let code = match result {
        Ok(()) => code,
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            messages::explain(&e, json);
            ExitCode::from(e.exit_code())
        }
    };
    // Also if the signal came too late to stop anything: whoever sent it does not want what follows, either.
    _ = std::io::stdout().flush();
    interrupt::die_if_interrupted();
    code
}

/// From now on signals end the process only when it has cleaned up.
fn catch_signals() -> Result<()> {
    interrupt::install().map_err(|e| Error::io("cannot install", "signal handlers", e))
}

/// Whoever read our output has seen enough, as in `ggraft inspect model | head`.
fn is_broken_pipe(error: &Error) -> bool {
    matches!(error, Error::Io { path, source, .. }
        if path.as_os_str() == stdout::STANDARD_OUTPUT && source.kind() == std::io::ErrorKind::BrokenPipe)
}
