//! Hy 4: DeepSeek's latent attention with hyper-connections and, in some layers, an indexer (`HYV4Model` of the
//! reference).

use std::collections::BTreeSet;

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, keys, mtp, names};
use crate::config::{Config, truthy};
use crate::dtype::GgmlType;
use crate::error::Result;
use crate::gguf::Value;
use crate::json::Value as Json;
use crate::vocab;

use super::deepseek::{DEEPSEEK2, indexer_keys, latent_keys_of, own, stacked};

pub(super) const HY_V4: Family = Family {
    names: &["HYV4ForCausalLM"],
    arch: "hy_v4",
    vocab: vocab::gpt2,
    tensors: names::HY_V4,
    variant: |_| Ok(None),
    keys: key_values,
    rename: |_, name| (own(name) && !name.starts_with("model.mtp_layers.")).then(|| name.to_owned()),
    generate: |input, _| check_indexers(input),
    emit,
    ggml_type: |input, _, name| {
        let exact = ["hc_attn_fn.weight", "hc_ffn_fn.weight", "output_hc_fn.weight", ".indexer.k_norm.bias"];
        let head =
            name == "output.weight" && input.config.map().get("enable_lm_head_fp32").is_some_and(truthy);
        (head || exact.iter().any(|suffix| name.ends_with(suffix))).then_some(GgmlType::F32)
    },
    ..DEEPSEEK2
};

/// What a layer with an indexer has.
const INDEXER: [&str; 5] =
    ["k_norm.bias", "k_norm.weight", "weights_proj.weight", "wk.weight", "wq_b.weight"];

/// Which layers have an indexer of their own; the others use the last one before. None if no layer has one.
fn indexers(config: &Config) -> Result<Option<Vec<bool>>> {
    let count = config.require_u32(&["num_hidden_layers"])? as usize;
    let (key, full): (_, &[&str]) = match config.get(&["indexer_types"]) {
        Some(_) => ("indexer_types", &["full"]),
        None => ("layer_types", &["sparse_attention", "deepseek_sparse_attention"]),
    };
    let kinds = config.strings(key)?.unwrap_or_default();
    if key == "layer_types" && !kinds.iter().any(|kind| full.contains(kind)) {
        return Ok(None);
    }
    for needed in ["index_n_heads", "index_head_dim", "index_topk"] {
        config.require_u32(&[needed])?;
    }
    let Some(kinds) = kinds.get(..count) else {
        return Err(config.invalid(format!("{key}: expected {count} entries, found {}", kinds.len())));
    };
    let owns: Vec<bool> = kinds.iter().map(|kind| full.contains(kind)).collect();
    if key == "indexer_types" {
        if kinds.iter().any(|kind| !["full", "shared"].contains(kind)) {
            return Err(config.invalid("indexer_types: expected \"full\" or \"shared\""));
        }
        if owns.first() == Some(&false) {
            return Err(config.invalid("indexer_types: the first layer has none to share"));
        }
    }
    Ok(Some(owns))
}

/// Refuses a model whose layers do not have what the settings say.
fn check_indexers(input: &Input) -> Result<()> {
    let Some(owns) = indexers(input.config)? else { return Ok(()) };
    let mut found = vec![BTreeSet::new(); owns.len()];
    for name in input.tensors.keys() {
        let part = name.split_once(".self_attn.indexer.").map(|(_, part)| part);
        let layer = mtp::layer(name).and_then(|layer| found.get_mut(usize::try_from(layer).ok()?));
        if let (Some(layer), Some(part)) = (layer, part) {
            layer.insert(part);
        }
    }
    for (layer, (own, found)) in owns.iter().zip(&found).enumerate() {
        let expected: BTreeSet<&str> = if *own { INDEXER.into() } else { BTreeSet::new() };
        if *found != expected {
            let problem =
                format!("layer {layer}: expected tensors {expected:?} of the indexer, found {found:?}");
            return Err(input.config.invalid(problem));
        }
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let mut config = input.config.clone();
    let one = |key: &str| config.map().get(key).and_then(Json::as_f64) == Some(1.0);
    if one("n_group") && one("topk_group") {
        config = config.replaced("n_group", Json::Null).replaced("topk_group", Json::Null);
    }
    config = config.replaced("first_k_dense_replace", dense_layers(input.config)?);
    latent_keys_of(input, &config, keys)?;
    keys.set_u32("expert_gating_func", Some(keys::SIGMOID));
    if let Some(limit) = config.f32(&["swiglu_limit"])?.filter(|limit| *limit > 0.0) {
        keys.set("swiglu_clamp_exp", Value::F32s(vec![limit; input.layers as usize]));
    }
    keys.set_u32("hyper_connection.count", Some(config.require_u32(&["hc_mult"])?));
    keys.set_f32("hyper_connection.epsilon", Some(config.require_f32(&["hc_eps"])?));
    keys.set_f32("hyper_connection.magnitude", Some(config.require_f32(&["hc_magnitude"])?));
    if let Some(owns) = indexers(&config)? {
        indexer_keys(&config, keys)?;
        keys.set_bools("attention.indexer.types", owns);
    }
    Ok(())
}

/// How many layers, the first ones, have no experts.
fn dense_layers(config: &Config) -> Result<u32> {
    const KEY: &str = "first_k_dense_replace";
    let stated = config.u32(&[KEY])?;
    let Some(kinds) = config.strings("mlp_layer_types")? else {
        return stated.ok_or_else(|| config.invalid(format!("{KEY} and mlp_layer_types are missing")));
    };
    let dense = kinds.iter().take_while(|kind| **kind == "dense").count();
    if kinds.iter().skip(dense).any(|kind| *kind == "dense") {
        return Err(config.unsupported("mlp_layer_types with dense layers after those with experts"));
    }
    let dense = u32::try_from(dense).unwrap_or(u32::MAX);
    match stated.is_none_or(|stated| stated == dense) {
        true => Ok(dense),
        false => Err(config.invalid(format!("{KEY} is not {dense}, which mlp_layer_types say"))),
    }
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if let Some(module) =
        tensor.name.strip_suffix(".gate_up_proj").filter(|name| name.ends_with("mlp.experts"))
    {
        let length = u64::from(input.config.require_u32(&["moe_intermediate_size"])?);
        let &[_, rows, _] = tensor.expr.shape() else {
            return Err(
                builder.invalid(format!("{module}: expected a stack, found {:?}", tensor.expr.shape()))
            );
        };
        if rows != 2 * length {
            return Err(builder.invalid(format!("{}: expected 2 × {length} rows, found {rows}", tensor.name)));
        }
        let (gate, up) = tensor.expr.halves(1)?;
        let layer = tensor.layer;
        builder.add(Tensor { name: format!("{module}.gate_proj.weight"), layer, expr: gate })?;
        return builder.add(Tensor { name: format!("{module}.up_proj.weight"), layer, expr: up });
    }
    let bare = ["fn", "base", "scale"].iter().any(|part| {
        tensor.name.ends_with(&format!(".hc_head.hc_head_{part}"))
            || tensor.name.ends_with(&format!("_layer.hc_pre.hc_{part}"))
    });
    if bare
        || tensor.name.ends_with("mlp.experts.down_proj")
        || tensor.name.ends_with(".self_attn.learnable_sink_param")
    {
        tensor.name.push_str(".weight");
    }
    stacked(input, builder, tensor, "num_attention_heads")
}
