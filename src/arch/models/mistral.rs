//! Models in Mistral's own format, `params.json` and `consolidated*.safetensors` (`MistralModel` and
//! `MistralMoeModel` of the reference). Their heads lie as llama.cpp wants them.

use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::config::truthy;
use crate::error::Result;
use crate::gguf::Value;
use crate::vocab;

use super::deepseek::{self, DEEPSEEK2};
use super::llama::{self, LLAMA};

const VOCAB: vocab::Route = vocab::mistral;

/// Models that scale attention with the position.
pub(super) static MISTRAL: Family = Family {
    names: &[],
    arch: "mistral3",
    vocab: VOCAB,
    tensors: names::MISTRAL3,
    variant: |input| {
        llama::refuse_drafts(input)?;
        let scaled = input.config.map().contains_key("llama_4_scaling");
        Ok((!scaled).then_some(&MISTRAL_LLAMA))
    },
    keys: dense_keys,
    nvfp4: TEXT.nvfp4,
    emit: llama::unpermuted,
    ..LLAMA
};

/// Others, which older versions of llama.cpp can run as Llama.
static MISTRAL_LLAMA: Family = Family {
    names: &[],
    arch: "llama",
    vocab: VOCAB,
    keys: dense_keys,
    nvfp4: TEXT.nvfp4,
    emit: llama::unpermuted,
    ..LLAMA
};

/// Models with experts, which are built like DeepSeek's.
pub(super) static MISTRAL_MOE: Family = Family {
    names: &[],
    vocab: VOCAB,
    keys: |input, keys| {
        deepseek::latent_keys(input, keys)?;
        yarn_keys(input, keys)?;
        let yarn = input.config.section("yarn")?;
        let length = yarn.require_u32(&["original_max_position_embeddings"])?;
        keys.set_u32("attention.temperature_length", Some(length));
        keys.set_f32("rope.scaling.yarn_log_multiplier", Some(0.1));
        Ok(())
    },
    rename: |_, name| deepseek::own(name).then(|| deepseek_name(name)),
    ..DEEPSEEK2
};

fn dense_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys.set_u32("rope.dimension_count", Some(rope::dimension_count(input)?));
    yarn_keys(input, keys)
}

/// How positions beyond the trained ones are treated.
fn yarn_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    if config.map().contains_key("yarn") {
        let yarn = config.section("yarn")?;
        let scaled = yarn.map().get("apply_scale");
        let scaled =
            scaled.ok_or_else(|| yarn.invalid("yarn.apply_scale: expected a boolean, found nothing"))?;
        let get = |key: &str| yarn.require_f32(&[key]).map(Some);
        keys.set("rope.scaling.type", Value::String("yarn".into()));
        keys.set_f32("rope.scaling.factor", get("factor")?);
        keys.set_f32("rope.scaling.yarn_beta_fast", get("beta")?);
        keys.set_f32("rope.scaling.yarn_beta_slow", get("alpha")?);
        keys.set_f32("rope.scaling.yarn_log_multiplier", Some(if truthy(scaled) { 0.0 } else { 1.0 }));
        let length = yarn.require_u32(&["original_max_position_embeddings"])?;
        keys.set_u32("rope.scaling.original_context_length", Some(length));
    }
    if config.get(&["llama_4_scaling"]).is_some() {
        let beta = config.section("llama_4_scaling")?.require_f32(&["beta"])?;
        keys.set_f32("attention.temperature_scale", Some(beta));
    }
    Ok(())
}

/// What DeepSeek's checkpoints call the tensor.
fn deepseek_name(name: &str) -> String {
    let mut name = name.to_owned();
    for (here, there) in [(".qscale_act", ".input_scale"), (".qscale_weight", ".weight_scale")] {
        if name.ends_with(here) {
            name = name.replace(here, there);
        }
    }
    name = name.replace(".wkv_b.", ".kv_b_proj.");
    if !name.contains(".experts.") {
        return name;
    }
    name = name.replace(".experts.", ".mlp.experts.");
    for (here, there) in [(".w1.", ".gate_proj."), (".w2.", ".down_proj."), (".w3.", ".up_proj.")] {
        name = name.replace(here, there);
    }
    format!("model.{name}")
}
