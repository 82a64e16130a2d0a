//! Checkpoints whose weights are stored in eight bits with scales (`dequant_model` of the reference): each
//! weight becomes a product, and its scales disappear from the list.

use std::collections::HashSet;
use std::mem;

use crate::json::Value as Json;

use crate::config::Config;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::tensor::{Leaf, Scale};

use super::packed;
use crate::arch::tensors::Tensors;
use crate::arch::{Input, tensors};

/// Weights in FP8, scaled by blocks.
///
/// # Errors
/// If scales do not fit.
pub(super) fn fp8(input: &mut Input, config: &Config) -> Result<()> {
    let block = block(config, config.map().get("weight_block_size"))?;
    drop_unused(input, &[".activation_scale", "_activation_scale", ".qscale_act"]);
    multiply(input, "_scale_inv", "", block.as_deref(), |_| true)?;
    multiply(input, ".qscale_weight", ".weight", block.as_deref(), |_| true)
}

/// What ModelOpt stores in FP8, or in eight bits, scaled by rows or as a whole.
///
/// # Errors
/// If scales do not fit.
pub(super) fn modelopt(input: &mut Input) -> Result<()> {
    drop_unused(input, &[".input_scale", ".k_scale", ".v_scale"]);
    let lonely = |name: &str| {
        let weight = name.strip_suffix("_scale").filter(|weight| weight.ends_with(".weight"));
        weight.is_some_and(|weight| !input.tensors.contains_key(weight))
    };
    let lonely: HashSet<String> = input.tensors.keys().filter(|name| lonely(name)).cloned().collect();
    input.tensors.retain(|name, _| !lonely.contains(name));
    let fp8 = |dtype| matches!(dtype, Dtype::F8E4M3 | Dtype::F8E5M2);
    multiply(input, ".weight_scale", ".weight", None, fp8)
}

/// What compressed-tensors stores by one group of settings.
///
/// # Errors
/// If the format cannot be read, or scales do not fit.
pub(super) fn compressed_tensors(input: &mut Input, config: &Config) -> Result<()> {
    let format = config.str(&["format"])?.unwrap_or_default().to_owned();
    let groups = config.section("config_groups")?;
    let weights = match groups.map().values().collect::<Vec<_>>().as_slice() {
        [Json::Object(group)] => group.get("weights").and_then(Json::as_object).cloned(),
        _ => return Err(unsupported(input, "compressed-tensors with other than one group of settings")),
    };
    let weights = weights.unwrap_or_default();
    if format == "pack-quantized" {
        return packed::pack_quantized(input, config, &weights);
    }
    let is = |key: &str, value: &Json| weights.get(key) == Some(value);
    let plain = ["float-quantized", "int-quantized", "naive-quantized"].contains(&format.as_str());
    let strategy = ["channel", "block"].iter().any(|strategy| is("strategy", &(*strategy).into()));
    if !plain || !strategy || weights.get("group_size").is_some_and(|size| !size.is_null()) {
        let strategy = weights.get("strategy").map(Json::to_string).unwrap_or_default();
        return Err(unsupported(
            input,
            &format!(
                "the weights are quantized by compressed-tensors, format {}, strategy {}",
                quoted(&format),
                quoted(&strategy)
            ),
        ));
    }
    let fp8 = format == "float-quantized" && is("type", &"float".into()) && is("num_bits", &8.into());
    let block = block(config, weights.get("block_structure"))?;
    multiply(input, ".weight_scale", ".weight", block.as_deref(), |_| fp8)
}

/// The sides of blocks that share a scale, if scales are by block.
fn block(config: &Config, value: Option<&Json>) -> Result<Option<Vec<u64>>> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let sides = value.as_array().and_then(|sides| sides.iter().map(Json::as_u64).collect::<Option<Vec<_>>>());
    let sides = sides.filter(|sides| sides.len() <= 4 && !sides.contains(&0));
    sides
        .map(Some)
        .ok_or_else(|| config.invalid("quantization_config: expected sides of blocks, such as [128, 128]"))
}

/// Leaves out tensors that only matter for computing in eight bits.
fn drop_unused(input: &mut Input, suffixes: &[&str]) {
    input.tensors.retain(|name, _| !suffixes.iter().any(|suffix| name.ends_with(suffix)));
}

/// Multiplies each weight by its scales: the weight's name is the scales' with `suffix` replaced by `weight`.
/// `fp8` says of which source types weights count as FP8.
fn multiply(
    input: &mut Input,
    suffix: &str,
    weight: &str,
    block: Option<&[u64]>,
    fp8: impl Fn(Dtype) -> bool,
) -> Result<()> {
    // All scales at once: removing them one by one would move what follows each of them.
    let (all, weights): (Tensors, Tensors) =
        mem::take(&mut input.tensors).into_iter().partition(|(name, _)| name.ends_with(suffix));
    input.tensors = weights;
    for (name, scales) in all {
        let name = format!("{}{weight}", name.strip_suffix(suffix).unwrap_or(&name));
        let Some(expr) = input.tensors.get_mut(&name) else {
            let problem = format!("{} has scales, but the tensor itself is missing", quoted(&name));
            return Err(Error::invalid(&input.checkpoint.dir, problem));
        };
        let Some(Leaf::Source(source)) = scales.first_leaf() else { continue };
        let scale = Scale::new(source, expr.shape(), scales.shape(), block).map_err(|problem| {
            Error::invalid(&input.checkpoint.dir, format!("{}: {problem}", quoted(&name)))
        })?;
        if tensors::source(input.checkpoint, expr).is_some_and(|tensor| fp8(tensor.dtype)) {
            input.fp8.insert(name);
        }
        *expr = expr.clone().scaled(scale);
    }
    Ok(())
}

fn unsupported(input: &Input, problem: &str) -> Error {
    let path = input.checkpoint.dir.join("config.json");
    Error::unsupported(problem).at(path).hint("convert the original checkpoint instead")
}
