//! Models that differ from Llama by a setting or a name (`NanbeigeModel`, `CogVLMModel`, `JanusProModel`,
//! `Sarashina2VLTextModel` of the reference).

use crate::arch::{Family, names};
use crate::config::truthy;
use crate::error::Result;

use super::llama::{self, LLAMA};

pub(super) const COGVLM: Family =
    Family { names: &["CogVLMForCausalLM"], arch: "cogvlm", tensors: names::COGVLM, ..LLAMA };

pub(super) const JANUS: Family = Family {
    names: &["JanusForConditionalGeneration"],
    rename: |input, name| {
        let other = name.strip_prefix("model.").is_some_and(|rest| {
            JANUS_PARTS.iter().any(|part| rest.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')))
        });
        if other { None } else { (LLAMA.rename)(input, name) }
    },
    ..LLAMA
};

pub(super) const NANBEIGE: Family = Family {
    names: &["NanbeigeForCausalLM"],
    arch: "nanbeige",
    tensors: names::NANBEIGE,
    keys: |input, keys| -> Result<()> {
        llama::key_values(input, keys)?;
        let config = input.config;
        keys.set_u32("num_loops", Some(config.u32(&["num_loops"])?.unwrap_or(1).max(1)));
        let skip = config.map().get("skip_loop_final_norm").is_some_and(truthy);
        keys.set_bool("skip_loop_final_norm", Some(skip));
        Ok(())
    },
    ..LLAMA
};

pub(super) const SARASHINA2_VISION: Family = Family {
    names: &["Sarashina2VisionForCausalLM"],
    rename: |input, name| match name.strip_prefix("llm.") {
        Some(rest) => (LLAMA.rename)(input, rest),
        None if name.starts_with("norm.") => None,
        None => (LLAMA.rename)(input, name),
    },
    ..LLAMA
};

/// What sees and draws.
const JANUS_PARTS: [&str; 6] =
    ["vision_model", "aligner", "vqmodel", "generation_embeddings", "generation_aligner", "generation_head"];
