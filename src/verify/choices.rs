//! What a conversion may choose, read off the file that came of it.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::arch::{FileType, Mtp, OutType};
use crate::describe::{self, Description, Opened, Target};
use crate::error::{Error, Result};
use crate::gguf::{Gguf, KeyValues, StoredTensor, Value};
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
    let is = |key: &str, text: &[u8]| {
        let value = files.first().and_then(|(_, gguf)| gguf.metadata.get(key));
        matches!(value, Some(Value::String(found)) if found == text)
    };
    let other = if is("general.architecture", b"clip") {
        Some(Target::Projector)
    } else {
        is("general.type", b"adapter").then_some(Target::Adapter)
    };
    let mut given = given.clone();
    given.arch.dspark =
        other.is_none() && is("general.architecture", b"dflash") && describe::has_draft(model)?;
    let candidates = candidates(files, &stored, &given);
    if let Some(target) = other {
        let describe = |options: &_| describe::describe(model, target, options);
        return best(&candidates, describe, |found| unexplained(&found.tensors, &stored))
            .map(|(_, found)| found);
    }
    let target = if stored.is_empty() { Target::Vocabulary } else { Target::Text };
    let opened = Opened::new(model, target, candidates.first().unwrap_or(&given))?;
    let build = |options: &describe::Options| opened.build(&options.arch);
    let (options, built) = best(&candidates, build, |built| match target {
        // Without tensors, settings tell what was chosen.
        Target::Vocabulary => unlike(&built.hparams, built.arch, files),
        _ => unexplained(&built.tensors, &stored),
    })?;
    opened.report(options)?;
    opened.finish(built, options)
}

/// The one of `candidates` that leaves least of what is stored unexplained, which `count` counts, with what `describe` makes
/// of it.
///
/// # Errors
/// Those of `describe` for the first, if it fails for all.
fn best<T>(
    candidates: &[describe::Options],
    describe: impl Fn(&describe::Options) -> Result<T>,
    count: impl Fn(&T) -> usize,
) -> Result<(&describe::Options, T)> {
    let (mut best, mut failure) = (None::<(usize, &describe::Options, T)>, None);
    for options in candidates {
        match describe(options) {
            Ok(found) => {
                let unexplained = count(&found);
                if best.as_ref().is_none_or(|(least, ..)| unexplained < *least) {
                    best = Some((unexplained, options, found));
                }
                if unexplained == 0 {
                    break;
                }
            }
            Err(error) => _ = failure.get_or_insert(error),
        }
    }
    let found = best.map(|(_, options, found)| (options, found));
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

/// How many of the architecture's settings are others than the file has.
fn unlike(settings: &KeyValues, arch: &str, files: &[(PathBuf, Gguf)]) -> usize {
    let Some((_, first)) = files.first() else { return settings.iter().count() };
    let other =
        |key: &str, value: &Value| !first.metadata.get(key).is_some_and(|found| value.has_bits_of(found));
    let of_arch = |key: &str| key.strip_prefix(arch).is_some_and(|rest| rest.starts_with('.'));
    let lacking = first.metadata.iter().filter(|(key, _)| of_arch(key) && settings.get(key).is_none());
    settings.iter().filter(|(key, value)| other(key, value)).count() + lacking.count()
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
    // Linear attention has joined matrices of its own, which say nothing of the other layers; and of some layers nothing is joined.
    let joined = |joined: &str, apart: &str| -> &[bool] {
        match (has(joined), has(apart)) {
            (false, _) => &[false],
            (true, false) => &[true],
            (true, true) => &[false, true],
        }
    };
    let mut all = Vec::new();
    for out in types {
        for mtp in [Mtp::Keep, Mtp::Drop, Mtp::Only] {
            for fp8_as_q8 in [false, true] {
                for fuse_qkv in joined("attn_qkv", ".attn_q.") {
                    for fuse_gate_up_exps in joined("ffn_gate_up_exps", ".ffn_gate_exps.") {
                        let mut options = given.clone();
                        options.allow_incomplete = true;
                        options.arch.out = out;
                        options.arch.mtp = mtp;
                        options.arch.fp8_as_q8 = fp8_as_q8;
                        options.arch.fuse_qkv = *fuse_qkv;
                        options.arch.fuse_gate_up_exps = *fuse_gate_up_exps;
                        options.arch.dense_modules = has("dense_2.") || has("dense_3.");
                        all.push(options);
                    }
                }
            }
        }
    }
    all
}
