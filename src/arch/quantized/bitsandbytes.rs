//! bitsandbytes: four bits as places in a table (NF4, FP4), by blocks whose scales may be quantized, too; and eight bits by rows.

use super::stored::{Stored, find, invalid, require};
use crate::arch::Input;
use crate::arch::tensors::Tensors;
use crate::dtype::{Dtype, Packing};
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::json::{self, Value as Json};
use crate::tensor::{Arithmetic, GridAxis, Scale, TensorExpr};

/// What the names of tensors that describe a matrix of four bits end in.
const STATES: [&str; 2] = ["quant_state.bitsandbytes__nf4", "quant_state.bitsandbytes__fp4"];

/// What goes with a matrix of four bits.
const PARTS: [&str; 4] = ["absmax", "quant_map", "nested_absmax", "nested_quant_map"];

/// More bytes than a description has.
const LONGEST: u64 = 1 << 16;

/// Replaces the matrices by what they stand for.
///
/// # Errors
/// If tensors are missing or contradict each other.
pub(super) fn dequantize(input: &mut Input) -> Result<()> {
    let mut made = Tensors::default();
    for name in input.tensors.keys() {
        let of_four = STATES.iter().find_map(|state| name.strip_suffix(state)?.strip_suffix('.'));
        if let Some(base) = of_four {
            made.insert(base.to_owned(), four_bits(input, base, name)?);
        } else if let Some(base) = name.strip_suffix(".SCB") {
            made.insert(format!("{base}.weight"), eight_bits(input, base)?);
        }
    }
    let used = |name: &str| {
        let part = STATES.iter().chain(&PARTS).find_map(|part| name.strip_suffix(part)?.strip_suffix('.'));
        let row = name.strip_suffix("SCB").map(|base| format!("{base}weight"));
        part.is_some_and(|base| made.contains_key(base))
            || row.is_some_and(|name| made.contains_key(&name))
            || name.strip_suffix("_format").is_some_and(|base| made.contains_key(base))
    };
    input.tensors.retain(|name, _| !used(name));
    input.tensors.extend(made);
    Ok(())
}

/// How a matrix of four bits is described.
struct State {
    shape: Vec<u64>,
    block: u64,
    /// What it is rounded to.
    dtype: Dtype,
    /// Blocks of scales that have a scale themselves, and what is added to all scales.
    nested: Option<(u64, f32)>,
}

impl State {
    fn read(input: &Input, name: &str) -> Result<Self> {
        let stored = require(input, name.to_owned())?;
        let tensor = &input.checkpoint.tensors[stored.source];
        if stored.dtype != Dtype::U8 || tensor.len > LONGEST {
            return Err(invalid(input, name, "expected JSON as bytes"));
        }
        let file = input.checkpoint.sources.get(tensor.file);
        let file = file.ok_or_else(|| Error::Internal(format!("{} is in no file", quoted(name))))?;
        let bytes = file.read_range(tensor.offset, tensor.len)?;
        let state: Json =
            json::parse(&bytes).map_err(|error| invalid(input, name, &format!("not valid JSON: {error}")))?;
        let number = |key: &str| state.get(key).and_then(Json::as_u64).filter(|number| *number > 0);
        let wrong = |key: &str| invalid(input, name, &format!("{key} is missing, or no sound value"));
        let shape = state.get("shape").and_then(Json::as_array).into_iter().flatten().map(Json::as_u64);
        let shape = shape.collect::<Option<Vec<u64>>>().filter(|shape| (1..=4).contains(&shape.len()));
        let dtype = match state.get("dtype").and_then(Json::as_str) {
            Some("bfloat16") => Dtype::BF16,
            Some("float16") => Dtype::F16,
            Some("float32") => Dtype::F32,
            _ => return Err(wrong("dtype")),
        };
        let nested = match number("nested_blocksize") {
            None => None,
            Some(block) => {
                let offset = state
                    .get("nested_offset")
                    .and_then(Json::as_f64)
                    .ok_or_else(|| wrong("nested_offset"))?;
                Some((block, offset as f32))
            }
        };
        let shape = shape.ok_or_else(|| wrong("shape"))?;
        Ok(Self { shape, block: number("blocksize").ok_or_else(|| wrong("blocksize"))?, dtype, nested })
    }
}

/// `table[code] · scale of its block`, rounded; the first of two codes is in the high half of a byte.
fn four_bits(input: &Input, base: &str, state: &str) -> Result<TensorExpr> {
    let state = State::read(input, state)?;
    let part = |part: &str| require(input, format!("{base}.{part}"));
    let codes = require(input, base.to_owned())?;
    let count = state.shape.iter().try_fold(1u64, |n, len| n.checked_mul(*len)).filter(|n| *n > 0);
    let count = count.ok_or_else(|| invalid(input, base, "its shape is absurd"))?;
    let bytes = codes.shape.iter().product::<u64>();
    if codes.dtype != Dtype::U8 || bytes != count.div_ceil(2) {
        let problem = format!(
            "expected {} bytes of codes for shape {:?}, found {} {:?}",
            count.div_ceil(2),
            state.shape,
            codes.dtype.name(),
            codes.shape
        );
        return Err(invalid(input, base, &problem));
    }
    let blocks = count.div_ceil(state.block);
    let axis = |len, block| GridAxis { len, block, stride: 1 };
    let scales = part("absmax")?;
    let mut absmax = Scale::of(scales.source, vec![axis(count, state.block)]);
    match state.nested {
        None => scales.expect(input, &[Dtype::F32], &[blocks], "a scale for each block")?,
        Some((size, offset)) => {
            scales.expect(input, &[Dtype::U8], &[blocks], "a scale for each block")?;
            let outer = part("nested_absmax")?;
            outer.expect(input, &[Dtype::F32], &[blocks.div_ceil(size)], "scales of scales")?;
            let outer = Scale::of(outer.source, vec![axis(blocks, size)]);
            absmax = absmax.then(Arithmetic::Table(table(input, &part("nested_quant_map")?, 256)?.into()));
            absmax = absmax.then(Arithmetic::Scale(outer.into())).then(Arithmetic::Add(offset));
        }
    }
    let packing = Packing { high_first: true, ..Packing::bytes(4) };
    let expr = TensorExpr::source(codes.source, &[2 * bytes]).slice(0, 0, count, 1)?.codes(packing)?;
    let map = table(input, &part("quant_map")?, 16)?;
    let expr = expr.computed(&Arithmetic::Table(map.into())).scaled(absmax);
    let expr = if state.dtype == Dtype::F32 { expr } else { expr.computed(&Arithmetic::Round(state.dtype)) };
    expr.reshape(&state.shape)
}

fn table(input: &Input, stored: &Stored, len: u64) -> Result<Vec<f32>> {
    stored.expect(input, &[Dtype::F32], &[len], "a value for each code")?;
    stored.values(input)
}

/// `code · scale of its row / 127`, the division as a product (`int8_vectorwise_dequant`).
fn eight_bits(input: &Input, base: &str) -> Result<TensorExpr> {
    const PER_127: f32 = 7.874_016e-3;
    let codes = require(input, format!("{base}.weight"))?;
    let scales = require(input, format!("{base}.SCB"))?;
    let rows = codes.shape.first().copied().unwrap_or(0);
    codes.expect(input, &[Dtype::I8], codes.shape, "codes")?;
    scales.expect(input, &[Dtype::F32], &[rows], "a scale for each row")?;
    if let Some(format) = find(input, format!("{base}.weight_format"))? {
        let values = format.values(input)?;
        if values.iter().any(|value| *value != 0.0) {
            return Err(invalid(
                input,
                &format.name,
                "rows in another order than that of the matrix cannot be read",
            ));
        }
    }
    let scale =
        Scale::new(scales.source, codes.shape, scales.shape, None).map_err(|p| invalid(input, base, &p))?;
    Ok(TensorExpr::source(codes.source, codes.shape).scaled(scale).times(PER_127))
}
