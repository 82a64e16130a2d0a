//! The route of mistral-common: `tekken.json` or a versioned SentencePiece model, with the chat template
//! that belongs to its version.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::files::TokenizerFiles;
use super::sentencepiece::{Model, kind};
use super::tekken::{self, Tekken};
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value as Kv};
use crate::json::{Map, Value};
use crate::source::ModelDir;

/// Templates of llama.cpp, for versions it has no name for.
const V11: &str = include_str!("templates/Mistral-Small-3.2-24B-Instruct-2506.jinja");
const V13: &str = include_str!("templates/unsloth-mistral-Devstral-Small-2507.jinja");

/// The largest `chat_template.jinja`, in bytes.
const LARGEST_TEMPLATE: u64 = 16 << 20;

/// Special tokens: those for beginning, end, unknown text and padding.
struct Ids {
    bos: Option<u32>,
    eos: Option<u32>,
    unk: Option<u32>,
    pad: Option<u32>,
}

/// Writes the vocabulary, with the model's own chat template or, where it has none, that of its version.
///
/// # Errors
/// If there is none, it is invalid, or its version has no template.
pub fn add(kv: &mut KeyValues, files: &TokenizerFiles, _: &Map<String, Value>) -> Result<()> {
    let (dir, own) = (&files.dir, "chat_template.jinja");
    let tokens = add_tokens(kv, dir)?;
    if dir.exists(own)? {
        let bytes = dir.read(own, LARGEST_TEMPLATE)?;
        let text = String::from_utf8(bytes).map_err(|_| Error::invalid(dir.join(own), "expected UTF-8"))?;
        // As Python reads text files.
        kv.set_string("tokenizer.chat_template", text.replace("\r\n", "\n").replace('\r', "\n"));
    } else if !files.own_template_only {
        kv.set_string("tokenizer.chat_template", tokens.template()?);
    }
    Ok(())
}

/// Writes the vocabulary, with the chat template of its version.
///
/// # Errors
/// As [`add`].
pub fn add_community(kv: &mut KeyValues, dir: &ModelDir) -> Result<()> {
    let tokens = add_tokens(kv, dir)?;
    kv.set_string("tokenizer.chat_template", tokens.template()?);
    Ok(())
}

/// Where the tokens are.
struct Source {
    path: PathBuf,
    is_tekken: bool,
    /// Of mistral-common's tokenizers.
    version: u32,
}

/// Writes all but the chat template.
fn add_tokens(kv: &mut KeyValues, dir: &ModelDir) -> Result<Source> {
    let name = find(dir)?;
    let path = dir.join(&name);
    let is_tekken = path.ends_with("tekken.json");
    let (version, size) =
        if is_tekken { add_tekken(kv, dir, &name)? } else { add_sentencepiece(kv, dir, &name)? };
    if let Some(Kv::String(arch)) = kv.get("general.architecture").cloned() {
        kv.set_u32(format!("{}.vocab_size", String::from_utf8_lossy(&arch)), size);
    }
    kv.set_bool("tokenizer.ggml.add_bos_token", true);
    kv.set_bool("tokenizer.ggml.add_eos_token", false);
    Ok(Source { path, is_tekken, version })
}

impl Source {
    /// llama.cpp's template for the version.
    fn template(&self) -> Result<&'static str> {
        match (self.version, self.is_tekken) {
            (1, _) => Ok("mistral-v1"),
            (3, false) => Ok("mistral-v3"),
            (3, true) => Ok("mistral-v3-tekken"),
            (7, false) => Ok("mistral-v7"),
            (7, true) => Ok("mistral-v7-tekken"),
            (11, _) => Ok(V11),
            (13, _) => Ok(V13),
            (version, _) => {
                let problem = format!("llama.cpp has no chat template for tokenizers of version {version}");
                Err(Error::unsupported(problem).at(&self.path))
            }
        }
    }
}

/// The file that mistral-common would take: `tekken.json`, else the last versioned model by name.
fn find(dir: &ModelDir) -> Result<OsString> {
    let tekken = "tekken.json";
    if dir.exists(tekken)? {
        return Ok(tekken.into());
    }
    let models = dir.list("")?.into_iter().filter(|name| model_version(Path::new(name)).is_some());
    models.max().ok_or_else(|| {
        Error::invalid(dir, "expected tekken.json or a tokenizer.model with a version (.model.v3)")
    })
}

/// The version in a name like `tokenizer.model.v7m1`; that of `tokenizer.model` is 1.
fn model_version(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let (_, suffixes) = name.trim_start_matches('.').split_once('.')?;
    match suffixes.strip_prefix("model")? {
        "" => Some(1),
        version => tekken::version(version.strip_prefix('.')?.trim_end_matches("m1")),
    }
}

/// Version and number of tokens.
fn add_tekken(kv: &mut KeyValues, dir: &ModelDir, name: &OsStr) -> Result<(u32, u32)> {
    let tekken = Tekken::read(dir, name)?;
    let path = &dir.join(name);
    kv.set_string("tokenizer.ggml.model", "gpt2");
    kv.set_string("tokenizer.ggml.pre", "tekken");
    kv.set_strings("tokenizer.ggml.merges", tekken.merges(path)?);
    let id = |text: &str| tekken.id(text);
    let ids = Ids { bos: id("<s>"), eos: id("</s>"), unk: id("<unk>"), pad: id("<pad>") };
    ids.write(kv, path)?;
    let special = tekken.special.len();
    let tokens: Vec<String> = tekken.special.iter().cloned().chain(tekken.texts()).collect();
    let size = tokens.len();
    let types = (0..size).map(|id| if id < special { kind::CONTROL } else { kind::NORMAL }).collect();
    kv.set_strings("tokenizer.ggml.tokens", tokens);
    // Whole numbers, unlike everybody else's: that is how the reference has them.
    kv.set("tokenizer.ggml.scores", Kv::I32s(vec![0; size]));
    kv.set("tokenizer.ggml.token_type", Kv::I32s(types));
    Ok((tekken.version, size as u32))
}

/// Version and number of tokens.
fn add_sentencepiece(kv: &mut KeyValues, dir: &ModelDir, name: &OsStr) -> Result<(u32, u32)> {
    let path = &dir.join(name);
    let model = Model::read(dir, name)?.ok_or_else(|| Error::invalid(path, "expected a file"))?;
    let size = model.count();
    kv.set_string("tokenizer.ggml.model", "llama");
    let [unk, bos, eos, pad] = model.named_ids();
    Ids { bos, eos, unk, pad: pad.or(eos) }.write(kv, path)?;
    model.tokens(size).write(kv);
    Ok((model_version(path).unwrap_or(1), size as u32))
}

impl Ids {
    fn write(self, kv: &mut KeyValues, path: &Path) -> Result<()> {
        let ids = [("bos", self.bos), ("eos", self.eos), ("unknown", self.unk), ("padding", self.pad)];
        for (kind, id) in ids {
            let id = id.ok_or_else(|| Error::invalid(path, format!("expected a token for {kind}")))?;
            kv.set_u32(format!("tokenizer.ggml.{kind}_token_id"), id);
        }
        Ok(())
    }
}
