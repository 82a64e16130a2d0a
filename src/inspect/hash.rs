//! Digests of tensor data, for comparing files that differ in anything else: SHA-256 of each tensor, of each file's tensors
//! and of all of them, in file order, without padding. Those of a file are what `llama-gguf-hash --sha256` computes.

use sha2::{Digest, Sha256};

use super::Inspection;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::input::quoted;
use crate::source::File;

/// Bytes that are read at a time.
const CHUNK: u64 = 1 << 20;

/// What a digest is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashed<'a> {
    /// The tensor of this name, in the file at this index.
    Tensor(usize, &'a str),
    /// All tensors of the file at this index.
    File(usize),
    /// All tensors of several files.
    All,
}

impl Inspection {
    /// Reads all tensors and notes their digests; tells `each` of one after the other.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a tensor of a type that is not known, since nobody knows how long it is; what reading says,
    /// or `each`.
    pub fn hash(&mut self, each: &mut dyn FnMut(Hashed, &str) -> Result<()>) -> Result<()> {
        let (mut all, mut next) = (Sha256::new(), 0);
        for (number, file) in self.files.iter_mut().enumerate() {
            let source = File::open(&file.path)?;
            let mut whole = Sha256::new();
            while let Some(tensor) = self.tensors.get_mut(next).filter(|tensor| tensor.file == number) {
                let name = &tensor.name;
                let Some(len) = tensor.bytes else {
                    let problem =
                        format!("tensor {} is of {}: its length is not known", quoted(name), tensor.kind);
                    return Err(Error::unsupported(problem).at(&file.path).tensor(name));
                };
                let mut own = Sha256::new();
                read(&source, tensor.offset, len, &mut [&mut own, &mut whole, &mut all])?;
                let digest = hex(&own.finalize());
                each(Hashed::Tensor(number, name), &digest)?;
                tensor.sha256 = Some(digest);
                next += 1;
            }
            let digest = hex(&whole.finalize());
            each(Hashed::File(number), &digest)?;
            file.sha256 = Some(digest);
            source.check_unchanged()?;
        }
        let digest = hex(&all.finalize());
        if self.files.len() > 1 {
            each(Hashed::All, &digest)?;
        }
        self.sha256 = Some(digest);
        Ok(())
    }
}

/// Has `digests` take `len` bytes of `file` from `offset` on.
fn read(file: &File, offset: u64, len: u64, digests: &mut [&mut Sha256]) -> Result<()> {
    let mut buffer = vec![0; len.min(CHUNK) as usize];
    let mut done = 0;
    while done < len {
        let part = &mut buffer[..(len - done).min(CHUNK) as usize];
        file.read_exact_at(part, offset + done)?;
        digests.iter_mut().for_each(|digest| digest.update(&*part));
        done += part.len() as u64;
    }
    Ok(())
}
