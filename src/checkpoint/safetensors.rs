//! One safetensors file: its length, its header, and whether the ranges in it tile the data.
//!
//! The format is eight bytes of header length (little-endian), that much JSON, and the tensors
//! without a gap. Only the header is looked at.

use std::collections::BTreeMap;
use std::path::Path;

use super::byte_size;
use super::header::{Entry, Header};
use crate::error::{Error, Result};
use crate::input::{bounded, quoted};
use crate::source::{File, lfs_pointer};

/// Longest header, in bytes; the `safetensors` library has the same limit.
pub const HEADER_MAX: u64 = 100_000_000;

/// A file whose header was read and found to fit the file.
#[derive(Debug)]
pub struct SafetensorsFile {
    /// Length of the file in bytes.
    pub len: u64,
    /// Where tensor data starts, in bytes from the start of the file.
    pub data_start: u64,
    /// The `__metadata__` object of the header, if there is one.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Tensors by name; their ranges lie inside the file, apart from each other.
    pub tensors: Vec<Entry>,
}

/// Whether a file that begins with `start` may be one, whole or not.
pub fn may_begin(start: &[u8]) -> bool {
    let len = start.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    len.is_some_and(|len| len <= HEADER_MAX)
}

/// Reads and checks the header of `file`.
pub fn read(file: &File) -> Result<SafetensorsFile> {
    let (path, len) = (file.path(), file.len());
    if len < 8 {
        return Err(Error::invalid(path, format!("expected a safetensors file, found only {len} bytes")));
    }
    let mut start = [0; 8];
    file.read_exact_at(&mut start, 0)?;
    if let Some(pointer) = (start == *b"version ").then(|| file.read_range(0, len.min(64))).transpose()? {
        return Err(
            lfs_pointer(path, &pointer).unwrap_or_else(|| Error::invalid(path, "is not a safetensors file"))
        );
    }
    let header_len = u64::from_le_bytes(start);
    if header_len > HEADER_MAX {
        return Err(Error::invalid(
            path,
            format!(
                "header length is {header_len} bytes, expected at most {HEADER_MAX}; is this a safetensors file?"
            ),
        ));
    }
    let data_start = 8 + header_len;
    if data_start > len {
        return Err(Error::invalid(
            path,
            format!(
                "header ends at byte {data_start}, but the file has {len} bytes; the download may be incomplete"
            ),
        ));
    }
    let json = file.read_range(8, header_len)?;
    if let Err(error) = std::str::from_utf8(&json) {
        let at = 8 + error.valid_up_to();
        return Err(Error::invalid(path, format!("the header is not UTF-8 at byte {at}")));
    }
    let header = Header::parse(&json).map_err(|error| {
        Error::invalid(path, format!("not a valid safetensors header: {}", bounded(&error.to_string())))
    })?;
    drop(json);
    let mut tensors = header.tensors;
    // A name that is there twice is the reason for what else is wrong.
    let ranges = check_ranges(path, &mut tensors, len - data_start);
    check_names(path, &mut tensors).and(ranges)?;
    Ok(SafetensorsFile { len, data_start, metadata: header.metadata, tensors })
}

/// Every range as long as its shape says, and all together exactly `data_len` bytes: no overlap,
/// no hole, nothing behind the last. Sorts by range.
fn check_ranges(path: &Path, tensors: &mut [Entry], data_len: u64) -> Result<()> {
    tensors.sort_unstable_by_key(|t| (t.begin, t.end));
    let mut expected = 0;
    for t in tensors.iter() {
        check_range(t, expected, data_len).map_err(|problem| {
            Error::invalid(path, format!("tensor {}: {problem}", quoted(&t.name))).tensor(&t.name)
        })?;
        expected = t.end;
    }
    if expected != data_len {
        let found = data_len - expected;
        let problem = format!("{found} bytes follow the last tensor, expected the file to end there");
        return Err(Error::invalid(path, problem));
    }
    Ok(())
}

/// One tensor, whose range must begin at `expected`.
fn check_range(t: &Entry, expected: u64, data_len: u64) -> Result<(), String> {
    let (shape, begin, end) = (&t.shape, t.begin, t.end);
    let bytes = byte_size(shape, t.dtype).ok_or_else(|| {
        format!("shape {shape:?} has more bytes than a file can hold, or no whole number of them")
    })?;
    let Some(found) = end.checked_sub(begin) else {
        return Err(format!("data range {begin}..{end} ends before it begins"));
    };
    if found != bytes {
        let dtype = t.dtype.name();
        return Err(format!(
            "shape {shape:?} of {dtype} needs {bytes} bytes, but its range {begin}..{end} has {found}"
        ));
    }
    if end > data_len {
        return Err(format!(
            "data range {begin}..{end} ends behind the data, which has {data_len} bytes; \
             the download may be incomplete"
        ));
    }
    if begin != expected {
        let how = if begin < expected { "overlaps the tensor before it" } else { "leaves a hole" };
        return Err(format!("data range {begin}..{end} {how}, expected it to begin at {expected}"));
    }
    Ok(())
}

/// No name twice. Sorts by name, bytewise.
fn check_names(path: &Path, tensors: &mut [Entry]) -> Result<()> {
    // Ranges are nearly always in the order of names already, type by type: this sort takes advantage of that.
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    match tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => {
            let name = &pair[0].name;
            let problem = format!("tensor {} appears twice in the header", quoted(name));
            Err(Error::invalid(path, problem).tensor(name))
        }
        None => Ok(()),
    }
}
