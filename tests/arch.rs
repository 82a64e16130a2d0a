//! Many small models, each described as the reference describes it (`scripts/goldens/arch.py`).

use std::fs;
use std::path::{Path, PathBuf};

use ggraft::arch::{self, Model, OutType};
use ggraft::checkpoint::{Checkpoint, SourceTensor};
use ggraft::config::Config;
use ggraft::dtype::{Dtype, GgmlType};
use ggraft::gguf::Value as Kv;
use ggraft::shape::Shape;
use ggraft::source::ModelDir;
use ggraft::tensor::{Leaf, OutputTensor};
use ggraft::vocab::TokenizerFile;
use ggraft::{Error, Result};
use serde_json::{Map, Value, json};

/// Values that cases share, and refer to by number; and the cases.
fn golden() -> (Vec<Value>, Vec<Value>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/arch.json");
    let Value::Object(mut file) = serde_json::from_slice(&fs::read(path).unwrap()).unwrap() else { panic!() };
    let mut take = |key: &str| file.remove(key).unwrap().as_array().unwrap().clone();
    (take("shared"), take("cases"))
}

fn resolve<'a>(place: &Value, shared: &'a [Value]) -> &'a Value {
    place.as_u64().map_or(&Value::Null, |place| &shared[place as usize])
}

fn checkpoint(dir: &ModelDir, tensors: &Value) -> Checkpoint {
    let tensors = tensors.as_array().unwrap().iter().map(|row| {
        let shape: Shape = row[2].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        let dtype = Dtype::from_name(row[1].as_str().unwrap()).unwrap();
        let len = shape.iter().product::<u64>() * dtype.size();
        let name = row[0].as_str().unwrap().to_owned();
        SourceTensor { name, dtype, shape, file: 0, offset: 0, len }
    });
    Checkpoint { dir: dir.clone(), tensors: tensors.collect(), ..Checkpoint::default() }
}

/// A model directory with the files of a case that lie beside the weights.
fn directory(case: &Value) -> (Option<tempfile::TempDir>, PathBuf) {
    let files = case["files"].as_object().unwrap();
    if files.is_empty() {
        return (None, PathBuf::from("model"));
    }
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("model");
    for (name, content) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content.to_string()).unwrap();
    }
    (Some(temporary), dir)
}

fn map(object: &Value) -> ggraft::json::Map<String, ggraft::json::Value> {
    object.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone().into())).collect()
}

fn config(case: &Value, dir: &Path) -> Result<Config> {
    Config::from_json(dir.join("config.json"), map(&case["config"]))
}

fn build(case: &Value, shared: &[Value]) -> Result<Model> {
    let (_temporary, dir) = directory(case);
    let model_dir = if dir.is_dir() {
        ModelDir::open(&dir).unwrap()
    } else {
        ModelDir::in_memory(&dir, Vec::<(&str, Vec<u8>)>::new())
    };
    let checkpoint = checkpoint(&model_dir, resolve(&case["tensors"], shared));
    let outtype = match case["outtype"].as_str().unwrap() {
        "f32" => OutType::F32,
        "f16" => OutType::F16,
        "bf16" => OutType::Bf16,
        _ => OutType::Auto,
    };
    let config = config(case, &dir)?;
    arch::lookup(config.architecture()?)?.build(
        &checkpoint,
        &config,
        &TokenizerFile::new(&model_dir),
        &arch::Options { out: outtype, ..arch::Options::default() },
        None,
    )
}

fn key_values(model: &Model) -> Value {
    let shown = model.hparams.iter().map(|(key, value)| match value {
        Kv::U32(n) => json!([key, "UINT32", n]),
        Kv::F32(n) => json!([key, "FLOAT32", n.to_bits()]),
        Kv::Bool(b) => json!([key, "BOOL", b]),
        Kv::String(s) => json!([key, "STRING", std::str::from_utf8(s).unwrap()]),
        Kv::Strings(list) => {
            let list: Vec<_> = list.iter().map(|s| std::str::from_utf8(s).unwrap()).collect();
            json!([key, "ARRAY STRING", list])
        }
        Kv::I32s(list) => json!([key, "ARRAY INT32", list]),
        other => panic!("{key}: unexpected {other:?}"),
    });
    shown.collect()
}

/// The numbers of a tensor's elements, counted through the whole checkpoint.
fn elements(tensor: &OutputTensor, sources: &Value) -> Vec<u64> {
    let sizes = sources
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[2].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).product::<u64>());
    let sizes: Vec<u64> = sizes.collect();
    let mut out = Vec::new();
    for piece in &*tensor.expr.pieces() {
        let Leaf::Source(index) = piece.leaf else { panic!("{} is generated", tensor.name) };
        let mut at = vec![sizes[..index].iter().sum::<u64>() + piece.offset];
        for dim in &piece.dims {
            at = at.iter().flat_map(|o| (0..dim.len).map(move |i| o + i * dim.stride)).collect();
        }
        out.extend(at);
    }
    out
}

fn tensors(model: &Model, case: &Value, shared: &[Value]) -> Value {
    let sources = resolve(&case["tensors"], shared);
    let shown = model.tensors.iter().map(|tensor| {
        let mut row = vec![json!(tensor.name), json!(tensor.ggml_type.name()), json!(tensor.expr.shape())];
        if let [piece] = &*tensor.expr.pieces()
            && let Leaf::Values(values) = &piece.leaf
        {
            assert_eq!(tensor.ggml_type, GgmlType::F32);
            row.push(values.iter().map(|v| v.to_bits()).collect());
        } else if case["data"] == true {
            row.push(elements(tensor, sources).into());
        }
        Value::Array(row)
    });
    shown.collect()
}

/// Models the reference converts and this program does not, yet.
fn is_future(case: &Value) -> bool {
    case["name"].as_str().unwrap().starts_with("unsupported ")
}

#[test]
fn models_are_described_as_the_reference_describes_them() {
    let (shared, cases) = golden();
    let mut converted = 0;
    for case in cases.iter().filter(|case| !is_future(case)) {
        let (name, expected) = (&case["name"], &case["result"]);
        match build(case, &shared) {
            Ok(model) => {
                assert!(expected["error"].is_null(), "{name} should fail: {}", expected["error"]);
                assert_eq!(&key_values(&model), resolve(&expected["key_values"], &shared), "{name}");
                let wanted = resolve(&expected["tensors"], &shared);
                assert_eq!(&tensors(&model, case, &shared), wanted, "{name}");
                converted += 1;
            }
            Err(error) => {
                assert!(expected["error"].is_string(), "{name} should convert, but: {error}");
                assert!(matches!(error.exit_code(), 3 | 4), "{name}: {error}");
            }
        }
    }
    assert!(converted >= 100, "only {converted} models were compared");
}

#[test]
fn configs_are_read_as_transformers_reads_them() {
    let (shared, cases) = golden();
    let mut compared = 0;
    for case in &cases {
        let (name, expected) = (&case["name"], &case["result"]);
        let wrapped = ["text_config", "llm_config"].iter().any(|key| case["config"].get(key).is_some());
        let Some(hparams) = resolve(&expected["hparams"], &shared).as_object().filter(|_| !wrapped) else {
            continue;
        };
        let config = config(case, Path::new("model")).unwrap();
        for (key, value) in hparams {
            assert_eq!(config.map().get(key), Some(&value.clone().into()), "{name}: {key}");
            compared += 1;
        }
        for key in expected["removed"].as_array().unwrap() {
            assert_eq!(config.map().get(key.as_str().unwrap()), None, "{name}: {key}");
        }
    }
    assert!(compared >= 1000, "only {compared} values were compared");
}

#[test]
fn what_is_not_supported_is_named() {
    let (shared, cases) = golden();
    let mut seen = 0;
    for case in cases.iter().filter(|case| is_future(case)) {
        let error = build(case, &shared).expect_err(case["name"].as_str().unwrap());
        assert!(matches!(error, Error::Unsupported(_)), "{}: {error}", case["name"]);
        seen += 1;
    }
    assert!(seen >= 4);
    let error = arch::lookup("LamaForCausalLM").err().unwrap();
    assert!(error.to_string().contains("LamaForCausalLM"), "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("LlamaForCausalLM")), "{:?}", error.hints());
}

/// Whatever a stranger writes where, the answer is a model or an error.
#[test]
fn no_value_anywhere_causes_a_panic() {
    let (shared, cases) = golden();
    let hostile = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!("x"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"full_attention": [], "rope_type": "llama3", "architectures": {}}),
    ];
    let ends_well = |case: &Value, what: &str| {
        let code = build(case, &shared).map_or_else(|e| e.exit_code(), |_| 0);
        assert!(matches!(code, 0 | 3 | 4), "{what} ends with {code}");
    };
    for name in ["llama rope llama3", "llama rope yarn all", "mixtral", "qwen2", "qwen3_moe", "no model_type"]
    {
        let base = cases.iter().find(|case| case["name"] == name).unwrap();
        let defaults = resolve(&base["result"]["hparams"], &shared).as_object().unwrap();
        for value in &hostile {
            for key in base["config"].as_object().unwrap().keys().chain(defaults.keys()) {
                let mut case = base.clone();
                case["config"][key] = value.clone();
                ends_well(&case, &format!("{name}: {key} = {value}"));
            }
            for key in base["config"]["rope_scaling"].as_object().into_iter().flat_map(Map::keys) {
                let mut case = base.clone();
                case["config"]["rope_scaling"][key] = value.clone();
                ends_well(&case, &format!("{name}: rope_scaling.{key} = {value}"));
            }
        }
    }
}

#[test]
fn absurd_configs_are_refused() {
    let (shared, cases) = golden();
    let base = cases.iter().find(|case| case["name"] == "llama").unwrap();
    for (key, value) in [
        ("num_hidden_layers", json!(1_000_000_000)),
        ("num_hidden_layers", json!(-1)),
        ("num_hidden_layers", json!("2")),
        ("num_attention_heads", json!(0)),
        ("num_attention_heads", json!(u64::MAX)),
        ("num_attention_heads", json!(3)),
        ("num_key_value_heads", json!(0)),
        ("num_key_value_heads", json!(4_000_000_000_u64)),
        ("hidden_size", json!(i64::MIN)),
        ("hidden_size", json!(1e300)),
        ("vocab_size", json!({})),
        (
            "rope_scaling",
            json!({"rope_type": "llama3", "factor": 0, "low_freq_factor": 0, "high_freq_factor": 0}),
        ),
        ("text_config", json!([])),
        ("architectures", json!({"0": "LlamaForCausalLM"})),
        ("architectures", json!([[]])),
        ("quantization_config", json!("fp8")),
    ] {
        let mut case = base.clone();
        case["config"][key] = value.clone();
        let error = build(&case, &shared).expect_err(key);
        assert_eq!(error.exit_code(), 4, "{key} = {value}: {error}");
        assert!(error.to_string().starts_with("model"), "{error}");
    }
    let mut qwen = cases.iter().find(|case| case["name"] == "qwen2").unwrap().clone();
    qwen["config"]["num_attention_heads"] = json!(0);
    assert_eq!(build(&qwen, &shared).expect_err("0 heads").exit_code(), 4);
    let empty = Config::from_json("config.json".into(), map(&json!({}))).unwrap();
    assert_eq!(empty.architecture().unwrap_err().exit_code(), 4);
}
