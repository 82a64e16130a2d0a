//! Whatever is made of a model is made of one state of it, and of nothing outside of it: files that are changed or replaced
//! meanwhile, several processes at once, links that lead away, fewer handles than files.

mod common;
mod handmade;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::model_dir::ModelDir as Description;
use ggraft::Error;
use ggraft::align::{Job, Target};
use ggraft::checkpoint::Checkpoint;
use ggraft::source::ModelDir;
use ggraft_platform::Lock;
use handmade::put;
use serde_json::json;

const SHARDS: u64 = 6;

/// A small Llama in six shards, none of whose tensors lie where `align` puts them.
fn llama(parent: &Path) -> PathBuf {
    let description: Description = serde_json::from_value(json!({
        "dir": "Test-Llama", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 576,
            "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 9,
            "num_key_value_heads": 3, "vocab_size": 512, "tie_word_embeddings": true,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        },
        "weights": {"seed": 3, "dtype": "bf16", "shards": SHARDS, "header": "padded"},
    }))
    .unwrap();
    description.write(parent, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    parent.join("Test-Llama")
}

/// Every tensor's bytes, by name.
fn tensors(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let checkpoint = Checkpoint::open(&ModelDir::open(dir).unwrap()).unwrap();
    let bytes = |file: usize, offset, len| checkpoint.sources[file].read_range(offset, len).unwrap();
    checkpoint.tensors.iter().map(|t| (t.name.clone(), bytes(t.file, t.offset, t.len))).collect()
}

fn shards(dir: &Path) -> Vec<PathBuf> {
    (1..=SHARDS).map(|i| dir.join(format!("model-{i:05}-of-{SHARDS:05}.safetensors"))).collect()
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.args(args);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names(dir: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

/// Ways to give a file another state, of the same length where that can be.
type Change = (&'static str, fn(&Path));

const CHANGES: [Change; 5] = [
    ("replaced by an equal one", |path| {
        let copy = path.with_extension("copy");
        fs::copy(path, &copy).unwrap();
        fs::rename(copy, path).unwrap();
    }),
    ("overwritten in place", |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, bytes).unwrap();
    }),
    ("shortened", |path| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    }),
    ("removed", |path| fs::remove_file(path).unwrap()),
    ("turned into a link", |path| {
        let moved = path.with_extension("moved");
        fs::rename(path, &moved).unwrap();
        symlink(moved, path).unwrap();
    }),
];

fn assert_changed(error: &Error, path: &Path, how: &str) {
    assert_eq!(error.exit_code(), 4, "{how}: {error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{how}: {error}");
}

/// What is at `path`, or would be, through a conversion that sees the change after it has read every header.
fn convert_while(model: &Path, out: &Path, change: impl FnOnce()) -> Result<(), Error> {
    let options = ggraft::conversion::Options::new(model, out);
    let conversion = ggraft::conversion::Conversion::prepare(&options)?;
    change();
    conversion.run(&mut |_| ()).map(drop)
}

#[test]
fn a_source_that_changes_during_a_conversion_stops_it() {
    for name in ["model-00003-of-00006.safetensors", "config.json", "tokenizer.model"] {
        for (how, change) in CHANGES {
            let dir = tempfile::tempdir().unwrap();
            let model = llama(dir.path());
            let (path, out) = (model.join(name), dir.path().join("out.gguf"));
            fs::write(&out, "old").unwrap();
            let error = convert_while(&model, &out, || change(&path)).unwrap_err();
            assert_changed(&error, &path, how);
            assert_eq!(fs::read(&out).unwrap(), b"old", "{how}");
            assert_eq!(names(dir.path()).len(), 2, "{how}: something is left");
        }
    }
}

#[test]
fn a_conversion_reads_the_file_whose_header_it_has_read() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path());
    let out = dir.path().join("out.gguf");
    convert_while(&model, &out, || ()).unwrap();
    assert!(out.is_file());
}

#[test]
fn a_shard_that_changes_while_it_is_aligned_is_not_replaced() {
    for (how, change) in CHANGES {
        let dir = tempfile::tempdir().unwrap();
        let model = llama(dir.path());
        let path = &shards(&model)[2];
        let job = Job::prepare(&model, Target::InPlace { blobs: false }).unwrap();
        let parts = job.parts().unwrap();
        change(path);
        let changed = fs::read(path).ok();
        let error = job.run(&parts, &mut |_| ()).unwrap_err();
        assert_changed(&error, path, how);
        assert!(fs::read(path).ok() == changed, "{how}");
    }
}

#[test]
fn one_process_at_a_time_aligns_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path());
    let before = tensors(&model);
    let align = ["align", model.to_str().unwrap(), "--in-place", "--quiet"];
    let lock = Lock::take(&model.join(".ggraft-align.lock")).unwrap();
    let output = command(&align).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let holder = format!("process {}", std::process::id());
    assert!(said(&output).contains(&holder) && said(&output).contains("in place"), "{}", said(&output));
    drop(lock);
    let output = command(&align).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(tensors(&model) == before);
    assert!(!model.join(".ggraft-align.lock").exists());
}

#[test]
fn two_that_align_in_place_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path());
    let before = tensors(&model);
    let originals: Vec<Vec<u8>> = shards(&model).iter().map(|path| fs::read(path).unwrap()).collect();
    let start = || -> Child {
        let mut command = command(&["align", model.to_str().unwrap(), "--in-place", "--quiet"]);
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    for _ in 0..5 {
        let outputs = [start(), start()].map(|child| child.wait_with_output().unwrap());
        let codes: Vec<_> = outputs.iter().map(|output| output.status.code().unwrap()).collect();
        let texts = outputs.each_ref().map(said);
        assert!(codes.contains(&0) && codes.iter().all(|code| [0, 1].contains(code)), "{codes:?} {texts:?}");
        assert!(tensors(&model) == before, "{codes:?} {texts:?}");
        shards(&model).iter().zip(&originals).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    }
}

#[test]
fn text_outside_of_the_model_is_not_read() {
    const SECRET: &str = "---\nlicense: s3cret\n---\n{\"chat_template\": \"s3cret\"}";
    for (name, target) in [
        ("chat_template.jinja", "../secret"),
        ("README.md", "../secret"),
        ("config.json", "../config.json"),
        ("generation_config.json", "../secret"),
        ("tokenizer_config.json", "../secret"),
        ("tokenizer.model", "../tokenizer.model"),
        ("added_tokens.json", "../secret"),
        ("model.safetensors.index.json", "../index"),
        ("model-00001-of-00006.safetensors", "../shard"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let model = llama(dir.path());
        put(dir.path(), "secret", SECRET);
        // One that has a template looks for no file with one.
        put(&model, "tokenizer_config.json", r#"{"tokenizer_class": "LlamaTokenizer"}"#);
        let (path, outside) = (model.join(name), model.join(target));
        // What is outside is what would be inside, so that nothing but where it lies can be wrong with it.
        match path.exists() {
            true => fs::rename(&path, &outside).unwrap(),
            false => assert!(outside.exists(), "{name}"),
        }
        symlink(target, &path).unwrap();
        let out = dir.path().join("out.gguf");
        let output =
            command(&["convert", model.to_str().unwrap(), "--outfile", out.to_str().unwrap()]).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(4), "{name}: {}", said(&output));
        assert!(
            said(&output).contains(name) && said(&output).contains("out of its directory"),
            "{}",
            said(&output)
        );
        assert!(!out.exists(), "{name}");
    }
}

#[test]
fn templates_of_a_directory_outside_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path());
    put(&model, "tokenizer_config.json", r#"{"tokenizer_class": "LlamaTokenizer"}"#);
    put(dir.path(), "elsewhere/private.jinja", "s3cret");
    put(&model, "chat_template.jinja", "own");
    symlink("../elsewhere", model.join("additional_chat_templates")).unwrap();
    let out = dir.path().join("out.gguf");
    let output = command(&["convert", model.to_str().unwrap(), "--outfile", out.to_str().unwrap()]).output();
    assert_eq!(output.unwrap().status.code(), Some(4));
    assert!(!out.exists());
}

#[test]
fn a_cache_lends_its_blobs_to_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path());
    put(&model, "chat_template.jinja", "{{ messages }}");
    put(&model, "README.md", "---\nlicense: mit\n---\n");
    let (plain, cached) = (dir.path().join("plain.gguf"), dir.path().join("cached.gguf"));
    // It is called after the repository, not the commit.
    let repository = dir.path().join("models--test--Test-Llama");
    let snapshot = repository.join("snapshots/4e20de362430cd3b72f300e6b0f18e50e7166e08");
    let blobs = repository.join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    for (i, path) in names(&model).iter().enumerate() {
        fs::copy(path, blobs.join(i.to_string())).unwrap();
        symlink(format!("../../blobs/{i}"), snapshot.join(path.file_name().unwrap())).unwrap();
    }
    for (model, out) in [(&model, &plain), (&snapshot, &cached)] {
        let output =
            command(&["convert", model.to_str().unwrap(), "--no-reflink", "--outfile"]).arg(out).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(fs::read(plain).unwrap() == fs::read(cached).unwrap());
}

/// With a hard limit below the number of shards, files are closed and opened again.
#[test]
fn fewer_handles_than_shards() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path());
    let [all, few] = ["all.gguf", "few.gguf"].map(|name| dir.path().join(name));
    let convert = |limit: &str, out: &Path| {
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("ulimit -n {limit}; exec \"$@\""), "-", env!("CARGO_BIN_EXE_ggraft")]);
        let output =
            shell.args(["convert", model.to_str().unwrap(), "--no-reflink", "--outfile"]).arg(out).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", said(&output));
    };
    convert("1024", &all);
    convert("20", &few);
    assert!(fs::read(all).unwrap() == fs::read(few).unwrap());
}
