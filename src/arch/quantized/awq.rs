//! AWQ (`gemm`): matrices stored transposed, `(code - zero point) · scale` in the type of the scales, as AutoAWQ's
//! `dequantize_gemm` computes it. Codes and zero points lie along columns, eight to a word, the even ones before the odd ones.

use super::stored::{FLOATS, invalid, replace, require};
use crate::arch::Input;
use crate::arch::tensors::Tensors;
use crate::config::Config;
use crate::dtype::{Dtype, Packing};
use crate::error::Result;
use crate::input::quoted;
use crate::tensor::{Arithmetic, GridAxis, Scale, TensorExpr};

const PACKING: Packing = Packing::words(4);

/// Replaces the matrices by what they stand for.
///
/// # Errors
/// If they are of another version or number of bits, or tensors contradict each other.
pub(super) fn dequantize(input: &mut Input, config: &Config) -> Result<()> {
    let version = config.str(&["version"])?.unwrap_or("gemm").to_lowercase();
    let bits = config.u32(&["bits", "w_bit"])?.unwrap_or(4);
    if version != "gemm" || bits != 4 {
        let problem =
            format!("AWQ, version {}, with {bits} bits: only gemm with 4 can be read", quoted(&version));
        return Err(config.unsupported(problem).hint("convert the original checkpoint instead"));
    }
    let mut made = Tensors::default();
    for name in input.tensors.keys() {
        if let Some(base) = name.strip_suffix(".qweight") {
            made.insert(format!("{base}.weight"), matrix(input, base)?);
        }
    }
    replace(input, made, &["qweight", "qzeros", "scales"]);
    Ok(())
}

fn matrix(input: &Input, base: &str) -> Result<TensorExpr> {
    let part = |part: &str| require(input, format!("{base}.{part}"));
    let (codes, zeros, scales) = (part("qweight")?, part("qzeros")?, part("scales")?);
    let (&[columns, words], &[groups, _]) = (codes.shape, scales.shape) else {
        let problem =
            format!("expected matrices, found {:?} and {}: {:?}", codes.shape, scales.name, scales.shape);
        return Err(invalid(input, &codes.name, &problem));
    };
    if groups == 0 || columns % groups != 0 {
        let problem = format!("{columns} rows are no whole number of {groups} groups");
        return Err(invalid(input, &codes.name, &problem));
    }
    let rows = words.saturating_mul(PACKING.per_word());
    let why = format!("{groups} groups of {rows} columns");
    codes.expect(input, &[Dtype::I32], &[columns, words], &why)?;
    zeros.expect(input, &[Dtype::I32], &[groups, words], &why)?;
    scales.expect(input, &FLOATS, &[groups, rows], &why)?;
    let axis = |len, block, stride| GridAxis { len, block, stride };
    let along = |stride| axis(columns, columns / groups, stride);
    // Column 8 w + 2 b + a is code 4 a + b of word w.
    let grid = vec![axis(words, 1, 8), axis(4, 1, 1), axis(2, 1, 4), along(rows)];
    let zeros = Scale::of(zeros.source, grid).packed(PACKING);
    let rounded = Arithmetic::Round(scales.dtype);
    let scales_of = Scale::of(scales.source, vec![axis(rows, 1, 1), along(rows)]);
    let expr = TensorExpr::source(codes.source, &[columns, words, 2, 4]).permute(&[1, 3, 2, 0])?;
    let expr = expr.reshape(&[rows, columns])?.codes(PACKING)?;
    let expr = expr.computed(&Arithmetic::Minus(zeros.into())).scaled(scales_of);
    Ok(if scales.dtype == Dtype::F32 { expr } else { expr.computed(&rounded) })
}
