//! What is done: beside the outputs, in a hidden directory, a small file for each job that was finished.
//!
//! A job is done if that file holds the fingerprint that the job has today, and every output is as it was written. A file
//! of the right name alone proves nothing. The file is there before the first output is, and says which file each of them
//! will be: should the batch be killed between the last output and the note that it is finished, that tells that it is.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use ggraft_platform::{AtomicFile, Identity, Links, Lock, LockError, parent, remove_leftovers};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Job;
use super::fingerprint::Fingerprint;
use super::written::Written;
use crate::error::{Error, Result};
use crate::hex::hex;

/// The directory of these files, in the directory of the outputs.
const DIR: &str = ".ggraft-batch";

/// In it, a file whose time says when leftovers were looked for.
const TIDIED: &str = "tidied";

/// Longest record that is read, in bytes: some hundred bytes for each file of a set.
const RECORD_MAX: u64 = 64 << 20;

/// Where a job's state is.
#[derive(Clone, Debug)]
pub struct Place {
    dir: PathBuf,
    key: String,
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its outputs are there, as it wrote them.
    Complete,
    /// They are, but whether they are what their bytes should be has to be proven, for this reason.
    Unproven(&'static str),
    /// They are not, for this reason.
    ToDo(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => write!(f, "complete"),
            Self::Unproven(why) => write!(f, "to be verified, since {why}"),
            Self::ToDo(why) => write!(f, "to be done, since {why}"),
        }
    }
}

/// A job that was begun, as its file says.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    fingerprint: Fingerprint,
    job: String,
    finished: bool,
    written: Written,
}

impl Place {
    /// The place of `job`: jobs with the same model and arguments share it, others do not.
    pub fn of(job: &Job) -> Self {
        let absolute = std::path::absolute(&job.model).ok().filter(|_| job.on_hub.is_none());
        let model = absolute.unwrap_or_else(|| job.model.clone());
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
    /// [`Error::Io`], for one if the directory of the outputs is not there.
    pub fn lock(&self) -> Result<Result<Lock, String>> {
        let path = self.dir.join(format!("{}.lock", self.key));
        loop {
            match fs::create_dir(&self.dir) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io("cannot create", &self.dir, e));
                }
                _ => {}
            }
            match Lock::take(&path) {
                Ok(lock) => return Ok(Ok(lock)),
                Err(LockError::Held(by)) => return Ok(Err(by)),
                // Another batch had no use for the directory.
                Err(LockError::Io(e)) if e.kind() == io::ErrorKind::NotFound && !self.dir.exists() => {}
                Err(LockError::Io(e)) => return Err(Error::io("cannot lock", &path, e)),
            }
        }
    }

    /// Removes the directory again if there is nothing in it.
    pub fn tidy(&self) {
        if fs::read_dir(&self.dir).is_ok_and(|mut entries| {
            entries.by_ref().take(2).flatten().all(|entry| entry.file_name() == TIDIED)
        }) {
            _ = fs::remove_file(self.dir.join(TIDIED));
        }
        _ = fs::remove_dir(&self.dir);
    }

    /// Whether nobody has looked for leftovers among the outputs for so long.
    pub fn is_untidy(&self, long: Duration) -> bool {
        let tidied = fs::metadata(self.dir.join(TIDIED)).and_then(|metadata| metadata.modified());
        // A time to come says nothing.
        !tidied.is_ok_and(|tidied| tidied.elapsed().is_ok_and(|elapsed| elapsed < long))
    }

    /// Removes what killed conversions left among the outputs.
    pub fn remove_leftovers(&self) {
        remove_leftovers(parent(&self.dir));
        remove_leftovers(&self.dir);
        // If it cannot be written, somebody looks again.
        _ = fs::write(self.dir.join(TIDIED), []);
    }

    fn file(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.key))
    }

    fn record(&self) -> Option<Record> {
        let mut text = Vec::new();
        let file = fs::File::open(self.file()).ok()?;
        io::Read::read_to_end(&mut io::Read::take(file, RECORD_MAX), &mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// What became of the job, whose fingerprint today is `now`.
    pub fn state(&self, now: &Fingerprint) -> State {
        let Some(Record { fingerprint, finished, written, .. }) = self.record() else {
            return State::ToDo("there is no record of it".into());
        };
        if fingerprint.contents != now.contents {
            return State::ToDo(
                "an input, a flag or ggraft's version is not the one it was made with".into(),
            );
        }
        if let Some(problem) = written.outputs.iter().find_map(|output| output.problem(!finished)) {
            return State::ToDo(problem);
        }
        match () {
            () if written.outputs.is_empty() => State::ToDo("its record names no output".into()),
            () if !written.is_durable_here() => State::Unproven(
                "it was written with --no-fsync, before this machine started or on another one",
            ),
            () if fingerprint.changes != now.changes => State::Unproven(
                "an input has another mode, owner or number of names, or other bytes of the same time",
            ),
            () => State::Complete,
        }
    }

    /// The files that the record names.
    pub fn written(&self) -> Option<Written> {
        self.record().map(|record| record.written)
    }

    /// Remembers that `job` is about to give `written` its names, made from what `fingerprint` stands for. On the disk when
    /// this returns.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(&self, job: &Job, fingerprint: &Fingerprint, written: &Written) -> Result<()> {
        self.write(job, fingerprint, written.clone(), false)
    }

    /// Remembers that they have their names.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(&self, job: &Job, fingerprint: &Fingerprint, mut written: Written) -> Result<()> {
        for output in &mut written.outputs {
            // Some file systems of others count the time anew once a file is closed.
            if let Some(now) = Identity::at(&output.path).ok().filter(|now| output.is_same_file(now)) {
                (output.bytes, output.modified) = (now.len, now.modified);
            }
        }
        self.write(job, fingerprint, written, true)
    }

    fn write(&self, job: &Job, fingerprint: &Fingerprint, written: Written, finished: bool) -> Result<()> {
        let path = self.file();
        let cannot = |e: io::Error| Error::io("cannot write", &path, e);
        let record = Record { fingerprint: fingerprint.clone(), job: job.name.clone(), finished, written };
        let text = serde_json::to_vec_pretty(&record).map_err(|e| cannot(e.into()))?;
        let file = AtomicFile::create(&path, Links::Replace).map_err(cannot)?;
        file.file().write_all(&text).map_err(cannot)?;
        AtomicFile::flush_all(vec![file], true)?.publish()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use ggraft_platform::boot_id;

    use super::*;

    /// A job with a model, room for outputs, and its one output.
    struct Case {
        model: tempfile::TempDir,
        _out: tempfile::TempDir,
        output: PathBuf,
        job: Job,
    }

    impl Case {
        fn new() -> Self {
            let (model, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            fs::write(model.path().join("config.json"), "{}").unwrap();
            let (dir, outdir) = (model.path().to_owned(), out.path().to_owned());
            let job = Job { model: dir, args: vec!["--outtype=f16".into()], outdir, ..Job::default() };
            let case = Self { model, output: out.path().join("o.gguf"), _out: out, job };
            fs::create_dir(&case.place().dir).unwrap();
            case
        }

        fn place(&self) -> Place {
            Place::of(&self.job)
        }

        fn fingerprint(&self) -> Fingerprint {
            Fingerprint::of(&self.job).unwrap()
        }

        fn state(&self) -> State {
            self.place().state(&self.fingerprint())
        }

        fn is_to_do(&self, why: &str) -> bool {
            matches!(self.state(), State::ToDo(reason) if reason.contains(why))
        }

        /// What becomes the output in a moment.
        fn write(&self, seconds: u64) -> (PathBuf, Written) {
            let hidden = self.output.with_file_name(".hidden");
            fs::write(&hidden, "whole").unwrap();
            set_modified(&hidden, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            let written = Written::new(true, [(self.output.as_path(), Identity::at(&hidden).unwrap())]);
            (hidden, written)
        }

        fn finish(&self) {
            let (hidden, written) = self.write(1);
            fs::rename(hidden, &self.output).unwrap();
            self.place().finish(&self.job, &self.fingerprint(), written).unwrap();
            assert_eq!(self.state(), State::Complete);
        }
    }

    fn set_modified(path: &Path, time: SystemTime) {
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn a_name_proves_nothing() {
        let case = Case::new();
        fs::write(&case.output, "whole").unwrap();
        assert!(case.is_to_do("no record"));
    }

    #[test]
    fn a_directory_that_a_flag_names_counts() {
        let (mut case, target) = (Case::new(), tempfile::tempdir().unwrap());
        fs::write(target.path().join("config.json"), "{}").unwrap();
        case.job.inputs.push(target.path().to_owned());
        case.finish();
        fs::write(target.path().join("config.json"), "{\"a\": 1}").unwrap();
        assert!(case.is_to_do("an input"));
    }

    #[test]
    fn killed_before_it_could_say_that_it_is_done() {
        let case = Case::new();
        fs::write(&case.output, "older").unwrap();
        let (hidden, written) = case.write(1);
        case.place().begin(&case.job, &case.fingerprint(), &written).unwrap();
        assert!(case.is_to_do("not as it was written"), "that was there before");
        // Another job's, of the same length and time.
        fs::write(&case.output, "other").unwrap();
        set_modified(&case.output, SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        assert!(case.is_to_do("another file"));
        fs::rename(hidden, &case.output).unwrap();
        assert_eq!(case.state(), State::Complete);
    }

    #[test]
    fn outputs_that_somebody_wrote_since_are_made_again() {
        let case = Case::new();
        case.finish();
        set_modified(&case.output, SystemTime::UNIX_EPOCH + Duration::from_secs(2));
        assert!(case.is_to_do("not as it was written"));
        fs::remove_file(&case.output).unwrap();
        assert!(case.is_to_do("not there"));
    }

    #[test]
    fn inputs_that_changed_are_converted_again() {
        let case = Case::new();
        case.finish();
        let more = Job { args: vec!["--outtype=f32".into()], ..case.job.clone() };
        assert_ne!(Fingerprint::of(&more).unwrap(), case.fingerprint());
        fs::write(case.model.path().join("config.json"), "{} ").unwrap();
        assert!(case.is_to_do("an input"));
    }

    #[test]
    fn inputs_that_may_have_changed_are_to_be_looked_at() {
        let case = Case::new();
        let config = case.model.path().join("config.json");
        let modified = fs::metadata(&config).unwrap().modified().unwrap();
        // Some file systems' clocks tick that slowly.
        let tick = || std::thread::sleep(Duration::from_millis(20));
        for change in ["bytes", "names"] {
            case.finish();
            tick();
            match change {
                "bytes" => fs::write(&config, "[]").unwrap(),
                _ => fs::hard_link(&config, case.output.with_file_name("link")).unwrap(),
            }
            set_modified(&config, modified);
            assert!(matches!(case.state(), State::Unproven(why) if why.contains("input")), "{change}");
        }
    }

    #[test]
    fn what_was_not_on_the_disk_is_to_be_looked_at_after_the_next_start() {
        let case = Case::new();
        let (hidden, written) = case.write(1);
        fs::rename(hidden, &case.output).unwrap();
        let finish = |boot: Option<&str>| {
            let written = Written { durable: false, boot: boot.map(str::to_owned), ..written.clone() };
            case.place().finish(&case.job, &case.fingerprint(), written).unwrap();
            case.state()
        };
        assert_eq!(finish(boot_id().as_deref()), State::Complete);
        for boot in [Some("another"), None] {
            assert!(matches!(finish(boot), State::Unproven(why) if why.contains("--no-fsync")), "{boot:?}");
        }
    }
}
