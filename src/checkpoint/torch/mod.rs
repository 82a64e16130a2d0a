//! One `pytorch_model*.bin` file, as `torch.save` writes it: a zip file whose entries are stored as they
//! are, so that each tensor has a byte range, and a pickle that says which tensor lies in which.
//!
//! Entries start on 64-byte boundaries, so that these files can be shared like any other.

mod pickle;

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use self::pickle::{PickleError, PickledTensor};
use super::byte_size;
use super::header::Entry;
use crate::error::{Error, Result};
use crate::input::{bounded, quoted};
use crate::source::{File, Reader};

/// Longest pickle, in bytes; a tensor takes about 150.
const PICKLE_MAX: u64 = 1 << 24;
/// More entries than any model has tensors.
const MOST_ENTRIES: usize = 1 << 20;

/// A file whose pickle was read and found to fit the file.
#[derive(Debug)]
pub struct TorchFile {
    /// Length of the file in bytes.
    pub len: u64,
    /// Tensors in the state dict's order; their ranges, which count from the start of the file, lie inside
    /// entries of the file. Several may lie in one.
    pub tensors: Vec<Entry>,
}

/// Where an entry's bytes lie.
struct Place {
    start: u64,
    len: u64,
}

/// Reads and checks the pickle of `file`.
///
/// # Errors
/// [`Error::Invalid`] if the file is damaged or contradicts itself, [`Error::Unsupported`] for what is more
/// than a state dict of plain tensors, [`Error::Io`].
pub fn read(file: &File) -> Result<TorchFile> {
    let (path, len) = (file.path(), file.len());
    let damaged = |what: &str, error: &zip::result::ZipError| {
        Error::invalid(
            path,
            format!("{what}: {}; the download may be incomplete", bounded(&error.to_string())),
        )
    };
    if !starts_like_zip(file)? {
        return Err(Error::unsupported("not a zip file, which torch.save has written since version 1.6")
            .at(path)
            .hint("load it with torch and save it again, best as safetensors"));
    }
    let mut archive = ZipArchive::new(BufReader::with_capacity(1 << 12, Reader::new(file.clone())))
        .map_err(|e| damaged("not a complete zip file", &e))?;
    if archive.len() > MOST_ENTRIES {
        return Err(Error::invalid(
            path,
            format!("{} entries, expected at most {MOST_ENTRIES}", archive.len()),
        ));
    }
    let mut places = HashMap::with_capacity(archive.len());
    let mut root = None;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|e| damaged("an entry of the zip file", &e))?;
        let name = entry.name().map_err(|e| damaged("an entry of the zip file", &e))?.into_owned();
        let stored = entry.compression() == CompressionMethod::Stored && !entry.encrypted();
        let (Some(start), true, true) = (entry.data_start(), stored, entry.compressed_size() == entry.size())
        else {
            let problem = format!("entry {} is compressed, which torch.save does not do", quoted(&name));
            return Err(Error::unsupported(problem).at(path));
        };
        let place = Place { start, len: entry.size() };
        if start.checked_add(place.len).is_none_or(|end| end > len) {
            return Err(Error::invalid(path, format!("entry {} ends behind the file", quoted(&name))));
        }
        if name.ends_with("/data.pkl") {
            root = name.strip_suffix("data.pkl").map(|root| (root.to_owned(), index));
        }
        places.insert(name, place);
    }
    let (root, index) = root
        .ok_or_else(|| Error::unsupported("no data.pkl in it, so torch.save has not written it").at(path))?;
    let pickle = contents(&mut archive, index, path, PICKLE_MAX)?;
    if let Some(index) = archive.index_for_name(&format!("{root}byteorder"))
        && contents(&mut archive, index, path, 16)? != b"little"
    {
        return Err(Error::unsupported("its byte order is not little-endian").at(path));
    }
    let tensors = pickle::state_dict(&pickle).map_err(|error| match error {
        PickleError::Invalid(problem) => Error::invalid(path, format!("data.pkl is damaged: {problem}")),
        PickleError::Unsupported(problem) => {
            Error::unsupported(format!("data.pkl is not read: {problem}")).at(path)
        }
    })?;
    let tensors = tensors.into_iter().map(|tensor| place(path, tensor, &root, &places));
    let tensors = tensors.collect::<Result<Vec<_>>>()?;
    Ok(TorchFile { len, tensors })
}

fn starts_like_zip(file: &File) -> Result<bool> {
    Ok(file.read_range(0, file.len().min(4))? == b"PK\x03\x04")
}

/// The bytes of a small entry.
fn contents(
    archive: &mut ZipArchive<BufReader<Reader>>,
    index: usize,
    path: &Path,
    limit: u64,
) -> Result<Vec<u8>> {
    let entry = archive.by_index(index).map_err(|e| Error::invalid(path, bounded(&e.to_string())))?;
    if entry.size() > limit {
        let problem =
            format!("an entry about the tensors has {} bytes, expected at most {limit}", entry.size());
        return Err(Error::invalid(path, problem));
    }
    let mut bytes = Vec::new();
    entry.take(limit).read_to_end(&mut bytes).map_err(|error| match error.raw_os_error() {
        Some(_) => Error::io("cannot read", path, error),
        // What is in the file is at fault, not the disk.
        None => {
            let problem = format!("an entry about the tensors is damaged: {error}");
            Error::invalid(path, problem).hint("make sure that the download is complete")
        }
    })?;
    Ok(bytes)
}

/// Finds a tensor's bytes among the entries below `root`.
fn place(path: &Path, tensor: PickledTensor, root: &str, places: &HashMap<String, Place>) -> Result<Entry> {
    let PickledTensor { name, storage, dtype, offset, shape } = tensor;
    let problem =
        |problem: String| Error::invalid(path, format!("tensor {}: {problem}", quoted(&name))).tensor(&name);
    let place = places
        .get(&format!("{root}data/{storage}"))
        .ok_or_else(|| problem(format!("its storage {} is missing", quoted(&storage))))?;
    let range = byte_size(&shape, dtype).zip(offset.checked_mul(dtype.size()));
    let range = range.filter(|(len, begin)| begin.checked_add(*len).is_some_and(|end| end <= place.len));
    let (len, begin) = range.ok_or_else(|| {
        problem(format!(
            "shape {shape:?} of {} from element {offset} on does not fit its storage of {} bytes",
            dtype.name(),
            place.len
        ))
    })?;
    let begin = place.start + begin;
    Ok(Entry { name, dtype, shape, begin, end: begin + len })
}
