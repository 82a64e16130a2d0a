//! BERT and what is built like it: DistilBERT, RoBERTa, CamemBERT, XLM-RoBERTa, Jina's second generation
//! (`BertModel`, `DistilBertModel`, `RobertaModel`, `XLMRobertaModel`, `JinaBertV2Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::pooling::pooling_type;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::config::truthy;
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::gguf::Value;
use crate::input::quoted;
use crate::json::{Object, Value as Json};
use crate::vocab::{
    Base, KINDS, SpecialVocab, TokenizerFiles, add_token_type_count, bpe, kind_of, unigram, wordpiece,
};

pub(super) const BERT: Family = Family {
    names: &["BertForMaskedLM", "BertForSequenceClassification", "BertModel", "CamembertModel"],
    arch: "bert",
    vocab: wordpiece::add,
    tensors: names::BERT,
    keys: key_values,
    rename: |_, name| rename(name),
    emit,
    ..TEXT
};

pub(super) const DISTILBERT: Family = Family {
    names: &["DistilBertForMaskedLM", "DistilBertForSequenceClassification", "DistilBertModel"],
    keys: |input, keys| {
        keys.set_f32("attention.layer_norm_epsilon", Some(1e-12));
        key_values(input, keys)
    },
    rename: |_, name| {
        let name = name.strip_prefix("distilbert.").unwrap_or(name);
        // The head that guesses masked words.
        if name.starts_with("vocab_") { None } else { rename(name) }
    },
    ..BERT
};

pub(super) const ROBERTA: Family = Family {
    names: &["RobertaForSequenceClassification", "RobertaModel"],
    vocab: roberta_vocab,
    keys: |input, keys| {
        key_values(input, keys)?;
        context_length(input, keys)
    },
    rename: |_, name| rename(name.strip_prefix("roberta.").unwrap_or(name)),
    emit: cut_positions,
    ..BERT
};

pub(super) const XLM_ROBERTA: Family = Family {
    names: &["XLMRobertaForSequenceClassification", "XLMRobertaModel"],
    vocab: |kv, files, config| unigram::add_xlm_roberta(kv, files, config, false),
    variant: refuse_lora,
    ..ROBERTA
};

pub(super) const JINA_BERT_V2: Family = Family {
    names: &["JinaBertForMaskedLM", "JinaBertModel"],
    arch: "jina-bert-v2",
    vocab: jina2_vocab,
    tensors: names::JINA_BERT_V2,
    ..BERT
};

/// Adds the keys of all encoders of this file and those that use it.
pub(super) fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    keys.set("attention.causal", Value::Bool(false));
    pooling_type(input, keys)?;
    if let Some(labels) = labels(input)? {
        keys.set("classifier.output_labels", Value::Strings(labels.into_iter().collect()));
    }
    Ok(())
}

/// The names of the classes that a classifier tells apart, by number; none if there are but the two that
/// transformers makes up.
fn labels(input: &Input) -> Result<Option<Vec<Vec<u8>>>> {
    let config = input.config;
    let Some((_, labels)) = config.get(&["id2label"]).filter(|(_, labels)| truthy(labels)) else {
        return Ok(None);
    };
    let problem = || config.invalid("id2label: expected an object from numbers to names");
    let mut pairs = Vec::new();
    for (number, name) in labels.as_object().ok_or_else(problem)? {
        let number: i64 = number.trim().parse().map_err(|_| problem())?;
        pairs.push((number, name.as_str().ok_or_else(problem)?));
    }
    pairs.sort_unstable();
    if pairs.len() == 2 && pairs.contains(&(0, "LABEL_0")) {
        return Ok(None);
    }
    Ok(Some(pairs.into_iter().map(|(_, name)| name.as_bytes().to_vec()).collect()))
}

/// Older checkpoints call what is added to a norm beta, and what it is multiplied with gamma. What only
/// training needs is left out.
pub(super) fn rename(name: &str) -> Option<String> {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    let name = match (name.strip_suffix(".gamma"), name.strip_suffix(".beta")) {
        (Some(norm), _) => format!("{norm}.weight"),
        (_, Some(norm)) => format!("{norm}.bias"),
        _ => name.to_owned(),
    };
    let unused = ["embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"];
    let head = ["cls.predictions", "cls.seq_relationship"].iter().any(|start| name.starts_with(start));
    (!unused.contains(&name.as_str()) && !head).then_some(name)
}

/// Adds a tensor; where classes have names, `classifier` is the last layer of the classifier, and else its
/// first.
pub(super) fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if let Some(kind) = tensor.name.strip_prefix("classifier.")
        && ["weight", "bias"].contains(&kind)
        && labels(input)?.is_some()
    {
        tensor.name = format!("classifier.out_proj.{kind}");
    }
    builder.add(tensor)
}

/// Positions before the first one that text can have: as many as the padding token's number and one.
fn position_offset(input: &Input) -> Result<Option<u32>> {
    let config = input.config;
    let offset = config.u32(&["pad_token_id"])?.map(|pad| {
        pad.checked_add(1).ok_or_else(|| config.invalid("pad_token_id: expected a token's number"))
    });
    offset.transpose()
}

/// Sets the context's length to what is left without those positions.
pub(super) fn context_length(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    if let Some(offset) = position_offset(input)?
        && config.map().contains_key("max_position_embeddings")
    {
        let positions = config.require_u32(&["max_position_embeddings"])?;
        let Some(left) = positions.checked_sub(offset) else {
            return Err(config.invalid(format!(
                "max_position_embeddings: expected more than pad_token_id, found {positions}"
            )));
        };
        keys.set_u32("context_length", Some(left));
    }
    Ok(())
}

/// Leaves those positions out.
fn cut_positions(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name == "embeddings.position_embeddings.weight"
        && let Some(offset) = position_offset(input)?
    {
        let &[rows, _] = tensor.expr.shape() else {
            let shape = tensor.expr.shape();
            return Err(builder.invalid(format!("{}: expected a matrix, found shape {shape:?}", tensor.name)));
        };
        if rows <= u64::from(offset) {
            return Err(builder.invalid(format!(
                "{}: expected more than {offset} rows, as pad_token_id says, found {rows}",
                tensor.name
            )));
        }
        tensor.expr = tensor.expr.rows(offset.into(), rows)?;
    }
    emit(input, builder, tensor)
}

fn refuse_lora(input: &Input) -> Result<Option<&'static Family>> {
    match input.config.map().get("lora_adaptations").is_some_and(truthy) {
        true => Err(Error::unsupported(
            "lora_adaptations: models with adapters (Jina embeddings 3) are not supported yet",
        )),
        false => Ok(None),
    }
}

/// BPE, else WordPiece.
fn roberta_vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    if files.tokenizer.is_none() {
        return wordpiece::add(kv, files, config);
    }
    bpe::add(kv, files, config, &[])?;
    add_token_type_count(kv, files, config)
}

/// WordPiece or BPE, as `tokenizer_config.json` says.
fn jina2_vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let class = files.config.as_ref().and_then(|config| config.get("tokenizer_class")).and_then(Json::as_str);
    match class {
        Some("BertTokenizer") => return wordpiece::add(kv, files, config),
        Some("RobertaTokenizer") if kind_of(files, "pre_tokenizer", "type") == Some("Whitespace") => {
            let base = Base::read(files, config)?;
            base.write(kv, "whitespace", "whitespace");
            SpecialVocab::load(files, true, &KINDS, None)?.write(kv, &files.dir)?;
        }
        Some("RobertaTokenizer") => bpe::add(kv, files, config, &[])?,
        found => {
            let problem = format!(
                "tokenizer_class: expected BertTokenizer or RobertaTokenizer, found {}",
                quoted(found.unwrap_or("none"))
            );
            return Err(Error::invalid(files.dir.join("tokenizer_config.json"), problem));
        }
    }
    kv.set_u32("tokenizer.ggml.token_type_count", 2);
    Ok(())
}
