//! GLM 4 and later (`Glm4Model`, `GlmOCRModel`, `Glm4MoeModel`, `Glm4MoeLiteModel`, `GlmMoeDsaModel`,
//! `SolarOpenModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::NAMES;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, Mtp, TEXT, keys, mtp, names, rope};
use crate::error::Result;
use crate::gguf::KeyValues;
use crate::json::Object;
use crate::tensor::TensorExpr;
use crate::vocab::{TokenizerFiles, bpe, glm};

use crate::vocab::glm::{END, USER};

use super::deepseek::{DEEPSEEK2, indexer_keys, latent, latent_keys, own, without_prediction};

pub(super) const GLM4: Family = Family {
    names: &["Glm4ForCausalLM", "Glm4vForConditionalGeneration"],
    arch: "glm4",
    vocab: glm::glm4,
    tensors: names::GLM4,
    keys: glm4_keys,
    emit: glm4,
    ..TEXT
};

pub(super) const GLM_OCR: Family = Family {
    names: &["GlmOcrForConditionalGeneration"],
    layers: mtp::layers,
    keys: |input, keys| {
        glm4_keys(input, keys)?;
        mtp::count(input, keys)
    },
    ..GLM4
};

pub(super) const GLM4_MOE: Family = Family {
    names: &["Glm4MoeForCausalLM", "Glm4vMoeForConditionalGeneration"],
    arch: "glm4moe",
    vocab: vocab4_moe,
    tensors: names::GLM4_MOE,
    mtp: true,
    layers: mtp::layers,
    keys: moe_keys,
    rename: mtp::rename,
    emit: |input, builder, tensor| {
        if tensor.name.contains("mlp.experts") {
            let count = input.config.require_u32(&["n_routed_experts"])?;
            return builder.add_expert(tensor, count, &NAMES);
        }
        builder.add(tensor)
    },
    ..TEXT
};

pub(super) const SOLAR_OPEN: Family =
    Family { names: &["SolarOpenForCausalLM"], vocab: solar_vocab, mtp: false, ..GLM4_MOE };

pub(super) const GLM4_MOE_LITE: Family = Family {
    names: &["Glm4MoeLiteForCausalLM"],
    vocab: vocab4_moe,
    mtp: true,
    layers: mtp::layers,
    keys: |input, keys| {
        latent_keys(input, keys)?;
        let layers = input.config.u32(&["num_nextn_predict_layers"])?.filter(|layers| *layers > 0);
        keys.set_u32("nextn_predict_layers", layers.filter(|_| input.options.mtp != Mtp::Drop));
        Ok(())
    },
    rename: |input, name| mtp::rename(input, name).filter(|name| own(name)),
    emit: |input, builder, tensor| {
        let predicts = u64::from(input.layers) > mtp::main_layers(input);
        if predicts { latent(input, builder, tensor) } else { without_prediction(input, builder, tensor) }
    },
    ..DEEPSEEK2
};

pub(super) const GLM_DSA: Family = Family {
    names: &["GlmMoeDsaForCausalLM"],
    arch: "glm-dsa",
    tensors: names::GLM_DSA,
    mtp_file_name: false,
    keys: dsa_keys,
    emit: latent,
    ..GLM4_MOE_LITE
};

fn glm4_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let rotated = keys::rotated(input, rope::dimension_count(input)?, 0.5)?;
    keys.set_u32("rope.dimension_count", Some(rotated));
    Ok(())
}

/// With sections of rope for time, height and width, llama.cpp rotates halves of a head against each other.
fn glm4(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let is = |matrix: &str| {
        ["weight", "bias"].iter().any(|kind| tensor.name.ends_with(&format!("{matrix}.{kind}")))
    };
    if input.rope.map().contains_key("mrope_section") && (is("q_proj") || is("k_proj")) {
        let size = rope::dimension_count(input)?;
        let rotated = keys::rotated(input, size, 0.5)?;
        let heads = input.config.require_u32(&["num_attention_heads"])?;
        let kv_heads = input.config.require_u32(&["num_key_value_heads"])?;
        let shape = tensor.expr.shape().to_vec();
        let problem = || {
            builder.invalid(format!(
                "{}: expected {heads} heads (or {kv_heads} of keys) of {size} rows, of which an even number is \
                 rotated ({rotated}), found shape {shape:?}",
                tensor.name
            ))
        };
        let found = shape.first().and_then(|rows| rows.checked_div(size.into()));
        let fits = found == Some(heads.into()) || is("k_proj") && found == Some(kv_heads.into());
        let turned = halves_from_pairs(tensor.expr, size.into(), rotated.into());
        tensor.expr = turned.ok().filter(|_| fits).ok_or_else(problem)?;
    }
    builder.add(tensor)
}

/// In each head of `size` rows: the even ones of the first `rotated` rows, then the odd ones, then the rest.
fn halves_from_pairs(expr: TensorExpr, size: u64, rotated: u64) -> Result<TensorExpr> {
    let shape = expr.shape().to_vec();
    let columns: u64 = shape.iter().skip(1).product();
    let heads = shape.first().and_then(|rows| rows.checked_div(size)).unwrap_or(0);
    let split = expr.reshape(&[heads, size, columns])?;
    let turned = split.clone().slice(1, 0, rotated, 1)?;
    let turned = turned.reshape(&[heads, rotated / 2, 2, columns])?.swap_axes(1, 2)?;
    let turned = turned.reshape(&[heads, rotated, columns])?;
    if rotated == size {
        return turned.reshape(&shape);
    }
    TensorExpr::concat_along(1, vec![turned, split.slice(1, rotated, size, 1)?])?.reshape(&shape)
}

fn moe_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    let rotated = keys::rotated(input, rope::dimension_count(input)?, 0.5)?;
    keys.set_u32("rope.dimension_count", Some(rotated));
    keys.set_u32("expert_count", config.u32(&["n_routed_experts"])?);
    keys.set_u32("expert_feed_forward_length", config.u32(&["moe_intermediate_size"])?);
    keys.set_u32("expert_shared_count", config.u32(&["n_shared_experts"])?);
    keys.set_u32("leading_dense_block_count", config.u32(&["first_k_dense_replace"])?);
    keys.set_u32("expert_gating_func", Some(keys::SIGMOID));
    keys.set_f32("expert_weights_scale", config.f32(&["routed_scaling_factor"])?);
    keys.set_bool("expert_weights_norm", config.bool(&["norm_topk_prob"])?);
    mtp::count(input, keys)
}

fn dsa_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    latent_keys(input, keys)?;
    let config = input.config;
    let rotated = keys::rotated(input, config.require_u32(&["qk_rope_head_dim"])?, 1.0)?;
    keys.set_u32("rope.dimension_count", Some(rotated));
    mtp::count(input, keys)?;
    indexer_keys(config, keys)?;
    if let Some(kinds) = config.strings("indexer_types")? {
        keys.set_bools("attention.indexer.types", kinds.iter().map(|kind| *kind == "full").collect());
    }
    Ok(())
}

/// BPE with the roles of the tokens of GLM-4 MoE and later.
fn vocab4_moe(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let roles = [("bos", "[gMASK]"), ("eot", USER), ("unk", END), ("eom", "<|observation|>")];
    bpe::add(kv, files, config, &roles)
}

/// BPE with the roles of Solar's tokens.
fn solar_vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    bpe::add(kv, files, config, &[("eos", END), ("eot", END), ("unk", "<unk>"), ("bos", "<|startoftext|>")])
}
