//! The command line as users meet it: exit codes, messages, names of files, and what is left when it ends early.

mod common;
#[path = "common/filesystems.rs"]
mod filesystems;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::model_dir::ModelDir;
use filesystems::{Mount, skip};
use serde_json::{Value, json};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");

/// The model has 119,104 parameters: 512 × 64 embeddings (tied), and 43,136 in each of two layers, and a norm of 64.
const DEFAULT_NAME: &str = "Tiny-Llama-119K-BF16.gguf";

fn ggraft() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ggraft"))
}

fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    ggraft().args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The command must end with this exit code and one line on standard error that contains `says`.
#[track_caller]
fn refused<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>, exit_code: i32, says: &str) {
    let output = run(arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(exit_code), "{text}");
    assert!(
        text.starts_with("ggraft: ")
            && text.lines().filter(|line| !line.starts_with("  hint: ")).count() == 1,
        "not one line: {text}"
    );
    assert!(text.contains(says), "expected {says:?} in {text}");
    assert!(output.stdout.is_empty(), "{}", stdout(&output));
}

#[track_caller]
fn succeeds<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    let output = run(arguments);
    assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
    output
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

/// A copy of the tiny model that may be written to.
fn tiny(parent: &Path) -> PathBuf {
    let dir = parent.join("tiny-llama");
    fs::create_dir(&dir).unwrap();
    for name in names(Path::new(TINY)) {
        fs::copy(Path::new(TINY).join(&name), dir.join(&name)).unwrap();
    }
    dir
}

#[test]
fn wrong_usage_exits_2() {
    let out = tempfile::tempdir().unwrap();
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["convert"],
        &["convert", TINY, "--frobnicate"],
        &["convert", TINY, "--outtype", "f64"],
        &["convert", TINY, "--outtype"],
        &["convert", TINY, "--split-max-size", "lots"],
        &["convert", TINY, "--split-max-size", "-1"],
        &["convert", TINY, "--split-max-size", "99999999999G"],
        &["convert", TINY, "--split-max-tensors", "x"],
        &["convert", TINY, "--reflink", "sometimes"],
        &["convert", TINY, "--reflink", "always", "--no-reflink"],
        &["plan", TINY, "and", "another"],
        &["inspect"],
    ] {
        let output = ggraft().args(arguments).current_dir(&out).output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains("Usage: ") || text.starts_with("ggraft: "), "{arguments:?}: {text}");
        assert!(!text.contains("error: ") && !text.contains("tip: "), "{arguments:?}: {text}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert!(names(out.path()).is_empty());
}

/// What argparse, and so `convert_hf_to_gguf.py`, accepts.
#[test]
fn flags_may_be_repeated_and_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let (first, last) = (dir.path().join("first.gguf"), dir.path().join("last.gguf"));
    for arguments in [
        &["--fuse-qkv", "--fuse-qkv", "--outfile", "FIRST", "--outfile", "LAST"][..],
        &["--outf", "LAST", "--outt=bf16", "--verb", "--split-max-t", "0"],
        &["-o", "LAST"],
        &["--output", "LAST"],
    ] {
        let arguments = arguments.iter().map(|word| match *word {
            "FIRST" => first.as_os_str(),
            "LAST" => last.as_os_str(),
            word => OsStr::new(word),
        });
        succeeds([OsStr::new("convert"), OsStr::new(TINY)].into_iter().chain(arguments));
        assert!(!first.exists());
        fs::remove_file(&last).unwrap();
    }
    for ambiguous in ["--out", "--fuse", "--no", "--v", "--refl"] {
        let output = run(["convert", TINY, ambiguous]);
        assert_eq!(output.status.code(), Some(2), "{ambiguous}: {}", stderr(&output));
    }
}

/// Without an index, `model.fp16.safetensors` is another form of the model and no second half of it.
#[test]
fn a_copy_of_the_weights_beside_them_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny(dir.path());
    let [alone, beside] = ["alone.gguf", "beside.gguf"].map(|name| dir.path().join(name));
    let convert = |out: &Path| succeeds([OsStr::new("convert"), model.as_ref(), "-o".as_ref(), out.as_ref()]);
    convert(&alone);
    let mut copy = fs::read(model.join("model.safetensors")).unwrap();
    copy.last_mut().map(|byte| *byte ^= 1).unwrap();
    fs::write(model.join("model.fp16.safetensors"), &copy).unwrap();
    let said = stderr(&convert(&beside));
    assert!(said.contains("model.fp16.safetensors") && said.contains("left out"), "{said}");
    assert!(fs::read(&alone).unwrap() == fs::read(&beside).unwrap());
    // Two sets of which neither is the whole model: nobody knows which counts.
    for name in ["model-00001-of-00002.safetensors", "model-00001-of-00003.safetensors"] {
        fs::write(model.join(name), &copy).unwrap();
    }
    fs::remove_file(model.join("model.safetensors")).unwrap();
    fs::remove_file(model.join("model.fp16.safetensors")).unwrap();
    refused(["convert".as_ref(), model.as_os_str()], 4, "move the file that is not part of the model");
}

#[test]
fn shapes_that_contradict_each_other_are_named_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let model: ModelDir = serde_json::from_value(json!({
        "dir": "Narrow", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
            "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 520,
            "tie_word_embeddings": true,
        },
        "weights": {
            "seed": 1, "dtype": "bf16", "omit": ["v_proj"],
            "extra": [["model.layers.0.self_attn.v_proj.weight", [32, 48]]],
        },
    }))
    .unwrap();
    model.write(dir.path(), &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    let narrow = dir.path().join("Narrow");
    let arguments = ["convert".as_ref(), narrow.as_os_str(), "--fuse-qkv".as_ref()];
    for says in [
        "model.safetensors: tensor \"model.layers.0.self_attn.",
        "blk.0.attn_qkv.weight: unexpected shape: cannot join [64, 64] and [32, 48]",
    ] {
        refused(arguments, 4, says);
    }
}

#[test]
fn help_names_every_flag_and_exit_code() {
    let help = stdout(&succeeds(["convert", "--help"]));
    for flag in [
        "--outfile",
        "--outtype",
        "--vocab-only",
        "--mmproj",
        "--model-name",
        "--metadata",
        "--dry-run",
        "--split-max-size",
        "--split-max-tensors",
        "--no-tensor-first-split",
        "--print-supported-models",
        "--verbose",
        "--reflink",
        "--no-reflink",
        "--json",
        "--quiet",
    ] {
        assert!(help.contains(flag), "{flag} is missing in {help}");
    }
    assert!(help.contains("f32, f16, bf16, q8_0, tq1_0, tq2_0"), "{help}");
    let help = stdout(&succeeds(["--help"]));
    assert!(["convert", "inspect", "Exit codes", "SIGINT"].iter().all(|word| help.contains(word)), "{help}");
    assert!(stdout(&succeeds(["--version"])).starts_with("ggraft "));
}

/// Every flag of the reference is known: it works, or says that it does not.
#[test]
fn flags_that_are_not_there_yet_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny(dir.path());
    let before = names(&model);
    let model = model.to_str().unwrap();
    for flag in ["--bigendian", "--mtp", "--no-mtp", "--dspark"] {
        refused(["convert", model, flag], 3, &flag.replace("no-mtp", "no-nextn"));
    }
    refused(["convert", model, "--mistral-format"], 4, "params.json");
    assert_eq!(names(Path::new(model)), before);
    let out = dir.path().join("out.gguf");
    for flag in ["--use-temp-file", "--no-lazy"] {
        let output = succeeds(["convert", model, "--outfile", out.to_str().unwrap(), flag]);
        assert!(stderr(&output).contains(&format!("{flag} has no effect")));
    }
}

#[test]
fn supported_models_are_printed() {
    let output = succeeds(["convert", "--print-supported-models"]);
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    for name in [
        "LlamaForCausalLM",
        "MistralForCausalLM",
        "MixtralForCausalLM",
        "Qwen2ForCausalLM",
        "Qwen3MoeForCausalLM",
    ] {
        let name = format!("  - {name}");
        assert!(lines.contains(&name.as_str()), "{name} is missing in {text}");
    }
    let (models, projectors) = text.split_once("MMPROJ models:\n").unwrap();
    assert!(models.starts_with("TEXT models:\n"), "{text}");
    assert!(projectors.contains("  - Qwen2_5_VLForConditionalGeneration\n"), "{text}");
    assert!(output.stderr.is_empty());
}

#[test]
fn what_is_no_model_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let weights = format!("{TINY}/model.safetensors");
    refused(["convert", "/nonexistent/model"], 2, "/nonexistent/model");
    refused(["convert", &weights], 2, "model.safetensors is not a directory");
    refused(["convert", dir.path().to_str().unwrap()], 4, "config.json: no such file");
}

#[test]
fn a_missing_path_has_one_exit_code() {
    let gone = "/nonexistent/model";
    for arguments in [
        &["convert", gone][..],
        &["plan", gone],
        &["align", gone, "--check"],
        &["inspect", gone],
        &["verify", gone],
        &["verify", gone, TINY],
        &["edit", gone, "--set", "general.name=x", "--in-place"],
        &["split", gone, "--split-max-tensors", "2", "-o", "/nonexistent/out"],
        &["merge", gone, "-o", "/nonexistent/out.gguf"],
        &["diff", gone, gone],
        &["lora", gone],
    ] {
        refused(arguments, 2, gone);
    }
}

#[test]
fn a_dry_run_names_the_files_and_writes_none() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny(dir.path());
    let before = names(&model);
    let output = succeeds([OsStr::new("convert"), model.as_ref(), "--dry-run".as_ref()]);
    assert_eq!(stdout(&output), format!("{}\n", model.join(DEFAULT_NAME).display()));
    let split = ["--dry-run", "--split-max-tensors", "12"].map(OsStr::new);
    let output = succeeds([OsStr::new("convert"), model.as_ref()].into_iter().chain(split));
    let stem = DEFAULT_NAME.strip_suffix(".gguf").unwrap();
    let expected = |no: usize| format!("{}/{stem}-{no:05}-of-00002.gguf\n", model.display());
    assert_eq!(stdout(&output), expected(1) + &expected(2), "20 tensors");
    assert_eq!(names(&model), before);
}

#[test]
fn names_are_the_references() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny(dir.path());
    let mut expected = names(&model);
    succeeds([OsStr::new("convert"), model.as_ref()]);
    expected.insert(DEFAULT_NAME.into());
    assert_eq!(names(&model), expected, "the default name, in the model's directory");
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    for (outfile, outtype, name) in [
        (out.clone(), "auto", DEFAULT_NAME),
        (out.clone(), "f16", "Tiny-Llama-119K-F16.gguf"),
        (out.join("m-{ftype}.gguf"), "f32", "m-f32.gguf"),
        (out.join("m-{FTYPE}.gguf"), "f16", "m-F16.gguf"),
        (out.join("m-{outtype}.gguf"), "bf16", "m-bf16.gguf"),
        (out.join("no extension"), "bf16", "no extension"),
    ] {
        let arguments = [
            "convert",
            model.to_str().unwrap(),
            "--outtype",
            outtype,
            "--outfile",
            outfile.to_str().unwrap(),
        ];
        succeeds(arguments);
        assert!(out.join(name).is_file(), "{name} is missing in {:?}", names(&out));
    }
    assert_eq!(names(&out).len(), 6);
    // A name without a directory is one in the current directory.
    let status =
        ggraft().args(["convert", TINY, "--outfile", "here.gguf"]).current_dir(&out).output().unwrap().status;
    assert!(status.success() && out.join("here.gguf").is_file());
}

#[test]
fn the_model_is_never_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny(dir.path());
    let source = model.join("model.safetensors");
    let before = fs::read(&source).unwrap();
    let (hard, soft) = (dir.path().join("hard.gguf"), dir.path().join("soft.gguf"));
    fs::hard_link(&source, &hard).unwrap();
    symlink(&source, &soft).unwrap();
    let config = model.join("config.json");
    let roundabout = dir.path().join("tiny-llama/../tiny-llama/model.safetensors");
    // What is not read may be the only copy of the weights.
    let unread = [
        "pytorch_model.bin",
        "consolidated.00.pth",
        "model.pt",
        "other.jinja",
        "tokenizer.model.v3",
        "y.model.v7m1",
    ];
    let unread = unread.map(|name| model.join(name));
    unread.iter().for_each(|path| fs::write(path, "weights").unwrap());
    let files = [&source, &hard, &soft, &roundabout, &config, &model.join("tokenizer.json")];
    for out in files.into_iter().chain(&unread) {
        refused(
            [OsStr::new("convert"), model.as_ref(), "--outfile".as_ref(), out.as_ref()],
            2,
            "part of the model",
        );
    }
    // Read because the user says so, wherever it is.
    let metadata = dir.path().join("about.json");
    fs::write(&metadata, "{}").unwrap();
    let [model_arg, about] = [&model, &metadata].map(|path| path.to_str().unwrap());
    refused(["convert", model_arg, "--metadata", about, "--outfile", about], 2, "part of the model");
    assert!(fs::read(metadata).unwrap() == b"{}");
    assert!(fs::read(&source).unwrap() == before);
    assert!(unread.iter().all(|path| fs::read(path).unwrap() == b"weights"));
    assert!(fs::read(config).unwrap() == fs::read(format!("{TINY}/config.json")).unwrap());
}

#[test]
fn impossible_destinations_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let to = |path: &str| dir.path().join(path).to_str().unwrap().to_owned();
    fs::create_dir_all(to("taken-bf16")).unwrap();
    fs::write(to("file"), "").unwrap();
    refused(["convert", TINY, "--outfile", &to("missing/out.gguf")], 2, "there is no directory");
    refused(["convert", TINY, "--outfile", &to("file/out.gguf")], 2, "there is no directory");
    refused(["convert", TINY, "--outfile", &to("taken-{ftype}")], 2, "is a directory");
    refused(["convert", TINY, "--outfile", &to("missing/")], 2, "there is no directory");
    refused(["convert", TINY, "--outfile", "/dev/null"], 2, "not a regular file");
    assert_eq!(names(dir.path()).len(), 2);
}

#[test]
fn a_read_only_directory_is_refused() {
    let Some(mount) = Mount::tmpfs("ro") else { return skip("cannot mount a read-only tmpfs") };
    let out = mount.dir.path().join("out.gguf");
    refused(["convert", TINY, "--outfile", out.to_str().unwrap()], 1, "out.gguf: Read-only file system");
}

#[test]
fn too_little_space_is_noticed_before_writing() {
    let Some(mount) = Mount::tmpfs("size=100k") else { return skip("cannot mount a small tmpfs") };
    let dir = mount.dir.path();
    refused(["convert", TINY, "--outfile", dir.to_str().unwrap()], 1, "too little space in");
    assert!(names(dir).is_empty());
}

#[test]
fn an_existing_file_is_replaced_not_written_into() {
    let dir = tempfile::tempdir().unwrap();
    let (out, other) = (dir.path().join("out.gguf"), dir.path().join("other name"));
    fs::write(&out, "old").unwrap();
    fs::hard_link(&out, &other).unwrap();
    succeeds(["convert", TINY, "--outfile", out.to_str().unwrap()]);
    assert_eq!(fs::read(&other).unwrap(), b"old", "whoever has the old file open keeps it");
    assert_eq!(&fs::read(&out).unwrap()[..4], b"GGUF");
    assert_eq!(names(dir.path()).len(), 2, "no temporary file is left");
    // A failure leaves the old file alone.
    let before = fs::metadata(&out).unwrap();
    refused(["convert", TINY, "--outfile", out.to_str().unwrap(), "--bigendian"], 3, "--bigendian");
    assert_eq!(fs::metadata(&out).unwrap().ino(), before.ino());
}

#[test]
fn quiet_prints_nothing_and_json_one_document() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.gguf");
    let convert = ["convert", TINY, "--outfile", out.to_str().unwrap()];
    let output = succeeds(convert.into_iter().chain(["--quiet"]));
    assert_eq!((stdout(&output), stderr(&output)), (String::new(), String::new()));
    for flags in [
        &["--json"][..],
        &["--json", "--quiet", "--split-max-tensors", "6"],
        &["--json", "--outtype", "f32"],
        &["--json", "--vocab-only"],
        &["--json", "--no-reflink"],
    ] {
        let output = succeeds(convert.iter().chain(flags));
        assert_eq!(stderr(&output).is_empty(), flags.contains(&"--quiet"));
        check_report(&serde_json::from_slice(&output.stdout).unwrap());
    }
}

/// The keys that are promised, and sums that agree with the files.
#[track_caller]
fn check_report(report: &Value) {
    let outputs = report["outputs"].as_array().unwrap();
    let mut total = 0;
    for output in outputs {
        let len = fs::metadata(output["path"].as_str().unwrap()).unwrap().len();
        assert_eq!(output["bytes"], len, "{report:#}");
        total += len;
    }
    assert!(!outputs.is_empty());
    let bytes =
        |key: &str| report["bytes"][key].as_u64().unwrap_or_else(|| panic!("bytes.{key} in {report:#}"));
    assert_eq!(bytes("total"), total);
    let parts = ["cloned", "copied", "converted", "header", "padding"].map(bytes);
    assert_eq!(parts.iter().sum::<u64>(), total, "{report:#}");
    for key in ["shared", "unique"] {
        assert!(report["measured"][key].is_u64() || report["measured"][key].is_null(), "{report:#}");
    }
    let reasons = report["reasons"].as_array().unwrap();
    let explained: u64 = reasons.iter().map(|r| r["bytes"].as_u64().unwrap()).sum();
    assert_eq!(explained, bytes("copied") + bytes("converted"), "every byte that is not shared has a reason");
}

#[test]
fn a_report_says_in_one_line_why_nothing_is_shared() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let out = dir.path().join("out.gguf");
    let convert = ["convert", TINY, "--outfile", out.to_str().unwrap()];
    let text = stderr(&succeeds(convert));
    let why: Vec<&str> = text.lines().filter(|l| l.contains("shared")).collect();
    assert!(
        matches!(*why, [line] if line.contains("different file systems") || line.contains("tmpfs cannot")),
        "{text}"
    );
    assert!(!text.contains(" 0 B"), "{text}");
    let text = stderr(&succeeds(convert.into_iter().chain(["--no-reflink"])));
    assert!(text.contains("nothing is shared with the checkpoint: sharing is off"), "{text}");
    fs::remove_file(&out).unwrap();
    refused(convert.into_iter().chain(["--reflink", "always"]), 5, "--reflink always");
    let model = tiny(dir.path());
    let same = [
        OsStr::new("convert"),
        model.as_ref(),
        "--reflink=always".as_ref(),
        "--outfile".as_ref(),
        out.as_ref(),
    ];
    refused(same, 5, "tmpfs cannot share blocks");
    assert!(!out.exists());
}

/// A Llama of 2.4 GB, all of it holes.
fn large_model(parent: &Path) -> PathBuf {
    const ROWS: u64 = 300_000;
    let model: ModelDir = serde_json::from_value(json!({
        "dir": "Large", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
            "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512,
            "tie_word_embeddings": true,
        },
        "weights": {"seed": 1, "dtype": "bf16"},
    }))
    .unwrap();
    model.write(parent, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    let dir = parent.join("Large");
    let shape = [ROWS, 4096];
    let len = shape[0] * shape[1] * 2;
    let header =
        json!({"model.embed_tokens.weight": {"dtype": "BF16", "shape": shape, "data_offsets": [0, len]}})
            .to_string();
    let path = dir.join("model.safetensors");
    fs::write(&path, [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(8 + header.len() as u64 + len).unwrap();
    dir
}

/// Starts the script, whose `$0` is ggraft, `$1` a large model and `$2` an output, and sends `signal` to it and all
/// that it started, as a terminal does, once data has been written.
fn signalled(script: &str, signal: &str, out: &Path) -> Option<Output> {
    let models = tempfile::tempdir().unwrap();
    let model = large_model(models.path());
    // A shell that runs the tests in the background has SIGINT ignored, which would be inherited.
    let mut child = Command::new("env")
        .args(["--default-signal", "bash", "-c", script, env!("CARGO_BIN_EXE_ggraft")])
        .args([model, out.join("out.gguf")])
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (start, free) = (Instant::now(), free_bytes(out));
    while free_bytes(out) + (64 << 20) > free && start.elapsed() < Duration::from_secs(60) {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args([signal, "--", &group]).status().unwrap().success());
    Some(child.wait_with_output().unwrap())
}

fn free_bytes(dir: &Path) -> u64 {
    ggraft_platform::FileSystem::of(dir).unwrap().free_bytes
}

/// A directory in memory with room for the large model as F32, for one test at a time: they watch what is free there.
fn room() -> Option<(tempfile::TempDir, MutexGuard<'static, ()>)> {
    static ROOM: Mutex<()> = Mutex::new(());
    let alone = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
    let out = tempfile::tempdir_in("/dev/shm").unwrap();
    if free_bytes(out.path()) < 5_000_000_000 {
        skip("less than 5 GB free in /dev/shm");
        return None;
    }
    Some((out, alone))
}

const CONVERT: &str = r#""$0" convert "$1" --allow-incomplete --outtype=f32 --outfile "$2""#;

#[test]
fn interruptions_leave_nothing() {
    let Some((out, _alone)) = room() else { return };
    for (signal, number) in [("-INT", 2), ("-TERM", 15), ("-HUP", 1), ("-KILL", 9)] {
        let output = signalled(&format!("exec {CONVERT}"), signal, out.path());
        let status = output.expect("the conversion is slower than the signal").status;
        assert_eq!(status.signal(), Some(number), "{signal}: {status}");
        assert!(names(out.path()).is_empty(), "{signal} leaves {:?}", names(out.path()));
    }
}

/// A shell leaves its loop if what it waits for died of Ctrl-C, and not if that exits, with whatever code.
#[test]
fn ctrl_c_stops_a_loop() {
    let Some((out, _alone)) = room() else { return };
    let script = format!("for i in 1 2 3; do echo $i; {CONVERT}; done; echo end");
    let output = signalled(&script, "-INT", out.path()).expect("the conversion is slower than the signal");
    assert_eq!((stdout(&output).as_str(), output.status.signal()), ("1\n", Some(2)), "{}", output.status);
    assert!(names(out.path()).is_empty());
}

#[test]
fn a_limit_of_file_sizes_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.gguf");
    // 64 blocks of 1024 bytes: the tiny model has more.
    let script = format!("ulimit -f 64; {CONVERT}");
    let output =
        Command::new("bash").args(["-c", &script, env!("CARGO_BIN_EXE_ggraft"), TINY]).arg(&out).output();
    let output = output.unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{}: {text}", output.status);
    assert!(text.contains("out.gguf: File too large") && text.contains("ulimit -f"), "{text}");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn inspect_shows_files_splits_and_directories() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.gguf");
    succeeds(["convert", TINY, "--outfile", out.to_str().unwrap()]);
    succeeds(["convert", TINY, "--outfile", out.to_str().unwrap(), "--split-max-tensors", "12"]);
    let part = dir.path().join("out-00002-of-00002.gguf");
    for path in [&out, &part, Path::new(TINY), &Path::new(TINY).join("model.safetensors")] {
        let text = stdout(&succeeds([OsStr::new("inspect"), path.as_ref()]));
        assert!(text.contains("token_embd.weight") || text.contains("model.embed_tokens.weight"), "{text}");
        let json = succeeds([OsStr::new("inspect"), path.as_ref(), "--json".as_ref()]);
        let json: Value = serde_json::from_slice(&json.stdout).unwrap();
        assert!(json.is_object(), "{json}");
    }
    refused(["inspect", "/nonexistent"], 2, "/nonexistent");
    refused(["inspect", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")], 4, "Cargo.toml");
}

/// Whoever reads only the first lines has not done anything wrong.
#[test]
fn a_closed_pipe_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.gguf");
    succeeds(["convert", TINY, "--outfile", out.to_str().unwrap()]);
    for arguments in [
        &["inspect", out.to_str().unwrap(), "--json"][..],
        &["convert", "--help"],
        &["convert", "--print-supported-models"],
    ] {
        let mut child =
            ggraft().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let status = child.wait().unwrap();
        let mut text = String::new();
        child.stderr.unwrap().read_to_string(&mut text).unwrap();
        assert!(status.success() && text.is_empty(), "{arguments:?}: {status}: {text}");
    }
    // Nor is a standard error that nobody reads.
    let mut child = ggraft()
        .args(["convert", TINY, "--outfile", out.to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
}
