//! PLaMo (`PlamoModel`, `Plamo2Model`, `Plamo3Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::config::{Config, truthy};
use crate::error::Result;
use crate::gguf::Value;
use crate::vocab;

pub(super) const PLAMO: Family = Family {
    names: &["PlamoForCausalLM"],
    arch: "plamo",
    vocab: vocab::sentencepiece_only,
    tensors: names::PLAMO,
    keys: first_keys,
    emit: shuffle,
    ..TEXT
};

pub(super) const PLAMO2: Family = Family {
    names: &["PLaMo2ForCausalLM", "Plamo2ForCausalLM"],
    arch: "plamo2",
    vocab: vocab::plamo,
    tensors: names::PLAMO2,
    keys: second_keys,
    emit: second,
    ..TEXT
};

pub(super) const PLAMO3: Family = Family {
    names: &["PLaMo3ForCausalLM", "Plamo3ForCausalLM"],
    arch: "plamo3",
    vocab: vocab::plamo_with_template,
    tensors: names::PLAMO3,
    keys: third_keys,
    emit: |_, builder, tensor| {
        let head =
            [".mixer.q_norm.weight", ".mixer.k_norm.weight"].iter().any(|end| tensor.name.ends_with(end));
        let (name, expr) = (&tensor.name, &tensor.expr);
        let expr = if head { expr.clone().plus(1.0) } else { from_one(name, expr.clone()) };
        builder.add(Tensor { expr, ..tensor })
    },
    ..TEXT
};

fn first_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]).map(Some);
    // The configuration does not say.
    keys.set_u32("context_length", Some(4096));
    keys.set_u32("embedding_length", get("hidden_size")?);
    keys.set_u32("feed_forward_length", get("intermediate_size")?);
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("attention.head_count", get("num_attention_heads")?);
    // The configuration says something else, and is wrong.
    keys.set_u32("attention.head_count_kv", Some(5));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(config.require_f32(&["rms_norm_eps"])?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// Puts the queries that share a key beside those of other keys, as llama.cpp takes them.
fn shuffle(_: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    const WIDTH: u64 = 5120;
    let name = builder.resolve(&tensor.name)?;
    let (split, axes) = match () {
        () if name.ends_with("attn_q.weight") => ([8, 5, 128, WIDTH], (0, 1)),
        () if name.ends_with("attn_output.weight") => ([WIDTH, 8, 5, 128], (1, 2)),
        () => return builder.add(tensor),
    };
    let shape = tensor.expr.shape();
    if *shape != [WIDTH, WIDTH] {
        return Err(builder.invalid(format!(
            "{}: expected shape [{WIDTH}, {WIDTH}], the only one that PLaMo is known to have, found {shape:?}",
            tensor.name
        )));
    }
    tensor.expr = tensor.expr.reshape(&split)?.swap_axes(axes.0, axes.1)?.reshape(&[WIDTH, WIDTH])?;
    builder.add(tensor)
}

fn second_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let or = |key: &str, default: u32| Ok::<_, crate::error::Error>(config.u32(&[key])?.unwrap_or(default));
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    let attention = attention_layers(input)?;
    for (key, name, default) in
        [("head_count_kv", "num_key_value_heads", 4), ("head_count", "num_attention_heads", 32)]
    {
        let heads = match config.map().contains_key(name) {
            true => keys::signed(config, name)?,
            false => default,
        };
        if !attention.is_empty() {
            let heads = attention.iter().map(|attends| if *attends { heads } else { 0 }).collect();
            keys.set(&format!("attention.{key}"), Value::I32s(heads));
        }
    }
    keys.set_u32("context_length", Some(or("max_position_embeddings", 2048)?));
    keys.set_u32("embedding_length", Some(or("hidden_size", 4096)?));
    let head = or("hidden_size_per_head", 128)?;
    keys.set_u32("attention.key_length", Some(head));
    keys.set_u32("attention.value_length", Some(head));
    keys.set_u32("block_count", Some(input.layers));
    let epsilon = config.f32(&["rms_norm_eps"])?.unwrap_or(1e-6);
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(epsilon));
    keys.set_f32("rope.freq_base", Some(input.rope.f32(&["rope_theta"])?.unwrap_or(10_000.0)));
    let heads = or("mamba_num_heads", 64)?;
    keys.set_u32("ssm.state_size", Some(or("mamba_d_state", 64)?));
    keys.set_u32("ssm.conv_kernel", Some(or("mamba_d_conv", 4)?));
    keys.set_u32("ssm.time_step_rank", Some(heads));
    keys.set_u32("ssm.inner_size", Some(keys::times(config, heads, head)?));
    keys.set_u32("ssm.group_count", Some(0));
    keys.set_u32("feed_forward_length", Some(or("intermediate_size", 13312)?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// For each layer, whether it attends; the others are Mamba's. Nothing if there is no Mamba at all.
fn attention_layers(input: &Input) -> Result<Vec<bool>> {
    let config = input.config;
    if !config.map().get("mamba_enabled").is_none_or(truthy) {
        return Ok(Vec::new());
    }
    let step = config.u32(&["mamba_step"])?.unwrap_or(2);
    if step == 0 {
        return Err(config.invalid("mamba_step: expected at least 1, found 0"));
    }
    let attends = |layer| match input.layers <= step / 2 {
        true => layer == input.layers - 1,
        false => layer % step == step / 2,
    };
    Ok((0..input.layers).map(attends).collect())
}

fn second(_: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let renamed = [
        (".dt_bias", ".dt_proj.bias"),
        (".dt_norm_weight", ".dt_norm.weight"),
        (".B_norm_weight", ".B_norm.weight"),
        (".C_norm_weight", ".C_norm.weight"),
        (".k_weight", ".k.weight"),
        (".q_weight", ".q.weight"),
    ];
    let name = tensor.name.clone();
    if let Some((stem, new)) = renamed.iter().find_map(|(old, new)| Some((name.strip_suffix(old)?, new))) {
        tensor.name = format!("{stem}{new}");
    } else if name.ends_with(".A_log") {
        tensor.expr = tensor.expr.neg_exp();
    } else if name.ends_with(".conv1d.weight") {
        tensor.expr = tensor.expr.squeeze();
        if tensor.expr.shape().len() != 2 {
            let shape = tensor.expr.shape();
            return Err(
                builder.invalid(format!("{name}: expected a kernel for each channel, found shape {shape:?}"))
            );
        }
    } else {
        tensor.expr = from_one(&name, tensor.expr);
    }
    builder.add(tensor)
}

/// Norms are stored as what they differ from a constant by.
#[allow(clippy::cast_possible_truncation)]
fn from_one(name: &str, expr: crate::tensor::TensorExpr) -> crate::tensor::TensorExpr {
    let constants = [
        (".pre_mixer_norm.weight", 1.0),
        (".post_mixer_norm.weight", 1.0 / 5.0),
        (".pre_mlp_norm.weight", 1.0),
        (".post_mlp_norm.weight", 1.0 / 5f64.powf(1.5)),
        (".norm.weight", 1.0),
    ];
    match constants.iter().find(|(end, _)| name.ends_with(end)) {
        Some((_, constant)) => expr.plus(*constant as f32),
        None => expr,
    }
}

fn third_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    keys::common_with(input, config, &extended_rope(input)?, keys)?;
    keys.set_u32("vocab_size", Some(config.require_u32(&["vocab_size"])?));
    if let Some(window) = config.u32(&["window_size", "sliding_window"])? {
        keys.set_u32("attention.sliding_window", Some(window));
        let key = "sliding_window_pattern";
        let pattern = match config.map().get(key) {
            Some(crate::json::Value::Array(layers)) => Value::Bools(
                layers.iter().map(|slides| slides.as_bool().ok_or(())).collect::<Result<_, _>>().map_err(
                    |()| config.invalid(format!("{key}: expected a number, or a list of booleans")),
                )?,
            ),
            _ => Value::U32(config.require_u32(&[key])?),
        };
        keys.set("attention.sliding_window_pattern", pattern);
    }
    Ok(())
}

/// Rope settings, some of which lie beside the others.
fn extended_rope(input: &Input) -> Result<Config> {
    let (config, mut rope) = (input.config, input.rope.clone());
    let Some(factor) = config.f64(&["rope_scaling_factor"])? else { return Ok(rope) };
    #[allow(clippy::float_cmp, reason = "what is exactly 1 does not scale")]
    if factor == 1.0 || rope.map().contains_key("rope_type") {
        return Ok(rope);
    }
    rope.set("rope_type", "yarn");
    rope.set("factor", factor);
    rope.set("original_max_position_embeddings", config.require_u32(&["initial_context_length"])?);
    rope.set("beta_fast", 32.0);
    rope.set("beta_slow", 1.0);
    Ok(rope)
}
