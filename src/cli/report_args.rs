//! Flags that decide what is said about long work.

use super::catch_signals;
use super::messages::start_logging;
use super::options::REPORTS;
use super::progress::Progress;
use crate::error::Result;

/// How much is said, and to whom.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Say more about what is being done
    #[arg(long, short, help_heading = REPORTS)]
    verbose: bool,

    /// Print a report for machines (JSON) on standard output
    #[arg(long, help_heading = REPORTS)]
    pub json: bool,

    /// Print nothing but errors
    #[arg(long, short, help_heading = REPORTS)]
    pub quiet: bool,
}

impl ReportArgs {
    /// Sets logging and signals up.
    pub fn begin(&self) -> Result<()> {
        start_logging(self.verbose, self.quiet);
        catch_signals()
    }

    /// Shows the progress of `work`, which tells of `total` bytes as they are done.
    pub fn watch<T>(&self, total: u64, work: impl FnOnce(&mut dyn FnMut(u64)) -> T) -> T {
        Progress::watch(total, self.quiet, |progress| work(&mut |bytes| progress.advance(bytes)))
    }
}
