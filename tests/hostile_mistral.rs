//! Directories in Mistral's own format, and modules of sentence-transformers, that lie: each must end with
//! the right exit code and one clear line.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::model_dir::ModelDir;
use serde_json::{Map, Value, json};

const UNSUPPORTED: i32 = 3;
const INVALID: i32 = 4;

/// A valid `params.json`.
fn valid() -> Value {
    json!({"dim": 64, "n_layers": 1, "head_dim": 16, "hidden_dim": 96, "n_heads": 4, "n_kv_heads": 2,
           "norm_eps": 1e-5, "rope_theta": 1e6, "vocab_size": 416})
}

fn merged(mut base: Value, patch: &Value) -> Value {
    base.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
    base
}

fn write(parent: &Path, description: Value) -> std::path::PathBuf {
    let model: ModelDir = serde_json::from_value(description).unwrap();
    model.write(parent, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    parent.join(model.dir)
}

/// Exit code and standard error of a conversion, of which nothing may be left if it fails.
fn convert(model: &Path, flag: &str) -> (i32, String) {
    let out = model.with_file_name("out.gguf");
    let run = Command::new(env!("CARGO_BIN_EXE_ggraft"))
        .args(["convert", flag, "--quiet", "--no-reflink", "--outfile"])
        .args([&out, model])
        .output()
        .unwrap();
    let code = run.status.code().expect("no signal");
    assert_eq!(out.exists(), code == 0);
    (code, String::from_utf8(run.stderr).unwrap())
}

fn refused(model: &Path, flag: &str, name: &str, code: i32, message: &str) {
    let (found, said) = convert(model, flag);
    assert_eq!(found, code, "{name}: {said}");
    assert_eq!(said.lines().filter(|line| !line.starts_with("  hint: ")).count(), 1, "{name}: {said}");
    assert!(said.contains(message), "{name}: {said}");
}

fn mistral(parent: &Path, params: &Value) -> std::path::PathBuf {
    let (width, queries, keys) = ([64], [64, 64], [32, 64]);
    let tensors = json!([
        ["tok_embeddings.weight", [40, 64]],
        ["norm.weight", width],
        ["output.weight", [40, 64]],
        ["layers.0.attention_norm.weight", width],
        ["layers.0.ffn_norm.weight", width],
        ["layers.0.attention.wq.weight", queries],
        ["layers.0.attention.wk.weight", keys],
        ["layers.0.attention.wv.weight", keys],
        ["layers.0.attention.wo.weight", queries],
        ["layers.0.feed_forward.w1.weight", [96, 64]],
        ["layers.0.feed_forward.w2.weight", [64, 96]],
        ["layers.0.feed_forward.w3.weight", [96, 64]],
    ]);
    write(
        parent,
        json!({
            "dir": "Tiny-Mistral", "tokenizer": "tekken", "files": {"params.json": params},
            "weights": {"seed": 1, "dtype": "bf16", "consolidated": true, "tensors": tensors},
        }),
    )
}

#[test]
fn params() {
    let yarn = json!({"original_max_position_embeddings": 1024, "factor": 16, "apply_scale": false, "beta": 32, "alpha": 1});
    let without = |key: &str| {
        let kept: Map<_, _> =
            yarn.as_object().unwrap().clone().into_iter().filter(|(k, _)| k != key).collect();
        json!({"yarn": kept})
    };
    let cases = [
        ("moe is a number", json!({"moe": 4}), INVALID, "moe: expected an object, found 4"),
        ("moe without settings", json!({"moe": {}}), INVALID, "params.json"),
        (
            "quantization is a text",
            json!({"quantization": "fp8"}),
            INVALID,
            "quantization: expected an object",
        ),
        (
            "quantization unknown",
            json!({"quantization": {"qformat_weight": "int4"}}),
            UNSUPPORTED,
            "\"int4\"",
        ),
        ("quantization without a format", json!({"quantization": {}}), UNSUPPORTED, "as nothing"),
        ("yarn is null", json!({"yarn": null}), INVALID, "yarn: expected an object"),
        ("yarn without factor", without("factor"), INVALID, "factor: expected a number, found nothing"),
        ("yarn without apply_scale", without("apply_scale"), INVALID, "apply_scale"),
        (
            "yarn without length",
            without("original_max_position_embeddings"),
            INVALID,
            "original_max_position_embeddings",
        ),
        (
            "scaling without beta",
            json!({"llama_4_scaling": {}}),
            INVALID,
            "beta: expected a number, found nothing",
        ),
        ("a billion layers", json!({"n_layers": 1_000_000_000}), INVALID, "expected at most 512"),
        ("no layers", json!({"n_layers": null}), INVALID, "n_layers"),
        ("text_config is a list", json!({"text_config": []}), INVALID, "text_config: expected an object"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let model = mistral(dir.path(), &valid());
    assert_eq!(convert(&model, "--mistral-format"), (0, String::new()));
    fs::remove_file(dir.path().join("out.gguf")).unwrap();
    for (name, patch, code, message) in cases {
        mistral(dir.path(), &merged(valid(), &patch));
        refused(&model, "--mistral-format", name, code, message);
    }
    for (text, message) in [("[]", "expected a JSON object"), ("{", "not valid JSON"), ("", "not valid JSON")]
    {
        fs::write(model.join("params.json"), text).unwrap();
        refused(&model, "--mistral-format", text, INVALID, message);
    }
    mistral(dir.path(), &valid());
    fs::remove_file(model.join("consolidated.safetensors")).unwrap();
    refused(&model, "--mistral-format", "no weights", INVALID, "no weights here");
}

fn embedding(parent: &Path, modules: Value, files: &Value) -> std::path::PathBuf {
    let mut all = json!({"modules.json": modules});
    all = merged(all, files);
    let layer = |name: &str, shape: Value| json!([format!("layers.0.{name}.weight"), shape]);
    let tensors = json!([
        ["embed_tokens.weight", [40, 64]],
        ["norm.weight", [64]],
        layer("input_layernorm", json!([64])),
        layer("post_attention_layernorm", json!([64])),
        layer("pre_feedforward_layernorm", json!([64])),
        layer("post_feedforward_layernorm", json!([64])),
        layer("self_attn.q_proj", json!([64, 64])),
        layer("self_attn.k_proj", json!([32, 64])),
        layer("self_attn.v_proj", json!([32, 64])),
        layer("self_attn.o_proj", json!([64, 64])),
        layer("self_attn.q_norm", json!([16])),
        layer("self_attn.k_norm", json!([16])),
        layer("mlp.gate_proj", json!([96, 64])),
        layer("mlp.up_proj", json!([96, 64])),
        layer("mlp.down_proj", json!([64, 96])),
    ]);
    write(
        parent,
        json!({
            "dir": "Tiny-Embedding", "tokenizer": "spm", "files": all,
            "config": {"architectures": ["Gemma3TextModel"], "model_type": "gemma3_text", "hidden_size": 64,
                       "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4,
                       "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 520, "sliding_window": 512,
                       "max_position_embeddings": 2048},
            "weights": {"seed": 1, "dtype": "bf16", "tensors": tensors},
            "modules": {"2_Dense": {"seed": 2, "dtype": "f32", "tensors": [["linear.weight", [96, 64]]]}},
        }),
    )
}

#[test]
fn modules() {
    const FLAG: &str = "--sentence-transformers-dense-modules";
    let dense = |path: Value| json!({"type": "sentence_transformers.models.Dense", "path": path});
    let outside = "must be a directory inside the model directory";
    let none = json!({});
    let sizes = |value: Value| json!({"2_Dense/config.json": {"in_features": value, "out_features": 96}});
    let cases = [
        ("no list", json!({}), none.clone(), "expected a list of modules"),
        ("a path that leads up", json!([dense(json!("../Tiny-Embedding/2_Dense"))]), none.clone(), outside),
        ("a path that leads up later", json!([dense(json!("2_Dense/../../2_Dense"))]), none.clone(), outside),
        ("a path from the root", json!([dense(json!("/2_Dense"))]), none.clone(), outside),
        ("a path that is a number", json!([dense(json!(2))]), none.clone(), outside),
        (
            "a module twice",
            json!([dense(json!("2_Dense")), dense(json!("2_Dense"))]),
            none.clone(),
            "is there twice",
        ),
        (
            "a module twice, spelled otherwise",
            json!([dense(json!("./2_Dense")), dense(json!("2_Dense/"))]),
            none.clone(),
            "dense_3",
        ),
        ("the model as a module", json!([dense(json!(""))]), none.clone(), outside),
        ("the model as a module, by a dot", json!([dense(json!("."))]), none.clone(), outside),
        ("a size that is a text", json!([dense(json!("2_Dense"))]), sizes(json!("64")), "in_features"),
        ("a size beyond 32 bits", json!([dense(json!("2_Dense"))]), sizes(json!(1u64 << 32)), "in_features"),
        (
            "a config that is a number",
            json!([dense(json!("2_Dense"))]),
            json!({"2_Dense/config.json": 5}),
            "in_features",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let model = embedding(dir.path(), json!([dense(json!("2_Dense"))]), &sizes(json!(64)));
    assert_eq!(convert(&model, FLAG), (0, String::new()));
    fs::remove_file(dir.path().join("out.gguf")).unwrap();
    for (name, list, files, message) in cases {
        fs::remove_dir_all(&model).unwrap();
        embedding(dir.path(), list, &files);
        refused(&model, FLAG, name, INVALID, message);
    }
    // As in the reference, a module without weights adds nothing, and neither does one that cannot be there.
    for path in ["3_Dense".to_owned(), "x".repeat(5000)] {
        fs::remove_dir_all(&model).unwrap();
        embedding(dir.path(), json!([dense(json!(path))]), &none);
        assert_eq!(convert(&model, FLAG), (0, String::new()));
        fs::remove_file(dir.path().join("out.gguf")).unwrap();
    }
    fs::remove_dir_all(&model).unwrap();
    embedding(dir.path(), json!([dense(json!("2_Dense"))]), &none);
    fs::write(model.join("2_Dense/model.safetensors"), b"\xff\xff\xff\xff\xff\xff\xff\x7f{}").unwrap();
    refused(&model, FLAG, "a header beyond the file", INVALID, "2_Dense/model.safetensors");
}
