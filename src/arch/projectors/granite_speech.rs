//! What hears in Granite Speech (`GraniteSpeechMmprojModel`, `GraniteSpeechPlusMmprojModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::dtype::GgmlType;
use crate::error::Result;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, batch_norm, keys};

pub(super) const GRANITE_SPEECH: Projector = Projector {
    names: &["GraniteSpeechForConditionalGeneration"],
    vision: false,
    audio: true,
    audio_config: &["encoder_config"],
    prepare,
    keys: key_values,
    rename: |name| {
        let unused = name.contains("attention_dists") || name.contains("num_batches_tracked");
        (!unused).then(|| name.to_owned())
    },
    emit,
    ggml_type: |_, source, _| {
        let ours = source.contains("encoder") || source.contains("projector");
        (ours && source.contains(".conv") && source.contains(".weight")).then_some(GgmlType::F32)
    },
    ..PLAIN
};

pub(super) const GRANITE_SPEECH_PLUS: Projector = Projector {
    names: &["GraniteSpeechPlusForConditionalGeneration"],
    keys: |input, keys| {
        key_values(input, keys)?;
        joined_layers(input, keys)
    },
    ..GRANITE_SPEECH
};

/// Settings by their usual names.
fn prepare(input: &mut Input) -> Result<()> {
    let audio = &mut input.audio;
    let width = audio.require_u32(&["hidden_dim"])?;
    let factor = audio.require_u32(&["feedforward_mult"])?;
    audio.set("hidden_size", width);
    audio.set("intermediate_size", keys::times(audio, "feedforward_mult", width, factor)?);
    for (to, from) in [("num_attention_heads", "num_heads"), ("num_hidden_layers", "num_layers")] {
        let value = audio.require_u32(&[from])?;
        audio.set(to, value);
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let (audio, global) = (&input.audio, &input.global);
    keys::kind(keys, "granite_speech");
    keys.set_u32("audio.num_mel_bins", Some(audio.require_u32(&["input_dim"])?));
    keys.set_f32("audio.attention.layer_norm_epsilon", Some(1e-5));
    for (key, setting) in [
        ("chunk_size", "context_size"),
        ("conv_kernel_size", "conv_kernel_size"),
        ("max_pos_emb", "max_pos_emb"),
    ] {
        keys.set_u32(&format!("audio.{key}"), Some(audio.require_u32(&[setting])?));
    }
    for setting in ["window_size", "downsample_rate"] {
        keys.set_u32(&format!("audio.projector.{setting}"), Some(global.require_u32(&[setting])?));
    }
    let heads = global.section("projector_config")?.require_u32(&["num_attention_heads"])?;
    keys.set_u32("audio.projector.head_count", Some(heads));
    Ok(())
}

/// The layers whose outputs the projector reads beside the last one's.
fn joined_layers(input: &Input, keys: &mut Keys) -> Result<()> {
    const LAYERS: &str = "cat_hidden_layers";
    let Some(layers) = input.audio.numbers(LAYERS)?.filter(|layers| !layers.is_empty()) else {
        return Ok(());
    };
    keys::set_numbers(keys, &input.audio, "audio.feature_layer", &layers)?;
    let width = u64::from(input.audio.require_u32(&["hidden_dim"])?);
    let expected = width.checked_mul(layers.len() as u64 + 1);
    let found = input.global.section("projector_config")?.require_u32(&["encoder_hidden_size"])?;
    if expected != Some(found.into()) {
        return Err(input.global.invalid(format!(
            "encoder_hidden_size of projector_config: expected {width} for each of {} layers of {LAYERS} and the last, found {found}",
            layers.len()
        )));
    }
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let name = &tensor.name;
    if name.contains("batch_norm") && name.contains("encoder.layers.") {
        return batch_norm::fold(input, builder, &tensor, false);
    }
    if name.contains(".attn.to_kv.weight") {
        let (key, value) = tensor.expr.halves(0)?;
        builder.add_named(name.replace("to_kv", "to_k"), tensor.layer, key)?;
        return builder.add_named(name.replace("to_kv", "to_v"), tensor.layer, value);
    }
    // Convolutions over one element, or of one channel, are matrices.
    if name.ends_with(".weight") {
        let pointwise = name.contains("up_conv") || name.contains("down_conv");
        tensor.expr = match *tensor.expr.shape() {
            [n, channels, 1] if pointwise => tensor.expr.reshape(&[n, channels])?,
            [n, 1, width] if name.contains("depth_conv") => tensor.expr.reshape(&[n, width])?,
            _ => tensor.expr,
        };
    }
    builder.add(tensor)
}
