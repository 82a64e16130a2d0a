//! Changes of key-values.

use std::path::{Path, PathBuf};

use crate::arch;
use crate::describe::{self, Target, describe};
use crate::error::{Error, Result};
use crate::gguf::{KEY_MAX, KeyValues, Strings, Value};
use crate::input::quoted;
use crate::source::ModelDir;

/// Prefix of everything about the tokenizer.
const TOKENIZER: &str = "tokenizer.";

/// Where chat templates are.
const CHAT_TEMPLATE: &str = "tokenizer.chat_template";

/// A change of key-values.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Sets a key that has this type already, or has it from now on; a key keeps its place.
    Set(String, Value),
    /// Sets a key to what this text means as a value of the type that it has.
    SetAs(String, String),
    /// Removes a key.
    Remove(String),
    /// Gives a key another name.
    Rename(String, String),
    /// Replaces all chat templates by one.
    ChatTemplate(String),
    /// Replaces all chat templates by several with names; that of `default` is the one without a name.
    ChatTemplates(Vec<(String, String)>),
    /// Makes the token of this text the special one of this name.
    SpecialToken(String, String),
    /// The same by the token's number.
    SpecialTokenId(String, u32),
    /// Replaces everything about the tokenizer by what a conversion of this model would write.
    TokenizerFrom(PathBuf),
}

impl Change {
    /// Makes it in the key-values of `file`. Long, because it is a table: one arm a change.
    ///
    /// # Errors
    /// [`Error::Usage`] if it makes no sense, or is not made without `force`; those of reading a tokenizer.
    pub(super) fn apply(&self, metadata: &mut KeyValues, file: &Path, force: bool) -> Result<()> {
        // What only says what is wrong does not know the file.
        let wrong = |problem: Problem| {
            let error = Error::usage(format!("{}: {}", file.display(), problem.0)).about(file);
            problem.1.into_iter().fold(error, Error::hint)
        };
        match self {
            Self::Set(key, value) => {
                guard(key, force)?;
                set(metadata, key, value.clone(), force).map_err(wrong)
            }
            Self::SetAs(key, text) => {
                guard(key, force)?;
                set_as(metadata, key, text).map_err(wrong)
            }
            Self::Remove(key) => {
                guard(key, force)?;
                if metadata.get(key).is_none() {
                    tracing::warn!("{}: there is no key {} to remove", file.display(), quoted(key));
                }
                metadata.remove(key);
                Ok(())
            }
            Self::Rename(old, new) => {
                guard(old, force)?;
                guard(new, force)?;
                rename(metadata, old, new).map_err(wrong)
            }
            Self::ChatTemplate(text) => {
                remove_all(metadata, CHAT_TEMPLATE);
                metadata.set(CHAT_TEMPLATE, Value::String(text.clone().into_bytes()));
                Ok(())
            }
            Self::ChatTemplates(named) => {
                chat_templates(metadata, named);
                Ok(())
            }
            Self::SpecialToken(name, text) => {
                let id = token(metadata, text).map_err(wrong)?;
                metadata.set(special_key(name)?, Value::U32(id));
                Ok(())
            }
            Self::SpecialTokenId(name, id) => {
                let count = tokens(metadata).count();
                if *id as usize >= count {
                    return Err(wrong(Problem::of(format!("there is no token {id}, only {count}"))));
                }
                metadata.set(special_key(name)?, Value::U32(*id));
                Ok(())
            }
            Self::TokenizerFrom(dir) => tokenizer_from(metadata, dir),
        }
    }
}

/// What is wrong with a change, and what to do about it.
struct Problem(String, Option<&'static str>);

impl Problem {
    fn of(problem: String) -> Self {
        Self(problem, None)
    }
}

fn set(metadata: &mut KeyValues, key: &str, value: Value, force: bool) -> Result<(), Problem> {
    let (old, new) = (metadata.get(key).map(Value::type_name), value.type_name());
    if let Some(old) = old.filter(|old| *old != new && !force) {
        let problem = format!("key {} is of type {old}, not {new}", quoted(key));
        return Err(Problem(problem, Some("--force changes the type")));
    }
    metadata.set(key, value);
    Ok(())
}

fn set_as(metadata: &mut KeyValues, key: &str, text: &str) -> Result<(), Problem> {
    let Some(old) = metadata.get(key) else {
        let problem = format!("there is no key {}, so its type is not known", quoted(key));
        return Err(Problem(problem, Some("name the type, as in --set general.quantized_by:string=me")));
    };
    let value = Value::parse(old.type_name(), text);
    metadata.set(key, value.map_err(|problem| Problem::of(format!("key {}: {problem}", quoted(key))))?);
    Ok(())
}

fn rename(metadata: &mut KeyValues, old: &str, new: &str) -> Result<(), Problem> {
    if metadata.get(old).is_none() {
        return Err(Problem::of(format!("there is no key {} to rename", quoted(old))));
    }
    if metadata.get(new).is_some() {
        return Err(Problem::of(format!("there is a key {} already", quoted(new))));
    }
    let renamed = std::mem::take(metadata).into_iter();
    *metadata = renamed.map(|(key, value)| (if key == old { new.to_owned() } else { key }, value)).collect();
    Ok(())
}

/// The number of the first token that is `text`.
fn token(metadata: &KeyValues, text: &str) -> Result<u32, Problem> {
    let same = |(_, token): &(u32, &[u8])| *token == text.as_bytes();
    let mut ids = (0..).zip(tokens(metadata)).filter(same).map(|(id, _)| id);
    let Some(id) = ids.next() else {
        return Err(Problem::of(format!("there is no token {}", quoted(text))));
    };
    if ids.next().is_some() {
        tracing::warn!("several tokens are {}: taking the first, {id}", quoted(text));
    }
    Ok(id)
}

fn tokenizer_from(metadata: &mut KeyValues, dir: &Path) -> Result<()> {
    let model = ModelDir::open(dir)?;
    let arch = arch::Options { vocab_only: true, ..arch::Options::default() };
    let options = describe::Options { arch, ..describe::Options::default() };
    let found = describe(&model, Target::Vocabulary, &options)?.metadata;
    remove_all(metadata, TOKENIZER);
    let found = found.into_iter().filter(|(key, _)| key.starts_with(TOKENIZER));
    found.for_each(|(key, value)| metadata.set(key, value));
    model.check_unchanged()
}

/// Refuses keys that no reader takes, and to touch those on which it depends whether a file loads at all.
fn guard(key: &str, force: bool) -> Result<()> {
    if !(1..=KEY_MAX).contains(&(key.len() as u64)) {
        let problem = format!("key {} has {} bytes, expected 1 to {KEY_MAX}", quoted(key), key.len());
        return Err(Error::usage(problem));
    }
    let why = match key {
        "general.architecture" => "tells llama.cpp what the tensors are",
        "general.alignment" => "tells readers where the tensors are",
        _ if key.starts_with("split.") => "tells readers which files belong together",
        _ => return Ok(()),
    };
    match force {
        true => Ok(()),
        false => {
            Err(Error::usage(format!("key {} {why}", quoted(key))).hint("--force changes it all the same"))
        }
    }
}

fn remove_all(metadata: &mut KeyValues, prefix: &str) {
    let keys: Vec<String> =
        metadata.iter().map(|(key, _)| key.to_owned()).filter(|key| key.starts_with(prefix)).collect();
    keys.iter().for_each(|key| metadata.remove(key));
}

/// Named templates, as `add_chat_template` of gguf-py writes them.
fn chat_templates(metadata: &mut KeyValues, named: &[(String, String)]) {
    remove_all(metadata, CHAT_TEMPLATE);
    let mut names = Strings::new();
    for (name, text) in named.iter().filter(|(name, _)| name != "default" && !name.is_empty()) {
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let key = format!("{CHAT_TEMPLATE}.{name}");
        if metadata.get(&key).is_none() {
            names.push(name.as_bytes());
        }
        metadata.set(key, Value::String(text.clone().into_bytes()));
    }
    metadata.set_string_list("tokenizer.chat_templates", names);
    if let Some((_, text)) = named.iter().rfind(|(name, _)| name == "default") {
        metadata.set(CHAT_TEMPLATE, Value::String(text.clone().into_bytes()));
    }
}

fn tokens(metadata: &KeyValues) -> impl Iterator<Item = &[u8]> {
    let tokens = match metadata.get("tokenizer.ggml.tokens") {
        Some(Value::Strings(tokens)) => Some(tokens),
        _ => None,
    };
    tokens.into_iter().flat_map(Strings::iter)
}

/// Names of special tokens: `tokenizer.ggml.NAME_token_id` as gguf-py lists them, the spelling of the separator included.
const SPECIAL: [&str; 17] = [
    "bos",
    "eos",
    "eot",
    "eom",
    "unknown",
    "seperator",
    "padding",
    "mask",
    "fim_pre",
    "fim_suf",
    "fim_mid",
    "fim_pad",
    "fim_rep",
    "fim_sep",
    "prefix",
    "suffix",
    "middle",
];

fn special_key(name: &str) -> Result<String> {
    let name = match name {
        "unk" => "unknown",
        "sep" | "separator" => "seperator",
        "pad" => "padding",
        other => other,
    };
    match SPECIAL.contains(&name) {
        true => Ok(format!("tokenizer.ggml.{name}_token_id")),
        false => Err(Error::usage(format!("{} is not the name of a special token", quoted(name)))
            .hint(format!("expected one of {}", SPECIAL.join(", ")))),
    }
}
