//! What is known of a configuration class of transformers: names, types and defaults of its fields.
//!
//! The classes themselves are in `generated`. What they do in code is not told here.

use crate::json::Value;

/// JSON types a field accepts, as a set of bits.
pub(super) type Kinds = u16;
pub(super) const INT: Kinds = 1;
pub(super) const FLOAT: Kinds = 2;
pub(super) const STR: Kinds = 4;
pub(super) const BOOL: Kinds = 8;
pub(super) const NULL: Kinds = 16;
pub(super) const INTS: Kinds = 32;
pub(super) const STRS: Kinds = 64;
pub(super) const DICT: Kinds = 128;
pub(super) const FLOATS: Kinds = 256;
/// A list of anything.
pub(super) const LIST: Kinds = 512;
pub(super) const NUMBERS: Kinds = 1024;
/// [`NUMBERS`], some of which may be null.
pub(super) const GAPPED_NUMBERS: Kinds = 2048;

/// A configuration class.
pub(super) struct Class {
    pub model_type: &'static str,
    /// `rope_theta` where the file gives none.
    pub theta: f64,
    /// The same for layers with a sliding window, in classes that tell the two apart.
    pub local_theta: Option<f64>,
    /// Keys that are stored under another name.
    pub aliases: &'static [(&'static str, &'static str)],
    /// Attributes that cannot be set, beyond those of `READ_ONLY`.
    pub computed: &'static [&'static str],
    /// Configurations within it that matter to the text model, or to what sees and hears.
    pub parts: &'static [(&'static str, Part)],
    /// Name, accepted types and default (as JSON) of the declared fields.
    pub fields: &'static [(&'static str, Kinds, &'static str)],
}

/// A configuration inside another.
pub(super) struct Part {
    /// Its class, where the file names none.
    pub model_type: &'static str,
    /// Whether it is of this class whatever the file says.
    pub fixed: bool,
    /// Whether it may be missing; otherwise it gets the class's defaults.
    pub optional: bool,
    /// What it holds where the file has no such section (a JSON object).
    pub given: &'static str,
}

impl Class {
    /// The text model inside a larger one.
    pub fn text(&self) -> Option<&Part> {
        self.parts.iter().find(|(key, _)| *key == "text_config").map(|(_, part)| part)
    }
}

/// Whether a field accepts a value (`isinstance`, with booleans no integers).
pub(super) fn accepts(kinds: Kinds, value: &Value) -> bool {
    let kind = match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOL,
        Value::Float(_) => FLOAT,
        Value::Int(_) | Value::BigInt(_) => INT,
        Value::String(_) | Value::Unpaired => STR,
        Value::Array(items) => {
            let all = |kind| items.iter().all(|item| accepts(kind, item));
            let lists = [
                (INTS, INT),
                (STRS, STR),
                (FLOATS, FLOAT),
                (NUMBERS, INT | FLOAT),
                (GAPPED_NUMBERS, INT | FLOAT | NULL),
            ];
            return kinds & LIST != 0 || lists.iter().any(|(list, item)| kinds & list != 0 && all(*item));
        }
        Value::Object(_) => DICT,
    };
    kinds & kind != 0
}
