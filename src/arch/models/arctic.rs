//! Snowflake Arctic (`ArcticModel` of the reference).

use crate::arch::{Family, TEXT, keys, names, rope};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::json::{Object, Value};
use crate::vocab::sentencepiece::{self, kind};
use crate::vocab::{KINDS, SpecialVocab, TokenizerFiles, vocab_size};

use super::llama;

pub(super) const ARCTIC: Family = Family {
    names: &["ArcticForCausalLM"],
    arch: "arctic",
    vocab,
    tensors: names::ARCTIC,
    keys: |input, keys| {
        keys::common(input, keys)?;
        keys.set_u32("vocab_size", Some(input.config.require_u32(&["vocab_size"])?));
        keys.set_u32("rope.dimension_count", Some(rope::width_per_head(input)?));
        Ok(())
    },
    emit: |input, builder, tensor| match tensor.name.ends_with(".bias") {
        true => builder.add(tensor),
        false => llama::emit(input, builder, tensor),
    },
    ..TEXT
};

/// SentencePiece, some pieces of which `tokenizer_config.json` gives another meaning.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let dir = &files.dir;
    let model = sentencepiece::Model::read(dir, "tokenizer.model")?
        .ok_or_else(|| Error::invalid(dir, "there is no tokenizer.model"))?;
    let mut pieces = sentencepiece::only(&model, &dir.join("tokenizer.model"), vocab_size(config, dir)?)?;
    let path = dir.join("tokenizer_config.json");
    let settings = files.config.as_ref();
    let added = settings.and_then(|settings| settings.get("added_tokens_decoder")).and_then(Value::as_object);
    for (id, token) in added.into_iter().flatten() {
        let invalid =
            || Error::invalid(&path, "added_tokens_decoder: expected ids with objects that have a content");
        let id: usize = id.trim().parse().map_err(|_| invalid())?;
        if id >= pieces.tokens.len() {
            tracing::debug!("token {id} is ignored: there are {}", pieces.tokens.len());
            continue;
        }
        let content = token.get("content").and_then(Value::as_str).ok_or_else(invalid)?;
        let (score, kind) = match token.get("special").is_some_and(Value::is_truthy) {
            false => (-10000.0, kind::USER_DEFINED),
            true => {
                let unknown = settings.and_then(|settings| settings.get("unk_token"));
                let unknown = unknown.ok_or_else(|| Error::invalid(&path, "unk_token is missing"))?;
                (0.0, if unknown.as_str() == Some(content) { kind::UNKNOWN } else { kind::CONTROL })
            }
        };
        pieces.set(id, content.as_bytes().to_vec(), score, kind);
    }
    let len = pieces.tokens.len();
    pieces.write_for(kv, "llama");
    SpecialVocab::load(files, false, &KINDS, Some(len))?.write(kv, dir)
}
