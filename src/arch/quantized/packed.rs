//! Weights as integers of few bits, several to a word: `pack-quantized` of compressed-tensors, GPTQ, and BitNet's.

use super::stored::{FLOATS, Groups, Stored, find, invalid, replace, require};
use crate::arch::Input;
use crate::arch::tensors::Tensors;
use crate::config::Config;
use crate::dtype::{Dtype, Packing};
use crate::error::Result;
use crate::input::quoted;
use crate::json::{Map, Value as Json};
use crate::tensor::{Arithmetic, GridAxis, Scale, TensorExpr};

/// Matrices of compressed-tensors: `(code - zero point) · scale`, with codes along rows and, unlike them, zero points along
/// columns. `weights` are their settings.
///
/// # Errors
/// If they are not by groups, or tensors contradict each other.
pub(super) fn pack_quantized(input: &mut Input, config: &Config, weights: &Map<String, Json>) -> Result<()> {
    let text = |key, or: &'static str| weights.get(key).map_or(or, |value| value.as_str().unwrap_or("none"));
    let (strategy, kind) = (text("strategy", "none"), text("type", "int"));
    if strategy != "group" || kind != "int" {
        let problem = format!(
            "the weights are quantized by compressed-tensors, format pack-quantized, type {}, strategy {}; only int by \
             group can be read",
            quoted(kind),
            quoted(strategy)
        );
        return Err(config.unsupported(problem).hint("convert the original checkpoint instead"));
    }
    let number = |key: &str, most: u64| {
        let found = weights.get(key).and_then(Json::as_u64).filter(|number| (1..=most).contains(number));
        found.ok_or_else(|| config.invalid(format!("{key} of pack-quantized weights: expected 1 to {most}")))
    };
    let (bits, size) = (number("num_bits", 8)? as u32, number("group_size", 1 << 32)?);
    let mut made = Tensors::default();
    for name in input.tensors.keys() {
        if let Some(base) = name.strip_suffix("_packed").filter(|base| base.ends_with(".weight")) {
            made.insert(base.to_owned(), pack_quantized_matrix(input, base, bits, size)?);
        }
    }
    replace(input, made, &["weight_packed", "weight_shape", "weight_scale", "weight_zero_point"]);
    Ok(())
}

fn pack_quantized_matrix(input: &Input, base: &str, bits: u32, size: u64) -> Result<TensorExpr> {
    let codes = require(input, format!("{base}_packed"))?;
    let scales = require(input, format!("{base}_scale"))?;
    let shape = require(input, format!("{base}_shape"))?;
    shape.expect(input, &[Dtype::I64, Dtype::I32], &[2], "rows and columns")?;
    let packing = Packing::words(bits);
    let per_word = packing.per_word();
    let whole = |value: &f32| (*value >= 1.0 && *value <= 16_777_216.0).then_some(*value as u64);
    let found = shape.values(input)?;
    let (Some(rows), Some(columns)) = (found.first().and_then(whole), found.get(1).and_then(whole)) else {
        return Err(invalid(input, &shape.name, &format!("expected rows and columns, found {found:?}")));
    };
    if columns % size != 0 {
        let problem = format!("{columns} columns are no whole number of groups of {size}");
        return Err(invalid(input, base, &problem));
    }
    let (words, groups) = (columns.div_ceil(per_word), columns / size);
    codes.expect(input, &[Dtype::I32], &[rows, words], &format!("{columns} columns of {bits} bits"))?;
    scales.expect(input, &FLOATS, &[rows, groups], &format!("groups of {size}"))?;
    let expr = TensorExpr::source(codes.source, &[rows, words * per_word]).slice(1, 0, columns, 1)?;
    let expr = expr.codes(packing)?;
    let along = |stride| GridAxis { len: columns, block: size, stride };
    let offset = match find(input, format!("{base}_zero_point"))? {
        None => Arithmetic::Add(-((1u32 << (bits - 1)) as f32)),
        Some(zeros) => {
            let lines = rows.div_ceil(per_word);
            zeros.expect(input, &[Dtype::I32], &[lines, groups], &format!("{rows} rows of {bits} bits"))?;
            let outer = GridAxis { len: lines, block: 1, stride: groups * per_word };
            let inner = GridAxis { len: per_word, block: 1, stride: 1 };
            let zeros = Scale::of(zeros.source, vec![outer, inner, along(per_word)]);
            Arithmetic::Minus(zeros.packed(packing).into())
        }
    };
    let scales = Scale::of(scales.source, vec![GridAxis { len: rows, block: 1, stride: groups }, along(1)]);
    Ok(expr.computed(&offset).scaled(scales))
}

/// Matrices of GPTQ, which are stored transposed: `(code - zero point) · scale`, with codes along rows, zero points along
/// columns. Which rows form a group is in a list. In the first version of the format, zero points are less than they are by
/// one.
///
/// # Errors
/// If the number of bits cannot be read, or tensors contradict each other.
pub(super) fn gptq(input: &mut Input, config: &Config) -> Result<()> {
    let bits = match config.u32(&["bits"])? {
        Some(bits @ (2 | 4 | 8)) => bits,
        Some(bits) => {
            let problem = format!("GPTQ with {bits} bits: only 2, 4 and 8 can be read");
            return Err(config.unsupported(problem).hint("convert the original checkpoint instead"));
        }
        None => return Err(config.invalid("bits of GPTQ are missing")),
    };
    let first_version = config.str(&["checkpoint_format"])?.unwrap_or("gptq") == "gptq";
    let mut made = Tensors::default();
    for name in input.tensors.keys() {
        if let Some(base) = name.strip_suffix(".qweight") {
            made.insert(format!("{base}.weight"), gptq_matrix(input, base, bits, first_version)?);
        }
    }
    replace(input, made, &["g_idx", "qzeros", "qweight", "scales"]);
    Ok(())
}

fn gptq_matrix(input: &Input, base: &str, bits: u32, first_version: bool) -> Result<TensorExpr> {
    let part = |part: &str| require(input, format!("{base}.{part}"));
    let (list, codes, zeros, scales) = (part("g_idx")?, part("qweight")?, part("qzeros")?, part("scales")?);
    let packing = Packing::words(bits);
    let per_word = packing.per_word();
    let (&[lines, rows], &[groups, _]) = (codes.shape, scales.shape) else {
        let problem =
            format!("expected matrices, found {:?} and {}: {:?}", codes.shape, scales.name, scales.shape);
        return Err(invalid(input, &codes.name, &problem));
    };
    let columns = lines.saturating_mul(per_word);
    if rows % per_word != 0 {
        let problem = format!("expected a multiple of {per_word} columns, found shape {:?}", codes.shape);
        return Err(invalid(input, &codes.name, &problem));
    }
    let why = format!("{groups} groups of {rows} columns with {bits} bits");
    codes.expect(input, &[Dtype::I32], &[lines, rows], &why)?;
    zeros.expect(input, &[Dtype::I32], &[groups, rows / per_word], &why)?;
    scales.expect(input, &FLOATS, &[groups, rows], &why)?;
    list.expect(input, &[Dtype::I32, Dtype::I64], &[columns], "a group for each row")?;
    let along = Groups::read(input, &list, groups)?;
    let grid = || {
        let across = GridAxis { len: rows, block: 1, stride: 1 };
        vec![across, GridAxis { len: columns, block: along.len(), stride: rows }]
    };
    let mut zeros = Scale::of(zeros.source, grid()).packed(packing).listed(along.list());
    if first_version {
        zeros = zeros.then(Arithmetic::Add(1.0));
    }
    let scales = Scale::of(scales.source, grid()).listed(along.list());
    let expr = TensorExpr::source(codes.source, &[lines, rows, per_word]).swap_axes(0, 1)?;
    let expr = expr.reshape(&[rows, columns])?.codes(packing)?;
    Ok(expr.computed(&Arithmetic::Minus(zeros.into())).scaled(scales))
}

/// BitNet's matrices: four rows to a byte, which are a quarter of all apart; `(code - 1) / scale`.
///
/// # Errors
/// If tensors contradict each other.
pub(super) fn bitnet(input: &mut Input) -> Result<()> {
    let mut made = Tensors::default();
    for name in input.tensors.keys() {
        if let Some(base) = name.strip_suffix("_scale").filter(|base| base.ends_with(".weight")) {
            made.insert(base.to_owned(), bitnet_matrix(input, &require(input, name.clone())?, base)?);
        }
    }
    for (name, expr) in made {
        input.tensors.shift_remove(&format!("{name}_scale"));
        input.tensors.insert(name, expr);
    }
    Ok(())
}

fn bitnet_matrix(input: &Input, scale: &Stored, base: &str) -> Result<TensorExpr> {
    let codes = require(input, base.to_owned())?;
    let (&[quarter, columns], Dtype::U8) = (codes.shape, codes.dtype) else {
        let problem = format!("expected a matrix of bytes, found {} {:?}", codes.dtype.name(), codes.shape);
        return Err(invalid(input, &codes.name, &problem));
    };
    if !FLOATS.contains(&scale.dtype) || scale.shape.iter().product::<u64>() != 1 {
        let problem = format!("expected one number, found {} {:?}", scale.dtype.name(), scale.shape);
        return Err(invalid(input, &scale.name, &problem));
    }
    let rows = quarter.saturating_mul(4);
    let expr = TensorExpr::source(codes.source, &[quarter, columns, 4]).permute(&[2, 0, 1])?;
    let expr = expr.reshape(&[rows, columns])?.codes(Packing::bytes(2))?;
    let one = Scale::of(
        scale.source,
        vec![GridAxis { len: rows.saturating_mul(columns), block: u64::MAX, stride: 0 }],
    );
    Ok(expr.plus(-1.0).computed(&Arithmetic::Divide(one.into())))
}
