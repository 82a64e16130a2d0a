//! What every GGUF begins with, whatever it holds: its kind, and what it says of the model in general.

use crate::error::Result;
use crate::gguf::KeyValues;
use crate::metadata::{self, Metadata};
use crate::source::ModelDir;
use crate::tensor::OutputTensor;

use super::{Options, parameters};

/// What is said of the model in `dir` in general, of which `tensors` are written. `name` counts where `options` give none.
///
/// # Errors
/// If a file that it is read from is not what it should be.
pub fn general(
    dir: &ModelDir,
    options: &Options,
    name: Option<&str>,
    tensors: &[OutputTensor],
) -> Result<Metadata> {
    Metadata::load(&metadata::Inputs {
        dir,
        metadata_override: options.metadata.as_deref(),
        model_name: options.model_name.as_deref().or(name),
        params: parameters::count(tensors),
    })
}

/// The first key-values: the architecture, what comes `early`, and the kind of file.
pub fn begin(arch: &str, early: KeyValues, kind: &str) -> KeyValues {
    let mut keys = KeyValues::new();
    keys.set_string("general.architecture", arch);
    keys.extend(early);
    keys.set_string("general.type", kind);
    keys
}
