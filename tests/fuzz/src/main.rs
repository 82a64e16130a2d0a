//! One program for all targets: `GGRAFT_FUZZ` names what the input is. Errors are what most inputs deserve; a panic, a hang or
//! memory without bounds is a finding. scripts/fuzz.sh knows how to run it.

#![no_main]

mod files;
mod plan;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

/// The targets by name: what each does with its input.
const TARGETS: [(&str, fn(&[u8])); 12] = [
    ("card", files::card),
    ("config", files::config),
    ("gguf", files::gguf),
    ("header", files::header),
    ("index", files::index),
    ("pickle", files::pickle),
    ("plan", plan::plan),
    ("sentencepiece", files::sentencepiece),
    ("tekken", files::tekken),
    ("tiktoken", files::tiktoken),
    ("tokenizer", files::tokenizer),
    ("wordpiece", files::wordpiece),
];

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("GGRAFT_FUZZ").unwrap_or_default();
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    let known = || TARGETS.map(|(target, _)| target).join(", ");
    found.unwrap_or_else(|| panic!("GGRAFT_FUZZ={name}: expected one of {}", known())).1
});

fuzz_target!(|data: &[u8]| TARGET(data));
