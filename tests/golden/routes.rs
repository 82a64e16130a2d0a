//! Vocabularies by the names that `scripts/goldens/vocab_routes.py` uses for the ways to read them.

use std::path::Path;

use ggraft::arch;
use ggraft::config::Config;
use ggraft::gguf::{KeyValues, encode};
use ggraft::source::ModelDir;
use ggraft::vocab::{Route, TokenizerFile, TokenizerFiles, sentencepiece};

/// Each with a Hugging Face class that reads its vocabulary so.
pub const ROUTES: &[(&str, &str)] = &[
    ("llama", "LlamaForCausalLM"),
    ("gpt2", "GPT2LMHeadModel"),
    ("qwen", "QWenLMHeadModel"),
    ("qwen2", "Qwen2ForCausalLM"),
    ("stablelm", "StableLmForCausalLM"),
    ("gemma", "GemmaForCausalLM"),
    ("gemma2", "Gemma2ForCausalLM"),
    ("gemma3", "Gemma3ForCausalLM"),
    ("gemma3n", "Gemma3nForConditionalGeneration"),
    ("gemma4", "Gemma4ForCausalLM"),
    ("phi3", "Phi3ForCausalLM"),
    ("nemotron", "NemotronForCausalLM"),
    ("nemotron-h", "NemotronHForCausalLM"),
    ("deepseek2", "DeepseekV3ForCausalLM"),
    ("deepseek32", "DeepseekV32ForCausalLM"),
    ("glm4", "Glm4ForCausalLM"),
    ("glm4-moe", "Glm4MoeForCausalLM"),
    ("chatglm", "ChatGLMModel"),
    ("internlm2", "InternLM2ForCausalLM"),
    ("internlm3", "InternLM3ForCausalLM"),
    ("jamba", "JambaForCausalLM"),
    ("mamba", "MambaForCausalLM"),
    ("mamba2", "Mamba2ForCausalLM"),
    ("granite-hybrid", "GraniteMoeHybridForCausalLM"),
    ("bert", "BertModel"),
    ("roberta", "RobertaModel"),
    ("xlm-roberta", "XLMRobertaModel"),
    ("nomic-bert", "NomicBertModel"),
    ("jina-bert-v2", "JinaBertModel"),
    ("modern-bert", "ModernBertModel"),
    ("euro-bert", "EuroBertModel"),
    ("t5", "T5ForConditionalGeneration"),
    // Those that belong to no class.
    ("mistral", ""),
    ("mistral-own", ""),
    ("sentencepiece", ""),
];

/// The GGUF that the route called `name` makes of the vocabulary in `dir`: key-values and nothing else.
pub fn convert(name: &str, dir: &Path) -> ggraft::Result<Vec<u8>> {
    let mut kv = KeyValues::new();
    kv.set_string("general.architecture", "llama");
    let dir = ModelDir::open(dir)?;
    let config = Config::load(&dir)?;
    let (_, class) = ROUTES.iter().find(|(known, _)| *known == name).expect("a route of that name");
    let route: Route = match name {
        "mistral" | "mistral-own" => arch::in_mistral_format(&config).vocabulary(),
        "sentencepiece" => sentencepiece::require,
        _ => arch::lookup(class)?.vocabulary(),
    };
    let mut files = TokenizerFiles::read(&dir, TokenizerFile::new(&dir))?;
    files.own_template_only = name == "mistral-own";
    route(&mut kv, &files, config.map())?;
    Ok(encode(&kv, &[], 32))
}
