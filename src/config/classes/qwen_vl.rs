//! Qwen 2 and 2.5 with vision.

use super::hooks::{Hooks, PLAIN};
use super::qwen;
use crate::config::class::Class;
use crate::config::values::{Object, Refusal};
use crate::config::{derive, rope};

pub(super) const QWEN2_VL: Hooks =
    Hooks { before: &[derive::flat_text], after: derive::tied_as_text, ..PLAIN };

pub(super) const QWEN2_VL_TEXT: Hooks = Hooks { rope: text_rope, ..qwen::QWEN2 };

/// Rope in three dimensions is called the default.
fn text_rope(class: &Class, config: &Object, extra: &mut Object) -> Result<Option<Object>, Refusal> {
    let mut rope = rope::given(config, extra)?;
    let theta = extra.shift_remove("rope_theta").unwrap_or_else(|| class.theta.into());
    rope.entry("rope_theta".into()).or_insert(theta);
    if rope.get("rope_type").or(rope.get("type")).is_some_and(|kind| kind == "mrope") {
        rope.insert("rope_type".into(), "default".into());
    }
    rope::standardize(class, config, &mut rope)?;
    Ok(Some(rope))
}
