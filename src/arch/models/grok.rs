//! Grok (`GrokModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::ExpertNames;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value};
use crate::json::Object;
use crate::vocab::{TokenizerFiles, gpt2, sentencepiece};

pub(super) const GROK: Family = Family {
    names: &["Grok1ForCausalLM", "GrokForCausalLM"],
    arch: "grok",
    vocab,
    tensors: names::GROK,
    keys: key_values,
    emit,
    finish: |_, builder| builder.release(),
    ..TEXT
};

const EXPERTS: ExpertNames = ExpertNames {
    one: "transformer.decoder_layer.{bid}.moe.{xid}.{matrix}.weight",
    stack: "transformer.decoder_layer.{bid}.moe.{matrix}.weight",
    matrices: &["linear", "linear_1", "linear_v"],
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    keys::common(input, keys)?;
    let or = |key: &str, default: f32| Ok::<_, Error>(Some(config.f32(&[key])?.unwrap_or(default)));
    keys.set_f32("attn_logit_softcapping", or("attn_logit_softcapping", 30.0)?);
    keys.set_f32("router_logit_softcapping", or("router_logit_softcapping", 30.0)?);
    let cap = config.f32(&["final_logit_softcapping"])?.filter(|cap| *cap != 0.0);
    keys.set_f32("final_logit_softcapping", cap);
    keys.set_u32("expert_feed_forward_length", config.u32(&["moe_intermediate_size"])?);
    if matches!(config.str(&["rope_type"])?, Some("yarn" | "original")) {
        yarn(config, keys)?;
    }
    keys.set_u32("attention.temperature_length", keys::nonzero(config, &["attn_temperature_len"])?);
    #[allow(clippy::cast_possible_truncation)]
    let scale = f64::from(rope::dimension_count(input)?).powf(-0.5) as f32;
    keys.set_f32("attention.output_scale", or("attn_output_multiplier", scale)?);
    keys.set_f32("embedding_scale", Some(config.require_f32(&["embedding_multiplier_scale"])?));
    keys.set_f32("logit_scale", Some(config.require_f32(&["output_multiplier_scale"])?));
    Ok(())
}

/// Settings of rope that lie beside the others.
fn yarn(config: &Config, keys: &mut Keys) -> Result<()> {
    keys.set("rope.scaling.type", Value::String("yarn".into()));
    keys.set_f32("rope.scaling.factor", Some(config.require_f32(&["scaling_factor"])?));
    let original = config.require_u32(&["original_max_position_embeddings"])?;
    keys.set_u32("rope.scaling.original_context_length", Some(original));
    for (key, name) in [
        ("ext_factor", "extrapolation_factor"),
        ("attn_factor", "attn_factor"),
        ("beta_fast", "beta_fast"),
        ("beta_slow", "beta_slow"),
    ] {
        keys.set_f32(&format!("rope.scaling.yarn_{key}"), Some(config.require_f32(&[name])?));
    }
    Ok(())
}

/// Stacks of experts are written when something else comes.
fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    const OTHERS: &str = ".block_sparse_moe.experts.";
    if !tensor.name.contains(".moe.") && !tensor.name.contains(OTHERS) {
        builder.release()?;
        return builder.add(tensor);
    }
    if tensor.name.contains(OTHERS) {
        let name =
            tensor.name.replace(OTHERS, ".moe.").replacen("model.layers.", "transformer.decoder_layer.", 1);
        let pairs = [(".w1.", ".linear."), (".w2.", ".linear_1."), (".w3.", ".linear_v.")];
        tensor.name = pairs.iter().fold(name, |name, (old, new)| name.replacen(old, new, 1));
    }
    builder.hold_expert(tensor, input.config.require_u32(&["num_local_experts"])?, &EXPERTS)
}

/// SentencePiece, else BPE, which only counts along with its chat template.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    if sentencepiece::add(kv, files, config)? {
        return Ok(());
    }
    if files.tokenizer.is_none() || !files.dir.exists("chat_template.jinja")? {
        let problem = "expected tokenizer.model, or tokenizer.json and chat_template.jinja";
        return Err(Error::invalid(&files.dir, problem).hint("Grok 2's are in alvarobartt/grok-2-tokenizer"));
    }
    gpt2(kv, files, config)
}
