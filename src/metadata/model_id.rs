//! What a model's id says about it: `meta-llama/Llama-3.1-8B-Instruct` is an organization, a base name,
//! a version, a size and a finetune.

use std::sync::LazyLock;

use regex::Regex;

use super::ParameterCount;
use super::python::{is_decimal, is_letter, is_lowercase, is_space, pattern, title};

/// The parts of a model id. Absent parts could not be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModelId {
    /// All but the organization.
    pub name: String,
    pub organization: Option<String>,
    pub basename: Option<String>,
    pub finetune: Option<String>,
    pub version: Option<String>,
    pub size_label: Option<String>,
}

/// What a dash-separated part of a name was recognised as; several can hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Part {
    text: String,
    basename: bool,
    size_label: bool,
    finetune: bool,
    version: bool,
    quant_type: bool,
}

impl Part {
    fn is_unknown(&self) -> bool {
        !(self.basename || self.size_label || self.finetune || self.version || self.quant_type)
    }
}

// Ignoring case, Python also takes the dotted and dotless i of Turkish for an i.
static VERSION: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?i)(v|[iıİ]ter)?\d+([.]\d+)*\z"));
static QUANT_TYPE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?i)([iıİ]?q\d(_[\p{L}\p{N}_])*|b?fp?(16|32))\z"));
static SIZE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?i)((A|\d+x)?\d+([._]\d+)?[KMBT]\d?|small|m[iıİ]n[iıİ]|med[iıİ]um|large|x?xl)\z")
});
static FINETUNE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?i)(chat|[iıİ]nstruct|v[iıİ]s[iıİ]on|lora)\z"));

/// Takes `id` apart. The total of `params` (0 if unknown) tells sizes from context lengths.
pub(super) fn parse(id: &str, params: &ParameterCount) -> ModelId {
    if id.contains(' ') {
        // A sentence, not an id.
        return ModelId { name: id.to_owned(), ..ModelId::default() };
    }
    let (organization, name) = match id.split_once('/') {
        // "./name" and "../name" are paths.
        Some((organization, name)) => ((!organization.starts_with('.')).then_some(organization), name),
        None => (None, id),
    };

    let mut parts: Vec<Part> = name
        .split('-')
        .filter(|text| !text.is_empty())
        .enumerate()
        .map(|(i, text)| recognise(text, i == 0, params))
        .collect();

    // Where a size is given in numbers, words such as "mini" do not name the size.
    if parts.iter().any(|p| p.size_label && p.text.chars().any(is_decimal)) {
        for part in parts.iter_mut().filter(|p| p.text.chars().all(is_letter)) {
            part.size_label = false;
        }
    }
    mark_basename(&mut parts);

    let join = |select: fn(&Part) -> bool| {
        let texts: Vec<&str> = parts.iter().filter(|p| select(p)).map(|p| p.text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("-"))
    };
    let mut sizes: Vec<&str> = Vec::new();
    for part in parts.iter().filter(|p| p.size_label) {
        if !sizes.contains(&part.text.as_str()) {
            sizes.push(&part.text);
        }
    }
    let size_label = (!sizes.is_empty()).then(|| sizes.join("-"));
    let finetune = join(|p| p.finetune);
    let version = join(|p| p.version && !p.basename);
    // A base name alone is too ambiguous.
    let ambiguous = size_label.is_none() && finetune.is_none() && version.is_none();
    let basename = join(|p| p.basename).filter(|_| !ambiguous);
    let organization = organization.map(str::to_owned);
    ModelId { name: name.to_owned(), organization, basename, finetune, version, size_label }
}

/// Tells what a part is by itself. The first part is never a size or a finetune.
fn recognise(text: &str, is_first: bool, params: &ParameterCount) -> Part {
    let mut part = Part { text: text.to_owned(), ..Part::default() };
    if VERSION.is_match(text) {
        part.version = true;
    } else if QUANT_TYPE.is_match(text) {
        part.quant_type = true;
        part.text = text.to_uppercase();
    } else if !is_first && SIZE.is_match(text) {
        let size = normalize_size(text);
        if params.total != 0 && is_context_length(&size, params) {
            part.finetune = true;
            part.text = lower_last(&size);
        } else {
            part.size_label = true;
            part.text = size;
        }
    } else if !is_first && FINETUNE.is_match(text) {
        // That it is one, the file's name says anyway.
        let redundant = params.of_adapter && text.to_lowercase() == "lora";
        (part.finetune, part.quant_type) = (!redundant, redundant);
    }
    part
}

/// `1_5b` → `1.5B`, `7b1` → `7.1B`; words stay as they are.
fn normalize_size(text: &str) -> String {
    let mut chars: Vec<char> = text.replace('_', ".").chars().collect();
    if let [.., unit, digit] = chars[..]
        && is_decimal(digit)
    {
        chars.truncate(chars.len().saturating_sub(2));
        chars.extend(['.', digit, unit]);
    }
    if let [.., before, unit @ ('k' | 'm' | 'b' | 't')] = &mut chars[..]
        && is_decimal(*before)
    {
        unit.make_ascii_uppercase();
    }
    chars.into_iter().collect()
}

/// Whether `size` differs too much from the number of parameters to be the model's size: by over 7/8 of it, or for an
/// adapter, which may have few of the layers, if it is below an eighth. Words and sizes with a prefix (`8x7B`, `A14B`) never do.
#[allow(clippy::cast_precision_loss)]
fn is_context_length(size: &str, params: &ParameterCount) -> bool {
    let mut number = size.chars();
    let Some(unit) = number.next_back() else { return false };
    let Some(number) = parse_decimal(number.as_str()) else { return false };
    let scale = match unit {
        'K' => 1e3,
        'M' => 1e6,
        'B' => 1e9,
        'T' => 1e12,
        // Only the Kelvin sign comes here. The reference fails to find it in its list of units: 1000^-1.
        _ => 1e-3,
    };
    if params.of_adapter {
        return number * scale < (params.total / 8) as f64;
    }
    // Python compares a float with an integer exactly; the limit is far below 2^53 for any real model.
    let limit = u128::from(params.total) * 7 / 8;
    (number * scale - params.total as f64).abs() > limit as f64
}

/// A number without sign or exponent, in digits of any script.
fn parse_decimal(text: &str) -> Option<f64> {
    let ascii: Option<String> = text
        .chars()
        .map(|c| match c {
            '.' => Some('.'),
            c if is_decimal(c) => char::from_digit(digit_value(c), 10),
            _ => None,
        })
        .collect();
    ascii?.parse().ok()
}

/// The value of a decimal digit. Unicode assigns digits in runs of ten, zero first.
fn digit_value(digit: char) -> u32 {
    let before = (0..u32::from(digit)).rev().map_while(char::from_u32).take_while(|c| is_decimal(*c)).count();
    u32::try_from(before % 10).unwrap_or_default()
}

/// `text` with its last character in small.
fn lower_last(text: &str) -> String {
    let mut chars = text.chars();
    let last = chars.next_back().into_iter().flat_map(char::to_lowercase);
    chars.as_str().chars().chain(last).collect()
}

/// Marks the leading words and versions as the base name, and what follows as finetune where nothing is
/// known of it. Versions at the end of the base name are not part of it.
fn mark_basename(parts: &mut [Part]) {
    let mut at_start = true;
    for part in parts.iter_mut() {
        at_start &= part.version || (part.is_unknown() && part.text.starts_with(is_letter));
        if at_start {
            part.basename = true;
        } else if part.is_unknown() {
            part.finetune = true;
        }
    }
    for part in parts.iter_mut().rev().take_while(|p| p.basename && p.version) {
        part.basename = false;
    }
}

/// An id as a title: `tiny-llama-v0.1 chat` → `Tiny Llama v0.1 Chat`. Words with capitals, versions and
/// words that start with a digit stay as they are.
pub(super) fn to_title(id: &str) -> String {
    static KEEP: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(v\d+(\.\d+)*\z|\d)"));
    let words = id.split(|c| c == '-' || is_space(c)).filter(|word| !word.is_empty());
    let words: Vec<String> = words
        .map(|word| if is_lowercase(word) && !KEEP.is_match(word) { title(word) } else { word.to_owned() })
        .collect();
    words.join(" ")
}
