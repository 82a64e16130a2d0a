//! What a GGUF does not hold although the checkpoint does.
//!
//! Found by looking at which tensors of the checkpoint no output refers to: whatever the reason for which a family
//! passed one over, it is named here.

use std::fmt;

use indicatif::DecimalBytes;
use serde_json::{Value, json};

use crate::arch;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::input::quoted;
use crate::tensor::{Leaf, OutputTensor, Piece};

/// Tensors of the checkpoint that are not in the GGUF, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The reason.
    pub what: LeftOut,
    /// How many tensors.
    pub tensors: usize,
    /// How many bytes they have in the checkpoint.
    pub bytes: u64,
    /// The first of them by name.
    pub example: String,
    /// Whether another conversion writes them: that of the model's projector.
    pub projected: bool,
}

/// Why tensors are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// They see: a text model does without, a projector would hold them.
    Vision,
    /// They hear or speak: likewise.
    Audio,
    /// Layers for multi-token prediction, beyond the model's own.
    Prediction,
    /// They said how weights are quantized, and what they said went into the weights.
    Quantization,
    /// Nothing in the architecture refers to them: buffers that are computed anew, copies of tied tensors, others.
    Unused,
}

impl LeftOut {
    /// Stable identifier.
    pub fn id(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Audio => "audio",
            Self::Prediction => "prediction",
            Self::Quantization => "quantization",
            Self::Unused => "unused",
        }
    }

    /// In words, after a number of tensors.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Vision => "of the vision part, which a GGUF for text does not hold",
            Self::Audio => "of the audio part, which a GGUF for text does not hold",
            Self::Prediction => "of layers for multi-token prediction",
            Self::Quantization => "about how weights are quantized",
            Self::Unused => "that the architecture does not use",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, tensors, bytes, example, projected } = self;
        let (bytes, why, example) = (DecimalBytes(*bytes), what.explanation(), quoted(example));
        match tensors {
            1 => write!(f, "left out: 1 tensor {why} ({bytes}): {example}")?,
            n => write!(f, "left out: {n} tensors {why} ({bytes}), {example} first")?,
        }
        if *projected { write!(f, "; --mmproj converts that part alone, --with-mmproj both") } else { Ok(()) }
    }
}

impl Note {
    /// The note for machines; the keys are a promise.
    pub fn to_json(&self) -> Value {
        let Self { what, tensors, bytes, example, .. } = self;
        json!({"what": what.id(), "explanation": what.explanation(), "tensors": tensors, "bytes": bytes, "example": example})
    }
}

/// Parts of names that belong to what sees, and to what hears, between dots.
const VISION: [&str; 12] = [
    "visual",
    "vision_tower",
    "vision_model",
    "vision_encoder",
    "vision",
    "vit",
    "image_newline",
    "img_processor",
    "multi_modal_projector",
    "mm_projector",
    "vision_language_adapter",
    "embed_vision",
];
const AUDIO: [&str; 8] = [
    "audio_tower",
    "audio_encoder",
    "audio_model",
    "audio",
    "talker",
    "token2wav",
    "code2wav",
    "embed_audio",
];

/// Ends of names of tensors about quantized weights that become no part of them.
const QUANTIZATION: [&str; 12] = [
    ".g_idx",
    ".weight_shape",
    ".quant_map",
    ".nested_quant_map",
    ".bitsandbytes__nf4",
    ".bitsandbytes__fp4",
    ".weight_format",
    ".weight_scale_2",
    ".input_scale",
    ".k_scale",
    ".v_scale",
    "activation_scale",
];

/// What of `checkpoint` is in none of `tensors`, by reason.
pub fn left_out<'t>(
    checkpoint: &Checkpoint,
    tensors: impl IntoIterator<Item = &'t OutputTensor>,
    config: &Config,
) -> Vec<Note> {
    let mut used = vec![false; checkpoint.tensors.len()];
    let mut use_it = |index: usize| {
        if let Some(used) = used.get_mut(index) {
            *used = true;
        }
    };
    for tensor in tensors {
        tensor.expr.pieces().iter().for_each(|piece| sources(piece, &mut use_it));
    }
    let layers = arch::own_layers(config);
    let has_projector = has_projector(config);
    let mut notes: Vec<Note> = Vec::new();
    for (tensor, _) in checkpoint.tensors.iter().zip(used).filter(|(_, used)| !used) {
        let what = reason(&tensor.name, layers);
        match notes.iter_mut().find(|note| note.what == what) {
            Some(note) => {
                note.tensors += 1;
                note.bytes += tensor.len;
            }
            None => {
                let (bytes, example) = (tensor.len, tensor.name.clone());
                let projected = has_projector && matches!(what, LeftOut::Vision | LeftOut::Audio);
                notes.push(Note { what, tensors: 1, bytes, example, projected });
            }
        }
    }
    notes.sort_by_key(|note| note.what);
    notes
}

/// Whether what sees or hears in the model can be converted.
fn has_projector(config: &Config) -> bool {
    let of_vision = config.map().get("vision_config").and_then(|vision| vision.get("architectures"));
    let named = of_vision.and_then(|names| names.first()?.as_str()).or(config.origin_architecture());
    named.is_some_and(arch::has_projector) || config.map().contains_key("vision_encoder")
}

/// Tells `found` of every source that `piece` is made of.
fn sources(piece: &Piece, found: &mut impl FnMut(usize)) {
    match &piece.leaf {
        Leaf::Source(index) => found(*index),
        Leaf::Codes(codes) => found(codes.source),
        Leaf::Values(_) | Leaf::Integers(_) | Leaf::Zeros => {}
    }
    piece.arithmetic.iter().for_each(|step| step.sources(&mut |index| found(*index)));
}

/// Why a tensor called `name` is left out, of a model with `layers` layers of its own.
fn reason(name: &str, layers: u64) -> LeftOut {
    let parts = || name.split('.');
    let layer = parts().skip_while(|part| *part != "layers").nth(1).and_then(|part| part.parse::<u64>().ok());
    if parts().any(|part| VISION.contains(&part)) {
        LeftOut::Vision
    } else if parts().any(|part| AUDIO.contains(&part)) {
        LeftOut::Audio
    } else if parts().next() == Some("mtp") || layer.is_some_and(|layer| layer >= layers) {
        LeftOut::Prediction
    } else if QUANTIZATION.iter().any(|end| name.ends_with(end)) {
        LeftOut::Quantization
    } else {
        LeftOut::Unused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_why() {
        for (name, what) in [
            ("visual.blocks.0.attn.qkv.weight", LeftOut::Vision),
            ("model.vision_tower.patch_embed.weight", LeftOut::Vision),
            ("multi_modal_projector.linear_1.bias", LeftOut::Vision),
            ("thinker.audio_tower.conv1.weight", LeftOut::Audio),
            ("talker.model.layers.0.mlp.up_proj.weight", LeftOut::Audio),
            ("model.layers.61.eh_proj.weight", LeftOut::Prediction),
            ("mtp.layers.0.norm.weight", LeftOut::Prediction),
            ("model.layers.60.self_attn.rotary_emb.inv_freq", LeftOut::Unused),
            ("model.layers.x.norm.weight", LeftOut::Unused),
            ("model.layers.0.mlp.up_proj.g_idx", LeftOut::Quantization),
            ("lm_head.weight", LeftOut::Unused),
        ] {
            assert_eq!(reason(name, 61), what, "{name}");
        }
    }
}
