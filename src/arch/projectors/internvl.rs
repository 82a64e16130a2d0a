//! What sees in InternVL and Intern-S1 (`InternVisionModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;
use crate::json::Value;

use super::builder::Builder;
use super::qwen2_vl::position_type;
use super::{Input, Projector};
use super::{PLAIN, keys, qkv};

pub(super) const INTERNVL: Projector = Projector {
    names: &["InternVisionModel"],
    prepare,
    keys: key_values,
    rename,
    emit,
    ggml_type: position_type,
    ..PLAIN
};

const PREFIXES: [&str; 4] = ["vision_model", "mlp", "model.vision_tower", "model.multi_modal_projector"];

/// Names of Intern-S1's projector, and those of InternVL's.
const INTERN_S1: [(&str, &str); 3] = [
    ("model.multi_modal_projector.layer_norm.", "mlp1.0."),
    ("model.multi_modal_projector.linear_1.", "mlp1.1."),
    ("model.multi_modal_projector.linear_2.", "mlp1.3."),
];

fn rename(name: &str) -> Option<String> {
    if !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let renamed = INTERN_S1.iter().find_map(|(from, to)| {
        let kind = name.strip_prefix(from).filter(|kind| matches!(*kind, "weight" | "bias"))?;
        Some(format!("{to}{kind}"))
    });
    let mut name = renamed.unwrap_or_else(|| name.to_owned());
    if name.starts_with("vision_model") {
        name.insert_str(0, "vision_tower.");
    }
    let unsaid = [".ls", ".lambda_", "position_embedding"].iter().any(|part| name.contains(part));
    if unsaid && !name.ends_with(".weight") {
        name.push_str(".weight");
    }
    Some(name)
}

/// Images are square here, whatever the file has room for.
fn prepare(input: &mut Input) -> Result<()> {
    for key in ["image_size", "patch_size"] {
        if let Some(Value::Array(sides)) = input.vision.map().get(key) {
            let side = sides.first().cloned().unwrap_or_default();
            input.vision.set(key, side);
        }
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let (vision, global) = (&input.vision, &input.global);
    keys::kind(keys, "internvl");
    keys.set_f32("vision.attention.layer_norm_epsilon", Some(vision.require_f32(&["layer_norm_eps"])?));
    keys::activation(keys, vision)?;
    keys.set_u32("vision.projector.scale_factor", Some(keys::inverse(global, "downsample_ratio")?));
    for (key, setting) in [("min", "min_dynamic_patch"), ("max", "max_dynamic_patch")] {
        let tiles = keys::u32_or(global, setting, 0)?;
        keys.set_u32(&format!("vision.preproc_{key}_tiles"), (tiles > 0).then_some(tiles));
    }
    Ok(())
}

fn emit(_: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if tensor.name.contains(".qkv.") {
        let names = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
        return qkv::split(builder, &tensor, "attn.qkv", names);
    }
    builder.add(tensor)
}
