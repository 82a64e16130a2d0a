//! Qwen 3 Next and Qwen 3.5: most layers have linear attention (`Qwen3NextModel`, `Qwen3_5TextModel`,
//! `Qwen3_5MoeTextModel` of the reference).

use crate::arch::builder::Builder;
use crate::arch::mtp::main_layers;
use crate::arch::tensors::{Tensor, general_name, is_decimal};
use crate::arch::{Family, Input, Keys, Mtp, Options, keys, names, rope};
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gguf::Value;
use crate::tensor::TensorExpr;

use super::qwen::{QWEN2_MOE, expert_keys, experts};

pub(super) const QWEN3_NEXT: Family = Family {
    names: &["Qwen3NextForCausalLM"],
    arch: "qwen3next",
    tensors: names::QWEN3NEXT,
    mtp: true,
    layers,
    keys: key_values,
    rename,
    emit,
    ..QWEN2_MOE
};

pub(super) const QWEN35: Family = Family {
    names: &["Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration"],
    arch: "qwen35",
    tensors: names::QWEN35,
    keys: |input, keys| {
        key_values(input, keys)?;
        if !input.rope.map().contains_key("mrope_section") {
            keys.set("rope.dimension_sections", Value::I32s(vec![11, 11, 10, 0]));
        }
        Ok(())
    },
    nvfp4: tiled_codes,
    emit: tiled,
    ..QWEN3_NEXT
};

pub(super) const MINICPM_V4_6: Family = Family {
    names: &["MiniCPMV4_6ForConditionalGeneration"],
    rename: |input, name| {
        // Its layers for prediction are not used.
        let other = name.starts_with("model.merger.") || name.starts_with("mtp");
        if other { None } else { rename(input, name) }
    },
    ..QWEN35
};

pub(super) const QWEN35_MOE: Family = Family {
    names: &["Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration"],
    arch: "qwen35moe",
    tensors: names::QWEN35MOE,
    ..QWEN35
};

/// Number of layers, counting those for multi-token prediction: as many as the configuration says, or as the
/// checkpoint has.
fn layers(config: &Config, options: &Options, checkpoint: &Checkpoint) -> Result<u32> {
    if options.mtp == Mtp::Drop {
        return keys::layers_and_more(config, 0);
    }
    let mut more = config.u32(&["mtp_num_hidden_layers"])?.unwrap_or(0);
    if more == 0 {
        let layer = |name: &str| Some(mtp_layer(&general_name(name))?.0.saturating_add(1));
        let found = checkpoint.tensors.iter().filter_map(|tensor| layer(&tensor.name)).max();
        // An adapter comes without the model's tensors, and has none for such layers.
        let found = found.or_else(|| checkpoint.own_tensors().is_empty().then_some(0));
        let Some(found) = found else {
            let problem = "the model has no layers for multi-token prediction (tensors mtp.layers.…), which the \
                           reference wants";
            return Err(config.invalid(problem).hint("use --no-nextn"));
        };
        more = u32::try_from(found).unwrap_or(u32::MAX);
    }
    keys::layers_and_more(config, more)
}

/// The number of a prediction layer that a tensor belongs to, and its name there.
fn mtp_layer(name: &str) -> Option<(u64, &str)> {
    let name = name.strip_prefix("model.").unwrap_or(name);
    let (layer, rest) = name.strip_prefix("mtp.layers.")?.split_once('.')?;
    is_decimal(layer).then(|| (layer.parse().unwrap_or(u64::MAX), rest))
}

/// Prediction layers come after the others.
fn rename(input: &Input, name: &str) -> Option<String> {
    rename_as(input, name, input.options.mtp)
}

/// [`rename`], where `mtp` says what becomes of prediction layers.
pub(super) fn rename_as(input: &Input, name: &str, mtp: Mtp) -> Option<String> {
    const KEPT: [&str; 5] = [
        "model.embed_tokens.weight",
        "model.norm.weight",
        "lm_head.weight",
        "embed_tokens.weight",
        "norm.weight",
    ];
    let plain = general_name(name);
    let plain = if plain.starts_with("model.mtp.") { &plain["model.".len()..] } else { &plain };
    let layers = main_layers(input);
    let Some(rest) = plain.strip_prefix("mtp.") else {
        let kept = mtp != Mtp::Only || KEPT.contains(&plain);
        return kept.then(|| plain.to_owned());
    };
    if mtp == Mtp::Drop {
        return None;
    }
    if let Some((layer, rest)) = mtp_layer(plain) {
        return Some(format!("model.layers.{}.{rest}", layers.saturating_add(layer)));
    }
    let renamed = match rest.split_once('.') {
        Some((_, kind)) if kind.contains('.') => None,
        Some(("fc", kind)) => Some(("eh_proj", kind)),
        Some(("pre_fc_norm_embedding", kind)) => Some(("enorm", kind)),
        Some(("pre_fc_norm_hidden", kind)) => Some(("hnorm", kind)),
        Some(("norm", kind)) => Some(("shared_head.norm", kind)),
        _ => None,
    };
    Some(
        renamed.map_or_else(
            || plain.to_owned(),
            |(module, kind)| format!("model.layers.{layers}.{module}.{kind}"),
        ),
    )
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    expert_keys(input, keys)?;
    let config = input.config;
    let layers = config.require_u32(&["num_hidden_layers"])?;
    let more = input.layers.saturating_sub(layers);
    keys.set_u32("nextn_predict_layers", Some(more).filter(|more| *more > 0));
    let get = |key: &str| config.require_u32(&[key]);
    keys.set_u32("ssm.conv_kernel", Some(get("linear_conv_kernel_dim")?));
    keys.set_u32("ssm.state_size", Some(get("linear_key_head_dim")?));
    keys.set_u32("ssm.group_count", Some(get("linear_num_key_heads")?));
    let heads = get("linear_num_value_heads")?;
    keys.set_u32("ssm.time_step_rank", Some(heads));
    let inner = get("linear_value_head_dim")?.checked_mul(heads);
    let inner =
        inner.ok_or_else(|| config.invalid("linear_num_value_heads × linear_value_head_dim is absurd"))?;
    keys.set_u32("ssm.inner_size", Some(inner));
    if let Some(kinds) = config.strings("layer_types")? {
        if kinds.len() as u64 != u64::from(layers) {
            let found = kinds.len();
            return Err(config.invalid(format!("layer_types: expected {layers} entries, found {found}")));
        }
        let linear = kinds.iter().map(|kind| *kind == "linear_attention");
        let linear = linear.chain((0..more).map(|_| false)).collect();
        keys.set_bools("attention.recurrent_layers", linear);
    }
    keys.set_u32("full_attention_interval", Some(config.u32(&["full_attention_interval"])?.unwrap_or(4)));
    let rotated = keys::rotated(input, rope::dimension_count(input)?, 0.25)?;
    keys.set_u32("rope.dimension_count", Some(rotated));
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let name = &tensor.name;
    if name.ends_with(".A_log") {
        tensor.expr = tensor.expr.neg_exp();
    } else if let Some(module) = name.strip_suffix(".dt_bias") {
        tensor.name = format!("{module}.dt_proj.bias");
    } else if name.contains("conv1d") {
        tensor.expr = squeezed(tensor.expr)?;
    } else if name.ends_with("norm.weight") && !name.ends_with("linear_attn.norm.weight") {
        tensor.expr = tensor.expr.plus(1.0);
    }
    if !tensor.name.contains("in_proj_qkvz.weight") {
        return experts(input, builder, tensor);
    }
    let Some(layer) = tensor.layer else {
        return Err(builder.invalid(format!("{}: outside of any layer", tensor.name)));
    };
    let heads = Heads::of(input)?;
    let (qkv, z) =
        heads.ungroup(tensor.expr).map_err(|e| builder.invalid(format!("{}: {e}", tensor.name)))?;
    builder.add_as(format!("blk.{layer}.attn_qkv.weight"), Some(layer), qkv)?;
    builder.add_as(format!("blk.{layer}.attn_gate.weight"), Some(layer), z)
}

/// The tensor without axes of length 1.
fn squeezed(expr: TensorExpr) -> Result<TensorExpr> {
    let shape: Vec<u64> = expr.shape().iter().copied().filter(|len| *len != 1).collect();
    expr.reshape(&shape)
}

/// More rows than any head has; keeps sums within range.
const ABSURD: u64 = 1 << 40;

/// Heads of linear attention: how many, and their sizes.
struct Heads {
    keys: u64,
    values: u64,
    key_size: u64,
    value_size: u64,
}

impl Heads {
    fn of(input: &Input) -> Result<Self> {
        let get = |key: &str| input.config.require_u32(&[key]).map(u64::from);
        Ok(Self {
            keys: get("linear_num_key_heads")?,
            values: get("linear_num_value_heads")?,
            key_size: get("linear_key_head_dim")?,
            value_size: get("linear_value_head_dim")?,
        })
    }

    /// Value heads for each key head.
    fn ratio(&self) -> u64 {
        self.values.checked_div(self.keys).unwrap_or(0)
    }

    /// Rows of queries and keys, or of one of them.
    fn key_rows(&self) -> u64 {
        self.keys.saturating_mul(self.key_size)
    }

    /// Rows come as query, key, value and gate of each key head in turn; makes it all queries, all keys, all
    /// values, and separately all gates.
    fn ungroup(&self, expr: TensorExpr) -> Result<(TensorExpr, TensorExpr)> {
        let columns = expr.shape().get(1).copied().unwrap_or(0);
        let wide = self.ratio().saturating_mul(self.value_size).min(ABSURD);
        let ends =
            [0, self.key_size, 2 * self.key_size, 2 * self.key_size + wide, 2 * (self.key_size + wide)];
        let grouped = expr.reshape(&[self.keys, ends[4], columns])?;
        let part = |at: usize| {
            let rows = self.keys.saturating_mul(ends[at + 1] - ends[at]);
            grouped.clone().slice(1, ends[at], ends[at + 1], 1)?.reshape(&[rows, columns])
        };
        Ok((TensorExpr::concat(vec![part(0)?, part(1)?, part(2)?])?, part(3)?))
    }

    /// Value heads come grouped by key head; llama.cpp repeats key heads as a whole, and wants the first value
    /// head of each group, then the second, and so on. They lie along `axis`, `size` elements each.
    fn tile(&self, expr: TensorExpr, axis: usize, size: u64) -> Result<TensorExpr> {
        let wanted = self.keys.saturating_mul(self.ratio()).saturating_mul(size);
        if expr.shape().get(axis) != Some(&wanted) {
            return Err(Error::shape(format_args!("{:?}", expr.shape())));
        }
        expr.regroup(axis, self.keys, self.ratio())
    }

    /// [`Heads::tile`] for the rows that follow the first `before`.
    fn tile_after(&self, expr: TensorExpr, before: u64) -> Result<TensorExpr> {
        let rows = expr.shape().first().copied().unwrap_or(0);
        let values = expr.clone().rows(before, rows)?;
        TensorExpr::concat(vec![expr.rows(0, before)?, self.tile(values, 0, self.value_size)?])
    }
}

/// [`emit`] for models that may have more value heads than key heads.
fn tiled(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let count = |key: &str| input.config.u32(&[key]).map(|count| count.unwrap_or(0));
    let (keys, values) = (count("linear_num_key_heads")?, count("linear_num_value_heads")?);
    if keys > 0 && values > 0 && keys != values && tensor.name.contains("linear_attn.") {
        let shape = tensor.expr.shape().to_vec();
        tensor.expr = tile(&Heads::of(input)?, &tensor.name, tensor.expr).map_err(|_| {
            builder.invalid(format!(
                "{}: shape {shape:?} does not fit {keys} key heads and {values} value heads",
                tensor.name
            ))
        })?;
    }
    emit(input, builder, tensor)
}

/// [`tiled`] for codes of NVFP4, two to a byte. Those that share a scale stay together.
fn tiled_codes(input: &Input, name: &str, codes: TensorExpr) -> Result<TensorExpr> {
    let parts = ["in_proj_qkv", "in_proj_z", "in_proj_a", "in_proj_b", "out_proj"];
    if !parts.iter().any(|part| name.ends_with(&format!(".linear_attn.{part}.weight"))) {
        return Ok(codes);
    }
    let mut heads = Heads::of(input)?;
    let (shape, wide) = (codes.shape().to_vec(), heads.value_size);
    let columns = name.contains(".out_proj.");
    if columns {
        heads.value_size /= 2;
    }
    let apart = columns && heads.ratio() > 1 && !wide.is_multiple_of(16);
    let moved = tile(&heads, name, codes).ok().filter(|_| !apart);
    moved.ok_or_else(|| {
        let (keys, values) = (heads.keys, heads.values);
        let problem = format!(
            "{name}: codes of shape {shape:?} do not fit {keys} key heads and {values} value heads of {wide}"
        );
        Error::invalid(&input.checkpoint.dir, problem)
    })
}

fn tile(heads: &Heads, name: &str, expr: TensorExpr) -> Result<TensorExpr> {
    let has = |part: &str| name.contains(part);
    if has(".in_proj_qkv.") {
        heads.tile_after(expr, heads.key_rows().saturating_mul(2))
    } else if has(".in_proj_z.") {
        heads.tile(expr, 0, heads.value_size)
    } else if has(".in_proj_b.") || has(".in_proj_a.") {
        heads.tile(expr, 0, 1)
    } else if has(".A_log") || has(".dt_bias") || has(".dt_proj") {
        let last = expr.shape().len().saturating_sub(1);
        heads.tile(expr, last, 1)
    } else if has(".conv1d") {
        heads.tile_after(squeezed(expr)?, heads.key_rows().saturating_mul(2))
    } else if has(".out_proj.") {
        heads.tile(expr, 1, heads.value_size)
    } else {
        Ok(expr)
    }
}
