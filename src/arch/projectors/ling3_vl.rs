//! What sees in Ling 3 VL: Qwen 3 VL's encoder with another projector (`BailingMoeV3VLVisionModel` of the reference).

use crate::arch::Keys;
use crate::error::Result;
use crate::json::Value as Json;

use super::keys;
use super::qwen3_vl::{QWEN3_VL, emit, prepare};
use super::{Input, Projector};

pub(super) const LING3_VL: Projector = Projector {
    names: &["BailingMoeV3VLForConditionalGeneration"],
    prepare: |input| {
        prepare(input)?;
        if input.vision.map().get("disable_merger_proj") != Some(&Json::Bool(true)) {
            return Err(input.vision.unsupported("disable_merger_proj: expected true"));
        }
        if input.vision.get(&["out_hidden_size"]).is_none() {
            return Err(input.vision.invalid("out_hidden_size: expected a size, found nothing"));
        }
        Ok(())
    },
    keys: key_values,
    rename,
    emit: |input, builder, tensor| {
        let merged = tensor.name.strip_prefix("visual.merger.norm.");
        if let Some(kind) = merged.filter(|kind| matches!(*kind, "weight" | "bias")) {
            return builder.add_as(format!("mm.input_norm.{kind}"), tensor.layer, tensor.expr);
        }
        if ["mm.0.", "mm.2."].iter().any(|prefix| tensor.name.starts_with(prefix)) {
            return builder.add_as(tensor.name, tensor.layer, tensor.expr);
        }
        emit(input, builder, tensor)
    },
    ..QWEN3_VL
};

fn rename(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("linear_proj.") {
        return Some(format!("mm.{rest}"));
    }
    (QWEN3_VL.rename)(name)
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "ling3vl");
    keys.set_bool("use_gelu", Some(true));
    keys.set_u32("vision.spatial_merge_size", input.vision.u32(&["spatial_merge_size"])?);
    let text = input.global.optional_section("text_config")?;
    keys::epsilon(keys, &text, &["rms_norm_eps"], 1e-6)
}
