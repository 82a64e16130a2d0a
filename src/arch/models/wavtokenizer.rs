//! WavTokenizer's decoder, which turns tokens into sound (`WavTokenizerDecModel` of the reference).

use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;
use crate::gguf::Value;
use crate::vocab;

pub(super) const WAVTOKENIZER_DEC: Family = Family {
    names: &["WavTokenizerDec"],
    arch: "wavtokenizer-dec",
    vocab: vocab::none,
    tensors: names::WAVTOKENIZER_DEC,
    keys: key_values,
    // What only training needs.
    rename: |_, name| {
        let training = ["cluster_size", "embed_avg", "inited"];
        let other = training.iter().any(|part| name.ends_with(&format!("codebook.{part}")));
        (!other).then(|| name.to_owned())
    },
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    keys::common(input, keys)?;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("vocab_size", get("vocab_size")?);
    keys.set_u32("features_length", get("n_embd_features")?);
    keys.set_u32("feed_forward_length", get("n_ff")?);
    keys.set_f32("attention.group_norm_epsilon", Some(config.require_f32(&["group_norm_epsilon"])?));
    keys.set_u32("attention.group_norm_groups", get("group_norm_groups")?);
    for part in ["posnet", "convnext"] {
        let section = config.section(part)?;
        keys.set_u32(&format!("{part}.embedding_length"), Some(section.require_u32(&["n_embd"])?));
        keys.set_u32(&format!("{part}.block_count"), Some(section.require_u32(&["n_layer"])?));
    }
    keys.set("attention.causal", Value::Bool(false));
    Ok(())
}
