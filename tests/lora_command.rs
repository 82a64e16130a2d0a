//! `ggraft lora` with several adapters, several types and standard output. What it writes is compared with the reference's in
//! `tests/lora.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");

/// An adapter of rank 1 for a matrix of the tiny model, all ones.
fn adapter(dir: &Path) {
    const MATRIX: &str = "base_model.model.model.layers.0.self_attn.q_proj";
    fs::create_dir(dir).unwrap();
    let config = json!({"peft_type": "LORA", "r": 1, "lora_alpha": 1, "base_model_name_or_path": TINY});
    fs::write(dir.join("adapter_config.json"), config.to_string()).unwrap();
    let header = json!({
        format!("{MATRIX}.lora_A.weight"): {"dtype": "F32", "shape": [1, 64], "data_offsets": [0, 256]},
        format!("{MATRIX}.lora_B.weight"): {"dtype": "F32", "shape": [64, 1], "data_offsets": [256, 512]},
    });
    let header = header.to_string();
    let ones = 1f32.to_le_bytes().repeat(128);
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &ones].concat();
    fs::write(dir.join("adapter_model.safetensors"), file).unwrap();
}

fn lora(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.arg("lora").args(arguments).current_dir(dir).output().unwrap()
}

#[track_caller]
fn succeeds(dir: &Path, arguments: &[&str]) -> Output {
    let done = lora(dir, arguments);
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    done
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

fn two_adapters() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    adapter(&dir.path().join("first"));
    adapter(&dir.path().join("second"));
    fs::create_dir(dir.path().join("out")).unwrap();
    dir
}

#[test]
fn every_adapter_is_written_in_every_type() {
    let dir = two_adapters();
    let at = dir.path();
    succeeds(at, &["first", "second", "--outtype", "f16,q8_0,F16", "--outfile", "out"]);
    let expected =
        ["First-F16-LoRA.gguf", "First-Q8_0-LoRA.gguf", "Second-F16-LoRA.gguf", "Second-Q8_0-LoRA.gguf"];
    assert_eq!(names(&at.join("out")), expected.map(str::to_owned).into());
    succeeds(at, &["second", "--outtype", "f16", "--outfile", "alone.gguf"]);
    assert!(
        fs::read(at.join("alone.gguf")).unwrap() == fs::read(at.join("out/Second-F16-LoRA.gguf")).unwrap()
    );
    // Each goes to its own directory if nothing else is said.
    succeeds(at, &["first", "second"]);
    assert!(at.join("first/First-F32-LoRA.gguf").exists() && at.join("second/Second-F32-LoRA.gguf").exists());
}

#[test]
fn what_fails_does_not_keep_the_others_from_being_written() {
    let dir = two_adapters();
    let at = dir.path();
    for merge in [&[][..], &["--merge"]] {
        let flags = ["gone", "second", "--outfile", "out"];
        let done = lora(at, &[&flags[..], merge].concat());
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(said.contains("gone is not a directory") && said.contains("wrote out/"), "{said}");
    }
    assert_eq!(names(&at.join("out")).len(), 2);
    let done = lora(at, &["first", "second", "--outfile", "same.gguf"]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("second: another of these conversions is written to same.gguf, too"), "{said}");
}

#[test]
fn standard_output_gets_the_bytes_that_a_file_would() {
    let dir = two_adapters();
    let at = dir.path();
    for flags in [&[][..], &["--merge", "--no-reflink"]] {
        succeeds(at, &[&["first", "--outfile", "out.gguf"], flags].concat());
        let streamed = succeeds(at, &[&["first", "--outfile", "-"], flags].concat());
        assert!(streamed.stdout == fs::read(at.join("out.gguf")).unwrap());
    }
    assert!(!at.join("-").exists());
    for (arguments, says) in [
        (&["first", "second", "--outfile", "-"][..], "several conversions take a file each"),
        (&["first", "--outtype", "f16,f32", "--outfile", "-"], "several conversions take a file each"),
        (&["first", "--outfile", "-", "--json"], "not with --json"),
        (&["first", "--outtype", "f16,tq1_0"], "an adapter can be f32, f16, bf16, q8_0 or auto"),
    ] {
        let done = lora(at, arguments);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&done.stderr).contains(says), "{done:?}");
    }
}

/// Nobody has switched it off.
#[test]
fn the_report_does_not_blame_a_flag_for_what_is_not_shared() {
    let dir = two_adapters();
    let said = String::from_utf8(succeeds(dir.path(), &["first"]).stderr).unwrap();
    let why =
        "nothing is shared with the adapter: adapters are written as convert_lora_to_gguf.py writes them";
    assert!(said.contains(why) && !said.contains("--no-reflink"), "{said}");
    let merged = succeeds(dir.path(), &["first", "--merge", "--no-reflink"]);
    let said = String::from_utf8(merged.stderr).unwrap();
    assert!(said.contains("nothing is shared with the checkpoint: sharing is off (--no-reflink)"), "{said}");
}
