//! What a YAML 1.1 scalar means to PyYAML: text, a number in one of many notations, a truth value, a date.

use std::sync::LazyLock;

use regex::Regex;

use super::object::Object;
use super::python::pattern;
use crate::input::quoted;
use crate::json::MAX_INT_DIGITS;

/// A scalar, or one of the two that mean something only as a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Value(Object),
    /// `<<`
    Merge,
    /// `=`
    Default,
}

static BOOL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$")
});
static NULL: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(~|null|Null|NULL|)$"));
static INT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)^([-+]?0b[01_]+ | [-+]?0[0-7_]+ | [-+]?(0|[1-9][0-9_]*) | [-+]?0x[0-9a-fA-F_]+
        | [-+]?[1-9][0-9_]*(:[0-5]?[0-9])+)$",
    )
});
static FLOAT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)^([-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)? | \.[0-9][0-9_]*([eE][-+][0-9]+)?
        | [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]* | [-+]?\.(inf|Inf|INF) | \.(nan|NaN|NAN))$",
    )
});
static DATE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^([0-9]{4})-([0-9]{2})-([0-9]{2})$"));
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})([Tt]|[\ \t]+)([0-9]{1,2}):([0-9]{2}):([0-9]{2})(\.[0-9]*)?
        ([\ \t]*(Z|[-+]([0-9]{1,2})(:([0-9]{2}))?))?$",
    )
});

/// The meaning of a plain scalar without a tag.
pub(super) fn resolve(text: &str) -> Result<Scalar, String> {
    Ok(Scalar::Value(match text {
        "<<" => return Ok(Scalar::Merge),
        "=" => return Ok(Scalar::Default),
        _ if BOOL.is_match(text) => bool_value(text)?,
        _ if FLOAT.is_match(text) => float_value(text)?,
        _ if INT.is_match(text) => int_value(text)?,
        _ if NULL.is_match(text) => Object::Null,
        _ if DATE.is_match(text) || TIME.is_match(text) => date_value(text)?,
        _ => Object::from(text),
    }))
}

/// The meaning of a scalar with a tag.
pub(super) fn with_tag(tag: &str, text: String) -> Result<Scalar, String> {
    Ok(Scalar::Value(match tag.strip_prefix("tag:yaml.org,2002:") {
        Some("str") => Object::Text(text),
        Some("null") => Object::Null,
        Some("bool") => bool_value(&text)?,
        Some("int") => int_value(&text)?,
        Some("float") => float_value(&text)?,
        Some("timestamp") => date_value(&text)?,
        Some("binary") => Object::Foreign("binary data"),
        Some("merge") => return Ok(Scalar::Merge),
        Some("value") => return Ok(Scalar::Default),
        _ => return Err(format!("the tag {} cannot be applied", quoted(tag))),
    }))
}

fn bool_value(text: &str) -> Result<Object, String> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" => Ok(Object::Bool(true)),
        "no" | "false" | "off" => Ok(Object::Bool(false)),
        _ => Err(format!("{} is not a truth value", quoted(text))),
    }
}

/// Sign and digits, without underscores.
fn split_sign(text: &str) -> (bool, String) {
    let text = text.replace('_', "");
    let digits = text.strip_prefix(['-', '+']).unwrap_or(&text);
    (text.starts_with('-'), digits.to_owned())
}

fn int_value(text: &str) -> Result<Object, String> {
    let wrong = || format!("{} is not an integer", quoted(text));
    let (negative, digits) = split_sign(text);
    let magnitude = if digits == "0" {
        Some(0)
    } else if let Some(digits) = digits.strip_prefix("0b") {
        radix(digits, 2).ok_or_else(wrong)?
    } else if let Some(digits) = digits.strip_prefix("0x") {
        radix(digits, 16).ok_or_else(wrong)?
    } else if digits.starts_with('0') {
        radix(&digits, 8).ok_or_else(wrong)?
    } else if digits.len() > MAX_INT_DIGITS {
        return Err(format!("an integer has more than {MAX_INT_DIGITS} digits"));
    } else {
        let mut sum = Some(0_i128);
        for part in digits.split(':') {
            let part = radix(part, 10).ok_or_else(wrong)?;
            sum = sum.zip(part).and_then(|(sum, part)| sum.checked_mul(60)?.checked_add(part));
        }
        sum
    };
    let signed = magnitude.map(|n: i128| if negative { -n } else { n });
    Ok(signed.map_or(Object::Foreign("an integer beyond 128 bits"), Object::Int))
}

/// A number of digits only: `None` if it is not one, `Some(None)` if it is too large.
fn radix(digits: &str, radix: u32) -> Option<Option<i128>> {
    (!digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)))
        .then(|| i128::from_str_radix(digits, radix).ok())
}

fn float_value(text: &str) -> Result<Object, String> {
    let (negative, digits) = split_sign(text);
    let digits = digits.to_lowercase();
    let mut sum = match digits.as_str() {
        ".inf" => f64::INFINITY,
        // PyYAML divides minus infinity by infinity: on x86 a NaN with its sign set, whatever the text says.
        ".nan" => return Ok(Object::Float(-f64::NAN)),
        _ => 0.0,
    };
    if digits != ".inf" {
        let mut base = 1.0;
        for part in digits.split(':').rev() {
            let part: f64 = part.parse().map_err(|_| format!("{} is not a number", quoted(text)))?;
            sum += part * base;
            base *= 60.0;
        }
    }
    Ok(Object::Float(if negative { -sum } else { sum }))
}

/// Dates become nothing that metadata could hold, but they have to exist.
fn date_value(text: &str) -> Result<Object, String> {
    let wrong = || format!("{} is not a date", quoted(text));
    let number = |captures: &regex::Captures, i: usize| -> u32 {
        captures.get(i).and_then(|m| m.as_str().parse().ok()).unwrap_or(0)
    };
    let captures = TIME.captures(text).or_else(|| DATE.captures(text)).ok_or_else(wrong)?;
    let [year, month, day] = [1, 2, 3].map(|i| number(&captures, i));
    let days = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    };
    // A date without time has no groups beyond these.
    let is_time = captures.len() > 4;
    let [hour, minute, second, zone_hour, zone_minute] =
        [5, 6, 7, 11, 13].map(|i| if is_time { number(&captures, i) } else { 0 });
    let in_range = hour < 24 && minute < 60 && second < 60 && zone_hour * 60 + zone_minute < 24 * 60;
    if year == 0 || day == 0 || day > days || !in_range {
        return Err(wrong());
    }
    Ok(Object::Foreign("a date"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Object {
        match resolve(text) {
            Ok(Scalar::Value(value)) => value,
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    /// Results of PyYAML 6.0.3.
    #[test]
    fn plain_scalars_are_yaml_1_1() {
        for (text, expected) in [
            ("1_000", 1000),
            ("010", 8),
            ("0b101", 5),
            ("-0x1F", -31),
            ("1:30", 90),
            ("190:20:30", 685_230),
            ("+12", 12),
            ("0_", 0),
        ] {
            assert_eq!(value(text), Object::Int(expected), "{text}");
        }
        for (text, expected) in
            [("1.", 1.0), (".5", 0.5), ("1_0.5e+3", 10_500.0), ("-.INF", f64::NEG_INFINITY), ("1:30.5", 90.5)]
        {
            assert_eq!(value(text), Object::Float(expected), "{text}");
        }
        for text in
            ["08", "1e5", "1.0e5", "-.5", ".", "0o10", "y", "n", "1.2.3", "yEs", "2024-1-1", "1:60", "nULL"]
        {
            assert_eq!(value(text), Object::from(text));
        }
        for text in ["2024-02-29", "2024-01-01T10:00:00Z", "2024-1-1 1:02:03.5 +1:30"] {
            assert_eq!(value(text), Object::Foreign("a date"), "{text}");
        }
        for text in
            ["0b_", "0x_", "2023-02-29", "0000-01-01", "2024-01-01T24:00:00Z", "2024-01-01 00:00:00 -24:00"]
        {
            assert!(resolve(text).is_err(), "{text}");
        }
    }
}
