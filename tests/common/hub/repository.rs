//! A directory as a repository.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::Access;

/// Files from this size on are in large file storage.
const LARGE: u64 = 64 << 10;

/// What a directory holds.
pub struct Repository {
    pub commit: String,
    pub access: Access,
    pub files: BTreeMap<String, Entry>,
    /// What its list says instead of the truth.
    pub lies: Option<Vec<Value>>,
}

pub struct Entry {
    pub path: PathBuf,
    pub size: u64,
    pub sha256: String,
    /// Git's name for it.
    pub blob: String,
    pub is_lfs: bool,
}

impl Repository {
    pub fn of(dir: &Path, access: Access) -> Self {
        let mut files = BTreeMap::new();
        let mut dirs = vec![dir.to_owned()];
        while let Some(next) = dirs.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    files.insert(
                        path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned(),
                        Entry::of(&path),
                    );
                }
            }
        }
        let mut hash = Sha1::new();
        files.iter().for_each(|(path, file)| hash.update(format!("{path}\0{}\0", file.sha256)));
        Self { commit: hex(&hash.finalize()), access, files, lies: None }
    }

    /// Whether it has the revision.
    pub fn has(&self, revision: &str) -> bool {
        [&*self.commit, "main", "v1.0", "refs/pr/1"].contains(&revision)
    }

    pub fn siblings(&self) -> Vec<Value> {
        self.files.keys().map(|path| json!({"rfilename": path})).collect()
    }

    /// What its list says.
    pub fn listed(&self) -> Vec<Value> {
        self.lies.clone().unwrap_or_else(|| self.entries())
    }

    /// The truth.
    pub fn entries(&self) -> Vec<Value> {
        let entry = |(path, file): (&String, &Entry)| {
            let mut entry = json!({"type": "file", "oid": file.blob, "size": file.size, "path": path});
            if file.is_lfs {
                entry["lfs"] = json!({"oid": file.sha256, "size": file.size, "pointerSize": 134});
            }
            entry
        };
        self.files.iter().map(entry).collect()
    }
}

impl Entry {
    fn of(path: &Path) -> Self {
        let size = fs::metadata(path).unwrap().len();
        let (mut sha256, mut blob) = (Sha256::new(), Sha1::new());
        blob.update(format!("blob {size}\0"));
        let (mut file, mut buffer) = (File::open(path).unwrap(), vec![0; 1 << 20]);
        loop {
            let count = file.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            sha256.update(&buffer[..count]);
            blob.update(&buffer[..count]);
        }
        let weights = path.extension().is_some_and(|e| e == "safetensors" || e == "bin" || e == "model");
        Self {
            path: path.to_owned(),
            size,
            sha256: hex(&sha256.finalize()),
            blob: hex(&blob.finalize()),
            is_lfs: weights || size >= LARGE,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
