//! What sees in CogVLM (`CogVLMVisionModel` of the reference).

use super::Projector;
use super::{PLAIN, keys};

pub(super) const COGVLM: Projector = Projector {
    names: &["CogVLMForCausalLM"],
    keys: |input, keys| {
        keys::common(input, keys)?;
        keys::epsilon(keys, &input.vision, &["layer_norm_eps"], 1e-6)?;
        keys::kind(keys, "cogvlm");
        Ok(())
    },
    rename: |name| name.starts_with("model.vision.").then(|| name.to_owned()),
    ..PLAIN
};
