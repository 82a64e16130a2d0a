"""GLM 4 and later, and Solar Open."""

from checkpoint import case, tokenizer_config

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}
VISION = {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 64, "depth": 1, "num_heads": 2, "image_size": 28,
          "patch_size": 14}
EXPERTS = {"num_hidden_layers": 3, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2,
           "moe_intermediate_size": 32, "first_k_dense_replace": 1, "norm_topk_prob": True, "routed_scaling_factor": 1.5,
           "n_group": 1, "topk_group": 1}
LATENT = {"kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "q_lora_rank": 24,
          "num_key_value_heads": 4}
NEXTN = [("model.layers.3.eh_proj.weight", [64, 128]), ("model.layers.3.enorm.weight", [64]),
         ("model.layers.3.hnorm.weight", [64]), ("model.layers.3.shared_head.norm.weight", [64]),
         ("model.layers.3.input_layernorm.weight", [64])]


def glm(id, arch, model_type, config=None, **more):
    config = {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}
    return case(id, config, **{"tokenizer": "gpt2-roles", **more})


def wrapped(id, arch, model_type, text, **more):
    config = {"architectures": [arch], "model_type": model_type, "vision_config": VISION, "text_config": {**SMALL, **text}}
    return case(id, config, **{"tokenizer": "gpt2-roles", **more})


def prediction(base, tensors=NEXTN):
    """A layer for multi-token prediction, kept, alone and left out."""
    return {"extra": tensors, "also": ["--outtype auto --mtp", "--outtype auto --no-nextn"]}


def cases():
    yield glm("glm4", "Glm4ForCausalLM", "glm4")
    yield glm("glm4-f16", "Glm4ForCausalLM", "glm4", {"attention_bias": True, "partial_rotary_factor": 1.0, "head_dim": 32},
              dtype="f16")
    yield glm("glm4-tied", "Glm4ForCausalLM", "glm4", {"tie_word_embeddings": True, "num_key_value_heads": 4}, dtype="f32",
              saved=True)
    mrope = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1],
                                 "partial_rotary_factor": 0.5}}
    yield wrapped("glm4v", "Glm4vForConditionalGeneration", "glm4v", {"model_type": "glm4v_text", **mrope})
    yield wrapped("glm4v-all-rotated", "Glm4vForConditionalGeneration", "glm4v",
                  {"model_type": "glm4v_text", "rope_parameters": {**mrope["rope_parameters"], "partial_rotary_factor": 1.0,
                                                                   "mrope_section": [2, 3, 3]}}, dtype="f16")
    several = {"model_type": "glm4v_text", **mrope, "num_key_value_heads": 1, "attention_bias": True,
               "tie_word_embeddings": True}
    yield wrapped("glm4v-one-head", "Glm4vForConditionalGeneration", "glm4v", several, dtype="f32", saved=True)
    # The class ignores head_dim, the reference does not.
    yield wrapped("glm4v-other-heads", "Glm4vForConditionalGeneration", "glm4v", {**several, "head_dim": 32}, refused=True)
    for suffix, dtype, config in (("", "bf16", {}), ("-f16", "f16", {"num_nextn_predict_layers": 0, "num_key_value_heads": 4}),
                                  ("-nextn", "f32", {"num_nextn_predict_layers": 1, "num_hidden_layers": 3})):
        extra = NEXTN if suffix == "-nextn" else []
        yield wrapped(f"glm-ocr{suffix}", "GlmOcrForConditionalGeneration", "glm_ocr",
                      {"model_type": "glm_ocr_text", **mrope, **config}, dtype=dtype, extra=extra, saved=suffix == "-f16")
    moe = {**EXPERTS, "use_qk_norm": False}
    yield glm("glm4moe", "Glm4MoeForCausalLM", "glm4_moe", moe)
    yield glm("glm4moe-nextn", "Glm4MoeForCausalLM", "glm4_moe",
              {**moe, "num_nextn_predict_layers": 1, "use_qk_norm": True, "attention_bias": True}, **prediction(moe))
    yield glm("glm4moe-f16", "Glm4MoeForCausalLM", "glm4_moe",
              {**moe, "n_shared_experts": 2, "norm_topk_prob": False, "first_k_dense_replace": 2}, dtype="f16", saved=True)
    yield wrapped("glm4v-moe", "Glm4vMoeForConditionalGeneration", "glm4v_moe",
                  {"model_type": "glm4v_moe_text", **moe, **mrope}, dtype="f32")
    yield wrapped("glm4v-moe-biases", "Glm4vMoeForConditionalGeneration", "glm4v_moe",
                  {"model_type": "glm4v_moe_text", **moe, **mrope, "attention_bias": True, "num_key_value_heads": 4})
    yield wrapped("glm4v-moe-f16", "Glm4vMoeForConditionalGeneration", "glm4v_moe",
                  {"model_type": "glm4v_moe_text", **moe, **mrope, "n_routed_experts": 2, "n_shared_experts": 2,
                   "first_k_dense_replace": 2}, dtype="f16", saved=True)
    solar = {"files": {"tokenizer_config.json": tokenizer_config("gpt2-roles", unk_token="<unk>", bos_token="<|startoftext|>")}}
    for suffix, dtype, config in (("", "bf16", {}), ("-f16", "f16", {"n_routed_experts": 2, "num_key_value_heads": 1}),
                                  ("-f32", "f32", {"n_shared_experts": 2, "norm_topk_prob": False, "head_dim": 32,
                                                   "tie_word_embeddings": True})):
        yield glm(f"solar-open{suffix}", "SolarOpenForCausalLM", "solar_open", {**moe, **config}, dtype=dtype,
                  saved=dtype == "f32", **solar)
    lite = {**EXPERTS, **LATENT}
    yield glm("glm4moelite", "Glm4MoeLiteForCausalLM", "glm4_moe_lite", lite)
    yield glm("glm4moelite-nextn", "Glm4MoeLiteForCausalLM", "glm4_moe_lite", {**lite, "num_nextn_predict_layers": 1},
              **prediction(lite))
    yield glm("glm4moelite-f16", "Glm4MoeLiteForCausalLM", "glm4_moe_lite", {**lite, "num_nextn_predict_layers": 0},
              dtype="f16", extra=NEXTN, saved=True)
    dsa = {**EXPERTS, **LATENT, "index_n_heads": 2, "index_head_dim": 16, "index_topk": 64}
    yield glm("glm-dsa", "GlmMoeDsaForCausalLM", "glm_moe_dsa", dsa)
    yield glm("glm-dsa-nextn", "GlmMoeDsaForCausalLM", "glm_moe_dsa", {**dsa, "num_nextn_predict_layers": 1}, **prediction(dsa))
    yield glm("glm-dsa-f16", "GlmMoeDsaForCausalLM", "glm_moe_dsa", {**dsa, "q_lora_rank": 16, "n_shared_experts": 2},
              dtype="f16", saved=True)
