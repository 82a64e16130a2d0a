//! Names from strangers: of directories, files, models, tensors. Whatever is printed of them leaves terminal and log
//! alone, and none of it gets into a file's name.

mod common;
mod handmade;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::model_dir::ModelDir;
use handmade::put;
use serde_json::{Map, Value, json};

/// Colours, a new line, a window's title, colours in one character, text that runs backwards, a line of its own.
const HOSTILE: &str = "M\u{1b}[31m\nggraft: done\u{1b}]0;x\u{7}\u{9b}1m\u{202e}gpj\u{2028}\u{7f}";

/// A model that is called so in every place, in a directory of that name, whose weights are called so, too.
fn model(parent: &Path) -> PathBuf {
    let escape = |c: char| format!("\\u{:04x}", u32::from(c));
    let quoted = format!("\"{}\"", HOSTILE.chars().map(escape).collect::<String>());
    let model: ModelDir = serde_json::from_value(json!({
        "dir": HOSTILE, "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
            "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
            "vocab_size": 512, "tie_word_embeddings": true, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
            "_name_or_path": HOSTILE, "torch_dtype": HOSTILE,
        },
        "files": {"README.md": ["---", format!("model_name: {quoted}"), format!("tags: [{quoted}]"), "---"]},
        "weights": {"seed": 7, "dtype": "bf16"},
    }))
    .unwrap();
    model.write(parent, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    let dir = parent.join(HOSTILE);
    // An index that has a name for the weights, too.
    let bytes = fs::read(dir.join("model.safetensors")).unwrap();
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Map<String, Value> = serde_json::from_slice(&bytes[8..end]).unwrap();
    let tensors = header.keys().filter(|name| *name != "__metadata__");
    let files: Map<String, Value> = tensors.map(|name| (name.clone(), json!(weights()))).collect();
    put(&dir, "model.safetensors.index.json", json!({"weight_map": files}).to_string());
    fs::rename(dir.join("model.safetensors"), dir.join(weights())).unwrap();
    dir
}

/// An index that names control characters is refused.
fn weights() -> String {
    HOSTILE.chars().filter(|c| !c.is_control()).chain(".safetensors".chars()).collect()
}

fn ggraft<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ggraft")).args(arguments).output().unwrap()
}

/// The characters that a terminal acts on, from the Unicode standard's Bidi_Control and general categories Cc, Zl, Zp.
fn steers(c: char) -> bool {
    let bidi =
        "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
    c.is_control() || bidi.contains(c) || "\u{2028}\u{2029}".contains(c)
}

/// Text that leaves a terminal alone, and in which no line is a name's own.
#[track_caller]
fn harmless(text: &[u8]) -> String {
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert_eq!(text.chars().find(|c| *c != '\n' && steers(*c)), None, "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("ggraft: done")), "a forged line: {text}");
    text
}

#[test]
fn what_is_printed_is_text() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path());
    let gguf = dir.path().join(format!("{HOSTILE}.gguf"));
    let aligned = dir.path().join(format!("{HOSTILE}-aligned"));
    let [model, gguf, aligned] = [&model, &gguf, &aligned].map(|path| path.to_str().unwrap());
    for arguments in [
        &["convert", model, "--dry-run"][..],
        &["convert", model, "--dry-run", "--outfile", gguf, "--split-max-tensors", "4"],
        &["convert", model, "--verbose", "--outfile", gguf],
        &["convert", model, "--json", "--outfile", gguf],
        &["plan", model],
        &["plan", model, "--tensors", "--outfile", gguf],
        &["plan", model, "--json", "--outfile", gguf],
        &["inspect", model],
        &["inspect", model, "--json"],
        &["inspect", gguf],
        &["inspect", gguf, "--json"],
        &["align", model, "--check"],
        &["align", model, "--check", "--json"],
        &["align", model, "--json", "-o", aligned],
    ] {
        let output = ggraft(arguments);
        let (out, said) = (harmless(&output.stdout), harmless(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}");
        if arguments.contains(&"--dry-run") {
            let files = if arguments.contains(&"--outfile") { 3 } else { 1 };
            assert_eq!(out.lines().count(), files, "11 tensors: {out}");
        }
        if arguments.contains(&"--json") {
            let document: Value = serde_json::from_str(&out).unwrap();
            let names = document.to_string();
            assert!(names.contains("\u{202e}gpj"), "machines get the names as they are: {names}");
        }
    }
    let page = dir.path().join("page.html");
    assert!(ggraft(&["plan", model, "--html", page.to_str().unwrap()]).status.success());
    harmless(&fs::read(page).unwrap());
}

#[test]
fn errors_are_one_line_of_text() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path());
    let weights = model.join(weights());
    let bytes = fs::read(&weights).unwrap();
    let convert = |arguments: &[&str]| {
        let mut all = vec!["convert", model.to_str().unwrap()];
        all.extend(arguments);
        let output = ggraft(&all);
        assert!(!output.status.success() && output.stdout.is_empty());
        let said = harmless(&output.stderr);
        assert!(said.contains("gpj"), "the name is there: {said}");
        assert!(
            said.lines().all(|line| line.starts_with("ggraft: ") || line.starts_with("  hint: ")),
            "{said}"
        );
    };
    convert(&["--outfile", &format!("{HOSTILE}/x.gguf")]);
    convert(&["--outfile", &format!("{HOSTILE}{{x}}.gguf")]);
    // Half of the file, and none of it.
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    convert(&[]);
    fs::remove_file(&weights).unwrap();
    convert(&[]);
    put(
        &model,
        "model.safetensors.index.json",
        json!({"weight_map": {"a": HOSTILE, "b": "../up"}}).to_string(),
    );
    convert(&[]);
    put(&model, "config.json", format!("{{\"architectures\": [{}]}}", json!(HOSTILE)));
    convert(&[]);
    // Complaints about flags are of several lines.
    for arguments in [&[HOSTILE][..], &["convert", "x", HOSTILE], &["convert", "x", "--outtype", HOSTILE]] {
        let output = ggraft(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(harmless(&output.stderr).contains("gpj"));
    }
}

#[test]
fn no_file_is_called_so_unless_the_user_wants_it() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path());
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let made = || fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    for flags in [&[][..], &["--model-name", HOSTILE], &["--vocab-only"], &["--split-max-tensors", "4"]] {
        let mut arguments = vec!["convert", model.to_str().unwrap(), "--outfile", out.to_str().unwrap()];
        arguments.extend(flags);
        let output = ggraft(&arguments);
        assert!(output.status.success(), "{}", harmless(&output.stderr));
    }
    assert!(made().count() >= 4);
    assert_eq!(made().find(|name| name.chars().any(steers) || !name.starts_with("M-[31m-ggraft:-")), None);
    let own = out.join(HOSTILE);
    assert!(
        ggraft(&[OsStr::new("convert"), model.as_ref(), "--outfile".as_ref(), own.as_ref()]).status.success()
    );
    assert!(own.is_file());
}
