//! T5.

use super::hooks::{Hooks, PLAIN};
use crate::config::class::Class;
use crate::config::values::{Object, Refusal, null, stored_as};
use crate::input::quoted;
use crate::json::Value;

pub(super) const T5: Hooks =
    Hooks { before: &[decoder_layers, activation, scales_if_tied, tied], validate: &[feed_forward], ..PLAIN };

pub(super) const MT5: Hooks = Hooks { before: &[decoder_layers, activation, tied], ..T5 };

fn decoder_layers(class: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "num_decoder_layers") {
        let layers = config.get(stored_as(class, "num_layers")).cloned().unwrap_or_default();
        config.insert("num_decoder_layers".into(), layers);
    }
    Ok(())
}

fn activation(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let form = config.get("feed_forward_proj").and_then(Value::as_str).unwrap_or_default().to_owned();
    let act = if form == "gated-gelu" { "gelu_new" } else { form.rsplit('-').next().unwrap_or_default() };
    config.insert("dense_act_fn".into(), act.into());
    config.insert("is_gated_act".into(), (form.split('-').next() == Some("gated")).into());
    Ok(())
}

/// The decoder's results are scaled, unless the file says that embeddings are not tied.
fn scales_if_tied(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    let tied = extra.get("tie_word_embeddings").or_else(|| config.get("tie_word_embeddings"));
    let scales = tied != Some(&Value::Bool(false));
    config.insert("scale_decoder_outputs".into(), scales.into());
    Ok(())
}

/// Embeddings are tied, whatever the file says.
fn tied(_: &Class, config: &mut Object, extra: &mut Object) -> Result<(), Refusal> {
    extra.shift_remove("tie_word_embeddings");
    config.insert("tie_word_embeddings".into(), true.into());
    Ok(())
}

fn feed_forward(config: &Object) -> Result<(), Refusal> {
    let form = config.get("feed_forward_proj").and_then(Value::as_str).unwrap_or_default();
    let mut parts = form.split('-');
    let (first, second, third) = (parts.next(), parts.next(), parts.next());
    if second.is_some() && first != Some("gated") || third.is_some() {
        return Err(format!("feed_forward_proj: {}", quoted(form)));
    }
    Ok(())
}
