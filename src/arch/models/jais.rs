//! The first Jais (`JaisModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, contents, names};
use crate::config::Config;
use crate::error::Result;

pub(super) const JAIS: Family = Family {
    names: &["JAISLMHeadModel"],
    arch: "jais",
    tensors: names::JAIS,
    keys: key_values,
    // Causal masks.
    rename: |_, name| (!name.ends_with(".attn.bias")).then(|| name.to_owned()),
    emit,
    finish: |_, builder| {
        if builder.early.values.get("jais.attention.max_alibi_bias").is_none() {
            builder.early.set_f32("attention.max_alibi_bias", Some(8.0));
        }
        Ok(())
    },
    ..TEXT
};

/// Matrices that are stored the other way round.
const TURNED: [&str; 4] = [".c_attn.weight", ".c_proj.weight", ".c_fc.weight", ".c_fc2.weight"];

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    for (key, expected) in [("activation_function", "swiglu"), ("position_embedding_type", "alibi")] {
        if config.str(&[key])? != Some(expected) {
            return Err(config.unsupported(format!("{key}: only {expected} can be converted")));
        }
    }
    scales(config)?;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("context_length", get("n_positions")?);
    keys.set_u32("embedding_length", get("n_embd")?);
    keys.set_u32("feed_forward_length", get("n_inner")?);
    keys.set_u32("attention.head_count", get("n_head")?);
    keys.set_f32("attention.layer_norm_epsilon", Some(config.require_f32(&["layer_norm_epsilon"])?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// What embeddings and the output matrix are multiplied by.
fn scales(config: &Config) -> Result<(f64, f64)> {
    let has = |key: &str| config.map().contains_key(key);
    let one_of = |keys: [&'static str; 2]| keys.into_iter().find(|key| has(key)).unwrap_or(keys[1]);
    let embeddings = config.require_f64(&[one_of(["mup_embeddings_scale", "embeddings_scale"])])?;
    let output = match one_of(["mup_output_alpha", "width_scale"]) {
        "width_scale" => config.require_f64(&["width_scale"])?,
        alpha => config.require_f64(&[alpha])? * config.require_f64(&["mup_width_scale"])?,
    };
    Ok((embeddings, output))
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if tensor.name.ends_with("relative_pe.slopes") {
        let bias = alibi_bias(input, builder, &tensor)?;
        builder.early.set_f32("attention.max_alibi_bias", Some(bias));
        return Ok(());
    }
    if TURNED.iter().any(|matrix| tensor.name.ends_with(matrix)) {
        tensor.expr = tensor.expr.swap_axes(1, 0)?;
    }
    let name = builder.resolve(&tensor.name)?;
    let (embeddings, output) = scales(input.config)?;
    let scale = match name.as_str() {
        "token_embd.weight" => embeddings,
        "output.weight" => output,
        _ => 1.0,
    };
    #[allow(clippy::float_cmp, reason = "most models have exactly 1, and their weights can be shared")]
    if scale != 1.0 {
        #[allow(clippy::cast_possible_truncation)]
        let scale = scale as f32;
        tensor.expr = tensor.expr.times(scale);
    }
    builder.add(tensor)
}

/// The largest bias of attention to what is far away, from the slope of the first head, which is two to the power of minus
/// that bias divided by the number of heads (as a power of two).
fn alibi_bias(input: &Input, builder: &Builder, slopes: &Tensor) -> Result<f32> {
    let heads = input.config.require_u32(&["n_head"])?;
    let first = contents::floats(input.checkpoint, &slopes.name, &slopes.expr)?.first().copied();
    let first = first.filter(|slope| *slope > 0.0 && slope.is_finite()).ok_or_else(|| {
        builder.invalid(format!("{}: expected positive slopes, found {first:?} first", slopes.name))
    })?;
    let power =
        heads.checked_ilog2().ok_or_else(|| input.config.invalid("n_head: expected at least 1, found 0"))?;
    #[allow(clippy::cast_possible_truncation)]
    let bias = -(f64::from(first).log2() * f64::from(1u32 << power)).round_ties_even() as f32;
    // Python's integers know no minus zero.
    Ok(bias + 0.0)
}
