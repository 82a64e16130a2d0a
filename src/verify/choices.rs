//! What a conversion may choose, read off the file that came of it.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::arch::{FileType, Mtp, OutType};
use crate::describe::{self, Description, Opened, Target};
use crate::error::{Error, Result};
use crate::gguf::{Gguf, StoredTensor, Value};
use crate::source::ModelDir;
use crate::tensor::OutputTensor;

/// Describes what should be in `files`, with the choices that explain most of what is. `given` has the others. Only the
/// tensors are looked at to choose; what takes time, the vocabulary, is read once.
///
/// # Errors
/// As [`describe::describe`], if no choice can be described.
pub fn describe(
    model: &ModelDir,
    files: &[(PathBuf, Gguf)],
    given: &describe::Options,
) -> Result<Description> {
    let stored: HashMap<&str, &StoredTensor> = files
        .iter()
        .flat_map(|(_, gguf)| &gguf.tensors)
        .map(|tensor| (tensor.name.as_str(), tensor))
        .collect();
    let architecture = files.first().and_then(|(_, gguf)| gguf.metadata.get("general.architecture"));
    let mut candidates = candidates(files, &stored, given);
    if matches!(architecture, Some(Value::String(name)) if name == b"clip") {
        return projector(model, &candidates, &stored);
    }
    let target = if stored.is_empty() { Target::Vocabulary } else { Target::Text };
    let opened = Opened::new(model, target, candidates.first().unwrap_or(given))?;
    let (mut best, mut failure) = (None::<(usize, usize)>, None);
    for (number, options) in candidates.iter().enumerate() {
        match opened.tensors(&options.arch) {
            Ok(tensors) => {
                let unexplained = unexplained(&tensors, &stored);
                if best.is_none_or(|(least, _)| unexplained < least) {
                    best = Some((unexplained, number));
                }
                if unexplained == 0 {
                    break;
                }
            }
            Err(error) => _ = failure.get_or_insert(error),
        }
    }
    match (best, failure) {
        (Some((_, number)), _) => opened.describe(&candidates.swap_remove(number)),
        (None, Some(error)) => Err(error),
        (None, None) => opened.describe(given),
    }
}

/// The same of a projector, whose description is quickly made.
fn projector(
    model: &ModelDir,
    candidates: &[describe::Options],
    stored: &HashMap<&str, &StoredTensor>,
) -> Result<Description> {
    let described = candidates.iter().map(|options| describe::describe(model, Target::Projector, options));
    let (mut best, mut failure) = (None::<(usize, Description)>, None);
    for description in described {
        match description {
            Ok(description) => {
                let unexplained = unexplained(&description.tensors, stored);
                if best.as_ref().is_none_or(|(least, _)| unexplained < *least) {
                    best = Some((unexplained, description));
                }
                if unexplained == 0 {
                    break;
                }
            }
            Err(error) => _ = failure.get_or_insert(error),
        }
    }
    let found = best.map(|(_, description)| description);
    found.ok_or_else(|| failure.unwrap_or_else(|| Error::Internal("there is nothing to choose from".into())))
}

/// How many tensors are not as described.
fn unexplained(tensors: &[OutputTensor], stored: &HashMap<&str, &StoredTensor>) -> usize {
    let fits = tensors.iter().filter(|tensor| {
        stored.get(tensor.name.as_str()).is_some_and(|found| {
            found.type_id == tensor.ggml_type as u32 && found.shape == tensor.expr.shape()
        })
    });
    let fits = fits.count();
    (tensors.len() - fits) + (stored.len().saturating_sub(fits))
}

/// Choices to try, the likeliest first.
fn candidates(
    files: &[(PathBuf, Gguf)],
    stored: &HashMap<&str, &StoredTensor>,
    given: &describe::Options,
) -> Vec<describe::Options> {
    let has = |part: &str| stored.keys().any(|name| name.contains(part));
    let file_type = files.first().and_then(|(_, gguf)| gguf.metadata.get("general.file_type"));
    let is_stated = |t: FileType| file_type == Some(&Value::U32(t as u32));
    let stated = OutType::ALL.into_iter().find(|out| out.file_type().is_some_and(is_stated));
    let first = stated.unwrap_or(OutType::Auto);
    let types = [first, OutType::Auto, OutType::Bf16, OutType::F16, OutType::F32];
    let types = types.iter().enumerate().filter(|(i, out)| !types[..*i].contains(out)).map(|(_, out)| *out);
    let mut all = Vec::new();
    for out in types {
        for mtp in [Mtp::Keep, Mtp::Drop, Mtp::Only] {
            for fp8_as_q8 in [false, true] {
                let mut options = given.clone();
                options.allow_incomplete = true;
                options.arch.out = out;
                options.arch.mtp = mtp;
                options.arch.fp8_as_q8 = fp8_as_q8;
                options.arch.fuse_qkv = has("attn_qkv");
                options.arch.fuse_gate_up_exps = has("ffn_gate_up_exps");
                options.arch.dense_modules = has("dense_2.") || has("dense_3.");
                all.push(options);
            }
        }
    }
    all
}
