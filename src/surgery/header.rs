//! Sharing the header, too: most of it is a vocabulary, which edits leave as it is.
//!
//! What is in front of a change stays where it is. What is behind it moves with the data, so it keeps its phase as the data do, if the
//! padding that sees to that is put right behind the change.

use std::sync::Arc;

use super::input::Input;
use crate::error::Result;
use crate::gguf::{self, KeyValues, PADDING_KEY, Value};
use crate::plan::{Action, Plan, Sharing, Step};
use crate::source::File;

/// How many zeros `input`, a single file, has between its header and its data.
pub fn slack(input: &Input) -> u64 {
    let infos: Vec<_> = input.tensors.iter().map(|tensor| tensor.info.clone()).collect();
    let header = gguf::encoded_len(&input.metadata, &infos);
    header.next_multiple_of(input.alignment) - header
}

/// `new` with padding in each of the places where it may help those keys keep their phase that are as in `old`: behind the last
/// change, where it was, at the end.
pub fn padded(old: &KeyValues, new: &KeyValues) -> Vec<KeyValues> {
    let own = |values: &KeyValues| {
        let entries = values.iter().filter(|(key, _)| *key != PADDING_KEY);
        entries.map(|(key, value)| (key.to_owned(), value.clone())).collect::<Vec<_>>()
    };
    let (before, after) = (own(old), own(new));
    let same = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut places = vec![after.len() - same, after.len()];
    places.extend(new.iter().position(|(key, _)| key == PADDING_KEY));
    places.sort_unstable();
    places.dedup();
    let padding = || (PADDING_KEY.to_owned(), Value::String(Vec::new()));
    let with = |at: usize| {
        let (front, back) = after.split_at(at.min(after.len()));
        front.iter().cloned().chain([padding()]).chain(back.iter().cloned()).collect()
    };
    places.into_iter().map(with).collect()
}

/// Replaces parts of the first output's header by clones of the first source's, where both hold the same and anything else of
/// the source is shared.
///
/// # Errors
/// If the source cannot be read.
pub fn share(plan: &mut Plan, sources: &[File]) -> Result<()> {
    let (Some(output), Some(source)) = (plan.outputs.first_mut(), sources.first()) else { return Ok(()) };
    let shares = |step: &Step| match step.action {
        Action::Clone { file: 0, offset } => Some((step.start, offset)),
        _ => None,
    };
    let Some((start, offset)) = output.steps.iter().find_map(shares) else { return Ok(()) };
    let Some(Step { start: 0, action: Action::Bytes(header), .. }) = output.steps.first() else {
        return Ok(());
    };
    let (header, block) = (header.clone(), plan.block as usize);
    let old = source.read_range(0, offset.min(source.len()).min(2 * header.len() as u64 + plan.block))?;
    // What is in front of all changes, and what moves with the data.
    let shifts = [0, start as i64 - offset as i64];
    let same = |at: usize, shift: i64| {
        let from = usize::try_from(at as i64 - shift).ok()?;
        let (new, old) = (header.get(at..at + block)?, old.get(from..from.checked_add(block)?)?);
        (new == old).then_some(from as u64)
    };
    let mut steps: Vec<Step> = Vec::new();
    for at in (0..header.len()).step_by(block) {
        let len = block.min(header.len() - at) as u64;
        // The blocks of a run have one shift.
        let kept = steps.last().and_then(|step| shares(step).map(|(to, from)| to as i64 - from as i64));
        let found = kept.into_iter().chain(shifts).find_map(|shift| same(at, shift));
        let action = match found {
            Some(offset) => Action::Clone { file: 0, offset },
            None => Action::Zero,
        };
        match (steps.last_mut(), found) {
            (Some(last), Some(offset)) if shares(last).is_some_and(|(_, from)| from + last.len == offset) => {
                last.len += len;
            }
            (Some(last), None) if shares(last).is_none() => last.len += len,
            _ => steps.push(Step { start: at as u64, len, action, reason: None }),
        }
    }
    let long = |step: &Step| shares(step).is_some() && step.len >= Sharing::DEFAULT_MIN_EXTENT;
    let mut kept: Vec<Step> = Vec::new();
    for step in steps {
        match kept.last_mut() {
            _ if long(&step) => kept.push(step),
            Some(last) if shares(last).is_none() => last.len += step.len,
            _ => kept.push(Step { action: Action::Zero, ..step }),
        }
    }
    for step in kept.iter_mut().filter(|step| shares(step).is_none()) {
        let bytes = header[step.start as usize..][..step.len as usize].to_vec();
        step.action = Action::Bytes(Arc::new(bytes));
    }
    output.steps.splice(..1, kept);
    plan.check()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_goes_behind_the_last_change() {
        let values = |entries: &[(&str, u32)]| -> KeyValues {
            entries.iter().map(|(key, n)| ((*key).to_owned(), Value::U32(*n))).collect()
        };
        let old = values(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)]);
        let orders = |new: &KeyValues| -> Vec<String> {
            let short = |key: &str| if key == PADDING_KEY { "_".to_owned() } else { key.to_owned() };
            padded(&old, new)
                .iter()
                .map(|values| values.iter().map(|(key, _)| short(key)).collect())
                .collect()
        };
        assert_eq!(orders(&values(&[("a", 1), ("b", 7), ("c", 3), ("d", 4)])), ["ab_cd", "abcd_"]);
        assert_eq!(orders(&values(&[("a", 1), ("c", 3), ("d", 4)])), ["a_cd", "acd_"]);
        assert_eq!(orders(&values(&[("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)])), ["abcde_"]);
        let with = values(&[("a", 0), ("b", 2), (PADDING_KEY, 0), ("c", 3), ("d", 4)]);
        assert_eq!(orders(&with), ["a_bcd", "ab_cd", "abcd_"]);
    }
}
