//! From the names checkpoints use to the names of GGUF tensors (`TensorNameMap` of gguf-py).

use std::collections::HashMap;

use super::names::SPELLINGS;
use super::tensors::is_decimal;

/// What stands for the layer number in patterns.
const LAYER: &str = "{bid}";

/// No spelling has so many parts between dots. A bound keeps hostile names cheap.
const MOST_PARTS: usize = 16;

/// The spellings of one architecture's tensors.
pub(super) struct Spelling {
    /// From a name, its layer number replaced by [`LAYER`], to the GGUF name.
    patterns: HashMap<&'static str, &'static str>,
    layers: u32,
}

impl Spelling {
    /// The spellings of `tensors` in a model of `layers` layers.
    pub(super) fn new(tensors: &[&str], layers: u32) -> Self {
        let mut patterns = HashMap::new();
        for (tensor, names) in SPELLINGS.iter().filter(|(tensor, _)| tensors.contains(tensor)) {
            let gguf = tensor.split('#').next().unwrap_or_default();
            patterns.extend([gguf].into_iter().chain(names.iter().copied()).map(|name| (name, gguf)));
        }
        Self { patterns, layers }
    }

    /// The GGUF name of the tensor a checkpoint calls `name`.
    pub(super) fn resolve(&self, name: &str) -> Option<String> {
        self.resolve_with(name, &[".weight", ".bias"])
    }

    /// [`Spelling::resolve`] of a name with one of `suffixes`, or none.
    pub(super) fn resolve_with(&self, name: &str, suffixes: &[&str]) -> Option<String> {
        let stems = suffixes.iter().filter_map(|suffix| Some((name.strip_suffix(suffix)?, *suffix)));
        let mut stems = std::iter::once((name, "")).chain(stems);
        stems.find_map(|(stem, suffix)| Some(self.exact(stem)? + suffix))
    }

    fn exact(&self, name: &str) -> Option<String> {
        // A name that is spelled out wins over one with a layer in it.
        if let Some(gguf) = self.patterns.get(name).filter(|_| !name.contains(LAYER)) {
            return Some((*gguf).to_owned());
        }
        let parts: Vec<&str> = name.splitn(MOST_PARTS, '.').collect();
        parts.iter().enumerate().find_map(|(at, part)| {
            // `linear_1` and the like have the number at their end.
            let (stem, layer) = part.split_at(part.trim_end_matches(|c: char| c.is_ascii_digit()).len());
            if !self.is_layer(layer) {
                return None;
            }
            let numbered = format!("{stem}{LAYER}");
            let mut pattern = parts.clone();
            *pattern.get_mut(at)? = &numbered;
            Some(self.patterns.get(pattern.join(".").as_str())?.replace(LAYER, layer))
        })
    }

    /// Whether part of a name is a layer number as the checkpoint would write it.
    fn is_layer(&self, part: &str) -> bool {
        let canonical = is_decimal(part) && (part == "0" || !part.starts_with('0'));
        canonical && part.parse::<u32>().is_ok_and(|layer| layer < self.layers)
    }
}
