//! The ways to read a vocabulary: which files, in what order of preference, and what is added to what
//! they say (`set_vocab` of the reference's model classes). Families choose one.

use crate::json::{Map, Value};

use super::bpe::Base;
use super::files::TokenizerFiles;
use super::mistral_common::Template;
use super::special::{KINDS, SpecialVocab};
use super::tokenizer_file::TokenizerFile;
use super::{
    add_token_type_count, bpe, gemma, internlm, llama, llama_hf, mistral_common, no_space_prefix, phi3, qwen,
    sentencepiece, unigram, vocab_size, wordpiece,
};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::input::quoted;
use crate::source::ModelDir;

/// Which of the reference's ways to read a vocabulary a family takes.
///
/// "BPE" is the byte-level one of `tokenizer.json` (llama.cpp's "gpt2"), "SentencePiece" is
/// `tokenizer.model` (llama.cpp's "llama"). A route that prefers one file to another says so in that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VocabRoute {
    /// SentencePiece, else Llama's `tokenizer.json`, else BPE; with CodeLlama's and Granite's special cases.
    /// Mistral's `tekken.json` where there is no `tokenizer.json`.
    Llama,
    /// mistral-common's: `tekken.json`, else the last `tokenizer.model.v…`. For `--mistral-format`.
    Mistral(Template),
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
    /// BPE with the roles of Solar's tokens.
    SolarOpen,
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
pub fn add(
    route: VocabRoute,
    kv: &mut KeyValues,
    dir: &ModelDir,
    tokenizer: TokenizerFile,
    config: &Config,
) -> Result<()> {
    let files = TokenizerFiles::read(dir, tokenizer)?;
    let config = config.map();
    match route {
        VocabRoute::Llama => llama::add(kv, &files, config),
        VocabRoute::Gpt2 => bpe::add(kv, &files, config, &[]),
        VocabRoute::SentencePiece => sentencepiece::require(kv, &files, config),
        VocabRoute::Qwen2 => match sentencepiece::add(kv, &files, config)? {
            true => Ok(()),
            false => bpe::add(kv, &files, config, &[]),
        },
        VocabRoute::Gemma => gemma::add_1(kv, &files, config),
        VocabRoute::Gemma2 => gemma::add_2(kv, &files, config),
        VocabRoute::Gemma3 => gemma::add_3(kv, &files, config),
        VocabRoute::Gemma3n => {
            let mut config = config.clone();
            config.shift_remove("vocab_size_per_layer_input");
            gemma::add_3(kv, &files, &config)
        }
        VocabRoute::Nemotron => {
            sentencepiece::require(kv, &files, config)?;
            kv.set_u32("tokenizer.ggml.padding_token_id", 0);
            kv.set_u32("tokenizer.ggml.unknown_token_id", 1);
            Ok(())
        }
        VocabRoute::Jamba => {
            if !sentencepiece::add(kv, &files, config)? {
                llama_hf::add(kv, &files, config)?;
                no_space_prefix(kv);
            }
            Ok(())
        }
        VocabRoute::ModernBert => {
            for kind in ["bos", "eos", "sep"] {
                kv.set_bool(format!("tokenizer.ggml.add_{kind}_token"), true);
            }
            bpe::add(kv, &files, config, &[])
        }
        VocabRoute::EuroBert => {
            kv.set_bool("tokenizer.ggml.add_bos_token", false);
            bpe::add(kv, &files, config, &[])
        }
        VocabRoute::Mistral(template) => mistral_common::add(kv, dir, template),
        VocabRoute::Qwen => qwen::add(kv, &files, config),
        VocabRoute::StableLm if files.tokenizer.is_some() => bpe::add(kv, &files, config, &[]),
        VocabRoute::StableLm => Err(tiktoken(dir, "a tiktoken file")),
        VocabRoute::Gemma4 => gemma::add_4(kv, &files, config),
        VocabRoute::Phi3 => phi3::add(kv, &files, config),
        VocabRoute::NemotronH => bpe::add(kv, &files, &padded(Padding::To(8), &files, config)?, &[]),
        VocabRoute::DeepseekV2 if files.tokenizer.is_none() && dir.exists("tiktoken.model")? => {
            Err(tiktoken(dir, "tiktoken.model"))
        }
        VocabRoute::DeepseekV2 => bpe::add(kv, &files, config, &[]),
        VocabRoute::DeepseekV32 => {
            let adds_bos = files.config.as_ref().and_then(|config| config.get("add_bos_token"));
            if adds_bos.and_then(Value::as_bool) != Some(true) {
                let path = dir.join("tokenizer_config.json");
                return Err(Error::invalid(path, "expected add_bos_token to be true; change it"));
            }
            bpe::add(kv, &files, config, &[])
        }
        VocabRoute::Glm4 => bpe::add(
            kv,
            &files,
            config,
            &[("eos", GLM_END), ("eot", GLM_USER), ("unk", GLM_END), ("bos", GLM_END)],
        ),
        VocabRoute::Glm4Moe => bpe::add(
            kv,
            &files,
            config,
            &[("bos", "[gMASK]"), ("eot", GLM_USER), ("unk", GLM_END), ("eom", "<|observation|>")],
        ),
        VocabRoute::SolarOpen => bpe::add(
            kv,
            &files,
            config,
            &[("eos", GLM_END), ("eot", GLM_END), ("unk", "<unk>"), ("bos", "<|startoftext|>")],
        ),
        VocabRoute::ChatGlm => {
            let name = config.get("_name_or_path").and_then(Value::as_str);
            if name.is_some_and(|name| name.contains("THUDM/chatglm3-6b")) {
                return Err(Error::Unsupported(format!(
                    "{}: the tokenizer of ChatGLM 3 is Python code that comes with the model; ggraft runs no such code",
                    dir.path().display()
                )));
            }
            bpe::add(kv, &files, config, &[("eos", GLM_END), ("eot", GLM_USER), ("unk", GLM_END)])
        }
        VocabRoute::InternLm2 => internlm::add_2(kv, &files, config),
        VocabRoute::InternLm3 => internlm::add_3(kv, &files, config),
        VocabRoute::Mamba => {
            let config = padded(Padding::ConfigOr(8), &files, config)?;
            if files.tokenizer.is_some() {
                return bpe::add(kv, &files, &config, &[]);
            }
            sentencepiece_or_gpt_neox(kv, &files, &config)
        }
        VocabRoute::Mamba2(padding) => {
            let config = padded(padding, &files, config)?;
            let (model, codestral) = ("tokenizer.model", "tokenizer.model.v3");
            if !dir.exists(model)? && dir.exists(codestral)? {
                let found = dir.join(codestral);
                return Err(Error::invalid(dir, format!("rename {} to {model}", found.display())));
            }
            if !dir.exists(model)? && files.tokenizer.is_some() {
                return bpe::add(kv, &files, &config, &[]);
            }
            sentencepiece_or_gpt_neox(kv, &files, &config)
        }
        VocabRoute::Bert => wordpiece::add(kv, &files, config),
        VocabRoute::Roberta if files.tokenizer.is_some() => {
            bpe::add(kv, &files, config, &[])?;
            add_token_type_count(kv, &files, config)
        }
        VocabRoute::Roberta => wordpiece::add(kv, &files, config),
        VocabRoute::XlmRoberta => unigram::add_xlm_roberta(kv, &files, config, false),
        VocabRoute::NomicBert => match model_type(&files, "model", "type") {
            Some("WordPiece") => wordpiece::add(kv, &files, config),
            Some("Unigram") => {
                let experts = config.get("moe_every_n_layers").is_some_and(crate::config::truthy);
                unigram::add_xlm_roberta(kv, &files, config, experts)
            }
            found => {
                let found = found.unwrap_or("none");
                let problem = format!("expected a WordPiece or Unigram model, found {}", quoted(found));
                Err(Error::invalid(dir.join("tokenizer.json"), problem))
            }
        },
        VocabRoute::JinaBertV2 => add_jina_bert_v2(kv, &files, config),
        VocabRoute::T5 => match unigram::add_t5(kv, &files, config)? {
            true => Ok(()),
            false => sentencepiece::require(kv, &files, config),
        },
    }
}

/// GLM's and Solar's token for the end of a text.
const GLM_END: &str = "<|endoftext|>";
/// GLM's token that begins the user's turn, and so ends the model's.
const GLM_USER: &str = "<|user|>";

fn tiktoken(dir: &ModelDir, file: &str) -> Error {
    Error::Unsupported(format!(
        "{}: expected tokenizer.json; {file} is read by Python code that comes with the model, and ggraft runs \
         no such code",
        dir.path().display()
    ))
}

/// `part.key` of `tokenizer.json`, a text.
fn model_type<'a>(files: &'a TokenizerFiles, part: &str, key: &str) -> Option<&'a str> {
    files.tokenizer.as_ref()?.get(part)?.get(key)?.as_str()
}

/// `config` with `vocab_size` rounded up.
fn padded(
    padding: Padding,
    files: &TokenizerFiles,
    config: &Map<String, Value>,
) -> Result<Map<String, Value>> {
    let path = files.dir.join("config.json");
    let multiple = match padding {
        Padding::To(multiple) => Some(multiple),
        Padding::ConfigOr(default) => match config.get("pad_vocab_size_multiple") {
            None => Some(default),
            Some(multiple) => multiple.as_u64().filter(|n| (1..=1 << 24).contains(n)),
        },
    };
    let multiple = multiple.ok_or_else(|| {
        Error::invalid(&path, "pad_vocab_size_multiple: expected a number of tokens from 1")
    })?;
    let size = vocab_size(config, &files.dir)?;
    let size =
        size.ok_or_else(|| Error::invalid(&path, "vocab_size: expected a number of tokens, found none"))?;
    let mut config = config.clone();
    config.insert("vocab_size".into(), Value::Int((size as u64).next_multiple_of(multiple) as i64));
    Ok(config)
}

fn sentencepiece_or_gpt_neox(
    kv: &mut KeyValues,
    files: &TokenizerFiles,
    config: &Map<String, Value>,
) -> Result<()> {
    match sentencepiece::add(kv, files, config)? {
        true => Ok(()),
        false => Err(Error::Unsupported(format!(
            "{}: there is no tokenizer; put the tokenizer.json of GPT-NeoX there, which Mamba models use",
            files.dir.path().display()
        ))),
    }
}

fn add_jina_bert_v2(kv: &mut KeyValues, files: &TokenizerFiles, config: &Map<String, Value>) -> Result<()> {
    let class =
        files.config.as_ref().and_then(|config| config.get("tokenizer_class")).and_then(Value::as_str);
    match class {
        Some("BertTokenizer") => return wordpiece::add(kv, files, config),
        Some("RobertaTokenizer") if model_type(files, "pre_tokenizer", "type") == Some("Whitespace") => {
            let base = Base::read(files, config)?;
            base.write(kv, "whitespace", "whitespace");
            SpecialVocab::load(files, true, &KINDS, None)?.write(kv, &files.dir)?;
        }
        Some("RobertaTokenizer") => bpe::add(kv, files, config, &[])?,
        found => {
            let problem = format!(
                "tokenizer_class: expected BertTokenizer or RobertaTokenizer, found {}",
                quoted(found.unwrap_or("none"))
            );
            return Err(Error::invalid(files.dir.join("tokenizer_config.json"), problem));
        }
    }
    kv.set_u32("tokenizer.ggml.token_type_count", 2);
    Ok(())
}
