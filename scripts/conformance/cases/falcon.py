"""Falcon."""

from checkpoint import case

SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "layer_norm_epsilon": 1e-5}


def falcon(id, config, arch="FalconForCausalLM", **more):
    return case(id, {"architectures": [arch], "model_type": "falcon", **SMALL, **config}, **more)


def cases():
    yield falcon("falcon", {"multi_query": True, "new_decoder_architecture": False, "num_kv_heads": 1})
    # transformers fills in a number of heads for keys that this kind of model does not have.
    yield falcon("falcon-no-count", {"multi_query": True, "new_decoder_architecture": False}, refused=True)
    yield falcon("falcon-groups", {"new_decoder_architecture": True, "num_kv_heads": 2}, dtype="f16")
    yield falcon("falcon-untied", {"new_decoder_architecture": True, "num_kv_heads": 4, "num_attention_heads": 8,
                                   "tie_word_embeddings": False}, dtype="f32")
    # Falcon's first files: another class and other names for the sizes.
    for id, more, dtype in (("falcon-old", {"multi_query": True, "num_kv_heads": 1}, "bf16"),
                            ("falcon-old-groups", {"new_decoder_architecture": True, "num_kv_heads": 2}, "f16"),
                            ("falcon-old-f32", {"multi_query": True, "num_kv_heads": 1, "num_attention_heads": 8}, "f32")):
        yield falcon(id, more, "RWForCausalLM", build="FalconForCausalLM", dtype=dtype)
    refined = {"model_type": "RefinedWebModel", "hidden_size": 64, "n_layer": 2, "n_head": 4, "multi_query": True,
               "layer_norm_epsilon": 1e-5}
    yield case("falcon-refined-web", {"architectures": ["RWForCausalLM"], **refined}, build=(
        "FalconForCausalLM", {**SMALL, "model_type": "falcon", "multi_query": True, "new_decoder_architecture": False}))
    yield falcon("falcon-uneven", {"new_decoder_architecture": True, "num_kv_heads": 3}, build=(
        "FalconForCausalLM", {**SMALL, "model_type": "falcon", "new_decoder_architecture": True, "num_kv_heads": 2}),
        refused=True)
