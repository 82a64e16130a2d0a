//! Messages on standard error. Each is one line, whatever strangers wrote into it, and nobody minds
//! if nobody reads it.

use std::fmt;
use std::io::Write as _;

use crate::input::one_line;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, fmt};
use tracing_subscriber::registry::LookupSpan;

/// Prints a line.
pub fn say(line: impl fmt::Display) {
    // `eprintln!` would panic if standard error is a closed pipe.
    _ = writeln!(std::io::stderr(), "{}", one_line(&line.to_string()));
}

/// Shows warnings, or everything with `verbose`, or only errors with `quiet`.
pub fn start_logging(verbose: bool, quiet: bool) {
    let level = match (verbose, quiet) {
        (true, _) => Level::DEBUG,
        (false, false) => Level::WARN,
        (false, true) => Level::ERROR,
    };
    // A second call (in tests) finds logging set up already.
    _ = fmt().with_max_level(level).with_writer(std::io::stderr).event_format(Lines).try_init();
}

/// Events as lines that begin like errors do.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<S, N>, mut out: Writer, event: &Event) -> fmt::Result {
        let mut text = String::new();
        context.field_format().format_fields(Writer::new(&mut text), event)?;
        let level = if *event.metadata().level() == Level::WARN { "warning: " } else { "" };
        writeln!(out, "ggraft: {level}{}", one_line(&text))
    }
}
