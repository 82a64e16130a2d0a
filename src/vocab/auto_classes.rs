//! Tables of transformers 5.23: which tokenizer class belongs to a `model_type`
//! (models/auto/tokenization_auto.py), as far as the class is reproduced here.

/// Tokenizer classes with the model types they are registered for.
#[rustfmt::skip]
const REGISTERED: &[(&str, &[&str])] = &[
    ("BertTokenizer", &["bert", "distilbert", "electra", "ernie", "megatron-bert", "nezha", "nomic_bert"]),
    ("CohereTokenizer", &["aya_vision", "cohere", "cohere2"]),
    ("GPT2Tokenizer", &[
        "codegen", "dbrx", "emu3", "gpt2", "gpt_neo", "gptj", "hyperclovax_vision_v2", "jais2", "opt", "phi",
        "starcoder2",
    ]),
    ("GPTNeoXTokenizer", &[
        "falcon_mamba", "gpt_neox", "mamba", "mamba2", "mpt", "olmo", "olmoe", "rwkv", "xlstm",
    ]),
    ("GemmaTokenizer", &[
        "diffusion_gemma", "gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text", "recurrent_gemma",
        "shieldgemma2", "t5gemma", "zaya",
    ]),
    ("Qwen2Tokenizer", &[
        "audioflamingo3", "colqwen2", "hunyuan_vl", "internvl", "lighton_ocr", "ovis2", "qwen2", "qwen2_5_omni",
        "qwen2_5_vl", "qwen2_audio", "qwen2_moe", "qwen2_vl", "qwen3", "qwen3_asr", "qwen3_moe", "qwen3_next",
        "qwen3_omni_moe", "qwen3_vl", "qwen3_vl_moe",
    ]),
    ("Qwen3_5Tokenizer", &["qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text", "qwen4_exp"]),
    ("RobertaTokenizer", &["data2vec-text", "longformer", "roberta", "roberta-prelayernorm"]),
    ("T5Tokenizer", &["mt5", "switch_transformers", "t5"]),
    ("XLMRobertaTokenizer", &["gte", "jina_embeddings_v3", "xlm-roberta", "xmod"]),
    // Mistral's own where mistral-common finds tekken.json; what that gives the converter cannot use.
    ("TokenizersBackend", &["ministral", "ministral3", "mistral", "mistral3", "mixtral", "pixtral", "voxtral"]),
    ("TokenizersBackend", &[
        "flex_olmo", "glm", "glm4", "glm4_moe", "glm4_moe_lite", "glm4v", "glm4v_moe", "glmasr", "gpt_bigcode",
        "granite", "granitemoe", "granitemoehybrid", "granitemoeshared", "kimi_k25", "kimi_linear",
        "mimo_v2_flash", "minicpmv4_6", "minicpmv4_7", "olmo2", "olmo3", "olmo_hybrid", "persimmon", "stablelm",
        "umt5", "xlm-roberta-xl",
    ]),
];

/// Model types whose `tokenizer_class` is known to be wrong on the hub: their own class is used instead, which
/// is `TokenizersBackend` unless they are registered for another.
#[rustfmt::skip]
const WRONG_ON_THE_HUB: &[&str] = &[
    "arctic", "camembertv2-base", "chatlm", "cohere_asr", "ernie4_5", "ernie4_5_moe", "fuyu", "h2ovl_chat",
    "hyperclovax", "hyperclovax_vision_v2", "hyperclovax_vlm", "internlm2", "internlm3", "iquestcoder", "jamba",
    "llava", "llava_next", "minicpm3", "minicpmv", "minimax_m2", "modernbert", "modernbert-decoder", "molmo",
    "molmo2", "nemotron", "nvfp4", "opencua", "openvla", "paddleocr_vl", "phi3", "phi3_v", "phimoe", "qwen2",
    "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen4_exp", "siglip2", "smolvlm", "step3_vl", "vipllava",
];

/// Classes with a construction of their own that is not reproduced here.
#[rustfmt::skip]
const OTHERS: &[&str] = &[
    "AlbertTokenizer", "BartTokenizer", "BarthezTokenizer", "BartphoTokenizer", "BertGenerationTokenizer",
    "BertJapaneseTokenizer", "BertweetTokenizer", "BigBirdTokenizer", "BioGptTokenizer",
    "BlenderbotSmallTokenizer", "BlenderbotTokenizer", "ByT5Tokenizer", "CLIPTokenizer", "CTRLTokenizer",
    "CamembertTokenizer", "CanineTokenizer", "ClvpTokenizer", "CodeGenTokenizer", "CodeLlamaTokenizer",
    "ConvBertTokenizer", "CpmAntTokenizer", "CpmTokenizer", "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer", "DPRReaderTokenizer", "DebertaTokenizer", "DebertaV2Tokenizer",
    "DiaTokenizer", "EsmTokenizer", "EsmcTokenizer", "FNetTokenizer", "FSMTTokenizer",
    "FastSpeech2ConformerTokenizer", "FlaubertTokenizer", "FunnelTokenizer", "GPTNeoXJapaneseTokenizer",
    "GPTSw3Tokenizer", "HerbertTokenizer", "LEDTokenizer", "LasrTokenizer", "LayoutLMv2Tokenizer",
    "LayoutLMv3Tokenizer", "LayoutXLMTokenizer", "LukeTokenizer", "LxmertTokenizer", "M2M100Tokenizer",
    "MBart50Tokenizer", "MBartTokenizer", "MLukeTokenizer", "MPNetTokenizer", "MarianTokenizer",
    "MarkupLMTokenizer", "MgpstrTokenizer", "MobileBertTokenizer", "MvpTokenizer", "MyT5Tokenizer",
    "NllbTokenizer", "NougatTokenizer", "OpenAIGPTTokenizer", "PLBartTokenizer", "ParakeetTokenizer",
    "PegasusTokenizer", "PerceiverTokenizer", "PhobertTokenizer", "ProphetNetTokenizer", "RagTokenizer",
    "ReformerTokenizer", "RemBertTokenizer", "RoCBertTokenizer", "RoFormerTokenizer", "SeamlessM4TTokenizer",
    "Siglip2Tokenizer", "SiglipTokenizer", "Speech2TextTokenizer", "SpeechT5Tokenizer", "SplinterTokenizer",
    "T5Tokenizer", "TapasTokenizer", "Tipsv2Tokenizer", "UdopTokenizer", "VideoPrismTokenizer",
    "VitsTokenizer", "Wav2Vec2CTCTokenizer", "Wav2Vec2PhonemeCTCTokenizer", "WhisperTokenizer",
    "XGLMTokenizer", "XLMTokenizer", "XLNetTokenizer",
];

/// The class that belongs to `model_type`, without "Fast".
pub fn registered(model_type: &str) -> Option<&'static str> {
    let own = REGISTERED.iter().find(|(_, types)| types.contains(&model_type)).map(|(class, _)| *class);
    own.or_else(|| is_wrong_on_the_hub(model_type).then_some("TokenizersBackend"))
}

/// Whether the class in `tokenizer_config.json` is ignored for this `model_type`.
pub fn is_wrong_on_the_hub(model_type: &str) -> bool {
    WRONG_ON_THE_HUB.contains(&model_type)
}

/// Whether transformers has the class `name`, and this program has not.
pub fn is_not_reproduced(name: &str) -> bool {
    OTHERS.contains(&name)
}
