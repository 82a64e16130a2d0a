//! Flags of `convert_hf_to_gguf.py` without a meaning here.

use crate::error::{Error, Result};

/// Flags of the reference that do nothing here, or are not there yet. Hidden from the help, so
/// that scripts which use them learn what became of them.
#[derive(Debug, clap::Args)]
pub struct ReferenceOnly {
    #[arg(long, hide = true)]
    use_temp_file: bool,
    #[arg(long, hide = true)]
    no_lazy: bool,
    #[arg(long, hide = true)]
    bigendian: bool,
}

impl ReferenceOnly {
    /// Refuses flags that would change the output, warns of those that have no effect.
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming the flag.
    pub fn check(&self) -> Result<()> {
        if self.bigendian {
            return Err(Error::unsupported(
                "--bigendian is a flag of convert_hf_to_gguf.py that ggraft does not have yet",
            ));
        }
        for (flag, given) in [("--use-temp-file", self.use_temp_file), ("--no-lazy", self.no_lazy)] {
            if given {
                tracing::warn!("{flag} has no effect: ggraft never holds tensors in memory");
            }
        }
        Ok(())
    }
}
