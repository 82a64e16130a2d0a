//! Reads everything in a GGUF file (version 2 or 3) that comes before the tensor data.
//!
//! Files come from strangers: every length and count is held against the bytes that are left before
//! anything is allocated for it, and what llama.cpp would refuse to load is refused here.

use std::io::{BufReader, Read};
use std::path::Path;

use super::{DEFAULT_ALIGNMENT, KeyValues, Strings, Value};
use crate::error::{Error, Result};
use crate::ggml_types::TypeInfo;
use crate::input::{glimpse, quoted};
use crate::source;

/// What a file begins with.
const MAGIC: &[u8; 4] = b"GGUF";

/// How many bytes are looked at to say what a file is instead.
const START: u64 = 64;

/// Most bytes read in front of the tensor data. The largest vocabularies take 30 MB.
pub const HEADER_MAX: u64 = 96 << 20;

/// Most key-values. Files have some dozens.
const KEYS_MAX: u64 = 1 << 16;

/// Most tensors. The largest checkpoints have some 200,000, whose experts are stacked in a GGUF file.
const TENSORS_MAX: u64 = 1 << 19;

/// Longest key, in bytes, by the format's description.
pub const KEY_MAX: u64 = (1 << 16) - 1;

/// Longest name of a tensor, in bytes: `GGML_MAX_NAME` counts a terminating zero.
const NAME_MAX: u64 = 63;

/// Most dimensions of a tensor (`GGML_MAX_DIMS`).
const RANK_MAX: u32 = 4;

/// A GGUF file, tensor data excepted.
#[derive(Clone, Debug)]
pub struct Gguf {
    /// Version of the format: 2 or 3.
    pub version: u32,
    /// Length of the file in bytes.
    pub len: u64,
    /// Key-values in the file's order.
    pub metadata: KeyValues,
    /// Alignment of the tensor data in bytes, a power of two.
    pub alignment: u64,
    /// Where tensor data starts, in bytes from the start of the file. Without tensors: where the
    /// header ends.
    pub data_start: u64,
    /// Tensors in the file's order.
    pub tensors: Vec<StoredTensor>,
}

/// One tensor of a GGUF file.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// Name, as llama.cpp looks it up.
    pub name: String,
    /// Dimensions, outermost first: the reverse of how the file lists them.
    pub shape: Vec<u64>,
    /// ggml's number for the type; [`TypeInfo::of`] knows more.
    pub type_id: u32,
    /// First byte, from the start of the file.
    pub offset: u64,
    /// Length in bytes without padding; `None` if the type is not known.
    pub len: Option<u64>,
}

impl Gguf {
    /// The last tensor, and how many bytes of the padding behind it the file lacks, if any. llama.cpp loads such a file: all it asks
    /// is that each tensor ends in the file.
    pub fn missing_padding(&self) -> Option<(&StoredTensor, u64)> {
        let last = self.tensors.last()?;
        let end = last.offset.checked_add(last.len?)?.checked_next_multiple_of(self.alignment)?;
        end.checked_sub(self.len).filter(|missing| *missing > 0).map(|missing| (last, missing))
    }
}

/// Reads the header of the GGUF file at `path`.
///
/// # Errors
/// [`Error::Invalid`] for what llama.cpp would refuse to load (versions, sizes, gaps, duplicates), [`Error::Io`].
pub fn read(path: &Path) -> Result<Gguf> {
    read_file(&source::File::open(path)?)
}

/// Reads the header of a GGUF file.
///
/// # Errors
/// As [`read`].
pub fn read_file(file: &source::File) -> Result<Gguf> {
    let start = file.read_range(0, file.len().min(START))?;
    if !start.starts_with(MAGIC) {
        let other =
            || Error::invalid(file.path(), format!("expected a GGUF file, found {}", glimpse(&start)));
        return Err(source::lfs_pointer(file.path(), &start).unwrap_or_else(other));
    }
    let input = BufReader::with_capacity(1 << 16, source::Reader::new(file.clone()));
    let mut reader = Reader { path: file.path(), input, at: 0, len: file.len() };
    reader.file()
}

/// A position in a file, and how much may still be read.
struct Reader<'a> {
    path: &'a Path,
    input: BufReader<source::Reader>,
    at: u64,
    len: u64,
}

impl Reader<'_> {
    fn file(&mut self) -> Result<Gguf> {
        self.bytes::<4>("magic")?;
        let version = self.u32("version")?;
        if !(2..=3).contains(&version) {
            let swapped = version.swap_bytes();
            let found = match (1..=3).contains(&swapped) {
                true => format!("big-endian GGUF, version {swapped}"),
                false => format!("GGUF version {version}"),
            };
            let problem = format!("{found}, llama.cpp loads versions 2 and 3 in little-endian order");
            return Err(self.invalid(problem));
        }
        // The least a tensor info takes: name length, number of dimensions, type, offset.
        let tensors = self.count("tensors", 8 + 4 + 4 + 8)?;
        // The least a key-value takes: key length, type, one byte.
        let keys = self.count("key-values", 8 + 4 + 1)?;
        for (what, count, most) in [("tensors", tensors, TENSORS_MAX), ("key-values", keys, KEYS_MAX)] {
            if count > most {
                return Err(self.invalid(format!("{count} {what}, expected at most {most}")));
            }
        }
        let metadata = self.metadata(keys)?;
        let alignment = match metadata.get("general.alignment") {
            None => DEFAULT_ALIGNMENT,
            Some(Value::U32(n)) if n.is_power_of_two() => u64::from(*n),
            Some(other) => {
                return Err(
                    self.invalid(format!("general.alignment is {other:?}, expected a power of two as u32"))
                );
            }
        };
        let infos = (0..tensors).map(|_| self.tensor()).collect::<Result<Vec<_>>>()?;
        let data_start = if tensors == 0 { self.at } else { self.at.next_multiple_of(alignment) };
        let tensors = self.place(infos, data_start, alignment)?;
        Ok(Gguf { version, len: self.len, metadata, alignment, data_start, tensors })
    }

    fn metadata(&mut self, count: u64) -> Result<KeyValues> {
        let mut metadata = KeyValues::new();
        for _ in 0..count {
            let key = self.name("key", KEY_MAX)?;
            if metadata.get(&key).is_some() {
                return Err(self.invalid(format!("key {} appears twice", quoted(&key))));
            }
            let kind = self.u32("value type")?;
            let value = if kind == 9 { self.array(&key)? } else { self.scalar(kind, &key)? };
            metadata.set(key, value);
        }
        Ok(metadata)
    }

    /// A value by its number in `gguf_metadata_value_type`.
    fn scalar(&mut self, kind: u32, key: &str) -> Result<Value> {
        Ok(match kind {
            0 => Value::U8(u8::from_le_bytes(self.bytes(key)?)),
            1 => Value::I8(i8::from_le_bytes(self.bytes(key)?)),
            2 => Value::U16(u16::from_le_bytes(self.bytes(key)?)),
            3 => Value::I16(i16::from_le_bytes(self.bytes(key)?)),
            4 => Value::U32(u32::from_le_bytes(self.bytes(key)?)),
            5 => Value::I32(i32::from_le_bytes(self.bytes(key)?)),
            6 => Value::F32(f32::from_le_bytes(self.bytes(key)?)),
            7 => Value::Bool(self.bytes(key)? != [0]),
            8 => Value::String(self.string(key)?),
            10 => Value::U64(u64::from_le_bytes(self.bytes(key)?)),
            11 => Value::I64(i64::from_le_bytes(self.bytes(key)?)),
            12 => Value::F64(f64::from_le_bytes(self.bytes(key)?)),
            _ => return Err(self.invalid(format!("key {} has unknown value type {kind}", quoted(key)))),
        })
    }

    fn array(&mut self, key: &str) -> Result<Value> {
        let kind = self.u32(key)?;
        Ok(match kind {
            0 => Value::U8s(self.items(key, u8::from_le_bytes)?),
            1 => Value::I8s(self.items(key, i8::from_le_bytes)?),
            2 => Value::U16s(self.items(key, u16::from_le_bytes)?),
            3 => Value::I16s(self.items(key, i16::from_le_bytes)?),
            4 => Value::U32s(self.items(key, u32::from_le_bytes)?),
            5 => Value::I32s(self.items(key, i32::from_le_bytes)?),
            6 => Value::F32s(self.items(key, f32::from_le_bytes)?),
            7 => Value::Bools(self.items(key, |byte: [u8; 1]| byte != [0])?),
            8 => {
                let count = self.count(key, 8)?;
                let mut strings = Strings::new();
                for _ in 0..count {
                    strings.push(&self.string(key)?);
                }
                strings.shrink();
                Value::Strings(strings)
            }
            10 => Value::U64s(self.items(key, u64::from_le_bytes)?),
            11 => Value::I64s(self.items(key, i64::from_le_bytes)?),
            12 => Value::F64s(self.items(key, f64::from_le_bytes)?),
            _ => {
                let key = quoted(key);
                return Err(self.invalid(format!("key {key} is an array of unknown or nested type {kind}")));
            }
        })
    }

    /// The items of an array of fixed-size values.
    fn items<T, const N: usize>(&mut self, key: &str, value: fn([u8; N]) -> T) -> Result<Vec<T>> {
        let count = self.count(key, N as u64)?;
        let mut items = Vec::with_capacity(count as usize);
        for _ in 0..count {
            items.push(value(self.bytes(key)?));
        }
        Ok(items)
    }

    /// A tensor as its info has it: the offset still counts from the start of the data.
    fn tensor(&mut self) -> Result<StoredTensor> {
        let name = self.name("tensor name", NAME_MAX)?;
        let q = quoted(&name);
        let rank = self.u32(&name)?;
        if rank > RANK_MAX {
            let problem = format!("tensor {q} has {rank} dimensions, expected at most {RANK_MAX}");
            return Err(self.invalid(problem).tensor(name));
        }
        let mut shape = (0..rank).map(|_| self.u64(&name)).collect::<Result<Vec<_>>>()?;
        let row = shape.first().copied().unwrap_or(1);
        let path = self.path;
        let overflow = |shape: &[u64]| {
            Error::invalid(path, format!("tensor {q}: shape {shape:?} overflows")).tensor(&name)
        };
        let elements = shape.iter().try_fold(1u64, |n, dim| n.checked_mul(*dim));
        let elements = elements.filter(|n| i64::try_from(*n).is_ok());
        let elements = elements.ok_or_else(|| overflow(&shape))?;
        shape.reverse();
        let type_id = self.u32(&name)?;
        let offset = self.u64(&name)?;
        let len =
            match TypeInfo::of(type_id) {
                None => None,
                Some(t) if row % t.block != 0 => {
                    let (kind, block) = (t.name, t.block);
                    return Err(self.invalid(format!(
                    "tensor {q}: rows of {row} elements are not whole blocks of {block}, as {kind} needs"
                )).tensor(name));
                }
                Some(t) => {
                    let len = (elements / t.block).checked_mul(t.bytes);
                    Some(len.ok_or_else(|| overflow(&shape))?)
                }
            };
        Ok(StoredTensor { name, shape, type_id, offset, len })
    }

    /// Makes offsets absolute. Each tensor must start where the one before it ends, padded; behind
    /// one of unknown type, anywhere on the grid from there on.
    fn place(&self, mut tensors: Vec<StoredTensor>, start: u64, alignment: u64) -> Result<Vec<StoredTensor>> {
        let (mut least, mut is_exact) = (0, true);
        for t in &mut tensors {
            let name = quoted(&t.name);
            if t.offset % alignment != 0 || t.offset < least || is_exact && t.offset != least {
                let found = t.offset;
                let expected = match is_exact {
                    true => least.to_string(),
                    false => format!("a multiple of {alignment}, at least {least}"),
                };
                let problem = format!("tensor {name} has offset {found}, expected {expected}");
                return Err(self.invalid(problem).tensor(&t.name));
            }
            let end = t.offset.checked_add(t.len.unwrap_or(0));
            let end_in_file = end.and_then(|end| end.checked_add(start)).filter(|end| *end <= self.len);
            if end_in_file.is_none() {
                let len = self.len;
                let problem = format!("tensor {name} ends behind the end of the file, which has {len} bytes");
                return Err(self.invalid(problem).tensor(&t.name).hint("the file may be incomplete"));
            }
            let padded = end.and_then(|end| end.checked_next_multiple_of(alignment));
            (least, is_exact) = (padded.unwrap_or(u64::MAX), t.len.is_some());
            t.offset += start;
        }
        let mut names: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                Err(self.invalid(format!("tensor {} appears twice", quoted(pair[0]))).tensor(pair[0]))
            }
            None => Ok(tensors),
        }
    }

    /// A number of things that take at least `least` bytes each, which must still be there.
    fn count(&mut self, what: &str, least: u64) -> Result<u64> {
        let count = self.u64(what)?;
        match count.checked_mul(least) {
            Some(bytes) => self.need(bytes, what).map(|()| count),
            None => Err(self.invalid(format!("{}: {count} items cannot fit a file", quoted(what)))),
        }
    }

    /// Text that names something: not empty, UTF-8, not longer than `limit` bytes.
    fn name(&mut self, what: &str, limit: u64) -> Result<String> {
        let at = self.at;
        let len = self.u64(what)?;
        if !(1..=limit).contains(&len) {
            return Err(self.invalid(format!("{what} at byte {at} has {len} bytes, expected 1 to {limit}")));
        }
        String::from_utf8(self.vec(len, what)?)
            .map_err(|_| self.invalid(format!("{what} at byte {at} is not UTF-8")))
    }

    fn string(&mut self, what: &str) -> Result<Vec<u8>> {
        let len = self.u64(what)?;
        self.vec(len, what)
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        self.bytes(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        self.bytes(what).map(u64::from_le_bytes)
    }

    fn vec(&mut self, len: u64, what: &str) -> Result<Vec<u8>> {
        self.need(len, what)?;
        let mut bytes = vec![0; len as usize];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        self.need(N as u64, what)?;
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether `bytes` more are in the file and within what a header may take.
    fn need(&self, bytes: u64, what: &str) -> Result<()> {
        let (at, len) = (self.at, self.len);
        if bytes > len - at {
            let what = quoted(what);
            Err(self.invalid(format!(
                "{what} at byte {at} needs {bytes} bytes, but the file ends at {len}; it may be incomplete"
            )))
        } else if bytes > HEADER_MAX - at {
            let what = quoted(what);
            Err(self.invalid(format!(
                "{what} at byte {at} needs {bytes} bytes: a header of more than {HEADER_MAX}"
            )))
        } else {
            Ok(())
        }
    }

    /// Reads what [`Reader::need`] found to be there.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.input.read_exact(bytes).map_err(|e| Error::io("cannot read", self.path, e))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn invalid(&self, problem: impl Into<String>) -> Error {
        Error::invalid(self.path, problem)
    }
}
