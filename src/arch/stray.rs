//! What a tensor is that no architecture has: named for what its name says, where checkpoints are not what they should be.

use crate::input::quoted;

/// What such a tensor is, and what to do about it.
pub(super) struct Stray {
    /// In words, after "tensor X".
    pub what: String,
    /// A hint.
    pub advice: &'static str,
}

const CONFIG: &str = "add the quantization_config that the checkpoint was published with to config.json, or convert the \
                      original checkpoint";
const ORIGINAL: &str = "convert the original checkpoint instead";
const ADAPTER: &str = "this is no whole model: merge the adapter into its base model first, and convert that";

/// Ends of names, whose they are, and what to do.
const ENDS: [(&[&str], &str, &str); 11] = [
    (
        &[".qweight", ".qzeros", ".g_idx"],
        "is of weights that are quantized by GPTQ or AWQ, which config.json does not say",
        CONFIG,
    ),
    (
        &[
            ".absmax",
            ".quant_map",
            ".nested_absmax",
            ".nested_quant_map",
            ".bitsandbytes__nf4",
            ".bitsandbytes__fp4",
        ],
        "is of weights that are quantized to four bits by bitsandbytes, which config.json does not say",
        CONFIG,
    ),
    (
        &[".SCB", ".weight_format"],
        "is of weights that are quantized to eight bits by bitsandbytes, which config.json does not say",
        CONFIG,
    ),
    (
        &["_scale_inv", ".qscale_weight", ".qscale_act"],
        "is a scale of weights in FP8, which config.json does not say",
        CONFIG,
    ),
    (
        &[".k_scale", ".v_scale"],
        "is a scale of a quantized key-value cache, which config.json does not say",
        CONFIG,
    ),
    (
        &[
            ".weight_packed",
            ".weight_shape",
            ".weight_zero_point",
            ".weight_global_scale",
            ".weight_scale",
            ".weight_scale_2",
            ".input_scale",
        ],
        "is of weights that are quantized (as compressed-tensors or ModelOpt do it), which config.json does not say",
        CONFIG,
    ),
    (
        &[".q_weight", ".q_invperm", ".q_scale", ".q_scale_max", ".q_groups", ".q_group_map", ".q_perm"],
        "is of weights that are quantized by EXL2 (ExLlamaV2), which cannot be read",
        ORIGINAL,
    ),
    (
        &[".trellis", ".suh", ".svh"],
        "is of weights that are quantized by EXL3 (ExLlamaV3), which cannot be read",
        ORIGINAL,
    ),
    (&[".W_q"], "is of weights that are quantized by HQQ, which cannot be read", ORIGINAL),
    (&[".codebooks", ".codes"], "is of weights that are quantized by AQLM, which cannot be read", ORIGINAL),
    (
        &[".qdata", ":qdata", "_weight_qdata", ".layout_tensor", ".original_weight_tensor"],
        "is of weights that are quantized by torchao, which cannot be read",
        ORIGINAL,
    ),
];

/// What the tensor `name` is, in a model of so many `layers`.
pub(super) fn explain(name: &str, layers: u32) -> Option<Stray> {
    let stray = |what: &str, advice| Some(Stray { what: what.to_owned(), advice });
    let has = |part: &str| name.split('.').any(|own| own == part);
    if has("modules_to_save") || has("original_module") {
        return stray("is a module that a LoRA adapter replaces (modules_to_save)", ADAPTER);
    }
    if ["lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector"]
        .into_iter()
        .any(has)
    {
        return stray("is of a LoRA adapter", ADAPTER);
    }
    if has("base_layer") || name.starts_with("base_model.model.") {
        return stray("was saved from a model with a LoRA adapter around it", ADAPTER);
    }
    if let Some((_, what, advice)) = ENDS.iter().find(|(ends, ..)| ends.iter().any(|end| name.ends_with(end)))
    {
        return stray(what, advice);
    }
    if has("mtp") || has("nextn") || name.starts_with("mtp.") {
        return stray(
            "is of layers for multi-token prediction, which this architecture has not here",
            "leave these tensors out of the checkpoint, or use --no-nextn if the architecture knows it",
        );
    }
    let layer = name.split('.').skip_while(|part| *part != "layers" && *part != "h").nth(1);
    let layer = layer.and_then(|layer| layer.parse::<u32>().ok()).filter(|layer| *layer >= layers)?;
    Some(Stray {
        what: format!("is of layer {layer}, and config.json says that there are {layers}, counted from 0"),
        advice: "check num_hidden_layers in config.json; layers for multi-token prediction beyond it can only be converted for \
                 architectures that have them",
    })
}

impl Stray {
    /// The sentence about tensor `name`.
    pub(super) fn sentence(&self, name: &str) -> String {
        format!("tensor {} {}", quoted(name), self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_tensors_are() {
        for (name, what) in [
            ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", "of a LoRA adapter"),
            ("base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight", "LoRA adapter around"),
            ("base_model.model.lm_head.modules_to_save.default.weight", "modules_to_save"),
            ("model.layers.0.mlp.up_proj.qzeros", "GPTQ or AWQ"),
            ("model.layers.0.mlp.up_proj.weight.absmax", "four bits by bitsandbytes"),
            ("model.layers.0.mlp.up_proj.SCB", "eight bits by bitsandbytes"),
            ("model.layers.0.mlp.up_proj.weight_scale_inv", "FP8"),
            ("model.layers.0.self_attn.k_proj.k_scale", "key-value cache"),
            ("model.layers.0.mlp.up_proj.q_invperm", "EXL2"),
            ("model.layers.0.mlp.up_proj.trellis", "EXL3"),
            ("model.layers.0.mlp.up_proj.W_q", "HQQ"),
            ("model.layers.0.mlp.up_proj.codebooks", "AQLM"),
            ("model.layers.2.mlp.up_proj.weight", "layer 2, and config.json says that there are 2"),
            ("model.mtp.layers.0.fc.weight", "multi-token prediction"),
        ] {
            let found = explain(name, 2).unwrap_or_else(|| panic!("{name}")).sentence(name);
            assert!(found.contains(what), "{name}: {found}");
        }
        for name in ["model.layers.1.mlp.up_proj.weight", "transformer.wte.weight", "score.weight"] {
            assert!(explain(name, 2).is_none(), "{name}");
        }
    }
}
