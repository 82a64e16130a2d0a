//! What hears in Qwen 2 Audio, Ultravox, MERaLiON 2, Voxtral, Audio Flamingo 3 and GLM-ASR: encoders like Whisper's
//! (`WhisperEncoderModel` and what derives from it, `GlmASRWhisperEncoderModel` of the reference).

use crate::arch::Keys;
use crate::arch::tensors::Tensor;
use crate::dtype::GgmlType;
use crate::error::Result;
use crate::tensor::TensorExpr;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const QWEN2_AUDIO: Projector = Projector {
    names: &["Qwen2AudioForConditionalGeneration"],
    vision: false,
    audio: true,
    prepare,
    keys: |input, keys| key_values(input, keys, "qwen2a"),
    // Vision parts have tensors of that name, too.
    rename: |name| match name.starts_with("multi_modal_projector") {
        true => Some(format!("audio.{name}")),
        false => Some(name.to_owned()),
    },
    emit,
    ggml_type: |_, source, _| is_convolution(source).then_some(GgmlType::F16),
    ..PLAIN
};

pub(super) const ULTRAVOX: Projector = Projector {
    names: &["UltravoxModel"],
    keys: |input, keys| {
        key_values(input, keys, "ultravox")?;
        keys.set_u32(STACK, Some(input.global.require_u32(&["stack_factor"])?));
        Ok(())
    },
    ..QWEN2_AUDIO
};

pub(super) const VOXTRAL: Projector = Projector {
    names: &["VoxtralForConditionalGeneration"],
    keys: |input, keys| {
        key_values(input, keys, "voxtral")?;
        keys.set_u32(STACK, Some(4));
        Ok(())
    },
    ..QWEN2_AUDIO
};

pub(super) const AUDIO_FLAMINGO3: Projector = Projector {
    names: &["AudioFlamingo3ForConditionalGeneration"],
    keys: |input, keys| key_values(input, keys, "musicflamingo"),
    ggml_type: |_, source, _| is_convolution(source).then_some(GgmlType::F32),
    ..QWEN2_AUDIO
};

pub(super) const MERALION2: Projector = Projector {
    names: &["MERaLiON2ForConditionalGeneration"],
    audio_config: &["speech_config"],
    keys: |input, keys| {
        key_values(input, keys, "meralion")?;
        let factor = keys::u32_or(&input.global, "speech_mlp_scale_factor", 15)?;
        keys.set_u32(STACK, Some(factor));
        Ok(())
    },
    rename: |name| match name.strip_prefix("speech_encoder.") {
        Some(_) => Some(name.replace("speech_encoder.", "audio_tower.")),
        None => (!name.starts_with("text_decoder.")).then(|| name.to_owned()),
    },
    emit: emit_meralion,
    ..QWEN2_AUDIO
};

pub(super) const GLM_ASR: Projector = Projector {
    names: &["GlmasrModel"],
    keys: |input, keys| {
        key_values(input, keys, "glma")?;
        keys.set_u32(STACK, Some(input.global.require_u32(&["merge_factor"])?));
        Ok(())
    },
    rename: rename_glm,
    emit: emit_glm,
    ..QWEN2_AUDIO
};

const STACK: &str = "audio.projector.stack_factor";

/// Settings by their usual names, which Whisper's are not.
pub(super) fn prepare(input: &mut Input) -> Result<()> {
    let audio = &mut input.audio;
    if ["hidden_size", "intermediate_size"].iter().any(|key| audio.map().contains_key(*key)) {
        return Ok(());
    }
    usual_names(input)
}

/// [`prepare`], whatever there is under the usual names.
pub(super) fn usual_names(input: &mut Input) -> Result<()> {
    let audio = &mut input.audio;
    for (to, from) in [
        ("hidden_size", "d_model"),
        ("intermediate_size", "encoder_ffn_dim"),
        ("num_attention_heads", "encoder_attention_heads"),
    ] {
        let value = audio.require_u32(&[from])?;
        audio.set(to, value);
    }
    Ok(())
}

fn key_values(input: &Input, keys: &mut Keys, kind: &str) -> Result<()> {
    keys::common(input, keys)?;
    keys::kind(keys, kind);
    mel_and_epsilon(input, keys)
}

/// Adds what all encoders like Whisper's have of their own.
pub(super) fn mel_and_epsilon(input: &Input, keys: &mut Keys) -> Result<()> {
    keys.set_u32("audio.num_mel_bins", Some(input.audio.require_u32(&["num_mel_bins"])?));
    keys::audio_epsilon(keys, &input.audio, &["layer_norm_eps"], 1e-5)
}

pub(super) fn is_convolution(source: &str) -> bool {
    source.contains(".conv") && source.contains(".weight")
}

/// Biases of convolutions are columns.
pub(super) fn emit(_: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if ["conv1.bias", "conv2.bias"].iter().any(|bias| tensor.name.contains(bias)) {
        tensor.expr = with_ones(tensor.expr, 1)?;
    }
    builder.add(tensor)
}

/// The same with `count` more dimensions of 1 at the end.
pub(super) fn with_ones(expr: TensorExpr, count: usize) -> Result<TensorExpr> {
    let shape = [expr.shape(), &vec![1; count]].concat();
    expr.reshape(&shape)
}

/// The same with a dimension of 1 before the others.
pub(super) fn with_ones_before(expr: TensorExpr) -> Result<TensorExpr> {
    let shape = [&[1], expr.shape()].concat();
    expr.reshape(&shape)
}

fn emit_meralion(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let kind = tensor.name.rsplit('.').next().unwrap_or_default().to_owned();
    if tensor.name.starts_with("ln_speech.") {
        return builder.add_as(format!("mm.a.norm_pre.{kind}"), tensor.layer, tensor.expr);
    }
    if tensor.name.starts_with("speech_audio_adapter.") {
        let parts = [".mlp_adapter.0.", ".gate_proj.", ".pool_proj.", ".out_proj."];
        return match parts.iter().position(|part| tensor.name.contains(part)) {
            Some(number) => builder.add_as(format!("mm.a.mlp.{number}.{kind}"), tensor.layer, tensor.expr),
            None => Ok(()),
        };
    }
    emit(input, builder, tensor)
}

fn rename_glm(name: &str) -> Option<String> {
    if ["model.", "lm_head."].iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let mut name = match name.starts_with("audio_encoder.whisper.") {
        true => name.replace("audio_encoder.whisper.", "audio_tower."),
        false => name.to_owned(),
    };
    if name.contains("audio_encoder.layer_norm.") || name.contains("audio_encoder.proj.") {
        name = name.replace("audio_encoder.", "audio_encoder.adapting.");
    }
    if name.starts_with("audio_encoder.adapting.") {
        name = name.replace("audio_encoder.adapting.", "audio.multi_modal_projector.");
        for (from, to) in [(".layer_norm.", ".ln_pre."), (".0.", ".linear_1."), (".2.", ".linear_2.")] {
            name = name.replace(from, to);
        }
    }
    Some(name)
}

fn emit_glm(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if !tensor.name.starts_with("audio_encoder.audio_bos_eos_token.") {
        return emit(input, builder, tensor);
    }
    let shape = tensor.expr.shape().to_vec();
    let rest = match shape.split_first() {
        Some((rows, rest)) if *rows >= 2 => rest,
        _ => {
            let problem = format!("{}: expected two rows, found shape {shape:?}", tensor.name);
            return Err(builder.invalid(problem));
        }
    };
    for (row, name) in [(0, "model.vision.boi"), (1, "model.vision.eoi")] {
        let expr = tensor.expr.clone().rows(row, row + 1)?.reshape(rest)?;
        builder.add_named(name.to_owned(), tensor.layer, expr)?;
    }
    Ok(())
}
