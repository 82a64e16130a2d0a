//! The place of every tensor in an aligned file, and the header that says so.
//!
//! Knows nothing of directories or of how a file is written.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::checkpoint::{HEADER_MAX, SourceTensor};
use crate::gguf::DEFAULT_ALIGNMENT;
use crate::plan::Sharing;

/// How one file's tensors should lie.
#[derive(Clone, Debug)]
pub struct Arrangement {
    /// Header length, JSON and spaces; tensor data follows.
    pub header: Vec<u8>,
    /// Where that is, in bytes from the start of the file.
    pub data_start: u64,
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
    metadata: &BTreeMap<String, String>,
    data_start: u64,
    block: u64,
) -> Result<Arrangement, String> {
    members.sort_by_key(|&i| (tensors[i].offset, tensors[i].len));
    members.sort_by_key(|&i| rank(&tensors[i], block));

    let mut header = vec![0; 8];
    let document = Header { tensors, members: &members, metadata };
    serde_json::to_writer(&mut header, &document).map_err(|error| error.to_string())?;
    let new_start = (header.len() as u64).next_multiple_of(block);
    if new_start - 8 > HEADER_MAX {
        let len = new_start - 8;
        return Err(format!("its header would be {len} bytes long, readers take at most {HEADER_MAX}"));
    }
    header.resize(new_start as usize, b' ');
    header[..8].copy_from_slice(&(new_start - 8).to_le_bytes());

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
    Ok(Arrangement { header, data_start: new_start, places, is_aligned })
}

/// The JSON of a header. It is written as it is made, without a tree.
struct Header<'a> {
    tensors: &'a [SourceTensor],
    /// Indices of its tensors, which follow each other in the file.
    members: &'a [usize],
    metadata: &'a BTreeMap<String, String>,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if !self.metadata.is_empty() {
            map.serialize_entry("__metadata__", self.metadata)?;
        }
        let mut end = 0;
        for SourceTensor { name, dtype, shape, len, .. } in self.members.iter().map(|i| &self.tensors[*i]) {
            let begin = end;
            end += len;
            map.serialize_entry(name, &Entry { dtype: dtype.name(), shape, data_offsets: [begin, end] })?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    dtype: &'static str,
    shape: &'a [u64],
    data_offsets: [u64; 2],
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
