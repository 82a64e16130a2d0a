//! Orion (`OrionModel` of the reference).

use crate::arch::{Family, Input, Keys, TEXT, names};
use crate::error::Result;
use crate::vocab;

pub(super) const ORION: Family = Family {
    names: &["OrionForCausalLM"],
    arch: "orion",
    vocab: vocab::sentencepiece_only,
    tensors: names::ORION,
    keys: key_values,
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |names: &[&str]| config.require_u32(names).map(Some);
    keys.values.set_u32("general.file_type", input.ftype as u32);
    keys.set("tensor_data_layout", crate::gguf::Value::String("Meta AI original pth".into()));
    let context = ["max_sequence_length", "max_position_embeddings", "model_max_length"];
    keys.set_u32("context_length", get(&context)?);
    keys.set_u32("embedding_length", get(&["hidden_size"])?);
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("feed_forward_length", get(&["intermediate_size"])?);
    keys.set_u32("attention.head_count", get(&["num_attention_heads"])?);
    keys.set_u32("attention.head_count_kv", get(&["num_key_value_heads", "num_attention_heads"])?);
    // Its norms are not by root mean square, whatever the setting is called.
    keys.set_f32("attention.layer_norm_epsilon", Some(config.require_f32(&["rms_norm_eps"])?));
    Ok(())
}
