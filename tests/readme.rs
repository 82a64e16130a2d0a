//! Every command that README.md and docs/guide.md show is run as it stands there, by bash in a directory that looks like the
//! repository after a build, and must print what they say.
//!
//! What a command needs is looked for where the other tests do: `GGRAFT_TEST_SMOLLM2`, `GGRAFT_TEST_PYTHON`,
//! `GGRAFT_TEST_XFS`. Without it the command is skipped, and says so.

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const GGRAFT: &str = env!("CARGO_BIN_EXE_ggraft");

/// From where on a line of README.md is another one here: the file system is whatever there is, and so is the machine.
const DIFFERS: [&str; 2] = ["ext4 cannot share", " in 0."];

/// A command, and what README.md shows below it.
struct Example {
    command: String,
    shown: Vec<String>,
}

/// The examples in all fenced blocks: commands after `$ ` with their output, or bare commands, one on each line.
fn examples(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let blocks = text.split("```").skip(1).step_by(2);
    for block in blocks.filter(|block| block.starts_with('\n')) {
        let lines = block.lines().skip(1).filter(|line| !line.is_empty());
        let has_output = block.contains("\n$ ");
        for line in lines {
            match (line.strip_prefix("$ "), examples.last_mut()) {
                (Some(command), _) => examples.push(Example { command: command.into(), shown: Vec::new() }),
                (None, Some(example)) if has_output => example.shown.push(line.into()),
                _ => examples.push(Example { command: line.into(), shown: Vec::new() }),
            }
        }
    }
    examples
}

/// Directories that look like the repository.
struct Roots {
    plain: tempfile::TempDir,
    /// On a file system that shares blocks.
    sharing: Option<tempfile::TempDir>,
}

impl Roots {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
        let plain = tempfile::tempdir_in(parent).unwrap();
        let sharing = env::var_os("GGRAFT_TEST_XFS").map(|xfs| tempfile::tempdir_in(xfs).unwrap());
        [Some(&plain), sharing.as_ref()].into_iter().flatten().for_each(|root| furnish(root.path()));
        Self { plain, sharing }
    }

    /// Where to run `command`, with what it needs in place; otherwise what is missing.
    fn prepare(&self, command: &str) -> Result<&Path, String> {
        let plain = self.plain.path();
        for (needs, variable) in [
            (".venv/", "GGRAFT_TEST_PYTHON"),
            ("SmolLM2", "GGRAFT_TEST_SMOLLM2"),
            ("smollm2", "GGRAFT_TEST_SMOLLM2"),
        ] {
            if command.contains(needs) && env::var_os(variable).is_none() {
                return Err(missing(variable, "GGRAFT_REQUIRE_LLAMA_CPP"));
            }
        }
        if command.starts_with("ggraft with")
            && fs::File::options().read(true).write(true).open("/dev/fuse").is_err()
        {
            assert!(env::var_os("GGRAFT_REQUIRE_FS").is_none(), "/dev/fuse cannot be opened");
            return Err("/dev/fuse cannot be opened".into());
        }
        if !command.contains("Llama-1GB") {
            return Ok(plain);
        }
        let sharing = self.sharing.as_ref().map(tempfile::TempDir::path);
        sharing.ok_or_else(|| missing("GGRAFT_TEST_XFS", "GGRAFT_REQUIRE_FS"))
    }
}

/// What to say if `variable` is not set, unless `required` makes that a failure.
fn missing(variable: &str, required: &str) -> String {
    let why = format!("{variable} is not set");
    assert!(env::var_os(required).is_none(), "{why}");
    why
}

/// Puts into `root` all that is in the repository but for what is built or downloaded, which is where it would be.
fn furnish(root: &Path) {
    for entry in fs::read_dir(REPOSITORY).unwrap().map(Result::unwrap) {
        if !["target", ".work", ".venv", ".git"].iter().any(|name| entry.file_name() == *name) {
            symlink(entry.path(), root.join(entry.file_name())).unwrap();
        }
    }
    for dir in ["target/release", "bin", ".work"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    symlink(GGRAFT, root.join("target/release/ggraft")).unwrap();
    symlink(GGRAFT, root.join("bin/ggraft")).unwrap();
    // Building is the business of whoever runs this test.
    let cargo = root.join("bin/cargo");
    let script = "#!/bin/sh\n[ \"$*\" != 'build --release' ] || exit 0\n\
                  [ \"$1 $2 $3\" = 'run --release --' ] || exit 99\nshift 3\nexec ggraft \"$@\"\n";
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    if let Some(model) = env::var_os("GGRAFT_TEST_SMOLLM2") {
        symlink(model, root.join(".work/SmolLM2-135M-Instruct")).unwrap();
    }
    let python = env::var_os("GGRAFT_TEST_PYTHON").map(PathBuf::from);
    if let Some(venv) = python.as_deref().and_then(Path::parent).and_then(Path::parent) {
        symlink(venv, root.join(".venv")).unwrap();
    }
}

fn run(command: &str, root: &Path) -> Output {
    let path = env::var("PATH").unwrap_or_default();
    Command::new("bash")
        .args(["-c", command])
        .current_dir(root)
        .env("PATH", format!("{}:{path}", root.join("bin").display()))
        .output()
        .unwrap()
}

/// Whether a line says how much is done: "65 %, 176.16 MB of 270.89 MB, …".
fn is_progress(line: &str) -> bool {
    line.split_once(" %, ")
        .is_some_and(|(percent, rest)| percent.parse::<u8>().is_ok() && rest.contains(" of "))
}

/// Whether `said` is what README.md shows, where a line of `...` stands for any number of lines.
fn agrees(shown: &[String], said: &[&str]) -> bool {
    let Some((first, rest)) = shown.split_first() else { return said.is_empty() };
    if first.trim() == "..." {
        return (0..=said.len()).any(|skipped| agrees(rest, &said[skipped..]));
    }
    let Some((line, after)) = said.split_first() else { return false };
    let same = match DIFFERS.iter().find_map(|differs| first.find(differs)) {
        Some(end) => line.starts_with(&first[..end]),
        None => line == first,
    };
    same && agrees(rest, after)
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    every_command_does_what_it_says("README.md");
}

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    every_command_does_what_it_says("docs/guide.md");
}

fn every_command_does_what_it_says(page: &str) {
    let examples = examples(&fs::read_to_string(Path::new(REPOSITORY).join(page)).unwrap());
    assert!(examples.len() >= 8, "{page} shows commands");
    let roots = Roots::new();
    for Example { command, shown } in &examples {
        if command == "cargo test --workspace" {
            // This is it.
            continue;
        }
        let root = match roots.prepare(command) {
            Ok(root) => root,
            Err(missing) => {
                // Straight to the descriptor: the test harness captures what `eprintln!` prints.
                _ = writeln!(std::io::stderr(), "SKIPPED: {missing}: {command}");
                continue;
            }
        };
        let output = run(command, root);
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{command}\n{}\n{err}", output.status);
        // Reports for people are on standard error, and then nothing is on standard output. A busy machine takes so long
        // that it shows progress, too.
        let said = if out.is_empty() { &err } else { &out };
        let said: Vec<&str> = said.lines().filter(|line| !is_progress(line)).collect();
        assert!(
            shown.is_empty() || agrees(shown, &said),
            "{command}\n{page} shows\n{}\nfound\n{}",
            shown.join("\n"),
            said.join("\n")
        );
    }
}

#[test]
fn examples_are_found_in_text() {
    let text = "a\n```\nfirst --flag\nsecond\n```\nb\n```\n$ third\nsays this\n\n$ fourth | grep x\n  ...\nand that\n```\n";
    let found: Vec<_> = examples(text).into_iter().map(|e| (e.command, e.shown)).collect();
    let text = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let expected = [
        ("first --flag", text(&[])),
        ("second", text(&[])),
        ("third", text(&["says this"])),
        ("fourth | grep x", text(&["  ...", "and that"])),
    ];
    assert_eq!(found, expected.map(|(command, shown)| (command.to_owned(), shown)));
    assert!(agrees(&text(&["a", "  ...", "d"]), &["a", "b", "c", "d"]));
    assert!(!agrees(&text(&["a", "d"]), &["a", "b", "d"]) && !agrees(&text(&["a"]), &["a", "b"]));
}

/// Numbers in README.md are those of docs/models.md, which a script writes, and of the program.
#[test]
fn models_are_counted_alike_everywhere() {
    let page = |name: &str| fs::read_to_string(Path::new(REPOSITORY).join(name)).unwrap();
    let listed = Command::new(GGRAFT).args(["convert", "--print-supported-models"]).output().unwrap().stdout;
    let listed = String::from_utf8(listed).unwrap();
    let (text, projectors) = listed.split_once("MMPROJ models:\n").unwrap();
    let [text, projectors] =
        [text, projectors].map(|list| list.lines().filter(|line| line.starts_with("  - ")).count());
    let models = page("docs/models.md");
    let all: Vec<(usize, usize)> = models
        .lines()
        .filter_map(|line| line.strip_suffix(" names are supported.")?.split_once(" of "))
        .map(|(here, all)| (here.parse().unwrap(), all.parse().unwrap()))
        .collect();
    assert_eq!(all.iter().map(|(here, _)| *here).collect::<Vec<_>>(), [text, projectors]);
    let readme = page("README.md");
    let expected = [
        format!("{text} of the {} names of text models", all[0].1),
        format!("{projectors} of {} are there", all[1].1),
    ];
    expected.iter().for_each(|words| assert!(readme.contains(words), "README.md does not say {words:?}"));
}
