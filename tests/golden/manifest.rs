//! One line for each key and each tensor of a GGUF file, as `scripts/goldens/convert.py` writes them.
//!
//! A reader of its own, so that a mistake in the library's cannot hide one in its writer.

use sha2::{Digest, Sha256};

/// The lines of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub keys: Vec<String>,
    pub tensors: Vec<String>,
}

/// SHA-256 in hexadecimal.
pub fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads `data` as GGUF; `None` if it is none, or is cut short.
pub fn read(data: &[u8]) -> Option<Manifest> {
    let mut r = Reader { data, at: 0 };
    if r.take(4)? != b"GGUF" || r.u32()? != 3 {
        return None;
    }
    let (tensors, keys) = (r.u64()?, r.u64()?);
    let mut manifest = Manifest::default();
    for _ in 0..keys {
        let name = r.string()?;
        let kind = r.u32()?;
        manifest.keys.push(format!("{name}: {}", r.value(kind)?));
    }
    let mut infos = vec![];
    for _ in 0..tensors {
        let name = r.string()?;
        let shape = (0..r.u32()?).map(|_| r.u64()).collect::<Option<Vec<_>>>()?;
        infos.push((name, shape, r.u32()?, r.u64()?));
    }
    let start = r.at.next_multiple_of(32);
    for (name, shape, kind, offset) in infos {
        let (type_name, block, size) = match kind {
            0 => ("F32", 1, 4),
            1 => ("F16", 1, 2),
            8 => ("Q8_0", 32, 34),
            26 => ("I32", 1, 4),
            27 => ("I64", 1, 8),
            30 => ("BF16", 1, 2),
            34 => ("TQ1_0", 256, 54),
            35 => ("TQ2_0", 256, 66),
            39 => ("MXFP4", 32, 17),
            40 => ("NVFP4", 64, 36),
            _ => ("?", 1, 0),
        };
        r.at = start + usize::try_from(offset).ok()?;
        let content = r.take(shape.iter().product::<u64>() / block * size)?;
        manifest.tensors.push(format!("{name}: {type_name} {shape:?} {}", &sha256(content)[..8]));
    }
    Some(manifest)
}

struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let part = self.data.get(self.at..)?.get(..usize::try_from(len).ok()?)?;
        self.at += part.len();
        Some(part)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N as u64)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn string(&mut self) -> Option<String> {
        let len = self.u64()?;
        String::from_utf8(self.take(len)?.to_vec()).ok()
    }

    /// The value of type `kind`: its type's name, then the value, or for what is long its start and digest.
    fn value(&mut self, kind: u32) -> Option<String> {
        Some(match kind {
            0 => format!("u8 {}", u8::from_le_bytes(self.array()?)),
            1 => format!("i8 {}", i8::from_le_bytes(self.array()?)),
            2 => format!("u16 {}", u16::from_le_bytes(self.array()?)),
            3 => format!("i16 {}", i16::from_le_bytes(self.array()?)),
            4 => format!("u32 {}", self.u32()?),
            5 => format!("i32 {}", i32::from_le_bytes(self.array()?)),
            6 => format!("f32 {:e}", f32::from_le_bytes(self.array()?)),
            7 => format!("bool {}", self.array::<1>()? != [0]),
            8 => {
                let text = self.string()?;
                let short: String = text.chars().take(60).collect();
                let digest = if short == text {
                    String::new()
                } else {
                    format!("… {}", &sha256(text.as_bytes())[..8])
                };
                format!("str {}{digest}", serde_json::Value::from(short))
            }
            9 => {
                let (element, count) = (self.u32()?, self.u64()?);
                let start = self.at;
                for _ in 0..count {
                    self.skip(element)?;
                }
                let name =
                    ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "?", "u64", "i64", "f64"];
                let digest = sha256(&self.data[start..self.at]);
                format!("[{}; {count}] {}", name.get(element as usize)?, &digest[..8])
            }
            10 => format!("u64 {}", self.u64()?),
            11 => format!("i64 {}", i64::from_le_bytes(self.array()?)),
            12 => format!("f64 {:e}", f64::from_le_bytes(self.array()?)),
            _ => return None,
        })
    }

    fn skip(&mut self, kind: u32) -> Option<()> {
        let len = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 => self.u64()?,
            10..=12 => 8,
            _ => return None,
        };
        self.take(len).map(|_| ())
    }
}
