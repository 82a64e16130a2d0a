//! What sees in Kimi-VL: MoonViT (`KimiVLModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys, qkv};

pub(super) const KIMI_VL: Projector = Projector {
    names: &["KimiVLForConditionalGeneration"],
    prepare: |input| {
        input.vision.set("image_size", 64 * 14);
        Ok(())
    },
    keys: key_values,
    rename: |name| {
        let seen = name.contains("vision_tower") || name.contains("multi_modal_projector");
        seen.then(|| name.to_owned())
    },
    emit,
    ..PLAIN
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "kimivl");
    keys.set_bool("use_gelu", Some(true));
    keys.set_u32("vision.projector.scale_factor", Some(2));
    keys::epsilon(keys, &input.vision, &["layer_norm_eps"], 1e-5)
}

fn emit(_: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.contains("pos_emb.weight") {
        let shape = tensor.expr.shape();
        let [height, width, size] = *shape else {
            let problem = format!("{}: expected height × width × size, found shape {shape:?}", tensor.name);
            return Err(builder.invalid(problem));
        };
        tensor.expr = tensor.expr.reshape(&[height * width, size])?;
    }
    if tensor.name.contains("wqkv") {
        return qkv::split(builder, &tensor, "wqkv", ["wq", "wk", "wv"]);
    }
    builder.add(tensor)
}
