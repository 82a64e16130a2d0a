//! Room on the disks: what running conversions have still to write is taken, though nothing shows it yet.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ggraft_platform::FileSystem;

/// Bytes that running jobs have still to write, by file system and job.
#[derive(Debug, Default)]
pub struct Space(Mutex<HashMap<u64, HashMap<usize, u64>>>);

impl Space {
    /// Reserves `bytes` in `dir` for the job `id`, unless they would not fit beside what others have reserved. If nobody
    /// has, waiting would not help: it is for the conversion to say what is missing.
    pub fn reserve(&self, id: usize, dir: &Path, bytes: u64) -> bool {
        let Ok(device) = std::fs::metadata(dir).map(|metadata| metadata.dev()) else { return true };
        let Ok(FileSystem { free_bytes, .. }) = FileSystem::of(dir) else { return true };
        let mut space = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reserved = space.entry(device).or_default();
        let others: u64 = reserved.iter().filter(|(job, _)| **job != id).map(|(_, bytes)| bytes).sum();
        if others > 0 && others.saturating_add(bytes) > free_bytes {
            return false;
        }
        reserved.insert(id, bytes);
        true
    }

    /// The job `id` has `left` bytes to write.
    pub fn update(&self, id: usize, left: u64) {
        let mut space = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        space.values_mut().filter_map(|reserved| reserved.get_mut(&id)).for_each(|bytes| *bytes = left);
    }

    /// The job `id` has ended.
    pub fn release(&self, id: usize) {
        let mut space = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        space.values_mut().for_each(|reserved| _ = reserved.remove(&id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_count() {
        let dir = tempfile::tempdir().unwrap();
        let free = FileSystem::of(dir.path()).unwrap().free_bytes;
        let space = Space::default();
        assert!(space.reserve(0, dir.path(), free / 2));
        assert!(!space.reserve(1, dir.path(), free), "job 0 has still to write");
        space.update(0, 0);
        assert!(space.reserve(1, dir.path(), free), "nothing else is to be written");
        space.release(1);
        assert!(space.reserve(2, dir.path(), u64::MAX), "alone, the conversion has to say it");
    }
}
