//! Plans of random checkpoints: each must hold what `Plan::check` asks, whatever can be shared.

use std::path::Path;

use ggraft::Error;
use ggraft::checkpoint::{Checkpoint, SourceFile, SourceTensor};
use ggraft::dtype::{Dtype, GgmlType};
use ggraft::gguf::KeyValues;
use ggraft::plan::{Alignment, Layout, Plan, Request, Sharing, SplitRules};
use ggraft::source::ModelDir;
use ggraft::tensor::{OutputTensor, TensorExpr};
use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};

/// How an output tensor comes about.
#[derive(Arbitrary, Debug)]
enum Kind {
    Kept,
    Converted,
    /// Heads and half of a head, for rows in llama.cpp's rotary order.
    Permuted(u8, u8),
    Transposed(u8),
    /// Where to cut, for joining the parts the other way round.
    Joined(u16),
}

#[derive(Arbitrary, Debug)]
struct Tensor {
    kind: Kind,
    elements: u32,
    file: u8,
    /// Bytes between it and its predecessor.
    gap: u16,
}

#[derive(Arbitrary, Debug)]
struct Model {
    starts: [u16; 3],
    tensors: Vec<Tensor>,
    block: u8,
    min_extent: u8,
    split: bool,
    relaxed: bool,
    max_tensors: u8,
    max_bytes: u32,
    refused: Option<u8>,
}

/// Bytes that describe a model to plan for.
pub fn plan(data: &[u8]) {
    if let Ok(model) = Model::arbitrary(&mut Unstructured::new(data)) {
        planned(&model);
    }
}

fn planned(model: &Model) {
    let (mut ends, mut sources, mut outputs) = (model.starts.map(u64::from), Vec::new(), Vec::new());
    for (t, tensor) in model.tensors.iter().take(200).enumerate() {
        let (file, index) = (usize::from(tensor.file) % 3, sources.len());
        let Some((shape, expr)) = output(tensor, index) else { return };
        let (offset, len) = (ends[file] + u64::from(tensor.gap), 2 * shape.iter().product::<u64>());
        ends[file] = offset + len;
        let name = format!("source.{t}");
        sources.push(SourceTensor { name, dtype: Dtype::BF16, shape: shape.into(), file, offset, len });
        let ggml_type = if matches!(tensor.kind, Kind::Converted) { GgmlType::F32 } else { GgmlType::BF16 };
        outputs.push(OutputTensor { name: format!("tensor.{t}"), expr, ggml_type });
    }
    let files = (0..3).map(|n| SourceFile {
        path: format!("source-{n}").into(),
        len: ends[n],
        data_start: model.starts[n].into(),
    });
    let none: [(&str, Vec<u8>); 0] = [];
    let checkpoint =
        Checkpoint { dir: ModelDir::in_memory("model", none), files: files.collect(), tensors: sources, ..Default::default() };
    let mut refusals = vec![None; 3];
    if let Some(file) = model.refused {
        refusals[usize::from(file) % 3] = Some("refused".to_owned());
    }
    let sharing =
        Sharing { block: 512 << (model.block % 8), min_extent: 1 << (9 + model.min_extent % 16), refusals };
    let mut metadata = KeyValues::new();
    metadata.set_string("general.architecture", "test");
    let split = model.split;
    let planned = Plan::new(&Request {
        checkpoint: &checkpoint,
        offsets: None,
        metadata: &metadata,
        tensors: &outputs,
        path: Path::new("out.gguf"),
        layout: if split { Layout::Split } else { Layout::Single },
        alignment: if split && model.relaxed { Alignment::Relaxed } else { Alignment::Strict },
        splits: match split {
            true => SplitRules::default(),
            false => SplitRules { max_tensors: model.max_tensors.into(), max_bytes: model.max_bytes.into(), ..SplitRules::default() },
        },
        sharing: &sharing,
        stamp: b"stamp",
    });
    match planned {
        Ok(plan) => plan.check().unwrap(),
        Err(error @ Error::Internal(_)) => panic!("{error}"),
        Err(_) => {}
    }
}

/// The shape of the source `index`, and what becomes of it; none if its shape is impossible.
fn output(tensor: &Tensor, index: usize) -> Option<(Vec<u64>, TensorExpr)> {
    let elements = u64::from(tensor.elements % (1 << 22)) + 1;
    let made = match tensor.kind {
        Kind::Kept | Kind::Converted => (vec![elements], TensorExpr::source(index, &[elements])),
        Kind::Permuted(heads, half) => {
            let (heads, half) = (u64::from(heads % 8) + 1, u64::from(half % 8) + 1);
            let row = elements / (heads * half * 2) + 1;
            let expr = TensorExpr::source(index, &[heads, 2, half, row]).swap_axes(1, 2).ok()?;
            (vec![heads * 2 * half, row], expr.reshape(&[heads * 2 * half, row]).ok()?)
        }
        Kind::Transposed(rows) => {
            let (rows, columns) = (u64::from(rows) + 1, elements % 4096 + 1);
            (vec![rows, columns], TensorExpr::source(index, &[rows, columns]).swap_axes(0, 1).ok()?)
        }
        Kind::Joined(cut) => {
            let source = TensorExpr::source(index, &[elements + 1]);
            let cut = u64::from(cut) % elements + 1;
            let parts = vec![source.clone().rows(cut, elements + 1).ok()?, source.rows(0, cut).ok()?];
            (vec![elements + 1], TensorExpr::concat(parts).ok()?)
        }
    };
    Some(made)
}
