//! `ggraft align`: the same tensors at better places, whatever happens on the way.
//!
//! Safetensors files are read back by the few lines below, not by the code under test.

mod common;
#[path = "common/filesystems.rs"]
mod filesystems;
mod handmade;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::model_dir::ModelDir;
use filesystems::directory;
use handmade::{put, safetensors};
use serde_json::{Map, Value, json};

const BLOCK: u64 = 4096;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.args(args);
    command
}

fn ggraft(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// Runs a command that must succeed; gives the JSON it prints.
fn report(args: &[&str]) -> Value {
    let output = ggraft(&[args, &["--json", "--quiet"]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Fresh directories on the file systems that can share.
fn sharing() -> Vec<tempfile::TempDir> {
    let variables = ["GGRAFT_TEST_XFS", "GGRAFT_TEST_XFS_1K", "GGRAFT_TEST_BTRFS"];
    variables.iter().filter_map(|v| directory(v)).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A model of the Llama kind whose norms are 1152 bytes long (or twice that in F32), so that no two of its
/// tensors have the same phase as published.
fn llama(parent: &Path, header: &str, shards: u64, change: Value) -> PathBuf {
    let mut weights = json!({"seed": 3, "dtype": "bf16", "shards": shards, "header": header});
    weights.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let model: ModelDir = serde_json::from_value(json!({
        "dir": "Test-Llama", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 576,
            "intermediate_size": 1536, "num_hidden_layers": LAYERS, "num_attention_heads": 9,
            "num_key_value_heads": 3, "vocab_size": VOCAB, "tie_word_embeddings": true,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        },
        "weights": weights,
    }))
    .unwrap();
    model.write(parent, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    parent.join("Test-Llama")
}

const LAYERS: u64 = 3;
const VOCAB: u64 = 512;

/// Bytes that a conversion keeps as they are and in order: embedding, and V, O, gate, up, down of each layer.
const KEPT: u64 = 2 * 576 * (VOCAB + LAYERS * (192 + 576 + 3 * 1536));

/// A tensor as a header describes it.
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    start: u64,
    len: u64,
}

/// Header of a safetensors file: `__metadata__`, tensors, where data starts. Checks what the format demands.
fn header(path: &Path) -> (Value, BTreeMap<String, Tensor>, u64) {
    let file = File::open(path).unwrap();
    let mut len = [0; 8];
    file.read_exact_at(&mut len, 0).unwrap();
    let mut text = vec![0; usize::try_from(u64::from_le_bytes(len)).unwrap()];
    file.read_exact_at(&mut text, 8).unwrap();
    assert_eq!(text[0], b'{');
    let start = 8 + text.len() as u64;
    let mut root: Map<String, Value> = serde_json::from_slice(&text).unwrap();
    let metadata = root.remove("__metadata__").unwrap_or_default();
    let mut tensors = BTreeMap::new();
    for (name, entry) in root {
        let [begin, end] = [0, 1].map(|i| entry["data_offsets"][i].as_u64().unwrap());
        let dtype = entry["dtype"].as_str().unwrap().to_owned();
        let shape = serde_json::from_value(entry["shape"].clone()).unwrap();
        tensors.insert(name, Tensor { dtype, shape, start: start + begin, len: end - begin });
    }
    let mut order: Vec<&Tensor> = tensors.values().collect();
    order.sort_by_key(|t| (t.start, t.len));
    let end = order.iter().fold(start, |at, t| {
        assert_eq!(t.start, at, "{}: no holes, no overlaps", path.display());
        at + t.len
    });
    assert_eq!(end, file.metadata().unwrap().len());
    (metadata, tensors, start)
}

type Contents = BTreeMap<String, (String, Vec<u64>, Vec<u8>)>;

/// Metadata of a file, and every tensor's dtype, shape and bytes.
fn contents(path: &Path) -> (Value, Contents) {
    let file = File::open(path).unwrap();
    let (metadata, tensors, _) = header(path);
    let read = |(name, t): (String, Tensor)| {
        let mut bytes = vec![0; usize::try_from(t.len).unwrap()];
        file.read_exact_at(&mut bytes, t.start).unwrap();
        (name, (t.dtype, t.shape, bytes))
    };
    (metadata, tensors.into_iter().map(read).collect())
}

fn shards(dir: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut shards: Vec<PathBuf> =
        names.filter(|p| p.extension().is_some_and(|e| e == "safetensors")).collect();
    shards.sort();
    shards
}

/// What an aligned file promises, on top of being a good safetensors file.
fn assert_aligned(path: &Path) {
    let (_, tensors, start) = header(path);
    assert_eq!(start % BLOCK, 0, "{}", path.display());
    for (name, t) in tensors {
        assert!(t.len % BLOCK != 0 || t.start % BLOCK == 0, "{name} is whole blocks and starts on none");
        let element = match t.dtype.as_str() {
            "F64" | "I64" => 8,
            "F32" => 4,
            "BF16" | "F16" => 2,
            _ => 1,
        };
        assert_eq!(t.start % element, 0, "{name}: readers that map the file need whole elements");
    }
}

fn assert_same_model(original: &Path, aligned: &Path) {
    let [left, right] = [original, aligned].map(shards);
    assert!(!left.is_empty());
    assert_eq!(left.len(), right.len());
    for (a, b) in left.iter().zip(&right) {
        assert_eq!(a.file_name(), b.file_name());
        assert!(contents(a) == contents(b), "{} differs", b.display());
    }
}

/// Tensors of every size class: whole blocks, large, small, odd, empty, scalar.
fn odd_tensors() -> Value {
    json!({
        "extra": [["large", [40000, 3]], ["larger.odd", [70001]], ["small", [3, 5]], ["empty", [0, 7]], ["scalar", []]],
        "dtypes": [["norm", "f32"], ["small", "f16"]],
    })
}

#[test]
fn an_aligned_copy_holds_the_same() {
    for (header, shards_) in [("padded", 1), ("odd", 1), ("aligned", 3), ("odd", 4)] {
        let dir = tempfile::tempdir().unwrap();
        let model = llama(dir.path(), header, shards_, odd_tensors());
        let out = dir.path().join("out");
        let done = report(&["align", text(&model), "-o", text(&out)]);
        assert_eq!(done["shards"].as_array().unwrap().len() as u64, shards_);
        assert_same_model(&model, &out);
        shards(&out).iter().for_each(|path| assert_aligned(path));
        for entry in fs::read_dir(&model).unwrap() {
            let name = entry.unwrap().file_name();
            if !text(Path::new(&name)).ends_with(".safetensors") {
                assert!(
                    fs::read(model.join(&name)).unwrap() == fs::read(out.join(&name)).unwrap(),
                    "{name:?}"
                );
            }
        }
    }
}

/// Whole blocks first, in their old order; then what is large and on GGUF's grid, long ones first and those of one length together;
/// then the rest by the size of its elements, long ones first.
#[test]
fn what_comes_first_in_an_aligned_file() {
    let tensors: [(&str, &str, u64, u64); 12] = [
        ("large.short.1", "U8", 1, 65536 + 32),
        ("small.bytes", "U8", 1, 100),
        ("blocks.2", "U8", 1, 2 * BLOCK),
        ("large.long", "BF16", 2, 40000),
        ("small.wide", "F32", 4, 10),
        ("almost.large", "U8", 1, 65536 - 32),
        ("blocks.1", "F32", 4, BLOCK),
        ("off.grid", "U8", 1, 65536 + 8),
        ("large.short.2", "U8", 1, 65536 + 32),
        ("small.pairs", "BF16", 2, 9),
        ("small.wider", "F32", 4, 11),
        ("large.least", "BF16", 2, 65536 / 2 + 16),
    ];
    let (mut entries, mut at) = (Vec::new(), 0);
    for (name, dtype, size, count) in tensors {
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":[{count}],"data_offsets":[{at},{}]}}"#,
            at + size * count
        ));
        at += size * count;
    }
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("model"), dir.path().join("out"));
    let header_ = format!("{{{}}}", entries.join(","));
    put(&model, "model.safetensors", safetensors(header_, usize::try_from(at).unwrap()));
    report(&["align", text(&model), "-o", text(&out)]);
    assert_same_model(&model, &out);
    let (_, tensors, _) = header(&out.join("model.safetensors"));
    let mut order: Vec<(u64, &str)> = tensors.iter().map(|(name, t)| (t.start, name.as_str())).collect();
    order.sort_unstable();
    let order: Vec<&str> = order.into_iter().map(|(_, name)| name).collect();
    let expected = [
        "blocks.2",
        "blocks.1",
        "large.long",
        "large.short.1",
        "large.short.2",
        "large.least",
        "small.wider",
        "small.wide",
        "small.pairs",
        "off.grid",
        "almost.large",
        "small.bytes",
    ];
    assert_eq!(order, expected);
}

/// Who owns a file, and who may read it, is not for a converter to change.
#[test]
fn owner_and_permissions_stay() {
    for place in sharing().into_iter().chain([tempfile::tempdir().unwrap()]) {
        let model = llama(place.path(), "padded", 2, json!({}));
        for (i, shard) in (0u32..).zip(shards(&model)) {
            fs::set_permissions(&shard, fs::Permissions::from_mode(0o640 + i)).unwrap();
            // Only root can give files away.
            _ = std::os::unix::fs::chown(&shard, Some(12345 + i), Some(23456 + i));
        }
        let owners = |dir: &Path| -> Vec<(u32, u32, u32)> {
            let metadata = shards(dir).into_iter().map(|shard| fs::metadata(shard).unwrap());
            metadata.map(|m| (m.uid(), m.gid(), m.mode() & 0o7777)).collect()
        };
        let (before, out) = (owners(&model), place.path().join("out"));
        report(&["align", text(&model), "-o", text(&out)]);
        assert_eq!(owners(&out), before);
        report(&["align", text(&model), "--in-place"]);
        assert_aligned(&shards(&model)[0]);
        assert_eq!(owners(&model), before);
    }
}

/// Rewriting has to gain more than a tenth of what is rewritten.
#[test]
fn what_is_worth_rewriting() {
    use ggraft::align::is_worth;
    assert!(is_worth(101, 1000) && is_worth(1000, 1000));
    assert!(!is_worth(100, 1000) && !is_worth(0, 1000) && !is_worth(100, 0));
}

#[test]
fn names_and_metadata_need_not_be_plain() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    let text_ = r#"{"a\"\\\u00e9\u0007\ud83d\ude00":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},"__metadata__":{"fo\"o":"b\nr","\u00e9":""},"é":{"data_offsets":[3,11],"shape":[1],"dtype":"I64"},"none":{"dtype":"F8_E4M3","shape":[0],"data_offsets":[3,3]}}  "#;
    put(&model, "model.safetensors", safetensors(text_, 11));
    put(&model, "model-2.safetensors", safetensors("{}", 0));
    put(&model, "model-3.safetensors", safetensors(r#"{"__metadata__":{}}"#, 0));
    let out = dir.path().join("out");
    report(&["align", text(&model), "-o", text(&out)]);
    assert_same_model(&model, &out);
    shards(&out).iter().for_each(|path| assert_aligned(path));
    let (metadata, tensors) = contents(&out.join("model.safetensors"));
    assert_eq!(metadata, json!({"fo\"o": "b\nr", "é": ""}));
    assert_eq!(tensors["a\"\\é\u{7}😀"].2, [0, 1, 2]);
    for (name, metadata) in [("model-2", Value::Null), ("model-3", json!({}))] {
        assert_eq!(contents(&out.join(format!("{name}.safetensors"))).0, metadata, "{name}");
    }
}

/// Bytes only move, whatever they mean.
#[test]
fn types_that_cannot_be_converted_can_be_aligned_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    // 6 elements of 4 bits are 3 bytes, 4 of 6 bits are 3, 3 of a byte are 3, 1 of 64 bits is 8.
    let kinds = [
        ("F4", 6, 3),
        ("F6_E2M3", 4, 3),
        ("F6_E3M2", 4, 3),
        ("F8_E8M0", 3, 3),
        ("F8_E4M3FNUZ", 3, 3),
        ("F8_E5M2FNUZ", 3, 3),
        ("C64", 1, 8),
    ];
    let mut end = 0;
    let mut tensors = Map::new();
    for (dtype, elements, bytes) in kinds {
        let range = [end, end + bytes];
        end += bytes;
        tensors.insert(
            dtype.to_lowercase(),
            json!({"dtype": dtype, "shape": [elements], "data_offsets": range}),
        );
    }
    put(&model, "model.safetensors", safetensors(Value::Object(tensors).to_string(), end));
    let out = dir.path().join("out");
    report(&["align", text(&model), "-o", text(&out)]);
    assert_same_model(&model, &out);
    let shown = ggraft(&["inspect", text(&model)]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(kinds.iter().all(|(dtype, ..)| shown.contains(dtype)), "{shown}");
}

#[test]
fn aligning_again_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path(), "odd", 2, odd_tensors());
    report(&["align", text(&model), "--in-place"]);
    let inodes = |dir: &Path| shards(dir).iter().map(|p| fs::metadata(p).unwrap().ino()).collect::<Vec<_>>();
    let before = inodes(&model);
    let done = report(&["align", text(&model), "--in-place"]);
    assert_eq!(done["written"], json!([]));
    assert!(done["shards"].as_array().unwrap().iter().all(|s| s["aligned"] == true), "{done:#}");
    assert_eq!(inodes(&model), before, "aligned files are left alone");
    let said = ggraft(&["align", text(&model), "--in-place"]);
    assert!(String::from_utf8(said.stderr).unwrap().contains("aligned already"));

    let out = dir.path().join("out");
    report(&["align", text(&model), "-o", text(&out)]);
    for path in shards(&model) {
        let copy = out.join(path.file_name().unwrap());
        assert!(fs::read(&path).unwrap() == fs::read(copy).unwrap());
    }
}

#[test]
fn in_place_a_cache_keeps_its_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path(), "padded", 2, json!({}));
    let cache = dir.path().join("models--test--llama");
    let (blobs, snapshot) = (cache.join("blobs"), cache.join("snapshots/0123abcd"));
    fs::create_dir_all(&blobs).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    for (i, entry) in fs::read_dir(&model).unwrap().enumerate() {
        let path = entry.unwrap().path();
        fs::copy(&path, blobs.join(i.to_string())).unwrap();
        symlink(format!("../../blobs/{i}"), snapshot.join(path.file_name().unwrap())).unwrap();
    }
    let state = || {
        let mut all: Vec<_> = (fs::read_dir(&blobs).unwrap())
            .map(|e| e.unwrap().path())
            .map(|path| (fs::metadata(&path).unwrap().ino(), fs::read(&path).unwrap(), path))
            .collect();
        all.sort();
        all
    };
    let before = state();

    let out = dir.path().join("out");
    report(&["align", text(&snapshot), "-o", text(&out)]);
    assert_same_model(&model, &out);
    for name in ["config.json", "tokenizer.model", "model.safetensors.index.json"] {
        assert!(fs::symlink_metadata(out.join(name)).unwrap().is_file(), "{name} is a file, not a symlink");
    }

    report(&["align", text(&snapshot), "--in-place"]);
    assert!(state() == before, "no blob has changed");
    assert_same_model(&model, &snapshot);
    for path in shards(&snapshot) {
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_aligned(&path);
    }
    assert!(snapshot.join("config.json").is_symlink(), "only shards are touched");
}

#[test]
fn what_is_carried_along() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path(), "padded", 1, json!({}));
    put(&model, "deep/er/note.txt", "kept");
    put(&model, "run.sh", "#!/bin/sh\n");
    put(&model, ".git/config", "history");
    put(&model, "empty", "");
    put(dir.path(), "secret", "s3cret");
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    put(dir.path(), "elsewhere/private", "s3cret");
    symlink("deep/er/note.txt", model.join("inner")).unwrap();
    symlink("../secret", model.join("outer")).unwrap();
    symlink("../elsewhere", model.join("outer-dir")).unwrap();
    symlink("nowhere", model.join("dangling")).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&model.join("run.sh"), 0o750);
    mode(&model.join("model.safetensors"), 0o600);

    let out = dir.path().join("out");
    let done = report(&["align", text(&model), "-o", text(&out)]);
    assert_eq!(fs::read(out.join("deep/er/note.txt")).unwrap(), b"kept");
    assert_eq!(fs::read(out.join("inner")).unwrap(), b"kept");
    assert!(!out.join("inner").is_symlink());
    assert_eq!(fs::read(out.join("empty")).unwrap(), b"");
    let left: Vec<&str> =
        done["left_out"].as_array().unwrap().iter().map(|l| l["path"].as_str().unwrap()).collect();
    assert_eq!(left, [".git", "dangling", "outer", "outer-dir"]);
    for name in left {
        assert!(fs::symlink_metadata(out.join(name)).is_err(), "{name}");
    }
    let mode = |name: &str| fs::metadata(out.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run.sh"), mode("model.safetensors")), (0o750, 0o600));

    report(&["align", text(&model), "--in-place"]);
    assert_eq!(fs::metadata(model.join("model.safetensors")).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Of each tensor its ends, which differ from tensor to tensor; the rest is holes.
fn ends(path: &Path) -> BTreeMap<String, [[u8; 8]; 2]> {
    let file = File::open(path).unwrap();
    let read = |at| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at).unwrap();
        bytes
    };
    header(path).1.into_iter().map(|(name, t)| (name, [read(t.start), read(t.start + t.len - 8)])).collect()
}

/// A third of a gigabyte in five shards: four tensors each, marked at their ends.
fn bulky() -> tempfile::TempDir {
    const SHARDS: u64 = 5;
    const LEN: u64 = 16 << 20;
    let dir = tempfile::tempdir().unwrap();
    for shard in 0..SHARDS {
        let entry = |i: u64| {
            let (begin, end) = (i * LEN, (i + 1) * LEN);
            format!(r#""t{shard}.{i}":{{"dtype":"U8","shape":[{LEN}],"data_offsets":[{begin},{end}]}}"#)
        };
        let text = format!("{{{}}}", (0..4).map(entry).collect::<Vec<_>>().join(","));
        let path = dir.path().join(format!("model-{shard}.safetensors"));
        fs::write(&path, safetensors(&text, 0)).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let start = 8 + text.len() as u64;
        for i in 0..4 {
            file.write_all_at(&vec![0xa5; LEN as usize], start + i * LEN).unwrap();
            let mark = |end: u64| (0x0101_0101 * (8 * shard + 2 * i + end + 1)).to_le_bytes();
            file.write_all_at(&mark(0), start + i * LEN).unwrap();
            file.write_all_at(&mark(1), start + (i + 1) * LEN - 8).unwrap();
        }
    }
    dir
}

#[test]
fn a_killed_run_loses_nothing() {
    let dir = bulky();
    let before: Vec<_> = shards(dir.path()).iter().map(|p| ends(p)).collect();
    assert!(before.iter().flat_map(|shard| shard.values().flatten()).all(|mark| *mark != [0; 8]));
    let mut killed = 0;
    for attempt in 1.. {
        let mut child =
            command(&["align", text(dir.path()), "--in-place"]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(30 * attempt));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        let after: Vec<_> = shards(dir.path()).iter().map(|p| ends(p)).collect();
        assert_eq!(after, before, "after {killed} kills");
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(9));
        killed += 1;
    }
    assert!(killed >= 2, "it was killed while it worked");
    shards(dir.path()).iter().for_each(|path| assert_aligned(path));
}

#[test]
fn an_interrupted_copy_leaves_nothing() {
    let (dir, to) = (bulky(), tempfile::tempdir().unwrap());
    put(dir.path(), "deep/er/note.txt", "");
    let out = to.path().join("out");
    let child =
        command(&["align", text(dir.path()), "-o", text(&out)]).stderr(Stdio::null()).spawn().unwrap();
    // The directory is there as soon as work begins, and work takes longer than a signal.
    while !out.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(15));
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
}

#[test]
fn many_files_are_no_problem() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path(), "padded", 1, json!({}));
    (0..100).for_each(|i| put(&model, &format!("more/{i}"), i.to_string()));
    let script = r#"ulimit -Sn 64 && exec "$@""#;
    let out = dir.path().join("out");
    let args = ["-c", script, "sh", env!("CARGO_BIN_EXE_ggraft"), "align", text(&model), "-o", text(&out)];
    let output = Command::new("sh").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read(out.join("more/99")).unwrap(), b"99");
}

/// Every tensor of a GGUF file: shape, type and bytes.
fn gguf(path: &Path) -> BTreeMap<String, (Vec<u64>, u32, Vec<u8>)> {
    let file = File::open(path).unwrap();
    let tensors = ggraft::gguf::read(path).unwrap().tensors.into_iter();
    let read = |tensor: ggraft::gguf::StoredTensor| {
        let mut bytes = vec![0; usize::try_from(tensor.len.unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, tensor.offset).unwrap();
        (tensor.name, (tensor.shape, tensor.type_id, bytes))
    };
    tensors.map(read).collect()
}

#[test]
fn it_converts_to_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for (header, shards) in [("padded", 1), ("odd", 2)] {
        let model = llama(dir.path(), header, shards, json!({}));
        let convert = |out: &str| {
            let out = dir.path().join(out);
            report(&["convert", text(&model), "--no-reflink", "--outfile", text(&out)]);
            fs::read(out).unwrap()
        };
        let before = convert("before.gguf");
        report(&["align", text(&model), "--in-place"]);
        assert!(convert("after.gguf") == before, "where nothing is shared, not even the order differs");
        fs::remove_dir_all(model).unwrap();
    }
}

#[test]
fn conversions_share_what_they_keep() {
    for fs_ in sharing() {
        let dir = fs_.path();
        for (header, shards) in [("padded", 1), ("odd", 1), ("padded", 3)] {
            let model = llama(dir, header, shards, json!({}));
            let (out, shared, copied) = (dir.join("out"), dir.join("shared.gguf"), dir.join("copied.gguf"));
            let check = report(&["align", text(&model), "--check"]);
            let today = report(&["convert", text(&model), "--outfile", text(&copied)]);
            assert_eq!(check["conversion"]["today"]["shared"], today["bytes"]["cloned"]);
            report(&["convert", text(&model), "--no-reflink", "--outfile", text(&copied)]);

            report(&["align", text(&model), "-o", text(&out)]);
            let done = report(&["convert", text(&out), "--outfile", text(&shared), "--reflink", "always"]);
            let cloned = done["bytes"]["cloned"].as_u64().unwrap();
            assert!(cloned * 100 >= KEPT * 99 && cloned <= KEPT, "{cloned} of {KEPT}: {done:#}");
            assert_eq!(done["measured"]["shared"], cloned, "so says the extent map");
            assert_eq!(check["conversion"]["aligned"]["shared"], cloned, "as --check foretold");
            assert!(gguf(&shared) == gguf(&copied));

            // Aligned once, a copy of the model shares with it, too.
            let again = report(&["align", text(&out), "-o", text(&dir.join("again"))]);
            let [cloned, total] = ["cloned", "total"].map(|key| again["bytes"][key].as_u64().unwrap());
            assert!(cloned * 100 >= total * 95, "{again:#}");
            assert_same_model(&model, &dir.join("again"));
            for used in [&model, &out, &dir.join("again")] {
                fs::remove_dir_all(used).unwrap();
            }
        }
    }
}

/// What lies where it should already is shared instead of copied, also within a file that is rewritten.
#[test]
fn congruent_ranges_are_not_copied() {
    const LEN: usize = 1 << 20;
    for fs_ in sharing() {
        let model = fs_.path().join("model");
        // Data on a block boundary; a small tensor after the first moves the second off the grid.
        let text_ = format!(
            r#"{{"a":{{"dtype":"U8","shape":[{LEN}],"data_offsets":[0,{LEN}]}},"b":{{"dtype":"U8","shape":[8],"data_offsets":[{LEN},{}]}},"c":{{"dtype":"U8","shape":[{LEN}],"data_offsets":[{},{}]}}}}"#,
            LEN + 8,
            LEN + 8,
            2 * LEN + 8
        );
        put(&model, "model.safetensors", safetensors(format!("{text_:4088}"), 2 * LEN + 8));
        let before = contents(&model.join("model.safetensors"));
        let done = report(&["align", text(&model), "--in-place"]);
        assert_eq!(done["bytes"]["cloned"], LEN);
        assert_eq!(done["bytes"]["copied"], LEN + 8);
        assert!(contents(&model.join("model.safetensors")) == before);
        assert_aligned(&model.join("model.safetensors"));
    }
}

#[test]
fn check_writes_nothing_and_names_what_cannot_be_converted() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path(), "padded", 2, json!({}));
    let listing = || {
        let entries = fs::read_dir(&model).unwrap().map(|e| e.unwrap());
        let mut all: Vec<_> = entries.map(|e| (e.file_name(), e.metadata().unwrap().ino())).collect();
        all.sort();
        all
    };
    let before = listing();
    let check = report(&["align", text(&model), "--check"]);
    assert_eq!(listing(), before);
    let conversion = &check["conversion"];
    assert_eq!(conversion["aligned"]["shared"], KEPT, "all of it is whole blocks");
    assert!(conversion["today"]["shared"].as_u64().unwrap() < KEPT);
    assert!(conversion["tensor_bytes"].as_u64().unwrap() > KEPT);
    let said = String::from_utf8(ggraft(&["align", text(&model), "--check"]).stdout).unwrap();
    assert!(said.contains("today") && said.contains("aligned"), "{said}");

    fs::write(model.join("config.json"), r#"{"architectures": ["NoSuchModel"], "model_type": "none"}"#)
        .unwrap();
    let check = report(&["align", text(&model), "--check"]);
    assert_eq!(check["conversion"]["supported"], false);
    assert!(check["conversion"]["why"].as_str().unwrap().contains("NoSuchModel"));
    assert_eq!(check["shards"][0]["aligned"], false);
}

#[test]
fn refusals() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(dir.path(), "padded", 1, json!({}));
    put(dir.path(), "full/file", "");
    put(dir.path(), "file", "");
    put(dir.path(), "none/config.json", "{}");
    let at = |name: &str| text(&dir.path().join(name)).to_owned();
    let refused = |args: &[&str], code: i32, expected: &str| {
        let output = ggraft(&[&["align"], args].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    };
    let model_ = text(&model);
    refused(&[model_], 2, "--output");
    refused(&[model_, "--in-place", "-o", "x"], 2, "cannot be used with");
    refused(&[model_, "-o", &at("full")], 2, "is not empty");
    refused(&[model_, "-o", &at("file")], 2, "is not a directory");
    refused(&[model_, "-o", &at("no/where")], 2, "there is no directory");
    refused(&[model_, "-o", model_], 2, "--in-place");
    refused(&[model_, "-o", &format!("{model_}/out")], 2, "lies in the model's directory");
    refused(&[&at("file"), "--in-place"], 2, "is not a directory");
    refused(&[&at("none"), "-o", &at("out")], 4, "safetensors");

    // A shard that a symlinked directory leads away to.
    let led = dir.path().join("led");
    put(&led, "model.safetensors.index.json", handmade::index(&[("t", "sub/model.safetensors")]));
    let entry = r#"{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    put(dir.path(), "away/model.safetensors", safetensors(entry, 1));
    symlink("../away", led.join("sub")).unwrap();
    refused(&[text(&led), "--in-place"], 4, "out of its directory");
}

/// More data than the file system has room for, in a file that takes almost none of it: blocks that are shared.
#[test]
fn too_little_space() {
    const SEED: u64 = 1 << 20;
    for dir in sharing() {
        let free = ggraft_platform::FileSystem::of(dir.path()).unwrap().free_bytes;
        // Twice as much, for other tests may free some of theirs.
        let data = (2 * free / SEED).next_power_of_two() * SEED;
        let model = dir.path().join("model");
        let header = format!(r#"{{"t":{{"dtype":"U8","shape":[{data}],"data_offsets":[0,{data}]}}}}"#);
        let prefix = (header.len() as u64).to_le_bytes();
        let start = 8 + header.len();
        let seed = vec![7; SEED as usize];
        put(&model, "model.safetensors", [&prefix[..], header.as_bytes(), &seed].concat());
        put(&model, "deep/file", "");
        let file = File::options().read(true).write(true).open(model.join("model.safetensors")).unwrap();
        file.set_len(start as u64 + data).unwrap();
        let mut filled = SEED;
        while filled < data {
            ggraft_platform::clone_range(&file, 0, filled, &file, filled).unwrap();
            filled *= 2;
        }
        // Cloning has brought copies of the header along, which are data now.
        let out = dir.path().join("out");
        for args in [vec!["align", text(&model), "-o", text(&out)], vec!["align", text(&model), "--in-place"]]
        {
            let output = ggraft(&args);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
            assert!(said.contains("too little space"), "{args:?}: {said}");
            assert!(!out.exists(), "nothing is left behind");
        }
    }
}

/// What a sparse checkpoint does not occupy, the aligned one does not either.
#[test]
fn holes_stay_holes() {
    const HOLE: u64 = 24 << 20;
    let dirs = sharing().into_iter().chain([tempfile::tempdir().unwrap()]);
    for dir in dirs {
        let model = dir.path().join("model");
        fs::create_dir(&model).unwrap();
        // 1000 bytes in front, so that everything moves.
        let header = format!(
            r#"{{"a":{{"dtype":"U8","shape":[1000],"data_offsets":[0,1000]}},"b":{{"dtype":"U8","shape":[{HOLE}],"data_offsets":[1000,{}]}}}}"#,
            HOLE + 1000
        );
        let (path, start) = (model.join("model.safetensors"), 8 + header.len() as u64);
        let prefix = (header.len() as u64).to_le_bytes();
        put(&model, "model.safetensors", [&prefix[..], header.as_bytes(), &[7; 1000]].concat());
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(start + 1000 + HOLE).unwrap();
        let data = [9; 5000];
        file.write_all_at(&data, start + 1000 + HOLE / 2).unwrap();

        let to = dir.path().join("aligned");
        report(&["align", text(&model), "-o", text(&to)]);
        let aligned = to.join("model.safetensors");
        let occupied = fs::metadata(&aligned).unwrap().blocks() * 512;
        assert!(occupied < HOLE / 4, "{occupied} bytes");
        let bytes = fs::read(&aligned).unwrap();
        let (b, a) = bytes[bytes.len() - HOLE as usize - 1000..].split_at(HOLE as usize);
        assert!(a == [7; 1000]);
        let middle = (HOLE / 2) as usize;
        assert!(b[middle..middle + data.len()] == data);
        assert_eq!(b.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 9 * 5000, "the rest is zeros");
    }
}
