//! `ggraft edit`, `split` and `merge`: what they have in common.

use std::io::Write as _;
use std::time::Instant;

use super::messages::{say, warnings};
use super::options::ReflinkArgs;
use super::report_args::ReportArgs;
use super::{report, stdout, stream};
use crate::error::Result;
use crate::surgery::{How, Job};

/// How to write, and what to say about it.
#[derive(Debug, clap::Args)]
pub struct WritingArgs {
    #[command(flatten)]
    reflink: ReflinkArgs,

    /// Do not wait until the output is on the disk before it gets its name
    #[arg(long)]
    no_fsync: bool,

    /// Compare what was written with what it was made of before it gets its name; blocks that are shared need not be read
    #[arg(long)]
    pub verify: bool,

    /// Only print the names of the files that would be written
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub reports: ReportArgs,
}

impl WritingArgs {
    /// Sets logging and signals up, and answers how to write.
    pub fn begin(&self, force: bool) -> Result<How> {
        self.reports.begin()?;
        let (reflink, fsync, verify) = (self.reflink.reflink(), !self.no_fsync, self.verify);
        Ok(How { reflink, fsync, verify, force })
    }

    /// How to write to standard output, whose blocks cannot be shared.
    pub fn streaming(&self, how: How) -> Result<How> {
        let needs_file = self.reports.json || self.verify || self.dry_run;
        Ok(How { reflink: stream::reflink("-o -", needs_file, how.reflink)?, ..how })
    }

    /// Writes to standard output.
    pub fn stream(&self, job: &Job) -> Result<()> {
        let evaluator = job.evaluator();
        self.reports.watch(job.work(), |advance| stream::run("-o -", &job.plan, &evaluator, advance))?;
        job.check_sources()
    }

    /// Writes, does what comes `then` with the finished files and answers what to add to the report, and reports.
    pub fn write(&self, job: &Job, then: impl FnOnce(&mut serde_json::Value) -> Result<()>) -> Result<()> {
        if self.dry_run {
            return report::print_names(&job.plan);
        }
        let began = Instant::now();
        let outcome = self.reports.watch(job.work(), |advance| job.run(advance))?;
        if !self.reports.quiet {
            report::print_parts(&outcome, began.elapsed(), "the original");
            if job.is_reordered {
                say("  tensors are in another order, so that more is shared; --no-reflink keeps it");
            }
        }
        let mut json = outcome.to_json();
        let done = then(&mut json);
        json["reordered"] = job.is_reordered.into();
        json["warnings"] = warnings().into();
        if self.reports.json && done.is_ok() {
            stdout::json(|out| writeln!(out, "{json:#}"))?;
        }
        done
    }
}
