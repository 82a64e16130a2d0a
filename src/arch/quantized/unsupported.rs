//! What is said of weights that cannot be read: what they are.

use super::Method;
use crate::arch::Input;
use crate::error::Error;
use crate::input::quoted;

/// Names in `quant_method` of what is known and not read, in lower case, and what they stand for.
const KNOWN: [(&str, &str); 18] = [
    ("aqlm", "AQLM"),
    ("auto-round", "AutoRound"),
    ("bitnet_b158", "BitNet"),
    ("eetq", "EETQ"),
    ("exl2", "EXL2 (ExLlamaV2)"),
    ("exl3", "EXL3 (ExLlamaV3)"),
    ("fbgemm_fp8", "FBGEMM's FP8"),
    ("fp_quant", "FP-Quant"),
    ("higgs", "HIGGS"),
    ("hqq", "HQQ"),
    ("intel/auto-round", "AutoRound"),
    ("marlin", "Marlin"),
    ("mxfp4", "MXFP4"),
    ("quanto", "Quanto"),
    ("quark", "AMD Quark"),
    ("spqr", "SpQR"),
    ("torchao", "torchao"),
    ("vptq", "VPTQ"),
];

/// Methods that can be read for every family, by their names in `quant_method`.
const METHODS: [&str; 7] = ["awq", "bitnet", "bitsandbytes", "compressed-tensors", "fp8", "gptq", "modelopt"];

/// What is said of a method that cannot be read.
pub(super) fn method(input: &Input, method: &Method, name: &str) -> Error {
    let known = KNOWN.iter().find(|(known, _)| *known == name.to_lowercase());
    let all = METHODS.iter().chain(input.family.packed).copied().collect::<Vec<_>>().join(", ");
    let shown = quoted(name);
    let error = |problem: String| {
        let error = method.config.unsupported(problem).hint("convert the original checkpoint instead");
        error.hint(format!("methods that can be read: {all}, and MLX's"))
    };
    match known {
        Some((_, title)) => error(format!(
            "the weights are quantized by {title} (quant_method {shown}), which cannot be read for this architecture"
        )),
        None if name.is_empty() => error("the weights are quantized, and quant_method does not say by what".into()),
        None => error(format!("the weights are quantized by {shown}, which ggraft does not know")).hint(
            "if llama.cpp's convert_hf_to_gguf.py reads it, please report the method and the model's name to ggraft",
        ),
    }
}
