//! Every call that ggraft makes of the operating system fails once, in every way that it can: whatever happens, the
//! source is as it was, an output is the old one or the new one, the exit code tells which, nothing is left beside it,
//! and the command ends.
//!
//! `cargo test` does a sample: of calls of the same kind on the same sort of file the first, in one of the ways, on one
//! file system. With `each`, each call fails in one of the ways, and the first and last of those of a sort in all of
//! them, on three; with `all`, each in all, which takes an hour or two:
//!
//!     GGRAFT_TEST_FAULTS=each scripts/with-test-filesystems.sh cargo test --test fault_loop -- --nocapture

mod common;
#[path = "common/faults.rs"]
mod faults;
#[path = "common/filesystems.rs"]
mod filesystems;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::model_dir::ModelDir;
use faults::{Action, Call, Run};
use filesystems::directory;
use serde_json::json;

const EPERM: i32 = 1;
const EINTR: i32 = 4;
const EIO: i32 = 5;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const EINVAL: i32 = 22;
const EMFILE: i32 = 24;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const ENOLCK: i32 = 37;
const EOPNOTSUPP: i32 = 95;

/// How a call of this kind can fail.
fn ways(kind: &str) -> Vec<Action> {
    let errors: &[i32] = match kind {
        "open" | "open-to-look" => &[EIO, EMFILE, ENOMEM, EINTR, EACCES],
        "create" => &[EIO, EMFILE, ENOSPC, EINTR],
        "read" | "pread" => &[EIO, EINTR],
        "write" | "pwrite" => &[ENOSPC, EIO, EINTR],
        "close" => &[EIO, ENOSPC, EINTR],
        "fsync" | "fsync-directory" => &[EIO, ENOSPC, EINTR],
        "ftruncate" => &[EIO, EFBIG, EINTR],
        "link" | "rename" | "mkdir" => &[EIO, ENOSPC, EACCES],
        "clone" => &[EIO, ENOSPC, EINTR, EAGAIN, ENOMEM, EINVAL, EOPNOTSUPP],
        "fiemap" => &[EIO, EINTR, ENOMEM, EOPNOTSUPP],
        "copy_file_range" => &[EIO, ENOSPC, EINTR, EINVAL],
        "dup" | "opendir" => &[EMFILE, ENOMEM],
        "flock" => &[ENOLCK, EAGAIN],
        "fchmod" | "fchown" => &[EIO, EPERM],
        "stat" | "fstat" => &[EIO, ENOMEM, EACCES],
        "thread" => &[EAGAIN],
        _ => &[EIO],
    };
    let parts: &[Action] = match kind {
        "read" | "pread" | "write" | "pwrite" | "copy_file_range" => &[Action::Half, Action::Nothing],
        _ => &[],
    };
    errors.iter().map(|e| Action::Fail(*e)).chain(parts.iter().copied()).chain([Action::Kill]).collect()
}

/// Whether nobody should notice.
fn is_harmless(kind: &str, action: Action) -> bool {
    match action {
        Action::Half => true,
        Action::Fail(EINTR) => kind != "close",
        Action::Fail(_) | Action::Nothing => matches!(kind, "fadvise" | "sync_file_range" | "madvise"),
        Action::Kill | Action::Interrupt => false,
    }
}

/// Files below a directory by path: what is in them.
type Tree = BTreeMap<PathBuf, Vec<u8>>;

fn tree(dir: &Path) -> Tree {
    let mut files = Tree::new();
    let Ok(entries) = fs::read_dir(dir) else { return files };
    for entry in entries.map(Result::unwrap) {
        let name = PathBuf::from(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            files.extend(tree(&entry.path()).into_iter().map(|(path, bytes)| (name.join(path), bytes)));
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    files
}

/// Which files, and when each was last written to.
fn states(dir: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let state = |path: &Path| {
        let found = fs::metadata(dir.join(path)).unwrap();
        (found.ino(), found.mtime(), found.mtime_nsec())
    };
    tree(dir).into_keys().map(|path| (path.clone(), state(&path))).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with('.')
}

fn visible(tree: &Tree) -> Tree {
    tree.iter()
        .filter(|(path, _)| !is_hidden(path))
        .map(|(path, bytes)| (path.clone(), bytes.clone()))
        .collect()
}

fn put(dir: &Path, files: &Tree) {
    for (path, bytes) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// What the GGUF files in `dir` say: keys and values but those that tell of the layout, and tensors.
fn meaning(dir: &Path) -> BTreeSet<(String, Vec<u8>)> {
    let mut facts = BTreeSet::new();
    for (name, bytes) in visible(&tree(dir)) {
        let file = ggraft::gguf::read(&dir.join(name)).unwrap();
        let keys = file.metadata.iter().filter(|(key, _)| !key.starts_with("ggraft."));
        facts.extend(keys.map(|(key, value)| (key.to_owned(), format!("{value:?}").into_bytes())));
        for t in file.tensors {
            let data = &bytes[t.offset as usize..][..t.len.unwrap() as usize];
            facts.insert((format!("{} {:?} {}", t.name, t.shape, t.type_id), data.to_vec()));
        }
    }
    facts
}

/// A model of 1.3 MB in two files, whose matrices are large enough to be shared, and can be where they are.
fn model(parent: &Path) -> PathBuf {
    let model: ModelDir = serde_json::from_value(json!({
        "dir": "Test-Llama", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 256,
            "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 4,
            "num_key_value_heads": 4, "vocab_size": 512, "tie_word_embeddings": true,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        },
        "weights": {"seed": 7, "dtype": "bf16", "header": "aligned", "shards": 2, "ordinary": true},
    }))
    .unwrap();
    model.write(parent, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    parent.join("Test-Llama")
}

/// What is run, and what is right afterwards. `MODEL` and `OUT` in arguments are directories.
#[derive(Clone, Copy, Debug, Default)]
struct Operation {
    arguments: &'static [&'static str],
    /// The run that made what is in `OUT` before; without, there is no `OUT`.
    before: Option<&'static [&'static str]>,
    /// The layout depends on what can be shared.
    shares: bool,
    /// `MODEL` itself is changed, file by file.
    in_place: bool,
}

const COPY: Operation = Operation {
    arguments: &["convert", "MODEL", "--outfile", "OUT/m.gguf", "--no-reflink", "--quiet", "--threads", "1"],
    before: Some(&["convert", "MODEL", "--outfile", "OUT/m.gguf", "--outtype", "f16"]),
    shares: false,
    in_place: false,
};

const SHARE: Operation = Operation {
    arguments: &["convert", "MODEL", "--outfile", "OUT/m.gguf", "--json", "--threads", "1"],
    shares: true,
    ..COPY
};

const QUANTIZE: Operation = Operation {
    arguments: &["convert", "MODEL", "--outfile", "OUT/m.gguf", "--outtype", "q8_0", "--threads", "2"],
    ..COPY
};

const SPLIT: Operation = Operation {
    arguments: &["convert", "MODEL", "--outfile", "OUT/m.gguf", "--split-max-tensors", "4", "--quiet"],
    before: Some(&[
        "convert",
        "MODEL",
        "--outfile",
        "OUT/m.gguf",
        "--split-max-tensors",
        "4",
        "--outtype",
        "f16",
    ]),
    shares: true,
    in_place: false,
};

const VERIFIED: Operation = Operation {
    arguments: &["convert", "MODEL", "--outfile", "OUT/m.gguf", "--verify", "--quiet", "--threads", "1"],
    shares: true,
    ..COPY
};

const ALIGN: Operation = Operation {
    arguments: &["align", "MODEL", "-o", "OUT", "--quiet"],
    before: None,
    shares: false,
    in_place: false,
};

const ALIGN_IN_PLACE: Operation =
    Operation { arguments: &["align", "MODEL", "--in-place", "--quiet"], in_place: true, ..ALIGN };

const VERIFY: Operation = Operation {
    arguments: &["verify", "OUT/m.gguf", "MODEL", "--threads", "1"],
    before: Some(SHARE.arguments),
    ..COPY
};

/// How many calls fail, and in how many ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Sample,
    Each,
    All,
}

/// One operation on one file system.
struct Loop {
    operation: Operation,
    top: PathBuf,
    /// What may be in the directory that is written to: before, and after.
    old: Tree,
    new: Tree,
    /// See [`meaning`].
    new_meaning: BTreeSet<(String, Vec<u8>)>,
    failures: BTreeSet<String>,
    runs: usize,
}

impl Loop {
    fn new(operation: Operation, top: &Path) -> Self {
        model(top);
        let mut this = Self {
            operation,
            top: top.to_owned(),
            old: Tree::new(),
            new: Tree::new(),
            new_meaning: BTreeSet::new(),
            failures: BTreeSet::new(),
            runs: 0,
        };
        if operation.in_place {
            this.old = tree(&this.pristine());
        }
        if let Some(before) = operation.before {
            this.old = this.result_of(before);
        }
        this.new = this.result_of(operation.arguments);
        if operation.shares {
            this.new_meaning = meaning(&this.written());
        }
        assert!(this.reads_only() || !this.new.is_empty() && this.new != this.old);
        this
    }

    fn reads_only(&self) -> bool {
        self.operation.arguments[0] == "verify"
    }

    fn pristine(&self) -> PathBuf {
        self.top.join("Test-Llama")
    }

    /// The directory that is written to.
    fn written(&self) -> PathBuf {
        self.top.join("work").join("out")
    }

    fn run(&self, run: Run, arguments: &[&str]) -> (Output, Vec<Call>) {
        let out = self.written();
        let model = if self.operation.in_place { out.clone() } else { self.pristine() };
        let fill = |word: &&str| word.replace("MODEL", text(&model)).replace("OUT", text(&out));
        let arguments: Vec<String> = arguments.iter().map(fill).collect();
        run.ggraft(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
    }

    /// What is written by a run that nothing happens to.
    fn result_of(&self, arguments: &[&str]) -> Tree {
        self.reset();
        let (output, _) = self.run(Run::default(), arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        tree(&self.written())
    }

    /// Puts what was there before where it was.
    fn reset(&self) {
        let work = self.top.join("work");
        if work.exists() {
            fs::remove_dir_all(&work).unwrap();
        }
        fs::create_dir(&work).unwrap();
        if self.operation.in_place || self.operation.before.is_some() {
            fs::create_dir(self.written()).unwrap();
        }
        put(&self.written(), &self.old);
    }

    /// What sort of file a call is about.
    fn sort(&self, path: &Path) -> String {
        let place = if path.starts_with(self.written()) {
            "out"
        } else if path.starts_with(self.pristine()) {
            "model"
        } else if path.starts_with("/proc") || path.starts_with("/sys") {
            "system"
        } else {
            "elsewhere"
        };
        let deleted = path.to_str().unwrap_or_default().ends_with(" (deleted)");
        let kind = path.extension().filter(|_| !deleted).map(|e| e.to_string_lossy().into_owned());
        format!("{place} {}", kind.unwrap_or_default())
    }

    /// Lets calls fail.
    fn go(&mut self, extent: Extent) {
        self.reset();
        let (output, calls) = self.run(Run { all: true, ..Run::default() }, self.operation.arguments);
        assert!(output.status.success() && calls.len() > 100, "{}: {}", calls.len(), said(&output));
        let mut sorts: BTreeMap<(&str, String), (usize, usize)> = BTreeMap::new();
        for (step, call) in (1..).zip(&calls) {
            sorts.entry((&call.kind, self.sort(&call.path))).or_insert((step, step)).1 = step;
        }
        for (step, call) in (1..).zip(&calls) {
            let (first, last) = sorts[&(call.kind.as_str(), self.sort(&call.path))];
            let (ways, at_an_end) = (ways(&call.kind), [first, last].contains(&step));
            // Not kills, which tests/publication.rs has.
            let one = ways[step % (ways.len() - 1)];
            match extent {
                Extent::All => ways.into_iter().for_each(|way| self.check(step, way)),
                Extent::Each if at_an_end => ways.into_iter().for_each(|way| self.check(step, way)),
                Extent::Sample if step != first => {}
                Extent::Each | Extent::Sample => self.check(step, one),
            }
        }
    }

    fn check(&mut self, step: usize, action: Action) {
        self.reset();
        let before = states(&self.pristine());
        let run = Run { fault: Some((step, action)), all: true, ..Run::default() };
        let (output, calls) = self.run(run, self.operation.arguments);
        self.runs += 1;
        // Threads may have made one call less than before.
        let Some(call) = calls.get(step - 1) else { return };
        let mut problems = self.problems(call, action, &output);
        if states(&self.pristine()) != before {
            problems.push("the source was changed");
        }
        if action == Action::Kill && !self.reads_only() {
            if self.operation.before.is_none() && !self.operation.in_place {
                // A directory that is not empty is not written to.
                _ = fs::remove_dir_all(self.written());
            }
            let (again, _) = self.run(Run::default(), self.operation.arguments);
            if !again.status.success() || tree(&self.written()) != self.new {
                problems.push("another run does not make it good");
            }
        }
        for problem in problems {
            let (code, said) = (output.status, said(&output));
            self.failures.insert(format!(
                "{problem}: {} {}: {action:?}: {code}: {said}",
                call.kind,
                call.path.display()
            ));
        }
    }

    fn problems(&self, call: &Call, action: Action, output: &Output) -> Vec<&'static str> {
        let mut problems = Vec::new();
        let left = tree(&self.written());
        let is_new = self.is_new(&visible(&left));
        if action == Action::Kill {
            if !(is_new || self.is_old(&visible(&left)) || self.is_half_made(&visible(&left))) {
                problems.push("neither old nor new after a kill");
            }
            return problems;
        }
        match output.status.code() {
            Some(0) if self.reads_only() => {}
            Some(0) if !is_new => problems.push("success without a right output"),
            Some(0) => {}
            Some(1) => {
                // What comes when the new output has its name.
                let late = said(output).contains("all files are in place") || call.kind == "write";
                if !(self.is_old(&visible(&left)) || late && is_new) {
                    problems.push("failure, and not the old output");
                }
                if is_harmless(&call.kind, action) {
                    problems.push("what should not matter is an error");
                }
            }
            // The file ends early, or so it looks.
            Some(4) if action == Action::Nothing && self.is_old(&left) => {}
            Some(_) => problems.push("unexpected exit code"),
            None => problems.push("killed"),
        }
        if said(output).contains("panicked") || said(output).contains("internal error") {
            problems.push("panic");
        }
        // What could not be locked may be somebody else's.
        let not_removed = matches!(call.kind.as_str(), "unlink" | "rmdir" | "flock");
        if left.keys().any(|path| is_hidden(path)) && !not_removed {
            problems.push("something is left");
        }
        problems
    }

    /// Whether this is right: the same bytes, or the same tensors, laid out for what could be shared.
    fn is_new(&self, left: &Tree) -> bool {
        *left == self.new || self.operation.shares && meaning(&self.written()) == self.new_meaning
    }

    /// Whether nobody takes this for a whole: a set without its first file, or a new directory.
    fn is_half_made(&self, left: &Tree) -> bool {
        let (first, _) = self.new.first_key_value().unwrap();
        let is_set = first.to_str().unwrap().contains("-00001-of-");
        let is_directory = !self.operation.in_place && self.operation.before.is_none();
        is_set && !left.contains_key(first)
            || is_directory && left.iter().all(|(path, bytes)| self.new.get(path) == Some(bytes))
    }

    /// Whether this is what was there before; in place every file may be the old one or the new one.
    fn is_old(&self, left: &Tree) -> bool {
        let old_or_new = |(path, bytes): (&PathBuf, &Vec<u8>)| {
            self.old.get(path) == Some(bytes) || self.new.get(path) == Some(bytes)
        };
        match self.operation {
            Operation { in_place: true, .. } => left.len() == self.old.len() && left.iter().all(old_or_new),
            Operation { before: Some(_), .. } => *left == self.old,
            _ => left.is_empty() && !self.written().exists(),
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Lets `operation` fail everywhere.
fn fail_everywhere(operation: Operation) {
    let extent = match std::env::var("GGRAFT_TEST_FAULTS").as_deref() {
        Ok("all") => Extent::All,
        Ok("each") => Extent::Each,
        _ => Extent::Sample,
    };
    let variables = ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS", "GGRAFT_TEST_EXT4"];
    let variables = if extent == Extent::Sample { &variables[..1] } else { &variables };
    let mut failures = Vec::new();
    for variable in variables {
        let Some(dir) = directory(variable) else { continue };
        if Run::default().ggraft(&["--version"]).is_none() {
            return;
        }
        let mut faults = Loop::new(operation, dir.path());
        faults.go(extent);
        println!("{variable}: {} runs of {:?}", faults.runs, operation.arguments);
        failures.extend(faults.failures);
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn of_a_conversion_that_copies() {
    fail_everywhere(COPY);
}

#[test]
fn of_a_conversion_that_shares() {
    fail_everywhere(SHARE);
}

#[test]
fn of_a_conversion_that_computes() {
    fail_everywhere(QUANTIZE);
}

#[test]
fn of_a_conversion_into_a_set() {
    fail_everywhere(SPLIT);
}

#[test]
fn of_a_conversion_that_verifies() {
    fail_everywhere(VERIFIED);
}

#[test]
fn of_an_alignment() {
    fail_everywhere(ALIGN);
}

#[test]
fn of_an_alignment_in_place() {
    fail_everywhere(ALIGN_IN_PLACE);
}

#[test]
fn of_a_verification() {
    fail_everywhere(VERIFY);
}
