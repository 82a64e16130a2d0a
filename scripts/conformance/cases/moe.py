"""Mixtures of experts that go with no larger family."""

from checkpoint import ROWS, case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
         "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def moe(id, arch, model_type, config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}, **more)

def attention(at: str, biases=False) -> list:
    """Of models whose code is not part of transformers."""
    return [("model.embed_tokens.weight", [ROWS, 64]), ("model.norm.weight", [64]), (f"{at}.input_layernorm.weight", [64]),
            (f"{at}.post_attention_layernorm.weight", [64]), (f"{at}.self_attn.q_proj.weight", [64, 64]),
            (f"{at}.self_attn.k_proj.weight", [32, 64]), (f"{at}.self_attn.v_proj.weight", [32, 64]),
            (f"{at}.self_attn.o_proj.weight", [64, 64])]


def experts(at: str, names: tuple, width=32) -> list:
    gate, up, down = names
    return [(f"{at}.{gate}.weight", [width, 64]), (f"{at}.{up}.weight", [width, 64]), (f"{at}.{down}.weight", [64, width])]


def smallthinker(id, config=None, tied=False, **more):
    count = (config or {}).get("moe_num_primary_experts", 4)
    config = {"architectures": ["SmallThinkerForCausalLM"], "model_type": "smallthinker", **SMALL, "moe_num_primary_experts": count,
              "moe_num_active_primary_experts": 2, "moe_ffn_hidden_size": 32, "sliding_window_size": 64,
              "sliding_window_layout": [0, 1, 1, 1], "rope_layout": [0, 1, 1, 1], **(config or {})}
    for key in ("num_experts", "num_experts_per_tok", "moe_intermediate_size"):
        config.pop(key)
    at = "model.layers.{0-3}.block_sparse_moe"
    tensors = (attention("model.layers.{0-3}") + [(f"{at}.primary_router.weight", [count, 64])]
               + experts(f"{at}.experts.{{0-{count - 1}}}", ("gate", "up", "down")))
    return case(id, config, tensors=tensors + ([] if tied else [("lm_head.weight", [ROWS, 64])]), **more)


def grove(id, arch="GroveMoeForCausalLM", config=None, **more):
    config = {"architectures": [arch], "model_type": "grove_moe", **SMALL, "norm_topk_prob": True, **(config or {})}
    count, at, width = config["num_experts"], "model.layers.{0-3}.mlp", config.get("head_dim") or 128
    names = ("gate_proj", "up_proj", "down_proj")
    tensors = (attention("model.layers.{0-3}") + [("lm_head.weight", [ROWS, 64]), (f"{at}.gate.weight", [count, 64]),
               (f"{at}.expert_bias", [count]), ("model.layers.{0-3}.self_attn.q_norm.weight", [16]),
               ("model.layers.{0-3}.self_attn.k_norm.weight", [16])]
               + experts(f"{at}.experts.{{0-{count - 1}}}", names)
               + experts(f"{at}.chunk_experts.{{0-{count // 2 - 1}}}", names, width))
    return case(id, config, tensors=tensors, **more)


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

    yield smallthinker("smallthinker")
    yield smallthinker("smallthinker-f16", {"moe_primary_router_apply_softmax": True, "sliding_window_layout": [0, 0, 0, 0],
                                            "moe_num_primary_experts": 2}, dtype="f16")
    yield smallthinker("smallthinker-tied", {"sliding_window_size": 0, "rope_theta": 1.5e6}, tied=True, dtype="f32")

    yield grove("grove")
    yield grove("grove-f16", config={"num_experts": 6, "head_dim": None}, dtype="f16")
    yield grove("grove-f32", config={"num_experts": 2, "rope_theta": 1e7}, dtype="f32")
    for suffix, dtype, config in (("", "bf16", {}), ("-f16", "f16", {"num_experts": 2}), ("-f32", "f32", {"moe_intermediate_size": 32})):
        yield grove("grove-module" + suffix, "modeling_grove_moe.GroveMoeForCausalLM", config, dtype=dtype)

    laguna = ("LagunaForCausalLM", "laguna")
    config = {"gating": True, "layer_types": ["full_attention", "sliding_attention"] * 2, "shared_expert_intermediate_size": 32,
              "num_attention_heads_per_layer": [2, 4, 2, 4], "vocab_size": 50304, "eos_token_id": [2, 24], "bos_token_id": 2,
              "moe_routed_scaling_factor": 2.5}
    small = {"shapes": {"vocab_size": ROWS}, "tokenizer": "gpt2-roles"}
    yield moe("laguna", *laguna, config, files={"chat_template.jinja": "a\r\n{{ b }}"}, **small)
    yield moe("laguna-f16", *laguna, {**config, "gating": "per-head", "num_attention_heads_per_layer": None, "layer_types": None,
                                      "sliding_window": 64, "mlp_layer_types": ["dense"] * 3 + ["sparse"]}, dtype="f16", **small)
    yield moe("laguna-f32", *laguna, {**config, "gating": "per-element", "eos_token_id": 2, "rope_parameters": {
        "full_attention": {"rope_type": "yarn", "rope_theta": 5e5, "factor": 8.0, "beta_fast": 32.0, "beta_slow": 1.0,
                           "original_max_position_embeddings": 1024, "partial_rotary_factor": 0.5},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0}}}, dtype="f32", saved=True, **small)
    built = ("LagunaForCausalLM", {"model_type": "laguna", **SMALL, **config})
    yield moe("laguna-other-gate", *laguna, {**config, "gating": "per-element"}, build=built, refused=True, **small)
    yield moe("laguna-gating-types", *laguna, {**config, "gating_types": ["per-element"] * 4}, build=built, refused=True, **small)
