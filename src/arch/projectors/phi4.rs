//! What sees in Phi-4 Vision: SigLIP 2 without its last layer (`Phi4VisionMmprojModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::error::Result;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys, patches};

pub(super) const PHI4: Projector = Projector {
    names: &["Phi4ForCausalLMV"],
    prepare,
    keys: key_values,
    rename: |name| {
        let name = name.replace("model.vision_tower.vision_tower.", "vision_tower.");
        let seen = ["vision_tower.", "model.mm_projector.", "mm_projector."]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        let unused = [".vision_model.head.", ".vision_model.post_layernorm."];
        (seen && !unused.iter().any(|part| name.contains(part))).then_some(name)
    },
    emit,
    ..PLAIN
};

const POSITIONS: &str = "vision_model.embeddings.position_embedding.weight";

fn prepare(input: &mut Input) -> Result<()> {
    let key = keys::LAYERS.into_iter().find(|key| input.vision.map().contains_key(*key));
    let key = key.unwrap_or(keys::LAYERS[0]);
    let layers = input.vision.require_u32(&[key])?;
    if layers < 2 {
        return Err(input.vision.unsupported(format!("{key}: expected at least 2, found {layers}")));
    }
    input.vision.set(key, layers - 1);
    let patch = input.preprocessor.require_u32(&["patch_size"])?;
    input.vision.set("patch_size", patch);
    let positions = input.checkpoint.own_tensors().iter().find(|tensor| tensor.name.ends_with(POSITIONS));
    let rows = positions.and_then(|tensor| tensor.shape.first().copied());
    let side = rows.map(u64::isqrt).filter(|side| Some(side * side) == rows);
    let size = side.and_then(|side| u32::try_from(side).ok()?.checked_mul(patch));
    let size = size.ok_or_else(|| {
        input.global.invalid(format!("expected a square number of positions in {POSITIONS}, found {rows:?}"))
    })?;
    input.vision.set("image_size", size);
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "phi4");
    let side = u64::from(input.vision.require_u32(&["patch_size"])?);
    for (key, setting) in [("min", "min_num_patches"), ("max", "max_num_patches")] {
        let own = input.preprocessor.map().contains_key(setting);
        let config = if own { &input.preprocessor } else { &input.global };
        let patches = config.require_u32(&[setting])?;
        keys.set_u32(
            &format!("vision.image_{key}_pixels"),
            Some(keys::pixels(config, setting, patches, side)?),
        );
    }
    keys.set_bool("use_gelu", Some(true));
    keys::epsilon(keys, &input.vision, &["layer_norm_eps"], 1e-6)
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.starts_with("vision_tower.") {
        if tensor.layer == Some(input.layers.into()) {
            return Ok(());
        }
        if tensor.name.ends_with("vision_model.embeddings.patch_embedding.weight") {
            let side = u64::from(input.vision.require_u32(&["patch_size"])?);
            let columns = tensor.expr.shape().get(1).copied().unwrap_or(0);
            let channels = side.checked_mul(side).and_then(|area| columns.checked_div(area)).unwrap_or(0);
            tensor.expr = patches::of_linear(builder, &tensor, side, channels)?;
        }
        return builder.add(tensor);
    }
    let own = tensor.name.replace("model.mm_projector.", "").replace("mm_projector.", "");
    let kind = if own.ends_with(".bias") { "bias" } else { "weight" };
    match ["0", "2"].iter().find(|number| own.starts_with(&format!("{number}."))) {
        Some(number) => builder.add_as(format!("mm.{number}.{kind}"), tensor.layer, tensor.expr),
        None => Ok(()),
    }
}
