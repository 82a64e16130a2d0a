//! Maincoder (`MaincoderModel` of the reference).

use crate::arch::{Family, TEXT, keys, names};

pub(super) const MAINCODER: Family = Family {
    names: &["MaincoderForCausalLM"],
    arch: "maincoder",
    tensors: names::MAINCODER,
    keys: |input, keys| {
        keys::common(input, keys)?;
        keys.set_u32("rope.dimension_count", input.config.u32(&["head_dim"])?);
        Ok(())
    },
    ..TEXT
};
