//! The place of every tensor in an aligned file, and the header that says so.
//!
//! Knows nothing of directories or of how a file is written.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::checkpoint::{Checkpoint, HEADER_MAX, SourceTensor};
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
    members: Vec<usize>,
    metadata: Option<&BTreeMap<String, String>>,
    data_start: u64,
    block: u64,
) -> Result<Arrangement, String> {
    let Order { mut places, is_aligned } = order(tensors, members, data_start, block);
    let mut header = vec![0; 8];
    let document = Header { tensors, places: &places, metadata };
    serde_json::to_writer(&mut header, &document).map_err(|error| error.to_string())?;
    let new_start = (header.len() as u64).next_multiple_of(block);
    if new_start - 8 > HEADER_MAX {
        let len = new_start - 8;
        return Err(format!("its header would be {len} bytes long, readers take at most {HEADER_MAX}"));
    }
    header.resize(new_start as usize, b' ');
    header[..8].copy_from_slice(&(new_start - 8).to_le_bytes());
    places.iter_mut().for_each(|(_, at)| *at += new_start);
    Ok(Arrangement { header, places, is_aligned })
}

/// The JSON of a header. It is written as it is made, without a tree.
struct Header<'a> {
    tensors: &'a [SourceTensor],
    /// Indices of its tensors, and where each starts, counted from the start of the data.
    places: &'a [(usize, u64)],
    metadata: Option<&'a BTreeMap<String, String>>,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if let Some(metadata) = self.metadata {
            map.serialize_entry("__metadata__", metadata)?;
        }
        for &(i, begin) in self.places {
            let SourceTensor { name, dtype, shape, len, .. } = &self.tensors[i];
            let entry = Entry { dtype: dtype.name(), shape, data_offsets: [begin, begin + len] };
            map.serialize_entry(name, &entry)?;
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

/// A checkpoint as it lies once aligned, as far as a plan has to know it.
#[derive(Debug)]
pub struct Aligned {
    /// Where each of its tensors will be in its file; the real place differs by whole blocks.
    pub offsets: Vec<u64>,
    /// Bytes of the files that aligning rewrites.
    pub rewritten: u64,
    /// Of these, bytes of files that stay elsewhere, because what is in the model's directory are links to them.
    pub staying: u64,
}

/// What aligning makes of `checkpoint`. Modules in directories of their own are left alone.
pub fn aligned(checkpoint: &Checkpoint, block: u64) -> Aligned {
    let mut offsets: Vec<u64> = checkpoint.tensors.iter().map(|tensor| tensor.offset).collect();
    let (mut rewritten, mut staying) = (0, 0);
    for (file, members) in members(checkpoint).into_iter().enumerate().filter(|(_, m)| !m.is_empty()) {
        let file = &checkpoint.files[file];
        let order = order(&checkpoint.tensors, members, file.data_start, block);
        if order.is_aligned {
            continue;
        }
        rewritten += file.len;
        staying += checkpoint.dir.blob(&file.path).map_or(0, |_| file.len);
        let data_start = file.data_start.next_multiple_of(block);
        for (i, at) in order.places {
            offsets[i] = data_start + at;
        }
    }
    Aligned { offsets, rewritten, staying }
}

/// The model's own tensors by the file they are in, as indices.
pub fn members(checkpoint: &Checkpoint) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); checkpoint.files.len()];
    for (i, tensor) in checkpoint.own_tensors().iter().enumerate() {
        members[tensor.file].push(i);
    }
    members
}

/// The order of one file's tensors.
struct Order {
    /// Index of the tensor, and its first byte, counted from the start of the file's data.
    places: Vec<(usize, u64)>,
    /// Whether they lie as well already.
    is_aligned: bool,
}

fn order(tensors: &[SourceTensor], mut members: Vec<usize>, data_start: u64, block: u64) -> Order {
    members.sort_by_key(|&i| (tensors[i].offset, tensors[i].len));
    members.sort_by_key(|&i| rank(&tensors[i], block));
    let (mut at, mut is_aligned) = (0, data_start.is_multiple_of(block));
    let mut places = Vec::with_capacity(members.len());
    for i in members {
        let tensor = &tensors[i];
        // Only phases matter for sharing: a file that has them right is left alone whatever its order.
        is_aligned &=
            matches!(rank(tensor, block), Rank::Small { .. }) || tensor.offset % block == at % block;
        places.push((i, at));
        at += tensor.len;
    }
    Order { places, is_aligned }
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
