//! Messages on standard error. Each is one line, whatever strangers wrote into it, and nobody minds
//! if nobody reads it.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::input::{counted, one_line};
use serde_json::json;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, fmt};
use tracing_subscriber::registry::LookupSpan;

use super::stdout::{self, STANDARD_OUTPUT};

/// Prints a line.
pub fn say(line: impl fmt::Display) {
    // `eprintln!` would panic if standard error is a closed pipe.
    _ = writeln!(io::stderr(), "{}", one_line(&line.to_string()));
}

/// Says what went wrong and what to do about it, to programs that want `json` as well.
pub fn explain(error: &Error, json: bool) {
    say(format_args!("ggraft: {error}"));
    error.hints().iter().for_each(|hint| say(format_args!("  hint: {hint}")));
    if json {
        as_json(error);
    }
}

/// Says that `file` differs from `other` in `count` places, and answers the exit code that has. The report has said where, for
/// programs, too.
pub fn explain_difference(file: &Path, other: &str, count: usize) -> ExitCode {
    let error = Error::differs(file, format!("differs from {other} in {}", counted(count, "place")));
    explain(&error, false);
    ExitCode::from(error.exit_code())
}

/// Prints the error for programs, unless it is about printing.
pub fn as_json(error: &Error) {
    if error.file() != Some(STANDARD_OUTPUT.as_ref()) {
        // Standard error has it already, and there is nobody else to tell.
        _ = stdout::json(|out| writeln!(out, "{:#}", json!({"error": error.to_json()})));
    }
}

/// Says what clap says of arguments, in the words of all other errors.
///
/// # Errors
/// If standard error cannot be written.
pub fn explain_usage(error: &clap::Error) -> io::Result<()> {
    let text = error.render().to_string();
    let text = match text.strip_prefix("error: ") {
        Some(rest) => format!("ggraft: {}", rest.replace("\n  tip: ", "\n  hint: ")),
        None => text,
    };
    io::stderr().write_all(text.as_bytes())
}

/// What clap says of arguments, in one line: behind it come its suggestions.
pub fn first_line(said: &str) -> String {
    let mut lines = said.lines();
    let line = lines.next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    if !line.ends_with(':') {
        return line.to_owned();
    }
    // What is missing stands below.
    let listed: Vec<&str> = lines.take_while(|line| line.starts_with("  ")).map(str::trim).collect();
    format!("{line} {}", listed.join(", "))
}

/// Shows warnings, or everything with `verbose`, or only errors with `quiet`; where `RUST_LOG` is set, what that says.
pub fn start_logging(verbose: bool, quiet: bool) {
    let level = match (verbose, quiet) {
        (true, _) => Level::DEBUG,
        (false, false) => Level::WARN,
        (false, true) => Level::ERROR,
    };
    let wished = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let shown = match wished.as_deref().map(str::parse::<Targets>) {
        Some(Ok(targets)) => targets,
        // What libraries trace is of no use to those who convert.
        _ => Targets::new().with_default(level.min(Level::WARN)).with_target(env!("CARGO_CRATE_NAME"), level),
    };
    // Warnings are kept even if they are not shown.
    let most = shown.iter().map(|(_, level)| level).chain(shown.default_level()).max();
    let most = most.unwrap_or(LevelFilter::WARN).max(LevelFilter::WARN);
    // A second call (in tests) finds logging set up already.
    _ = fmt().with_max_level(most).with_writer(std::io::stderr).event_format(Lines { shown }).try_init();
    if let Some(Err(error)) = wished.as_deref().map(str::parse::<Targets>) {
        tracing::warn!("RUST_LOG is ignored: {error}");
    }
}

/// Warnings so far, for [`warnings`].
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// More warnings than this are not kept: strangers' files decide how many there are.
const MOST_WARNINGS: usize = 1000;

/// All that was warned of since logging started, for reports.
pub fn warnings() -> Vec<String> {
    WARNINGS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What was warned of so far concerns something else.
pub fn forget_warnings() {
    WARNINGS.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Events as lines that begin like errors do; those that are to be `shown`.
struct Lines {
    shown: Targets,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<S, N>, mut out: Writer, event: &Event) -> fmt::Result {
        let mut text = String::new();
        context.field_format().format_fields(Writer::new(&mut text), event)?;
        let (text, level) = (one_line(&text), *event.metadata().level());
        if self.shown.would_enable(event.metadata().target(), &level) {
            let kind = if level == Level::WARN { "warning: " } else { "" };
            writeln!(out, "ggraft: {kind}{text}")?;
        }
        if level == Level::WARN {
            let mut warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
            if warnings.len() < MOST_WARNINGS {
                warnings.push(text);
            }
        }
        Ok(())
    }
}
