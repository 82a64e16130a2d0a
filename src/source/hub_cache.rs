//! Where the Hugging Face cache of this machine has a model that is named by its id.
//!
//! The places and the layout are those of `huggingface_hub`: `models--ORG--NAME/snapshots/COMMIT` below `HF_HUB_CACHE`, and
//! `refs/main` holds the commit. Nothing is downloaded.

use std::env;
use std::path::PathBuf;

use super::{ModelDir, local};
use crate::error::Result;

/// Longest content of a reference, in bytes: a commit has 40.
const MAX_REF: u64 = 256;

/// Whether it looks like `organization/name`.
pub(crate) fn is_repository(id: &str) -> bool {
    let part = |text: &str| {
        !text.is_empty()
            && !text.starts_with(['.', '-'])
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    id.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

/// The snapshot of the repository `id` that the cache has for its main branch; none if it has none.
///
/// # Errors
/// If the cache cannot be read.
pub(crate) fn cached(id: &str) -> Result<Option<PathBuf>> {
    let Some(cache) = place().filter(|_| is_repository(id)) else { return Ok(None) };
    let repository = cache.join(format!("models--{}", id.replace('/', "--")));
    if !local::is_dir(&repository)? {
        return Ok(None);
    }
    let reference = ModelDir::open(&repository)?.read_if_there("refs/main", MAX_REF)?.unwrap_or_default();
    let commit = String::from_utf8_lossy(&reference).trim().to_owned();
    if commit.is_empty() || !commit.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(None);
    }
    let snapshot = repository.join("snapshots").join(commit);
    Ok(local::is_dir(&snapshot)?.then_some(snapshot))
}

/// Where the cache is, as the environment says.
fn place() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let below = |dir: PathBuf| dir.join("huggingface");
    let home = || {
        set("HF_HOME")
            .or_else(|| set("XDG_CACHE_HOME").map(below))
            .or_else(|| set("HOME").map(|home| below(home.join(".cache"))))
    };
    set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE")).or_else(|| Some(home()?.join("hub")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_paths() {
        for name in ["meta-llama/Llama-3.2-1B", "a/b", "org/name_2.5"] {
            assert!(is_repository(name), "{name}");
        }
        for name in ["name", "/a/b", "a/b/c", "./model", "../model", "a/", "-a/b", "models/.hidden"] {
            assert!(!is_repository(name), "{name}");
        }
    }
}
