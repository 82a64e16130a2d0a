//! An identifier for the files of one split set, so that a set put together from two is found out.

use sha2::{Digest, Sha256};

use super::files::Draft;
use super::lower::Tensors;
use crate::gguf::{self, KeyValues, TensorInfo};
use crate::hex::hex;

/// Bytes of the hash that are kept: enough that two sets never agree by chance.
const KEPT: usize = 16;

/// The same for the same sources, metadata and layout, and for nothing else, as hexadecimal digits.
pub fn identifier(metadata: &KeyValues, tensors: &dyn Tensors, drafts: &[Draft], stamp: &[u8]) -> String {
    let mut hash = Sha256::new();
    let infos: Vec<TensorInfo> = (0..tensors.count()).map(|i| tensors.info(i)).collect();
    hash.update(gguf::encode(metadata, &infos, gguf::DEFAULT_ALIGNMENT));
    for draft in drafts {
        let start = draft.start_phase.unwrap_or(u64::MAX);
        let layout = [draft.tensors.len() as u64, draft.alignment, start];
        let places = layout.into_iter().chain(draft.tensors.iter().map(|&i| i as u64));
        places.for_each(|number| hash.update(number.to_le_bytes()));
    }
    hash.update(stamp);
    hex(&hash.finalize()[..KEPT])
}
