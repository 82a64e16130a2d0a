//! Lists of jobs: TOML, JSON lines, or a directory of such.
//!
//! An entry of a list is a model and the flags of `ggraft convert` by their names; several output types, or several
//! `outputs`, make several jobs of it. Knows nothing of what the flags mean.

use std::ffi::OsString;
use std::fs;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use ggraft_platform::parent;
use serde_json::{Map, Value};

use super::selection::Selection;
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::source::{ModelDir, OnHub, must_exist};

/// One conversion: one model, one set of flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// Place of the entry in the list, from 0. Jobs of one entry share it.
    pub entry: usize,
    /// What events and messages call it.
    pub name: String,
    /// The model's directory, or a repository.
    pub model: PathBuf,
    /// What is said of that repository, if the model is on a hub.
    pub on_hub: Option<OnHub>,
    /// Arguments of `ggraft convert` besides the model.
    pub args: Vec<OsString>,
    /// What these name that is read.
    pub inputs: Vec<PathBuf>,
    /// Arguments of `ggraft verify` for its outputs, besides them and the model.
    pub verify: Vec<OsString>,
    /// The directory that the output goes to.
    pub outdir: PathBuf,
    /// Whether that is to be made if it is not there.
    pub makes_outdir: bool,
}

impl Job {
    /// The same job of the state that its model is in now: a branch may be of another one before the job is done.
    ///
    /// # Errors
    /// As [`ModelDir::find`] has them for a model on a hub.
    pub(super) fn pinned(&self) -> Result<Self> {
        let mut job = self.clone();
        if let Some(on_hub) = &self.on_hub {
            job.model = ModelDir::state_on_hub(&self.model, on_hub)?.into();
            let mut is_value = false;
            job.args.retain(|arg| {
                let is_revision = is_value || arg.to_string_lossy().starts_with("--revision=");
                is_value = arg == "--revision";
                !is_revision && !is_value
            });
            // Only then is anything of it read.
            job.verify.push("--read-all".into());
        }
        Ok(job)
    }
}

/// What a list leaves open.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// Where outputs go if an entry has no `outfile`; the model's directory if none.
    pub outdir: Option<PathBuf>,
    /// Output types of entries that name none.
    pub outtypes: Vec<String>,
    /// Arguments of `ggraft convert` for every job, before its own.
    pub args: Vec<OsString>,
}

/// Longest list, and longest line of one, in bytes.
const LIST_MAX: u64 = 256 << 20;

/// What the names of lists in a directory of them end with.
const KINDS: [&str; 2] = ["jsonl", "toml"];

/// Flags that belong to whoever runs the list, not to an entry of it.
const RESERVED: [&str; 10] = [
    "json",
    "quiet",
    "verbose",
    "dry-run",
    "print-supported-models",
    "events",
    "hold",
    "help",
    "version",
    "threads",
];

/// Reads the list in `path`; `-` is standard input. A name that ends with `.toml` is TOML, other lists are JSON lines
/// unless they begin with a table's name in brackets.
///
/// # Errors
/// [`Error::Io`], and [`Error::Usage`] naming the entry that makes no sense.
pub fn read(path: &Path, defaults: &Defaults, only: Selection) -> Result<Vec<Job>> {
    let list = List { path, defaults, only };
    let (jobs, entries) = list.read()?;
    list.check_selection(entries)?;
    Ok(jobs)
}

/// Jobs, and how many entries there are, as far as anybody had to look.
type Listed = (Vec<Job>, usize);

/// A list, and what to take from it.
pub(super) struct List<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// What it leaves open.
    pub defaults: &'a Defaults,
    /// What is wanted of it.
    pub only: Selection,
}

impl List<'_> {
    fn read(&self) -> Result<Listed> {
        let path = self.path;
        if path.as_os_str() != "-" {
            must_exist(path)?;
        }
        if path.is_dir() {
            return self.numbered();
        }
        let cannot = |e| Error::io("cannot read", path, e);
        let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        let mut input: Box<dyn BufRead> = match path.as_os_str() == "-" {
            true => Box::new(std::io::stdin().lock()),
            false => Box::new(std::io::BufReader::new(fs::File::open(path).map_err(cannot)?)),
        };
        let first = input.fill_buf().map_err(cannot)?;
        let first = first.iter().copied().find(|byte| !byte.is_ascii_whitespace());
        match is_toml || first == Some(b'[') {
            true => self.toml(input),
            false => self.lines(input),
        }
    }

    /// A directory of lists whose names are numbers, 0.jsonl, 1.jsonl and so on. If only one is wanted, nothing else is looked
    /// at, however many there are.
    fn numbered(&self) -> Result<Listed> {
        let mut files = Vec::new();
        if let Selection::One(one) = self.only {
            let path =
                KINDS.map(|kind| self.path.join(format!("{one}.{kind}"))).into_iter().find(|p| p.is_file());
            let place = format!("no entry {one}");
            let problem = format!("expected {one}.jsonl or {one}.toml there");
            files.push((one, path.ok_or_else(|| self.wrong(&place, problem))?));
        } else {
            let cannot = |e| Error::io("cannot list", self.path, e);
            for entry in fs::read_dir(self.path).map_err(cannot)? {
                let path = entry.map_err(cannot)?.path();
                let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<usize>().ok());
                let kind = path.extension().and_then(|extension| extension.to_str());
                // A directory in it is no list, least of all one that leads back.
                let is_list = kind.is_some_and(|kind| KINDS.contains(&kind)) && !path.is_dir();
                if let Some(number) = number.filter(|_| is_list) {
                    files.push((number, path));
                }
            }
            files.sort();
        }
        let (mut jobs, entries) = (Vec::new(), files.last().map_or(0, |(last, _)| last + 1));
        for (no, path) in files.iter().filter(|(no, _)| self.only.has(*no)) {
            let list = List { path, only: Selection::All, ..*self };
            jobs.extend(list.read()?.0.into_iter().map(|job| Job { entry: *no, ..job }));
        }
        Ok((jobs, entries))
    }

    /// Whether what is selected can be among so many `entries`. A part of a list may well be empty.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(super) fn check_selection(&self, entries: usize) -> Result<()> {
        match self.only {
            _ if entries == 0 => Err(self.wrong("the list", "it is empty")),
            Selection::One(one) if one >= entries => {
                let s = if entries == 1 { "entry" } else { "entries" };
                let problem =
                    format_args!("expected at least {} entries, found {entries} {s}", one as u128 + 1);
                Err(self.wrong(&format!("no entry {one}, counted from 0"), problem))
            }
            _ => Ok(()),
        }
    }

    /// An [`Error::Usage`] about a place in it.
    pub(super) fn wrong(&self, place: &str, problem: impl std::fmt::Display) -> Error {
        Error::usage(format!("{}: {place}: {problem}", self.path.display()))
    }

    /// A table `[defaults]`, and a table `[[job]]` for each entry.
    fn toml(&self, input: impl BufRead) -> Result<Listed> {
        let mut text = Vec::new();
        let read = std::io::Read::read_to_end(&mut std::io::Read::take(input, LIST_MAX + 1), &mut text);
        read.map_err(|e| Error::io("cannot read", self.path, e))?;
        if text.len() as u64 > LIST_MAX {
            return Err(self.wrong("the list", format_args!("expected at most {LIST_MAX} bytes")));
        }
        let text = String::from_utf8(text).map_err(|e| self.wrong("the list", not_text(e.utf8_error())))?;
        let list: Value = toml::from_str(&text).map_err(|e| self.wrong("not TOML", e.message()))?;
        let Value::Object(list) = list else { return Err(self.wrong("the list", "expected tables")) };
        if let Some(key) = list.keys().find(|key| !["defaults", "job"].contains(&key.as_str())) {
            let problem = format!("expected [defaults] and [[job]], found {}", quoted(key));
            return Err(self.wrong("the list", problem));
        }
        let shared = match list.get("defaults") {
            None => Map::new(),
            Some(Value::Object(shared)) => shared.clone(),
            Some(_) => return Err(self.wrong("defaults", "expected a table, [defaults]")),
        };
        let Some(entries) = list.get("job").and_then(Value::as_array) else {
            return Err(self.wrong("the list", "expected a table [[job]] for each model"));
        };
        let mut jobs = Vec::new();
        for (no, entry) in entries.iter().enumerate().filter(|(no, _)| self.only.has(*no)) {
            let place = format!("job {}", no + 1);
            let entry = entry.as_object().ok_or_else(|| self.wrong(&place, "expected a table, [[job]]"))?;
            let whole = shared.iter().chain(entry).map(|(key, value)| (key.clone(), value.clone())).collect();
            jobs.extend(self.entry(no, &place, &whole)?);
        }
        Ok((jobs, entries.len()))
    }

    /// An object a line; empty lines, and lines that begin with `#`, do not count.
    fn lines(&self, input: impl BufRead) -> Result<Listed> {
        let (mut jobs, mut no) = (Vec::new(), 0);
        let (mut input, mut line) = (std::io::Read::take(input, LIST_MAX), Vec::new());
        for at in 1_usize.. {
            line.clear();
            if input.read_until(b'\n', &mut line).map_err(|e| Error::io("cannot read", self.path, e))? == 0 {
                break;
            }
            let line =
                std::str::from_utf8(&line).map_err(|e| self.wrong(&format!("line {at}"), not_text(e)))?;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if self.only.has(no) {
                let place = format!("line {at}");
                let entry = serde_json::from_str(line).map_err(|e| self.wrong(&place, e))?;
                jobs.extend(self.entry(no, &place, &entry)?);
            }
            no += 1;
            if self.only.is_past(no) {
                break;
            }
        }
        Ok((jobs, no))
    }

    /// The jobs of entry `no`.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(super) fn entry(&self, no: usize, place: &str, entry: &Map<String, Value>) -> Result<Vec<Job>> {
        let text = |key: &str| match entry.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
            Some(other) => {
                Err(self
                    .wrong(place, format_args!("{key}: expected text, found {}", quoted(&other.to_string()))))
            }
        };
        let model =
            text("model")?.ok_or_else(|| self.wrong(place, "expected \"model\", a directory or org/name"))?;
        let name = text("name")?.unwrap_or(model);
        let outputs: Vec<Map<String, Value>> = match entry.get("outputs") {
            None => vec![Map::new()],
            Some(Value::Array(outputs)) if !outputs.is_empty() => {
                let output = |output: &Value| output.as_object().cloned();
                let outputs: Option<_> = outputs.iter().map(output).collect();
                outputs.ok_or_else(|| self.wrong(place, "outputs: expected a list of tables"))?
            }
            Some(_) => return Err(self.wrong(place, "outputs: expected a list of tables")),
        };
        let mut jobs = Vec::new();
        for output in outputs {
            let mut flags = entry.clone();
            flags.extend(output);
            ["model", "name", "outputs"].iter().for_each(|key| _ = flags.shift_remove(*key));
            self.check(place, &flags)?;
            jobs.extend(self.jobs(no, place, name, Path::new(model), flags)?);
        }
        // Several jobs of one model are told apart by their types, else by their number.
        if jobs.len() > 1 {
            for (number, job) in jobs.iter_mut().enumerate() {
                let outtype = job.args.iter().rev().find_map(|arg| arg.to_str()?.strip_prefix("--outtype="));
                job.name = match outtype {
                    Some(outtype) => format!("{name} {outtype}"),
                    None => format!("{name} {}", number + 1),
                };
            }
        }
        Ok(jobs)
    }

    /// The jobs that `flags` make, one for each output type.
    fn jobs(
        &self,
        entry: usize,
        place: &str,
        name: &str,
        model: &Path,
        mut flags: Map<String, Value>,
    ) -> Result<Vec<Job>> {
        let outtypes: Vec<String> = match flags.shift_remove("outtype") {
            None => self.defaults.outtypes.clone(),
            Some(Value::String(some)) => some.split(',').map(str::to_owned).collect(),
            Some(Value::Array(several)) if !several.is_empty() => {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                let several: Option<_> = several.iter().map(text).collect();
                several.ok_or_else(|| self.wrong(place, "outtype: expected names of types"))?
            }
            Some(_) => {
                return Err(self.wrong(place, "outtype: expected the name of a type, or a list of them"));
            }
        };
        let mut args = self.defaults.args.clone();
        let outfile = match flags.shift_remove("outfile").or_else(|| flags.shift_remove("output")) {
            Some(Value::String(outfile)) if !outfile.is_empty() => Some(PathBuf::from(outfile)),
            Some(_) => return Err(self.wrong(place, "outfile: expected a path")),
            None => None,
        };
        for (key, value) in flags {
            args.extend(self.flag(place, &key, &value)?);
        }
        let makes_outdir = outfile.is_none() && self.defaults.outdir.is_some();
        let outdir = match (&outfile, &self.defaults.outdir) {
            (Some(path), _) if path.is_dir() => path.clone(),
            (Some(path), _) => parent(path).to_owned(),
            (None, Some(outdir)) => outdir.clone(),
            (None, None) => model.to_owned(),
        };
        // With a slash at its end it is a directory, whether it is there yet or not.
        if let Some(outfile) = outfile.or_else(|| Some(self.defaults.outdir.as_ref()?.join(""))) {
            args.push([OsString::from("--outfile="), outfile.into()].into_iter().collect());
        }
        let with = |outtype: Option<String>| Job {
            entry,
            name: name.to_owned(),
            model: model.to_owned(),
            args: args.iter().cloned().chain(outtype.map(|t| format!("--outtype={t}").into())).collect(),
            outdir: outdir.clone(),
            makes_outdir,
            ..Job::default()
        };
        Ok(match outtypes.is_empty() {
            true => vec![with(None)],
            false => outtypes.into_iter().map(|outtype| with(Some(outtype))).collect(),
        })
    }

    /// Makes sure that keys are names of flags and nothing more, and that values can be arguments.
    fn check(&self, place: &str, flags: &Map<String, Value>) -> Result<()> {
        let is_name = |key: &str| {
            !key.starts_with(['-', '_'])
                && !key.is_empty()
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        for (key, value) in flags {
            if !is_name(key) {
                let problem = format_args!("{}: expected the name of a flag, without dashes", quoted(key));
                return Err(self.wrong(place, problem));
            }
            if value.as_str().is_some_and(|text| text.contains('\0')) {
                return Err(self.wrong(place, format_args!("{key}: no argument can have a NUL in it")));
            }
        }
        Ok(())
    }

    /// The argument that `key` and its value stand for; none for a flag that is off.
    fn flag(&self, place: &str, key: &str, value: &Value) -> Result<Option<OsString>> {
        let flag = key.replace('_', "-");
        if RESERVED.contains(&flag.as_str()) {
            let problem = format!("{} is for the whole list, not for one job of it", quoted(key));
            return Err(self.wrong(place, problem));
        }
        match value {
            Value::Bool(true) => Ok(Some(format!("--{flag}").into())),
            Value::Bool(false) => Ok(None),
            Value::String(text) => Ok(Some(format!("--{flag}={text}").into())),
            Value::Number(number) => Ok(Some(format!("--{flag}={number}").into())),
            _ => Err(self.wrong(place, format_args!("{}: expected one value", quoted(key)))),
        }
    }
}

fn not_text(error: std::str::Utf8Error) -> String {
    format!("expected UTF-8, found something else at byte {}", error.valid_up_to())
}
