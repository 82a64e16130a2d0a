//! The JSON of a safetensors header, read in one pass without building a tree.
//!
//! Checks what JSON can say (types, duplicates, names, how much there is of it); knows nothing of files or
//! whether the byte ranges make sense.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::budget::{Budget, METADATA_MAX};
use crate::dtype::Dtype;
use crate::input::quoted;
use crate::shape::Shape;

/// Longest tensor name, in bytes. Real ones stay under 200.
const NAME_MAX: usize = 64 * 1024;

/// Most dimensions of a tensor; PyTorch's own limit is 64.
const RANK_MAX: usize = 64;

/// A header as it is written, tensors in the order of the text.
#[derive(Debug, Default)]
pub struct Header {
    /// The `__metadata__` object, if there is one.
    pub metadata: Option<BTreeMap<String, String>>,
    pub tensors: Vec<Entry>,
}

/// One tensor of a header. `begin..end` are bytes from the start of the data.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Shape,
    pub begin: u64,
    pub end: u64,
}

impl Header {
    /// Parses the JSON of a header; spaces around it are legal.
    pub fn parse(json: &[u8]) -> serde_json::Result<Self> {
        if has_raw_control(json) {
            return Err(serde_json::Error::custom("a string has a control character in it"));
        }
        serde_json::from_slice(json)
    }
}

/// Whether a string has a control character in it that is not escaped, which `serde_json` lets pass where it gives
/// bytes.
fn has_raw_control(json: &[u8]) -> bool {
    // Where there is none at all, which is usual, one look at many bytes at a time tells.
    if json.iter().fold(u8::MAX, |least, byte| least.min(*byte)) >= b' ' {
        return false;
    }
    let (mut inside, mut escaped) = (false, false);
    json.iter().any(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = inside && *byte == b'\\' && !escaped;
        inside ^= ends;
        inside && *byte < b' '
    })
}

/// Any value, read as strictly as those that matter and with the same limit on nesting, and forgotten.
struct Forgotten;

impl<'de> Deserialize<'de> for Forgotten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Forgotten {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Text, Self>()?.is_some() {}
        Ok(self)
    }
}

/// A JSON string. Unlike `String` it takes no text with half of a surrogate pair for damaged JSON.
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Read(|text: &str| Ok(Self(text.to_owned()))).deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tensors;
        impl<'de> Visitor<'de> for Tensors {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object from tensor name to tensor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header::default();
                let (mut has_metadata, mut budget) = (false, Budget::default());
                while let Some(Text(name)) = map.next_key()? {
                    if name == "__metadata__" {
                        if std::mem::replace(&mut has_metadata, true) {
                            return Err(A::Error::custom("__metadata__ appears twice"));
                        }
                        let metadata = map.next_value::<Option<Metadata>>();
                        let metadata =
                            metadata.map_err(|e| A::Error::custom(format!("__metadata__: {e}")))?;
                        header.metadata = metadata.map(|Metadata(m)| m);
                        continue;
                    }
                    check_name(&name).map_err(A::Error::custom)?;
                    let fields = map.next_value_seed(Fields);
                    let fields =
                        fields.map_err(|e| A::Error::custom(format!("tensor {}: {e}", quoted(&name))))?;
                    let FieldValues { dtype, shape, begin, end } = fields;
                    budget.take(&name, shape.len()).map_err(A::Error::custom)?;
                    header.tensors.push(Entry { name, dtype, shape, begin, end });
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Tensors)
    }
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        Err("a tensor has an empty name".to_owned())
    } else if name.len() > NAME_MAX {
        let len = name.len();
        Err(format!("tensor {} has a name of {len} bytes, expected at most {NAME_MAX}", quoted(name)))
    } else if name.contains('\0') {
        Err(format!("tensor {} has a NUL in its name", quoted(name)))
    } else {
        Ok(())
    }
}

/// What an entry of `__metadata__` takes besides its texts, in bytes.
const ENTRY: usize = 128;

/// `__metadata__`: strings only, no key twice.
struct Metadata(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object from string to string")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let (mut metadata, mut size) = (BTreeMap::new(), 0);
                while let Some((Text(key), Text(value))) = map.next_entry()? {
                    size += key.len() + value.len() + ENTRY;
                    if size > METADATA_MAX {
                        let most = METADATA_MAX >> 20;
                        return Err(A::Error::custom(format!("expected at most {most} MiB, found more")));
                    }
                    if metadata.contains_key(&key) {
                        return Err(A::Error::custom(format!("key {} appears twice", quoted(&key))));
                    }
                    metadata.insert(key, value);
                }
                Ok(Metadata(metadata))
            }
        }
        deserializer.deserialize_map(Strings)
    }
}

/// Gives a JSON string to a function that makes something of it, without a copy.
struct Read<F>(F);

impl<'de, T, F: FnOnce(&str) -> Result<T, String>> DeserializeSeed<'de> for Read<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Read<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        let text = std::str::from_utf8(bytes).map_err(|_| E::custom("a string is not Unicode"))?;
        (self.0)(text).map_err(E::custom)
    }
}

/// The type of elements that is called `name`.
fn element(name: &str) -> Result<Dtype, String> {
    Dtype::from_name(name).ok_or_else(|| format!("unknown dtype {}", quoted(name)))
}

/// A short list of sizes; longer ones are refused before they are stored.
struct Sizes(Shape);

impl<'de> Deserialize<'de> for Sizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Sizes;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an array of non-negative integers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sizes, A::Error> {
                let mut sizes = Shape::new();
                while let Some(size) = seq.next_element()? {
                    if sizes.len() == RANK_MAX {
                        return Err(A::Error::custom(format!("more than {RANK_MAX} dimensions")));
                    }
                    sizes.push(size);
                }
                Ok(Sizes(sizes))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Reads the object that describes one tensor. Written out because a derived one would also take
/// an array in place of the object.
struct Fields;

/// What is said of a tensor.
enum Field {
    Dtype,
    Shape,
    DataOffsets,
    Other,
}

impl Field {
    fn called(name: &str) -> Result<Self, String> {
        Ok(match name {
            "dtype" => Self::Dtype,
            "shape" => Self::Shape,
            "data_offsets" => Self::DataOffsets,
            _ => Self::Other,
        })
    }
}

struct FieldValues {
    dtype: Dtype,
    shape: Shape,
    begin: u64,
    end: u64,
}

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = FieldValues;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<FieldValues, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = FieldValues;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldValues, A::Error> {
        fn set<T, E: serde::de::Error>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), E> {
            if slot.replace(value).is_some() { Err(E::duplicate_field(name)) } else { Ok(()) }
        }
        let (mut dtype, mut shape, mut offsets) = (None, None, None);
        while let Some(field) = map.next_key_seed(Read(Field::called))? {
            match field {
                Field::Dtype => set(&mut dtype, map.next_value_seed(Read(element))?, "dtype")?,
                Field::Shape => set(&mut shape, map.next_value::<Sizes>()?, "shape")?,
                Field::DataOffsets => set(&mut offsets, map.next_value::<Sizes>()?, "data_offsets")?,
                Field::Other => _ = map.next_value::<Forgotten>()?,
            }
        }
        let dtype = dtype.ok_or_else(|| A::Error::missing_field("dtype"))?;
        let Sizes(shape) = shape.ok_or_else(|| A::Error::missing_field("shape"))?;
        let Sizes(offsets) = offsets.ok_or_else(|| A::Error::missing_field("data_offsets"))?;
        let [begin, end] = offsets[..] else {
            let found = offsets.len();
            return Err(A::Error::custom(format!("data_offsets holds {found} numbers, expected 2")));
        };
        Ok(FieldValues { dtype, shape, begin, end })
    }
}
