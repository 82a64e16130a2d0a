//! A place where batches run: models, a list of them, room for outputs; and what their events say.

#![allow(dead_code, reason = "no test needs all of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// The smallest model there is.
pub const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");

/// A directory with models, a list of them, and room for outputs.
pub struct Site {
    pub dir: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A copy of the tiny model; its weights are missing if it is to fail.
    pub fn model(&self, name: &str, fails: bool) -> PathBuf {
        let dir = self.path("models").join(name);
        fs::create_dir_all(&dir).unwrap();
        for entry in fs::read_dir(TINY).unwrap().map(Result::unwrap) {
            if !(fails && entry.file_name() == "model.safetensors") {
                fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
            }
        }
        dir
    }

    /// A list of `count` models, of which those whose numbers are in `fail` cannot be converted.
    pub fn list(&self, count: usize, fail: &[usize]) -> PathBuf {
        fs::create_dir_all(self.path("out")).unwrap();
        let mut lines = String::new();
        for n in 0..count {
            let (name, out) = (format!("m{n:03}"), self.path("out").join(format!("m{n:03}.gguf")));
            let model = self.model(&name, fail.contains(&n));
            lines +=
                &format!("{}\n", json!({"name": name, "model": model, "outfile": out, "outtype": "q8_0"}));
        }
        let list = self.path("list.jsonl");
        fs::write(&list, lines).unwrap();
        list
    }

    pub fn outputs(&self) -> BTreeSet<String> {
        let names =
            fs::read_dir(self.path("out")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with('.')).collect()
    }
}

pub fn batch(list: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.arg("batch").arg(list).args(flags);
    command
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The events in `file`, each as the schema has it.
pub fn events(file: &Path) -> Vec<Value> {
    let schema = Command::new(env!("CARGO_BIN_EXE_ggraft")).arg("schema").output().unwrap();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let text = fs::read_to_string(file).unwrap();
    let events = text.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(
            schema.is_valid(&event),
            "{line}: {:?}",
            schema.iter_errors(&event).map(|e| e.to_string()).next()
        );
        event
    });
    events.collect()
}

/// How often each job had `event`.
pub fn count(events: &[Value], event: &str) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for it in events.iter().filter(|it| it["event"] == event) {
        *count.entry(it["job"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    count
}

/// The bytes that a conversion of the tiny model to Q8_0 makes; the directory's name is in the metadata.
pub fn expected(site: &Site, name: &str) -> Vec<u8> {
    let out = site.path("expected.gguf");
    let model = site.path("models").join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.args(["convert", "--quiet", "--outtype=q8_0", "--outfile"]).arg(&out).arg(model);
    assert!(command.status().unwrap().success());
    fs::read(out).unwrap()
}
