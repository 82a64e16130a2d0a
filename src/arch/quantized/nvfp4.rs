//! Matrices in NVFP4, which stay what they are: ModelOpt's and those of compressed-tensors (`_generate_nvfp4_tensors` of the
//! reference). Four-bit codes and the scales of 16 of them change their order, scales of whole matrices become tensors.
//!
//! They come before all others and go through nothing that families do with weights, but [`Family::nvfp4`].
//!
//! [`Family::nvfp4`]: crate::arch::Family

use std::mem;

use indexmap::{IndexMap, IndexSet};

use super::Method;
use crate::arch::builder::Builder;
use crate::arch::tensors::{Tensors, is_decimal};
use crate::arch::{Input, contents, tensors};
use crate::dtype::{Dtype, GgmlType};
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::tensor::{Arithmetic, TensorExpr};

/// What becomes tensors of the GGUF, in order.
#[derive(Default)]
pub(in crate::arch) struct Repacked(Vec<Output>);

/// A matrix, or a stack of experts' matrices.
struct Output {
    /// The name it has in the checkpoint, or would have.
    name: String,
    parts: Vec<Part>,
    stacked: bool,
    /// Whether it must not be multiplied by activations of four bits.
    wide_activations: bool,
}

/// One matrix.
struct Part {
    name: String,
    expert: u64,
    /// Codes, two to a byte: `[rows, columns / 2]`.
    codes: TensorExpr,
    /// The source tensor of scales, one for 16 codes.
    scales: usize,
    /// The scale of all of it, and that of what it is multiplied by, if the checkpoint has them.
    whole: [Option<Whole>; 2],
}

/// A scale of a whole matrix.
struct Whole {
    expr: TensorExpr,
    values: Vec<f32>,
}

/// What scales of whole matrices are called in the checkpoint and in the GGUF, instead of `weight`.
const WHOLE: [(&str, &str); 2] = [("weight_scale_2", "scale"), ("input_scale", "input_scale")];

/// Takes the matrices in NVFP4 out of `input.tensors`.
///
/// # Errors
/// If codes and scales do not go together, or scales cannot be read.
pub(super) fn take(input: &mut Input, method: &Method) -> Result<Repacked> {
    let inverse = if method.nvfp4_compressed { rename(input) } else { IndexSet::new() };
    let experts = input.config.u32(&["num_local_experts", "num_experts"])?.unwrap_or(0) as usize;
    let (mut outputs, mut waiting) = (Vec::new(), IndexMap::<(u64, &'static str), Vec<Part>>::new());
    let mut taken = IndexSet::new();
    for name in input.tensors.keys().filter(|name| name.ends_with(".weight")) {
        let Some(part) = Part::of(input, name, &inverse, &mut taken)? else { continue };
        let Some((layer, expert, matrix)) = of_expert(name) else {
            let wide_activations = wide(method, name);
            outputs.push(Output { name: name.clone(), parts: vec![part], stacked: false, wide_activations });
            continue;
        };
        let all = waiting.entry((layer, matrix)).or_default();
        all.push(Part { expert, ..part });
        if experts > 0 && all.len() >= experts {
            let parts = waiting.shift_remove(&(layer, matrix)).unwrap_or_default();
            outputs.push(stack(method, (layer, matrix), parts));
        }
    }
    outputs.extend(waiting.into_iter().map(|(key, parts)| stack(method, key, parts)));
    let unused = |name: &str| name.ends_with(".k_scale") || name.ends_with(".v_scale");
    input.tensors.retain(|name, _| !taken.contains(name) && !unused(name));
    Ok(Repacked(outputs))
}

fn wide(method: &Method, name: &str) -> bool {
    method.algorithm_of(name) == Some("W4A16_NVFP4")
}

fn stack(method: &Method, (layer, matrix): (u64, &str), mut parts: Vec<Part>) -> Output {
    let name = format!("model.layers.{layer}.mlp.experts.{matrix}.weight");
    parts.sort_by_key(|part| part.expert);
    Output { wide_activations: wide(method, &name), name, parts, stacked: true }
}

/// Gives tensors of compressed-tensors the names that ModelOpt has for them; these come last. Answers which are the inverse of
/// what they are called now.
fn rename(input: &mut Input) -> IndexSet<String> {
    let (mut kept, mut renamed, mut inverse) = (Tensors::default(), Tensors::default(), IndexSet::new());
    let all = mem::take(&mut input.tensors);
    let names: IndexSet<String> = all.keys().cloned().collect();
    for (name, expr) in all {
        let new = [
            ("weight_packed", "weight"),
            ("weight_global_scale", WHOLE[0].0),
            ("input_global_scale", WHOLE[1].0),
        ];
        let new = new.into_iter().find_map(|(old, new)| {
            Some((format!("{}.{new}", name.strip_suffix(old)?.strip_suffix('.')?), new != "weight"))
        });
        match new.filter(|(new, _)| !names.contains(new) && !renamed.contains_key(new)) {
            Some((new, inverted)) => {
                if inverted {
                    inverse.insert(new.clone());
                }
                renamed.insert(new, expr);
            }
            None => _ = kept.insert(name, expr),
        }
    }
    kept.extend(renamed);
    input.tensors = kept;
    inverse
}

/// The layer, the expert and the matrix, if `name` is that of an expert's.
fn of_expert(name: &str) -> Option<(u64, u64, &'static str)> {
    let (rest, matrix) = name.strip_suffix(".weight")?.rsplit_once('.')?;
    let matrix = ["gate_proj", "up_proj", "down_proj"].into_iter().find(|known| *known == matrix)?;
    let (rest, expert) = rest.rsplit_once('.')?;
    let expert = expert.parse().ok().filter(|_| is_decimal(expert) && rest.ends_with(".experts"))?;
    let layer = name.split(".layers.").skip(1).find_map(|rest| {
        let (layer, _) = rest.split_once('.')?;
        layer.parse().ok().filter(|_| is_decimal(layer))
    });
    Some((layer.unwrap_or(0), expert, matrix))
}

impl Part {
    /// The matrix `name`, if it is in NVFP4. Notes in `taken` what it is made of.
    fn of(
        input: &Input,
        name: &str,
        inverse: &IndexSet<String>,
        taken: &mut IndexSet<String>,
    ) -> Result<Option<Self>> {
        let beside = |kind: &str| name.replace(".weight", &format!(".{kind}"));
        let scale_name = beside("weight_scale");
        let (Some(codes), Some(scales)) = (input.tensors.get(name), input.tensors.get(&scale_name)) else {
            return Ok(None);
        };
        if scales.shape().len() < 2 {
            return Ok(None);
        }
        let source = scales.whole_source();
        let dtype = |expr| tensors::source(input.checkpoint, expr).map(|tensor| tensor.dtype);
        let (codes_as, scales_as) = (dtype(codes), dtype(scales));
        let (source, [rows, bytes]) = match (source, codes.shape(), scales.shape()) {
            (Some(source), &[rows, bytes], &[lines, groups])
                if codes_as == Some(Dtype::U8)
                    && matches!(scales_as, Some(Dtype::F8E4M3 | Dtype::U8))
                    && rows == lines
                    && groups.checked_mul(8) == Some(bytes)
                    && bytes.is_multiple_of(32) =>
            {
                (source, [rows, bytes])
            }
            (_, codes, scales) => {
                let shown = |dtype: Option<Dtype>| dtype.map_or("nothing", Dtype::name);
                let problem = format!(
                    "{}: expected codes of NVFP4 (U8, rows × columns / 2) and scales (F8_E4M3, rows × columns / 16) of a \
                     multiple of 64 columns, found {} {codes:?} and {} {scales:?}",
                    quoted(name),
                    shown(codes_as),
                    shown(scales_as)
                );
                return Err(Error::invalid(&input.checkpoint.dir, problem).tensor(name));
            }
        };
        taken.extend([name.to_owned(), scale_name]);
        let mut whole = [None, None];
        for (whole, (kind, _)) in whole.iter_mut().zip(WHOLE) {
            let name = beside(kind);
            if let Some(expr) = input.tensors.get(&name) {
                *whole = Some(Whole::read(input, &name, expr, inverse.contains(&name))?);
                taken.insert(name);
            }
        }
        let codes = codes.clone().reshape(&[rows, bytes])?;
        Ok(Some(Self { name: name.to_owned(), expert: 0, codes, scales: source, whole }))
    }
}

impl Whole {
    fn read(input: &Input, name: &str, expr: &TensorExpr, inverse: bool) -> Result<Self> {
        let mut values = contents::floats(input.checkpoint, name, expr)?;
        let mut expr = expr.clone().reshape(&[values.len() as u64])?;
        if inverse {
            values.iter_mut().for_each(|value| *value = value.recip());
            expr = expr.computed(&Arithmetic::Reciprocal);
        }
        Ok(Self { expr, values })
    }

    /// As one of several experts', which have one value each.
    fn one(input: &Input, part: &Part, which: usize) -> Result<(TensorExpr, f32)> {
        match &part.whole[which] {
            None => Ok((TensorExpr::values(vec![1.0]), 1.0)),
            Some(Self { expr, values }) => match values.as_slice() {
                [value] => Ok((expr.clone(), *value)),
                _ => {
                    let (name, count) = (quoted(&part.name), values.len());
                    let problem =
                        format!("{name}: expected one {} for the expert, found {count}", WHOLE[which].0);
                    Err(Error::invalid(&input.checkpoint.dir, problem))
                }
            },
        }
    }
}

impl Repacked {
    /// Adds all of them. Answers the names of those that must not be multiplied by activations of four bits.
    ///
    /// # Errors
    /// If the architecture has no such tensors, or experts differ in shape.
    pub(in crate::arch) fn add(self, input: &Input, builder: &mut Builder) -> Result<Vec<String>> {
        let mut wide = Vec::new();
        for output in self.0 {
            let name = builder.resolve(&output.name)?;
            let scales = output.scales(input)?;
            let mut matrices = Vec::with_capacity(output.parts.len());
            for part in output.parts {
                let codes = match output.stacked {
                    true => part.codes,
                    false => (input.family.nvfp4)(input, &part.name, part.codes)?,
                };
                matrices.push(codes.nvfp4(part.scales)?);
            }
            let expr = match output.stacked {
                true => TensorExpr::stack(matrices),
                false => TensorExpr::concat(matrices),
            };
            builder.add_typed(name.clone(), expr.map_err(|e| e.of_output(&name))?, GgmlType::NVFP4)?;
            for ((_, kind), scale) in WHOLE.iter().zip(scales) {
                if let Some(scale) = scale {
                    builder.add_typed(name.replace(".weight", &format!(".{kind}")), scale, GgmlType::F32)?;
                }
            }
            if output.wide_activations {
                wide.push(name);
            }
        }
        Ok(wide)
    }
}

impl Output {
    /// The scales of whole matrices that are not 1, as the reference tells it.
    fn scales(&self, input: &Input) -> Result<[Option<TensorExpr>; 2]> {
        let mut found = [None, None];
        for (which, found) in found.iter_mut().enumerate() {
            let near = |value: f32, within: f64| (f64::from(value) - 1.0).abs() <= within;
            if self.stacked {
                let ones: Result<Vec<_>> =
                    self.parts.iter().map(|part| Whole::one(input, part, which)).collect();
                let (exprs, values): (Vec<_>, Vec<_>) = ones?.into_iter().unzip();
                if !values.into_iter().all(|value| near(value, 1e-6 + 1e-5)) {
                    *found = Some(TensorExpr::concat(exprs)?);
                }
            } else if let Some(whole) = self.parts.first().and_then(|part| part.whole[which].as_ref()) {
                let trivial =
                    matches!(whole.values.as_slice(), [value] if (f64::from(*value) - 1.0).abs() < 1e-6);
                *found = (!trivial).then(|| whole.expr.clone());
            }
        }
        Ok(found)
    }
}
