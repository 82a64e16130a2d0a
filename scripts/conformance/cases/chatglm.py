"""ChatGLM, and GLM 4 before it had a class of its own."""

from checkpoint import case

CHAT = {"model_type": "chatglm", "hidden_size": 64, "ffn_hidden_size": 96, "num_layers": 2, "num_attention_heads": 4,
        "kv_channels": 16, "multi_query_attention": True, "multi_query_group_num": 2, "layernorm_epsilon": 1.5625e-07,
        "seq_length": 8192, "padded_vocab_size": 50304, "add_qkv_bias": True, "rope_ratio": 500}
NAMES = ["ChatGLMModel", "ChatGLMForConditionalGeneration"]


def tensors(heads=4, groups=2, bias=True, layers=2):
    rows = 16 * (heads + 2 * groups)
    at = f"transformer.encoder.layers.{{0-{layers - 1}}}."
    out = [("transformer.embedding.word_embeddings.weight", [40, 64]), ("transformer.encoder.final_layernorm.weight", [64]),
           ("transformer.output_layer.weight", [40, 64]), ("transformer.rotary_pos_emb.inv_freq", [4]),
           (at + "input_layernorm.weight", [64]), (at + "post_attention_layernorm.weight", [64]),
           (at + "mlp.dense_4h_to_h.weight", [64, 96]), (at + "mlp.dense_h_to_4h.weight", [192, 64]),
           (at + "self_attention.dense.weight", [64, 64]), (at + "self_attention.query_key_value.weight", [rows, 64])]
    return out + ([(at + "self_attention.query_key_value.bias", [rows])] if bias else [])


def chat(id, name, config=None, **more):
    return case(id, {"architectures": [name], **CHAT, **(config or {})}, **{"tokenizer": "gpt2-roles", **more})


def cases():
    yield chat("chatglm", NAMES[0], tensors=tensors())
    yield chat("chatglm-f16", NAMES[1], {"multi_query_group_num": 1, "num_layers": 3, "rope_ratio": 1}, dtype="f16",
               tensors=tensors(groups=1, layers=3))
    bare = {k: v for k, v in CHAT.items() if k not in ("ffn_hidden_size", "multi_query_group_num", "seq_length",
                                                       "layernorm_epsilon", "rope_ratio", "padded_vocab_size")}
    yield case("chatglm-defaults", {"architectures": [NAMES[0]], **bare, "attention_dim": 16}, dtype="f32",
               tokenizer="gpt2-roles", tensors=tensors(groups=4, bias=False))
    for name in NAMES:
        short = "model" if name == NAMES[0] else "generation"
        yield chat(f"chatglm-{short}-no-bias", name, {"num_attention_heads": 8, "kv_channels": 8, "add_qkv_bias": False,
                                                      "multi_query_group_num": 4, "rope_ratio": 10000}, dtype="f32",
                   tensors=tensors(heads=4, groups=2, bias=False))
        yield chat(f"chatglm-{short}-long", name, {"seq_length": 131072, "num_layers": 3}, tensors=tensors(layers=3))
    small = {"architectures": ["GlmForCausalLM"], "model_type": "glm", "hidden_size": 64, "intermediate_size": 96,
             "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
             "max_position_embeddings": 2048}
    for id, more, dtype in (("glm", {}, "bf16"), ("glm-f16", {"attention_bias": True, "partial_rotary_factor": 0.25}, "f16"),
                            ("glm-tied", {"tie_word_embeddings": True, "num_key_value_heads": 4}, "f32")):
        yield case(id, {**small, **more}, dtype=dtype, tokenizer="gpt2-roles")
