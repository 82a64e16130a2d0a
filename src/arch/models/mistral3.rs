//! Mistral 3 and Ministral 3 (`Mistral3Model` of the reference).

use crate::arch::{Family, Input, Keys, names};
use crate::error::Result;

use super::llama::{self, LLAMA};

pub(super) const MISTRAL3: Family = Family {
    names: &["Ministral3ForCausalLM", "Mistral3ForConditionalGeneration"],
    arch: "mistral3",
    tensors: names::MISTRAL3,
    variant: |input| match input.config.str(&["model_type"])? {
        Some("mistral4") => Err(input.config.unsupported("model_type \"mistral4\" is not supported yet")),
        _ => (LLAMA.variant)(input),
    },
    keys: key_values,
    ..LLAMA
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    llama::key_values_of(input, input.config, keys)?;
    if input.config.str(&["model_type"])? != Some("ministral3") {
        return Ok(());
    }
    if input.rope.str(&["rope_type"])? != Some("yarn") {
        return Err(input.config.unsupported("ministral3 with another rope_type than \"yarn\""));
    }
    let get = |key: &str| input.rope.require_f32(&[key]).map(Some);
    keys.set_f32("rope.scaling.yarn_log_multiplier", get("mscale_all_dim")?);
    keys.set_f32("attention.temperature_scale", get("llama_4_scaling_beta")?);
    Ok(())
}
