//! Checkpoints in `pytorch_model*.bin`: `tests/models/torch`, written by torch.save, against what the reference
//! made of them (`golden/torch.json`, by `scripts/goldens/torch_save.py`), and what strangers may have done to
//! such files.

#[path = "common/filesystems.rs"]
mod filesystems;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use filesystems::directory;
use ggraft::checkpoint::Checkpoint;
use ggraft::source::ModelDir;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Expected {
    bytes: usize,
    sha256: String,
}

/// Model `name` with its tokenizer, in `parent`.
fn model(parent: &Path, name: &str) -> PathBuf {
    let (tests, dir) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), parent.join("Tiny-Torch"));
    fs::create_dir(&dir).unwrap();
    for from in [tests.join("models/torch").join(name), tests.join("tokenizers/spm")] {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
        }
    }
    dir
}

fn convert(model: &Path, out: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.args(["convert", "--quiet"]).arg(model).arg("--outfile").arg(out).args(flags).output().unwrap()
}

#[test]
fn files_are_the_references() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/torch.json");
    let expected: BTreeMap<String, Expected> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(expected.len(), 18);
    for (case, expected) in expected {
        let (name, outtype) = case.split_once(' ').unwrap();
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out.gguf");
        let output = convert(&model(dir.path(), name), &out, &["--no-reflink", "--outtype", outtype]);
        assert!(output.status.success(), "{case}: {}", String::from_utf8_lossy(&output.stderr));
        let data = fs::read(&out).unwrap();
        let digest: String = Sha256::digest(&data).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!((data.len(), digest), (expected.bytes, expected.sha256), "{case}");
    }
}

#[test]
fn mistrals_own_format_beside_it_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path(), "plain");
    let [alone, beside] = ["alone.gguf", "beside.gguf"].map(|name| dir.path().join(name));
    assert!(convert(&model, &alone, &[]).status.success());
    fs::write(model.join("consolidated.safetensors"), b"").unwrap();
    let output = convert(&model, &beside, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read(alone).unwrap() == fs::read(beside).unwrap());
}

#[test]
fn blocks_can_be_shared() {
    for variable in ["GGRAFT_TEST_XFS_1K", "GGRAFT_TEST_BTRFS"] {
        let Some(dir) = directory(variable) else { continue };
        let model = model(dir.path(), "plain");
        let out = dir.path().join("out.gguf");
        let output = convert(&model, &out, &["--json", "--min-extent", "1K", "--reflink", "always"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let shared = report["measured"]["shared"].as_u64().unwrap();
        assert!(shared >= 8192, "{report:#}");
        let copy = dir.path().join("copy.gguf");
        assert!(convert(&model, &copy, &["--no-reflink"]).status.success());
        let tensors = |path: &Path| {
            let bytes = fs::read(path).unwrap();
            let found = ggraft::gguf::read(path).unwrap().tensors.into_iter().map(|t| {
                let range = t.offset as usize..(t.offset + t.len.unwrap()) as usize;
                (t.name, bytes[range].to_vec())
            });
            found.collect::<BTreeMap<_, _>>()
        };
        assert!(tensors(&out) == tensors(&copy), "sharing changes no tensor");
    }
}

/// Exit code and what the message must contain.
fn refused(model: &Path, code: i32, parts: &[&str]) {
    let out = model.parent().unwrap().join("out.gguf");
    let output = convert(model, &out, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "no {part:?} in {stderr}");
    }
    assert!(!out.exists());
}

#[test]
fn what_is_not_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    refused(&model(dir.path(), "legacy"), 3, &["pytorch_model.bin", "not a zip file"]);
    let dir = tempfile::tempdir().unwrap();
    refused(&model(dir.path(), "transposed"), 3, &["[16, 24]", "contiguous"]);
    let dir = tempfile::tempdir().unwrap();
    let sharded = model(dir.path(), "shards");
    fs::remove_file(sharded.join("pytorch_model-00002-of-00002.bin")).unwrap();
    refused(&sharded, 4, &["pytorch_model-00002-of-00002.bin", "missing"]);
    let dir = tempfile::tempdir().unwrap();
    let damaged = model(dir.path(), "plain");
    let mut bytes = fs::read(damaged.join("pytorch_model.bin")).unwrap();
    let at = bytes.windows(12).position(|text| text == b"torch._utils").unwrap();
    bytes[at] = b'T';
    fs::write(damaged.join("pytorch_model.bin"), bytes).unwrap();
    refused(&damaged, 4, &["pytorch_model.bin", "damaged"]);
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ggraft"))
        .arg("align")
        .arg(model(dir.path(), "plain"))
        .arg("--check")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A zip file of stored entries; the checksums are right.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in entries {
        let crc = bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
        });
        let (name_len, len) = (name.len() as u16, bytes.len() as u32);
        let mut common = [0u8; 26];
        common[0] = 20;
        common[10..14].copy_from_slice(&(!crc).to_le_bytes());
        common[14..18].copy_from_slice(&len.to_le_bytes());
        common[18..22].copy_from_slice(&len.to_le_bytes());
        common[22..24].copy_from_slice(&name_len.to_le_bytes());
        let at = file.len() as u32;
        file.extend([b"PK\x03\x04", &common[..], name.as_bytes(), bytes].concat());
        directory.extend(
            [b"PK\x01\x02\x14\0", &common[..], &[0; 10], &at.to_le_bytes(), name.as_bytes()].concat(),
        );
    }
    let (count, at, len) = (entries.len() as u16, file.len() as u32, directory.len() as u32);
    file.extend(directory);
    let counts = [count.to_le_bytes(), count.to_le_bytes()].concat();
    file.extend(
        [b"PK\x05\x06\0\0\0\0", &counts[..], &len.to_le_bytes(), &at.to_le_bytes(), &[0, 0]].concat(),
    );
    file
}

/// A state dict of one tensor `w`: `offset` elements into storage `0` of dtype `storage`.
fn pickle(storage: &str, offset: u8, rows: &str) -> Vec<u8> {
    let mut p =
        b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n".to_vec();
    p.extend(format!("{storage}\n").bytes());
    p.extend(b"X\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ");
    p.extend([b'K', offset]);
    p.extend(rows.bytes());
    p.extend(b"\x89NtRs.");
    p
}

fn open(dir: &Path, file: &[u8]) -> Result<Checkpoint, String> {
    fs::write(dir.join("pytorch_model.bin"), file).unwrap();
    Checkpoint::open(&ModelDir::open(dir).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn a_program_is_read_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let file = |p: &[u8]| zip(&[("archive/data.pkl", p), ("archive/data/0", &[0; 8])]);
    let shape = |text: &[u8]| {
        let mut p = pickle("HalfStorage", 0, "@@");
        let at = p.windows(2).position(|pair| pair == b"@@").unwrap();
        p.splice(at..at + 2, text.iter().copied());
        p
    };
    // Four halves.
    let whole = shape(b"K\x04\x85K\x01\x85");
    let tensors = open(dir, &file(&whole)).unwrap().tensors;
    assert_eq!((tensors[0].name.as_str(), tensors[0].shape.as_slice(), tensors[0].len), ("w", &[4][..], 8));

    for (p, problem) in [
        (b"cposix\nsystem\nX\x02\0\0\0id\x85R.".to_vec(), "posix.system"),
        (b"\x80\x02cbuiltins\neval\n.".to_vec(), "builtins.eval"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.".to_vec(), "os.system"),
        (b"\x80\x02}.trailing".to_vec(), ""),
        (b"\x80\x02N.".to_vec(), "no state dict"),
        (b"\x80\x02}X\x01\0\0\0wK\x01s.".to_vec(), "no tensor"),
        (b"\x80\x02i".to_vec(), "instruction"),
        (b"\x80\x02}".to_vec(), "ends too early"),
        (b"\x80\x02X\xff\xff\xff\xffabc".to_vec(), "ends too early"),
        (b"\x80\x02R.".to_vec(), "not there"),
        (b"\x80\x02h\x07.".to_vec(), "recall"),
        (b"t.".to_vec(), "mark"),
        (shape(b"K\x05\x85K\x01\x85"), "does not fit"),
        (shape(b"J\xff\xff\xff\xff\x85K\x01\x85"), "numbers"),
        (shape(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85K\x01\x85"), "does not fit"),
        (shape(b"K\x02K\x02\x86K\x01K\x02\x86"), "contiguous"),
        (pickle("QuantizedStorage", 0, ""), "QuantizedStorage"),
        ([&b"\x80\x02"[..], &b"}0".repeat(100), b"."].concat(), "not there"),
    ] {
        let opened = open(dir, &file(&p));
        match problem {
            "" => assert!(opened.is_ok_and(|c| c.tensors.is_empty()), "{p:?}"),
            _ => assert!(opened.as_ref().is_err_and(|e| e.contains(problem)), "{problem}: {opened:?}"),
        }
    }
    // Millions of values from a few megabytes: stopped, not collected.
    let many = [&b"\x80\x02"[..], &b"K\x01".repeat(5 << 20), b"."].concat();
    assert!(open(dir, &file(&many)).is_err_and(|e| e.contains("more values")));
    // Without the storage, without the pickle, without anything.
    assert!(open(dir, &zip(&[("archive/data.pkl", &whole)])).is_err_and(|e| e.contains("missing")));
    assert!(open(dir, &zip(&[("archive/data/0", &[0; 8])])).is_err_and(|e| e.contains("data.pkl")));
    assert!(open(dir, &zip(&[])).is_err());
    let big = [("archive/data.pkl", &whole[..]), ("archive/byteorder", b"big"), ("archive/data/0", &[0; 8])];
    assert!(open(dir, &zip(&big)).is_err_and(|e| e.contains("byte order")));
}

#[test]
fn damage_anywhere_is_an_error_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/torch/plain/pytorch_model.bin");
    let whole = fs::read(path).unwrap();
    let intact = open(dir.path(), &whole).unwrap();
    for end in (0..whole.len()).step_by(997) {
        assert!(open(dir.path(), &whole[..end]).is_err(), "{end} of {} bytes", whole.len());
    }
    // Every byte of the pickle, and of the directory at the end.
    let pickle_end = whole.windows(4).skip(4).position(|w| w == b"PK\x03\x04").unwrap();
    let mut changed = 0;
    for at in (0..pickle_end).chain(whole.len() - 2200..whole.len()) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x15;
        if let Ok(checkpoint) = open(dir.path(), &damaged) {
            let len = damaged.len() as u64;
            assert!(checkpoint.tensors.iter().all(|t| t.offset + t.len <= len), "byte {at}");
            changed += usize::from(checkpoint.tensors.len() != intact.tensors.len());
        }
    }
    assert!(changed < 10, "{changed} single bytes change how many tensors there are, unnoticed");
}
