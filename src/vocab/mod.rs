//! What a model's tokenizer files say, as the token lists a GGUF holds.

pub mod sentencepiece;
