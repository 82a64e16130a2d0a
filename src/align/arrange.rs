//! The place of every tensor in an aligned file, and the header that says so.
//!
//! Knows nothing of directories or of how a file is written.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::checkpoint::{HEADER_MAX, SourceTensor};
use crate::gguf::DEFAULT_ALIGNMENT;
use crate::plan::Sharing;

/// How one file's tensors should lie.
#[derive(Clone, Debug)]
pub struct Arrangement {
    /// Header length, JSON and spaces; tensor data follows.
    pub header: Vec<u8>,
    /// Tensors in file order: index into the checkpoint's tensors, and first byte in the file.
    pub places: Vec<(usize, u64)>,
    /// Whether the file is as good as it can get already.
    pub is_aligned: bool,
}

/// Arranges the tensors `members` (indices into `tensors`) of one file whose data starts at `data_start`,
/// for blocks of `block` bytes.
///
/// # Errors
/// In words, if the header would be longer than readers accept.
pub fn arrange(
    tensors: &[SourceTensor],
    mut members: Vec<usize>,
    metadata: Option<&BTreeMap<String, String>>,
    data_start: u64,
    block: u64,
) -> Result<Arrangement, String> {
    members.sort_by_key(|&i| (tensors[i].offset, tensors[i].len));
    members.sort_by_key(|&i| rank(&tensors[i], block));

    let mut root = Map::with_capacity(members.len() + 1);
    if let Some(metadata) = metadata {
        root.insert("__metadata__".into(), json!(metadata));
    }
    let mut end = 0;
    for &i in &members {
        let SourceTensor { name, dtype, shape, len, .. } = &tensors[i];
        let begin = end;
        end += len;
        let entry = json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [begin, end]});
        root.insert(name.clone(), entry);
    }
    let mut text = Value::Object(root).to_string().into_bytes();
    let new_start = (8 + text.len() as u64).next_multiple_of(block);
    if new_start - 8 > HEADER_MAX {
        let len = new_start - 8;
        return Err(format!("its header would be {len} bytes long, readers take at most {HEADER_MAX}"));
    }
    text.resize((new_start - 8) as usize, b' ');
    let header = [&(new_start - 8).to_le_bytes(), text.as_slice()].concat();

    let mut at = new_start;
    let mut places = Vec::with_capacity(members.len());
    let mut is_aligned = data_start.is_multiple_of(block);
    for i in members {
        let tensor = &tensors[i];
        // Only phases matter for sharing: a file that has them right is left alone whatever its order.
        is_aligned &=
            matches!(rank(tensor, block), Rank::Small { .. }) || tensor.offset % block == at % block;
        places.push((i, at));
        at += tensor.len;
    }
    Ok(Arrangement { header, places, is_aligned })
}

/// What comes first in an aligned file; tensors of equal rank keep their order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Whole blocks: where one starts on a block boundary, so does the next.
    Blocks,
    /// Large, and on GGUF's grid, so that a conversion can repeat the sequence without padding. Those of
    /// one length stay together: they are likely to stay together in the output, too.
    Large { len: Reverse<u64> },
    /// The rest. Sorted by element size, every tensor lies where readers that map the file need it.
    Small { element: Reverse<u64>, len: Reverse<u64> },
}

fn rank(tensor: &SourceTensor, block: u64) -> Rank {
    let len = Reverse(tensor.len);
    if tensor.len.is_multiple_of(block) {
        Rank::Blocks
    } else if tensor.len >= Sharing::DEFAULT_MIN_EXTENT && tensor.len.is_multiple_of(DEFAULT_ALIGNMENT) {
        Rank::Large { len }
    } else {
        Rank::Small { element: Reverse(tensor.dtype.size()), len }
    }
}
