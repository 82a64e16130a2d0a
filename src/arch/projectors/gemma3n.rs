//! What sees and hears in Gemma 3n: MobileNetV5 and a conformer (`Gemma3nVisionAudioModel` of the reference).

use crate::arch::tensors::{Tensor, is_decimal};
use crate::dtype::GgmlType;
use crate::error::Result;
use crate::gguf::Value;
use crate::json::Value as Json;

use super::builder::Builder;
use super::whisper::with_ones;
use super::{Input, Projector};
use super::{PLAIN, conformer, keys};

pub(super) const GEMMA3N: Projector = Projector {
    names: &["Gemma3nForConditionalGeneration"],
    audio: true,
    prepare,
    keys: |input, keys| {
        keys::common(input, keys)?;
        keys.set("vision.projector_type", Value::String("gemma3nv".into()));
        keys::epsilon(keys, &input.vision, &["layer_norm_eps"], 1e-6)?;
        keys.set("audio.projector_type", Value::String("gemma3na".into()));
        keys.set_u32("audio.num_mel_bins", Some(input.audio.require_u32(&["input_feat_size"])?));
        keys.set_f32("audio.attention.layer_norm_epsilon", Some(1e-5));
        Ok(())
    },
    emit,
    ggml_type,
    ..PLAIN
};

/// Where the blocks of the encoder are. They have two numbers, which both go into the GGUF's name.
const BLOCKS: &str = "model.vision_tower.timm_model.blocks.";

/// What a block may consist of; the same in the GGUF.
const BLOCK_TENSORS: [&str; 22] = [
    "conv_exp.weight",
    "bn1.weight",
    "conv_pwl.weight",
    "bn2.weight",
    "dw_start.conv.weight",
    "dw_start.bn.weight",
    "dw_mid.conv.weight",
    "dw_mid.bn.weight",
    "pw_exp.conv.weight",
    "pw_exp.bn.weight",
    "pw_proj.conv.weight",
    "pw_proj.bn.weight",
    "layer_scale.gamma",
    "attn.query.proj.weight",
    "attn.key.proj.weight",
    "attn.value.proj.weight",
    "attn.output.proj.weight",
    "attn.key.down_conv.weight",
    "attn.key.norm.weight",
    "attn.value.down_conv.weight",
    "attn.value.norm.weight",
    "norm.weight",
];

/// The encoder has no layers as others have them; llama.cpp wants numbers all the same.
const LAYERS: u32 = 128;

fn prepare(input: &mut Input) -> Result<()> {
    let (vision, preprocessor) = (&mut input.vision, &mut input.preprocessor);
    vision.set("n_layers", LAYERS);
    let size = keys::u32_or(vision, "intermediate_size", 2048)?;
    vision.set("intermediate_size", keys::times(vision, "intermediate_size", size, 4)?);
    let heads = keys::u32_or(vision, "num_attention_heads", 8)?;
    vision.set("num_attention_heads", heads);
    // It takes pixels as they are.
    for (key, value) in [("image_mean", 0.0), ("image_std", 1.0)] {
        preprocessor.set(key, Json::Array(vec![Json::Float(value); 3]));
    }
    let side = match preprocessor.map().contains_key("size") {
        true => preprocessor.section("size")?.require_u32(&["height"])?,
        false => 768,
    };
    vision.set("image_size", side);
    let tokens = keys::u32_or(preprocessor, "image_seq_length", 256)?;
    let patch = side.checked_div(tokens);
    let patch = patch.ok_or_else(|| preprocessor.invalid("image_seq_length: expected more than 0"))?;
    vision.set("patch_size", patch);
    let audio = &mut input.audio;
    for (to, from) in
        [("n_layers", "conf_num_hidden_layers"), ("num_attention_heads", "conf_num_attention_heads")]
    {
        let value = audio.require_u32(&[from])?;
        audio.set(to, value);
    }
    let size = keys::u32_or(audio, "intermediate_size", 6144)?;
    audio.set("intermediate_size", size);
    Ok(())
}

fn ggml_type(_: &Input, source: &str, _: &str) -> Option<GgmlType> {
    match source {
        _ if source.contains("input_proj") => Some(GgmlType::F16),
        _ if source.contains(".embeddings.") || source.contains("stem") => Some(GgmlType::F32),
        _ => conformer::ggml_type(source),
    }
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if conformer::is_audio(&tensor.name) {
        tensor.name = tensor.name.replace("model.audio_tower.conformer.", "conformer.layers.");
        return conformer::emit(input, builder, tensor);
    }
    if let Some(rest) = tensor.name.strip_prefix(BLOCKS) {
        let mut parts = rest.splitn(3, '.');
        return match [parts.next(), parts.next(), parts.next()] {
            [Some(stage), Some(block), Some(kind)]
                if is_decimal(stage) && is_decimal(block) && BLOCK_TENSORS.contains(&kind) =>
            {
                builder.add_as(format!("v.blk.{stage}.{block}.{kind}"), tensor.layer, tensor.expr)
            }
            _ => Err(builder.unknown(&tensor.name)),
        };
    }
    if !["model.embed_vision.", "model.vision_tower."].iter().any(|prefix| tensor.name.starts_with(prefix)) {
        return Ok(());
    }
    let name = builder.resolve(&tensor.name)?;
    if name.ends_with("conv_stem.conv.bias") {
        tensor.expr = super::whisper::with_ones_before(with_ones(tensor.expr, 2)?)?;
    }
    builder.add_as(name, tensor.layer, tensor.expr)
}
