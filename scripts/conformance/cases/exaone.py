"""Exaone 3 to 4.5, and its mixture of experts."""

from checkpoint import ROWS, case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}
LLAMA3 = {"rope_type": "llama3", "factor": 16.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 1024}
FIRST = {"hidden_size": 64, "intermediate_size": 96, "num_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "max_position_embeddings": 2048, "layer_norm_epsilon": 1e-5, "activation_function": "silu"}
PREDICT = [("mtp.fc.weight", [64, 128]), ("mtp.pre_fc_norm_embedding.weight", [64]), ("mtp.pre_fc_norm_hidden.weight", [64]),
           ("mtp.norm.weight", [64])]


def first(config: dict, tied: bool) -> list:
    """Tensors of Exaone 3, whose code is not part of transformers."""
    at, size = f"transformer.h.{{0-{config['num_layers'] - 1}}}", 64 // config["num_attention_heads"]
    attention, mlp = f"{at}.attn.attention", f"{at}.mlp"
    keys = config["num_key_value_heads"] * size
    return ([("transformer.wte.weight", [ROWS, 64]), ("transformer.ln_f.weight", [64]), (f"{at}.ln_1.weight", [64]),
             (f"{at}.ln_2.weight", [64]), (f"{attention}.q_proj.weight", [64, 64]), (f"{attention}.k_proj.weight", [keys, 64]),
             (f"{attention}.v_proj.weight", [keys, 64]), (f"{attention}.out_proj.weight", [64, 64]),
             (f"{mlp}.c_fc_0.weight", [96, 64]), (f"{mlp}.c_fc_1.weight", [96, 64]), (f"{mlp}.c_proj.weight", [64, 96]),
             ("transformer.h.0.attn.rotary_emb.inv_freq", [size // 2])]
            + ([] if tied else [("lm_head.weight", [ROWS, 64])]))


def exaone(id, arch, model_type, config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}, **more)


def layer(at: str, heads=4, kv_heads=2, norms=("post_attention", "post_feedforward")) -> list:
    """A layer as Exaone 4's, or with other norms."""
    return [(f"{at}.self_attn.q_proj.weight", [heads * 16, 64]), (f"{at}.self_attn.k_proj.weight", [kv_heads * 16, 64]),
            (f"{at}.self_attn.v_proj.weight", [kv_heads * 16, 64]), (f"{at}.self_attn.o_proj.weight", [64, heads * 16]),
            (f"{at}.self_attn.q_norm.weight", [16]), (f"{at}.self_attn.k_norm.weight", [16]),
            (f"{at}.mlp.gate_proj.weight", [96, 64]), (f"{at}.mlp.up_proj.weight", [96, 64]), (f"{at}.mlp.down_proj.weight", [64, 96]),
            *[(f"{at}.{norm}_layernorm.weight", [64]) for norm in norms]]


def cases():
    for suffix, dtype, config, tied in (("", "bf16", {}, False), ("-tied", "f16", {"num_key_value_heads": 4, "rope_theta": 1e6}, True),
                                        ("-f32", "f32", {"rotary_pct": 0.5, "partial_rotary_factor": 0.5, "num_attention_heads": 2}, False)):
        config = {**FIRST, **config, "tie_word_embeddings": tied}
        # With rope scaling of Llama 3 the reference's tokenizer does not load: transformers has no class to ask for the context.
        yield case(f"exaone{suffix}", {"architectures": ["ExaoneForCausalLM"], "model_type": "exaone", **config}, dtype=dtype,
                   tensors=first(config, tied))
    config = {**FIRST, "activation_function": "relu"}
    yield case("exaone-relu", {"architectures": ["ExaoneForCausalLM"], "model_type": "exaone", **config}, refused=True,
               tensors=first(config, False))

    four = ("Exaone4ForCausalLM", "exaone4")
    yield exaone("exaone4", *four)
    yield exaone("exaone4-f16", *four, {"sliding_window": None, "sliding_window_pattern": None, "layer_types": ["full_attention"] * 4,
                                        "tie_word_embeddings": True, "num_key_value_heads": 4, "rope_scaling": LLAMA3}, dtype="f16")
    yield exaone("exaone4-f32", *four, {"sliding_window": 64, "sliding_window_pattern": 2, "rope_theta": 1e6}, dtype="f32", saved=True)
    # The class counts with numbers only, unless it is told the layers.
    letters = {"sliding_window": 64, "sliding_window_pattern": "LLLG", "rope_theta": 1e6}
    yield exaone("exaone4-layers-and-letters", *four, {**letters, "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
                                                        "rope_scaling": LLAMA3})

    vision = {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 64, "depth": 1, "num_heads": 2, "patch_size": 14,
              "num_key_value_heads": 1, "fullatt_block_indexes": [0]}
    for suffix, dtype, text, more in (
            ("", "bf16", {}, {}), ("-f16", "f16", {"model_type": "exaone4", "tie_word_embeddings": True}, {"saved": True}),
            ("-predict", "f32", {"num_nextn_predict_layers": 1}, {"extra": PREDICT + layer("mtp.layers.0")}),
            ("-share", "bf16", {"num_nextn_predict_layers": 2, "mtp_share_layers": True},
             {"extra": PREDICT + layer("mtp.layers.0") + [("mtp.other.weight", [4])]}),
            ("-no-predict", "bf16", {}, {"extra": PREDICT + layer("mtp.layers.0")})):
        text = {"model_type": "exaone4_5_text", **SMALL, "sliding_window": 64, **text}
        yield case(f"exaone4.5{suffix}", {"architectures": ["Exaone4_5_ForConditionalGeneration"], "model_type": "exaone4_5",
                                          "text_config": text, "vision_config": vision}, dtype=dtype, **more)

    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "num_shared_experts": 1, "sliding_window": 64,
               "first_k_dense_replace": 1}
    moe = ("ExaoneMoeForCausalLM", "exaone_moe")
    yield exaone("exaone-moe", *moe, experts)
    yield exaone("exaone-moe-f16", *moe, {**experts, "num_shared_experts": 2, "first_k_dense_replace": 2, "norm_topk_prob": False,
                                          "tie_word_embeddings": True, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}},
                 dtype="f16", saved=True)
    yield exaone("exaone-moe-predict", "ExaoneMoEForCausalLM", "exaone_moe", {**experts, "num_nextn_predict_layers": 1}, dtype="f32",
                 build="ExaoneMoeForCausalLM", extra=PREDICT + layer("mtp.layers.0", norms=("input", "post_attention")))
    yield exaone("exaone-moe-old", "ExaoneMoEForCausalLM", "exaone_moe", {**experts, "num_experts": 2}, build="ExaoneMoeForCausalLM")
    yield exaone("exaone-moe-old-f16", "ExaoneMoEForCausalLM", "exaone_moe", {**experts, "num_key_value_heads": 4}, dtype="f16",
                 build="ExaoneMoeForCausalLM", saved=True)
