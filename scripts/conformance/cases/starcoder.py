"""StarCoder and StarCoder 2."""

from checkpoint import case


def cases():
    first = {"architectures": ["GPTBigCodeForCausalLM"], "model_type": "gpt_bigcode", "n_embd": 64, "n_layer": 2, "n_head": 4,
             "n_positions": 128}
    yield case("starcoder", first)
    yield case("starcoder-f16", {**first, "n_head": 8, "n_inner": 256}, dtype="f16")
    yield case("starcoder-f32", {**first, "tie_word_embeddings": False, "layer_norm_epsilon": 1e-6}, dtype="f32", saved=True)
    second = {"architectures": ["Starcoder2ForCausalLM"], "model_type": "starcoder2", "hidden_size": 64,
              "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
              "sliding_window": 64, "rope_theta": 1e6}
    yield case("starcoder2", second)
    yield case("starcoder2-f16", {**second, "use_bias": False, "norm_epsilon": 1e-6}, dtype="f16", flags="--fuse-qkv")
    yield case("starcoder2-f32", {**second, "tie_word_embeddings": False, "num_key_value_heads": 4}, dtype="f32")
