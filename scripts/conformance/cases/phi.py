"""Phi 2 to 4 and the mixture of experts."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 4096}
LONG = {"type": "longrope", "long_factor": [1.0, 1.5, 2.25, 3, 4.5, 8.0, 16.0, 32.1],
        "short_factor": [1.0, 1.02, 1.05, 1.1, 1.2, 1.3, 1.4, 1.5]}
PHI4 = {"tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer"}}


def phi(id, arch, model_type, config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}, **more)


def phi3(id, config=None, **more):
    return phi(id, "Phi3ForCausalLM", "phi3", {"pad_token_id": 0, **(config or {})}, **{"tokenizer": "spm", **more})


def cases():
    yield phi("phi2", "PhiForCausalLM", "phi", {"num_key_value_heads": 4, "partial_rotary_factor": 0.4})
    yield phi("phi2-f16", "PhiForCausalLM", "phi", {"num_key_value_heads": 4}, dtype="f16", saved=True)
    yield phi("phi2-qk-norm", "PhiForCausalLM", "phi",
              {"num_key_value_heads": 4, "rope_theta": 20000.0, "tie_word_embeddings": True}, dtype="f32")
    yield phi3("phi3")
    yield phi3("phi3-long", {"rope_scaling": LONG, "original_max_position_embeddings": 1024, "sliding_window": 1000})
    yield phi3("phi3-long-f16", {"rope_scaling": LONG, "original_max_position_embeddings": 2048,
                                 "tie_word_embeddings": True}, dtype="f16", saved=True)
    yield phi3("phi3-long-no-longer", {"rope_scaling": LONG, "original_max_position_embeddings": 4096}, dtype="f32")
    yield phi3("phi4", {"rope_scaling": None, "sliding_window": None, "num_key_value_heads": 4}, tokenizer="gpt2-trimmed",
               files=PHI4)
    half = {**LONG, "long_factor": LONG["long_factor"][:6], "short_factor": LONG["short_factor"][:6]}
    yield phi3("phi4-mini", {"partial_rotary_factor": 0.75, "rope_scaling": half, "tie_word_embeddings": True,
                             "original_max_position_embeddings": 1024}, tokenizer="gpt2-trimmed", files=PHI4, saved=True)
    # Phi 4 with eyes; the tower is left out.
    tower = [("model.vision_tower.vision_tower.vision_model.embeddings.patch_embedding.weight", [8, 3, 2, 2]),
             ("model.mm_projector.0.weight", [64, 8])]
    for suffix, dtype, config in (
            ("", "bf16", {}), ("-f16", "f16", {"num_key_value_heads": 4, "original_max_position_embeddings": 1024}),
            ("-f32", "f32", {"tie_word_embeddings": True, "partial_rotary_factor": 0.5, "sliding_window": 512})):
        config = {"original_max_position_embeddings": 4096, "rope_theta": 250000.0, "rms_norm_eps": 1e-5, "pad_token_id": 0,
                  **config}
        yield phi(f"phi4-vision{suffix}", "Phi4ForCausalLMV", "phi4-siglip", config, dtype=dtype, files=PHI4, extra=tower,
                  build=("Phi3ForCausalLM", {"model_type": "phi3", **SMALL, **config}))
    yield phi3("phi3-factors", {"rope_scaling": half, "original_max_position_embeddings": 1024},
               build=("Phi3ForCausalLM", {"model_type": "phi3", **SMALL}), refused=True)
    moe = {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 32}
    long = {**LONG, "short_mscale": 1.243, "long_mscale": 1.243, "original_max_position_embeddings": 1024}
    for id, extra, dtype in (("phimoe", {"rope_scaling": long}, "bf16"),
                             ("phimoe-biased", {"attention_bias": True, "lm_head_bias": True, "num_local_experts": 3,
                                                "rope_scaling": long}, "f16"),
                             ("phimoe-window", {"sliding_window": 100, "rope_scaling": {**long, "long_mscale": 1.1}}, "f32")):
        yield phi(id, "PhiMoEForCausalLM", "phimoe", {**moe, **extra}, tokenizer="spm", dtype=dtype, build="PhimoeForCausalLM",
                  saved=dtype == "f32")
