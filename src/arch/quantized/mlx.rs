//! Checkpoints of MLX: `code · scale + bias` by groups along rows, each operation in the type of the scales.

use super::stored::{FLOATS, find, invalid, require};
use crate::arch::Input;
use crate::arch::tensors::Tensors;
use crate::config::Config;
use crate::dtype::{Dtype, Packing};
use crate::error::Result;
use crate::input::quoted;
use crate::json::Value as Json;
use crate::tensor::{Arithmetic, GridAxis, Scale, TensorExpr};

/// The settings of a checkpoint of MLX; none if it is not one.
///
/// # Errors
/// If they are not an object.
pub(super) fn settings(input: &Input) -> Result<Option<Config>> {
    let settings = input.config.optional_section("quantization")?;
    let there = ["group_size", "bits"].iter().all(|key| settings.map().contains_key(*key));
    Ok((there && input.tensors.keys().any(|name| name.ends_with(".biases"))).then_some(settings))
}

/// Replaces the matrices by what they stand for.
///
/// # Errors
/// If settings or tensors contradict each other.
pub(super) fn dequantize(input: &mut Input, settings: &Config) -> Result<()> {
    let mode = settings.str(&["mode"])?.unwrap_or("affine");
    if mode != "affine" {
        let problem = format!("weights quantized by MLX, mode {}: only affine can be read", quoted(mode));
        return Err(settings.unsupported(problem).hint("convert the original checkpoint instead"));
    }
    let mut made = Tensors::default();
    for name in input.tensors.keys() {
        if let Some(base) = name.strip_suffix(".biases") {
            made.insert(format!("{base}.weight"), matrix(input, base, settings)?);
        }
    }
    let used = |name: &str| {
        let base = name.strip_suffix(".biases").or_else(|| name.strip_suffix(".scales"));
        base.is_some_and(|base| made.contains_key(&format!("{base}.weight")))
    };
    input.tensors.retain(|name, _| !used(name));
    input.tensors.extend(made);
    Ok(())
}

fn matrix(input: &Input, base: &str, settings: &Config) -> Result<TensorExpr> {
    let own = settings.map().get(base);
    let number = |key: &'static str, most: u64| {
        let found = own.and_then(|own| own.get(key)).or_else(|| settings.map().get(key));
        let sound = found.and_then(Json::as_u64).filter(|number| (1..=most).contains(number));
        sound.ok_or_else(|| {
            settings.invalid(format!("quantization: {key} of {}: expected 1 to {most}", quoted(base)))
        })
    };
    let (bits, size) = (number("bits", 8)? as u32, number("group_size", 1 << 20)?);
    if !matches!(bits, 2 | 4 | 8) {
        let problem = format!("weights quantized by MLX with {bits} bits: only 2, 4 and 8 can be read");
        return Err(settings.unsupported(problem).hint("convert the original checkpoint instead"));
    }
    let packing = Packing::words(bits);
    let codes = require(input, format!("{base}.weight"))?;
    let biases = require(input, format!("{base}.biases"))?;
    let scales = find(input, format!("{base}.scales"))?;
    let scales = scales.ok_or_else(|| invalid(input, base, "has biases of groups, and no scales"))?;
    let Some((words, outer)) = codes.shape.split_last() else {
        return Err(invalid(input, &codes.name, "expected a matrix, found one number"));
    };
    let columns = words.saturating_mul(packing.per_word());
    let rows: u64 = outer.iter().product();
    if columns % size != 0 {
        let problem = format!("{columns} columns are no whole number of groups of {size}");
        return Err(invalid(input, &codes.name, &problem));
    }
    let (shape, groups) = ([outer, &[columns]].concat(), columns / size);
    let of_groups = [outer, &[groups]].concat();
    let why = format!("groups of {size} with {bits} bits");
    codes.expect(input, &[Dtype::U32], codes.shape, &why)?;
    scales.expect(input, &FLOATS, &of_groups, &why)?;
    biases.expect(input, &[scales.dtype], &of_groups, &why)?;
    let axis = |len, block, stride| GridAxis { len, block, stride };
    let grid = || vec![axis(rows, 1, groups), axis(columns, size, 1)];
    let (dtype, bias) = (scales.dtype, Scale::of(biases.source, grid()));
    let round =
        |expr: TensorExpr| if dtype == Dtype::F32 { expr } else { expr.computed(&Arithmetic::Round(dtype)) };
    let expr = TensorExpr::source(codes.source, &shape).codes(packing)?;
    let scaled = round(expr.scaled(Scale::of(scales.source, grid())));
    Ok(round(scaled.computed(&Arithmetic::Plus { other: bias.into(), first: 0 })))
}
