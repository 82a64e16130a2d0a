//! `ggraft verify` rejects what the reference would not make, in whatever it differs. That it accepts what the reference makes
//! is held in `golden/compare.rs`, wherever a file is the reference's to the byte.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ggraft::gguf;

#[path = "golden/case.rs"]
mod case;
mod common;
#[path = "common/filesystems.rs"]
mod filesystems;

fn ggraft(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ggraft")).args(arguments).output().expect("ggraft runs")
}

fn verify(file: &Path, model: &Path, told: &[String]) -> Output {
    let mut arguments = vec!["verify", file.to_str().unwrap(), model.to_str().unwrap()];
    arguments.extend(told.iter().map(String::as_str));
    ggraft(&arguments)
}

/// A small Llama and the file that became of it.
struct Converted {
    model: PathBuf,
    file: PathBuf,
    _work: tempfile::TempDir,
}

impl Converted {
    fn with(flags: &[&str]) -> Self {
        let case = case::load().into_iter().find(|case| case.group == "llama").unwrap();
        let work = tempfile::tempdir().unwrap();
        case.model.write(work.path(), &case::tests_dir().join("tokenizers")).unwrap();
        let (model, file) = (work.path().join(&case.model.dir), work.path().join("m.gguf"));
        let paths = [model.to_str().unwrap(), file.to_str().unwrap()];
        let run = ggraft(&[&["convert", paths[0], "--outfile", paths[1], "--no-fsync"], flags].concat());
        assert!(run.status.success(), "{}", text(&run));
        Self { model, file, _work: work }
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Flips a bit in every tensor's first and last byte, in between and in the padding; cuts the file short everywhere.
#[test]
fn a_flipped_byte_and_a_missing_end_are_found() {
    for outtype in ["bf16", "q8_0", "f32"] {
        let Converted { model, file, _work } = Converted::with(&["--outtype", outtype]);
        let equal = verify(&file, &model, &[]);
        assert_eq!(equal.status.code(), Some(0), "{}", text(&equal));
        let whole = fs::read(&file).unwrap();
        let header = gguf::read(&file).unwrap();
        let options = ggraft::verify::Options {
            gguf: file.clone(),
            model: Some(model.clone()),
            ..ggraft::verify::Options::default()
        };
        let handle = fs::OpenOptions::new().write(true).open(&file).unwrap();
        for (n, tensor) in header.tensors.iter().enumerate() {
            let len = tensor.len.unwrap();
            // A NaN that was made quiet is the reference's doing, and accepted; these elements are finite.
            for within in [0, len - 1, (n as u64 * 7919) % len] {
                let at = tensor.offset + within;
                handle.write_all_at(&[whole[at as usize] ^ 1], at).unwrap();
                let report = ggraft::verify::verify(&options, &mut |_| {}, &mut |_| {}).unwrap();
                handle.write_all_at(&[whole[at as usize]], at).unwrap();
                let found = format!("{:?}", report.differences);
                assert_eq!(report.differences.len(), 1, "{outtype} {} byte {within}: {found}", tensor.name);
                assert!(found.contains(&format!("{:?}", tensor.name)), "{found}");
                assert!(found.contains(&format!("offset: {at},")), "{found}");
            }
        }
        for missing in [33, 1000, whole.len() as u64 - header.data_start, whole.len() as u64 - 20] {
            handle.set_len(whole.len() as u64 - missing).unwrap();
            let found = verify(&file, &model, &[]);
            assert_eq!(found.status.code(), Some(4), "{missing} bytes less: {}", text(&found));
            handle.set_len(whole.len() as u64).unwrap();
            handle.write_all_at(&whole, 0).unwrap();
        }
    }
}

/// Flips a bit in bytes all over the header. What of it is accepted is what docs/architecture.md says: version 2 for version 3, and
/// the padding behind the header, which nobody reads.
#[test]
fn a_flip_in_the_header_is_found_wherever_it_counts() {
    let Converted { model, file, _work } = Converted::with(&["--no-reflink"]);
    let mut bytes = fs::read(&file).unwrap();
    let header = gguf::read(&file).unwrap();
    // The header ends with the last tensor's entry: name, number of dimensions, dimensions, type and offset.
    let last = header.tensors.last().unwrap();
    let name = bytes.windows(last.name.len()).rposition(|window| window == last.name.as_bytes()).unwrap();
    let end = name + last.name.len() + 4 + 8 * last.shape.len() + 4 + 8;
    assert!(end < header.data_start as usize, "there should be padding behind the header");
    let options = ggraft::verify::Options {
        gguf: file.clone(),
        model: Some(model.clone()),
        ..ggraft::verify::Options::default()
    };
    // Magic, version and counts, all of the last tensor's entry, the padding, and a sample of what is in between.
    let places = (0..24).chain((24..end).step_by(9001)).chain(end - 24..header.data_start as usize);
    for at in places {
        for bit in if at == 4 { 0..8 } else { at % 8..at % 8 + 1 } {
            bytes[at] ^= 1 << bit;
            fs::write(&file, &bytes).unwrap();
            let report = ggraft::verify::verify(&options, &mut |_| {}, &mut |_| {});
            bytes[at] ^= 1 << bit;
            let accepted = at >= end || (at, bit) == (4, 0);
            match report {
                Ok(report) => {
                    assert_eq!(
                        report.is_equal(),
                        accepted,
                        "bit {bit} of byte {at}: {:?}",
                        report.differences
                    );
                }
                Err(error) => assert!(!accepted, "bit {bit} of byte {at}: {error}"),
            }
        }
    }
}

/// Readers take metadata from the first file of a set; a key in another that belongs to no conversion is a difference all the same.
#[test]
fn keys_of_later_files_of_a_set_are_looked_at() {
    let Converted { model, _work, .. } = Converted::with(&["--split-max-tensors", "10"]);
    let mut files: Vec<_> = fs::read_dir(_work.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "gguf"));
    files.sort();
    let [first, second, ..] = files.as_slice() else { panic!("expected several files, found {files:?}") };
    let equal = verify(first, &model, &[]);
    assert_eq!(equal.status.code(), Some(0), "{}", text(&equal));
    let mut bytes = fs::read(second).unwrap();
    let key = b"split.tensors.count";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap();
    bytes[at] = b'S';
    fs::write(second, &bytes).unwrap();
    let found = verify(first, &model, &[]);
    assert_eq!(found.status.code(), Some(6), "{}", text(&found));
    assert!(text(&found).contains("Split.tensors.count"), "{}", text(&found));
}

/// What lacks only padding behind its last tensor llama.cpp loads, and so it is sound; but it is not what a conversion makes.
#[test]
fn missing_padding_is_called_by_its_name() {
    let work = tempfile::tempdir().unwrap();
    // Its last tensor, a norm of 36 numbers, does not end on the grid.
    let described: common::model_dir::ModelDir = serde_json::from_value(serde_json::json!({
        "dir": "Test-Llama", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 36,
            "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 1, "vocab_size": 512, "tie_word_embeddings": true,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        },
        "weights": {"seed": 3, "dtype": "bf16"},
    }))
    .unwrap();
    described.write(work.path(), &case::tests_dir().join("tokenizers")).unwrap();
    let (model, file) = (work.path().join("Test-Llama"), work.path().join("m.gguf"));
    let paths = [model.to_str().unwrap(), file.to_str().unwrap()];
    let run = ggraft(&["convert", paths[0], "--outfile", paths[1], "--no-reflink", "--no-fsync"]);
    assert!(run.status.success(), "{}", text(&run));
    let whole = fs::read(&file).unwrap();
    let header = gguf::read(&file).unwrap();
    let last = header.tensors.last().unwrap();
    let end = last.offset + last.len.unwrap();
    let padding = whole.len() as u64 - end;
    assert!(padding > 1, "{}: the model should have a last tensor that needs padding", last.name);
    let handle = fs::OpenOptions::new().write(true).open(&file).unwrap();
    for missing in [1, padding] {
        handle.set_len(whole.len() as u64 - missing).unwrap();
        let said = format!("{missing} bytes of the padding behind it");
        let alone = ggraft(&["verify", file.to_str().unwrap()]);
        assert_eq!(alone.status.code(), Some(0), "{}", text(&alone));
        assert!(text(&alone).contains(&said) && text(&alone).contains(&last.name), "{}", text(&alone));
        let against = verify(&file, &model, &[]);
        assert_eq!(against.status.code(), Some(6), "{}", text(&against));
        assert!(text(&against).contains(&said) && text(&against).contains(&last.name), "{}", text(&against));
        let shown = ggraft(&["inspect", file.to_str().unwrap()]);
        assert!(text(&shown).contains(&format!("the last {missing} bytes, padding")), "{}", text(&shown));
        if let Some(python) = std::env::var_os("GGRAFT_TEST_PYTHON") {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/structure.py");
            let loaded = Command::new(python).arg(script).arg("--load").arg(&file).output().unwrap();
            assert!(loaded.status.success(), "llama.cpp loads it: {}", text(&loaded));
        }
    }
    handle.set_len(end - 1).unwrap();
    let alone = ggraft(&["verify", file.to_str().unwrap()]);
    assert_eq!(alone.status.code(), Some(4), "a byte of the tensor itself: {}", text(&alone));
}

#[test]
fn another_model_and_another_name_are_found() {
    let Converted { model, file, _work } = Converted::with(&["--model-name", "Another"]);
    let found = verify(&file, &model, &[]);
    assert_eq!(found.status.code(), Some(6), "{}", text(&found));
    assert!(text(&found).contains("general.name"), "{}", text(&found));
    let told = verify(&file, &model, &["--model-name".into(), "Another".into()]);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told));
    let alone = ggraft(&["verify", file.to_str().unwrap()]);
    assert_eq!(alone.status.code(), Some(0), "{}", text(&alone));
}

/// Where blocks are shared, most of a file is proven without reading; what was written since is not.
#[test]
fn shared_blocks_are_proven_unread() {
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS"] {
        let Some(work) = filesystems::directory(variable) else { continue };
        let Some(smollm2) = std::env::var_os("GGRAFT_TEST_SMOLLM2") else {
            filesystems::skip("GGRAFT_TEST_SMOLLM2 is not set");
            return;
        };
        let model = work.path().join("SmolLM2-135M-Instruct");
        let copied = Command::new("cp").arg("-rL").args([Path::new(&smollm2), &model]).status().unwrap();
        assert!(copied.success());
        // As it is published, its data lie off the grid of GGUF tensors.
        let aligned = ggraft(&["align", model.to_str().unwrap(), "--in-place"]);
        assert!(aligned.status.success(), "{}", text(&aligned));
        let file = work.path().join("m.gguf");
        let paths = [model.to_str().unwrap(), file.to_str().unwrap()];
        let run = ggraft(&["convert", paths[0], "--outfile", paths[1], "--min-extent", "4K", "--json"]);
        assert!(run.status.success(), "{}", text(&run));
        let written: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        let mut options = ggraft::verify::Options {
            gguf: file.clone(),
            model: Some(model),
            ..ggraft::verify::Options::default()
        };
        let verify = |options: &ggraft::verify::Options| {
            ggraft::verify::verify(options, &mut |_| {}, &mut |_| {}).unwrap()
        };
        let report = verify(&options);
        assert!(report.is_equal(), "{:?}", report.differences);
        assert!(report.bytes.shared > 0, "{variable}: {written:#}");
        options.read_all = true;
        let all = verify(&options);
        assert!(all.is_equal() && all.bytes.shared == 0, "{all:?}");
        let sum = |report: &ggraft::verify::Report| {
            let compared = &report.bytes;
            compared.shared + compared.compared + compared.recomputed
        };
        assert_eq!(sum(&all), sum(&report));

        options.read_all = false;
        let header = gguf::read(&file).unwrap();
        let whole = fs::read(&file).unwrap();
        let handle = fs::OpenOptions::new().write(true).open(&file).unwrap();
        for tensor in header.tensors.iter().step_by(97) {
            let at = tensor.offset + tensor.len.unwrap() / 2;
            handle.write_all_at(&[whole[at as usize] ^ 0x10], at).unwrap();
            let report = verify(&options);
            assert_eq!(report.differences.len(), 1, "{variable} {}: {:?}", tensor.name, report.differences);
            handle.write_all_at(&[whole[at as usize]], at).unwrap();
        }
    }
}
