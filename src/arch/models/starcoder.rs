//! StarCoder and StarCoder 2 (`StarCoderModel`, `StarCoder2Model` of the reference).

use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;

pub(super) const STARCODER: Family = Family {
    names: &["GPTBigCodeForCausalLM"],
    arch: "starcoder",
    tensors: names::STARCODER,
    keys: key_values,
    ..TEXT
};

pub(super) const STARCODER2: Family =
    Family { names: &["Starcoder2ForCausalLM"], arch: "starcoder2", tensors: names::STARCODER2, ..TEXT };

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let width = config.require_u32(&["n_embd"])?;
    keys.set_u32("context_length", Some(config.require_u32(&["n_positions"])?));
    keys.set_u32("embedding_length", Some(width));
    keys.set_u32("feed_forward_length", Some(keys::times(config, 4, width)?));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("attention.head_count", Some(config.require_u32(&["n_head"])?));
    keys.set_u32("attention.head_count_kv", Some(1));
    keys.set_f32("attention.layer_norm_epsilon", Some(config.require_f32(&["layer_norm_epsilon"])?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}
