"""Mixtures of experts that go with no larger family."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
         "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def moe(id, arch, model_type, config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}, **more)


def cases():
    afmoe = ("AfmoeForCausalLM", "afmoe")
    yield moe("afmoe", *afmoe, {"score_func": "sigmoid", "route_norm": True, "route_scale": 2.8, "num_dense_layers": 2})
    yield moe("afmoe-f16", *afmoe, {"num_shared_experts": 1, "num_key_value_heads": None, "sliding_window": None, "num_experts": 2,
                                    "layer_types": ["full_attention"] * 4}, dtype="f16", tokenizer="spm")
    yield moe("afmoe-f32", *afmoe, {"global_attn_every_n_layers": 2, "tie_word_embeddings": True}, dtype="f32", saved=True)
    yield moe("afmoe-llama3", *afmoe, {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                                        "high_freq_factor": 4.0, "original_max_position_embeddings": 1024}}, refused=True)

    mellum = ("MellumForCausalLM", "mellum")
    kinds = {"layer_types": ["sliding_attention"] * 3 + ["full_attention"]}
    yield moe("mellum", *mellum, kinds)
    yield moe("mellum-f16", *mellum, {**kinds, "sliding_window": None, "num_key_value_heads": 4, "attention_bias": True}, dtype="f16")
    yield moe("mellum-f32", *mellum, {"use_sliding_window": True, "sliding_window": 64, "tie_word_embeddings": True, **kinds,
                                      "rope_parameters": {"full_attention": {
                                          "rope_type": "yarn", "rope_theta": 5e5, "factor": 8.0, "beta_fast": 32.0, "beta_slow": 1.0,
                                          "original_max_position_embeddings": 1024}, "sliding_attention": {
                                          "rope_type": "default", "rope_theta": 1e4}}}, dtype="f32", saved=True)
    yield moe("mellum-window-off", *mellum, {"use_sliding_window": False, "sliding_window": 64, **kinds})

    dots = {"n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1, "routed_scaling_factor": 2.5, "norm_topk_prob": True,
            "num_experts": None}
    dots1 = ("Dots1ForCausalLM", "dots1")
    yield moe("dots1", *dots1, {**dots, "scoring_func": "sigmoid"})
    yield moe("dots1-f16", *dots1, {**dots, "n_routed_experts": 2, "n_shared_experts": 2, "first_k_dense_replace": 2, "num_key_value_heads": 4,
                                    "attention_bias": True}, dtype="f16", tokenizer="qwen2-trimmed")
    yield moe("dots1-f32", *dots1, {**dots, "norm_topk_prob": False, "sliding_window": None, "tie_word_embeddings": True,
                                    "rope_theta": 1e7, "n_group": 2}, dtype="f32", saved=True)
    yield moe("dots1-no-shared", *dots1, {**dots, "n_shared_experts": None}, refused=True, build=(
        "Dots1ForCausalLM", {"model_type": "dots1", **SMALL, **dots}))
