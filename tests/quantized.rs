//! Quantized checkpoints beyond what `tests/conformance` has: formats of libraries, against what these libraries make of the
//! weights (`scripts/goldens/quantized_libraries.py`), and checkpoints that are broken or not what they should be.

mod common;
mod handmade;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::model_dir::ModelDir;
use handmade::put;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

const UNSUPPORTED: i32 = 3;
const INVALID: i32 = 4;

/// The matrix that is replaced, 64 × 128.
const MODULE: &str = "model.layers.0.self_attn.o_proj";

/// A tensor: name, dtype, shape, bytes.
type Tensor = (String, String, Vec<u64>, Vec<u8>);

/// A Llama of one layer, whose settings are merged with `config`, and whose weights have `tensors` in the place of [`MODULE`].
fn model(parent: &Path, config: &Value, tensors: &[Tensor]) -> PathBuf {
    let mut description = json!({
        "dir": "Tiny-Llama", "tokenizer": "spm",
        "config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "head_dim": 32,
            "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
            "vocab_size": 512, "tie_word_embeddings": true, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        },
        "weights": {"seed": 7, "dtype": "bf16", "omit": if tensors.is_empty() { json!([]) } else { json!([MODULE]) }},
    });
    description["config"].as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    let model: ModelDir = serde_json::from_value(description).unwrap();
    model.write(parent, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")).unwrap();
    let dir = parent.join("Tiny-Llama");
    let bytes = fs::read(dir.join("model.safetensors")).unwrap();
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Map<String, Value> = serde_json::from_slice(&bytes[8..start]).unwrap();
    let mut data = bytes[start..].to_vec();
    for (name, dtype, shape, bytes) in tensors {
        let end = data.len() + bytes.len();
        header
            .insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [data.len(), end]}));
        data.extend(bytes);
    }
    let header = Value::Object(header).to_string();
    put(&dir, "model.safetensors", [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat());
    dir
}

fn convert(model: &Path, out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.args(["convert", "--outtype", "f32", "--outfile"]).args([out, model]).output().unwrap()
}

/// The bytes of tensor `name` of a GGUF.
fn tensor(file: &Path, name: &str) -> Vec<u8> {
    let gguf = ggraft::gguf::read(file).unwrap();
    let tensor = gguf.tensors.iter().find(|tensor| tensor.name == name).unwrap();
    let at = tensor.offset as usize;
    fs::read(file).unwrap()[at..at + tensor.len.unwrap() as usize].to_vec()
}

#[test]
fn weights_are_what_libraries_make_of_them() {
    let golden: Value = serde_json::from_slice(include_bytes!("golden/quantized.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    for case in cases {
        let tensors: Vec<Tensor> = case["tensors"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, tensor)| {
                let shape = serde_json::from_value(tensor["shape"].clone()).unwrap();
                let dtype = tensor["dtype"].as_str().unwrap().to_owned();
                (
                    format!("{MODULE}.{name}"),
                    dtype,
                    shape,
                    STANDARD.decode(tensor["data"].as_str().unwrap()).unwrap(),
                )
            })
            .collect();
        let parent = tempfile::tempdir().unwrap();
        let (dir, out) = (model(parent.path(), &case["config"], &tensors), parent.path().join("out.gguf"));
        let output = convert(&dir, &out);
        assert!(output.status.success(), "{}: {}", case["name"], String::from_utf8_lossy(&output.stderr));
        let digest = Sha256::digest(tensor(&out, "blk.0.attn_output.weight"));
        assert_eq!(hex(&digest), case["weight"].as_str().unwrap(), "{}", case["name"]);
    }
    assert_eq!(cases.len(), 24);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Tensors of [`MODULE`], all bytes zero: what follows the module's name, dtype, shape.
fn zeros(tensors: &[(&str, &str, &[u64])]) -> Vec<Tensor> {
    let size = |dtype: &str| match dtype {
        "I64" => 8,
        "I32" | "U32" | "F32" => 4,
        "F16" | "BF16" | "I16" => 2,
        _ => 1,
    };
    let tensor = |(name, dtype, shape): &(&str, &str, &[u64])| {
        let len = shape.iter().product::<u64>() * size(dtype);
        (format!("{MODULE}{name}"), (*dtype).to_owned(), shape.to_vec(), vec![0; len as usize])
    };
    tensors.iter().map(tensor).collect()
}

/// What is converted, the exit code, and what the message says.
fn refuses(what: &str, config: &Value, tensors: &[Tensor], code: i32, says: &[&str]) {
    let parent = tempfile::tempdir().unwrap();
    let (dir, out) = (model(parent.path(), config, tensors), parent.path().join("out.gguf"));
    let output = convert(&dir, &out);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{what}: {stderr}");
    assert!(says.iter().all(|part| stderr.contains(part)), "{what}: {stderr}");
    assert!(!stderr.contains("bug in ggraft") && !out.exists(), "{what}: {stderr}");
}

fn method(more: Value) -> Value {
    json!({"quantization_config": more})
}

#[test]
fn contradicting_tensors_are_refused() {
    let gptq = || method(json!({"quant_method": "gptq", "bits": 4, "group_size": 32}));
    let (g_idx, qweight, qzeros, scales) = (
        (".g_idx", "I32", &[128u64][..]),
        (".qweight", "I32", &[16, 64][..]),
        (".qzeros", "I32", &[4, 8][..]),
        (".scales", "F16", &[4, 64][..]),
    );
    refuses("no list", &gptq(), &zeros(&[qweight, qzeros, scales]), INVALID, &["o_proj.g_idx\": is missing"]);
    refuses(
        "no scales",
        &gptq(),
        &zeros(&[g_idx, qweight, qzeros]),
        INVALID,
        &["o_proj.scales\": is missing"],
    );
    let short = (".g_idx", "I32", &[127u64][..]);
    refuses(
        "a short list",
        &gptq(),
        &zeros(&[short, qweight, qzeros, scales]),
        INVALID,
        &["g_idx", "[128]", "[127]"],
    );
    let few = (".qzeros", "I32", &[4u64, 7][..]);
    refuses(
        "few zero points",
        &gptq(),
        &zeros(&[g_idx, qweight, few, scales]),
        INVALID,
        &["qzeros", "[4, 8]", "[4, 7]"],
    );
    let floats = (".qweight", "F32", &[16u64, 64][..]);
    refuses(
        "codes in F32",
        &gptq(),
        &zeros(&[g_idx, floats, qzeros, scales]),
        INVALID,
        &["qweight", "expected I32"],
    );
    let none = (".scales", "F16", &[0u64, 64][..]);
    let nothing = (".qzeros", "I32", &[0u64, 8][..]);
    refuses("no groups", &gptq(), &zeros(&[g_idx, qweight, nothing, none]), INVALID, &["g_idx", "0 groups"]);
    let mut beyond = zeros(&[g_idx, qweight, qzeros, scales]);
    beyond[0].3[4] = 4;
    refuses("a group beyond", &gptq(), &beyond, INVALID, &["g_idx", "numbers of 4 groups, found 4 at 1"]);
    beyond[0].3[4..8].fill(0xff);
    refuses("a negative group", &gptq(), &beyond, INVALID, &["g_idx", "found -1 at 1"]);
    let three = method(json!({"quant_method": "gptq", "bits": 3}));
    refuses(
        "three bits",
        &three,
        &zeros(&[g_idx, qweight, qzeros, scales]),
        UNSUPPORTED,
        &["GPTQ with 3 bits"],
    );
    let none = method(json!({"quant_method": "gptq"}));
    refuses(
        "no bits",
        &none,
        &zeros(&[g_idx, qweight, qzeros, scales]),
        INVALID,
        &["bits of GPTQ are missing"],
    );
    let one = (".qweight", "I32", &[16u64][..]);
    refuses(
        "a vector of codes",
        &gptq(),
        &zeros(&[g_idx, one, qzeros, scales]),
        INVALID,
        &["expected matrices"],
    );
}

/// Tensors of a `pack-quantized` matrix that says it has this shape.
fn packed(shape: [i64; 2], words: &[u64], groups: &[u64]) -> Vec<Tensor> {
    let mut found = zeros(&[
        (".weight_packed", "I32", words),
        (".weight_scale", "F32", groups),
        (".weight_shape", "I64", &[2]),
    ]);
    found[2].3 = shape.iter().flat_map(|len| len.to_le_bytes()).collect();
    found
}

#[test]
fn contradicting_matrices_of_compressed_tensors_are_refused() {
    let with = |weights: Value| {
        method(
            json!({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": {"weights": weights}}}),
        )
    };
    let int4 = || with(json!({"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}));
    let (words, groups) = (&[64, 16][..], &[64, 4][..]);
    refuses(
        "another shape",
        &int4(),
        &packed([64, 256], words, groups),
        INVALID,
        &["weight_packed", "[64, 32]", "[64, 16]"],
    );
    refuses(
        "no rows",
        &int4(),
        &packed([0, 128], words, groups),
        INVALID,
        &["weight_shape", "expected rows and columns"],
    );
    refuses("negative rows", &int4(), &packed([-64, 128], words, groups), INVALID, &["weight_shape"]);
    refuses("huge rows", &int4(), &packed([i64::MAX, 128], words, groups), INVALID, &["weight_shape"]);
    refuses(
        "few scales",
        &int4(),
        &packed([64, 128], words, &[64, 3]),
        INVALID,
        &["weight_scale", "[64, 4]", "[64, 3]"],
    );
    refuses("an odd group", &int4(), &packed([64, 100], &[64, 13], groups), INVALID, &["groups of 32"]);
    for (what, weights) in [
        ("groups of nothing", json!({"num_bits": 4, "strategy": "group", "group_size": 0})),
        ("no group size", json!({"num_bits": 4, "strategy": "group"})),
        ("huge groups", json!({"num_bits": 4, "strategy": "group", "group_size": 1u64 << 60})),
    ] {
        refuses(what, &with(weights), &packed([64, 128], words, groups), INVALID, &["group_size"]);
    }
    for bits in [0, 9, 64] {
        let weights = json!({"num_bits": bits, "strategy": "group", "group_size": 32});
        refuses("bits", &with(weights), &packed([64, 128], words, groups), INVALID, &["num_bits"]);
    }
    let channel = with(json!({"num_bits": 4, "strategy": "channel"}));
    refuses(
        "by channel",
        &channel,
        &packed([64, 128], words, groups),
        UNSUPPORTED,
        &["strategy \"channel\""],
    );
    let mut zeros_too = packed([64, 128], words, groups);
    zeros_too.extend(zeros(&[(".weight_zero_point", "I32", &[9, 4])]));
    refuses("zero points", &int4(), &zeros_too, INVALID, &["weight_zero_point", "[8, 4]", "[9, 4]"]);
}

#[test]
fn contradicting_matrices_of_other_formats_are_refused() {
    let nvfp4 = || method(json!({"quant_method": "modelopt", "quant_algo": "NVFP4"}));
    let codes = (".weight", "U8", &[64u64, 64][..]);
    let scales = |shape| zeros(&[codes, (".weight_scale", "F8_E4M3", shape)]);
    refuses("few scales", &nvfp4(), &scales(&[64, 4]), INVALID, &["expected codes of NVFP4"]);
    refuses("scales of fewer rows", &nvfp4(), &scales(&[32, 8]), INVALID, &["expected codes of NVFP4"]);
    let floats = zeros(&[(".weight", "BF16", &[64, 64]), (".weight_scale", "F8_E4M3", &[64, 8])]);
    refuses("codes in BF16", &nvfp4(), &floats, INVALID, &["expected codes of NVFP4", "BF16"]);
    let awq = || method(json!({"quant_method": "awq", "bits": 4, "version": "gemm"}));
    let of = |groups: u64| {
        zeros(&[
            (".qweight", "I32", &[128, 8]),
            (".qzeros", "I32", &[groups, 8]),
            (".scales", "F16", &[groups, 64]),
        ])
    };
    refuses("AWQ's odd groups", &awq(), &of(3), INVALID, &["no whole number of 3 groups"]);
    refuses("AWQ's missing groups", &awq(), &of(0), INVALID, &["no whole number of 0 groups"]);
    let gemv = method(json!({"quant_method": "awq", "bits": 4, "version": "gemv"}));
    refuses("AWQ's other version", &gemv, &of(4), UNSUPPORTED, &["AWQ, version \"gemv\""]);
    let bnb = || method(json!({"quant_method": "bitsandbytes", "load_in_4bit": true}));
    let state = |json: &str| {
        let state = zeros(&[(".weight.quant_state.bitsandbytes__nf4", "U8", &[json.len() as u64])]);
        let mut all = zeros(&[
            (".weight", "U8", &[4096, 1]),
            (".weight.absmax", "F32", &[128]),
            (".weight.quant_map", "F32", &[16]),
        ]);
        all.extend(
            state.into_iter().map(|(name, dtype, shape, _)| (name, dtype, shape, json.as_bytes().to_vec())),
        );
        all
    };
    let says = |json: &str, part: &str| refuses(json, &bnb(), &state(json), INVALID, &[part]);
    says("{", "not valid JSON");
    says(r#"{"shape": [64, 128], "blocksize": 64}"#, "dtype is missing");
    says(r#"{"shape": [64, 128], "blocksize": 0, "dtype": "float16"}"#, "blocksize");
    says(r#"{"shape": [64, 129], "blocksize": 64, "dtype": "float16"}"#, "4128 bytes of codes");
    says(r#"{"shape": [9223372036854775807, 3], "blocksize": 64, "dtype": "float16"}"#, "absurd");
    says(r#"{"shape": [64, 128], "blocksize": 32, "dtype": "float16"}"#, "absmax");
    says(
        r#"{"shape": [64, 128], "blocksize": 64, "dtype": "float16", "nested_blocksize": 256, "nested_offset": 0.1}"#,
        "absmax",
    );
    let eight = zeros(&[(".weight", "I8", &[64, 128]), (".SCB", "F32", &[63])]);
    refuses("scales of fewer rows", &bnb(), &eight, INVALID, &["SCB", "[64]", "[63]"]);
    let mlx = |bits: u64| json!({"quantization": {"group_size": 64, "bits": bits}});
    let affine =
        zeros(&[(".weight", "U32", &[64, 16]), (".scales", "F16", &[64, 2]), (".biases", "F16", &[64, 2])]);
    refuses("MLX with three bits", &mlx(3), &affine, UNSUPPORTED, &["MLX with 3 bits"]);
    refuses("MLX with eight bits", &mlx(8), &affine, INVALID, &["groups of 64"]);
}

/// Scales that are no numbers make weights that are none, in every type that can hold that.
#[test]
fn scales_that_are_no_numbers() {
    let awq = method(json!({"quant_method": "awq", "bits": 4, "version": "gemm"}));
    let gptq = method(json!({"quant_method": "gptq", "bits": 4, "group_size": 32}));
    let of_awq = [(".qweight", "I32", &[128u64, 8][..]), (".qzeros", "I32", &[4, 8])];
    let of_gptq =
        [(".g_idx", "I32", &[128u64][..]), (".qweight", "I32", &[16, 64]), (".qzeros", "I32", &[4, 8])];
    for (config, parts) in [(awq, &of_awq[..]), (gptq, &of_gptq)] {
        let mut tensors = zeros(parts);
        let nan = 0x7e00u16.to_le_bytes().repeat(4 * 64);
        tensors.push((format!("{MODULE}.scales"), "F16".into(), vec![4, 64], nan));
        let parent = tempfile::tempdir().unwrap();
        let (dir, out) = (model(parent.path(), &config, &tensors), parent.path().join("out.gguf"));
        let output = convert(&dir, &out);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let weights = tensor(&out, "blk.0.attn_output.weight");
        let mut weights = weights.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        assert!(weights.len() == 64 * 128 && weights.all(f32::is_nan));
    }
}

/// The messages that people see most, and used not to understand.
#[test]
fn what_cannot_be_read_is_named() {
    for (name, title) in [
        ("hqq", "HQQ"),
        ("aqlm", "AQLM"),
        ("exl2", "EXL2"),
        ("torchao", "torchao"),
        ("quanto", "Quanto"),
        ("eetq", "EETQ"),
    ] {
        refuses(
            name,
            &method(json!({"quant_method": name})),
            &[],
            UNSUPPORTED,
            &[&format!("quantized by {title}"), "convert the original"],
        );
    }
    let unknown = method(json!({"quant_method": "fp9"}));
    refuses(
        "unknown",
        &unknown,
        &[],
        UNSUPPORTED,
        &["\"fp9\", which ggraft does not know", "awq, bitnet, bitsandbytes"],
    );
    let plain = json!({});
    for (part, dtype, says) in [
        (".qweight", "F32", "GPTQ or AWQ"),
        (".qzeros", "I32", "GPTQ or AWQ"),
        (".weight.absmax", "F32", "bitsandbytes"),
        (".weight.quant_map", "F32", "bitsandbytes"),
        (".SCB", "F32", "eight bits by bitsandbytes"),
        (".weight_scale_inv", "F32", "a scale of weights in FP8"),
        (".k_scale", "F32", "key-value cache"),
        (".weight_packed", "I32", "compressed-tensors"),
        (".q_invperm", "I16", "EXL2"),
        (".trellis", "I16", "EXL3"),
        (".codebooks", "F32", "AQLM"),
        (".weight.qdata", "I8", "torchao"),
        (".W_q", "U8", "HQQ"),
        (".lora_A.weight", "F32", "of a LoRA adapter"),
        (".lora_B.weight", "F32", "of a LoRA adapter"),
        (".modules_to_save.weight", "F32", "modules_to_save"),
    ] {
        refuses(part, &plain, &zeros(&[(part, dtype, &[64, 4])]), UNSUPPORTED, &[part, says]);
    }
    let mut adapter = zeros(&[(".weight", "F32", &[64, 128]), ("", "F32", &[64, 4])]);
    for (name, says) in [
        ("base_model.model.model.layers.0.mlp.up_proj.weight", "a LoRA adapter around it"),
        ("model.layers.3.mlp.up_proj.weight", "of layer 3, and config.json says that there are 1"),
        ("mtp.layers.0.mlp.up_proj.weight", "multi-token prediction"),
    ] {
        adapter[1].0 = name.into();
        refuses(name, &plain, &adapter, UNSUPPORTED, &[name, says]);
    }
}

/// torch.compile and DistributedDataParallel put something before all names.
#[test]
fn wrapped_names_are_converted_with_a_warning() {
    let parent = tempfile::tempdir().unwrap();
    let dir = model(parent.path(), &json!({}), &[]);
    let plain = parent.path().join("plain.gguf");
    assert!(convert(&dir, &plain).status.success());
    for prefix in ["module.", "_orig_mod.", "module._orig_mod."] {
        let bytes = fs::read(dir.join("model.safetensors")).unwrap();
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Map<String, Value> = serde_json::from_slice(&bytes[8..start]).unwrap();
        let renamed: Map<String, Value> =
            header
                .into_iter()
                .map(|(name, tensor)| {
                    if name == "__metadata__" { (name, tensor) } else { (format!("{prefix}{name}"), tensor) }
                })
                .collect();
        let header = Value::Object(renamed).to_string();
        let wrapped = tempfile::tempdir().unwrap();
        let copy = model(wrapped.path(), &json!({}), &[]);
        put(
            &copy,
            "model.safetensors",
            [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &bytes[start..]].concat(),
        );
        let out = wrapped.path().join("out.gguf");
        let output = convert(&copy, &out);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success()
                && stderr.contains("warning")
                && stderr.contains("converted without that"),
            "{stderr}"
        );
        assert!(fs::read(&plain).unwrap() == fs::read(&out).unwrap(), "{prefix}");
    }
}
