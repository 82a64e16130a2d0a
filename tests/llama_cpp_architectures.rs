//! Small models of many architectures, which llama.cpp loads and runs: what they say means nothing, since their weights are
//! numbers from a seed, but tensors, shapes and keys have to be what it expects.
//!
//! `scripts/conformance/generate.py` tries all recorded cases, and says which are too small or too odd for llama.cpp. Needs
//! `GGRAFT_TEST_PYTHON` (tests/llama_cpp.rs); without it, the test says that it was skipped.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

mod common;

use common::model_dir::ModelDir;

/// Cases of `tests/conformance`, by family.
const ANSWER: [(&str, &[&str]); 10] = [
    ("ernie", &["ernie", "paddleocr"]),
    ("exaone", &["exaone4", "exaone4.5"]),
    ("hunyuan", &["hunyuan", "hunyuan-vl", "hy3"]),
    ("lfm2", &["lfm2", "lfm2-moe"]),
    ("minimax", &["minimax-m2"]),
    ("moe", &["afmoe", "grove", "laguna", "mellum", "smallthinker"]),
    ("muse_glimmer", &["muse-glimmer"]),
    (
        "older",
        &[
            "arctic",
            "chameleon",
            "dbrx",
            "falcon-h1",
            "grok1",
            "hrm-text",
            "jais-swiglu",
            "spark2_5",
            "talkie",
            "xverse",
        ],
    ),
    ("plain", &["codeshell", "deci", "jais2", "minicpm", "nanbeige", "openelm", "orion", "pangu", "refact"]),
    ("step", &["step3.5"]),
];

/// Rows of embeddings in recorded cases, whatever the size of the vocabulary.
const ROWS: u64 = 40;

#[test]
fn llama_cpp_runs_small_models_of_many_architectures() {
    let Some(python) = python() else { return };
    for (family, ids) in ANSWER {
        let path = repository().join(format!("tests/conformance/{family}.json"));
        let recorded: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for id in ids {
            let case = recorded["cases"].as_array().unwrap().iter().find(|case| case["id"] == *id);
            runs(&python, case.unwrap_or_else(|| panic!("{family} has no case {id}"))["model"].clone());
        }
    }
}

/// The reference never ends converting Baichuan, so there is nothing to compare with but this.
#[test]
fn llama_cpp_runs_baichuan() {
    let Some(python) = python() else { return };
    let (at, width, inner) = ("model.layers.{0-1}", 64, 96);
    for (layers_of_13b, heads) in [(false, 4), (true, 2)] {
        let tensors = json!([
            ["model.embed_tokens.weight", [ROWS, width]],
            ["model.norm.weight", [width]],
            ["lm_head.weight", [ROWS, width]],
            [format!("{at}.self_attn.W_pack.weight"), [3 * width, width]],
            [format!("{at}.self_attn.o_proj.weight"), [width, width]],
            [format!("{at}.mlp.gate_proj.weight"), [inner, width]],
            [format!("{at}.mlp.up_proj.weight"), [inner, width]],
            [format!("{at}.mlp.down_proj.weight"), [width, inner]],
            [format!("{at}.input_layernorm.weight"), [width]],
            [format!("{at}.post_attention_layernorm.weight"), [width]],
        ]);
        let name = if layers_of_13b { "BaichuanForCausalLM" } else { "BaiChuanForCausalLM" };
        let config = json!({
            "architectures": [name], "model_type": "baichuan", "hidden_size": width, "intermediate_size": inner,
            "num_hidden_layers": 2, "num_attention_heads": heads, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6,
            "vocab_size": 520, "torch_dtype": "bfloat16",
        });
        let weights = json!({"seed": 1, "dtype": "bf16", "bounded": true, "tensors": tensors});
        runs(
            &python,
            json!({"dir": "tiny-baichuan", "config": config, "tokenizer": "spm", "weights": weights}),
        );
    }
}

/// Converts the model that is so described, with embeddings of all tokens, and has llama.cpp say a few.
fn runs(python: &Path, mut model: Value) {
    let config = &model["config"];
    let rows =
        [&config["text_config"]["vocab_size"], &config["vocab_size"]].into_iter().find_map(Value::as_u64);
    for tensor in model["weights"]["tensors"].as_array_mut().unwrap() {
        if tensor[1][0] == ROWS {
            tensor[1][0] = rows.unwrap_or(ROWS).into();
        }
    }
    let model: ModelDir = serde_json::from_value(model).unwrap();
    let work = tempfile::tempdir().unwrap();
    model.write(work.path(), &repository().join("tests/tokenizers")).unwrap();
    let gguf = work.path().join("m.gguf");
    let mut convert = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    convert
        .arg("convert")
        .arg(work.path().join(&model.dir))
        .args(["--outtype", "f16", "--outfile"])
        .arg(&gguf);
    succeeds(&model.dir, &mut convert);
    let mut generate = Command::new(python);
    generate.arg(repository().join("scripts/llama_generate.py")).arg(&gguf).args(["a b", "--n-predict", "4"]);
    succeeds(&model.dir, &mut generate);
}

fn succeeds(what: &str, command: &mut Command) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {command:?}: {}\n{stderr}", output.status);
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python that has llama.cpp, or `None` when the test is to be skipped.
fn python() -> Option<std::path::PathBuf> {
    let python = env::var_os("GGRAFT_TEST_PYTHON").filter(|value| !value.is_empty());
    if python.is_none() {
        let why = "GGRAFT_TEST_PYTHON is not set (tests/llama_cpp.rs says what it is for)";
        assert!(env::var_os("GGRAFT_REQUIRE_LLAMA_CPP").is_none_or(|v| v != "1"), "{why}");
        _ = writeln!(io::stderr(), "SKIPPED: {why}");
    }
    python.map(Into::into)
}
