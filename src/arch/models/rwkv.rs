//! RWKV 6 and models that Qwen 2 was turned into with it (`Rwkv6Model`, `RWKV6Qwen2Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, names};
use crate::error::Result;
use crate::tensor::TensorExpr;
use crate::vocab;

use super::mamba::CONTEXT;

pub(super) const RWKV6: Family = Family {
    names: &["Rwkv6ForCausalLM"],
    arch: "rwkv6",
    vocab: vocab::rwkv,
    tensors: names::RWKV6,
    keys: rwkv6_keys,
    emit: |input, builder, tensor| match rwkv6(input, builder, tensor)? {
        Some(tensor) => builder.add_as(tensor.name, tensor.layer, tensor.expr),
        None => Ok(()),
    },
    ..TEXT
};

pub(super) const RWKV6_QWEN2: Family = Family {
    names: &["RWKV6Qwen2ForCausalLM"],
    arch: "rwkv6qwen2",
    vocab: vocab::qwen2,
    tensors: names::RWKV6QWEN2,
    keys: qwen2_keys,
    emit: |input, builder, tensor| match rwkv6(input, builder, tensor)? {
        Some(mut tensor) => {
            tensor.expr = reordered(builder, &tensor.name, tensor.expr)?;
            builder.add_as(tensor.name, tensor.layer, tensor.expr)
        }
        None => Ok(()),
    },
    ..TEXT
};

fn rwkv6_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let width = config.require_u32(&["hidden_size"])?;
    let (mix, decay) = if width == 4096 { (64, 128) } else { (32, 64) };
    let (head, every) = (config.require_u32(&["head_size"])?, config.require_u32(&["rescale_every"])?);
    let epsilon = config.require_f32(&["layer_norm_epsilon"])?;
    if !config.map().contains_key("intermediate_size") {
        return Err(config.invalid("intermediate_size is missing"));
    }
    // A multiple of 32.
    let inner = u64::from(width) * 7 / 2 / 32 * 32;
    let inner = u32::try_from(inner).map_err(|_| config.invalid("hidden_size is absurd"))?;
    keys.set_u32("context_length", Some(CONTEXT));
    keys.set_u32("embedding_length", Some(width));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_f32("attention.layer_norm_epsilon", Some(epsilon));
    keys.set_u32("rescale_every_n_layers", Some(every));
    keys.set_u32("wkv.head_size", Some(head));
    keys.set_u32("time_mix_extra_dim", Some(mix));
    keys.set_u32("time_decay_extra_dim", Some(decay));
    keys.set_u32("feed_forward_length", Some(config.u32(&["intermediate_size"])?.unwrap_or(inner)));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    // Readers want it, though there are none.
    keys.set_u32("attention.head_count", Some(0));
    Ok(())
}

fn qwen2_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    let get = |key: &str| config.require_u32(&[key]);
    let width = get("hidden_size")?;
    let (mix, decay) = if width >= 4096 { (64, 128) } else { (32, 64) };
    let head = width.checked_div(get("num_attention_heads")?);
    let head = head.ok_or_else(|| config.invalid("num_attention_heads: expected at least 1, found 0"))?;
    keys.set_u32("context_length", Some(CONTEXT));
    keys.set_u32("embedding_length", Some(width));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("wkv.head_size", Some(head));
    keys.set_u32("time_mix_extra_dim", Some(config.u32(&["lora_rank_tokenshift"])?.unwrap_or(mix)));
    keys.set_u32("time_decay_extra_dim", Some(config.u32(&["lora_rank_decay"])?.unwrap_or(decay)));
    keys.set_u32("feed_forward_length", Some(get("intermediate_size")?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(config.require_f32(&["rms_norm_eps"])?));
    keys.set_u32("token_shift_count", Some(1));
    keys.set_u32("attention.head_count_kv", Some(get("num_key_value_heads")?));
    keys.set_u32("attention.head_count", Some(0));
    Ok(())
}

/// How far a layer looks at the token before, for each of what it computes; they become one tensor.
const MIXED: [&str; 5] = ["w", "k", "v", "r", "g"];

/// A tensor under its GGUF name; none while it waits for others.
fn rwkv6(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<Option<Tensor>> {
    tensor.name = with_suffix(builder.resolve(&tensor.name)?);
    let is = |name: &str| tensor.name.ends_with(&format!("{name}.weight"));
    if ["time_mix_w1", "time_mix_decay_w1", "time_mix_decay_w2"].into_iter().any(is) {
        tensor.expr = tensor.expr.swap_axes(0, 1)?;
    } else if is("time_mix_w2") {
        tensor.expr = tensor.expr.permute(&[0, 2, 1])?;
    } else if is("time_mix_decay") || tensor.name.contains("lerp") {
        tensor.expr = tensor.expr.squeeze();
    } else if is("time_mix_output") || is("channel_mix_value") {
        tensor.expr = rescaled(input, builder, &tensor)?;
    }
    let Some(layer) = tensor.layer else { return Ok(Some(tensor)) };
    if !tensor.name.contains("time_mix_lerp") || tensor.name.contains("time_mix_lerp_x") {
        return Ok(Some(tensor));
    }
    let name = format!("blk.{layer}.time_mix_lerp_fused.weight");
    let parts = MIXED.map(|part| format!("blk.{layer}.time_mix_lerp_{part}.weight"));
    let Some(parts) = builder.gather(&name, tensor, &parts) else { return Ok(None) };
    let whole = TensorExpr::stack(parts)?;
    let [first, rest @ ..] = whole.shape() else { return Ok(None) };
    let shape = [&[*first, 1, 1], rest].concat();
    let expr = whole.reshape(&shape)?;
    Ok(Some(Tensor { name, layer: Some(layer), expr }))
}

/// A name with `.weight`, if it has no other suffix.
pub(super) fn with_suffix(name: String) -> String {
    if name.ends_with(".weight") || name.ends_with(".bias") { name } else { name + ".weight" }
}

/// Halved once more in every so many layers, so that F16 suffices.
fn rescaled(input: &Input, builder: &Builder, tensor: &Tensor) -> Result<TensorExpr> {
    let every = input.config.u32(&["rescale_every"])?.filter(|every| *every > 0);
    let Some(every) = every.map(u64::from) else { return Ok(tensor.expr.clone()) };
    let times = tensor.layer.and_then(|layer| i32::try_from(layer / every).ok()).filter(|times| *times < 63);
    match times {
        Some(0) => Ok(tensor.expr.clone()),
        Some(times) => Ok(tensor.expr.clone().times(2f32.powi(-times))),
        None => Err(builder.invalid(format!("rescale_every: too small for {}", tensor.name))),
    }
}

/// Qwen's models have receptance first where RWKV 6 has decay.
fn reordered(builder: &Builder, name: &str, expr: TensorExpr) -> Result<TensorExpr> {
    const ORDER: [u64; 5] = [3, 1, 2, 0, 4];
    if !name.contains("time_mix_w1") && !name.contains("time_mix_w2") {
        return Ok(expr);
    }
    let shape = expr.shape().to_vec();
    let last = shape.last().copied().unwrap_or(1);
    let rows = expr.elements().checked_div(5 * last).unwrap_or(0);
    let whole = expr.reshape(&[5, rows, last]);
    let whole =
        whole.map_err(|_| builder.invalid(format!("{name}: expected five parts, found shape {shape:?}")))?;
    let parts: Result<_> = ORDER.into_iter().map(|part| whole.clone().slice(0, part, part + 1, 1)).collect();
    let expr = TensorExpr::concat(parts?)?;
    if name.contains("w2") { Ok(expr) } else { expr.reshape(&[5 * rows, last]) }
}
