"""Mistral 3 and Ministral 3."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 32768, "rms_norm_eps": 1e-5}
YARN = {"rope_type": "yarn", "rope_theta": 1e6, "factor": 16.0, "original_max_position_embeddings": 2048, "beta_fast": 32.0,
        "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1}
VISION = {"model_type": "pixtral", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
          "num_attention_heads": 2, "image_size": 28, "patch_size": 14, "head_dim": 16}


def ministral(id, config=None, **more):
    config = {"architectures": ["Ministral3ForCausalLM"], "model_type": "ministral3", **SMALL, "rope_parameters": YARN,
              **(config or {})}
    return case(id, config, **more)


def mistral3(id, text, **more):
    config = {"architectures": ["Mistral3ForConditionalGeneration"], "model_type": "mistral3", "vision_config": VISION,
              "text_config": {**SMALL, **text}, "spatial_merge_size": 2}
    return case(id, config, **more)


def cases():
    yield ministral("ministral3")
    yield ministral("ministral3-default-rope", {"rope_parameters": None}, dtype="f16")
    yield ministral("ministral3-tied", {"tie_word_embeddings": True, "head_dim": 16, "rope_parameters": {
        **YARN, "mscale_all_dim": 0.5, "llama_4_scaling_beta": 0.2}}, dtype="f32", saved=True)
    yield mistral3("mistral3", {"model_type": "mistral", "rope_theta": 1e9, "sliding_window": None})
    yield mistral3("mistral3-ministral3", {"model_type": "ministral3", "rope_parameters": YARN}, dtype="f16")
    yield mistral3("mistral3-spm", {"model_type": "mistral", "head_dim": 16}, tokenizer="spm", dtype="f32", saved=True)
    yield ministral("ministral3-linear", {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e6}}, refused=True)

    four = {"model_type": "mistral4", "moe_intermediate_size": 32, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2,
            "kv_lora_rank": 32, "q_lora_rank": 24, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "head_dim": 24,
            "num_key_value_heads": 4, "first_k_dense_replace": 1}
    yield mistral3("mistral4", {**four, "routed_scaling_factor": 2.5})
    yield mistral3("mistral4-f16", {**four, "n_routed_experts": 2, "rope_parameters": {
        **YARN, "mscale_all_dim": 0.5, "factor": 8.0}, "tie_word_embeddings": True}, dtype="f16", saved=True)
    yield mistral3("mistral4-f32", {**four, "first_k_dense_replace": 0, "norm_topk_prob": False, "qk_rope_head_dim": 16}, dtype="f32")
