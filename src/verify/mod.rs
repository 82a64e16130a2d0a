//! Proves that a GGUF file is what becomes of a model: every tensor is computed again and compared, every key-value, too.
//!
//! What a conversion may choose is read off the file: types, order, padding, splits, joined matrices (`choices`).
//! Whatever it is made by, only the bytes count.

mod choices;
mod metadata;
mod places;
mod report;
mod structure;

use std::num::NonZeroUsize;
use std::path::PathBuf;

pub use report::{Difference, Report};

use crate::compare::{self, How};
use crate::describe::{self, Description};
use crate::error::Result;
use crate::gguf::Gguf;
use crate::input::{one_line, quoted};
use crate::inspect;
use crate::source::{File, ModelDir, OnHub};

/// What llama.cpp's loader demands of a set of files, as far as headers tell.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) naming file, and key or tensor.
pub(crate) fn check_structure(files: &[(PathBuf, Gguf)]) -> Result<()> {
    structure::check(files)?;
    structure::check_model(files)
}

/// The files that are complete but for the padding behind their last tensor: path, name of the tensor, and what is wrong.
fn unpadded(files: &[(PathBuf, Gguf)]) -> impl Iterator<Item = (&PathBuf, &str, String)> {
    files.iter().filter_map(|(path, gguf)| {
        let (last, missing) = gguf.missing_padding()?;
        let problem = format!("is whole, but {missing} bytes of the padding behind it, with which the file should end, are missing");
        Some((path, last.name.as_str(), problem))
    })
}

/// What to verify, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The file, any of its set.
    pub gguf: PathBuf,
    /// The model that it should be made of; without, only the structure is looked at.
    pub model: Option<PathBuf>,
    /// What else is said about a model on a hub.
    pub on_hub: OnHub,
    /// What a file does not tell of how it was made.
    pub describe: describe::Options,
    /// Reads what the extent map shows to be the same blocks, too, and the tensors of a model on a hub.
    pub read_all: bool,
    /// How many threads read and compute; as many as there are processors by default.
    pub threads: Option<NonZeroUsize>,
}

/// Verifies what `options` say, and tells `begin` how many bytes that takes reading, if any, and `progress` of those as they
/// are compared.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for a file that llama.cpp would refuse or a model that cannot be read, [`Error::Io`](crate::Error::Io). That the file
/// differs is none: the [`Report`] says so.
pub fn verify(
    options: &Options,
    begin: &mut dyn FnMut(u64),
    progress: &mut dyn FnMut(u64),
) -> Result<Report> {
    let files = inspect::read_set(&options.gguf)?;
    structure::check(&files)?;
    let mut report = Report::new(&files);
    let Some(model) = &options.model else {
        structure::check_model(&files)?;
        report.notes = unpadded(&files)
            .map(|(path, name, problem)| {
                format!(
                    "{}: tensor {} {problem}; llama.cpp loads the file nevertheless",
                    one_line(&path.to_string_lossy()),
                    quoted(name)
                )
            })
            .collect();
        return Ok(report);
    };
    let model = ModelDir::find(model, &options.on_hub)?;
    let Description { checkpoint, metadata, tensors, .. } =
        choices::describe(&model, &files, &options.describe)?;
    report.has_model = true;
    report.differences.extend(metadata::differences(&metadata, &files));
    report.differences.extend(
        unpadded(&files).map(|(_, name, problem)| Difference::Tensor { name: name.to_owned(), problem }),
    );
    let mut outputs = places::outputs(&files, &checkpoint, tensors, &mut report.differences)?;

    if !model.is_local() && !options.read_all {
        report.headers_only = true;
        return Ok(report);
    }
    let opened = files.iter().map(|(path, _)| File::open(path)).collect::<Result<Vec<_>>>()?;
    let how = How { read_all: options.read_all, quiet_nans: true, forget: false, threads: options.threads };
    report.bytes = compare::compare(&mut outputs, &opened, &checkpoint.sources, how, begin, progress)?;
    report.differences.extend(report.bytes.mismatches.drain(..).map(Difference::Bytes));
    model.check_unchanged()?;
    opened.iter().try_for_each(File::check_unchanged)?;
    Ok(report)
}
