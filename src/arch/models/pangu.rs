//! openPangu Embedded (`PanguEmbeddedModel` of the reference).

use crate::arch::{Family, Input, Keys, TEXT, keys, names, rope};
use crate::error::Result;

use super::{ernie, hunyuan::HUNYUAN};

pub(super) const PANGU: Family = Family {
    names: &["PanguEmbeddedForCausalLM"],
    arch: "pangu-embedded",
    vocab: ernie::vocab,
    tensors: names::PANGU_EMBED,
    keys: key_values,
    emit: HUNYUAN.emit,
    ..TEXT
};

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let size = rope::dimension_count(input)?;
    keys.set_u32("vocab_size", Some(input.config.require_u32(&["vocab_size"])?));
    keys.set_u32("rope.dimension_count", Some(size));
    keys.set_u32("attention.key_length", Some(size));
    keys.set_u32("attention.value_length", Some(size));
    Ok(())
}
