//! `ggraft edit`: other key-values, the same tensors.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ggraft_platform::Links;

use super::input::Input;
use super::{Group, How, Job, To, check_output, header, plan};
use crate::describe::{self, Target, describe};
use crate::error::{Error, Result};
use crate::gguf::{Gguf, KeyValues, StoredTensor, Strings, TypeInfo, Value};
use crate::input::quoted;
use crate::plan::Plan;
use crate::source::{ModelDir, look};
use crate::verify;

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

/// Plans to write `file` with `changes` made, one after the other.
///
/// # Errors
/// Those of reading it; [`Error::Usage`] for changes that make no sense, or would keep llama.cpp from loading the file.
pub fn prepare(file: &Path, changes: &[Change], to: &To, how: How) -> Result<Job> {
    let input = Input::file(file)?;
    let mut metadata = input.metadata.clone();
    for change in changes {
        change.apply(&mut metadata, file, how.force)?;
    }
    let alignment = alignment(&metadata, file)?;
    input.check_alignment(alignment)?;
    if !how.force {
        check_loads(&input, &metadata)?;
    }
    if matches!(input.metadata.get("split.no"), Some(Value::U16(no)) if *no > 0) {
        tracing::warn!("{}: key-values of a set are read from its first file", file.display());
    }
    let mut links = Links::Follow;
    let path = match to {
        To::File(path) => {
            check_output(path, &input, how)?;
            path.clone()
        }
        To::InPlace => {
            links = links_in_place(file)?;
            file.to_owned()
        }
        To::Stream => file.to_owned(),
    };
    let group = |laid_out| Group {
        path: path.clone(),
        metadata: metadata.clone(),
        laid_out,
        tensors: 0..input.tensors.len(),
        alignment,
        slack: Some(header::slack(&input)),
    };
    let mut best: Option<Plan> = None;
    for laid_out in header::padded(&input.metadata, &metadata) {
        let plan = plan(&input, vec![group(laid_out)], false, how)?;
        let shared = plan.shared().0;
        if best.as_ref().is_none_or(|best| shared > best.shared().0) {
            best = Some(plan);
        }
        if shared == 0 {
            break;
        }
    }
    let plan = best.ok_or_else(|| Error::Internal("there is no place for padding".into()))?;
    Job::new(input, plan, how, links)
}

/// What becomes of a link that is edited in place. A file of a Hugging Face cache is named after what is in it, so the link
/// is replaced, not that file.
fn links_in_place(file: &Path) -> Result<Links> {
    let real = file.canonicalize().map_err(|e| Error::io("cannot resolve", file, e))?;
    let is_blob = |dir: &Path| dir.ends_with("blobs") && dir.with_file_name("snapshots").is_dir();
    if file.is_symlink() && real.parent().is_some_and(is_blob) {
        return Ok(Links::Replace);
    }
    if look(&real)?.is_some_and(|found| found.nlink() > 1) {
        tracing::warn!("{}: its other names (hard links) keep the old file", file.display());
    }
    Ok(Links::Follow)
}

fn alignment(metadata: &KeyValues, file: &Path) -> Result<u64> {
    match metadata.get("general.alignment") {
        None => Ok(crate::gguf::DEFAULT_ALIGNMENT),
        Some(Value::U32(n)) if n.is_power_of_two() => Ok(u64::from(*n)),
        Some(_) => {
            let problem = "general.alignment has to be a power of two, as u32";
            Err(Error::usage(format!("{}: {problem}", file.display())).about(file))
        }
    }
}

/// Refuses key-values with which llama.cpp does not load a file that it loaded before.
fn check_loads(input: &Input, metadata: &KeyValues) -> Result<()> {
    let stored = |tensor: &super::Stored| StoredTensor {
        name: tensor.info.name.clone(),
        shape: tensor.info.shape.clone(),
        type_id: tensor.info.type_id,
        offset: tensor.offset,
        len: TypeInfo::of(tensor.info.type_id).map(|_| tensor.info.bytes),
    };
    let file = |metadata: &KeyValues| Gguf {
        version: 3,
        len: 0,
        metadata: metadata.clone(),
        alignment: input.alignment,
        data_start: 0,
        tensors: input.tensors.iter().map(stored).collect(),
    };
    let check = |metadata| verify::check_structure(&[(input.path().to_owned(), file(metadata))]);
    match check(metadata) {
        Err(error) if check(&input.metadata).is_ok() => {
            Err(error.hint("--force makes the change all the same"))
        }
        _ => Ok(()),
    }
}

impl Change {
    /// Makes the change in `metadata`, which is that of `file`. Long, because it is a table: one arm a change.
    fn apply(&self, metadata: &mut KeyValues, file: &Path, force: bool) -> Result<()> {
        let usage = |problem: String| Error::usage(format!("{}: {problem}", file.display())).about(file);
        match self {
            Self::Set(key, value) => {
                guard(key, force)?;
                if let Some(old) = metadata.get(key).filter(|old| old.type_name() != value.type_name())
                    && !force
                {
                    let (old, new) = (old.type_name(), value.type_name());
                    let problem = format!("key {} is of type {old}, not {new}", quoted(key));
                    return Err(usage(problem).hint("--force changes the type"));
                }
                metadata.set(key, value.clone());
            }
            Self::SetAs(key, text) => {
                guard(key, force)?;
                let Some(old) = metadata.get(key) else {
                    let problem = format!("there is no key {}, so its type is not known", quoted(key));
                    return Err(
                        usage(problem).hint("name the type, as in --set general.quantized_by:string=me")
                    );
                };
                let value = Value::parse(old.type_name(), text)
                    .map_err(|problem| usage(format!("key {}: {problem}", quoted(key))))?;
                metadata.set(key, value);
            }
            Self::Remove(key) => {
                guard(key, force)?;
                if metadata.get(key).is_none() {
                    tracing::warn!("{}: there is no key {} to remove", file.display(), quoted(key));
                }
                metadata.remove(key);
            }
            Self::Rename(old, new) => {
                guard(old, force)?;
                guard(new, force)?;
                if metadata.get(old).is_none() {
                    return Err(usage(format!("there is no key {} to rename", quoted(old))));
                }
                if metadata.get(new).is_some() {
                    return Err(usage(format!("there is a key {} already", quoted(new))));
                }
                *metadata = std::mem::take(metadata)
                    .into_iter()
                    .map(|(key, value)| (if key == *old { new.clone() } else { key }, value))
                    .collect();
            }
            Self::ChatTemplate(text) => {
                remove_all(metadata, CHAT_TEMPLATE);
                metadata.set(CHAT_TEMPLATE, Value::String(text.clone().into_bytes()));
            }
            Self::ChatTemplates(named) => chat_templates(metadata, named),
            Self::SpecialToken(name, text) => {
                let same = |(_, token): &(u32, &[u8])| *token == text.as_bytes();
                let mut ids = (0..).zip(tokens(metadata)).filter(same).map(|(id, _)| id);
                let (first, second) = (ids.next(), ids.next());
                drop(ids);
                let Some(id) = first else {
                    return Err(usage(format!("there is no token {}", quoted(text))));
                };
                if second.is_some() {
                    tracing::warn!("several tokens are {}: taking the first, {id}", quoted(text));
                }
                metadata.set(special_key(name)?, Value::U32(id));
            }
            Self::SpecialTokenId(name, id) => {
                let count = tokens(metadata).count();
                if *id as usize >= count {
                    return Err(usage(format!("there is no token {id}, only {count}")));
                }
                metadata.set(special_key(name)?, Value::U32(*id));
            }
            Self::TokenizerFrom(dir) => {
                let model = ModelDir::open(dir)?;
                let options = describe::Options {
                    arch: crate::arch::Options { vocab_only: true, ..Default::default() },
                    ..describe::Options::default()
                };
                let found = describe(&model, Target::Vocabulary, &options)?.metadata;
                remove_all(metadata, TOKENIZER);
                found
                    .into_iter()
                    .filter(|(key, _)| key.starts_with(TOKENIZER))
                    .for_each(|(key, value)| metadata.set(key, value));
                model.check_unchanged()?;
            }
        }
        Ok(())
    }
}

/// Refuses to touch keys on which it depends whether a file loads at all.
fn guard(key: &str, force: bool) -> Result<()> {
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
