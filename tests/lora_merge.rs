//! `ggraft lora --merge`: what cannot be merged is refused by name, and what can becomes `W + scale · B · A`.
//! `scripts/lora_merge.py` compares with PEFT's results.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");
const Q: &str = "base_model.model.model.layers.0.self_attn.q_proj";
const DOWN: &str = "base_model.model.model.layers.0.mlp.down_proj";

fn safetensors(tensors: &[(String, Vec<usize>, f32)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, value) in tensors {
        let (begin, count) = (data.len(), shape.iter().product::<usize>());
        data.extend(std::iter::repeat_n(value.to_le_bytes(), count).flatten());
        header.insert(
            name.clone(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// Shape of a matrix of the tiny model.
fn shape(name: &str) -> [usize; 2] {
    let bytes = fs::read(Path::new(TINY).join("model.safetensors")).unwrap();
    let len = usize::try_from(u64::from_le_bytes(*bytes.first_chunk().unwrap())).unwrap();
    let header: Value = serde_json::from_slice(&bytes[8..8 + len]).unwrap();
    let shape = header[name]["shape"].as_array().unwrap();
    [0, 1].map(|axis| usize::try_from(shape[axis].as_u64().unwrap()).unwrap())
}

fn pair(stem: &str, rank: usize, a: f32, b: f32) -> Vec<(String, Vec<usize>, f32)> {
    let [rows, columns] = shape(&format!("{}.weight", stem.strip_prefix("base_model.model.").unwrap()));
    vec![
        (format!("{stem}.lora_A.weight"), vec![rank, columns], a),
        (format!("{stem}.lora_B.weight"), vec![rows, rank], b),
    ]
}

fn adapter(work: &Path, settings: Value, tensors: &[(String, Vec<usize>, f32)]) -> PathBuf {
    let dir = work.join("tuned");
    fs::create_dir_all(&dir).unwrap();
    let mut config = json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8});
    config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    fs::write(dir.join("adapter_config.json"), config.to_string()).unwrap();
    fs::write(dir.join("adapter_model.safetensors"), safetensors(tensors)).unwrap();
    dir
}

fn merge(adapter: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.arg("lora").arg(adapter).args(["--merge", "--base", TINY, "--no-reflink"]).args(flags);
    command.output().unwrap()
}

#[track_caller]
fn refused(settings: Value, tensors: &[(String, Vec<usize>, f32)], code: i32, expected: &[&str]) {
    let work = tempfile::tempdir().unwrap();
    let adapter = adapter(work.path(), settings, tensors);
    let output = merge(&adapter, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for text in expected {
        assert!(said.contains(text), "does not say {text:?}:\n{said}");
    }
    assert_eq!(fs::read_dir(adapter).unwrap().count(), 2, "something was left");
}

#[test]
fn what_is_not_only_added_is_refused_by_name() {
    let usual = pair(Q, 4, 1.0, 1.0);
    refused(json!({"use_dora": true}), &usual, 3, &["use_dora", "magnitudes", "merge it with PEFT"]);
    refused(json!({"init_lora_weights": "pissa_niter_4"}), &usual, 3, &["pissa", "base model as well"]);
    refused(json!({"target_parameters": ["mlp.experts.gate_up_proj"]}), &usual, 3, &["target_parameters"]);
    refused(json!({"alora_invocation_tokens": [3]}), &usual, 3, &["alora_invocation_tokens"]);
    refused(json!({"layer_replication": [[0, 1]]}), &usual, 3, &["layer_replication"]);
    let magnitude = [usual.clone(), vec![(format!("{Q}.lora_magnitude_vector"), vec![64], 1.0)]].concat();
    refused(json!({}), &magnitude, 4, &["lora_magnitude_vector", "the base model has no tensor"]);
}

#[test]
fn what_does_not_fit_the_model_is_refused() {
    let usual = pair(Q, 4, 1.0, 1.0);
    refused(json!({"r": 8}), &usual, 4, &["expected rank 8", "found 4"]);
    refused(json!({"rank_pattern": {"q_proj": 2}}), &usual, 4, &["expected rank 2", "found 4"]);
    refused(json!({"rank_pattern": {"(": 2}}), &usual, 4, &["rank_pattern", "no pattern"]);
    refused(json!({"rank_pattern": {"a{1000}{1000}": 2}}), &usual, 4, &["rank_pattern", "no pattern"]);
    refused(json!({"alpha_pattern": {"q_proj": "x"}}), &usual, 4, &["alpha_pattern", "expected a number"]);
    refused(json!({}), &usual[..1], 4, &["the factor B", "missing"]);
    let mut narrow = usual.clone();
    narrow[1].1[0] -= 1;
    refused(json!({}), &narrow, 4, &["the product of the factors has shape"]);
    let mut ranks = usual.clone();
    ranks[1].1[1] += 1;
    refused(json!({}), &ranks, 4, &["do not have one rank"]);
    let resized = vec![("base_model.model.model.embed_tokens.weight".to_owned(), vec![7, 3], 1.0)];
    refused(json!({}), &resized, 4, &["expected shape", "was the vocabulary resized?"]);
    let mut other = usual.clone();
    other.iter_mut().for_each(|(name, ..)| *name = name.replace("layers.0", "layers.99"));
    refused(json!({}), &other, 4, &["the base model has no tensor", "--base"]);
}

/// Where a tensor of the GGUF begins, and how many bytes it has.
fn place(gguf: &Path, name: &str) -> (usize, usize) {
    let read =
        Command::new(env!("CARGO_BIN_EXE_ggraft")).args(["inspect", "--json"]).arg(gguf).output().unwrap();
    let read: Value = serde_json::from_slice(&read.stdout).unwrap();
    let found = read["tensors"].as_array().unwrap().iter().find(|tensor| tensor["name"] == name).unwrap();
    let [start, len] = ["offset", "bytes"].map(|key| usize::try_from(found[key].as_u64().unwrap()).unwrap());
    (start, len)
}

/// What is in the GGUF under this name, in F32.
fn tensor(gguf: &Path, name: &str) -> Vec<f32> {
    let ((start, len), bytes) = (place(gguf, name), fs::read(gguf).unwrap());
    bytes[start..start + len].as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
}

#[test]
fn every_element_gets_its_product() {
    let work = tempfile::tempdir().unwrap();
    let plain = work.path().join("plain.gguf");
    let flags = ["convert", TINY, "--no-reflink", "--outtype", "f32", "--outfile", plain.to_str().unwrap()];
    assert!(Command::new(env!("CARGO_BIN_EXE_ggraft")).args(flags).output().unwrap().status.success());
    // Ranks below, at and beyond what is multiplied at a time.
    for (rank, rslora) in [(1, false), (64, false), (67, true)] {
        let settings = json!({"r": rank, "use_rslora": rslora, "alpha_pattern": {"down_proj": 2}});
        let tensors = [pair(Q, rank, 0.5, 0.25), pair(DOWN, rank, -1.0, 0.125)].concat();
        let adapter = adapter(work.path(), settings, &tensors);
        let merged = work.path().join("merged.gguf");
        let output = merge(&adapter, &["--outtype", "f32", "--outfile", merged.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let by = if rslora { f64::from(rank as u32).sqrt() } else { f64::from(rank as u32) };
        for (name, product) in [("blk.0.attn_q.weight", 0.125), ("blk.0.ffn_down.weight", -0.125)] {
            let alpha = if product > 0.0 { 8.0 } else { 2.0 };
            let added = (f64::from(rank as u32) * product * alpha / by) as f32;
            let (before, after) = (tensor(&plain, name), tensor(&merged, name));
            assert!(!before.is_empty());
            for (x, y) in before.iter().zip(&after) {
                assert!(
                    (x + added - y).abs() <= 1e-6 * (x.abs() + added.abs()),
                    "{name}: {x} + {added} = {y}"
                );
            }
        }
        for name in ["blk.0.attn_k.weight", "blk.1.attn_q.weight", "token_embd.weight"] {
            assert_eq!(tensor(&plain, name), tensor(&merged, name), "{name}");
        }
    }
}

#[test]
fn the_default_name_tells_of_the_adapter_and_leaves_the_base_alone() {
    let work = tempfile::tempdir().unwrap();
    let adapter = adapter(work.path(), json!({}), &pair(Q, 4, 1.0, 1.0));
    let output = merge(&adapter, &["--dry-run"]);
    let name = String::from_utf8(output.stdout).unwrap();
    assert!(name.starts_with(adapter.to_str().unwrap()) && name.contains("-tuned-"), "{name}");
}

fn ggraft(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ggraft")).args(arguments).output().unwrap()
}

#[test]
fn verify_knows_merged_files_and_adapters() {
    let work = tempfile::tempdir().unwrap();
    let adapter = adapter(work.path(), json!({}), &pair(Q, 4, 0.5, 0.25));
    let (merged, alone) = (work.path().join("merged.gguf"), work.path().join("alone.gguf"));
    let paths = [&adapter, &merged, &alone].map(|path| path.to_str().unwrap());
    let [dir, merged_path, alone_path] = paths;
    assert!(merge(&adapter, &["--outtype", "q8_0", "--outfile", merged_path]).status.success());
    assert!(ggraft(&["lora", dir, "--base", TINY, "--outfile", alone_path]).status.success());
    let of_merged: &[&str] = &["verify", merged_path, TINY, "--lora", dir];
    let of_adapter: &[&str] = &["verify", alone_path, dir, "--base", TINY];
    for words in [of_merged, of_adapter, &["verify", merged_path], &["verify", alone_path]] {
        let output = ggraft(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(ggraft(&["verify", merged_path, TINY]).status.code(), Some(6));
    for (file, name, words) in
        [(&merged, "blk.0.attn_q.weight", of_merged), (&alone, "blk.0.attn_q.weight.lora_b", of_adapter)]
    {
        let start = place(file, name).0;
        let mut bytes = fs::read(file).unwrap();
        bytes[start + 1] ^= 4;
        fs::write(file, bytes).unwrap();
        let output = ggraft(words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.code() == Some(6) && said.contains(name), "{words:?}: {said}");
    }
}
