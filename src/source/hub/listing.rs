//! What a hub says about a repository: JSON from a stranger. Everything in it is checked before anything trusts it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::input::quoted;

/// Most files of a repository.
const MOST_FILES: usize = 200_000;

/// Most bytes of their names.
const NAMES_MAX: usize = 32 << 20;

/// Longest path in bytes.
const PATH_MAX: usize = 1024;

/// Longest part of a path in bytes, as file systems have it.
const PART_MAX: usize = 255;

/// What a repository is at a revision.
#[derive(Debug, Deserialize)]
pub struct Info {
    /// Its present name.
    pub id: String,
    /// The commit.
    pub sha: String,
}

impl Info {
    /// Reads the hub's answer.
    ///
    /// # Errors
    /// In words.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let info: Self = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        match is_hex(&info.sha, 40) || is_hex(&info.sha, 64) {
            true => Ok(info),
            false => Err(format!("expected a commit, found {}", quoted(&info.sha))),
        }
    }
}

/// A file as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of what is in it, where the hub knows that; otherwise Git's name for it. Small hexadecimal digits.
    pub id: String,
}

impl Listed {
    /// The SHA-256 of what is in it, if the hub said.
    pub fn sha256(&self) -> Option<&str> {
        (self.id.len() == 64).then_some(&self.id)
    }
}

#[derive(Debug, Deserialize)]
struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    oid: String,
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

/// All files of a repository by their paths.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    files: BTreeMap<PathBuf, Listed>,
    names: usize,
}

impl Listing {
    /// Adds a page of the hub's list.
    ///
    /// # Errors
    /// In words, for what is no list of files or no honest one.
    pub fn add(&mut self, json: &[u8]) -> Result<(), String> {
        let page: Vec<TreeEntry> = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        for entry in page.into_iter().filter(|entry| entry.kind == "file") {
            self.names += entry.path.len();
            if self.files.len() == MOST_FILES || self.names > NAMES_MAX {
                return Err(format!("expected at most {MOST_FILES} files with names of {NAMES_MAX} bytes"));
            }
            let path = checked(&entry.path)?;
            let listed = match entry.lfs {
                Some(lfs) => Listed { size: lfs.size, id: lfs.oid },
                None => Listed { size: entry.size, id: entry.oid },
            };
            if !(is_hex(&listed.id, 64) || is_hex(&listed.id, 40)) {
                return Err(format!("{} has no hash but {}", quoted(&entry.path), quoted(&listed.id)));
            }
            if self.files.insert(path, listed).is_some() {
                return Err(format!("{} is there twice", quoted(&entry.path)));
            }
        }
        Ok(())
    }

    /// The files, if no name stands for a file and a directory.
    ///
    /// # Errors
    /// In words.
    pub fn finish(self) -> Result<BTreeMap<PathBuf, Listed>, String> {
        let is_file = |dir: &&Path| !dir.as_os_str().is_empty() && self.files.contains_key(*dir);
        match self.files.keys().find_map(|path| path.ancestors().skip(1).find(is_file)) {
            Some(both) => Err(format!("{} is a file and a directory", quoted(&both.to_string_lossy()))),
            None => Ok(self.files),
        }
    }
}

/// A path that stays in the directory.
fn checked(path: &str) -> Result<PathBuf, String> {
    let plain = |part: Component| match part {
        Component::Normal(part) => part.len() <= PART_MAX,
        _ => false,
    };
    let whole = !path.is_empty() && path.len() <= PATH_MAX && !path.chars().any(char::is_control);
    // Components leave out what is empty or `.`, and files have one name.
    let parts = Path::new(path).components();
    let tidy = path.split('/').all(|part| !part.is_empty() && part != ".");
    match whole && tidy && parts.clone().all(plain) {
        true => Ok(parts.collect()),
        false => Err(format!("expected the path of a file in the repository, found {}", quoted(path))),
    }
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(pages: &[serde_json::Value]) -> Result<BTreeMap<PathBuf, Listed>, String> {
        let mut listing = Listing::default();
        pages.iter().try_for_each(|page| listing.add(page.to_string().as_bytes()))?;
        listing.finish()
    }

    #[test]
    fn honest_lists_are_read() {
        let (git, sha) = ("a".repeat(40), "b".repeat(64));
        let files = listing(&[
            serde_json::json!([
                {"type": "directory", "path": "sub", "oid": git, "size": 0},
                {"type": "file", "path": "sub/config.json", "oid": git, "size": 7},
            ]),
            serde_json::json!([
                {"type": "file", "path": "m.safetensors", "oid": git, "size": 130,
                 "lfs": {"oid": sha, "size": 5_000_000_000u64, "pointerSize": 130}},
            ]),
        ]);
        let files = files.unwrap();
        assert_eq!(files[Path::new("sub/config.json")], Listed { size: 7, id: git });
        let large = &files[Path::new("m.safetensors")];
        assert_eq!((large.size, large.sha256()), (5_000_000_000, Some(&*sha)));
    }

    #[test]
    fn dishonest_lists_are_refused() {
        let entry =
            |path: &str| serde_json::json!({"type": "file", "path": path, "oid": "a".repeat(40), "size": 1});
        for bad in ["../x", "/etc/passwd", "a/../../x", "a//b", "./a", "", "a/", "a\nb", ".."] {
            assert!(listing(&[serde_json::json!([entry(bad)])]).is_err(), "{bad:?}");
        }
        let long = "x".repeat(256);
        assert!(listing(&[serde_json::json!([entry(&long)])]).is_err());
        assert!(listing(&[serde_json::json!([entry("a"), entry("a")])]).is_err());
        assert!(listing(&[serde_json::json!([entry("a"), entry("a/b")])]).is_err());
        let many = |count: usize| -> Vec<_> { (0..count).map(|n| entry(&format!("f{n}"))).collect() };
        assert!(listing(&[many(1000).into()]).is_ok());
        let problem = listing(&[many(MOST_FILES + 1).into()]).unwrap_err();
        assert!(problem.contains("at most 200000 files"), "{problem}");
        let no_hash = serde_json::json!([{"type": "file", "path": "a", "oid": "../..", "size": 1}]);
        assert!(listing(&[no_hash]).is_err());
        assert!(listing(&[serde_json::json!({"error": "x"})]).is_err());
        let negative = serde_json::json!([{"type": "file", "path": "a", "oid": "a".repeat(40), "size": -1}]);
        assert!(listing(&[negative]).is_err());
        assert!(Info::parse(br#"{"id": "a/b", "sha": "main"}"#).is_err());
        assert!(Info::parse(format!(r#"{{"id": "a/b", "sha": "{}"}}"#, "0".repeat(40)).as_bytes()).is_ok());
    }
}
