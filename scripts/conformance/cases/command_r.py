"""Command R and its successors."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 8192, "layer_norm_eps": 1e-5}


def cohere(id, arch, model_type, config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}, **more)


def cases():
    yield cohere("command-r", "CohereForCausalLM", "cohere", {"model_max_length": 131072})
    yield cohere("command-r-plus", "CohereForCausalLM", "cohere", {"use_qk_norm": True, "logit_scale": 0.8333}, dtype="f16")
    yield cohere("command-r-biased", "CohereForCausalLM", "cohere",
                 {"attention_bias": True, "rope_theta": 8e6, "tie_word_embeddings": True}, dtype="f32")
    yield cohere("cohere2", "Cohere2ForCausalLM", "cohere2", {"rotary_pct": 1.0, "num_hidden_layers": 5})
    yield cohere("cohere2-f16", "Cohere2ForCausalLM", "cohere2",
                 {"rotary_pct": 0.5, "sliding_window": 512, "logit_scale": 0.25}, dtype="f16")
    yield cohere("cohere2-f32", "Cohere2ForCausalLM", "cohere2",
                 {"rotary_pct": 1.0, "layer_types": ["full_attention", "sliding_attention"]}, dtype="f32")
    yield cohere("cohere2-no-rotary", "Cohere2ForCausalLM", "cohere2", refused=True)
    yield cohere("cohere2-biased", "Cohere2ForCausalLM", "cohere2", {"rotary_pct": 1.0, "attention_bias": True}, refused=True)
    moe = {"num_experts": 4, "num_experts_per_tok": 2, "head_dim": 16, "intermediate_size": 32, "num_hidden_layers": 4}
    yield cohere("cohere2moe", "Cohere2MoeForCausalLM", "cohere2_moe", moe)
    yield cohere("cohere2moe-dense", "Cohere2MoeForCausalLM", "cohere2_moe",
                 {**moe, "first_k_dense_replace": 1, "prefix_dense_intermediate_size": 96, "num_shared_experts": 2,
                  "expert_selection_fn": "sigmoid", "norm_topk_prob": True}, dtype="f16")
    yield cohere("cohere2moe-f32", "Cohere2MoeForCausalLM", "cohere2_moe",
                 {**moe, "num_shared_experts": 1, "sliding_window": 64, "norm_topk_prob": False}, dtype="f32")
