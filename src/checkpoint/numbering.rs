//! What the names of a checkpoint's files say about how many there should be: `model-00002-of-00005.safetensors`.
//!
//! Names only; knows nothing of what is in the files.

use std::collections::{BTreeMap, BTreeSet};

use crate::input::{listed, quoted};

/// One part of a set of files, by its name.
struct Part<'a> {
    name: &'a str,
    no: u64,
    /// Digits of `no` as written.
    width: usize,
    of: u64,
    /// The total as written.
    total: &'a str,
}

/// What is wrong with the numbers in `names`: gaps, two files of one number, or two totals. Names without numbers
/// say nothing, and names that differ in more than the number belong to different sets.
pub fn problem<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut sets: BTreeMap<(&str, &str), Vec<Part>> = BTreeMap::new();
    for name in names {
        if let Some((set, part)) = part(name) {
            sets.entry(set).or_default().push(part);
        }
    }
    sets.iter().find_map(|((stem, extension), parts)| {
        let first = parts.first()?;
        if let Some(other) = parts.iter().find(|part| part.of != first.of) {
            let [first, other] = [first.name, other.name].map(quoted);
            return Some(format!("{first} and {other} belong to different sets; expected the files of one"));
        }
        let mut numbers = BTreeMap::new();
        for part in parts {
            if let Some(other) = numbers.insert(part.no, part.name) {
                let [first, other] = [other, part.name].map(quoted);
                return Some(format!("{first} and {other} have one number; expected one of them"));
            }
        }
        let missing = |no: &u64| !numbers.contains_key(no);
        // Some count from 0.
        let all = if missing(&0) { 1..=first.of } else { 0..=first.of.saturating_sub(1) };
        let count = first.of.saturating_sub(numbers.keys().filter(|no| all.contains(no)).count() as u64);
        if count == 0 {
            return None;
        }
        // There are few files, so the first gaps are soon found, however many the names speak of.
        let shown: BTreeSet<_> = all.filter(missing).take(SHOWN).collect();
        let width = first.width;
        let shown = shown.iter().map(|no| format!("{stem}-{no:0width$}-of-{}{extension}", first.total));
        let shown: Vec<_> = shown.collect();
        let names = listed(shown.iter().map(String::as_str));
        let more = count - shown.len() as u64;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let are = if count == 1 { "is" } else { "are" };
        Some(format!("{count} of {} files {are} missing: {names}{more}", first.of))
    })
}

/// How many missing files are named.
const SHOWN: usize = 3;

/// The set that a file belongs to (what is before the numbers, and after), and its part of it.
fn part(name: &str) -> Option<((&str, &str), Part<'_>)> {
    let (stem, extension) = name.split_at(name.rfind('.')?);
    let (stem, total) = stem.rsplit_once("-of-")?;
    let (stem, no) = stem.rsplit_once('-')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
    let part = Part { name, no: number(no)?, width: no.len(), of: number(total)?, total };
    Some(((stem, extension), part))
}

#[cfg(test)]
mod tests {
    use super::problem;

    fn of(names: &[&str]) -> Option<String> {
        problem(names.iter().copied())
    }

    #[test]
    fn whole_sets_are_whole() {
        let whole: [&[&str]; 7] = [
            &[],
            &["model.safetensors", "model-of-the-year.safetensors", "model-x-of-2.safetensors"],
            &["model-00001-of-00001.safetensors"],
            &["model-00001-of-000002.safetensors", "model-00002-of-000002.safetensors"],
            &["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"],
            &["consolidated-00000-of-00002.safetensors", "consolidated-00001-of-00002.safetensors"],
            &["model-1-of-2.safetensors", "model-2-of-2.safetensors", "model.fp16-1-of-1.safetensors"],
        ];
        for names in whole {
            assert_eq!(of(names), None, "{names:?}");
        }
    }

    #[test]
    fn gaps_are_named() {
        assert_eq!(
            of(&["model-00002-of-00002.safetensors"]).unwrap(),
            r#"1 of 2 files is missing: "model-00001-of-00002.safetensors""#
        );
        assert_eq!(
            of(&["pytorch_model-00001-of-00003.bin", "pytorch_model-00003-of-00003.bin"]).unwrap(),
            r#"1 of 3 files is missing: "pytorch_model-00002-of-00003.bin""#
        );
        assert_eq!(
            of(&["consolidated-0-of-3.safetensors"]).unwrap(),
            r#"2 of 3 files are missing: "consolidated-1-of-3.safetensors", "consolidated-2-of-3.safetensors""#
        );
        let many = of(&["model-00002-of-18446744073709551615.safetensors"]).unwrap();
        assert!(many.starts_with("18446744073709551614 of 18446744073709551615 files are missing"), "{many}");
        assert!(many.ends_with(" and 18446744073709551611 more"), "{many}");
    }

    #[test]
    fn sets_are_not_mixed() {
        let totals = of(&["model-00001-of-00002.safetensors", "model-00002-of-00003.safetensors"]).unwrap();
        assert!(totals.contains("different sets"), "{totals}");
        let twice = of(&["model-00001-of-00001.safetensors", "model-1-of-1.safetensors"]).unwrap();
        assert!(twice.contains("have one number"), "{twice}");
        let one_variant = ["model-1-of-1.safetensors", "model.fp16-2-of-2.safetensors"];
        assert!(of(&one_variant).unwrap().contains("model.fp16-1-of-2"));
    }
}
