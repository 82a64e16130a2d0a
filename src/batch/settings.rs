//! How to run a list of jobs, and how it went.

/// How to run a list.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many conversions run at once.
    pub jobs: usize,
    /// How often a failure that may pass is tried again.
    pub retry: u32,
    /// Whether nothing more is started after a failure.
    pub fail_fast: bool,
    /// Whether what is complete is proven to be what becomes of its model before it is skipped.
    pub verify: bool,
    /// Whether others run the rest of the list, each on its own: what takes as long as there are jobs must not be done for
    /// each.
    pub is_one_of_many: bool,
    /// Bytes that all conversions together may read a second, and as many that they may write.
    pub io_limit: Option<u64>,
    /// Arguments for every conversion.
    pub args: Vec<String>,
    /// Arguments for every verification.
    pub verify_args: Vec<String>,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Jobs whose outputs were made.
    pub finished: usize,
    /// Jobs that failed.
    pub failed: usize,
    /// Jobs with nothing to do.
    pub skipped: usize,
    /// Bytes of outputs that share blocks with their checkpoints.
    pub shared: u64,
    /// Bytes of all outputs made.
    pub bytes: u64,
}
