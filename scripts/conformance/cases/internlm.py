"""InternLM 2 and 3."""

from checkpoint import case

PIECES = 500
SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 1e6}


def tokens(count, **more):
    """tokenizer_config.json whose added tokens are `count` of those of tokenizer.model."""
    added = {str(i): {"content": f"<|added {i}|>", "special": i % 2 == 0} for i in range(490, 490 + count)}
    if count > 1:
        added["491"]["content"] = "<|im_end|>"
    return {"tokenizer_config.json": {"tokenizer_class": "InternLM2Tokenizer", "bos_token": "<s>", "eos_token": "</s>",
                                      "added_tokens_decoder": added, **more}, "added_tokens.json": {}}


def second(id, config=None, kv=2, heads=4, **more):
    layer = "model.layers.{0-1}."
    tensors = [("model.tok_embeddings.weight", [40, 64]), ("model.norm.weight", [64]), ("output.weight", [40, 64]),
               (f"{layer}attention.wqkv.weight", [(heads + 2 * kv) * 64 // heads, 64]), (f"{layer}attention.wo.weight", [64, 64]),
               (f"{layer}feed_forward.w1.weight", [96, 64]), (f"{layer}feed_forward.w3.weight", [96, 64]),
               (f"{layer}feed_forward.w2.weight", [64, 96]), (f"{layer}attention_norm.weight", [64]),
               (f"{layer}ffn_norm.weight", [64])]
    # The reference asks tokenizer.model for every one of these.
    settings = {"vocab_size": PIECES, "architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", **SMALL, "num_key_value_heads": kv,
                "num_attention_heads": heads, "bos_token_id": 1, "eos_token_id": 2}
    return case(id, {**settings, **(config or {})}, tensors=tensors, tokenizer="spm",
                **{"files": tokens(4), **more})


def third(id, config=None, **more):
    same = {**SMALL, "model_type": "llama", **(config or {})}
    return case(id, {"architectures": ["InternLM3ForCausalLM"], "model_type": "internlm3", **SMALL, **(config or {})},
                **{"tokenizer": "spm", "build": ("LlamaForCausalLM", same), **more})


def cases():
    yield second("internlm2")
    yield second("internlm2-f16", kv=4, dtype="f16", config={"rope_scaling": {"type": "dynamic", "factor": 2.0}})
    yield second("internlm2-f32", kv=1, dtype="f32", files=tokens(1))
    yield second("internlm2-fused", heads=8, flags="--fuse-qkv")
    yield second("internlm2-uneven", config={"num_key_value_heads": 3}, refused=True)
    yield third("internlm3", {"head_dim": 16}, files=tokens(3, add_prefix_space=True))
    yield third("internlm3-f16", {"attention_bias": True, "num_key_value_heads": 4}, dtype="f16")
    yield third("internlm3-two-counts", {"n_kv_heads": 1}, dtype="f32")
    yield third("internlm3-f32", {"tie_word_embeddings": True, "rope_scaling": {"rope_type": "dynamic", "factor": 6.0}},
                dtype="f32", extra=[("vision_model.patch.weight", [8, 8])])
