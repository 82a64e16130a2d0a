//! The hyperparameters that the loader reads of every architecture.

use crate::gguf::{KeyValues, Value};
use crate::input::quoted;

/// Most layers and experts that llama.cpp has room for.
const LAYERS_MAX: u64 = 512;
const EXPERTS_MAX: u64 = 1024;

/// Keys that every architecture's loader reads if they are there.
const NUMBERS: [&str; 6] = [
    "context_length",
    "embedding_length",
    "block_count",
    "expert_count",
    "rope.scaling.original_context_length",
    "pooling_type",
];
/// Those that may be a list, of a number for each layer.
const LISTS: [&str; 4] =
    ["feed_forward_length", "attention.head_count", "attention.head_count_kv", "expert_used_count"];
/// Those that it reads if there are attention heads.
const OF_HEADS: [&str; 3] = ["attention.key_length", "attention.value_length", "rope.dimension_count"];
const FLOATS: [&str; 2] = ["rope.freq_base", "rope.scaling.factor"];

/// Architectures whose heads are rotated as a whole.
const ROTATES_ALL: [&str; 4] = ["llama", "deci", "falcon", "llama-embed"];

/// All architectures that llama.cpp knows, in words of `general.architecture`.
const ARCHITECTURES: &str = include_str!("architectures.txt");

/// The metadata of a model.
pub struct Keys<'a> {
    pub metadata: &'a KeyValues,
    pub arch: &'a str,
}

impl Keys<'_> {
    /// The name of the architecture's own `key`.
    pub fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    /// The value of the architecture's own `key`.
    pub fn own(&self, key: &str) -> Option<&Value> {
        self.metadata.get(&self.name(key))
    }

    /// A number; 0 if it is missing, as in llama.cpp. None if there is one for each layer.
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.own(key) {
            None => Some(0),
            Some(Value::U32(number)) => Some((*number).into()),
            Some(_) => None,
        }
    }

    /// Says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        if !ARCHITECTURES.lines().any(|known| known == self.arch) {
            return Err(format!("general.architecture is {}, which it does not know", quoted(self.arch)));
        }
        for key in ["context_length", "embedding_length", "block_count"] {
            if self.own(key).is_none() {
                return Err(format!("{} is missing", self.name(key)));
            }
        }
        self.types()?;
        self.ranges()
    }

    fn types(&self) -> Result<(), String> {
        let is_number = |value: &Value| matches!(value, Value::U32(_));
        let is_list = |value: &Value| matches!(value, Value::U32(_) | Value::U32s(_) | Value::I32s(_));
        let is_float = |value: &Value| matches!(value, Value::F32(_));
        let has_heads = self.number("attention.head_count") != Some(0);
        let of_heads: &[&str] = if has_heads { &OF_HEADS } else { &[] };
        for (keys, is, expected) in [
            (&NUMBERS[..], &is_number as &dyn Fn(&Value) -> bool, "u32"),
            (of_heads, &is_number, "u32"),
            (&LISTS[..], &is_list, "u32, or a list of them"),
            (&FLOATS[..], &is_float, "f32"),
            (&["attention.causal"][..], &|value: &Value| matches!(value, Value::Bool(_)), "bool"),
            (&["rope.scaling.type"][..], &|value: &Value| matches!(value, Value::String(_)), "string"),
        ] {
            for key in keys {
                if self.own(key).is_some_and(|value| !is(value)) {
                    return Err(format!("{} is of another type than expected ({expected})", self.name(key)));
                }
            }
        }
        Ok(())
    }

    fn ranges(&self) -> Result<(), String> {
        let number = |key: &str| self.number(key).unwrap_or(0);
        let refuse = |key: &str, expected: String| {
            Err(format!("{} is {}, expected {expected}", self.name(key), number(key)))
        };
        if !(1..=LAYERS_MAX).contains(&number("block_count")) {
            return refuse("block_count", format!("1 to {LAYERS_MAX}"));
        }
        let (experts, used) = (number("expert_count"), self.number("expert_used_count"));
        if experts > EXPERTS_MAX {
            return refuse("expert_count", format!("at most {EXPERTS_MAX}"));
        }
        let heads = self.number("attention.head_count").unwrap_or(0);
        if ROTATES_ALL.contains(&self.arch) && heads > 0 && self.own("rope.dimension_count").is_some() {
            let head = match self.own("attention.key_length") {
                None => number("embedding_length") / heads,
                Some(_) => number("attention.key_length"),
            };
            if number("rope.dimension_count") != head {
                return refuse("rope.dimension_count", format!("{head}, what a head has"));
            }
        }
        match used {
            Some(used) if used > experts => {
                refuse("expert_used_count", format!("at most {experts} (expert_count)"))
            }
            Some(0) if experts > 0 => refuse("expert_used_count", format!("1 to {experts}")),
            _ => Ok(()),
        }
    }
}
