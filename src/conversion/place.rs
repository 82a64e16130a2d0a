//! Where outputs go, what may not be overwritten by them, and what can be shared there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ggraft_platform::{self as platform, Links, parent};

use super::{Options, Reflink};
use crate::checkpoint::Checkpoint;
use crate::describe::NameParts;
use crate::error::{Error, Result};
use crate::metadata;
use crate::plan::Sharing;
use crate::source::{File, ModelDir, is_dir, look};

/// What is named to write to, or what stands for it.
fn target(options: &Options, model: &ModelDir) -> PathBuf {
    if let Some(outfile) = &options.outfile {
        return outfile.clone();
    }
    if options.on_hub.remote {
        // The reference's name for it.
        return PathBuf::from(options.model.to_string_lossy().replace('/', "-") + "-{ftype}.gguf");
    }
    // A snapshot in a cache is no place for anything else.
    let is_own = model.is_local() && model.path() == options.model;
    if is_own { options.model.clone() } else { PathBuf::from(".") }
}

/// Where to write: a directory gets the default name, anything else is a template.
pub(super) fn output_path(options: &Options, model: &ModelDir, name: &NameParts) -> Result<PathBuf> {
    let target = &target(options, model);
    if is_dir(target)? {
        return Ok(target.join(name.default_file_name()?));
    }
    if target.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(
            Error::usage(format!("--outfile: there is no directory {}", target.display())).about(target)
        );
    }
    let template = target.file_name().and_then(|n| n.to_str());
    let template = template.ok_or_else(|| {
        Error::usage(format!("--outfile {}: not a file name", target.display())).about(target)
    })?;
    Ok(target.with_file_name(metadata::fill_file_name_template(template, name.output_type)?))
}

/// Where the projector goes that is written beside the model: to the default name in the same directory, or one made from the
/// model's.
pub(super) fn projector_path(options: &Options, model: &ModelDir, name: &NameParts) -> Result<PathBuf> {
    let target = &target(options, model);
    if is_dir(target)? {
        return Ok(target.join(name.default_file_name()?));
    }
    let own = output_path(options, model, name)?;
    let file = own.file_name().unwrap_or_default();
    let mut beside = OsString::from("mmproj-");
    beside.push(file);
    Ok(own.with_file_name(beside))
}

/// What tells the files of `checkpoint` from others that could have their names.
pub(super) fn stamp(checkpoint: &Checkpoint) -> Vec<u8> {
    let identities = checkpoint.sources.iter().filter_map(File::identity);
    let numbers = |id: platform::Identity| {
        let times = [id.modified.0, id.modified.1].map(i64::cast_unsigned);
        [id.device, id.inode, id.len, times[0], times[1]].map(u64::to_le_bytes).concat()
    };
    identities.flat_map(numbers).collect()
}

/// Refuses to write to what `flag` names if that is one of the model's files, or no file.
pub(super) fn check_target(flag: &str, target: &Path, model: &ModelDir) -> Result<()> {
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
pub(super) fn probe(checkpoint: &Checkpoint, path: &Path, options: &Options) -> Result<Sharing> {
    if options.reflink == Reflink::Never {
        return Ok(Sharing::none(checkpoint, "sharing is off (--no-reflink)"));
    }
    let target =
        platform::output_target(path, Links::Follow).map_err(|e| Error::io("cannot write", path, e))?;
    let dir = parent(&target);
    let block = platform::FileSystem::of(dir).map_err(|e| Error::io("cannot look at", dir, e))?.block_size;
    let mut sharing = Sharing { block, min_extent: options.min_extent, ..Sharing::none(checkpoint, "") };
    for (source, refusal) in checkpoint.sources.iter().zip(&mut sharing.refusals) {
        if !source.is_local() {
            *refusal = Some("the model is on a hub, and not on this machine".to_owned());
            continue;
        }
        *refusal = match platform::can_clone(&*source.handle()?, dir) {
            Ok(()) => None,
            Err(why) if options.reflink == Reflink::Always => {
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
