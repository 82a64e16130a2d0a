//! Whether layers are all there, and have what the others have.
//!
//! Knows the names of their tensors, and nothing else of a model.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::input::listed;

/// What each layer of a stack has: names without what all of them start with, sorted.
pub type Layers<'a> = BTreeMap<u64, Vec<&'a str>>;

/// Tensors that some layers of an architecture do without: DeepSeek V4's select among compressed keys only if these stand for
/// few tokens, Gemma's may use the keys, or keys and values, of others,
/// ModernBERT's first comes after the embedding's norm, and T5's first has the position bias for all.
const OPTIONAL: [(&str, &[&str]); 5] = [
    (
        "deepseek4",
        &[
            "indexer.attn_q_b.weight",
            "indexer.proj.weight",
            "indexer_compressor_ape.weight",
            "indexer_compressor_gate.weight",
            "indexer_compressor_kv.weight",
            "indexer_compressor_norm.weight",
        ],
    ),
    ("gemma4", &["attn_k.weight", "attn_k_norm.weight", "attn_v.weight"]),
    ("modern-bert", &["attn_norm.bias", "attn_norm.weight"]),
    ("t5", &["attn_rel_b.weight"]),
    ("t5encoder", &["attn_rel_b.weight"]),
];

/// More kinds of layers than any architecture has.
const MOST_KINDS: usize = 16;

/// Which of the layers `expected` have nothing at all.
pub fn missing(layers: &Layers, prefix: &str, expected: Range<u64>) -> Option<String> {
    const SHOWN: usize = 3;
    let found = layers.range(expected.clone()).count() as u64;
    let count = (expected.end - expected.start) - found;
    // Soon found, however many layers there should be: on the way are at most those that there are.
    let first = expected.filter(|no| !layers.contains_key(no)).take(SHOWN);
    let first: Vec<_> = first.map(|no| format!("{prefix}{no}")).collect();
    let names = first.join(", ");
    match count - first.len() as u64 {
        _ if count == 0 => None,
        0 => Some(format!("there are no tensors {names}")),
        more => Some(format!("there are no tensors {names} and {more} more")),
    }
}

/// What some of the first `own` layers lack that others have, which are otherwise alike, and as many or more. Names that
/// are optional in `arch` do not count.
pub fn uneven(layers: &Layers, own: u64, prefix: &str, arch: &[u8]) -> Vec<String> {
    let optional = OPTIONAL.iter().find(|(of, _)| arch == of.as_bytes());
    let optional = optional.map_or(&[][..], |(_, names)| names);
    let mut kinds: BTreeMap<Vec<&str>, Vec<u64>> = BTreeMap::new();
    for (no, names) in layers.range(..own) {
        let names = names.iter().copied().filter(|name| !optional.contains(name));
        kinds.entry(names.collect()).or_default().push(*no);
    }
    if kinds.len() > MOST_KINDS {
        return vec![format!("hardly any two layers {prefix}… have the same kinds of tensors")];
    }
    let mut warnings = Vec::new();
    for (names, numbers) in &kinds {
        let has_all = |more: &[&str]| names.iter().all(|name| more.binary_search(name).is_ok());
        let alike = kinds.iter().filter(|(more, others)| {
            others.len() >= numbers.len() && more.len() > names.len() && has_all(more)
        });
        if let Some((more, others)) = alike.min_by_key(|(more, _)| more.len())
            && let (Some(no), Some(other)) = (numbers.first(), others.first())
        {
            let lacks = more.iter().copied().filter(|name| names.binary_search(name).is_err());
            let also = match numbers.len() - 1 {
                0 => String::new(),
                more => format!(" (like {more} more)"),
            };
            let lacks = listed(lacks);
            warnings.push(format!(
                "{prefix}{no}{also} has no {lacks}; {prefix}{other} has, and is otherwise alike"
            ));
        }
    }
    warnings
}
