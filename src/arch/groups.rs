//! Tensors that wait for others, to become one with them.

use std::collections::BTreeMap;

use crate::tensor::TensorExpr;

/// Tensors seen so far, by what they become and by their own name.
#[derive(Default)]
pub(super) struct Groups {
    waiting: BTreeMap<String, BTreeMap<String, TensorExpr>>,
}

impl Groups {
    /// Takes `part` of `whole`. The one that completes `parts` gives all of them, in order.
    pub(super) fn take(
        &mut self,
        whole: &str,
        (part, expr): (String, TensorExpr),
        parts: &[String],
    ) -> Option<Vec<TensorExpr>> {
        let waiting = self.waiting.entry(whole.to_owned()).or_default();
        waiting.insert(part, expr);
        if !parts.iter().all(|part| waiting.contains_key(part)) {
            return None;
        }
        let mut waiting = self.waiting.remove(whole)?;
        Some(parts.iter().filter_map(|part| waiting.remove(part)).collect())
    }

    /// What cannot be put together, if anything still waits.
    pub(super) fn leftover(&self) -> Option<&str> {
        self.waiting.keys().next().map(String::as_str)
    }
}
