//! What the GGUF of a projector must hold. It has a model's metadata, and no tokenizer.

use crate::arch;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::metadata::{self, Metadata};
use crate::source::ModelDir;

use super::{Description, NameParts, Options, Target, completeness, parameters};

/// Whether the model in `dir` is one that has a projector, be it one that cannot be converted.
///
/// # Errors
/// If its configuration cannot be read.
pub fn exists(dir: &ModelDir, options: &Options) -> Result<bool> {
    match options.mistral_format {
        true => Ok(Config::load_whole_params(dir)?.map().contains_key("vision_encoder")),
        false => Ok(arch::knows_projector(Config::load_whole(dir)?.architecture()?)),
    }
}

/// Describes the GGUF of the projector of the model in `dir`.
///
/// # Errors
/// As [`super::describe`].
pub fn describe(dir: &ModelDir, options: &Options) -> Result<Description> {
    let (config, projector, checkpoint) = match options.mistral_format {
        true => {
            let config = Config::load_whole_params(dir)?;
            (config, arch::projector_in_mistral_format(), Checkpoint::open_consolidated(dir)?)
        }
        false => {
            let config = Config::load_whole(dir)?;
            let projector = arch::lookup_projector(config.architecture()?);
            let projector = projector.map_err(|error| error.about(dir.join("config.json")))?;
            (config, projector, Checkpoint::open(dir)?)
        }
    };
    let strict = !options.allow_incomplete;
    completeness::report(dir.path(), checkpoint.incomplete.as_slice(), strict)?;
    let described = projector
        .build(dir, &checkpoint, &config, options.mistral_format, &options.arch)
        .map_err(|error| error.of_model(dir.path()))?;
    let tensors = described.tensors;
    if tensors.is_empty() {
        return Err(Error::invalid(dir.path(), "no tensor of the checkpoint belongs to a projector"));
    }
    let general = Metadata::load(&metadata::Inputs {
        dir,
        metadata_override: options.metadata.as_deref(),
        model_name: options.model_name.as_deref(),
        params: parameters::count(&tensors),
    })?;

    let mut keys = KeyValues::new();
    keys.set_string("general.architecture", "clip");
    keys.set_string("general.type", "mmproj");
    general.write(&mut keys)?;
    keys.extend(described.hparams);
    keys.set_u32("general.quantization_version", 2);

    let output_type = described.ftype.name();
    let name = NameParts { general, target: Target::Projector, output_type, only_prediction: false };
    Ok(Description { checkpoint, metadata: keys, tensors, name, notes: Vec::new() })
}
