"""StableLM."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 4, "max_position_embeddings": 512, "partial_rotary_factor": 0.25, "layer_norm_eps": 1e-5}


def stablelm(id, config=None, arch="StableLmForCausalLM", **more):
    return case(id, {"architectures": [arch], "model_type": "stablelm", **SMALL, **(config or {})},
                **{"build": "StableLmForCausalLM", **more})


def cases():
    yield stablelm("stablelm")
    yield stablelm("stablelm-grouped", {"num_key_value_heads": 2, "use_qkv_bias": True, "use_parallel_residual": True},
                   dtype="f16", flags="--fuse-qkv")
    yield stablelm("stablelm-tied", {"tie_word_embeddings": True, "partial_rotary_factor": 0.5,
                                     "use_parallel_residual": False}, dtype="f32")
    # Names from before transformers had the class.
    for id, arch, extra in (("epoch", "StableLMEpochForCausalLM", []),
                            ("llava", "LlavaStableLMEpochForCausalLM", [("vision_tower.patch.weight", [8, 8])])):
        yield stablelm(f"stablelm-{id}", {"norm_eps": 1e-6, "rope_pct": 0.25}, arch, extra=extra)
        yield stablelm(f"stablelm-{id}-grouped", {"num_key_value_heads": 2, "use_qkv_bias": True}, arch, extra=extra,
                       dtype="f16")
        yield stablelm(f"stablelm-{id}-f32", {"use_parallel_residual": False, "partial_rotary_factor": 1.0,
                                              "num_attention_heads": 8, "num_key_value_heads": 8}, arch, extra=extra, dtype="f32")
