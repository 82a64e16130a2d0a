//! Settings that the code of several configuration classes computes.
//!
//! Knows nothing of single classes (`classes`), nor of what all share: declared fields and labels (`auto`),
//! rope settings (`rope`).

use crate::json::Value;

use super::class::Class;
use super::generated::classes::CLASSES;
use super::values::{Object, Refusal, int, null, truthy};

/// Python's `//`.
pub(super) fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

/// `head_dim` from the number of heads, where it is null.
pub(super) fn head_dim(config: &mut Object) -> Result<(), Refusal> {
    if null(config, "head_dim") {
        let (hidden, heads) = (int(config, "hidden_size")?, int(config, "num_attention_heads")?);
        let size = floor_div(hidden, heads).ok_or("num_attention_heads is 0")?;
        config.insert("head_dim".into(), size.into());
    }
    Ok(())
}

/// [`head_dim`] as a rule of classes.
pub(super) fn head_dim_of_heads(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    head_dim(config)
}

/// `rope_parameters`, where they are null.
pub(super) fn default_rope(config: &mut Object, rope: Value) {
    if null(config, "rope_parameters") {
        config.insert("rope_parameters".into(), rope);
    }
}

/// `text_config` from a file that has no such section but its settings beside the others.
pub(super) fn flat_text(class: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    if null(config, "text_config") {
        let kind = class.text().map(|text| text.model_type);
        let text = CLASSES.iter().find(|class| Some(class.model_type) == kind);
        let fields = text.into_iter().flat_map(|class| class.fields).map(|(name, ..)| *name);
        let aliases = text.into_iter().flat_map(|class| class.aliases).map(|(alias, _)| *alias);
        let names = fields.chain(aliases).chain(["rope_scaling", "rope_theta"]);
        let given = names.filter_map(|name| Some((name.to_owned(), extra.shift_remove(name)?)));
        let text: Object = given.collect();
        config.insert("text_config".into(), text.into());
    }
    Ok(())
}

/// `tie_word_embeddings` of the text model is that of the whole one.
pub(super) fn tied_as_text(config: &mut Object) -> Result<(), Refusal> {
    let text = config.get("text_config").and_then(|text| text.get("tie_word_embeddings")).cloned();
    if !config.get("tie_word_embeddings").is_some_and(truthy)
        && let Some(tied) = text.filter(truthy)
    {
        config.insert("tie_word_embeddings".into(), tied);
    }
    Ok(())
}
