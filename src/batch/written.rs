//! The files that a conversion wrote, told apart from all others before they have names.

use std::path::{Path, PathBuf};

use ggraft_platform::{Identity, boot_id};
use serde::{Deserialize, Serialize};

/// What a conversion wrote.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Written {
    /// Whether it is on the disk.
    pub durable: bool,
    /// The run of the machine that wrote it; only that one can tell what became of it if it is not.
    pub boot: Option<String>,
    /// Its files.
    pub outputs: Vec<Output>,
}

/// One file of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Output {
    /// The name it gets.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// When it was written, in seconds and nanoseconds since 1970. A file keeps that when it gets its name.
    pub modified: (i64, i64),
    /// Its file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

impl Written {
    /// Files of this state that are about to get these names. Unless they are on the disk (`durable`), a power failure may
    /// still take their contents.
    pub fn new<'a>(durable: bool, files: impl IntoIterator<Item = (&'a Path, Identity)>) -> Self {
        let output = |(path, identity): (&Path, Identity)| Output {
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            bytes: identity.len,
            modified: identity.modified,
            device: identity.device,
            inode: identity.inode,
        };
        Self { durable, boot: boot_id(), outputs: files.into_iter().map(output).collect() }
    }

    /// Whether it is on the disk, or this run of the machine would know if it were lost.
    pub fn is_durable_here(&self) -> bool {
        self.durable || (self.boot.is_some() && self.boot == boot_id())
    }
}

impl Output {
    /// Whether it belongs to a file before it: `NAME-00002-of-00003.gguf`.
    pub fn continues(&self) -> bool {
        let number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let Some((rest, count)) = stem.rsplit_once("-of-") else { return false };
        rest.rsplit_once('-').is_some_and(|(_, no)| number(count) && number(no) && no != "00001")
    }

    /// Whether that is the very file.
    pub fn is_same_file(&self, now: &Identity) -> bool {
        (self.device, self.inode) == (now.device, now.inode)
    }

    /// What is wrong with the file of its name; only the very file that was written will do if `exactly`.
    pub fn problem(&self, exactly: bool) -> Option<String> {
        let path = self.path.display();
        match Identity::at(&self.path) {
            Err(_) => Some(format!("{path} is not there")),
            Ok(now) if now.len != self.bytes || now.modified != self.modified => {
                Some(format!("{path} is not as it was written"))
            }
            Ok(now) if exactly && !self.is_same_file(&now) => Some(format!("{path} is another file")),
            Ok(_) => None,
        }
    }
}
