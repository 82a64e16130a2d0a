//! What sees in Idefics 3 and SmolVLM: SigLIP (`SmolVLMModel` of the reference).

use crate::arch::Keys;
use crate::dtype::GgmlType;
use crate::error::Result;

use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const IDEFICS3: Projector = Projector {
    names: &["Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration"],
    prepare,
    keys: key_values,
    rename: |name| {
        let seen = ["vision_tower", "vision_model", "model.connector"].iter().any(|part| name.contains(part));
        seen.then(|| name.to_owned())
    },
    ggml_type: |_, source, _| source.contains(".embeddings.").then_some(GgmlType::F32),
    ..PLAIN
};

fn prepare(input: &mut Input) -> Result<()> {
    if input.vision.str(&["model_type"])? == Some("smolvlm_vision") {
        for (key, size) in [("hidden_size", 1152), ("num_attention_heads", 16), ("intermediate_size", 3072)] {
            if !input.vision.map().contains_key(key) {
                input.vision.set(key, size);
            }
        }
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "idefics3");
    keys::epsilon(keys, &input.vision, &["layer_norm_eps"], 1e-5)?;
    let scale = keys::u32_or(&input.global, "scale_factor", 2)?;
    keys.set_u32("vision.projector.scale_factor", Some(scale));
    keys.set_bool("use_gelu", Some(true));
    let size = input.preprocessor.section("size")?;
    let longest = match size.map().contains_key("longest_edge") {
        true => size.require_u32(&["longest_edge"])?,
        false => input.vision.require_u32(&["image_size"])?,
    };
    keys.set_u32("vision.preproc_image_size", Some(longest));
    Ok(())
}
