//! Small files that ask for much memory or time: each is refused with one sentence, or converted, within
//! 256 MiB and 2 seconds of processor time. Checkpoints with as many tensors as any published one take less.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ggraft_platform::wait_with_usage;
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
const MEMORY: u64 = 256 * MIB;
/// What the largest real checkpoints may take: to show them, and to plan what becomes of each tensor.
const MEMORY_OF_REAL: u64 = 128 * MIB;
/// Of processor time. Without optimization, beside other tests, everything takes up to eight times as long.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 16 } else { 2 });

const REFUSED: i32 = 4;

#[derive(Clone, Copy, PartialEq)]
enum Run {
    Vocab,
    MistralVocab,
    Convert,
    ConvertAsReference,
    Plan,
    PlanJson,
    Inspect,
    InspectJson,
    AlignCheck,
}

use Run::{
    AlignCheck, Convert, ConvertAsReference, Inspect, InspectJson, MistralVocab, Plan, PlanJson, Vocab,
};

struct Model {
    work: tempfile::TempDir,
}

impl Model {
    /// A model directory with one of the tokenizers in `tests/tokenizers` and a configuration.
    fn new(tokenizer: &str) -> Self {
        Self::new_in(&std::env::temp_dir(), tokenizer)
    }

    /// The same in a certain directory.
    fn new_in(dir: &Path, tokenizer: &str) -> Self {
        let model = Self { work: tempfile::tempdir_in(dir).unwrap() };
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

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.dir().join(name), content).unwrap();
    }

    fn write(&self, name: &str, write: impl FnOnce(&mut BufWriter<File>)) {
        let mut file = BufWriter::new(File::create(self.dir().join(name)).unwrap());
        write(&mut file);
        file.flush().unwrap();
    }

    /// Writes a JSON file of the directory again, with what `write` writes as the value of the key at `place`.
    fn replace(&self, name: &str, place: &[&str], write: impl FnOnce(&mut BufWriter<File>)) {
        const MARK: &str = "\"put it here\"";
        let text = fs::read(self.dir().join(name)).unwrap_or_else(|_| b"{}".to_vec());
        let mut json: Value = serde_json::from_slice(&text).unwrap();
        let value = place.iter().fold(&mut json, |value, key| &mut value[*key]);
        *value = MARK.trim_matches('"').into();
        let text = json.to_string();
        let (before, after) = text.split_once(MARK).unwrap();
        self.write(name, |file| {
            file.write_all(before.as_bytes()).unwrap();
            write(file);
            file.write_all(after.as_bytes()).unwrap();
        });
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
            Vocab => ("convert", &["--vocab-only"]),
            MistralVocab => ("convert", &["--vocab-only", "--mistral-format"]),
            Convert => ("convert", &["--dry-run"]),
            ConvertAsReference => ("convert", &["--dry-run", "--no-reflink"]),
            Plan => ("plan", &[]),
            PlanJson => ("plan", &["--json"]),
            Inspect => ("inspect", &[]),
            InspectJson => ("inspect", &["--json"]),
            AlignCheck => ("align", &["--check"]),
        };
        command.arg(name).arg(path).args(flags);
        if ["convert", "plan"].contains(&name) {
            command.arg("--outfile").arg(self.work.path().join("out.gguf"));
        }
        if name == "convert" {
            command.arg("--quiet");
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
            assert_eq!(
                message.lines().filter(|line| !line.starts_with("  hint: ")).count(),
                1,
                "{what}: {message}"
            );
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

/// The same item again and again.
fn repeated(item: &str, count: usize) -> impl Iterator<Item = String> {
    std::iter::repeat_n(item.to_owned(), count)
}

/// Bytes in every tensor of [`tensor`].
const LEN: u64 = 64;

fn tensor(i: u64, name: &str, shape: &str) -> String {
    let (begin, end) = (i * LEN, (i + 1) * LEN);
    format!(r#""{name}":{{"dtype":"BF16","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
}

fn tensors(count: u64) -> impl Iterator<Item = String> {
    (0..count).map(|i| tensor(i, &format!("layers.{}.experts.{}.w", i / 999, i % 999), "[32]"))
}

const OF_CHECKPOINTS: [Run; 4] = [Convert, Inspect, InspectJson, AlignCheck];

#[test]
fn tokenizer_json() {
    let model = || Model::new("gpt2-trimmed");
    let replaced = |place: &[&str], write: &dyn Fn(&mut BufWriter<File>)| {
        let model = model();
        model.replace("tokenizer.json", place, write);
        model
    };
    let merges = replaced(&["model", "merges"], &|f| {
        list(f, "[", (0..3_000_000).map(|i| format!("\"q{} z\"", i % 10)), "]");
    });
    merges.refused("merges of unknown tokens", &[Vocab], "tokenizer.json");
    let merges = replaced(&["model", "merges"], &|f| list(f, "[", repeated("\"t h\"", 6_000_000), "]"));
    merges.refused("one merge again and again", &[Vocab], "tokenizer.json");
    let merges = replaced(&["model", "merges"], &|f| list(f, "[", repeated("\"t h\"", 2_000_000), "]"));
    merges.refused("one merge two million times", &[Vocab], "tokens and merges in use");
    let vocab = replaced(&["model", "vocab"], &|f| {
        list(f, "{", (0..3_000_000).map(|i| format!("\"{i:x}\":{i}")), "}");
    });
    vocab.refused("three million tokens", &[Vocab], "tokenizer.json");
    let junk = replaced(&["junk"], &|f| list(f, "[", repeated("0", 15_000_000), "]"));
    junk.refused("a list of numbers", &[Vocab], "MiB of memory");
    let text = replaced(&["junk"], &|f| list(f, "\"", repeated(&"x".repeat(1 << 20), 380), "\""));
    text.refused("380 MB", &[Vocab], "expected at most 67108864 bytes");
    let token =
        r#"{"id":0,"content":"x","single_word":false,"lstrip":false,"rstrip":false,"normalized":false}"#;
    let added = replaced(&["added_tokens"], &|f| list(f, "[", repeated(token, 400_000), "]"));
    added.refused("added tokens", &[Vocab], "MiB of memory");
    let table = replaced(&["normalizer"], &|f| {
        // The length of the trie, 4 GiB, and nothing behind it.
        write!(f, r#"{{"type":"Precompiled","precompiled_charsmap":"APz//wAAAAAAAAAA"}}"#).unwrap();
    });
    table.refused("a table of 4 GiB", &[Vocab], "precompiled_charsmap is cut short");
}

#[test]
fn unigram_and_wordpiece() {
    let unigram = |write: &dyn Fn(&mut BufWriter<File>)| {
        let model = Model::new("xlm-roberta");
        model.config(|c| {
            c["architectures"] = json!(["XLMRobertaModel"]);
            c["model_type"] = json!("xlm-roberta");
            c["vocab_size"] = json!(1_000_000);
        });
        model.replace("tokenizer.json", &["model", "vocab"], write);
        model
    };
    let pieces = |count: usize| (0..count).map(|i| format!("[\"{i:x}\",-1]"));
    let (code, message) =
        unigram(&|f| list(f, "[", pieces(900_000), "]")).run("900,000 pieces", Vocab, MEMORY);
    assert_eq!(code, 0, "{message}");
    unigram(&|f| list(f, "[", pieces(3_000_000), "]")).refused(
        "3 million pieces",
        &[Vocab],
        "tokenizer.json",
    );
    let long =
        unigram(&|f| write!(f, "[[\"a\",0],[\"b\",0],[\"c\",0],[\"{}\",0]]", "x".repeat(30 << 20)).unwrap());
    long.run("one piece of 30 MB", Vocab, MEMORY);

    let wordpiece = Model::new("wordpiece");
    wordpiece.config(|c| {
        c["architectures"] = json!(["BertModel"]);
        c["model_type"] = json!("bert");
    });
    wordpiece.replace("tokenizer.json", &["model", "vocab"], |f| {
        list(f, "{", (0..3_000_000).map(|i| format!("\"{i:x}\":{i}")), "}");
    });
    wordpiece.refused("3 million WordPiece tokens", &[Vocab], "MiB of memory");
}

#[test]
fn other_tokenizer_files() {
    let model = |file: &str, place: &[&str], write: &dyn Fn(&mut BufWriter<File>)| {
        let model = Model::new("gpt2-trimmed");
        model.replace(file, place, write);
        model
    };
    let config = "tokenizer_config.json";
    let template = |i: usize| format!(r#"{{"name":"n{i}","template":"x"}}"#);
    let templates = model(config, &["chat_template"], &|f| list(f, "[", (0..500_000).map(template), "]"));
    templates.refused("500,000 chat templates", &[Vocab], "tokenizer_config.json");
    let few = model(config, &["chat_template"], &|f| list(f, "[", (0..1000).map(template), "]"));
    few.refused("1000 chat templates", &[Vocab], "at most 256 templates");
    let long =
        model(config, &["chat_template"], &|f| list(f, "\"", repeated(&"x".repeat(1 << 20), 100), "\""));
    long.refused("a template of 100 MB", &[Vocab], "expected at most");
    let added = |i: usize| format!(r#""{i}":{{"content":"t{i}","special":true}}"#);
    let decoder = model(config, &["added_tokens_decoder"], &|f| list(f, "{", (0..600_000).map(added), "}"));
    decoder.refused("600,000 added tokens", &[Vocab], "tokenizer_config.json");
    let extra = model("special_tokens_map.json", &["additional_special_tokens"], &|f| {
        list(f, "[", (0..250_000).map(|i| format!("\"t{i}\"")), "]");
    });
    extra.refused("250,000 special tokens", &[Vocab], "at most 100000 added tokens");

    let apart = Model::new("gpt2-trimmed");
    fs::remove_file(apart.dir().join("tokenizer.json")).unwrap();
    apart.put("tokenizer_config.json", r#"{"tokenizer_class":"GPT2Tokenizer"}"#);
    apart.put("merges.txt", "t h\n".repeat(6_000_000));
    apart.put("vocab.json", r#"{"t":0,"h":1,"th":2}"#);
    apart.refused("6 million lines of merges.txt", &[Vocab], "vocab.json");
    apart.write("vocab.json", |f| list(f, "{", (0..1_500_000).map(|i| format!("\"{i:x}\":{i}")), "}"));
    apart.refused("1.5 million tokens in vocab.json", &[Vocab], "vocab.json");

    let jinja = Model::new("gpt2-trimmed");
    jinja.put("tokenizer_config.json", r#"{"tokenizer_class":"GPT2Tokenizer"}"#);
    jinja.put("chat_template.jinja", "x".repeat(20 << 20));
    jinja.refused("a chat template of 20 MB", &[Vocab], "expected at most 1048576 bytes");
    for (tokenizer, architecture, model_type) in
        [("gpt2-trimmed", "LlamaForCausalLM", "llama"), ("xlm-roberta", "XLMRobertaModel", "xlm-roberta")]
    {
        let size = Model::new(tokenizer);
        for vocab_size in [1_500_000, 16_000_000] {
            size.config(|c| {
                c["vocab_size"] = json!(vocab_size);
                c["architectures"] = json!([architecture]);
                c["model_type"] = json!(model_type);
            });
            let (code, message) = size.run(&format!("{tokenizer}, vocab_size {vocab_size}"), Vocab, MEMORY);
            assert_eq!(code, if vocab_size > 2_000_000 { REFUSED } else { 0 }, "{message}");
        }
    }
}

#[test]
fn sentencepiece_models() {
    let model = |write: &dyn Fn(&mut BufWriter<File>)| {
        let model = Model::new("spm");
        model.config(|c| c["vocab_size"] = json!(0));
        let own = fs::read(model.dir().join("tokenizer.model")).unwrap();
        model.write("tokenizer.model", |f| {
            f.write_all(&own).unwrap();
            write(f);
        });
        model
    };
    // Field 1 of the model, a piece, whose field 1 is its text.
    let many = model(&|f| {
        (0..1_500_000).for_each(|i| f.write_all(format!("\x0a\x0a\x0a\x08{i:08x}").as_bytes()).unwrap());
    });
    let (code, message) = many.run("1.5 million pieces", Vocab, MEMORY);
    assert_eq!(code, 0, "{message}");
    let empty = model(&|f| (0..16_000_000).for_each(|_| f.write_all(b"\x0a\0").unwrap()));
    empty.refused("16 million empty pieces", &[Vocab], "pieces a vocabulary may have");
    let table = model(&|f| f.write_all(b"\x1a\x0a\x12\x08\0\xfc\xff\xff\0\0\0\0").unwrap());
    table.refused("a table of 4 GiB", &[Vocab], "precompiled_charsmap is cut short");
}

#[test]
fn configurations_and_cards() {
    let model = |file: &str, write: &dyn Fn(&mut BufWriter<File>)| {
        let model = Model::new("gpt2-trimmed");
        model.write(file, write);
        model
    };
    for file in ["config.json", "generation_config.json", "params.json"] {
        for (item, count) in [("0", 30_000_000), ("[]", 1_300_000)] {
            let model = model(file, &|f| list(f, "{\"dim\":[", repeated(item, count), "]}"));
            let run = if file == "params.json" { MistralVocab } else { Vocab };
            model.refused(&format!("{file}: {count} of {item}"), &[run], file);
        }
    }
    let card = |text: &str, count: usize, end: &str| {
        model("README.md", &|f| {
            f.write_all(b"---\ntags:").unwrap();
            repeated(text, count).for_each(|text| f.write_all(text.as_bytes()).unwrap());
            write!(f, "{end}\n---\n").unwrap();
        })
    };
    card("\n- a", 4_000_000, "").refused("a list", &[Vocab], "of front matter");
    card("\n- a", 50_000_000, "").refused("a list of 200 MB", &[Vocab], "expected at most");
    card(" [!a,", 200_000, "a]").refused("nested lists", &[Vocab], "levels deep");
    card(" [a,", 100_000, "a]").refused("nested lists without tags", &[Vocab], "README.md");
    let (code, message) =
        card(" [x]\nbase_model:", 1, &"\n- a/b-7B-v1".repeat(80_000)).run("base models", Vocab, MEMORY);
    assert_eq!(code, 0, "{message}");
    let bomb = (1..12).map(|i| format!("\na{i}: &a{i} [{}]", format!("*a{},", i - 1).repeat(9)));
    card(" []\na0: &a0 [x]", 1, &bomb.collect::<String>()).refused("aliases", &[Vocab], "aliases copy");
    for long in [format!("a: &a {}", "x".repeat(100_000)), format!("a: &a {{{}: 1}}", "k".repeat(1_000))] {
        let bomb = format!(" []\n{long}\nb: [{}]", "*a,".repeat(100_000));
        card(&bomb, 1, "").refused("aliases of something long", &[Vocab], "aliases copy");
    }
}

/// What Mixtral's checkpoints are like, with as many tensors as the largest published ones have, and more bytes: two terabytes
/// of holes. On XFS blocks can be shared, which takes a plan more steps.
#[test]
fn the_largest_real_checkpoints_work_in_less() {
    let (layers, experts) = (260, 256);
    let xfs = std::env::var_os("GGRAFT_TEST_XFS").map(PathBuf::from);
    let model = Model::new_in(&xfs.unwrap_or_else(std::env::temp_dir), "gpt2-trimmed");
    model.config(|c| {
        c["architectures"] = json!(["MixtralForCausalLM"]);
        c["model_type"] = json!("mixtral");
        c["hidden_size"] = json!(2048);
        c["intermediate_size"] = json!(2560);
        c["num_local_experts"] = json!(experts);
        c["num_experts_per_tok"] = json!(2);
        c["num_hidden_layers"] = json!(layers);
    });
    let mut shapes = vec![
        ("model.embed_tokens".to_owned(), vec![50257, 2048]),
        ("lm_head".into(), vec![50257, 2048]),
        ("model.norm".into(), vec![2048]),
    ];
    for layer in 0..layers {
        let name = |name: &str| format!("model.layers.{layer}.{name}");
        for matrix in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            shapes.push((name(&format!("self_attn.{matrix}")), vec![2048, 2048]));
        }
        shapes.push((name("input_layernorm"), vec![2048]));
        shapes.push((name("post_attention_layernorm"), vec![2048]));
        shapes.push((name("block_sparse_moe.gate"), vec![256, 2048]));
        for (expert, matrix) in (0..experts).flat_map(|expert| ["w1", "w2", "w3"].map(|w| (expert, w))) {
            let shape = if matrix == "w2" { vec![2048, 2560] } else { vec![2560, 2048] };
            shapes.push((name(&format!("block_sparse_moe.experts.{expert}.{matrix}")), shape));
        }
    }
    assert!(shapes.len() > 200_000);
    let data: u64 = shapes.iter().map(|(_, shape)| 2 * shape.iter().product::<u64>()).sum();
    assert!(data > 2_000_000_000_000);
    let mut at = 0;
    let entries = shapes.drain(..).map(|(name, shape)| {
        let begin = at;
        at += 2 * shape.iter().product::<u64>();
        format!(r#""{name}.weight":{{"dtype":"BF16","shape":{shape:?},"data_offsets":[{begin},{at}]}}"#)
    });
    model.safetensors(entries, data);
    for run in OF_CHECKPOINTS.into_iter().chain([ConvertAsReference, Plan, PlanJson]) {
        let (code, message) = model.run("200,000 tensors", run, MEMORY_OF_REAL);
        assert_eq!(code, 0, "{message}");
    }
}

#[test]
fn many_tensors() {
    let model = Model::new("gpt2-trimmed");
    const MOST: u64 = 1 << 19;
    model.safetensors(tensors(MOST), MOST * LEN);
    for run in OF_CHECKPOINTS {
        let (code, message) = model.run("as many tensors as there may be", run, MEMORY);
        // They are those of no architecture.
        assert_eq!(code, if run == Convert { 3 } else { 0 }, "{message}");
    }
    model.safetensors(tensors(1_000_000), 1_000_000 * LEN);
    model.refused("a million tensors", &OF_CHECKPOINTS, "expected at most 524288 tensors");
    let shape = format!("[{}32]", "1,".repeat(63));
    model.safetensors((0..400_000).map(|i| tensor(i, &i.to_string(), &shape)), 400_000 * LEN);
    model.refused("rank 64", &OF_CHECKPOINTS, "dimensions of all tensors together");
    let long = "n".repeat(65_000);
    model.safetensors((0..1500).map(|i| tensor(i, &format!("{long}{i}"), "[32]")), 1500 * LEN);
    model.refused("long names", &OF_CHECKPOINTS, "bytes of tensor names");
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
    model.refused("5 million tensors in an index", &of_header, "expected at most 524288 tensors");
}

/// A file of `torch.save` whose pickle consists of these parts, so many times each: a zip file of stored entries.
fn torch(model: &Model, pickle: &[(&[u8], usize)]) {
    let mut zip = zip::ZipWriter::new(File::create(model.dir().join("pytorch_model.bin")).unwrap());
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("a/data.pkl", stored).unwrap();
    for (part, count) in pickle {
        let chunk = part.repeat((1 << 16) / part.len() + 1);
        let mut left = part.len() * count;
        while left > 0 {
            let len = chunk.len().min(left);
            zip.write_all(&chunk[..len]).unwrap();
            left -= len;
        }
    }
    zip.start_file("a/data/0", stored).unwrap();
    zip.write_all(&[0; 64]).unwrap();
    zip.finish().unwrap();
}

#[test]
fn pickles() {
    let model = Model::new("gpt2-trimmed");
    let items: [(&str, &[u8]); 6] = [
        ("marks", b"("),
        ("tuples", b")0"),
        ("dicts", b"}0"),
        ("texts", b"X\x01\0\0\0a"),
        ("values", b"N"),
        ("numbers", b"M\x01\x01"),
    ];
    for (what, item) in items {
        torch(&model, &[(b"\x80\x02", 1), (item, 16_000_000 / item.len())]);
        model.refused(what, &[Convert, InspectJson], "data.pkl is damaged");
    }
    // Memo 0 is the function that makes tensors, 1 a storage, 2 a shape, 3 arguments or a tensor, 4 a name.
    let start = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00(X\x07\0\0\0storagectorch\nFloatStorage\n\
        X\x01\0\0\x000X\x03\0\0\0cpuK\x01tQq\x01";
    let call: &[u8] = b"h\x00(h\x01K\0h\x02h\x02tR0";
    torch(&model, &[(start, 1), (b"(", 1), (b"K\x01", 2_000_000), (b"tq\x02", 1), (call, 100_000)]);
    model.refused("a shape of two million dimensions", &[Convert], "dimensions, expected at most 64");
    let arguments: &[u8] = b"(K\x01tq\x02(h\x01K\0h\x02h\x02";
    torch(
        &model,
        &[(start, 1), (arguments, 1), (b"N", 2_000_000), (b"tq\x03", 1), (b"h\x00h\x03R0", 1_000_000)],
    );
    model.refused("two million arguments, a million times", &[Convert], "data.pkl is damaged");
    let name: &[u8] =
        &[b"(K\x01tq\x02h\x00(h\x01K\0h\x02h\x02tRq\x03X".as_slice(), &5_000_000u32.to_le_bytes()].concat();
    let entries: [(&[u8], usize); 4] =
        [(b"n", 5_000_000), (b"q\x04}(", 1), (b"h\x04h\x03", 500_000), (b"u.", 1)];
    torch(&model, &[[(start.as_slice(), 1), (name, 1)].as_slice(), &entries].concat());
    model.refused("a name of 5 MB, 500,000 times", &[Convert, InspectJson], "a name has 5000000 bytes");
    let memo: Vec<u8> =
        (0..4096u32).flat_map(|i| [b"r".as_slice(), &(i * 977).to_le_bytes()].concat()).collect();
    torch(&model, &[(b"\x80\x02N", 1), (&memo, 1), (b"N\x94", 8_000_000)]);
    model.refused("a long memo", &[Convert, InspectJson], "data.pkl is damaged");
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
