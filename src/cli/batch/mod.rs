//! `ggraft batch`: many models, unattended.

mod asked;
mod dry_run;
mod listener;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use ggraft_platform::{IoPriority, available_memory, interrupt, set_io_priority, set_nice};

use listener::Listener;

use super::messages::start_logging;
use super::options::REPORTS;
use super::sizes::parse_size;
use super::{catch_signals, stdout};
use crate::batch::events::SCHEMA;
use crate::batch::{Selection, Settings, run as run_jobs};
use crate::error::{Error, Result};
use crate::input::counted;

/// Arguments of `ggraft batch`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "A list is TOML ([[job]] tables, and [defaults] for all) or JSON lines. A job is a model (a \
directory, or org/name on the hub) and flags of `ggraft convert` by their names; several output types, or several outputs, make several files:
  [[job]]
  model = \"models/Llama-3.2-1B\"
  outtype = [\"bf16\", \"q8_0\"]
  outfile = \"out/Llama-3.2-1B-{ftype}.gguf\"
What is complete is skipped: run the same command again after a failure, a kill or a reboot. Batches that share a list, on \
one machine or several, share the work.

Examples:
  ggraft batch jobs.toml --jobs 2 --events events.jsonl
  ggraft batch --scan models --outdir out --outtype f16 --outtype q8_0
  ggraft batch jobs.jsonl --only 3/8                every eighth entry, from the third on
  ggraft batch jobs.jsonl --index \"$SLURM_ARRAY_TASK_ID\"
  ggraft batch jobs.jsonl -- --no-reflink           flags for every conversion"
)]
pub struct Args {
    /// List of jobs, or a directory of lists 0.jsonl, 1.jsonl and so on, one for each --index; - is standard input
    #[arg(required_unless_present = "scan", conflicts_with = "scan")]
    list: Option<PathBuf>,

    /// Convert every checkpoint in this directory or below
    #[arg(long, value_name = "DIR")]
    scan: Option<PathBuf>,

    /// Where outputs go whose job says nothing else [default: the model's directory]
    #[arg(long, value_name = "DIR")]
    outdir: Option<PathBuf>,

    /// Type of the output of jobs that name none; may be given several times, or with commas between
    #[arg(long, value_name = "TYPE", action = clap::ArgAction::Append, value_delimiter = ',')]
    outtype: Vec<String>,

    /// Flags of `ggraft convert` for every job
    #[arg(last = true, value_name = "FLAGS")]
    flags: Vec<OsString>,

    /// How many conversions run at once
    #[arg(long, short, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,

    /// Threads of all conversions together [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    threads: Option<u16>,

    /// Try again this often what may pass: I/O errors, killed conversions
    #[arg(long, value_name = "N", default_value_t = 0)]
    retry: u32,

    /// Compare outputs of earlier with what becomes of their models (`ggraft verify`) before their jobs are skipped; what
    /// differs is converted again
    #[arg(long)]
    verify: bool,

    /// Start nothing more after a failure
    #[arg(long)]
    fail_fast: bool,

    /// Run only the entries I, I + N, I + 2 N … of the list, counted from 1
    #[arg(long, value_name = "I/N", value_parser = parse_part, conflicts_with = "index")]
    only: Option<Selection>,

    /// Run only this entry of the list, counted from 0 as array jobs count
    #[arg(long, value_name = "I")]
    index: Option<usize>,

    /// Only say what is complete, what would be done, and how much space that takes
    #[arg(long)]
    dry_run: bool,

    /// Read at most this many bytes a second, and write at most as many, all conversions together (K, M and G are powers of
    /// 1000)
    #[arg(long, value_name = "N[K|M|G]", value_parser = parse_size)]
    io_limit: Option<u64>,

    /// Yield processors to others, from 0 to 19
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=19))]
    nice: Option<i32>,

    /// Yield disks to others: idle, or a level from 0 to 7
    #[arg(long, value_name = "CLASS", value_parser = parse_io_priority)]
    ionice: Option<IoPriority>,

    /// Append what happens to this file, a JSON object a line (`ggraft schema`); - is standard output
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    events: Option<PathBuf>,

    /// Print nothing but failures
    #[arg(long, short, help_heading = REPORTS)]
    quiet: bool,

    /// Say more about what is being done
    #[arg(long, short, help_heading = REPORTS)]
    verbose: bool,
}

fn parse_part(text: &str) -> Result<Selection, String> {
    let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match numbers {
        Some((i @ 1.., of)) if i <= of => Ok(Selection::Every { index: i - 1, of }),
        _ => Err("expected two numbers I/N, I from 1 to N".into()),
    }
}

fn parse_io_priority(text: &str) -> Result<IoPriority, String> {
    match text.parse() {
        _ if text == "idle" => Ok(IoPriority::Idle),
        Ok(level @ 0..=7) => Ok(IoPriority::BestEffort(level)),
        _ => Err("expected idle, or a number from 0 to 7".into()),
    }
}

/// Prints the schema of events.
pub fn schema() -> Result<()> {
    stdout::json(|out| out.write_all(SCHEMA.as_bytes()))
}

/// Runs `ggraft batch`.
pub fn run(args: &Args) -> Result<()> {
    start_logging(args.verbose, args.quiet);
    catch_signals()?;
    let jobs = {
        let args = args.clone();
        unless_interrupted(move || asked::jobs(&args))?
    };
    let settings = settings(args);
    if args.dry_run {
        return dry_run::run(&jobs, &settings, args.quiet);
    }
    let failed_to = |what: &'static str| move |e| Error::io("cannot set", what, e);
    args.nice.map_or(Ok(()), set_nice).map_err(failed_to("--nice"))?;
    args.ionice.map_or(Ok(()), set_io_priority).map_err(failed_to("--ionice"))?;
    let count = jobs.len();
    let (events, quiet) = (args.events.clone(), args.quiet);
    let listener = unless_interrupted(move || Listener::new(events.as_deref(), quiet, count))?;
    let summary = run_jobs(jobs, &settings, &|event| listener.hear(&event));
    listener.finish();
    match summary.failed {
        _ if interrupt::interrupted() => Err(Error::Interrupted),
        0 => Ok(()),
        failed => Err(Error::Jobs { failed, jobs: count }),
    }
}

/// What `wait` gives, which may take forever: nobody need ever write to a pipe, or read from it.
///
/// # Errors
/// Those of `wait`, and [`Error::Interrupted`] as soon as a signal comes; `wait` then lasts as long as the process.
fn unless_interrupted<T: Send + 'static>(wait: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (tell, told) = mpsc::channel();
    // Nobody listens any more if a signal came.
    thread::spawn(move || _ = tell.send(wait()));
    loop {
        match told.recv_timeout(Duration::from_millis(20)) {
            Ok(result) => return result,
            Err(_) if interrupt::interrupted() => return Err(Error::Interrupted),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Error::Internal("a thread ended".into())),
        }
    }
}

/// One budget of processors, memory and disk for all conversions.
fn settings(args: &Args) -> Settings {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let (jobs, threads) =
        budget(args.jobs.into(), args.threads.map(usize::from), processors, available_memory());
    if jobs < args.jobs.into() {
        tracing::warn!("the memory that is available is enough for {jobs} of --jobs {} at once", args.jobs);
    }
    tracing::debug!("{} at once, {} each", counted(jobs, "conversion"), counted(threads, "thread"));
    let threads = format!("--threads={threads}");
    let how = if args.verbose { "--verbose" } else { "--quiet" };
    Settings {
        jobs,
        retry: args.retry,
        fail_fast: args.fail_fast,
        verify: args.verify,
        is_one_of_many: args.index.is_some(),
        io_limit: args.io_limit,
        args: vec![threads.clone(), how.into()],
        verify_args: vec![threads],
    }
}

/// Bytes of memory that a conversion takes, besides its threads.
const JOB_MEMORY: u64 = 64 << 20;

/// Bytes of memory that a thread takes.
const THREAD_MEMORY: u64 = 32 << 20;

/// How many of `jobs` fit into `memory`, and how many threads each of them gets: those that were asked for, or as many as
/// there are processors, and memory for their buffers.
fn budget(jobs: usize, threads: Option<usize>, processors: usize, memory: Option<u64>) -> (usize, usize) {
    let memory = memory.unwrap_or(u64::MAX);
    let of = |bytes: u64, part: u64| usize::try_from(bytes / part).unwrap_or(usize::MAX);
    let jobs = jobs.min(of(memory, JOB_MEMORY + THREAD_MEMORY)).max(1);
    let left = memory.saturating_sub(JOB_MEMORY.saturating_mul(jobs as u64));
    let threads = threads.unwrap_or_else(|| processors.min(of(left, THREAD_MEMORY)));
    (jobs, (threads / jobs).clamp(1, 256))
}

#[cfg(test)]
mod tests {
    use super::budget;

    #[test]
    fn memory_decides_how_many_threads_there_are() {
        let mib = |n: u64| Some(n << 20);
        assert_eq!(budget(4, None, 16, None), (4, 4));
        assert_eq!(budget(8, None, 64, mib(256)), (2, 2), "2 × (64 + 2 × 32)");
        assert_eq!(budget(8, Some(64), 64, mib(256)), (2, 32), "as was wished");
        assert_eq!(budget(1, None, 64, mib(256)), (1, 6));
        assert_eq!(budget(3, None, 2, mib(10)), (1, 1), "less than one is none");
    }
}
