//! Apertus (`ApertusModel` of the reference). The parameters of its activation function are key-values.

use std::collections::BTreeMap;

use crate::arch::builder::Builder;
use crate::arch::contents;
use crate::arch::{Family, Input, TEXT, names};
use crate::error::Result;
use crate::gguf::Value;

use super::llama::{self, LLAMA};

pub(super) const APERTUS: Family = Family {
    names: &["ApertusForCausalLM"],
    arch: "apertus",
    tensors: names::APERTUS,
    generate: |input, builder| {
        xielu(input, builder)?;
        (LLAMA.generate)(input, builder)
    },
    nvfp4: TEXT.nvfp4,
    emit: |input, builder, tensor| match parameter(&tensor.name) {
        Some(_) => Ok(()),
        None => llama::unpermuted(input, builder, tensor),
    },
    ..LLAMA
};

const PARAMETERS: [&str; 4] = ["alpha_n", "alpha_p", "beta", "eps"];

/// The parameter of the activation function that a tensor holds.
fn parameter(name: &str) -> Option<&'static str> {
    let (_, last) = name.rsplit_once(".act_fn.")?;
    PARAMETERS.into_iter().find(|parameter| *parameter == last)
}

/// Adds each parameter as a list with one value for each layer, once all layers have it.
fn xielu(input: &Input, builder: &mut Builder) -> Result<()> {
    let mut lists: BTreeMap<&str, BTreeMap<u64, f32>> = BTreeMap::new();
    let layers = input.config.require_u32(&["num_hidden_layers"])?;
    for (name, expr) in &input.tensors {
        let Some(parameter) = parameter(name) else { continue };
        let Some(layer) = name.split('.').find_map(|part| part.parse().ok()) else { continue };
        let values = contents::floats(input.checkpoint, name, expr)?;
        let [value] = values.as_slice() else {
            return Err(builder.invalid(format!("{name}: expected one value, found {}", values.len())));
        };
        let list = lists.entry(parameter).or_default();
        list.insert(layer, *value);
        if list.len() as u64 == u64::from(layers) {
            let values = list.values().copied().collect();
            builder.early.values.set(format!("xielu.{parameter}"), Value::F32s(values));
        }
    }
    Ok(())
}
