//! EAGLE-3 drafts: one layer of Llama over features of the model they draft for (`LlamaModel` of the reference, which tells
//! them by their settings).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, draft, names};
use crate::config::{Config, Counts};
use crate::error::Result;
use crate::gguf::Value;
use crate::vocab;

use super::llama::{self, LLAMA};

pub(super) static EAGLE3: Family = Family {
    names: &[],
    arch: "eagle3",
    draft: Some(|_| Ok(vocab::llama)),
    tensors: names::EAGLE3,
    variant: |_| Ok(None),
    early,
    rename: |_, name| {
        let name = name.replace("text_model.", "");
        Some(match name.strip_prefix("midlayer.") {
            Some(rest) => format!("model.layers.0.{rest}"),
            None if name.starts_with("layers.0.") => format!("model.{name}"),
            None => name,
        })
    },
    emit,
    finish: |input, builder| {
        let tokens = draft::target(input)?.config.require_u32(&["vocab_size"])?;
        draft::add_target_tokens(input, builder, D2T, tokens)
    },
    ..LLAMA
};

const D2T: &str = "d2t";

/// Whether `config` is that of such a draft, whatever its architecture is called.
pub(super) fn is_eagle3(config: &Config) -> Result<bool> {
    Ok(config.map().contains_key("draft_vocab_size") && config.u32(&["num_hidden_layers"])? == Some(1))
}

fn early(input: &Input, keys: &mut Keys) -> Result<()> {
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

fn emit(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    let name = match tensor.name.as_str() {
        D2T | "t2d" => return Ok(()),
        "fc.weight" => "fc.weight".to_owned(),
        "input_norm.weight" => "enc.output_norm.weight".to_owned(),
        name if name.ends_with(".hidden_norm.weight") => {
            format!("blk.{}.attn_norm_2.weight", tensor.layer.unwrap_or(0))
        }
        _ => return llama::emit(input, builder, tensor),
    };
    builder.add_as(name, tensor.layer, tensor.expr)
}
