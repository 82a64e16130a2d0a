//! What to do about arguments that clap refuses, where it can be guessed what was meant.

use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::input::shell_word;
use crate::source::is_repository;

/// The hint for `error`, if there is one. `command` is the word behind the program's name.
pub fn hint(error: &clap::Error, command: &str) -> Option<String> {
    match error.kind() {
        ErrorKind::InvalidValue => quantization(error),
        ErrorKind::InvalidSubcommand => subcommand(context(error, ContextKind::InvalidSubcommand)?),
        ErrorKind::UnknownArgument if command == "with" => {
            let word = context(error, ContextKind::InvalidArg).filter(|word| !word.starts_with('-'))?;
            Some(format!("the command stands behind a --: `ggraft with MODEL -- {} …`", shell_word(word)))
        }
        _ => None,
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    }
}

/// An `--outtype` that llama.cpp's own tool makes.
fn quantization(error: &clap::Error) -> Option<String> {
    let kind = context(error, ContextKind::InvalidValue)?.to_uppercase();
    let quantized = ["Q", "IQ", "MXFP", "NVFP"].iter().any(|start| {
        kind.strip_prefix(start).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    let plain = kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (context(error, ContextKind::InvalidArg)?.starts_with("--outtype") && quantized && plain)
        .then(|| format!("llama.cpp quantizes to it: {}", quantize(&kind)))
}

/// A model where a command belongs, or what another program does.
fn subcommand(word: &str) -> Option<String> {
    if word.starts_with("quant") {
        return Some(format!("llama.cpp quantizes: {}", quantize("Q4_K_M")));
    }
    let path = Path::new(word);
    let is_model = path.is_dir() || word.contains("://") || is_repository(path);
    is_model.then(|| format!("name a command first: `ggraft convert {}`", shell_word(word)))
}

fn quantize(kind: &str) -> String {
    format!("`ggraft with MODEL -- llama-quantize {{}} OUT.gguf {kind}`")
}
