//! PLM (`PLMModel` of the reference).

use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;

pub(super) const PLM: Family =
    Family { names: &["PLMForCausalLM"], arch: "plm", tensors: names::PLM, keys: key_values, ..TEXT };

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]);
    let rotated = get("qk_rope_head_dim")?;
    let sum = get("qk_nope_head_dim")?.checked_add(rotated);
    keys.set_u32("vocab_size", Some(get("vocab_size")?));
    keys.set_u32("attention.kv_lora_rank", Some(get("kv_lora_rank")?));
    keys.set_u32(
        "attention.key_length",
        Some(sum.ok_or_else(|| config.invalid("qk_nope_head_dim is absurd"))?),
    );
    keys.set_u32("attention.value_length", Some(get("v_head_dim")?));
    keys.set_u32("rope.dimension_count", Some(rotated));
    Ok(())
}
