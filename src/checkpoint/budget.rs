//! How much a checkpoint may say about its tensors: far more than any real one does, and little enough that
//! no file makes a process run out of memory.
//!
//! The largest published checkpoint, Kimi K3, has 496,000 tensors with names of 36 MiB in some 300 files.

/// Most tensors, in all files together.
pub const MOST_TENSORS: usize = 1 << 19;

/// Most bytes of their names.
const NAMES_MAX: usize = 48 << 20;

/// Most dimensions of them, all added up.
const MOST_DIMENSIONS: usize = 4 * MOST_TENSORS;

/// Most memory that a file's `__metadata__` may take, in bytes. Real ones hold a few words.
pub const METADATA_MAX: usize = 16 << 20;

/// Most files of a checkpoint: their names have five digits.
pub const MOST_FILES: usize = 99_999;

/// What was taken so far.
#[derive(Debug, Default)]
pub struct Budget {
    tensors: usize,
    names: usize,
    dimensions: usize,
}

impl Budget {
    /// Takes what a tensor with this name and as many dimensions needs.
    ///
    /// # Errors
    /// In words, if that is more than is left.
    pub fn take(&mut self, name: &str, dimensions: usize) -> Result<(), String> {
        self.tensors += 1;
        self.names = self.names.saturating_add(name.len());
        self.dimensions = self.dimensions.saturating_add(dimensions);
        let (found, most, what) = if self.tensors > MOST_TENSORS {
            (self.tensors, MOST_TENSORS, "tensors")
        } else if self.names > NAMES_MAX {
            (self.names, NAMES_MAX, "bytes of tensor names")
        } else if self.dimensions > MOST_DIMENSIONS {
            (self.dimensions, MOST_DIMENSIONS, "dimensions of all tensors together")
        } else {
            return Ok(());
        };
        Err(format!("expected at most {most} {what}, found {found} or more; no model has as many"))
    }
}
