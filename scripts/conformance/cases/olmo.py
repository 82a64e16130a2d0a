"""OLMo of all versions, and Seed-OSS."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 4, "max_position_embeddings": 2048}


def olmo(id, arch, model_type, config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}, **more)


def cases():
    yield olmo("olmo", "OlmoForCausalLM", "olmo")
    yield olmo("olmo-grouped", "OlmoForCausalLM", "olmo", {"num_key_value_heads": 2, "clip_qkv": 8.0}, dtype="f16", saved=True)
    yield olmo("olmo-tied", "OlmoForCausalLM", "olmo",
               {"tie_word_embeddings": True, "attention_bias": True, "rope_scaling": {"type": "linear", "factor": 2.0}})
    yield olmo("olmo-old-name", "OLMoForCausalLM", "olmo", {"clip_qkv": None}, build="OlmoForCausalLM", dtype="f32")
    yield olmo("olmo-old-name-grouped", "OLMoForCausalLM", "olmo", {"num_key_value_heads": 1, "rope_theta": 5e5},
               build="OlmoForCausalLM")
    yield olmo("olmo-old-name-tied", "OLMoForCausalLM", "olmo", {"tie_word_embeddings": True, "clip_qkv": 6.0},
               build="OlmoForCausalLM", dtype="f16")
    yield olmo("olmo-odd", "OlmoForCausalLM", "olmo", tensors=[
        ("model.embed_tokens.weight", [40, 64]), ("model.layers.0.self_attn.q_proj.weight", [60, 64])], refused=True)
    plain = {"model_type": "olmo", **SMALL}
    yield olmo("olmo-no-width", "OlmoForCausalLM", "olmo", {"hidden_size": None}, build=("OlmoForCausalLM", plain), refused=True)
    yield olmo("olmo2", "Olmo2ForCausalLM", "olmo2")
    yield olmo("olmo2-grouped", "Olmo2ForCausalLM", "olmo2", {"num_key_value_heads": 2, "rms_norm_eps": 1e-6}, dtype="f16")
    yield olmo("olmo2-saved", "Olmo2ForCausalLM", "olmo2", {"tie_word_embeddings": True}, saved=True)
    yield olmo("olmo3", "Olmo3ForCausalLM", "olmo3", {"num_hidden_layers": 5, "sliding_window": 512})
    yarn = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 512, "attention_factor": 1.2,
            "beta_fast": 32.0, "beta_slow": 1.0}
    yield olmo("olmo3-yarn", "Olmo3ForCausalLM", "olmo3", {"sliding_window": 512, "rope_scaling": yarn}, dtype="f16", saved=True)
    yield olmo("olmo3-layers", "Olmo3ForCausalLM", "olmo3",
               {"sliding_window": 128, "layer_types": ["full_attention", "sliding_attention"], "rope_theta": 500000})
    moe = {"num_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 32}
    yield olmo("olmoe", "OlmoeForCausalLM", "olmoe", moe)
    yield olmo("olmoe-f16", "OlmoeForCausalLM", "olmoe", {**moe, "num_experts": 3, "num_key_value_heads": 2}, dtype="f16")
    yield olmo("olmoe-f32", "OlmoeForCausalLM", "olmoe", {**moe, "norm_topk_prob": True}, dtype="f32", saved=True)
    yield olmo("seed-oss", "SeedOssForCausalLM", "seed_oss", {"num_key_value_heads": 2, "head_dim": 32})
    yield olmo("seed-oss-f16", "SeedOssForCausalLM", "seed_oss", {"attention_out_bias": True, "mlp_bias": True}, dtype="f16")
    yield olmo("seed-oss-tied", "SeedOssForCausalLM", "seed_oss",
               {"tie_word_embeddings": True, "head_dim": 16, "attention_bias": False, "rope_theta": 1e7}, saved=True)
