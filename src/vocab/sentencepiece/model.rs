//! The SentencePiece `ModelProto`, as far as its vocabulary goes, and the checks that the
//! library (0.2.3) makes before it accepts one.
//!
//! Message and field numbers: `sentencepiece_model.proto` (proto2) of google/sentencepiece.

use std::collections::HashSet;
use std::path::Path;

use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use super::{charsmap, excerpt, kind};
use crate::{Error, Result};

/// The library's limit on the length of a piece, in bytes (exclusive).
const PIECE_CAP: usize = 8000;
/// `TrainerSpec.ModelType.UNIGRAM`, the default, and the last value of that enum.
pub(super) const UNIGRAM: i32 = 1;
pub(super) const BPE: i32 = 2;
const CHAR: i32 = 4;

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pub pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    pub trainer_spec: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    pub normalizer_spec: Option<NormalizerSpec>,
    #[prost(message, optional, tag = "5")]
    pub denormalizer_spec: Option<NormalizerSpec>,
}

/// One entry of the vocabulary; its id is its place in the model.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Piece {
    #[prost(string, tag = "1")]
    pub text: String,
    #[prost(float, tag = "2")]
    pub score: f32,
    #[prost(int32, optional, tag = "3")]
    pub raw_kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TrainerSpec {
    #[prost(int32, optional, tag = "3")]
    pub model_type: Option<i32>,
    #[prost(bool, tag = "35")]
    pub byte_fallback: bool,
    #[prost(string, tag = "45")]
    pub unk_piece: String,
    #[prost(string, tag = "46")]
    pub bos_piece: String,
    #[prost(string, tag = "47")]
    pub eos_piece: String,
    #[prost(string, tag = "48")]
    pub pad_piece: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NormalizerSpec {
    #[prost(bytes = "vec", tag = "2")]
    pub precompiled_charsmap: Vec<u8>,
    #[prost(bool, optional, tag = "3", default = "true")]
    pub add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4", default = "true")]
    pub remove_extra_whitespaces: Option<bool>,
}

impl TrainerSpec {
    /// The kind of model; numbers the enum lacks are none to protobuf.
    pub fn kind(&self) -> i32 {
        self.model_type.filter(|t| (UNIGRAM..=CHAR).contains(t)).unwrap_or(UNIGRAM)
    }
}

impl Piece {
    /// The piece's type. Numbers the enum lacks are no type at all to protobuf, so the default holds.
    pub fn kind(&self) -> i32 {
        self.raw_kind.filter(|kind| (kind::NORMAL..=kind::BYTE).contains(kind)).unwrap_or(kind::NORMAL)
    }
}

/// Decodes a model and checks it as the library does on loading. `path` is for messages only.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<ModelProto> {
    if count_pieces(bytes) > super::VOCAB_CAP {
        let problem = format!("has more than the {} pieces a vocabulary may have", super::VOCAB_CAP);
        return Err(Error::invalid(path, problem));
    }
    let mut model = ModelProto::decode(bytes).map_err(|error| {
        Error::invalid(path, format!("not a SentencePiece model: {error}; is the download complete?"))
    })?;
    for spec in [&model.normalizer_spec, &model.denormalizer_spec].into_iter().flatten() {
        charsmap::check(&spec.precompiled_charsmap)
            .map_err(|problem| Error::invalid(path, format!("precompiled_charsmap {problem}")))?;
    }
    let trainer = model.trainer_spec.clone().unwrap_or_default();
    if trainer.byte_fallback {
        // Some converters add a NUL beside the byte piece <0x00>; the library disables it.
        for piece in model.pieces.iter_mut().filter(|piece| piece.text == "\0") {
            piece.raw_kind = Some(kind::UNUSED);
        }
    }
    check_pieces(&model.pieces, &trainer).map_err(|problem| Error::invalid(path, problem))?;
    Ok(model)
}

/// How many pieces there are, up to the first damage. Empty ones take two bytes here and forty in memory.
fn count_pieces(mut bytes: &[u8]) -> u64 {
    let mut count = 0;
    while let Ok((field, wire_type)) = decode_key(&mut bytes) {
        count += u64::from(field == 1);
        if skip_field(wire_type, field, &mut bytes, DecodeContext::default()).is_err() {
            break;
        }
    }
    count
}

fn check_pieces(pieces: &[Piece], trainer: &TrainerSpec) -> Result<(), String> {
    let model_type = trainer.kind();
    let mut ordinary = HashSet::new();
    let mut reserved = HashSet::new();
    let mut unknown = None;
    let mut bytes_found = [false; 256];

    for (id, piece) in pieces.iter().enumerate() {
        let text = piece.text.as_str();
        let kind = piece.kind();
        if text.is_empty() || text.len() >= PIECE_CAP {
            return Err(format!("piece {id} has {} bytes, expected 1 to {}", text.len(), PIECE_CAP - 1));
        }
        if model_type == UNIGRAM && !piece.score.is_finite() {
            return Err(format!("piece {id} has the score {}", piece.score));
        }
        if text == "\0" && kind == kind::UNUSED {
            continue;
        }
        if text.contains('\0') {
            return Err(format!("piece {id} contains a NUL character"));
        }
        // BPE looks all pieces up in one table; the others keep symbols that no text yields apart.
        let is_reserved = matches!(kind, kind::UNKNOWN | kind::CONTROL | kind::BYTE);
        let texts = if is_reserved && model_type != BPE { &mut reserved } else { &mut ordinary };
        if !texts.insert(text) {
            return Err(format!("piece {id}, {}, is already defined", excerpt(text)));
        }
        if kind == kind::UNKNOWN
            && let Some(first) = unknown.replace(id)
        {
            return Err(format!("pieces {first} and {id} are both of type UNKNOWN, expected one"));
        }
        if kind == kind::BYTE {
            if !trainer.byte_fallback {
                return Err(format!("piece {id} is of type BYTE, but byte_fallback is off"));
            }
            let byte = byte_of(text).ok_or_else(|| {
                format!("piece {id} is of type BYTE, expected <0x00> to <0xFF>, found {}", excerpt(text))
            })?;
            bytes_found[usize::from(byte)] = true;
        }
    }

    if trainer.byte_fallback {
        if let Some(byte) = bytes_found.iter().position(|found| !found) {
            return Err(format!("byte_fallback is on, but there is no piece <0x{byte:02X}> of type BYTE"));
        }
    } else if unknown.is_none() {
        return Err("has no piece of type UNKNOWN".to_owned());
    }
    if model_type == UNIGRAM && ordinary.is_empty() {
        return Err("has no pieces that text could yield".to_owned());
    }
    Ok(())
}

/// The byte that `<0x41>` stands for. Digits above 9 are upper case, nothing else will do.
fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let byte = u8::from_str_radix(digits, 16).ok()?;
    (digits == format!("{byte:02X}")).then_some(byte)
}
