//! Plans: each one is sound, and every byte of it can be computed.

use ggraft::checkpoint::{Checkpoint, SourceFile, SourceTensor};
use ggraft::describe::Description;
use ggraft::dtype::{Dtype, GgmlType};
use ggraft::evaluate::{Buffers, Evaluator};
use ggraft::gguf::KeyValues;
use ggraft::plan::{Alignment, Layout, Plan, Request, Sharing, SplitRules};
use ggraft::source::ModelDir;
use ggraft::tensor::{OutputTensor, TensorExpr};

/// Bytes that choices are made with; zeros when there are no more.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u64 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        u64::from(*first)
    }

    fn number(&mut self) -> u64 {
        let low = self.byte();
        match low % 4 {
            0 => low,
            1 => low << 8 | self.byte(),
            // Whole blocks, so that phases stay.
            2 => (low + 1) * 2048,
            _ => self.byte() << 16 | self.byte() << 8 | low,
        }
    }
}

/// Elements of all sources together.
const MOST_ELEMENTS: u64 = 1 << 20;

/// A plan for a checkpoint and output tensors that `data` chooses.
pub fn run(data: &[u8]) {
    let mut choices = Choices(data);
    let mut made = Made::default();
    for _ in 0..=choices.byte() % 3 {
        let start = 9 + choices.number() % 9000;
        made.files.push((start, start));
    }
    while !choices.0.is_empty() && made.outputs.len() < 40 {
        if made.add_output(&mut choices).is_none() {
            break;
        }
    }
    let sharing = Sharing {
        block: [1024, 4096, 4096, 65536][choices.byte() as usize % 4],
        min_extent: [0, 4 << 10, 64 << 10, 1 << 20][choices.byte() as usize % 4],
        refusals: made.files.iter().map(|_| (choices.byte() % 8 == 7).then(|| "refused".to_owned())).collect(),
    };
    let layout = if choices.byte() % 2 == 0 { Layout::Single } else { Layout::Split };
    let alignment = if choices.byte() % 2 == 0 { Alignment::Strict } else { Alignment::Relaxed };
    let (checkpoint, outputs) = made.finish();
    plan(&checkpoint, &outputs, &KeyValues::new(), layout, alignment, &sharing);
}

/// Every way to lay a description out.
pub fn carry_out(description: &Description) {
    let Description { checkpoint, tensors, metadata, .. } = description;
    let sharing = Sharing { block: 4096, min_extent: 4096, refusals: vec![None; checkpoint.files.len()] };
    for (layout, sharing) in
        [(Layout::Single, Sharing::none(checkpoint, "off")), (Layout::Single, sharing.clone()), (Layout::Split, sharing)]
    {
        plan(checkpoint, tensors, metadata, layout, Alignment::Strict, &sharing);
    }
}

fn plan(
    checkpoint: &Checkpoint,
    tensors: &[OutputTensor],
    metadata: &KeyValues,
    layout: Layout,
    alignment: Alignment,
    sharing: &Sharing,
) {
    let path = checkpoint.dir.join("out.gguf");
    let request = Request {
        checkpoint,
        metadata,
        tensors,
        path: &path,
        layout,
        alignment,
        splits: SplitRules::default(),
        sharing,
        stamp: b"stamp",
    };
    let plan = match Plan::new(&request) {
        Ok(plan) => plan,
        Err(error @ ggraft::Error::Internal(_)) => panic!("{error}"),
        Err(_) => return,
    };
    plan.check().expect("a sound plan");
    if checkpoint.sources.is_empty() {
        return;
    }
    let evaluator = Evaluator::new(&plan, &checkpoint.sources);
    let (mut out, mut buffers) = (vec![0; 1 << 16], Buffers::default());
    for (n, output) in plan.outputs.iter().enumerate() {
        let mut at = 0;
        while at < output.len {
            let len = evaluator.read_at(n, at, &mut out, &mut buffers).expect("sources of the lengths that they had");
            at += len as u64;
        }
    }
}

/// A checkpoint in the making.
#[derive(Default)]
struct Made {
    /// Where data starts, and ends so far.
    files: Vec<(u64, u64)>,
    sources: Vec<SourceTensor>,
    outputs: Vec<OutputTensor>,
    elements: u64,
}

impl Made {
    /// A source of this shape; none if there are too many elements.
    fn source(&mut self, choices: &mut Choices, dtype: Dtype, shape: &[u64]) -> Option<TensorExpr> {
        let n: u64 = shape.iter().product();
        self.elements += n;
        if self.elements > MOST_ELEMENTS {
            return None;
        }
        let file = choices.byte() as usize % self.files.len();
        let offset = self.files[file].1;
        let len = n * dtype.size();
        self.files[file].1 += len;
        let name = format!("source.{}", self.sources.len());
        self.sources.push(SourceTensor { name, dtype, shape: shape.to_vec(), file, offset, len });
        Some(TensorExpr::source(self.sources.len() - 1, shape))
    }

    fn add_output(&mut self, choices: &mut Choices) -> Option<()> {
        let dtype = [Dtype::BF16, Dtype::F16, Dtype::F32][choices.byte() as usize % 3];
        let kept = [GgmlType::BF16, GgmlType::F16, GgmlType::F32][[Dtype::BF16, Dtype::F16, Dtype::F32]
            .iter()
            .position(|d| *d == dtype)?];
        let (kind, n) = (choices.byte() % 5, choices.number() % 300_000 + 1);
        let (expr, ggml_type) = match kind {
            0 => (self.source(choices, dtype, &[n])?, kept),
            1 => (self.source(choices, dtype, &[n])?, GgmlType::F32),
            2 => {
                let (heads, half, row) = (choices.byte() % 4 + 1, choices.byte() % 5 + 1, n % 5000 + 1);
                let source = self.source(choices, dtype, &[heads, 2, half, row])?;
                (source.swap_axes(1, 2).ok()?.reshape(&[heads * 2 * half, row]).ok()?, kept)
            }
            3 => {
                let parts = (0..choices.byte() % 5 + 1).map(|_| self.source(choices, dtype, &[n]));
                let parts = parts.collect::<Option<Vec<_>>>()?;
                (TensorExpr::stack(parts).ok()?, kept)
            }
            _ => {
                let rows = choices.byte() % 4 + 1;
                (self.source(choices, dtype, &[rows, (n % 3000 + 1) * 32])?, GgmlType::Q8_0)
            }
        };
        self.outputs.push(OutputTensor { name: format!("tensor.{}", self.outputs.len()), expr, ggml_type });
        Some(())
    }

    fn finish(self) -> (Checkpoint, Vec<OutputTensor>) {
        let bytes = self.files.iter().enumerate();
        let bytes = bytes.map(|(n, (_, end))| (format!("source-{n}"), vec![0x3c; *end as usize]));
        let dir = ModelDir::in_memory("model", bytes);
        let files = self.files.iter().enumerate();
        let files = files.map(|(n, (start, end))| SourceFile {
            path: dir.join(format!("source-{n}")),
            len: *end,
            data_start: *start,
        });
        let files: Vec<SourceFile> = files.collect();
        let sources = (0..files.len()).map(|n| dir.file(format!("source-{n}")).expect("it was put there")).collect();
        (Checkpoint { dir, files, sources, tensors: self.sources, ..Default::default() }, self.outputs)
    }
}
