//! What sees in Kimi K2.5 and GLM-5V: MoonViT for images and video (`KimiK25Model`, `Glm5vModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;
use crate::gguf::Value;
use crate::tensor::TensorExpr;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys, qkv};

pub(super) const KIMI_K25: Projector = Projector {
    names: &["KimiK25ForConditionalGeneration"],
    prepare: |input| {
        let height = keys::u32_or(&input.vision, HEIGHT, 64)?;
        let size = keys::times(&input.vision, HEIGHT, height, patch_size(input)?)?;
        input.vision.set("image_size", size);
        Ok(())
    },
    keys: key_values,
    rename: |name| {
        let seen = name.contains("vision_tower") || name.contains("mm_projector");
        seen.then(|| name.to_owned())
    },
    emit,
    ..PLAIN
};

pub(super) const GLM5V: Projector = Projector {
    names: &["Glm5vForConditionalGeneration"],
    emit: |input, builder, mut tensor| {
        if tensor.name.starts_with("mm_projector.linear_") {
            tensor.name = tensor.name.replacen("mm_projector.linear_", "mm_projector.proj.linear_", 1);
        }
        emit(input, builder, tensor)
    },
    ..KIMI_K25
};

const HEIGHT: &str = "init_pos_emb_height";

/// The smallest image, in patches.
const FEWEST_PATCHES: u32 = 8;

fn patch_size(input: &Input) -> Result<u32> {
    keys::u32_or(&input.vision, "patch_size", 14)
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let vision = &input.vision;
    keys::kind(keys, "kimik25");
    // The reference leaves the architecture's prefix out.
    for (key, setting, default) in
        [("height", HEIGHT, 64), ("width", "init_pos_emb_width", 64), ("time", "init_pos_emb_time", 4)]
    {
        let size = keys::u32_or(vision, setting, default)?;
        keys.values.set(format!("vision.pos_emb_{key}"), Value::U32(size));
    }
    let act = vision.map().get("projector_hidden_act");
    keys.set_bool("use_gelu", Some(act.is_none_or(|act| *act == "gelu")));
    keys::epsilon(keys, vision, &["projector_ln_eps"], 1e-5)?;
    let scale = match vision.map().contains_key("merge_kernel_size") {
        true => vision.u32s("merge_kernel_size")?.and_then(|kernel| kernel.first().copied()),
        false => Some(2),
    };
    keys.set_u32(
        "vision.projector.scale_factor",
        Some(scale.ok_or_else(|| vision.invalid("merge_kernel_size: expected two sizes, found none"))?),
    );
    let side = u64::from(patch_size(input)?);
    let most = keys::u32_or(&input.preprocessor, "in_patch_limit", 16384)?;
    for (key, patches) in [("min", FEWEST_PATCHES), ("max", most)] {
        let pixels = keys::pixels(&input.preprocessor, "in_patch_limit", patches, side)?;
        keys.set_u32(&format!("vision.image_{key}_pixels"), Some(pixels));
    }
    Ok(())
}

/// From rotating neighbours, for height and width in turn, to height in one half of each head and width in the other.
fn halves_for_height_and_width(
    builder: &Builder,
    name: &str,
    expr: TensorExpr,
    heads: u64,
) -> Result<TensorExpr> {
    let shape = expr.shape().to_vec();
    let rows = shape.first().copied().unwrap_or(0);
    let quarter = rows.checked_div(heads).unwrap_or(0) / 4;
    if quarter == 0 || Some(rows) != quarter.checked_mul(4).and_then(|head| head.checked_mul(heads)) {
        let problem =
            format!("{name}: expected a multiple of 4 rows for each of {heads} heads, found shape {shape:?}");
        return Err(builder.invalid(problem));
    }
    let split = [&[heads, quarter, 2, 2], &shape[1..]].concat();
    expr.reshape(&split)?.swap_axes(1, 2)?.reshape(&shape)
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.contains("wqkv") && ["weight", "bias"].iter().any(|kind| tensor.name.contains(kind)) {
        let heads = u64::from(keys::u32_or(&input.vision, "num_attention_heads", 16)?);
        let [query, key, value] = qkv::thirds(builder, &tensor)?;
        let query = halves_for_height_and_width(builder, &tensor.name, query, heads)?;
        let key = halves_for_height_and_width(builder, &tensor.name, key, heads)?;
        tensor.expr = TensorExpr::concat(vec![query, key, value])?;
    }
    if tensor.name.contains("pos_emb.time_weight") {
        let shape = tensor.expr.shape();
        let [time, 1, size] = *shape else {
            let problem = format!("{}: expected time × 1 × size, found shape {shape:?}", tensor.name);
            return Err(builder.invalid(problem));
        };
        tensor.expr = tensor.expr.reshape(&[time, size])?;
    }
    for (number, name) in [("0", "linear_1"), ("2", "linear_2")] {
        if tensor.name.contains(&format!("mm_projector.proj.{number}.")) {
            tensor.name = tensor.name.replace(&format!(".proj.{number}."), &format!(".proj.{name}."));
        }
    }
    builder.add(tensor)
}
