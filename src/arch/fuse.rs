//! Matrices that may be written as one (`--fuse-qkv`, `--fuse-gate-up-exps`): the parts wait for each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::tensor::TensorExpr;

use super::Input;
use super::spelling::Spelling;

/// The GGUF name of the whole, of its parts, and the axis along which they are joined; `{bid}` is the layer.
struct Rule {
    whole: &'static str,
    parts: &'static [&'static str],
    axis: usize,
}

const QKV: Rule = Rule {
    whole: "blk.{bid}.attn_qkv",
    parts: &["blk.{bid}.attn_q", "blk.{bid}.attn_k", "blk.{bid}.attn_v"],
    axis: 0,
};
const GATE_UP: Rule = Rule {
    whole: "blk.{bid}.ffn_gate_up_exps",
    parts: &["blk.{bid}.ffn_gate_exps", "blk.{bid}.ffn_up_exps"],
    axis: 1,
};

/// The parts seen so far.
#[derive(Default)]
pub(super) struct Fusion {
    rules: Vec<Rule>,
    /// Names of wholes whose parts are all there.
    complete: BTreeSet<String>,
    waiting: BTreeMap<String, BTreeMap<usize, TensorExpr>>,
}

/// What becomes of a tensor.
pub(super) enum Fused {
    /// It is no part of anything.
    Alone(TensorExpr),
    /// Other parts are still missing.
    Waiting,
    /// It was the last part: the name of the whole, its parts in order, and the axis to join them along.
    Whole(String, Vec<TensorExpr>, usize),
}

impl Fusion {
    /// The rules that `input.options` ask for and the architecture knows.
    pub(super) fn new(input: &Input, spelling: &Spelling) -> Self {
        let asked = [(input.options.fuse_qkv, QKV), (input.options.fuse_gate_up_exps, GATE_UP)];
        let known = |rule: &Rule| input.family.tensors.contains(&rule.whole);
        let rules: Vec<Rule> =
            asked.into_iter().filter(|(asked, rule)| *asked && known(rule)).map(|(_, rule)| rule).collect();
        let mut fusion = Self { rules, ..Self::default() };
        let mut parts: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for name in input.tensors.keys().filter(|_| input.options.fuse_qkv) {
            if let Some((whole, part, _)) = spelling.resolve(name).and_then(|name| fusion.find(&name)) {
                parts.entry(whole).or_default().insert(part);
            }
        }
        let all = |whole: &str| parts.get(whole).is_none_or(|parts| parts.len() == QKV.parts.len());
        let weights = parts.keys().filter_map(|whole| whole.strip_suffix(".weight"));
        fusion.complete = weights
            .filter(|stem| ["weight", "bias"].iter().all(|kind| all(&format!("{stem}.{kind}"))))
            .flat_map(|stem| [format!("{stem}.weight"), format!("{stem}.bias")])
            .collect();
        fusion
    }

    /// Takes GGUF tensor `name`.
    pub(super) fn take(&mut self, name: &str, expr: TensorExpr) -> Fused {
        let Some((whole, part, rule)) = self.find(name) else { return Fused::Alone(expr) };
        let (count, axis) = (self.rules[rule].parts.len(), self.rules[rule].axis);
        let experts = self.rules[rule].whole == GATE_UP.whole;
        if !experts && !self.complete.contains(&whole) {
            return Fused::Alone(expr);
        }
        let waiting = self.waiting.entry(whole.clone()).or_default();
        waiting.insert(part, expr);
        if waiting.len() < count {
            return Fused::Waiting;
        }
        let parts = self.waiting.remove(&whole).unwrap_or_default();
        Fused::Whole(whole, parts.into_values().collect(), axis)
    }

    /// A whole that misses parts.
    pub(super) fn leftover(&self) -> Option<&str> {
        self.waiting.keys().next().map(String::as_str)
    }

    /// The whole that `name` is a part of, which part, and by which rule.
    fn find(&self, name: &str) -> Option<(String, usize, usize)> {
        let layer = name.split('.').nth(1)?;
        let (stem, kind) = name.rsplit_once('.')?;
        self.rules.iter().enumerate().find_map(|(index, rule)| {
            let biased = rule.whole != GATE_UP.whole;
            let part = rule.parts.iter().position(|part| part.replace("{bid}", layer) == stem)?;
            let whole = format!("{}.{kind}", rule.whole.replace("{bid}", layer));
            (kind == "weight" || kind == "bias" && biased).then_some((whole, part, index))
        })
    }
}
