//! The dimensions of a tensor.

use smallvec::SmallVec;

/// Dimensions, outermost first. Most tensors have one or two, which take no memory of their own: a checkpoint may have hundreds
/// of thousands of tensors.
pub type Shape = SmallVec<[u64; 2]>;
