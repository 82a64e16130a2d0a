//! Mounted files are the reference's: for a case of every family, and for every output type; and what a real model is converted to.
//!
//! Needs root and /dev/fuse, and `GGRAFT_TEST_SMOLLM2` for the real model; without, a test says so on stderr and passes, with
//! `GGRAFT_REQUIRE_FS=1` or `GGRAFT_REQUIRE_LLAMA_CPP=1` it fails.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

mod common;
#[path = "common/mounts.rs"]
mod mounts;

use common::model_dir::ModelDir;
use mounts::{Mount, can_mount, ggraft};

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// Output types, each of which some families get; what the reference made of them is not written down for all.
const TYPES: [&str; 6] = ["f32", "f16", "bf16", "q8_0", "tq1_0", "tq2_0"];

/// Cases whose sources are FP8 and MXFP4.
const QUANTIZED: [&str; 2] = ["deepseek3-fp8", "gpt-oss"];

#[derive(Deserialize)]
struct Family {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    model: ModelDir,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    shards: usize,
    convert: String,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    sha256: String,
}

#[test]
fn mounted_files_are_the_references() {
    if !can_mount() {
        return;
    }
    let mut families: Vec<_> =
        fs::read_dir(Path::new(TESTS).join("conformance")).unwrap().map(|e| e.unwrap().path()).collect();
    families.sort();
    let (mut checked, mut split) = (0, 0);
    for (n, path) in families.iter().enumerate() {
        let family: Family = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        for (i, mut case) in family.cases.into_iter().enumerate() {
            let quantized = QUANTIZED.contains(&case.id.as_str());
            if i > 0 && !quantized {
                continue;
            }
            let run = case.runs.iter().find(|run| run.convert.contains("--split") && !run.files.is_empty());
            let run = run.or_else(|| case.runs.iter().find(|run| !run.files.is_empty())).unwrap();
            case.model.weights.shards = run.shards;
            let site = tempfile::tempdir().unwrap();
            case.model.write(site.path(), &Path::new(TESTS).join("tokenizers")).unwrap();
            let model = site.path().join(&case.model.dir);
            as_the_reference(&model, site.path(), run);
            checked += run.files.len();
            split += usize::from(run.files.len() > 1);
            let outtype = format!("--outtype={}", TYPES[n % TYPES.len()]);
            let target = format!("--target-model-dir={}", model.join("target").display());
            let kinds = [
                ("--mistral-format", "--mistral-format"),
                ("--mmproj", "--mmproj"),
                ("--target-model-dir", &*target),
            ];
            let given = |flag: &str| run.convert.split(' ').any(|word| word == flag);
            let kind = kinds.into_iter().filter(|(flag, _)| given(flag)).map(|(_, flag)| flag);
            let flags: Vec<&str> = [&*outtype].into_iter().chain(kind).collect();
            as_converted(&model, site.path(), &flags);
            checked += 1;
        }
    }
    assert!(checked >= 60 && split >= 10, "{checked} files, {split} sets");
}

/// `scripts/make_smollm2.py` makes it; CI sets the variable.
#[test]
fn a_real_model_is_the_same_mounted_and_converted() {
    if !can_mount() {
        return;
    }
    let Some(model) = std::env::var_os("GGRAFT_TEST_SMOLLM2") else {
        assert!(std::env::var_os("GGRAFT_REQUIRE_LLAMA_CPP").is_none(), "GGRAFT_TEST_SMOLLM2 is not set");
        _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: GGRAFT_TEST_SMOLLM2 is not set\n");
        return;
    };
    let site = tempfile::tempdir().unwrap();
    // As it is, and computed; the other types are those of smaller models.
    for outtype in ["bf16", "q8_0"] {
        as_converted(Path::new(&model), site.path(), &[&format!("--outtype={outtype}")]);
    }
}

/// The files of a mount have the hashes that the reference's have.
fn as_the_reference(model: &Path, site: &Path, run: &Run) {
    let placed = run.convert.replace("@dir", model.to_str().unwrap());
    let flags: Vec<&str> =
        placed.split(' ').filter(|word| *word != "--outfile" && !word.starts_with("@out")).collect();
    let template = ["--outfile", "m.gguf"];
    let mount = Mount::of(model, &site.join("mnt"), &[&flags[..], &template[..]].concat());
    let shown = mount.files();
    assert_eq!(shown.len(), run.files.len(), "{}: {}", model.display(), run.convert);
    for file in &run.files {
        let name = Path::new(&file.path).file_name().unwrap();
        let hash = Sha256::digest(fs::read(mount.files()[0].with_file_name(name)).unwrap());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, file.sha256, "{}: {} of {}", model.display(), file.path, run.convert);
    }
    mount.end();
}

/// A mounted file is what a conversion writes.
fn as_converted(model: &Path, site: &Path, flags: &[&str]) {
    let out = site.join("out.gguf");
    let mut convert = ggraft();
    convert.args(["convert", "--quiet", "--no-reflink", "--outfile"]).arg(&out).arg(model).args(flags);
    let converted = convert.output().unwrap();
    assert!(converted.status.success(), "{}", String::from_utf8_lossy(&converted.stderr));
    let mount = Mount::of(model, &site.join("mnt"), flags);
    let same = fs::read(&mount.files()[0]).unwrap() == fs::read(&out).unwrap();
    assert!(same, "{}: {flags:?}", model.display());
    mount.end();
}
