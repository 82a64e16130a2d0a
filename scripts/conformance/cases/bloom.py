"""BLOOM."""

from checkpoint import case

SMALL = {"hidden_size": 64, "n_layer": 2, "n_head": 4, "layer_norm_epsilon": 1e-5, "seq_length": 2048}


def bloom(id, arch="BloomForCausalLM", config=None, **more):
    return case(id, {"architectures": [arch], "model_type": "bloom", **SMALL, **(config or {})}, **more)


def cases():
    yield bloom("bloom")
    yield bloom("bloom-f16", dtype="f16")
    yield bloom("bloom-f32", dtype="f32", config={"n_head": 8})
    yield bloom("bloom-untied", config={"tie_word_embeddings": False})
    yield bloom("bloom-model", "BloomModel", config={"n_head": 2, "num_hidden_layers": 3, "n_layer": 3})
    # As the oldest files have it: other names, no length.
    old = {"architectures": ["BloomModel"], "model_type": "bloom", "n_embed": 64, "n_layer": 2, "num_attention_heads": 4}
    yield case("bloom-old", old)
    # Rope settings count for nothing here, but transformers checks them, and knows heads by another name.
    rope = {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4, "original_max_position_embeddings": 128}
    yield case("bloom-rope", {k: v for k, v in old.items() if k != "num_attention_heads"} | {"rope_scaling": rope},
               build=("BloomModel", old))
    yield bloom("bloom-prefix", "BloomModel", rename=[("^", "transformer.")])
