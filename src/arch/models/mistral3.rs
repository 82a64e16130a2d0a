//! Mistral 3 and Ministral 3 and 4 (`Mistral3Model` of the reference).

use crate::arch::{Family, Input, Keys, names};
use crate::error::Result;

use super::deepseek::{DEEPSEEK2, stacked};
use super::llama::{self, LLAMA};

pub(super) const MISTRAL3: Family = Family {
    names: &["Ministral3ForCausalLM", "Mistral3ForConditionalGeneration"],
    arch: "mistral3",
    tensors: names::MISTRAL3,
    variant: |input| match input.config.str(&["model_type"])? {
        Some("mistral4") => Ok(Some(&MISTRAL4)),
        _ => (LLAMA.variant)(input),
    },
    keys: key_values,
    ..LLAMA
};

/// Mistral 4, which is built like DeepSeek 2.
static MISTRAL4: Family = Family {
    names: &[],
    arch: "mistral4",
    tensors: names::MISTRAL4,
    variant: |_| Ok(None),
    emit: |input, builder, mut tensor| {
        if tensor.name.ends_with(".down_proj") || tensor.name.ends_with(".gate_up_proj") {
            tensor.name.push_str(".weight");
        }
        stacked(input, builder, tensor, "num_key_value_heads")
    },
    ..DEEPSEEK2
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
