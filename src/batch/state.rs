//! What is done: beside the outputs, in a hidden directory, a small file for each job that was finished.
//!
//! A job is done if that file holds the fingerprint that the job has today, and every output is as it was written. A file
//! of the right name alone proves nothing. The file is there before the first output is: should the batch be killed between
//! the last output and the note that it is finished, outputs of the planned lengths that were not there before, or not
//! like this, tell that it is.

use std::fs::{self, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ggraft_platform::{AtomicFile, Identity, Links, Lock, LockError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Job;
use crate::error::{Error, Result};
use crate::hex::hex;

/// The directory of these files, in the directory of the outputs.
const DIR: &str = ".ggraft-batch";

/// What a fingerprint covers besides the job and its inputs. It changes when outputs do.
const OUTPUTS: &str = concat!("ggraft ", env!("CARGO_PKG_VERSION"), " 1");

/// Deepest directory of a model whose files count as inputs.
const DEPTH: usize = 2;

/// Where a job's state is.
#[derive(Clone, Debug)]
pub struct Place {
    dir: PathBuf,
    key: String,
}

/// A job that was begun, as its file says.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    fingerprint: String,
    job: String,
    finished: bool,
    outputs: Vec<Output>,
}

/// An output.
#[derive(Debug, Deserialize, Serialize)]
struct Output {
    path: PathBuf,
    bytes: u64,
    /// Seconds and nanoseconds since 1970: when it was written or, while the job is not finished, when what has its name
    /// was.
    modified: Option<(i64, i64)>,
}

impl Place {
    /// The place of `job`: jobs with the same model and arguments share it, others do not.
    pub fn of(job: &Job) -> Self {
        let model = std::path::absolute(&job.model).unwrap_or_else(|_| job.model.clone());
        let mut hash = Sha256::new();
        hash.update(model.as_os_str().as_encoded_bytes());
        for arg in &job.args {
            hash.update([0]);
            hash.update(arg.as_encoded_bytes());
        }
        Self { dir: job.outdir.join(DIR), key: hex(&hash.finalize())[..32].to_owned() }
    }

    /// Takes the lock of the job; who has it, if somebody does.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn lock(&self) -> Result<Result<Lock, String>> {
        let path = self.dir.join(format!("{}.lock", self.key));
        fs::create_dir_all(&self.dir).map_err(|e| Error::io("cannot create", &self.dir, e))?;
        match Lock::take(&path) {
            Ok(lock) => Ok(Ok(lock)),
            Err(LockError::Held(by)) => Ok(Err(by)),
            Err(LockError::Io(e)) => Err(Error::io("cannot lock", &path, e)),
        }
    }

    fn file(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.key))
    }

    /// Whether the job is done: finished with this `fingerprint`, its outputs as they were.
    pub fn is_complete(&self, fingerprint: &str) -> bool {
        let record = fs::read(self.file()).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        let Some(record) = record.filter(|record| record.fingerprint == fingerprint) else { return false };
        let is_whole = |output: &Output| {
            Identity::at(&output.path).is_ok_and(|now| {
                now.len == output.bytes && (Some(now.modified) == output.modified) == record.finished
            })
        };
        !record.outputs.is_empty() && record.outputs.iter().all(is_whole)
    }

    /// Remembers that `job` is about to make `outputs`, of so many bytes, from what `fingerprint` stands for.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(&self, job: &Job, fingerprint: &str, outputs: &[(PathBuf, u64)]) -> Result<()> {
        self.write(job, fingerprint, outputs, false)
    }

    /// Remembers that they are made. On the disk when this returns, as they are.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(&self, job: &Job, fingerprint: &str, outputs: &[(PathBuf, u64)]) -> Result<()> {
        self.write(job, fingerprint, outputs, true)
    }

    fn write(&self, job: &Job, fingerprint: &str, outputs: &[(PathBuf, u64)], finished: bool) -> Result<()> {
        let path = self.file();
        let cannot = |e: io::Error| Error::io("cannot write", &path, e);
        let output = |(path, bytes): &(PathBuf, u64)| {
            let path = std::path::absolute(path)?;
            let modified = Identity::at(&path).ok().map(|now| now.modified);
            Ok(Output { path, bytes: *bytes, modified })
        };
        let outputs = outputs.iter().map(output).collect::<io::Result<_>>().map_err(cannot)?;
        let record = Record { fingerprint: fingerprint.to_owned(), job: job.name.clone(), finished, outputs };
        let text = serde_json::to_vec_pretty(&record).map_err(|e| cannot(e.into()))?;
        let file = AtomicFile::create(&path, Links::Replace).map_err(cannot)?;
        file.file().write_all(&text).map_err(cannot)?;
        AtomicFile::flush_all(vec![file], true)?.publish()?;
        Ok(())
    }
}

/// What the outputs of `job` depend on, in one number: this program's outputs, the arguments, and names, sizes and times
/// of the files in the model's directory and of those that arguments name.
///
/// # Errors
/// [`Error::Io`] if the model's directory cannot be listed.
pub fn fingerprint(job: &Job) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(OUTPUTS);
    for arg in &job.args {
        hash.update([0]);
        hash.update(arg.as_encoded_bytes());
        let (flag, value) = arg.to_str().and_then(|arg| arg.split_once('=')).unzip();
        // What a flag names is an input, but for the output.
        let value = value.filter(|_| flag != Some("--outfile")).map(Path::new);
        if let Some(metadata) = value.and_then(|path| fs::metadata(path).ok()).filter(Metadata::is_file) {
            update(&mut hash, &Identity::from_metadata(&metadata));
        }
    }
    let mut files = Vec::new();
    list(&job.model, Path::new(""), DEPTH, &mut files)?;
    files.sort();
    for (name, identity) in files {
        hash.update([0]);
        hash.update(name.as_os_str().as_encoded_bytes());
        update(&mut hash, &identity);
    }
    Ok(hex(&hash.finalize()))
}

/// Adds the length of a file and its times: a program can set back the time of the last modification, but not of the last
/// change.
fn update(hash: &mut Sha256, identity: &Identity) {
    let Identity { len, modified, changed, .. } = identity;
    hash.update(len.to_le_bytes());
    [modified.0, modified.1, changed.0, changed.1]
        .iter()
        .for_each(|number| hash.update(number.to_le_bytes()));
}

/// Adds all files of `root` in `below` that may be inputs: neither hidden ones nor outputs.
fn list(root: &Path, below: &Path, depth: usize, files: &mut Vec<(PathBuf, Identity)>) -> Result<()> {
    let dir = root.join(below);
    let cannot = |e| Error::io("cannot list", &dir, e);
    for entry in fs::read_dir(&dir).map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name();
        let path = below.join(&name);
        if name.as_encoded_bytes().starts_with(b".") || path.extension().is_some_and(|e| e == "gguf") {
            continue;
        }
        // What a link leads to counts; one that leads nowhere is no input.
        let Ok(metadata) = fs::metadata(root.join(&path)) else { continue };
        if metadata.is_file() {
            files.push((path, Identity::from_metadata(&metadata)));
        } else if metadata.is_dir() && depth > 0 {
            list(root, &path, depth - 1, files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(model: &Path, out: &Path) -> Job {
        let (model, outdir) = (model.to_owned(), out.to_owned());
        Job { entry: 0, name: "j".into(), model, args: vec!["--outtype=f16".into()], outdir }
    }

    #[test]
    fn done_means_done() {
        let (model, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(model.path().join("config.json"), "{}").unwrap();
        let (job, output) = (job(model.path(), out.path()), out.path().join("o.gguf"));
        let outputs = [(output.clone(), 5)];
        let (place, print) = (Place::of(&job), fingerprint(&job).unwrap());
        fs::create_dir_all(&place.dir).unwrap();
        fs::write(&output, "older").unwrap();
        assert!(!place.is_complete(&print), "a file of the right name is not enough");
        place.begin(&job, &print, &outputs).unwrap();
        assert!(!place.is_complete(&print), "that was there before");
        let written_at = |seconds| {
            fs::write(&output, "whole").unwrap();
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options().write(true).open(&output).unwrap().set_modified(time).unwrap();
        };
        written_at(1);
        assert!(place.is_complete(&print), "killed before it could say so");
        place.finish(&job, &print, &outputs).unwrap();
        assert!(place.is_complete(&print));
        written_at(2);
        assert!(!place.is_complete(&print), "somebody wrote the output since");
        place.finish(&job, &print, &outputs).unwrap();
        fs::write(model.path().join("config.json"), "{} ").unwrap();
        let changed = fingerprint(&job).unwrap();
        assert!(!place.is_complete(&changed), "an input has another length");
        let config = fs::File::options().write(true).open(model.path().join("config.json")).unwrap();
        let modified = config.metadata().unwrap().modified().unwrap();
        // Some file systems' clocks tick that slowly.
        std::thread::sleep(std::time::Duration::from_millis(20));
        (&config).write_all(b"[]").unwrap();
        config.set_modified(modified).unwrap();
        assert_ne!(fingerprint(&job).unwrap(), changed, "other bytes, under the old time");
        let changed = fingerprint(&job).unwrap();
        let more = Job { args: vec!["--outtype=f32".into()], ..job.clone() };
        assert_ne!(fingerprint(&more).unwrap(), changed);
    }
}
