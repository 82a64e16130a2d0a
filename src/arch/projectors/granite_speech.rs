//! What hears in Granite Speech: a Conformer with a query transformer (`GraniteSpeechMmprojModel`,
//! `GraniteSpeechPlusMmprojModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::dtype::GgmlType;
use crate::error::Result;

use super::builder::Builder;
use super::projector::{Input, Projector};
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
        let own = source.contains("encoder") || source.contains("projector");
        (own && source.contains(".conv") && source.contains(".weight")).then_some(GgmlType::F32)
    },
    ..PLAIN
};

pub(super) const GRANITE_SPEECH_PLUS: Projector = Projector {
    names: &["GraniteSpeechPlusForConditionalGeneration"],
    keys: |input, keys| {
        key_values(input, keys)?;
        let Some(layers) = input.audio.numbers("cat_hidden_layers")?.filter(|layers| !layers.is_empty())
        else {
            return Ok(());
        };
        keys::set_numbers(keys, &input.audio, "audio.feature_layer", &layers)?;
        let width = u64::from(input.audio.require_u32(&["hidden_dim"])?);
        let expected = width.checked_mul(layers.len() as u64 + 1);
        let found = input.global.section("projector_config")?.require_u32(&["encoder_hidden_size"])?;
        if expected != Some(found.into()) {
            return Err(input.global.invalid(format!(
                "projector_config.encoder_hidden_size: expected {expected:?} for the layers that are put together, found {found}"
            )));
        }
        Ok(())
    },
    ..GRANITE_SPEECH
};

fn prepare(input: &mut Input) -> Result<()> {
    let audio = &mut input.audio;
    let width = audio.require_u32(&["hidden_dim"])?;
    let inner = keys::times(audio, "feedforward_mult", width, audio.require_u32(&["feedforward_mult"])?)?;
    let (heads, layers) = (audio.require_u32(&["num_heads"])?, audio.require_u32(&["num_layers"])?);
    for (key, size) in [
        ("hidden_size", width),
        ("intermediate_size", inner),
        ("num_attention_heads", heads),
        ("num_hidden_layers", layers),
    ] {
        audio.set(key, size);
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, "granite_speech");
    keys.set_u32("audio.num_mel_bins", Some(input.audio.require_u32(&["input_dim"])?));
    keys.set_f32("audio.attention.layer_norm_epsilon", Some(1e-5));
    for (key, setting) in [
        ("chunk_size", "context_size"),
        ("conv_kernel_size", "conv_kernel_size"),
        ("max_pos_emb", "max_pos_emb"),
    ] {
        keys.set_u32(&format!("audio.{key}"), Some(input.audio.require_u32(&[setting])?));
    }
    let global = &input.global;
    keys.set_u32("audio.projector.window_size", Some(global.require_u32(&["window_size"])?));
    keys.set_u32("audio.projector.downsample_rate", Some(global.require_u32(&["downsample_rate"])?));
    let heads = global.section("projector_config")?.require_u32(&["num_attention_heads"])?;
    keys.set_u32("audio.projector.head_count", Some(heads));
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.contains("batch_norm") && tensor.name.contains("encoder.layers.") {
        let prefix = format!("encoder.layers.{}.conv.batch_norm", tensor.layer.unwrap_or(0));
        return batch_norm::fold(input, builder, &tensor, &prefix);
    }
    if tensor.name.contains(".attn.to_kv.weight") {
        let (key, value) = tensor.expr.halves(0)?;
        builder.add_named(tensor.name.replace("to_kv", "to_k"), tensor.layer, key)?;
        return builder.add_named(tensor.name.replace("to_kv", "to_v"), tensor.layer, value);
    }
    if tensor.name.ends_with(".weight") {
        let point = tensor.name.contains("up_conv") || tensor.name.contains("down_conv");
        match *tensor.expr.shape() {
            [rows, columns, 1] if point => tensor.expr = tensor.expr.reshape(&[rows, columns])?,
            [rows, 1, width] if tensor.name.contains("depth_conv") => {
                tensor.expr = tensor.expr.reshape(&[rows, width])?;
            }
            _ => {}
        }
    }
    builder.add(tensor)
}
