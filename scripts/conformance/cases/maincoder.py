"""Maincoder, whose code is not part of transformers; Qwen 3 has the same tensors."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
         "rope_theta": 1000000.0}


def maincoder(id, config=None, **more):
    built = {"model_type": "qwen3", **SMALL, **(config or {})}
    return case(id, {"architectures": ["MaincoderForCausalLM"], "model_type": "maincoder", **SMALL, **(config or {})},
                build=("Qwen3ForCausalLM", built), **more)


def cases():
    yield maincoder("maincoder")
    yield maincoder("maincoder-f16", {"num_key_value_heads": 1, "head_dim": 32}, dtype="f16")
    yield maincoder("maincoder-tied", {"tie_word_embeddings": True, "num_key_value_heads": 4}, dtype="f32")
