//! The ways to read a vocabulary: which files, in what order of preference, and what is added to what
//! they say (`set_vocab` of the reference's model classes). Families choose one.

use std::path::Path;

use serde_json::{Map, Value};

use super::files::TokenizerFiles;
use super::special::{KINDS, SpecialVocab};
use super::{bpe, llama_hf, sentencepiece, vocab_size};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value as Kv};
use crate::input;

/// Which of the reference's ways to read a vocabulary a family takes.
///
/// "BPE" is the byte-level one of `tokenizer.json` (llama.cpp's "gpt2"), "SentencePiece" is
/// `tokenizer.model` (llama.cpp's "llama"). A route that prefers one file to another says so in that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VocabRoute {
    /// SentencePiece, else Llama's `tokenizer.json`, else BPE; with CodeLlama's and Granite's special cases.
    /// Mistral's `tekken.json` where there is no `tokenizer.json`.
    Llama,
    /// BPE. Most families.
    Gpt2,
    /// SentencePiece.
    SentencePiece,
    /// SentencePiece, else BPE: Qwen 2 and 3, DeepSeek 1.
    Qwen2,
    /// `qwen.tiktoken`: Qwen 1.
    Qwen,
    /// BPE, else `qwen.tiktoken`.
    StableLm,
    /// SentencePiece, with CodeGemma's tokens and without a space in front: Gemma 1.
    Gemma,
    /// SentencePiece without a space in front.
    Gemma2,
    /// [`Self::Gemma2`], else BPE.
    Gemma3,
    /// [`Self::Gemma3`] with all tokens, not only those that have per-layer embeddings.
    Gemma3n,
    /// `tokenizer.json` with the tokens of tool calls visible.
    Gemma4,
    /// BPE if `tokenizer_config.json` says so, else SentencePiece with all added tokens.
    Phi3,
    /// SentencePiece with fixed padding and unknown tokens.
    Nemotron,
    /// BPE, with as many tokens as fill a multiple of 8.
    NemotronH,
    /// BPE, else Kimi's tiktoken: DeepSeek 2 and 3.
    DeepseekV2,
    /// BPE that must add BOS: DeepSeek 3.2.
    DeepseekV32,
    /// BPE with the roles of GLM's tokens: dense GLM-4.
    Glm4,
    /// BPE with the roles of GLM's tokens: GLM-4 MoE and later.
    Glm4Moe,
    /// BPE with the roles of GLM's tokens; ChatGLM 3 by its name.
    ChatGlm,
    /// SentencePiece with all added tokens and `<|im_end|>` as EOS.
    InternLm2,
    /// SentencePiece with `<|im_end|>` as EOS.
    InternLm3,
    /// SentencePiece, else Llama's `tokenizer.json` without a space in front.
    Jamba,
    /// BPE, else SentencePiece, else GPT-NeoX's; padded to a multiple of 8 or what the configuration says.
    Mamba,
    /// SentencePiece, else BPE, else GPT-NeoX's; padded.
    Mamba2(Padding),
    /// WordPiece.
    Bert,
    /// BPE, else WordPiece.
    Roberta,
    /// Unigram as XLM-RoBERTa has it: `sentencepiece.bpe.model`, else `tokenizer.json`.
    XlmRoberta,
    /// WordPiece or Unigram, whichever `tokenizer.json` holds.
    NomicBert,
    /// WordPiece or BPE, as `tokenizer_config.json` says.
    JinaBertV2,
    /// BPE that adds BOS, EOS and SEP.
    ModernBert,
    /// BPE that adds no BOS.
    EuroBert,
    /// Unigram of `tokenizer.model` or `spiece.model`.
    T5,
}

/// To what the size of a vocabulary is rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// A multiple of the configuration's `pad_vocab_size_multiple`; of this number if there is none.
    ConfigOr(u64),
    /// A multiple of this number.
    To(u64),
}

/// Adds the keys of the vocabulary in `dir` to `kv`.
///
/// # Errors
/// [`Error::Unsupported`] for a vocabulary that is well-formed but cannot be written, [`Error::Invalid`] if
/// there is none, or its files contradict each other.
pub fn add(route: VocabRoute, kv: &mut KeyValues, dir: &Path, config: &Config) -> Result<()> {
    let files = TokenizerFiles::read(dir)?;
    let config = config.map();
    match route {
        VocabRoute::Llama => add_llama(kv, &files, config),
        VocabRoute::Gpt2 => bpe::add(kv, &files, config),
        VocabRoute::SentencePiece => require_sentencepiece(kv, &files, config),
        VocabRoute::Qwen2 => match add_sentencepiece(kv, &files, config)? {
            true => Ok(()),
            false => bpe::add(kv, &files, config),
        },
        VocabRoute::Gemma => {
            require_sentencepiece(kv, &files, config)?;
            let mut special =
                SpecialVocab::load(&files, false, &["prefix", "suffix", "middle", "fsep", "eot"], None)?;
            special.set("eot", Some(&107.into()), dir, None)?;
            special.chat_template = None;
            special.write(kv, dir)?;
            no_space_prefix(kv);
            Ok(())
        }
        VocabRoute::Gemma2 => {
            require_sentencepiece(kv, &files, config)?;
            no_space_prefix(kv);
            Ok(())
        }
        VocabRoute::Gemma3 => add_gemma3(kv, &files, config),
        VocabRoute::Gemma3n => {
            let mut config = config.clone();
            config.shift_remove("vocab_size_per_layer_input");
            add_gemma3(kv, &files, &config)
        }
        VocabRoute::Nemotron => {
            require_sentencepiece(kv, &files, config)?;
            kv.u32("tokenizer.ggml.padding_token_id", 0);
            kv.u32("tokenizer.ggml.unknown_token_id", 1);
            Ok(())
        }
        VocabRoute::Jamba => {
            if !add_sentencepiece(kv, &files, config)? {
                llama_hf::add(kv, &files, config)?;
                no_space_prefix(kv);
            }
            Ok(())
        }
        VocabRoute::ModernBert => {
            for kind in ["bos", "eos", "sep"] {
                kv.bool(format!("tokenizer.ggml.add_{kind}_token"), true);
            }
            bpe::add(kv, &files, config)
        }
        VocabRoute::EuroBert => {
            kv.bool("tokenizer.ggml.add_bos_token", false);
            bpe::add(kv, &files, config)
        }
        VocabRoute::Qwen
        | VocabRoute::StableLm
        | VocabRoute::Gemma4
        | VocabRoute::Phi3
        | VocabRoute::NemotronH
        | VocabRoute::DeepseekV2
        | VocabRoute::DeepseekV32
        | VocabRoute::Glm4
        | VocabRoute::Glm4Moe
        | VocabRoute::ChatGlm
        | VocabRoute::InternLm2
        | VocabRoute::InternLm3
        | VocabRoute::Mamba
        | VocabRoute::Mamba2(_)
        | VocabRoute::Bert
        | VocabRoute::Roberta
        | VocabRoute::XlmRoberta
        | VocabRoute::NomicBert
        | VocabRoute::JinaBertV2
        | VocabRoute::T5 => Err(Error::Unsupported(format!(
            "{}: the vocabulary of {route:?} models is not supported yet",
            dir.display()
        ))),
    }
}

fn add_llama(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    let dir = &files.dir;
    if files.tokenizer.is_none() && input::exists(&dir.join("tekken.json"))? {
        return Err(Error::Unsupported(format!(
            "{}: tekken tokenizers are not supported yet; a tokenizer.json of the same model is",
            dir.join("tekken.json").display()
        )));
    }
    if let Some(tokenizer_config) = &files.config {
        let class = tokenizer_config.get("tokenizer_class");
        if let Some(value) = tokenizer_config.get("add_prefix_space").filter(|v| !v.is_null()) {
            let value = value.as_bool().ok_or_else(|| {
                Error::invalid(dir.join("tokenizer_config.json"), "add_prefix_space: expected true or false")
            })?;
            kv.bool("tokenizer.ggml.add_space_prefix", value);
        }
        if class.is_some_and(|class| class == "HybridDNATokenizer") {
            return Err(Error::Unsupported(format!(
                "{}: HybridDNATokenizer is not supported",
                dir.display()
            )));
        }
    }
    if !add_sentencepiece(kv, files, config)? {
        match llama_hf::applies(files) {
            true => llama_hf::add(kv, files, config)?,
            false => bpe::add(kv, files, config)?,
        }
    }
    let size = vocab_size(config, dir)?;
    if size == Some(32016) {
        add_code_llama(kv, files)?;
    }
    if size == Some(49152) {
        // Small Granite models, says the reference; it means everybody with this many tokens.
        kv.bool("tokenizer.ggml.add_bos_token", false);
    }
    Ok(())
}

/// CodeLlama's token for the end of a turn, and all that comes along with looking for it.
fn add_code_llama(kv: &mut KeyValues, files: &TokenizerFiles) -> Result<()> {
    let mut special = SpecialVocab::load(files, false, &["prefix", "suffix", "middle", "eot"], None)?;
    special.set("eot", Some(&32010.into()), &files.dir, None)?;
    special.write(kv, &files.dir)
}

fn add_gemma3(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    match add_sentencepiece(kv, files, config)? {
        true => no_space_prefix(kv),
        false => bpe::add(kv, files, config)?,
    }
    Ok(())
}

fn no_space_prefix(kv: &mut KeyValues) {
    kv.bool("tokenizer.ggml.add_space_prefix", false);
}

/// Writes the vocabulary of `tokenizer.model`, if there is one.
fn add_sentencepiece(
    kv: &mut KeyValues,
    files: &TokenizerFiles,
    config: &Map<String, Value>,
) -> Result<bool> {
    let per_layer = super::size_of(config, "vocab_size_per_layer_input", &files.dir)?;
    let size = per_layer.map_or_else(|| vocab_size(config, &files.dir), |size| Ok(Some(size)))?;
    let Some(pieces) = sentencepiece::load(&files.dir, size.map(|n| n as u64))? else { return Ok(false) };
    kv.string("tokenizer.ggml.model", "llama");
    kv.string("tokenizer.ggml.pre", "default");
    let len = pieces.tokens.len();
    kv.strings("tokenizer.ggml.tokens", pieces.tokens);
    kv.set("tokenizer.ggml.scores", Kv::F32s(pieces.scores));
    kv.set("tokenizer.ggml.token_type", Kv::I32s(pieces.types));
    SpecialVocab::load(files, false, &KINDS, Some(len))?.write(kv, &files.dir)?;
    Ok(true)
}

fn require_sentencepiece(
    kv: &mut KeyValues,
    files: &TokenizerFiles,
    config: &Map<String, Value>,
) -> Result<()> {
    match add_sentencepiece(kv, files, config)? {
        true => Ok(()),
        false => Err(missing(&files.dir, "tokenizer.model")),
    }
}

/// A file that the route needs is not there.
fn missing(dir: &Path, name: &str) -> Error {
    Error::invalid(dir, format!("there is no {name}; download it along with the model's other files"))
}
