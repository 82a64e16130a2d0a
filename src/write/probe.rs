//! What has to be known of sources and of the place where something will be written before it is planned.

use std::path::Path;

use ggraft_platform::{self as platform, Links, parent};

use crate::error::{Error, Result};
use crate::plan::Sharing;
use crate::source::{File, ModelDir, look};

/// Whether to share blocks with the checkpoint; the words are those of `cp --reflink`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reflink {
    /// Where possible.
    Auto,
    /// Or fail.
    Always,
    /// The output is the reference's, byte for byte.
    Never,
}

/// What tells `sources` from other files that could have their names.
pub(crate) fn stamp(sources: &[File]) -> Vec<u8> {
    let identities = sources.iter().filter_map(File::identity);
    let numbers = |id: platform::Identity| {
        let times = [id.modified.0, id.modified.1].map(i64::cast_unsigned);
        [id.device, id.inode, id.len, times[0], times[1]].map(u64::to_le_bytes).concat()
    };
    identities.flat_map(numbers).collect()
}

/// Refuses to write to what `flag` names if that is one of the model's files, or no file.
///
/// # Errors
/// [`Error::Usage`] saying so.
pub(crate) fn check_target(flag: &str, target: &Path, model: &ModelDir) -> Result<()> {
    let problem = match look(target)? {
        None => return Ok(()),
        Some(existing) if existing.is_dir() => "is a directory",
        Some(existing) if !existing.is_file() => "is not a regular file",
        Some(existing) if model.owns(&platform::Identity::from_metadata(&existing))? => {
            "is part of the model that is read"
        }
        Some(_) => return Ok(()),
    };
    Err(Error::usage(format!("{flag}: {} {problem}", target.display()))
        .about(target)
        .hint("choose another name"))
}

/// Finds out what can be shared by cloning a block of each source into an unnamed file beside the output.
///
/// # Errors
/// [`Error::CannotShare`] if that is demanded and impossible; [`Error::Io`].
pub(crate) fn probe(sources: &[File], path: &Path, reflink: Reflink, min_extent: u64) -> Result<Sharing> {
    if reflink == Reflink::Never {
        return Ok(Sharing::refused(sources.len(), "sharing is off (--no-reflink)"));
    }
    let target =
        platform::output_target(path, Links::Follow).map_err(|e| Error::io("cannot write", path, e))?;
    let dir = parent(&target);
    let block = platform::FileSystem::of(dir).map_err(|e| Error::io("cannot look at", dir, e))?.block_size;
    let mut sharing = Sharing { block, min_extent, ..Sharing::refused(sources.len(), "") };
    for (source, refusal) in sources.iter().zip(&mut sharing.refusals) {
        if !source.is_local() {
            *refusal = Some("the model is on a hub, and not on this machine".to_owned());
            continue;
        }
        *refusal = match platform::can_clone(&*source.handle()?, dir) {
            Ok(()) => None,
            Err(why) if reflink == Reflink::Always => {
                return Err(Error::cannot_share(format!(
                    "--reflink always: {}: {why}",
                    source.path().display()
                ))
                .about(source.path()));
            }
            Err(why) => Some(why.to_string()),
        };
    }
    Ok(sharing)
}
