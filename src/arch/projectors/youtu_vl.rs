//! What sees in Youtu-VL: SigLIP 2 (`YoutuVLVisionModel` of the reference).

use crate::arch::Keys;
use crate::error::Result;
use crate::input::quoted;

use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const YOUTU_VL: Projector = Projector {
    names: &["YoutuVLForConditionalGeneration"],
    prepare: |input| {
        if !input.vision.map().contains_key("image_size") {
            input.vision.set("image_size", 560);
        }
        Ok(())
    },
    keys: key_values,
    rename: |name| {
        let text = ["lm_head.", "model.layers.", "model.embed_tokens.", "model.norm."];
        (!text.iter().any(|prefix| name.starts_with(prefix))).then(|| name.to_owned())
    },
    // Whatever else the checkpoint holds is left out.
    emit: |_, builder, tensor| match builder.resolve(&tensor.name) {
        Ok(name) => builder.add_as(name, tensor.layer, tensor.expr),
        Err(_) => Ok(()),
    },
    ..PLAIN
};

/// Names of functions that llama.cpp computes as it does GELU.
const GELU: [&str; 5] = ["gelu", "gelu_pytorch_tanh", "gelu_fast", "gelu_new", "gelu_accurate"];

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let vision = &input.vision;
    keys::kind(keys, "youtuvl");
    keys::epsilon(keys, vision, &["layer_norm_eps"], 1e-6)?;
    match vision.str(&["hidden_act"])?.unwrap_or("gelu_pytorch_tanh").to_lowercase().as_str() {
        "silu" => keys.set_bool("use_silu", Some(true)),
        known if GELU.contains(&known) => keys.set_bool("use_gelu", Some(true)),
        other => return Err(vision.unsupported(format!("hidden_act: {} is not supported", quoted(other)))),
    }
    keys.set_u32("vision.spatial_merge_size", Some(keys::u32_or(vision, "spatial_merge_size", 2)?));
    keys.set_u32("vision.window_size", vision.u32(&["window_size"])?);
    let layers = vision.numbers("fullatt_block_indexes")?;
    let layers = layers
        .ok_or_else(|| vision.invalid("fullatt_block_indexes: expected a list of layers, found nothing"))?;
    keys::set_numbers(keys, vision, "vision.wa_layer_indexes", &layers)
}
