//! Whether what would be written is a whole model: what llama.cpp's loader would refuse, and what is odd.
//!
//! Looks at the names and shapes of output tensors and at key-values, and knows nothing of files, or of how
//! an architecture makes its tensors. Only what the loader asks of every architecture counts as a problem.

use std::collections::BTreeMap;

use crate::gguf::{KeyValues, Value};
use crate::input::listed;
use crate::tensor::OutputTensor;

/// What was found. Each is a sentence without a full stop.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// What llama.cpp does not load a file for.
    pub problems: Vec<String>,
    /// What may be right.
    pub warnings: Vec<String>,
}

/// What to look at.
pub struct Model<'a> {
    /// All that will be written.
    pub tensors: &'a [OutputTensor],
    /// All key-values, those of the tokenizer too.
    pub key_values: &'a KeyValues,
    /// Whether only layers for multi-token prediction were asked for.
    pub only_prediction: bool,
}

/// Layers' names go on after this with their number and what they have.
const LAYERS: &str = "blk.";
const ENCODER_LAYERS: &str = "enc.blk.";
const DECODER_LAYERS: &str = "dec.blk.";

/// Tensors that only some layers have where nothing is missing: T5's first layer has the position bias for all, and
/// ModernBERT's is normalized before it.
const FIRST_LAYER: [&str; 2] = ["attn_rel_b.weight", "attn_norm.weight"];

/// More kinds of layers than any architecture has.
const MOST_KINDS: usize = 16;

impl Model<'_> {
    /// Looks for everything.
    pub fn examine(&self) -> Findings {
        let mut findings = Findings::default();
        if self.tensors.is_empty() {
            findings.problems.push("no tensor of the checkpoint belongs to the model".into());
            return findings;
        }
        self.embeddings(&mut findings);
        self.layers(&mut findings);
        findings
    }

    /// The shapes that the loader expects of embeddings: rows, which are counted by something, of
    /// `embedding_length` elements.
    fn embeddings(&self, findings: &mut Findings) {
        let Some(tokens) = self.tensor("token_embd.weight") else {
            findings.problems.push("there is no token embedding (token_embd.weight)".into());
            return;
        };
        let rows = |tensor: &OutputTensor| tensor.expr.shape().first().copied().unwrap_or(1);
        let counted = [
            ("position_embd.weight", self.own("context_length"), "context_length"),
            ("token_types.weight", self.number("tokenizer.ggml.token_type_count"), "token_type_count"),
        ];
        let counted = counted.into_iter().filter_map(|(name, count, key)| Some((self.tensor(name)?, count?, key)));
        let counted: Vec<_> = counted.collect();
        if let Some(width) = self.own("embedding_length") {
            for tensor in [tokens].into_iter().chain(counted.iter().map(|(tensor, ..)| *tensor)) {
                let found = tensor.expr.shape().last().copied().unwrap_or(1);
                if found != width {
                    findings.problems.push(format!(
                        "{} is {found} wide, expected {width} (embedding_length, by config.json)",
                        tensor.name
                    ));
                }
            }
        }
        for (tensor, count, key) in &counted {
            let found = rows(tensor);
            if found != *count {
                let problem = format!("{} has {found} rows, expected {count} ({key}, by config.json)", tensor.name);
                findings.problems.push(problem);
            }
        }
        let (found, list) = (rows(tokens), self.key_values.get("tokenizer.ggml.tokens"));
        if let Some(Value::Strings(list)) = list
            && found != list.len() as u64
        {
            let count = list.len();
            findings.warnings.push(format!(
                "{} has {found} rows, the tokenizer {count} tokens; llama.cpp expects as many rows as tokens",
                tokens.name
            ));
        }
    }

    /// Layers that should be there, and what those that are have.
    fn layers(&self, findings: &mut Findings) {
        let blocks = self.own("block_count").unwrap_or(0);
        let stacks = match self.tensor_with(ENCODER_LAYERS) || self.tensor_with(DECODER_LAYERS) {
            true => vec![
                (ENCODER_LAYERS, blocks, "block_count"),
                (DECODER_LAYERS, self.own("decoder_block_count").unwrap_or(0), "decoder_block_count"),
            ],
            false => vec![(LAYERS, blocks, "block_count")],
        };
        for (prefix, count, key) in stacks {
            let layers = self.stack(prefix);
            let prediction = self.own("nextn_predict_layers").unwrap_or(0).min(count);
            let own = count - prediction;
            if !self.only_prediction
                && let Some(missing) = missing(&layers, prefix, 0, own)
            {
                findings.problems.push(format!("{missing}, expected tensors for {own} layers ({key}, by config.json)"));
            }
            if let Some(missing) = missing(&layers, prefix, own, count) {
                // llama.cpp can do without them, unless they are all there is.
                let found = match self.only_prediction {
                    true => &mut findings.problems,
                    false => &mut findings.warnings,
                };
                found.push(format!(
                    "{missing}, though config.json has {prediction} layers for multi-token prediction"
                ));
            }
            findings.warnings.extend(uneven(&layers, prefix));
        }
    }

    /// What each layer of a stack has: names without what all of them start with, sorted.
    fn stack(&self, prefix: &str) -> BTreeMap<u64, Vec<&str>> {
        let mut layers: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for tensor in self.tensors {
            let Some((no, rest)) = tensor.name.strip_prefix(prefix).and_then(|name| name.split_once('.')) else {
                continue;
            };
            if let Ok(no) = no.parse() {
                layers.entry(no).or_default().push(rest);
            }
        }
        layers.values_mut().for_each(|names| names.sort_unstable());
        layers
    }

    fn tensor(&self, name: &str) -> Option<&OutputTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    fn tensor_with(&self, prefix: &str) -> bool {
        self.tensors.iter().any(|tensor| tensor.name.starts_with(prefix))
    }

    /// The value of `ARCH.key`.
    fn own(&self, key: &str) -> Option<u64> {
        let Some(Value::String(arch)) = self.key_values.get("general.architecture") else { return None };
        self.number(&format!("{}.{key}", String::from_utf8_lossy(arch)))
    }

    fn number(&self, key: &str) -> Option<u64> {
        match self.key_values.get(key)? {
            Value::U32(number) => Some((*number).into()),
            _ => None,
        }
    }
}

/// Which layers from `start` to `end` have nothing at all.
fn missing(layers: &BTreeMap<u64, Vec<&str>>, prefix: &str, start: u64, end: u64) -> Option<String> {
    const SHOWN: usize = 3;
    let count = (end - start).saturating_sub(layers.range(start..end).count() as u64);
    // Soon found, however many layers there should be: those that are there are on the way at most.
    let first = (start..end).filter(|no| !layers.contains_key(no)).take(SHOWN);
    let first: Vec<_> = first.map(|no| format!("{prefix}{no}")).collect();
    let more = count - first.len() as u64;
    match (first.as_slice(), more) {
        ([], _) => None,
        ([one], _) => Some(format!("there is nothing of layer {one}")),
        (some, 0) => Some(format!("there is nothing of layers {}", some.join(", "))),
        (some, more) => Some(format!("there is nothing of layers {} and {more} more", some.join(", "))),
    }
}

/// What layers lack that those have which are otherwise alike, and are as many or more.
fn uneven(layers: &BTreeMap<u64, Vec<&str>>, prefix: &str) -> Vec<String> {
    let mut kinds: BTreeMap<&[&str], Vec<u64>> = BTreeMap::new();
    for (no, names) in layers {
        kinds.entry(names).or_default().push(*no);
    }
    if kinds.len() > MOST_KINDS {
        return vec![format!("of the layers {prefix}…, hardly any have the same tensors")];
    }
    let lack = |names: &[&str], more: &[&'_ str]| more.iter().filter(|n| names.binary_search(n).is_err()).count();
    let mut warnings = Vec::new();
    for (names, numbers) in &kinds {
        let like = kinds.iter().filter(|(more, others)| {
            others.len() >= numbers.len() && more.len() > names.len() && lack(more, names) == 0
        });
        let Some((more, others)) = like.min_by_key(|(more, _)| more.len()) else { continue };
        let lacks = more.iter().filter(|name| names.binary_search(name).is_err());
        let first = numbers.as_slice() == [0] || others.as_slice() == [0];
        let lacks: Vec<&str> = lacks.copied().filter(|name| !(first && FIRST_LAYER.contains(name))).collect();
        let (Some(no), Some(other)) = (numbers.first(), others.first()) else { continue };
        if lacks.is_empty() {
            continue;
        }
        let also = match numbers.len() - 1 {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        let names = listed(lacks);
        warnings.push(format!("layer {prefix}{no}{also} has no {names}, though {prefix}{other} has, otherwise alike"));
    }
    warnings
}
