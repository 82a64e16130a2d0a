//! EAGLE-3 drafts: one layer of Llama over features of the model they draft for (`LlamaModel` of the reference, which tells
//! them by their settings).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Input, Keys, draft};
use crate::config::{Config, Counts};
use crate::error::Result;
use crate::gguf::Value;

const D2T: &str = "d2t";

/// Whether `config` is that of such a draft, whatever its architecture is called.
pub(super) fn is_eagle3(config: &Config) -> Result<bool> {
    Ok(config.map().contains_key("draft_vocab_size") && config.u32(&["num_hidden_layers"])? == Some(1))
}

/// What is told of the model it drafts for.
pub(super) fn early(input: &Input, keys: &mut Keys) -> Result<()> {
    let (own, target) = (input.config.bare()?, &draft::target(input)?.config);
    let layers = match own.u32_or_list(&["eagle_aux_hidden_state_layer_ids"])? {
        Some(Counts::Each(layers)) if !layers.is_empty() => layers,
        Some(Counts::One(1..)) => {
            return Err(own.invalid("eagle_aux_hidden_state_layer_ids: expected a list"));
        }
        _ => {
            let count = target.require_u32(&["num_hidden_layers"])?;
            let absurd = || target.invalid(format!("num_hidden_layers: {count} is absurd"));
            let count = i32::try_from(count).map_err(|_| absurd())?;
            vec![2, count / 2, count - 3]
        }
    };
    keys.set("target_layers", Value::I32s(layers));
    let width = match own.u32(&["target_hidden_size"])? {
        Some(width) => width,
        None => target.require_u32(&["hidden_size"])?,
    };
    keys.set_u32("target_hidden_size", Some(width));
    for key in ["norm_before_residual", "norm_before_fc"] {
        keys.set_bool(key, Some(own.bool(&[key])?.unwrap_or(false)));
    }
    Ok(())
}

/// The name that most models have for a tensor.
pub(super) fn general_name(name: &str) -> String {
    match name.strip_prefix("midlayer.") {
        Some(rest) => format!("model.layers.0.{rest}"),
        None if name.starts_with("layers.0.") => format!("model.{name}"),
        None => name.to_owned(),
    }
}

/// Adds a tensor that only drafts have; answers another.
pub(super) fn emit(builder: &mut Builder, tensor: Tensor) -> Result<Option<Tensor>> {
    let name = match tensor.name.as_str() {
        D2T | "t2d" => return Ok(None),
        "fc.weight" => "fc.weight".to_owned(),
        "input_norm.weight" => "enc.output_norm.weight".to_owned(),
        name if name.ends_with(".hidden_norm.weight") => {
            format!("blk.{}.attn_norm_2.weight", tensor.layer.unwrap_or(0))
        }
        _ => return Ok(Some(tensor)),
    };
    builder.add_as(name, tensor.layer, tensor.expr).map(|()| None)
}

/// Adds which of the target's tokens the draft has.
pub(super) fn finish(input: &Input, builder: &mut Builder) -> Result<()> {
    let tokens = draft::target(input)?.config.require_u32(&["vocab_size"])?;
    draft::add_target_tokens(input, builder, D2T, tokens)
}
