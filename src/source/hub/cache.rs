//! What the Hugging Face library has downloaded to this machine: `models--ORG--NAME/snapshots/COMMIT`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::address::Address;
use super::listing::Listed;

/// Longest name of a commit in a reference.
const COMMIT_MAX: u64 = 64;

/// Where the library keeps the repository of `address`.
fn home(cache: &Path, address: &Address) -> PathBuf {
    cache.join(format!("models--{}", address.id.replace('/', "--")))
}

/// The snapshot of `commit`, if there is anything of it.
pub fn snapshot(cache: &Path, address: &Address, commit: &str) -> Option<PathBuf> {
    Some(home(cache, address).join("snapshots").join(commit)).filter(|dir| dir.is_dir())
}

/// The snapshot of the revision that `address` names, as the library saw it last.
pub fn last_seen(cache: &Path, address: &Address) -> Option<PathBuf> {
    let reference = home(cache, address).join("refs").join(address.revision());
    let short = fs::metadata(&reference).is_ok_and(|found| found.is_file() && found.len() <= COMMIT_MAX);
    let commit = if short { fs::read_to_string(&reference).ok()? } else { address.revision().to_owned() };
    let commit = commit.trim();
    let is_commit = !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    snapshot(cache, address, commit).filter(|_| is_commit)
}

/// Whether `snapshot` holds everything of `files` that a conversion may want, in full length. The library downloads only what
/// somebody asked it for. Weights that were aligned here are longer than they were on the hub.
pub fn is_complete(snapshot: &Path, files: &BTreeMap<PathBuf, Listed>) -> bool {
    let here = |(path, listed): (&PathBuf, &Listed)| {
        let may_be_aligned = path.extension().is_some_and(|e| e == "safetensors");
        fs::metadata(snapshot.join(path)).is_ok_and(|found| {
            found.is_file() && (found.len() == listed.size || may_be_aligned && found.len() > listed.size)
        })
    };
    files.iter().filter(|(path, _)| is_wanted(path, files)).all(here)
}

/// Whether a conversion may want the file `path` of the repository that `files` are: not pictures, and not the same weights
/// in other formats.
pub fn is_wanted(path: &Path, files: &BTreeMap<PathBuf, Listed>) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let in_safetensors = || {
        let top = |path: &&PathBuf| path.components().count() == 1;
        files.keys().filter(top).any(|path| path.extension().is_some_and(|e| e == "safetensors"))
    };
    match extension {
        "bin" | "pt" | "pth" => !in_safetensors(),
        "gguf" | "onnx" | "h5" | "msgpack" | "ot" | "tflite" | "mlmodel" | "ckpt" | "nemo" => false,
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "svg" | "pdf" | "mp4" | "gitattributes" => false,
        _ => path.file_name().is_none_or(|name| name != ".gitattributes"),
    }
}
