//! Gemma 3n (`Gemma3NModel` of the reference).

use crate::gguf::KeyValues;
use crate::json::Object;
use crate::json::Value as Json;
use crate::vocab::{TokenizerFiles, gemma3};

use crate::arch::builder::Builder;
use crate::arch::quantile::normal_quantile;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, keys, names};
use crate::error::Result;
use crate::gguf::Value;
use crate::tensor::TensorExpr;

use super::gemma::{GEMMA3, gemma3_keys};

pub(super) const GEMMA3N: Family = Family {
    names: &["Gemma3nForCausalLM", "Gemma3nForConditionalGeneration"],
    arch: "gemma3n",
    vocab,
    tensors: names::GEMMA3N,
    variant: |input| match input.config.require_u32(&["altup_num_inputs"])? {
        ALTUP_INPUTS => Ok(None),
        other => {
            Err(input.config.unsupported(format!("altup_num_inputs {other}, other than {ALTUP_INPUTS}")))
        }
    },
    keys: key_values,
    rename: |_, name| Some(if name.ends_with("_scale") { format!("{name}.weight") } else { name.to_owned() }),
    emit,
    ..GEMMA3
};

const ALTUP_INPUTS: u32 = 4;

/// Limits for embeddings that are filled up, far from what overflows.
const MOST_TOKENS: u32 = 1 << 24;
const WIDEST: u64 = 1 << 32;

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    gemma3_keys(input, keys)?;
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("altup.active_idx", get("altup_active_idx")?);
    keys.set_u32("altup.num_inputs", get("altup_num_inputs")?);
    keys.set_u32("embedding_length_per_layer_input", get("hidden_size_per_layer_input")?);
    keys.set_u32("attention.shared_kv_layers", get("num_kv_shared_layers")?);
    let pattern = config.get(&["activation_sparsity_pattern"]).and_then(|(_, value)| value.as_array());
    #[allow(clippy::cast_possible_truncation)]
    let share = |value: &Json| Some(normal_quantile(value.as_f64()? as f32));
    let scales = pattern.and_then(|pattern| pattern.iter().map(share).collect::<Option<Vec<_>>>());
    let problem = || config.invalid("activation_sparsity_pattern: expected a list of numbers");
    let scales = scales.ok_or_else(problem)?;
    if !scales.is_empty() {
        keys.set("activation_sparsity_scale", Value::F32s(scales));
    }
    keys::sliding_pattern(config, keys)
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.contains("embed_tokens.weight") || tensor.name.contains("embed_tokens_per_layer") {
        tensor.expr = padded(input, builder, tensor.expr)?;
        return builder.add(tensor);
    }
    for stacked in ["altup_unembed_projections", "altup_projections"] {
        if tensor.name.contains(stacked) {
            return stack(input, builder, &tensor, stacked);
        }
    }
    builder.add(tensor)
}

/// An embedding with rows of zeros for tokens that stand for images and sound.
fn padded(input: &Input, builder: &Builder, expr: TensorExpr) -> Result<TensorExpr> {
    let wanted = input.config.u32(&["vocab_size"])?.unwrap_or(262_400);
    if wanted > MOST_TOKENS {
        return Err(input
            .config
            .invalid(format!("vocab_size: expected at most {MOST_TOKENS}, found {wanted}")));
    }
    let wanted = u64::from(wanted);
    let &[rows, columns] = expr.shape() else {
        return Err(builder.invalid(format!("an embedding has shape {:?}", expr.shape())));
    };
    match wanted.checked_sub(rows).filter(|missing| *missing > 0) {
        Some(missing) if columns <= WIDEST => {
            TensorExpr::concat(vec![expr, TensorExpr::zeros(&[missing, columns])])
        }
        Some(_) => Err(builder.invalid(format!("an embedding has shape {:?}", expr.shape()))),
        None => Ok(expr),
    }
}

/// Puts the matrices of one kind, one for each input but the active one, under one name, once all are there.
fn stack(input: &Input, builder: &mut Builder, tensor: &Tensor, kind: &str) -> Result<()> {
    let of_kind = |other: &str| match kind {
        "altup_projections" => other.contains(kind) && !other.contains("altup_unembed_projections"),
        _ => other.contains(kind),
    };
    let mut last = None;
    let mut parts = Vec::new();
    for at in 0..u64::from(ALTUP_INPUTS) - 1 {
        let number = format!(".{at}.");
        let found = input.tensors.iter().enumerate();
        let found =
            found.filter(|(_, (name, _))| of_kind(name)).find(|(_, (name, _))| name.contains(&number));
        let Some((place, (name, expr))) = found else {
            return Err(builder.invalid(format!("{kind} number {at} is missing")));
        };
        last = last.max(Some((place, name)));
        parts.push(expr.clone());
    }
    match last {
        Some((_, name)) if *name == tensor.name => {
            let expr = TensorExpr::stack(parts)?;
            builder.add(Tensor { name: format!("model.{kind}.weight"), layer: None, expr })
        }
        _ => Ok(()),
    }
}

/// Gemma 3's, with all tokens, not only those that have per-layer embeddings.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let mut config = config.clone();
    config.shift_remove("vocab_size_per_layer_input");
    gemma3(kv, files, &config)
}
