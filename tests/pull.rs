//! Downloads: what comes of them, and what becomes of them when they are disturbed.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

#[path = "common/client.rs"]
mod client;
#[path = "common/filesystems.rs"]
mod filesystems;
#[path = "common/hub/mod.rs"]
mod hub;
#[path = "common/model_dir.rs"]
mod model_dir;
#[path = "common/weights.rs"]
mod weights;

use client::{Client, TINY, contents, copy};
use hub::faults::Fault;
use hub::{Access, Asked, Hub, TOKEN};
use model_dir::ModelDir;
use serde_json::{Map, Value, json};

/// Bytes that one request asks for at most.
const RANGE: u64 = 16 << 20;

/// What is fetched to see a header, at most.
const HEAD: u64 = 128 << 10;

/// A model whose weights are `mib` mebibytes in two shards, with tensors of odd lengths among them.
fn model(dir: &Path, mib: usize) {
    copy(Path::new(TINY), dir);
    fs::remove_file(dir.join("model.safetensors")).unwrap();
    let mut weight_map = Map::new();
    for shard in 1..=2u64 {
        let name = format!("model-{shard:05}-of-00002.safetensors");
        let (mut header, mut at) = (Map::new(), 0);
        for i in 0..mib / 2 {
            for (kind, len) in [("w", (1 << 20) - 1000), ("norm", 1000)] {
                let tensor = format!("{kind}.{shard}.{i}");
                header.insert(
                    tensor.clone(),
                    json!({"dtype": "U8", "shape": [len], "data_offsets": [at, at + len]}),
                );
                weight_map.insert(tensor, json!(name));
                at += len;
            }
        }
        let header = Value::Object(header).to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        let mut state = shard;
        bytes.extend((0..at / 8 + 1).flat_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()
        }));
        bytes.truncate(8 + header.len() + at as usize);
        fs::write(dir.join(name), bytes).unwrap();
    }
    let index = json!({"weight_map": weight_map}).to_string();
    fs::write(dir.join("model.safetensors.index.json"), index).unwrap();
}

/// A hub with such a model, its client, and where the files are.
fn large(mib: usize) -> (Hub, Client, tempfile::TempDir) {
    let (hub, files) = (Hub::start(), tempfile::tempdir().unwrap());
    model(files.path(), mib);
    hub.add("org/large", files.path(), Access::Public);
    let client = Client::of(&hub);
    (hub, client, files)
}

/// The files in the directory `name` of the client's home that are the model's.
fn pulled(client: &Client, name: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut files = contents(&client.path(name));
    files.retain(|path, _| !path.starts_with(".cache"));
    files
}

/// What `ggraft align` makes of the files in `dir`: another way to the same place.
fn aligned(client: &Client, dir: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    client.succeeds(&["align", dir.to_str().unwrap(), "-o", "expected", "--quiet"]);
    let mut files = contents(&client.path("expected"));
    files.remove("ggraft-name.txt");
    files
}

/// Bytes of files that were sent.
fn sent(hub: &Hub) -> u64 {
    sent_of(&hub.asked())
}

fn sent_of(asked: &[Asked]) -> u64 {
    asked.iter().filter(|asked| asked.path.contains("/resolve/") || asked.cdn).map(|asked| asked.bytes).sum()
}

fn size(dir: &Path) -> u64 {
    contents(dir).values().map(|bytes| bytes.len() as u64).sum()
}

#[test]
fn what_comes_is_aligned_or_as_it_was_published() {
    let (hub, client, files) = large(6);
    client.succeeds(&["pull", "org/large"]);
    assert!(pulled(&client, "large") == aligned(&client, files.path()));
    let asked = hub.asked();
    assert!(sent_of(&asked) <= size(files.path()) + 2 * HEAD, "{asked:?}");
    client.succeeds(&["pull", "org/large"]);
    assert_eq!(sent(&hub), 0, "it was complete");
    client.succeeds(&["pull", "hf://org/large@main", "plain", "--plain"]);
    let mut plain = pulled(&client, "plain");
    assert_eq!(
        plain.remove("ggraft-name.txt").unwrap(),
        b"large\n",
        "the directory is called something else"
    );
    assert!(plain == contents(files.path()));
    client.fails(&["pull", "org/large", "--plain"], 2, &["was begun without --plain"]);

    hub.add("org/tiny-llama", Path::new(TINY), Access::Public);
    client.succeeds(&["pull", "org/tiny-llama", "tiny", "--gguf"]);
    let made = pulled(&client, "tiny").into_iter().find(|(name, _)| name.ends_with(".gguf")).unwrap();
    client.succeeds(&["convert", "org/tiny-llama", "--no-reflink", "--outfile", "whole.gguf"]);
    client.succeeds(&["verify", &format!("tiny/{}", made.0), TINY]);
    client.succeeds(&["convert", "tiny", "--no-reflink", "--outfile", "again.gguf"]);
    assert_eq!(fs::read(client.path("again.gguf")).unwrap(), fs::read(client.path("whole.gguf")).unwrap());
    client.fails(&["pull", "org/tiny-llama", "large"], 2, &["is a download of org/large"]);
}

#[test]
fn a_dry_run_says_what_it_takes_and_writes_nothing() {
    let (hub, client, files) = large(4);
    fs::write(files.path().join("pytorch_model.bin"), [0; 1000]).unwrap();
    fs::write(files.path().join("picture.png"), [0; 1000]).unwrap();
    hub.add("org/large", files.path(), Access::Public);
    let output = client.ggraft(&["pull", "org/large", "--dry-run", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["bytes"], size(files.path()) - 2000);
    assert_eq!(json["peak_bytes"], json["bytes"]);
    assert_eq!(json["left_out"], json!(["picture.png", "pytorch_model.bin"]));
    assert_eq!(json["commit"], hub.commit("org/large"));
    let text = client.ggraft(&["pull", "org/large", "--dry-run"]);
    assert!(String::from_utf8(text.stdout).unwrap().contains("on the disk at most: 4.2"));
    assert!(!client.path("large").exists());
    assert_eq!(sent(&hub), 0);
    client.succeeds(&["pull", "org/large", "--all"]);
    assert!(pulled(&client, "large").contains_key("picture.png"));
}

/// What a dry run says of the GGUF is what is shared in the end: the reordered rows of a Llama are not.
#[test]
fn a_dry_run_knows_what_the_gguf_will_share() {
    for (variable, plain) in [
        ("GGRAFT_TEST_XFS", false),
        ("GGRAFT_TEST_BTRFS", false),
        ("GGRAFT_TEST_XFS", true),
        ("TMPDIR", false),
    ] {
        let dir = match variable {
            "TMPDIR" => tempfile::tempdir().unwrap(),
            _ => match filesystems::directory(variable) {
                Some(dir) => dir,
                None => return,
            },
        };
        let (hub, files) = (Hub::start(), tempfile::tempdir().unwrap());
        let model: ModelDir = serde_json::from_value(json!({
            "dir": "m", "tokenizer": "spm",
            "config": {
                "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 512,
                "intermediate_size": 1024, "num_hidden_layers": 1, "num_attention_heads": 8,
                "num_key_value_heads": 8, "vocab_size": 512, "tie_word_embeddings": true,
                "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
            },
            "weights": {"seed": 7, "dtype": "bf16", "ordinary": true},
        }))
        .unwrap();
        model.write(files.path(), Path::new("tests/tokenizers")).unwrap();
        hub.add("org/m", &files.path().join("m"), Access::Public);
        let client = Client::of(&hub);
        let target = dir.path().join("m").to_string_lossy().into_owned();
        let mut command = vec!["pull", "org/m", &target, "--gguf", "--json"];
        command.extend(plain.then_some("--plain"));
        let run = |more: &[&str]| -> Value {
            let output = client.ggraft(&[&command, more].concat());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let (told, done) = (run(&["--dry-run"]), run(&[]));
        let bytes = &done["gguf"]["bytes"];
        assert_eq!(told["gguf_bytes"], bytes["total"], "{variable} {plain}");
        assert_eq!(told["gguf_shared_bytes"], bytes["cloned"], "{variable} {plain}");
        let number = |value: &Value| value.as_u64().unwrap();
        let written = number(&bytes["total"]) - number(&bytes["cloned"]);
        assert_eq!(number(&told["peak_bytes"]), number(&told["bytes"]) + written);
        let most = number(&bytes["cloned"]) > number(&bytes["total"]) / 2;
        assert!(plain || most == (variable != "TMPDIR"), "{variable}");
    }
}

#[test]
fn another_hash_is_refused_and_named() {
    let (hub, client, files) = large(4);
    hub.faults().plan("cdn", Fault::Damaged);
    // The first request is for the header of a shard; that it is one cannot be known before its end.
    let said =
        client.fails(&["pull", "org/large", "--plain", "--streams", "1"], 4, &["SHA-256", "thrown away"]);
    assert!(said.contains("model-00001-of-00002.safetensors"), "{said}");
    assert!(!client.path("large/model-00001-of-00002.safetensors").exists());
    client.succeeds(&["pull", "org/large", "--plain"]);
    assert!(pulled(&client, "large") == contents(files.path()));
    hub.faults().plan("config.json", Fault::Damaged);
    client.fails(&["pull", "org/large", "other"], 4, &["expected Git hash"]);
    hub.faults().plan("config.json", Fault::Changed);
    client.fails(&["pull", "org/large", "third"], 4, &["was changed"]);
}

/// Drops, stalls, refusals, kills: every file is right in the end, and little is fetched twice.
#[test]
fn faults_and_kills_cost_little() {
    let (hub, mut client, files) = large(64);
    client.set("HF_HUB_DOWNLOAD_TIMEOUT", "1");
    // One answer after the other, until that many have failed.
    const FAULTS: u64 = 25;
    hub.faults().at_random(7, 1, FAULTS);
    let mut kills = 0;
    let success = (0..40).any(|round| {
        let mut command = client.command(env!("CARGO_BIN_EXE_ggraft"));
        command.args(["pull", "org/large", "--quiet", "--limit-rate", "40M"]).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        if round < 8 {
            thread::sleep(Duration::from_millis(250));
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                kills += 1;
            }
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.is_empty(), "{said}");
        output.status.success()
    });
    assert!(success && kills > 0);
    let (faults, sent) = (hub.faults().happened().len() as u64, sent(&hub));
    assert_eq!(faults, FAULTS);
    assert!(pulled(&client, "large") == aligned(&client, files.path()));
    // A header a file and run, and for each fault and kill no more than one range.
    let most = size(files.path()) + (2 + 2 * kills) * HEAD + (faults + kills) * RANGE;
    assert!(sent <= most, "{sent} bytes were sent, at most {most} were expected");
    // Ranges are larger than this model's files, so that is not saying much; this is.
    let wasted = sent.saturating_sub(size(files.path()));
    assert!(
        wasted < (faults + kills) * (2 << 20),
        "{wasted} bytes too many for {faults} faults and {kills} kills"
    );
}

#[test]
fn a_rate_is_kept_to() {
    let (_hub, client, _files) = large(8);
    let start = Instant::now();
    client.succeeds(&["pull", "org/large", "--limit-rate", "4M"]);
    let took = start.elapsed();
    assert!(took > Duration::from_millis(1000) && took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn tokens_are_not_written_down() {
    let (hub, mut client, files) = large(2);
    hub.add("org/private", files.path(), Access::Private);
    client.set("HF_TOKEN", TOKEN);
    let output = client.ggraft(&["pull", "org/private", "--json", "--verbose"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut texts: Vec<Vec<u8>> = contents(&client.path("private")).into_values().collect();
    texts.extend([output.stdout, output.stderr]);
    for text in texts {
        let found = [TOKEN, "Signature"]
            .iter()
            .any(|secret| text.windows(secret.len()).any(|window| window == secret.as_bytes()));
        assert!(!found, "{}", String::from_utf8_lossy(&text));
    }
    assert!(hub.asked().iter().all(|asked| asked.cdn == asked.authorization.is_none()));
}

#[test]
fn a_repository_does_not_write_to_the_state_of_its_download() {
    let (hub, client, files) = large(2);
    for name in ["manifest.json", "finished.jsonl", "0.done", "lock"] {
        fs::create_dir_all(files.path().join(".cache/ggraft")).unwrap();
        fs::write(files.path().join(".cache/ggraft").join(name), "not ours").unwrap();
    }
    hub.add("org/large", files.path(), Access::Public);
    client.succeeds(&["pull", "org/large", "--all"]);
    for (name, bytes) in contents(&client.path("large")) {
        assert_ne!(bytes, b"not ours", "{name}");
    }
    sent(&hub);
    client.succeeds(&["pull", "org/large"]);
    assert_eq!(sent(&hub), 0);
}

#[test]
fn directories_that_are_something_else_are_left_alone() {
    let (_hub, client, _files) = large(2);
    fs::create_dir(client.path("mine")).unwrap();
    fs::write(client.path("mine/notes.txt"), "mine").unwrap();
    client.fails(&["pull", "org/large", "mine"], 2, &["is not empty, and no download of ggraft"]);
    client.fails(&["pull", "org/large", "mine/notes.txt"], 2, &["is no directory"]);
    client.fails(&["pull", "org/large", "no/such"], 2, &["create that first"]);
    client.fails(&["pull", "./large"], 2, &["not the name of a repository"]);
    client.fails(&["pull", "org/missing"], 2, &["no such repository"]);
    assert_eq!(contents(&client.path("mine")).len(), 1);
    // What is there of a download that was killed at once is none of that.
    let home = client.path("begun/.cache/ggraft");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("lock"), "").unwrap();
    fs::write(home.join("manifest.new"), "{").unwrap();
    client.succeeds(&["pull", "org/large", "begun"]);
    for name in ["begun2/.cache/ggraft/other", "begun3/.cache/other/lock", "begun4/.cache"] {
        let path = client.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        let dir = name.split('/').next().unwrap();
        client.fails(&["pull", "org/large", dir], 2, &["is not empty, and no download of ggraft"]);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
    assert!(!client.path("missing").exists());
}
