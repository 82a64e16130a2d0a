//! Where outputs go.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Options;
use crate::describe::NameParts;
use crate::error::{Error, Result};
use crate::metadata;
use crate::source::{ModelDir, is_dir};

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
