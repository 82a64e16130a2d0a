//! Files that are written for people: the old one or the new one, whole and on the disk.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use ggraft_platform::{AtomicFile, Flushed, Links};

use crate::error::{Error, Result};

/// Puts what `write` writes into a file at `path`.
///
/// # Errors
/// [`Error::Io`].
pub fn file(path: &Path, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Result<()> {
    let published = || {
        let file = AtomicFile::create(path, Links::Follow)?;
        let mut out = BufWriter::new(file.file());
        write(&mut out)?;
        out.flush()?;
        drop(out);
        AtomicFile::flush_all(vec![file], true).and_then(Flushed::publish).map(drop).map_err(|e| e.source)
    };
    published().map_err(|e| Error::io("cannot write", path, e))
}
