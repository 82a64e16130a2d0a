//! Small files that ask for much memory or time: each is refused with one sentence, or converted, within
//! 256 MiB and 2 seconds of processor time.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ggraft_platform::wait_with_usage;
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
const MEMORY: u64 = 256 * MIB;
/// Of processor time. Without optimization, beside other tests, everything takes up to eight times as long.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 16 } else { 2 });

const REFUSED: i32 = 4;

#[derive(Clone, Copy, PartialEq)]
enum Run {
    Convert,
    Inspect,
    InspectJson,
    AlignCheck,
}

use Run::{AlignCheck, Convert, Inspect, InspectJson};

struct Model {
    work: tempfile::TempDir,
}

impl Model {
    /// A model directory with one of the tokenizers in `tests/tokenizers` and a configuration.
    fn new(tokenizer: &str) -> Self {
        let model = Self { work: tempfile::tempdir().unwrap() };
        fs::create_dir(model.dir()).unwrap();
        let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers").join(tokenizer);
        for entry in fs::read_dir(tokenizer).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), model.dir().join(entry.file_name())).unwrap();
        }
        model.config(|_| ());
        model
    }

    fn config(&self, change: impl FnOnce(&mut Value)) {
        let mut config = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 32,
            "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 2048, "vocab_size": 50257,
        });
        change(&mut config);
        fs::write(self.dir().join("config.json"), config.to_string()).unwrap();
    }

    fn dir(&self) -> PathBuf {
        self.work.path().join("model")
    }

    fn write(&self, name: &str, write: impl FnOnce(&mut BufWriter<File>)) {
        let mut file = BufWriter::new(File::create(self.dir().join(name)).unwrap());
        write(&mut file);
        file.flush().unwrap();
    }

    /// Writes `model.safetensors` with these entries of its header; its data is a hole.
    fn safetensors(&self, entries: impl Iterator<Item = String>, data: u64) {
        self.write("model.safetensors", |file| {
            file.write_all(&[0; 8]).unwrap();
            list(file, "{", entries, "}");
            file.flush().unwrap();
            let end = file.stream_position().unwrap();
            file.rewind().unwrap();
            file.write_all(&(end - 8).to_le_bytes()).unwrap();
            file.flush().unwrap();
            file.get_mut().set_len(end + data).unwrap();
        });
    }

    /// Writes `x.gguf` with this many key-values and tensors, which `write` writes.
    fn gguf(&self, keys: u64, tensors: u64, hole: u64, write: impl FnOnce(&mut BufWriter<File>)) {
        self.write("x.gguf", |file| {
            file.write_all(b"GGUF\x03\0\0\0").unwrap();
            file.write_all(&[tensors.to_le_bytes(), keys.to_le_bytes()].concat()).unwrap();
            write(file);
            file.flush().unwrap();
            let end = file.stream_position().unwrap();
            file.get_mut().set_len(end + hole).unwrap();
        });
    }

    /// Exit code and message of a run that must stay within `memory`. What this process has taken counts, too, so
    /// files are written piece by piece.
    fn run(&self, what: &str, run: Run, memory: u64) -> (i32, String) {
        let stderr = self.work.path().join("stderr");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
        let gguf = self.dir().join("x.gguf");
        let path = if gguf.exists() { gguf } else { self.dir() };
        let (name, flags): (_, &[&str]) = match run {
            Convert => ("convert", &["--dry-run"]),
            Inspect => ("inspect", &[]),
            InspectJson => ("inspect", &["--json"]),
            AlignCheck => ("align", &["--check"]),
        };
        command.arg(name).arg(path).args(flags);
        if name == "convert" {
            command.arg("--quiet").arg("--outfile").arg(self.work.path().join("out.gguf"));
        }
        let child = command.stdout(Stdio::null()).stderr(File::create(&stderr).unwrap()).spawn().unwrap();
        let usage = wait_with_usage(child).unwrap();
        let message = fs::read_to_string(stderr).unwrap();
        let (peak, cpu) = (usage.peak as f64 / MIB as f64, usage.cpu.as_secs_f64());
        let what = format!("{what}: {name} {}", flags.join(" "));
        println!("{peak:5.0} MiB {cpu:6.2} s  {what}: {}", message.trim());
        let code = usage.status.code().unwrap_or_else(|| panic!("{what}: {}: {message}", usage.status));
        assert!(usage.peak <= memory, "{what}: {peak:.0} MiB: {message}");
        assert!(usage.cpu <= TIME, "{what}: {cpu:.2} s: {message}");
        assert!(message.len() < 2000, "{what}: {message}");
        (code, message)
    }

    /// Runs that must all be refused with one sentence that has these words in it.
    fn refused(&self, what: &str, runs: &[Run], words: &str) {
        for run in runs {
            let (code, message) = self.run(what, *run, MEMORY);
            assert_eq!(code, REFUSED, "{what}: {message}");
            assert_eq!(message.lines().count(), 1, "{what}: {message}");
            assert!(message.contains(words), "{what}: {message}");
        }
    }
}

/// Writes items with commas in between.
fn list(file: &mut impl Write, open: &str, items: impl Iterator<Item = String>, close: &str) {
    file.write_all(open.as_bytes()).unwrap();
    for (i, item) in items.enumerate() {
        let comma = if i > 0 { "," } else { "" };
        write!(file, "{comma}{item}").unwrap();
    }
    file.write_all(close.as_bytes()).unwrap();
}

/// Bytes in every tensor of [`tensor`].
const LEN: u64 = 64;

fn tensor(i: u64, name: &str, shape: &str) -> String {
    let (begin, end) = (i * LEN, (i + 1) * LEN);
    format!(r#""{name}":{{"dtype":"BF16","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
}

#[test]
fn headers_and_indexes() {
    let model = Model::new("gpt2-trimmed");
    let of_header = [Convert, InspectJson, AlignCheck];
    let metadata = |count: usize, value: &str| {
        let entries = (0..count).map(move |i| format!("\"{i:07}\":\"{value}\""));
        let open = std::iter::once("\"__metadata__\":{\"x\":\"\"".to_owned());
        let close = std::iter::once("\"y\":\"\"}".to_owned());
        model.safetensors(open.chain(entries).chain(close).chain([tensor(0, "t", "[32]")]), LEN);
    };
    metadata(7_000_000, "");
    model.refused("7 million keys of metadata", &of_header, "__metadata__: expected at most 16 MiB");
    metadata(95, &"x".repeat(1_000_000));
    model.refused("95 MB of metadata", &of_header, "__metadata__: expected at most 16 MiB");
    fs::remove_file(model.dir().join("model.safetensors")).unwrap();

    let index = |item: &dyn Fn(usize) -> String, count: usize| {
        let name = "model.safetensors.index.json";
        model.write(name, |f| list(f, "{\"weight_map\":{", (0..count).map(item), "}}"));
    };
    index(&|i| format!("\"t{i}\":\"m{i}\""), 2_000_000);
    model.refused("2 million files", &of_header, "expected at most 99999 files");
    index(&|i| format!("\"t{i}\":\"m{i}\""), 99_999);
    model.refused("99,999 missing files", &of_header, "99999 of 99999 files it names are missing");
    index(&|i| format!("\"t{i}\":\"m\""), 5_000_000);
    model.refused("5 million tensors in an index", &of_header, "expected at most 400000 tensors");
}

#[test]
fn gguf_files() {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let array = |kind: u32, count: u64| {
        let kinds = [9u32.to_le_bytes(), kind.to_le_bytes()].concat();
        [string("a"), kinds, count.to_le_bytes().to_vec()].concat()
    };
    let runs = [Inspect, InspectJson];
    let model = Model::new("gpt2-trimmed");
    model.gguf(3_000_000, 0, 0, |f| {
        for i in 0..3_000_000 {
            f.write_all(&string(&format!("{i:x}"))).unwrap();
            f.write_all(&[0, 0, 0, 0, 1]).unwrap();
        }
    });
    model.refused("3 million keys", &runs, "key-values, expected at most 65536");
    for (count, is_too_many) in [(1_000_000, true), (500_000, false)] {
        model.gguf(0, count, count * 32 + 64, |f| {
            for i in 0..count {
                f.write_all(&string(&format!("blk.{i}.weight"))).unwrap();
                f.write_all(&[1u32.to_le_bytes().as_slice(), &8u64.to_le_bytes()].concat()).unwrap();
                f.write_all(&[0u32.to_le_bytes().as_slice(), &(i * 32).to_le_bytes()].concat()).unwrap();
            }
        });
        match is_too_many {
            true => model.refused("a million tensors", &runs, "tensors, expected at most 524288"),
            false => runs.iter().for_each(|run| {
                let (code, message) = model.run("500,000 tensors", *run, MEMORY);
                assert_eq!(code, 0, "{message}");
            }),
        }
    }
    // A list that is as long as a header may be, and one that is longer.
    for (kind, size) in [(0, 1), (6, 4), (8, 8), (12, 8)] {
        for (len, fits) in [(90 * MIB, true), (240 * MIB, false)] {
            model.gguf(1, 0, len, |f| f.write_all(&array(kind, len / size)).unwrap());
            let what = format!("{len} bytes of type {kind}");
            match fits {
                true => _ = model.run(&what, Inspect, MEMORY),
                false => model.refused(&what, &runs, "a header of more than"),
            }
        }
    }
}
