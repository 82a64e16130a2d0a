//! From the checkpoint's tensors to those a family converts: which are left out, what they are called,
//! and which element type each gets (`ModelBase` and `TextModel` of the reference).

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use hashbrown::DefaultHashBuilder;
use indexmap::IndexMap;

use crate::checkpoint::{Checkpoint, SourceTensor};
use crate::dtype::{Dtype, GgmlType};
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::tensor::{Leaf, TensorExpr};

use super::{FileType, Input, OutType};

/// Tensors of a checkpoint, in order, by the names that families know them under. There may be half a million.
pub(super) type Tensors = IndexMap<String, TensorExpr, DefaultHashBuilder>;

/// A tensor on its way from the checkpoint to the GGUF.
pub(super) struct Tensor {
    /// Its name in the checkpoint.
    pub name: String,
    /// The first number in that name, which is nearly always the layer's.
    pub layer: Option<u64>,
    pub expr: TensorExpr,
}

/// Tensors of vision, audio and speech parts: names that start with, or contain, one of these.
const OTHER_PARTS_START: [&str; 10] = [
    "mlp",
    "vit.",
    "vpm.",
    "siglip2.",
    "conformer.",
    "merger.",
    "resampler.",
    "sound_encoder.",
    "sound_projection.",
    "speech_embeddings.",
];
const OTHER_PARTS: [&str; 17] = [
    "visual.",
    "vision.",
    "audio.",
    "talker.",
    "vision_",
    "audio_",
    "token2wav.",
    "code2wav.",
    "projector.",
    "pre_mm_projector_norm",
    "image_newline",
    "view_seperator",
    "patch_embed",
    "patch_embedding",
    "patch_merger.",
    "patch_merge_mlp.",
    "model.connector.",
];

/// Buffers old checkpoints saved along with the weights.
const BUFFERS: [&str; 3] = [".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq"];

/// Weights that stay F32 whatever type is asked for.
const ALWAYS_F32: [&str; 22] = [
    "blk.{bid}.ffn_gate_inp",
    "blk.{bid}.ffn_gate_inp_shexp",
    "position_embd",
    "token_types",
    "blk.{bid}.ssm_conv1d",
    "blk.{bid}.shortconv.conv",
    "blk.{bid}.time_mix_first",
    "blk.{bid}.time_mix_w1",
    "blk.{bid}.time_mix_w2",
    "blk.{bid}.time_mix_decay_w1",
    "blk.{bid}.time_mix_decay_w2",
    "blk.{bid}.time_mix_lerp_fused",
    "posnet.{bid}.norm1",
    "posnet.{bid}.norm2",
    "v.position_embd",
    "a.position_embd",
    "blk.{bid}.altup_correct_coef",
    "blk.{bid}.altup_predict_coef",
    "blk.{bid}.ssm_conv1d_q",
    "blk.{bid}.ssm_conv1d_k",
    "blk.{bid}.ssm_conv1d_v",
    "blk.{bid}.indexer.proj",
];

/// Weights that lose too much with three values per element, and become F16 instead.
const NEVER_TERNARY: [&str; 6] = [
    "token_embd",
    "per_layer_token_embd",
    "output",
    "blk.{bid}.altup_router",
    "blk.{bid}.laurel_l",
    "blk.{bid}.laurel_r",
];

/// The tensors of the text model in order, under the names families know. Where two get one name, the
/// second takes the first's place.
pub(super) fn index(input: &Input) -> Tensors {
    let named = input.checkpoint.own_tensors().iter().enumerate().filter_map(|(index, tensor)| {
        Some((own_name(input, &tensor.name)?, TensorExpr::source(index, &tensor.shape)))
    });
    // A map that grows leaves holes in memory behind it.
    let count = input.checkpoint.own_tensors().len();
    let mut index = Tensors::with_capacity_and_hasher(count, DefaultHashBuilder::default());
    index.extend(named);
    index
}

/// What families call a tensor of the text model, or a module; none of what belongs to other parts.
pub(super) fn own_name(input: &Input, name: &str) -> Option<String> {
    let name = (input.family.rename)(input, name)?;
    let other = OTHER_PARTS_START.iter().any(|start| name.starts_with(start));
    (!other && !contains_other_part(&name)).then(|| general_name(&name))
}

/// Whether `name` contains one of [`OTHER_PARTS`]. All are looked for at once: one by one, it takes a seventh of the time of
/// describing half a million tensors.
fn contains_other_part(name: &str) -> bool {
    static PARTS: LazyLock<AhoCorasick> =
        LazyLock::new(|| AhoCorasick::new(OTHER_PARTS).expect("the parts are part of the program"));
    PARTS.is_match(name)
}

/// What a tensor is called whatever larger model the language model is a part of.
pub(super) fn general_name(name: &str) -> String {
    let name = match name.strip_suffix("e_score_correction_bias") {
        Some(_) => name.replace("e_score_correction_bias", "e_score_correction.bias"),
        None => name.to_owned(),
    };
    // What is replaced is made with more room than it needs, and there are many names.
    match name.contains("language_model.") {
        true => name.replace("language_model.", ""),
        false => name,
    }
}

/// What the checkpoint says of the (first) tensor that `expr` reads.
pub(super) fn source<'c>(checkpoint: &'c Checkpoint, expr: &TensorExpr) -> Option<&'c SourceTensor> {
    let factor = expr.factors().ok().flatten().map(|(a, _)| a);
    match factor.as_ref().unwrap_or(expr).first_leaf()? {
        Leaf::Source(index) => checkpoint.tensors.get(index),
        Leaf::Codes(codes) => checkpoint.tensors.get(codes.source),
        Leaf::Values(_) | Leaf::Integers(_) | Leaf::Zeros => None,
    }
}

/// `error`, found in the tensor `name`, with the file that holds it.
pub(super) fn place(checkpoint: &Checkpoint, name: &str, expr: &TensorExpr, error: Error) -> Error {
    let source = source(checkpoint, expr);
    let file = source.and_then(|source| checkpoint.files.get(source.file));
    let path = file.map_or(checkpoint.dir.path(), |file| &file.path);
    error.of_source(path, source.map_or(name, |source| &source.name))
}

/// A tensor of the checkpoint, unless it is one of the [`BUFFERS`].
///
/// # Errors
/// If its element type cannot be converted.
pub(super) fn load(checkpoint: &Checkpoint, name: &str, expr: &TensorExpr) -> Result<Option<Tensor>> {
    let codes = expr.has_codes();
    if let Some(source) = source(checkpoint, expr)
        && !codes
        && (!source.dtype.is_readable() || matches!(source.dtype, Dtype::U16 | Dtype::U32 | Dtype::U64))
    {
        let problem = format!(
            "tensor {} is stored as {}, which cannot be converted; expected floating-point weights",
            quoted(&source.name),
            source.dtype.name()
        );
        let path = checkpoint.files.get(source.file).map_or(checkpoint.dir.path(), |file| &file.path);
        return Err(Error::unsupported(problem).at(path).tensor(&source.name));
    }
    if BUFFERS.iter().any(|suffix| name.ends_with(suffix)) {
        return Ok(None);
    }
    let layer = name.split('.').find(|part| is_decimal(part)).and_then(|part| part.parse().ok());
    Ok(Some(Tensor { name: name.to_owned(), layer, expr: expr.clone() }))
}

/// Whether a part of a name is a number.
pub(super) fn is_decimal(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
}

/// The predominant element type: the one asked for, or guessed from the first matrix that has one.
pub(super) fn file_type(out: OutType, checkpoint: &Checkpoint, tensors: &Tensors) -> FileType {
    let kept = || {
        let sources = tensors.values().filter_map(|expr| source(checkpoint, expr));
        sources.filter(|tensor| tensor.shape.len() >= 2).find_map(|tensor| match tensor.dtype {
            Dtype::BF16 => Some(FileType::Bf16),
            Dtype::F16 => Some(FileType::F16),
            _ => None,
        })
    };
    out.file_type().or_else(kept).unwrap_or(FileType::F16)
}

/// The element type of output tensor `name` of layer `layer`; `forced` is what the family wants for it.
/// Rows that are not a whole number of blocks become F16.
pub(super) fn ggml_type(
    name: &str,
    layer: Option<u64>,
    shape: &[u64],
    forced: Option<GgmlType>,
    ftype: FileType,
) -> GgmlType {
    if shape.len() <= 1 || name.ends_with("_norm.weight") {
        return GgmlType::F32;
    }
    let pattern = |pattern: &&str| match (pattern.split_once("{bid}"), layer) {
        (Some((head, tail)), Some(layer)) => name == format!("{head}{layer}{tail}.weight"),
        (None, None) => name.strip_suffix(".weight") == Some(pattern),
        _ => false,
    };
    let weight = [".weight", ".lora_a", ".lora_b"].iter().any(|suffix| name.ends_with(suffix));
    let ternary = matches!(ftype, FileType::Tq1_0 | FileType::Tq2_0);
    let wanted = match forced {
        Some(forced) => forced,
        None if !weight || ALWAYS_F32.iter().any(pattern) => GgmlType::F32,
        None if ternary && NEVER_TERNARY.iter().any(pattern) => GgmlType::F16,
        None => ftype.ggml_type(),
    };
    let whole_blocks = shape.last().is_some_and(|row| row.is_multiple_of(wanted.block_size()));
    if whole_blocks { wanted } else { GgmlType::F16 }
}
