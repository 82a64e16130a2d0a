//! Vocabulary routes by the names that `scripts/goldens/vocab_routes.py` uses.

use std::path::Path;

use ggraft::config::Config;
use ggraft::gguf::{KeyValues, encode};
use ggraft::source::ModelDir;
use ggraft::vocab::{self, Padding, Template, TokenizerFile, VocabRoute};

/// The routes.
pub const ROUTES: &[(&str, VocabRoute)] = &[
    ("llama", VocabRoute::Llama),
    ("mistral", VocabRoute::Mistral(Template::OwnOrCommunity)),
    ("mistral-own", VocabRoute::Mistral(Template::Own)),
    ("gpt2", VocabRoute::Gpt2),
    ("sentencepiece", VocabRoute::SentencePiece),
    ("qwen", VocabRoute::Qwen),
    ("qwen2", VocabRoute::Qwen2),
    ("stablelm", VocabRoute::StableLm),
    ("gemma", VocabRoute::Gemma),
    ("gemma2", VocabRoute::Gemma2),
    ("gemma3", VocabRoute::Gemma3),
    ("gemma3n", VocabRoute::Gemma3n),
    ("gemma4", VocabRoute::Gemma4),
    ("phi3", VocabRoute::Phi3),
    ("nemotron", VocabRoute::Nemotron),
    ("nemotron-h", VocabRoute::NemotronH),
    ("deepseek2", VocabRoute::DeepseekV2),
    ("deepseek32", VocabRoute::DeepseekV32),
    ("glm4", VocabRoute::Glm4),
    ("glm4-moe", VocabRoute::Glm4Moe),
    ("chatglm", VocabRoute::ChatGlm),
    ("internlm2", VocabRoute::InternLm2),
    ("internlm3", VocabRoute::InternLm3),
    ("jamba", VocabRoute::Jamba),
    ("mamba", VocabRoute::Mamba),
    ("mamba2", VocabRoute::Mamba2(Padding::ConfigOr(16))),
    ("granite-hybrid", VocabRoute::Mamba2(Padding::To(8))),
    ("bert", VocabRoute::Bert),
    ("roberta", VocabRoute::Roberta),
    ("xlm-roberta", VocabRoute::XlmRoberta),
    ("nomic-bert", VocabRoute::NomicBert),
    ("jina-bert-v2", VocabRoute::JinaBertV2),
    ("modern-bert", VocabRoute::ModernBert),
    ("euro-bert", VocabRoute::EuroBert),
    ("t5", VocabRoute::T5),
];

/// The GGUF that the route called `name` makes of the vocabulary in `dir`: key-values and nothing else.
pub fn convert(name: &str, dir: &Path) -> ggraft::Result<Vec<u8>> {
    let (_, route) = ROUTES.iter().find(|(known, _)| *known == name).expect("a route of that name");
    let mut kv = KeyValues::new();
    kv.set_string("general.architecture", "llama");
    let dir = ModelDir::open(dir)?;
    vocab::add(*route, &mut kv, &dir, TokenizerFile::new(&dir), &Config::load(&dir)?)?;
    Ok(encode(&kv, &[], 32))
}
