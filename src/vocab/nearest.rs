//! Which known pre-tokenizer an unknown one is most like, to say so in a message. Nothing is converted by it.

use crate::json::Value;

/// How much of a pattern is looked at, in characters; comparing takes time that grows with the square.
const LONGEST: usize = 1000;

/// What GPT-2's splits by, which files leave out.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Patterns of the pre-tokenizers that most models have, by llama.cpp's names, from their `tokenizer.json`.
const KNOWN: [(&str, &str); 7] = [
    ("gpt-2", GPT2),
    ("smollm", r"\p{N}'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"),
    (
        "llama-bpe",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        "qwen2",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        "tekken",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        "gpt-4o",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        "deepseek-v3",
        concat!(
            r"\p{N}{1,3}[一-龥぀-ゟ゠-ヿ]+",
            r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"##,
            "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|",
            r"\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
    ),
];

/// The name of the known pre-tokenizer whose patterns are most like those in `tokenizer.json`, if that has any.
pub fn nearest(tokenizer: &Value) -> Option<&'static str> {
    let mut patterns = String::new();
    collect(tokenizer.get("pre_tokenizer")?, &mut patterns);
    let patterns: String = patterns.chars().take(LONGEST).collect();
    let by_distance = KNOWN.iter().min_by_key(|(_, known)| strsim::levenshtein(known, &patterns));
    by_distance.filter(|_| !patterns.is_empty()).map(|(name, _)| *name)
}

/// Appends what the steps of a pre-tokenizer split by.
fn collect(step: &Value, patterns: &mut String) {
    let flag = |key: &str| step.get(key).and_then(Value::as_bool);
    match step.get("type").and_then(Value::as_str) {
        Some("Sequence") => {
            let steps = step.get("pretokenizers").and_then(Value::as_array);
            steps.into_iter().flatten().for_each(|step| collect(step, patterns));
        }
        Some("Digits") => patterns.push_str(r"\p{N}"),
        Some("ByteLevel") if flag("use_regex") != Some(false) => patterns.push_str(GPT2),
        Some("Split") => {
            let pattern = step.get("pattern");
            let regex = pattern.and_then(|pattern| pattern.get("Regex")).and_then(Value::as_str);
            patterns.push_str(regex.unwrap_or_default());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::json::json;

    use super::*;

    fn split(regex: &str) -> Value {
        json!({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]}})
    }

    #[test]
    fn a_small_change_is_near() {
        for (name, pattern) in &KNOWN[2..] {
            assert_eq!(nearest(&split(&format!("{pattern}|x"))), Some(*name));
        }
        let byte_level = json!({"type": "ByteLevel", "add_prefix_space": true, "use_regex": true});
        assert_eq!(nearest(&json!({"pre_tokenizer": byte_level})), Some("gpt-2"));
        let digits = json!({"type": "Digits", "individual_digits": false});
        let both = json!({"type": "Sequence", "pretokenizers": [digits, byte_level]});
        assert_eq!(nearest(&json!({"pre_tokenizer": both})), Some("smollm"));
    }

    #[test]
    fn nothing_is_near_to_nothing() {
        assert_eq!(nearest(&json!({"pre_tokenizer": null})), None);
        assert_eq!(nearest(&json!({"pre_tokenizer": {"type": "Whitespace"}})), None);
        assert_eq!(nearest(&json!({})), None);
    }

    #[test]
    fn an_absurd_pattern_takes_no_time() {
        assert!(nearest(&split(&"x".repeat(10_000_000))).is_some());
    }
}
