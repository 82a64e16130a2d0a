//! What sees in Janus Pro (`JanusProVisionModel` of the reference). What draws is left out.

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const JANUS: Projector = Projector {
    names: &["JanusForConditionalGeneration"],
    prepare,
    keys: key_values,
    rename: |name| {
        let own = name.strip_prefix("model.").unwrap_or(name);
        (!DRAWS.iter().any(|prefix| own.starts_with(prefix))).then(|| name.to_owned())
    },
    emit,
    ..PLAIN
};

const DRAWS: [&str; 4] = ["vqmodel.", "generation_embeddings.", "generation_aligner.", "generation_head."];

fn prepare(input: &mut Input) -> Result<()> {
    let vision = &mut input.vision;
    if !vision.map().contains_key("intermediate_size")
        && let (Some(ratio), Some(hidden)) = (vision.f64(&["mlp_ratio"])?, vision.u32(&["hidden_size"])?)
    {
        let size = keys::rounded(vision, "mlp_ratio", f64::from(hidden) * ratio)?;
        vision.set("intermediate_size", size);
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "janus_pro");
    keys::epsilon(keys, &input.vision, &["layer_norm_eps"], 1e-6)?;
    keys::activation_if_known(keys, &input.vision)
}

fn emit(_: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let own = tensor.name.strip_prefix("model.").unwrap_or(&tensor.name);
    let Some(part) = own.strip_prefix("aligner.") else {
        return if own.starts_with("vision_model.") { builder.add(tensor) } else { Ok(()) };
    };
    let number = match part.strip_prefix("hidden_layers.") {
        Some(rest) => rest.split_once('.').and_then(|(number, _)| number.parse::<u32>().ok()?.checked_add(1)),
        None => part.starts_with("fc1.").then_some(0),
    };
    let kind = if tensor.name.ends_with(".bias") { "bias" } else { "weight" };
    let Some(number) = number else {
        return Err(builder.unknown(&tensor.name));
    };
    builder.add_as(format!("mm.{number}.{kind}"), tensor.layer, tensor.expr)
}
