//! Jais 2 (`Jais2Model` of the reference).

use crate::arch::{Family, TEXT, keys, names, rope};

pub(super) const JAIS2: Family = Family {
    names: &["Jais2ForCausalLM"],
    arch: "jais2",
    tensors: names::JAIS2,
    keys: |input, keys| {
        keys::common(input, keys)?;
        keys.set_u32("rope.dimension_count", Some(rope::dimension_count(input)?));
        Ok(())
    },
    ..TEXT
};
