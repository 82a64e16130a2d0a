//! What sees in Llama 4 (`Llama4VisionModel` of the reference).

use crate::arch::Keys;
use crate::error::Result;

use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const LLAMA4: Projector = Projector {
    names: &["Llama4ForConditionalGeneration"],
    keys: key_values,
    rename: |name| {
        let seen = name.contains("multi_modal_projector") || name.contains("vision_model");
        let unsaid = name.contains("positional_embedding_vlm") && !name.contains(".weight");
        seen.then(|| if unsaid { format!("{name}.weight") } else { name.to_owned() })
    },
    // One layer, in spite of its name.
    emit: |_, builder, tensor| match tensor.name.contains("multi_modal_projector.linear_1") {
        true => builder.add_as("mm.model.fc.weight", tensor.layer, tensor.expr),
        false => builder.add(tensor),
    },
    ..PLAIN
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let vision = &input.vision;
    keys::kind(keys, "llama4");
    keys.set_f32("vision.attention.layer_norm_epsilon", Some(vision.require_f32(&["norm_eps"])?));
    keys.set_u32("vision.projector.scale_factor", Some(keys::inverse(vision, "pixel_shuffle_ratio")?));
    match vision.str(&["hidden_act"])? {
        Some("gelu") => keys.set_bool("use_gelu", Some(true)),
        other => {
            let found = crate::input::quoted(other.unwrap_or_default());
            return Err(vision.unsupported(format!("hidden_act: expected gelu, found {found}")));
        }
    }
    Ok(())
}
