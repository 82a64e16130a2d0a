//! Qwen 1, Qwen 2 and its mixture of experts (`QwenModel`, `Qwen2Model`, `Qwen2MoeModel` of the reference), and RND1.

use crate::arch::builder::Builder;
use crate::arch::experts::NAMES;
use crate::arch::pooling::pooling_type;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::config::Config;
use crate::error::Result;
use crate::gguf::Value;
use crate::tensor::TensorExpr;
use crate::vocab;

pub(super) const QWEN2: Family = Family {
    names: &[
        "AudioFlamingo3ForConditionalGeneration",
        "DotsOCRForCausalLM",
        "KORMoForCausalLM",
        "Qwen2AudioForConditionalGeneration",
        "Qwen2ForCausalLM",
        "Qwen2Model",
    ],
    arch: "qwen2",
    vocab: vocab::qwen2,
    tensors: names::QWEN2,
    keys: dense_keys,
    emit: dense,
    ..TEXT
};

pub(super) const QWEN2_MOE: Family = Family {
    names: &["Qwen2MoeForCausalLM"],
    arch: "qwen2moe",
    vocab: vocab::gpt2,
    tensors: names::QWEN2MOE,
    keys: expert_keys,
    emit: experts,
    ..QWEN2
};

pub(super) const QWEN: Family =
    Family { names: &["QWenLMHeadModel"], arch: "qwen", vocab: vocab::qwen, tensors: names::QWEN, ..TEXT };

pub(super) const RND1: Family = Family {
    names: &["RND1"],
    arch: "rnd1",
    tensors: names::RND1,
    keys: |input, keys| {
        expert_keys(input, keys)?;
        keys.set("attention.causal", Value::Bool(false));
        if let Some(id) = input.config.u32(&["mask_token_id"])? {
            keys.values.set_u32("tokenizer.ggml.mask_token_id", id);
        }
        Ok(())
    },
    ..QWEN2_MOE
};

pub(super) fn dense_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    pooling_type(input, keys)
}

pub(super) fn expert_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    expert_keys_of(input, input.config, keys)
}

/// [`expert_keys`] for a family that corrects the model's settings first.
pub(super) fn expert_keys_of(input: &Input, config: &Config, keys: &mut Keys) -> Result<()> {
    keys::common_of(input, config, keys)?;
    let length = config.u32_or_list(&["moe_intermediate_size"])?;
    keys::counts(keys, "expert_feed_forward_length", length);
    let shared = config.u32(&["shared_expert_intermediate_size"])?;
    keys.set_u32("expert_shared_feed_forward_length", shared);
    Ok(())
}

pub(super) fn dense(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if input.architecture == "Qwen2Model" {
        tensor.name.insert_str(0, "model.");
    }
    builder.add(tensor)
}

pub(super) fn experts(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    experts_of(input, builder, tensor, &["num_local_experts", "num_experts"])
}

/// [`experts`], their number under other keys.
pub(super) fn experts_of(
    input: &Input,
    builder: &mut Builder,
    mut tensor: Tensor,
    count: &[&str],
) -> Result<()> {
    let base = tensor.name.strip_suffix(".weight").unwrap_or(&tensor.name);
    if base.ends_with("mlp.experts.down_proj") {
        tensor.name = format!("{base}.weight");
        return builder.add(tensor);
    }
    if let Some(experts) = base.strip_suffix(".gate_up_proj").filter(|base| base.ends_with("mlp.experts")) {
        let Some((gate, up)) = halves(&tensor.expr)? else {
            let shape = tensor.expr.shape();
            return Err(builder
                .invalid(format!("{base}: expected experts × 2 rows × columns, found shape {shape:?}")));
        };
        let layer = tensor.layer;
        builder.add(Tensor { name: format!("{experts}.gate_proj.weight"), layer, expr: gate })?;
        return builder.add(Tensor { name: format!("{experts}.up_proj.weight"), layer, expr: up });
    }
    if tensor.name.contains("experts") {
        return builder.add_expert(tensor, input.config.require_u32(count)?, &NAMES);
    }
    builder.add(tensor)
}

/// Splits each expert's rows in the middle; none if that is not possible.
fn halves(expr: &TensorExpr) -> Result<Option<(TensorExpr, TensorExpr)>> {
    let &[_, rows, _] = expr.shape() else {
        return Ok(None);
    };
    if rows == 0 || rows % 2 != 0 {
        return Ok(None);
    }
    let part = |from, to| expr.clone().swap_axes(0, 1)?.rows(from, to)?.swap_axes(0, 1);
    Ok(Some((part(0, rows / 2)?, part(rows / 2, rows)?)))
}
