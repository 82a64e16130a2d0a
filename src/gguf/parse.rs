//! Values as people write them on a command line.

use serde_json::Value as Json;

use super::Value;

impl Value {
    /// What the type is called: `u32`, `string`, `[f32]`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::U8(_) => "u8",
            Self::I8(_) => "i8",
            Self::U16(_) => "u16",
            Self::I16(_) => "i16",
            Self::U32(_) => "u32",
            Self::I32(_) => "i32",
            Self::U64(_) => "u64",
            Self::I64(_) => "i64",
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
            Self::Bool(_) => "bool",
            Self::String(_) => "string",
            Self::U8s(_) => "[u8]",
            Self::I8s(_) => "[i8]",
            Self::U16s(_) => "[u16]",
            Self::I16s(_) => "[i16]",
            Self::U32s(_) => "[u32]",
            Self::I32s(_) => "[i32]",
            Self::U64s(_) => "[u64]",
            Self::I64s(_) => "[i64]",
            Self::F32s(_) => "[f32]",
            Self::F64s(_) => "[f64]",
            Self::Bools(_) => "[bool]",
            Self::Strings(_) => "[string]",
        }
    }

    /// Whether there is a type of this name.
    pub fn has_type(name: &str) -> bool {
        let item = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        ["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "bool", "string"].contains(&item)
    }

    /// What `text` means as a value of type `kind`: a number, `true` or `false`, the text itself, or a JSON array.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(kind: &str, text: &str) -> Result<Self, String> {
        let number = |json: &Json| json.as_number().map(ToString::to_string);
        let word = |json: &Json| number(json).or_else(|| json.as_str().map(str::to_owned));
        Ok(match kind {
            "u8" => Self::U8(integer(text, kind)?),
            "i8" => Self::I8(integer(text, kind)?),
            "u16" => Self::U16(integer(text, kind)?),
            "i16" => Self::I16(integer(text, kind)?),
            "u32" => Self::U32(integer(text, kind)?),
            "i32" => Self::I32(integer(text, kind)?),
            "u64" => Self::U64(integer(text, kind)?),
            "i64" => Self::I64(integer(text, kind)?),
            "f32" => Self::F32(float(text)? as f32),
            "f64" => Self::F64(float(text)?),
            "bool" => Self::Bool(integer(text, kind)?),
            "string" => Self::String(text.as_bytes().to_vec()),
            "[u8]" => Self::U8s(items(text, "u8", number, integer)?),
            "[i8]" => Self::I8s(items(text, "i8", number, integer)?),
            "[u16]" => Self::U16s(items(text, "u16", number, integer)?),
            "[i16]" => Self::I16s(items(text, "i16", number, integer)?),
            "[u32]" => Self::U32s(items(text, "u32", number, integer)?),
            "[i32]" => Self::I32s(items(text, "i32", number, integer)?),
            "[u64]" => Self::U64s(items(text, "u64", number, integer)?),
            "[i64]" => Self::I64s(items(text, "i64", number, integer)?),
            "[f32]" => Self::F32s(items(text, "f32", word, |text, _| float(text).map(|x| x as f32))?),
            "[f64]" => Self::F64s(items(text, "f64", word, |text, _| float(text))?),
            "[bool]" => {
                Self::Bools(items(text, "bool", |json| json.as_bool().map(|b| b.to_string()), integer)?)
            }
            "[string]" => {
                let strings = items(
                    text,
                    "string",
                    |json| json.as_str().map(str::to_owned),
                    |text, _| Ok(text.to_owned()),
                )?;
                Self::Strings(strings.into_iter().collect())
            }
            other => return Err(format!("there is no type {other:?}")),
        })
    }
}

fn integer<T: std::str::FromStr>(text: &str, kind: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("expected a value of type {kind}, found {}", crate::input::quoted(text)))
}

/// As Python reads it: in double precision, whatever it becomes.
fn float(text: &str) -> Result<f64, String> {
    integer(text, "f64").map_err(|_| format!("expected a number, found {}", crate::input::quoted(text)))
}

fn items<T>(
    text: &str,
    kind: &str,
    word: impl Fn(&Json) -> Option<String>,
    item: impl Fn(&str, &str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let expected = || format!("expected a JSON array of {kind}, found {}", crate::input::quoted(text));
    let Ok(Json::Array(items)) = serde_json::from_str(text) else { return Err(expected()) };
    items.iter().map(|json| item(&word(json).ok_or_else(expected)?, kind)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_values_of_the_type_or_nothing() {
        let parsed = |kind, text| Value::parse(kind, text);
        assert_eq!(parsed("u8", "255"), Ok(Value::U8(255)));
        assert_eq!(parsed("i64", "-9223372036854775808"), Ok(Value::I64(i64::MIN)));
        assert_eq!(parsed("f32", "1e-5"), Ok(Value::F32(1e-5)));
        assert_eq!(parsed("bool", "true"), Ok(Value::Bool(true)));
        assert_eq!(parsed("string", "[1]"), Ok(Value::String(b"[1]".to_vec())));
        assert_eq!(parsed("[u64]", "[18446744073709551615, 0]"), Ok(Value::U64s(vec![u64::MAX, 0])));
        assert_eq!(parsed("[f32]", "[1, 2.5, \"nan\"]").unwrap().type_name(), "[f32]");
        assert_eq!(parsed("[string]", r#"["a", ""]"#), Ok(Value::Strings(["a", ""].into_iter().collect())));
        assert_eq!(parsed("[bool]", "[true,false]"), Ok(Value::Bools(vec![true, false])));
        for (kind, text) in [
            ("u8", "256"),
            ("u32", "-1"),
            ("u32", "1.0"),
            ("bool", "1"),
            ("[u8]", "[256]"),
            ("[u8]", "[\"1\"]"),
            ("[string]", "[1]"),
            ("[u8]", "1"),
            ("u9", "1"),
        ] {
            assert!(parsed(kind, text).is_err(), "{kind} {text}");
        }
    }
}
