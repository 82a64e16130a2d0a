//! CodeShell (`CodeShellModel` of the reference).

use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;
use crate::gguf::Value;

pub(super) const CODESHELL: Family = Family {
    names: &["CodeShellForCausalLM"],
    arch: "codeshell",
    tensors: names::CODESHELL,
    keys: key_values,
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    let width = config.require_u32(&["n_embd"])?;
    keys.set_u32("context_length", get("n_positions")?);
    keys.set_u32("embedding_length", Some(width));
    keys.set_u32("feed_forward_length", Some(keys::times(config, 4, width)?));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("attention.head_count", get("n_head")?);
    keys.set_u32("attention.head_count_kv", get("num_query_groups")?);
    keys.set_f32("attention.layer_norm_epsilon", Some(config.require_f32(&["layer_norm_epsilon"])?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    keys.set_f32("rope.freq_base", Some(10_000.0));
    keys.set("rope.scaling.type", Value::String("linear".into()));
    keys.set_f32("rope.scaling.factor", Some(1.0));
    Ok(())
}
