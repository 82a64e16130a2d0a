//! What the outputs of a job depend on: this program, the flags, and the state of the files that are read.
//!
//! Looks at names, lengths and times only: reading hundreds of gigabytes to find that nothing is to be done would cost more
//! than to do it.

use std::fs;
use std::path::{Path, PathBuf};

use ggraft_platform::Identity;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Job;
use crate::error::{Error, Result};
use crate::hex::hex;

/// What a fingerprint covers besides the job and its inputs. It changes when outputs do.
const OUTPUTS: &str = concat!("ggraft ", env!("CARGO_PKG_VERSION"), " 1");

/// Deepest directory of a model whose files count as inputs.
const DEPTH: usize = 2;

/// What the outputs of a job depend on, in two numbers.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Fingerprint {
    /// Of this program's outputs, the arguments, and names, lengths and times of the last modification of the files in the
    /// model's directory and of those that arguments name; of a repository's commit where the model is on a hub.
    pub contents: String,
    /// Of these files' times of the last change. A program can set back the time of a modification, but not this one; then
    /// again it changes with a file's mode, owner and number of names, too.
    pub changes: String,
}

impl Fingerprint {
    /// Of `job`, which is [pinned](Job::pinned).
    ///
    /// # Errors
    /// [`Error::Io`] if a directory that is read cannot be listed.
    pub fn of(job: &Job) -> Result<Self> {
        let (mut contents, mut changes) = (Sha256::new(), Sha256::new());
        contents.update(OUTPUTS);
        let mut add = |name: &[u8], identity: Option<Identity>| {
            contents.update([0]);
            contents.update(name);
            let Some(Identity { len, modified, changed, .. }) = identity else { return };
            contents.update(len.to_le_bytes());
            [modified.0, modified.1].iter().for_each(|number| contents.update(number.to_le_bytes()));
            [changed.0, changed.1].iter().for_each(|number| changes.update(number.to_le_bytes()));
        };
        job.args.iter().for_each(|arg| add(arg.as_encoded_bytes(), None));
        let mut inputs: Vec<_> = job.inputs.iter().collect();
        match &job.on_hub {
            Some(_) => add(job.model.as_os_str().as_encoded_bytes(), None),
            None => inputs.push(&job.model),
        }
        for input in inputs {
            let mut files = Vec::new();
            match fs::metadata(input) {
                Ok(metadata) if metadata.is_dir() => list(input, Path::new(""), DEPTH, &mut files)?,
                Ok(metadata) => add(b"", Some(Identity::from_metadata(&metadata))),
                // What is missing, the conversion can say best.
                Err(_) => {}
            }
            files.sort();
            files
                .iter()
                .for_each(|(name, identity)| add(name.as_os_str().as_encoded_bytes(), Some(*identity)));
        }
        let [contents, changes] = [contents, changes].map(|hash| hex(&hash.finalize()));
        Ok(Self { contents, changes })
    }
}

/// Adds all files of `root` in `below` that may be inputs: neither hidden ones nor outputs.
fn list(root: &Path, below: &Path, depth: usize, files: &mut Vec<(PathBuf, Identity)>) -> Result<()> {
    let dir = root.join(below);
    let cannot = |e| Error::io("cannot list", &dir, e);
    for entry in fs::read_dir(&dir).map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name();
        let path = below.join(&name);
        if name.as_encoded_bytes().starts_with(b".") || path.extension().is_some_and(|e| e == "gguf") {
            continue;
        }
        // What a link leads to counts; one that leads nowhere is no input.
        let Ok(metadata) = fs::metadata(root.join(&path)) else { continue };
        if metadata.is_file() {
            files.push((path, Identity::from_metadata(&metadata)));
        } else if metadata.is_dir() && depth > 0 {
            list(root, &path, depth - 1, files)?;
        }
    }
    Ok(())
}
