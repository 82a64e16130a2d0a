//! MiniMax (`MiniMaxText01Model`, `MiniMaxM2Model`, `MiniMaxM3Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::contents;
use crate::arch::experts::ExpertNames;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, bare, keys, names};
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value};
use crate::json::{Object, Value as Json};
use crate::vocab::{self, TokenizerFiles, template_or};

pub(super) const MINIMAX_01: Family = Family {
    names: &["MiniMaxM1ForCausalLM", "MiniMaxText01ForCausalLM"],
    arch: "minimax-01",
    vocab,
    tensors: names::MINIMAX01,
    keys: first_keys,
    emit: |input, builder, tensor| match tensor.name.contains("block_sparse_moe.experts") {
        true => {
            let count = input.config.require_u32(&["num_local_experts"])?;
            builder.add_expert(tensor, count, &FIRST_EXPERTS)
        }
        false => builder.add(tensor),
    },
    ..TEXT
};

pub(super) const MINIMAX_M2: Family = Family {
    names: &["MiniMaxM2ForCausalLM"],
    arch: "minimax-m2",
    tensors: names::MINIMAXM2,
    keys: m2_keys,
    emit: m2,
    ..TEXT
};

pub(super) const MINIMAX_M3: Family = Family {
    names: &["MiniMaxM3SparseForCausalLM", "MiniMaxM3SparseForConditionalGeneration"],
    arch: "minimax-m3",
    tensors: names::MINIMAXM3,
    // transformers has a class, which gives the settings of sparse attention names that the reference does not know.
    settings: bare,
    keys: m3_keys,
    emit: |input, builder, mut tensor| {
        if tensor.name.ends_with("norm.weight") {
            tensor.expr = tensor.expr.plus(1.0);
        }
        m2(input, builder, tensor)
    },
    ggml_type: |_, _, name| name.contains(".indexer.").then_some(GgmlType::F32),
    ..TEXT
};

const EXPERTS: ExpertNames = ExpertNames {
    one: "model.layers.{bid}.block_sparse_moe.experts.{xid}.{matrix}.weight",
    stack: "model.layers.{bid}.block_sparse_moe.experts.{matrix}.weight",
    matrices: &["w1", "w2", "w3"],
};
const FIRST_EXPERTS: ExpertNames =
    ExpertNames { stack: "layers.{bid}.feed_forward.experts.{matrix}.weight", ..EXPERTS };

fn first_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    if !input.options.vocab_only {
        let suppressed = without_embedding(input)?;
        if !suppressed.is_empty() {
            keys.values.set("tokenizer.ggml.suppress_tokens", Value::I32s(suppressed));
        }
    }
    let get = |what: &str, scale: &str| config.require_f64(&[&format!("layernorm_{what}_{scale}")]);
    let parts = ["full_attention", "linear_attention", "mlp"];
    let alpha = get(parts[0], "alpha")?;
    #[allow(clippy::float_cmp)]
    for part in parts {
        if get(part, "alpha")? != alpha || get(part, "beta")? != 1.0 {
            let problem = "layernorm_…_alpha differ, or layernorm_…_beta are not 1";
            return Err(config.unsupported(problem));
        }
    }
    keys.set_f32("residual_scale", Some(config.require_f32(&["layernorm_full_attention_alpha"])?));
    keys.set_u32("rope.dimension_count", Some(config.require_u32(&["rotary_dim"])?));
    Ok(())
}

/// Tokens beyond those of the tokenizer whose embedding is zero; the model was not trained not to give them.
fn without_embedding(input: &Input) -> Result<Vec<i32>> {
    const INDEX: &str = "model.safetensors.index.json";
    const NAME: &str = "model.embed_tokens.weight";
    let dir = &input.checkpoint.dir;
    if !dir.exists(INDEX)? {
        return Err(Error::unsupported(format!("there is no {INDEX}, which llama.cpp's converter asks for"))
            .at(dir.path()));
    }
    let missing = || Error::invalid(dir, format!("there is no tensor {NAME}"));
    let embedding = input.tensors.get(NAME).ok_or_else(missing)?;
    let first = input.tokenizer.own_count()?;
    contents::zero_rows(input.checkpoint, embedding, first)?
        .into_iter()
        .map(|row| i32::try_from(row).map_err(|_| Error::invalid(dir, format!("{NAME} has too many rows"))))
        .collect()
}

fn m2_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let get = |key: &str| input.config.require_u32(&[key]).map(Some);
    keys.set_u32("expert_feed_forward_length", get("intermediate_size")?);
    keys.set_u32("rope.dimension_count", get("rotary_dim")?);
    Ok(())
}

fn m3_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    m2_keys(input, keys)?;
    let config = input.config;
    keys.set_u32("expert_shared_count", Some(config.require_u32(&["n_shared_experts"])?));
    keys.set_f32("expert_weights_scale", Some(config.require_f32(&["routed_scaling_factor"])?));
    keys.set_bool("expert_weights_norm", Some(true));
    let sparse = config.section("sparse_attention_config")?;
    for (key, setting) in [
        ("head_count", "sparse_num_index_heads"),
        ("key_length", "sparse_index_dim"),
        ("top_k", "sparse_topk_blocks"),
        ("block_size", "sparse_block_size"),
        ("local_blocks", "sparse_local_block"),
    ] {
        keys.set_u32(&format!("attention.indexer.{key}"), Some(sparse.require_u32(&[setting])?));
    }
    let frequency = config.map().get("moe_layer_freq").and_then(Json::as_array);
    let frequency = frequency.ok_or_else(|| config.invalid("moe_layer_freq: expected a list of numbers"))?;
    let dense = frequency.iter().take_while(|sparse| sparse.as_f64() == Some(0.0)).count();
    keys.set_u32("leading_dense_block_count", u32::try_from(dense).ok());
    Ok(())
}

fn m2(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if tensor.name.contains("block_sparse_moe.experts.") {
        let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
        return builder.add_expert(tensor, count, &EXPERTS);
    }
    builder.add(tensor)
}

/// MiniMax M1's own template, as llama.cpp has it.
const TEMPLATE: &str = include_str!("../../vocab/templates/MiniMax-M1.jinja");

fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    vocab::gpt2(kv, files, config)?;
    template_or(kv, files, TEMPLATE)
}
