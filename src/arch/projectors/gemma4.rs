//! What sees and hears in Gemma 4 (`Gemma4VisionAudioModel`, `Gemma4UnifiedVisionAudioModel` of the reference).

use half::f16;

use crate::arch::Keys;
use crate::arch::contents;
use crate::arch::tensors::{self, Tensor};
use crate::dtype::{Dtype, GgmlType};
use crate::error::Result;
use crate::gguf::Value;
use crate::kernels::softplus;
use crate::tensor::TensorExpr;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const GEMMA4: Projector = Projector {
    names: &["Gemma4ForConditionalGeneration"],
    audio: true,
    prepare,
    keys: |input, keys| key_values(input, keys, ["gemma4v", "gemma4a"]),
    emit,
    ggml_type,
    ..PLAIN
};

pub(super) const GEMMA4_UNIFIED: Projector = Projector {
    names: &["Gemma4UnifiedForConditionalGeneration"],
    prepare: prepare_unified,
    keys: |input, keys| {
        key_values(input, keys, ["gemma4uv", "gemma4ua"])?;
        keys.set("audio.projector_type", Value::String("gemma4ua".into()));
        Ok(())
    },
    emit: emit_unified,
    ..GEMMA4
};

const SUFFIXES: [&str; 6] = [".weight", ".bias", ".input_max", ".input_min", ".output_max", ".output_min"];

fn prepare(input: &mut Input) -> Result<()> {
    if input.vision.map().is_empty() {
        return Err(input.global.unsupported("vision_config: expected an object; this model does not see"));
    }
    // Images are of any size; llama.cpp wants one.
    input.vision.set("image_size", 224);
    input.hears = !input.audio.map().is_empty();
    if input.hears {
        let audio = &mut input.audio;
        let features = keys::u32_or(audio, "input_feat_size", 128)?;
        audio.set("feat_in", features);
        if audio.map().contains_key("hidden_size") {
            let size = keys::times(audio, "hidden_size", audio.require_u32(&["hidden_size"])?, 4)?;
            audio.set("intermediate_size", size);
        }
    }
    Ok(())
}

/// There are no layers here; what has to be said of them is 0.
fn prepare_unified(input: &mut Input) -> Result<()> {
    prepare(input)?;
    let width = input.vision.require_u32(&["mm_embed_dim"])?;
    input.vision.set("hidden_size", width);
    let width = input.audio.require_u32(&["audio_embed_dim"])?;
    input.audio.set("hidden_size", width);
    for config in [&mut input.vision, &mut input.audio] {
        for key in ["intermediate_size", "num_layers", "num_attention_heads"] {
            config.set(key, 0);
        }
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys, [vision, audio]: [&str; 2]) -> Result<()> {
    keys::common(input, keys)?;
    keys.set("vision.projector_type", Value::String(vision.into()));
    keys::epsilon(keys, &input.vision, &["layer_norm_eps"], 1e-6)?;
    if input.hears {
        keys.set("audio.projector_type", Value::String(audio.into()));
        keys.set_u32("audio.num_mel_bins", Some(input.audio.require_u32(&["feat_in"])?));
        keys::audio_epsilon(keys, &input.audio, &["layer_norm_eps"], 1e-6)?;
    }
    Ok(())
}

fn is_audio(name: &str) -> bool {
    name.contains("audio_tower") || name.contains("embed_audio")
}

fn ggml_type(_: &Input, source: &str, _: &str) -> Option<GgmlType> {
    let convolves = source.contains(".conv") || source.contains("_conv") && source.contains(".weight");
    let exact = is_audio(source) && convolves || source.contains("position_embedding_table");
    exact.then_some(GgmlType::F32)
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.expr.shape().is_empty() {
        tensor.expr = tensor.expr.reshape(&[1])?;
    }
    tensor = match is_audio(&tensor.name) {
        true => heard(input, builder, tensor)?,
        false => seen(builder, tensor)?,
    };
    let name = builder.resolve_with(&tensor.name, &SUFFIXES)?;
    builder.add_as(name, tensor.layer, tensor.expr)
}

fn heard(input: &Input, builder: &Builder, mut tensor: Tensor) -> Result<Tensor> {
    let own = tensor.name.clone();
    tensor.name = own.replace("model.audio_tower.", "conformer.").replace(".linear.", ".");
    if tensor.name.ends_with("per_dim_key_scale") || tensor.name.ends_with("per_dim_scale") {
        let source = tensors::source(input.checkpoint, &tensor.expr);
        // torch rounds to what it was given.
        let half = source.is_some_and(|source| source.dtype == Dtype::F16);
        let softplus = |x| if half { f16::from_f32(softplus(x)).to_f32() } else { softplus(x) };
        let shape = tensor.expr.shape().to_vec();
        let scales = contents::floats(input.checkpoint, &own, &tensor.expr)?;
        tensor.expr = TensorExpr::values(scales.into_iter().map(softplus).collect()).reshape(&shape)?;
        tensor.name.push_str(".weight");
    }
    if tensor.name.contains("lconv1d.depthwise_conv1d") && tensor.name.ends_with(".weight") {
        let [channels, 1, width] = *tensor.expr.shape() else {
            let shape = tensor.expr.shape();
            return Err(
                builder.invalid(format!("{own}: expected channels × 1 × width, found shape {shape:?}"))
            );
        };
        tensor.expr = tensor.expr.reshape(&[channels, width])?;
    }
    Ok(tensor)
}

fn seen(builder: &Builder, mut tensor: Tensor) -> Result<Tensor> {
    tensor.name = tensor.name.replace("model.vision_tower.encoder.", "vision_model.model.");
    tensor.name = tensor.name.replace(".linear.weight", ".weight");
    if ["layer_scalar", "position_embedding_table"].iter().any(|end| tensor.name.ends_with(end)) {
        tensor.name.push_str(".weight");
    }
    if tensor.name.ends_with("patch_embedder.input_proj.weight") {
        let columns = tensor.expr.shape().get(1).copied().unwrap_or(0);
        tensor.expr = super::patches::of_linear(builder, &tensor, (columns / 3).isqrt(), 3)?;
    }
    Ok(tensor)
}

fn emit_unified(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.ends_with("pos_embedding") {
        tensor.name.push_str(".weight");
        tensor.expr = tensor.expr.permute(&[1, 0, 2])?;
    } else if tensor.name.contains(".pos_norm.") {
        tensor.name = tensor.name.replace(".pos_norm.", ".patch_ln3.");
    } else if tensor.name.contains("patch_dense.weight") || tensor.name.contains("patch_ln1.") {
        tensor.expr = channels_first(input, builder, &tensor)?;
    }
    emit(input, builder, tensor)
}

/// From patches row by row with all colours of a pixel to one colour after the other.
fn channels_first(input: &Input, builder: &Builder, tensor: &Tensor) -> Result<TensorExpr> {
    let config = &input.vision;
    let side = match config.map().contains_key("model_patch_size") {
        true => config.require_u32(&["model_patch_size"])?,
        false => {
            let pooled = config.require_u32(&["pooling_kernel_size"])?;
            keys::times(config, "patch_size", config.require_u32(&["patch_size"])?, pooled)?
        }
    };
    let (side, shape) = (u64::from(side), tensor.expr.shape().to_vec());
    let area = side.checked_mul(side).and_then(|area| area.checked_mul(3)).filter(|area| *area > 0);
    match *shape.as_slice() {
        [n, columns] if Some(columns) == area => {
            tensor.expr.clone().reshape(&[n, side, side, 3])?.permute(&[0, 3, 1, 2])?.reshape(&shape)
        }
        [columns] if Some(columns) == area => {
            tensor.expr.clone().reshape(&[side, side, 3])?.permute(&[2, 0, 1])?.reshape(&shape)
        }
        _ => Err(builder.invalid(format!(
            "{}: expected rows of {side} × {side} × 3 elements, found shape {shape:?}",
            tensor.name
        ))),
    }
}
