//! What the Hugging Face library keeps about the files that it has downloaded, and aligning them in place would upset.

use std::path::Path;

use ggraft_platform::set_modified;

use crate::error::{Error, Result};
use crate::source::{File, ModelDir};

/// Refuses to replace `blob`, a file that a link in `dir` leads to, if something else leads to it as well.
///
/// # Errors
/// [`Error::Usage`] naming that.
pub fn check_unshared(dir: &ModelDir, blob: &Path) -> Result<()> {
    let Some(other) = dir.other_link(blob)? else { return Ok(()) };
    let problem = format!("--replace-blob: {} leads to {} as well", other.display(), blob.display());
    Err(Error::usage(problem).about(blob).hint("leave --replace-blob out, or align a copy (-o)"))
}

/// Gives files that were replaced the times that `sources` had. The library takes a file of a download with `--local-dir` for
/// changed, and downloads it again, if it is younger than what it has noted about it.
pub fn keep_times(dir: &ModelDir, sources: &[File]) {
    for source in sources {
        let Ok(name) = source.path().strip_prefix(dir) else { continue };
        let mut note = Path::new(".cache/huggingface/download").join(name).into_os_string();
        note.push(".metadata");
        let Some(identity) = source.identity().filter(|_| !dir.is_absent(&note)) else { continue };
        let set = set_modified(source.path(), identity.modified);
        if let Err(error) = set {
            tracing::warn!(
                "{}: the time cannot be kept ({error}): `hf download` will fetch it again",
                source.path().display()
            );
        }
    }
}
