//! Qwen 3 rerankers: language models that judge a document with "yes" or "no". GGUF keeps only those two
//! rows of the output matrix, as a classifier (`Qwen3Model` of the reference).

use crate::json::Value as Json;

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, names};
use crate::config::truthy;
use crate::error::Result;
use crate::gguf::Value;
use crate::tensor::TensorExpr;

use super::qwen::{self, QWEN2};

pub(super) static QWEN3_RERANKER: Family =
    Family { names: &[], arch: "qwen3", tensors: names::QWEN3, keys: key_values, emit, ..QWEN2 };

/// `PoolingType.RANK` of gguf-py.
const RANK: u32 = 4;

/// What to ask the model; llama.cpp looks it up under this name.
const TEMPLATE_NAME: &str = "rerank";
const TEMPLATE: &str = "<|im_start|>system\n\
    Judge whether the Document meets the requirements based on the Query and the Instruct provided. \
    Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n\
    <|im_start|>user\n<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n\
    <Query>: {query}\n<Document>: {document}<|im_end|>\n\
    <|im_start|>assistant\n<think>\n\n</think>\n\n";

/// Whether the model's name, class or card says that it ranks documents.
///
/// # Errors
/// If the card cannot be read.
pub(super) fn is_reranker(input: &Input) -> Result<bool> {
    const LARGEST_CARD: u64 = 1 << 24;
    let (dir, config) = (&input.checkpoint.dir, input.config);
    let origin = config.origin_architecture().unwrap_or_default();
    let text = |key: &str| config.map().get(key).and_then(Json::as_str).unwrap_or_default();
    let name = dir.path().file_name().unwrap_or_default().to_string_lossy();
    let named = |text: &str, before: &str| {
        ["qwen3-reranker", "qwen3-vl-reranker"].iter().any(|model| text.contains(&format!("{before}{model}")))
    };
    let card = dir.read_if_there("README.md", LARGEST_CARD)?.unwrap_or_default();
    let hints = [&name, text("_name_or_path"), text("model_type"), origin];
    Ok(named(&String::from_utf8_lossy(&card).to_lowercase(), "# ")
        || hints.iter().any(|hint| named(&hint.to_lowercase(), ""))
        || origin.to_lowercase().contains("sequenceclassification"))
}

pub(super) fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    qwen::dense_keys(input, keys)?;
    keys.set_u32("pooling_type", Some(RANK));
    keys.set("classifier.output_labels", Value::Strings(["yes", "no"].into_iter().collect()));
    keys.values.set_string(format!("tokenizer.chat_template.{TEMPLATE_NAME}"), TEMPLATE);
    keys.values.set_strings("tokenizer.chat_templates", [TEMPLATE_NAME]);
    Ok(())
}

pub(super) fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let tied = input.config.map().get("tie_word_embeddings").is_some_and(truthy);
    if !tensor.name.contains(if tied { "embed_tokens" } else { "lm_head" }) {
        return qwen::dense(input, builder, tensor);
    }
    let row = |token: &str| {
        let id = input.tokenizer.require_id(token)?;
        let rows = tensor.expr.shape().first().copied().unwrap_or(0);
        if id >= rows {
            return Err(
                builder.invalid(format!("{}: expected a row {id} (\"{token}\"), found {rows}", tensor.name))
            );
        }
        tensor.expr.clone().rows(id, id + 1)
    };
    let classes = TensorExpr::concat(vec![row("yes")?, row("no")?])?;
    builder.add_as("cls.output.weight".to_owned(), tensor.layer, classes)?;
    if tied { qwen::dense(input, builder, tensor) } else { Ok(()) }
}
