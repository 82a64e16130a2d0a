//! The tensors that the loader asks for and their shapes, for the architectures in `demands.txt`.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::keys::Keys;
use crate::gguf::{Gguf, StoredTensor, Value};
use crate::input::quoted;

const DEMANDS: &str = include_str!("demands.txt");

/// The tensor at fault, if there is one, and what is wrong.
type Problem = (Option<String>, String);

/// Says what is wrong with the tensors of a model of so many `tokens`.
pub fn check(keys: &Keys, tokens: u64, files: &[(PathBuf, Gguf)]) -> Result<(), Problem> {
    let all = files.iter().flat_map(|(_, gguf)| &gguf.tensors);
    let stored: HashMap<&str, &StoredTensor> = all.map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let mut model = Model { keys, tokens, stored, asked: HashSet::new() };
    let section = format!("[{}] ", keys.arch);
    let mut lines = DEMANDS.lines().skip_while(|line| !line.starts_with(&section));
    let Some(head) = lines.next() else { return model.embedding() };
    for word in head.split(' ').skip(1) {
        own_key(keys, word).map_err(|problem| (None, problem))?;
    }
    for line in lines.take_while(|line| !line.starts_with('[')) {
        model.line(line)?;
    }
    model.nothing_else()
}

/// One of the architecture's own keys, as the demands have it: `?f32:rope.freq_base_swa`.
fn own_key(keys: &Keys, word: &str) -> Result<(), String> {
    let (optional, word) = word.strip_prefix('?').map_or((false, word), |word| (true, word));
    let (kind, key) = word.split_once(':').unwrap_or(("", word));
    match (kind, keys.own(key)) {
        (_, None) if optional => Ok(()),
        (_, None) => Err(format!("{} is missing", keys.name(key))),
        ("u32", Some(Value::U32(_))) | ("f32", Some(Value::F32(_))) | ("bool", Some(Value::Bool(_))) => {
            Ok(())
        }
        (kind, Some(_)) => Err(format!("{} is of another type than expected ({kind})", keys.name(key))),
    }
}

struct Model<'a> {
    keys: &'a Keys<'a>,
    tokens: u64,
    stored: HashMap<&'a str, &'a StoredTensor>,
    /// Names that were asked for.
    asked: HashSet<String>,
}

impl Model<'_> {
    /// What every model has, as far as it can be said.
    fn embedding(&mut self) -> Result<(), Problem> {
        match self.stored.contains_key("token_embd.weight") && self.keys.arch != "t5" {
            true => self.tensor("token_embd.weight", &["embd", "vocab"], true),
            false => Ok(()),
        }
    }

    /// One line of the demands.
    fn line(&mut self, line: &str) -> Result<(), Problem> {
        let (optional, line) = line.strip_prefix('?').map_or((false, line), |line| (true, line));
        let mut words: Vec<&str> = line.split(' ').collect();
        let experts = self.keys.number("expert_count") != Some(0);
        match words[0] {
            "dense" if experts => return Ok(()),
            "experts" if !experts => return self.no_experts(&words[1..]),
            "dense" | "experts" => _ = words.remove(0),
            _ => {}
        }
        let layers = self.keys.number("block_count").unwrap_or(0);
        match words[0] {
            "qkv" => (0..layers).try_for_each(|no| self.attention(no, words[1], !optional)),
            name => match name.strip_prefix("blk.N.") {
                Some(rest) => (0..layers)
                    .try_for_each(|no| self.tensor(&format!("blk.{no}.{rest}"), &words[1..], !optional)),
                None => self.tensor(name, &words[1..], !optional),
            },
        }
    }

    /// Architectures that are experts' alone do not load without.
    fn no_experts(&self, _: &[&str]) -> Result<(), Problem> {
        match self.keys.arch.ends_with("moe") {
            true => Err((None, format!("{} is missing", self.keys.name("expert_count")))),
            false => Ok(()),
        }
    }

    /// Queries, keys and values of layer `no`, together or apart.
    fn attention(&mut self, no: u64, queries: &str, required: bool) -> Result<(), Problem> {
        let name = |kind: &str, what: &str| format!("blk.{no}.attn_{kind}.{what}");
        let together = if queries == "embd" { "qkv" } else { "heads_qkv" };
        let (fused, bias) = (name("qkv", "weight"), name("qkv", "bias"));
        self.tensor(&fused, &["embd", together], false)?;
        let apart = !self.stored.contains_key(fused.as_str());
        if !apart {
            self.tensor(&bias, &[together], false)?;
        }
        for (kind, width) in [("q", queries), ("k", "gqa"), ("v", "gqa_v")] {
            if apart {
                self.tensor(&name(kind, "weight"), &["embd", width], required)?;
            }
            if apart || !self.stored.contains_key(bias.as_str()) {
                self.tensor(&name(kind, "bias"), &[width], false)?;
            }
        }
        Ok(())
    }

    /// The tensor `name`, whose dimensions are `dims`, innermost first.
    fn tensor(&mut self, name: &str, dims: &[&str], required: bool) -> Result<(), Problem> {
        self.asked.insert(name.to_owned());
        let Some(tensor) = self.stored.get(name) else {
            let problem = || (Some(name.to_owned()), format!("tensor {} is missing", quoted(name)));
            return if required { Err(problem()) } else { Ok(()) };
        };
        if dims == ["*"] {
            return Ok(());
        }
        // Where a number is one for each layer, nothing is said of what follows from it.
        let Some(expected) = dims.iter().map(|dim| self.dim(dim)).collect::<Option<Vec<u64>>>() else {
            return Ok(());
        };
        let trimmed = |dims: &mut dyn Iterator<Item = u64>| {
            let mut dims: Vec<u64> = dims.collect();
            while dims.len() > 1 && dims.last() == Some(&1) {
                dims.pop();
            }
            dims
        };
        let found = trimmed(&mut tensor.shape.iter().rev().copied());
        let expected = trimmed(&mut expected.into_iter());
        if found == expected {
            return Ok(());
        }
        let show = |dims: &[u64]| dims.iter().rev().map(u64::to_string).collect::<Vec<_>>().join(" × ");
        let (expected, found, words) = (show(&expected), show(&found), dims.join(", "));
        let problem = format!("tensor {} is {found}, expected {expected} ({words})", quoted(name));
        Err((Some(name.to_owned()), problem))
    }

    /// A dimension by its name; none if it differs between layers. Formulas are those of llama.cpp's `llama_hparams`.
    fn dim(&self, name: &str) -> Option<u64> {
        let number = |key: &str| self.keys.number(key);
        let heads = || number("attention.head_count");
        let heads_kv = || match self.keys.own("attention.head_count_kv") {
            None => heads(),
            Some(_) => number("attention.head_count_kv"),
        };
        let embd = number("embedding_length");
        let head = |key: &str| match (heads()?, self.keys.own(key)) {
            (0, _) => Some(0),
            (heads, None) => embd?.checked_div(heads),
            (_, Some(_)) => number(key),
        };
        let gqa = || head("attention.key_length")?.checked_mul(heads_kv()?);
        let heads_k = || head("attention.key_length")?.checked_mul(heads()?);
        match name {
            "embd" => embd,
            "vocab" => Some(self.tokens),
            "context" => number("context_length"),
            "types" => match self.keys.metadata.get("tokenizer.ggml.token_type_count") {
                Some(Value::U32(count)) => Some((*count).into()),
                _ => Some(0),
            },
            "ff" => number("feed_forward_length"),
            "2ff" => number("feed_forward_length")?.checked_mul(2),
            "ff_exp" => match number("expert_feed_forward_length")? {
                0 => number("feed_forward_length")?.checked_div(number("expert_used_count")?),
                length => Some(length),
            },
            "expert" => number("expert_count"),
            "heads" => heads(),
            "heads_kv" => heads_kv(),
            "head_k" => head("attention.key_length"),
            "heads_k" => heads_k(),
            "gqa" => gqa(),
            "gqa_v" => head("attention.value_length")?.checked_mul(heads_kv()?),
            "qkv" => embd?.checked_add(gqa()?.checked_mul(2)?),
            "heads_qkv" => heads_k()?.checked_add(gqa()?.checked_mul(2)?),
            _ => None,
        }
    }

    /// llama.cpp counts tensors: those that it did not ask for are too many. Scales of quantized ones it asks for itself.
    fn nothing_else(&self) -> Result<(), Problem> {
        let scale = |name: &str| name.ends_with(".scale") || name.ends_with(".input_scale");
        let mut others = self.stored.keys().filter(|name| !self.asked.contains(**name) && !scale(name));
        match others.next() {
            None => Ok(()),
            Some(name) => {
                let problem = format!("it does not ask for tensor {}", quoted(name));
                Err((Some((*name).to_owned()), problem))
            }
        }
    }
}
