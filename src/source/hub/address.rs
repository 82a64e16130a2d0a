//! What people write for a repository on a hub: `org/name`, `hf://org/name@revision`, or its page's address.

use std::fmt;
use std::path::Path;

use crate::error::{Error, Result};

/// How a repository is named explicitly.
const SCHEME: &str = "hf://";

/// The branch that repositories begin with.
pub const MAIN: &str = "main";

/// Longest name of a repository, or of a revision, in bytes.
const NAME_MAX: usize = 200;

/// Ends of names that are files' and no repository's.
const FILES: [&str; 6] = [".gguf", ".safetensors", ".json", ".bin", ".pt", ".pth"];

/// A repository, and which state of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `org/name`; a few old repositories have no `org`.
    pub id: String,
    /// A branch, a tag or a commit.
    pub revision: Option<String>,
}

impl Address {
    /// What `text` names if it begins with `hf://`, or is the address of a page of the hub at `endpoint`.
    ///
    /// # Errors
    /// [`Error::Usage`] if that is no repository.
    pub fn explicit(text: &str, endpoint: &str) -> Result<Option<Self>> {
        let page = |text: &str| Some(text.strip_prefix(endpoint)?.strip_prefix('/')?.to_owned());
        let (name, revision) = match (text.strip_prefix(SCHEME), page(text)) {
            (Some(name), _) => match name.strip_prefix("models/").unwrap_or(name).split_once('@') {
                Some((name, revision)) => (name.to_owned(), Some(revision.to_owned())),
                None => (name.to_owned(), None),
            },
            (None, Some(name)) => match name.split_once("/tree/") {
                Some((name, revision)) => (name.to_owned(), Some(revision.to_owned())),
                None => (name, None),
            },
            (None, None) => return Ok(None),
        };
        Self::new(name.trim_end_matches('/'), revision).map(Some)
    }

    /// The repository `id` at `revision`.
    ///
    /// # Errors
    /// [`Error::Usage`] if there can be none of that name.
    pub fn new(id: &str, revision: Option<String>) -> Result<Self> {
        let parts: Vec<&str> = id.split('/').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_name(part)) {
            let problem = format!("{id} is not the name of a repository");
            return Err(Error::usage(problem).hint("they look like organization/name"));
        }
        let bad = |text: &&String| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
            text.is_empty() || text.len() > NAME_MAX || !text.chars().all(plain) || text.contains("..")
        };
        match revision.as_ref().filter(bad) {
            Some(revision) => {
                let problem = format!("{revision:?} is not the name of a revision");
                Err(Error::usage(problem).hint("name a branch, a tag or a commit"))
            }
            None => Ok(Self { id: id.to_owned(), revision }),
        }
    }

    /// The revision that is meant.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(MAIN)
    }

    /// The repository's own name.
    pub fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or(&self.id)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.id)
    }
}

fn is_name(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= NAME_MAX
        && !part.starts_with(['.', '-'])
        && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Whether `path` looks like `organization/name`.
pub fn is_repository(path: &Path) -> bool {
    let Some(text) = path.to_str() else { return false };
    let lower = text.to_ascii_lowercase();
    text.split_once('/').is_some_and(|(owner, name)| is_name(owner) && is_name(name))
        && !FILES.iter().any(|end| lower.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_paths() {
        for name in ["meta-llama/Llama-3.2-1B", "a/b", "org/name_2.5"] {
            assert!(is_repository(Path::new(name)), "{name}");
        }
        for name in [
            "name",
            "/a/b",
            "a/b/c",
            "./model",
            "../model",
            "a/",
            "-a/b",
            "models/.hidden",
            "out/model.gguf",
            "in/model-00001-of-00002.safetensors",
        ] {
            assert!(!is_repository(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn addresses_say_what_and_which_state_of_it() {
        let hub = "https://huggingface.co";
        let at = |text: &str| Address::explicit(text, hub).unwrap().map(|a| (a.id, a.revision));
        let some = |id: &str, revision: Option<&str>| Some((id.to_owned(), revision.map(str::to_owned)));
        assert_eq!(at("org/name"), None);
        assert_eq!(at("hf://org/name"), some("org/name", None));
        assert_eq!(at("hf://models/org/name@v1.0"), some("org/name", Some("v1.0")));
        assert_eq!(at("hf://gpt2@refs/pr/1"), some("gpt2", Some("refs/pr/1")));
        assert_eq!(at("https://huggingface.co/org/name/tree/dev"), some("org/name", Some("dev")));
        for bad in ["hf://", "hf://a/b/c", "hf://../x", "hf://a/b@", "hf://a/b@x y", "hf://a/b@../c"] {
            assert!(Address::explicit(bad, hub).is_err(), "{bad}");
        }
    }
}
