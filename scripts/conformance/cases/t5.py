"""T5, mT5 and UMT5."""

from checkpoint import case

SMALL = {"d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0,
         "relative_attention_num_buckets": 8}


def t5(id, arch="T5ForConditionalGeneration", model_type="t5", config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})},
                **{"tokenizer": "t5", **more})


def cases():
    yield t5("t5")
    yield t5("t5-gated", config={"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "n_positions": 256}, dtype="f16")
    yield t5("t5-f32", "T5WithLMHeadModel", build="T5ForConditionalGeneration", dtype="f32", saved=True)
    yield t5("t5-all-names", extra=[("encoder.embed_tokens.weight", [40, 64]), ("decoder.embed_tokens.weight", [40, 64])])
    yield t5("t5-shallow-decoder", config={"num_decoder_layers": 1})
    yield t5("t5-no-start", config={"decoder_start_token_id": None}, refused=True)
    rope = {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4, "original_max_position_embeddings": 128}
    yield t5("t5-rope", config={"rope_scaling": rope}, build=("T5ForConditionalGeneration", {"model_type": "t5", **SMALL}))
    yield t5("mt5", "MT5ForConditionalGeneration", "mt5")
    yield t5("mt5-f16", "MT5ForConditionalGeneration", "mt5", {"num_heads": 2, "d_kv": 32}, dtype="f16")
    yield t5("mt5-f32", "MT5ForConditionalGeneration", "mt5", {"num_layers": 3, "num_decoder_layers": 3}, dtype="f32")
    yield t5("umt5", "UMT5ForConditionalGeneration", "umt5")
    yield t5("umt5-model", "UMT5Model", "umt5", dtype="f16")
    yield t5("umt5-f32", "UMT5ForConditionalGeneration", "umt5", {"tie_word_embeddings": True}, dtype="f32")
    yield t5("t5-encoder", "T5EncoderModel")
    yield t5("t5-encoder-gated", "T5EncoderModel", config={"feed_forward_proj": "gated-gelu"}, dtype="f16")
    yield t5("t5-encoder-f32", "T5EncoderModel", config={"num_heads": 2, "layer_norm_epsilon": 1e-5}, dtype="f32")
    old = {"build": "T5ForConditionalGeneration", "saved": True}
    yield t5("t5-old-name", "T5WithLMHeadModel", config={"feed_forward_proj": "gated-gelu"}, **old)
    yield t5("t5-old-name-f16", "T5WithLMHeadModel", config={"num_heads": 2, "d_kv": 32, "num_decoder_layers": 1}, dtype="f16", **old)
    yield t5("umt5-shallow-decoder", "UMT5ForConditionalGeneration", "umt5", {"num_decoder_layers": 1, "n_positions": 256})
    yield t5("umt5-model-f32", "UMT5Model", "umt5", {"num_heads": 2, "d_kv": 32}, dtype="f32")
    yield t5("umt5-model-deep", "UMT5Model", "umt5", {"num_layers": 3, "relative_attention_num_buckets": 16})
