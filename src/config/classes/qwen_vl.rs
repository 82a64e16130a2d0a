//! Qwen 2 and 2.5 with vision.

use super::hooks::{Hooks, PLAIN};
use super::qwen;
use crate::config::class::Class;
use crate::config::generated::classes::CLASSES;
use crate::config::values::{Object, Refusal, null};
use crate::config::{derive, rope};

pub(super) const QWEN2_VL: Hooks = Hooks { before: &[flat_text], after: derive::tied_as_text, ..PLAIN };

pub(super) const QWEN2_VL_TEXT: Hooks = Hooks { rope: text_rope, ..qwen::QWEN2 };

/// `text_config` from a file that has no such section but its settings beside the others.
fn flat_text(class: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if null(config, "text_config") {
        let kind = class.text().map(|text| text.model_type);
        let text = CLASSES.iter().filter(|class| Some(class.model_type) == kind);
        let fields = text.flat_map(|class| class.fields).map(|(name, ..)| *name);
        let names = fields.chain(["rope_scaling", "rope_theta"]);
        let given = names.filter_map(|name| Some((name.to_owned(), extra.shift_remove(name)?)));
        let text: Object = given.collect();
        config.insert("text_config".into(), text.into());
    }
    Ok(())
}

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
