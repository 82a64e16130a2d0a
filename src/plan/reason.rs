//! Why bytes of a tensor were not shared.

/// Why a range of tensor bytes is written instead of shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The output stores another type than the checkpoint.
    Converted,
    /// Rows change their order in runs too short to share.
    Rearranged,
    /// The matrix is transposed: no two of its elements stay neighbours.
    Transposed,
    /// Rows keep their order, and are taken from between others in runs too short to share.
    Scattered,
    /// The source does not start on the 32-byte grid that GGUF data lies on.
    OffGrid,
    /// The source's offset within a block differs from the destination's.
    OffPhase,
    /// Ends of a shared run that do not fill a block.
    Edge,
    /// The run would be shorter than the smallest extent worth sharing.
    TooShort,
    /// The values are computed, not stored in the checkpoint.
    Generated,
    /// The file system refused, or sharing was not asked for.
    CannotShare,
}

impl Reason {
    /// Stable identifier for machines.
    pub fn id(self) -> &'static str {
        match self {
            Self::Converted => "converted",
            Self::Rearranged => "rearranged",
            Self::Transposed => "transposed",
            Self::Scattered => "scattered",
            Self::OffGrid => "off-grid",
            Self::OffPhase => "off-phase",
            Self::Edge => "edge",
            Self::TooShort => "too-short",
            Self::Generated => "generated",
            Self::CannotShare => "cannot-share",
        }
    }

    /// The reason in words.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Converted => "stored in another type than in the checkpoint",
            Self::Rearranged => "rows are reordered (llama.cpp's rotary layout)",
            Self::Transposed => "matrices are transposed, so that no neighbours stay together",
            Self::Scattered => {
                "rows are taken from between those of another tensor, too few at a time to share"
            }
            Self::OffGrid => "starts off the 32-byte grid that GGUF tensors lie on",
            Self::OffPhase => "its offset within a block differs between source and output",
            Self::Edge => "ends of shared ranges that do not fill a whole block",
            Self::TooShort => "runs too short to be worth an extent of their own",
            Self::Generated => "computed, not in the checkpoint",
            Self::CannotShare => "blocks cannot be shared here",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::checkpoint::{Checkpoint, SourceFile, SourceTensor};
    use crate::dtype::{Dtype, GgmlType};
    use crate::error::Result;
    use crate::gguf::KeyValues;
    use crate::plan::{Alignment, Layout, Plan, Request, Sharing, SplitRules};
    use crate::shape::Shape;
    use crate::tensor::{OutputTensor, TensorExpr};

    /// Why a tensor made from a BF16 matrix of 16 heads with 64 rows of 512 elements (1 KiB) is not shared.
    fn why(make: impl Fn(TensorExpr) -> Result<TensorExpr>) -> Vec<Reason> {
        let shape = Shape::from_slice(&[16, 64, 512]);
        let len = 2 * shape.iter().product::<u64>();
        let expr = make(TensorExpr::source(0, &shape)).unwrap();
        let tensor = SourceTensor { name: "a".into(), dtype: Dtype::BF16, shape, file: 0, offset: 4096, len };
        let file = SourceFile { path: "a".into(), len: 4096 + len, data_start: 4096 };
        let checkpoint = Checkpoint { files: vec![file], tensors: vec![tensor], ..Checkpoint::default() };
        let plan = Plan::new(&Request {
            checkpoint: &checkpoint,
            offsets: None,
            metadata: &KeyValues::new(),
            tensors: &[OutputTensor { name: "a".into(), expr, ggml_type: GgmlType::BF16 }],
            path: Path::new("a.gguf"),
            layout: Layout::Single,
            alignment: Alignment::Strict,
            splits: SplitRules::default(),
            sharing: &Sharing { refusals: vec![None], ..Sharing::none(&checkpoint, "") },
            stamp: &[],
        });
        plan.unwrap().outputs[0].steps.iter().filter_map(|step| step.reason).collect()
    }

    #[test]
    fn each_movement_is_called_by_its_name() {
        assert_eq!(why(Ok), []);
        assert_eq!(why(|e| e.swap_axes(1, 2)), [Reason::Transposed]);
        assert_eq!(
            why(|e| e.reshape(&[16, 2, 32, 512])?.swap_axes(1, 2)?.reshape(&[16, 64, 512])),
            [Reason::Rearranged]
        );
        assert_eq!(why(|e| e.slice(1, 0, 64, 2)), [Reason::Scattered]);
    }
}
