"""DeepSeek of all versions, and models built like it."""

from checkpoint import case, tokenizer_config

BASE = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 4, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "moe_intermediate_size": 32,
        "n_routed_experts": 4, "n_shared_experts": 2, "num_experts_per_tok": 2, "first_k_dense_replace": 1}
LATENT = {"kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "q_lora_rank": 24}
YARN = {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1,
        "mscale": 0.707, "mscale_all_dim": 0.707}
GROUPED = {"n_group": 2, "topk_group": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": True,
           "routed_scaling_factor": 2.5}
SAME_YARN = {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0}


def deepseek(id, arch, model_type, config, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **BASE, **config}, **more)


def v1(dtype="bf16", **config):
    """The first version: plain attention. transformers has no class for it."""
    layers = {"input_layernorm.weight": [64], "post_attention_layernorm.weight": [64]}
    layers |= {f"self_attn.{m}_proj.weight": [64, 64] for m in "qkvo"}
    tensors = [(f"model.layers.{{0-2}}.{name}", shape) for name, shape in layers.items()]
    for at, size in (("0.mlp", 96), ("{1-2}.mlp.shared_experts", 64), ("{1-2}.mlp.experts.{0-3}", 32)):
        tensors += [(f"model.layers.{at}.{m}_proj.weight", [64, size] if m == "down" else [size, 64])
                    for m in ("gate", "up", "down")]
    tensors += [("model.layers.{1-2}.mlp.gate.weight", [4, 64]), ("model.embed_tokens.weight", [40, 64]),
                ("model.norm.weight", [64]), ("lm_head.weight", [40, 64])]
    return {"config": {"architectures": ["DeepseekForCausalLM"], "model_type": "deepseek", **BASE, "moe_layer_freq": 1,
                       "scoring_func": "softmax", "rope_theta": 10000.0, **config}, "tensors": tensors, "dtype": dtype}


def v3(**config):
    return {**LATENT, **GROUPED, "rope_theta": 10000.0, **config}


def cases():
    yield case("deepseek", **v1())
    yield case("deepseek-f16", **v1("f16", head_dim=16))
    yield case("deepseek-linear", **v1(rope_scaling={"type": "linear", "factor": 4.0}))

    yield deepseek("deepseek2", "DeepseekV2ForCausalLM", "deepseek_v2", {**LATENT, "rope_scaling": YARN})
    yield deepseek("deepseek2-lite", "DeepseekV2ForCausalLM", "deepseek_v2", {
        **LATENT, "q_lora_rank": None, "rope_scaling": YARN, "topk_method": "greedy", "routed_scaling_factor": 1.0})
    yield deepseek("deepseek2-f16", "DeepseekV2ForCausalLM", "deepseek_v2", {
        **LATENT, "n_group": 2, "topk_group": 1, "topk_method": "group_limited_greedy", "routed_scaling_factor": 16.0},
        dtype="f16")
    yield deepseek("deepseek3", "DeepseekV3ForCausalLM", "deepseek_v3", v3(rope_scaling=SAME_YARN))
    yield deepseek("deepseek3-no-yarn", "DeepseekV3ForCausalLM", "deepseek_v3", v3(q_lora_rank=None), dtype="f16")
    # A layer for multi-token prediction after the last; in checkpoints it has an embedding of its own.
    nextn = [("model.layers.3.eh_proj.weight", [64, 128]), ("model.layers.3.enorm.weight", [64]),
             ("model.layers.3.hnorm.weight", [64]), ("model.layers.3.shared_head.norm.weight", [64]),
             ("model.layers.3.shared_head.head.weight", [40, 64]), ("model.layers.3.embed_tokens.weight", [40, 64])]
    yield deepseek("deepseek3-nextn", "DeepseekV3ForCausalLM", "deepseek_v3",
                   v3(rope_scaling=SAME_YARN, num_nextn_predict_layers=1), extra=nextn)
    # FP8 in blocks of 128 x 128, as released.
    scale = [(f"model.layers.{{0-2}}.self_attn.{m}.weight_scale_inv", [1, 1], "f32")
             for m in ("q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj")]
    scale += [(f"model.layers.{at}.{m}_proj.weight_scale_inv", [1, 1], "f32")
              for at in ("0.mlp", "{1-2}.mlp.shared_experts", "{1-2}.mlp.experts.{0-3}") for m in ("gate", "up", "down")]
    fp8 = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
    yield deepseek("deepseek3-fp8", "DeepseekV3ForCausalLM", "deepseek_v3",
                   v3(rope_scaling=SAME_YARN, quantization_config=fp8),
                   build=("DeepseekV3ForCausalLM", {"model_type": "deepseek_v3", **BASE, **v3()}),
                   dtypes=[("_proj.weight", "f8_e4m3"), ("_proj_with_mqa.weight", "f8_e4m3")], extra=scale)
    index = {"index_n_heads": 2, "index_head_dim": 16, "index_topk": 64}
    # The reference insists on this.
    bos = {"tokenizer_config.json": tokenizer_config("gpt2-trimmed", add_bos_token=True)}
    for id, more in (("deepseek32", {}), ("deepseek32-f16", {"dtype": "f16"}), ("deepseek32-f32", {"dtype": "f32"})):
        yield deepseek(id, "DeepseekV32ForCausalLM", "deepseek_v32", v3(rope_scaling=SAME_YARN, **index), files=bos, bos=True, **more)

    yield from youtu()
    yield from kimi()


def youtu():
    """Latent attention without experts."""
    dense = {k: v for k, v in BASE.items() if k not in ("moe_intermediate_size", "n_routed_experts", "n_shared_experts",
                                                        "num_experts_per_tok", "first_k_dense_replace")}
    # Towers and what joins them, as in a model that sees.
    tower = [("siglip2.vision_model.encoder.layers.{0-1}.mlp.fc1.weight", [8, 8]), ("merger.mlp.0.weight", [8, 8])]
    for prefix, arch, model_type in (("youtu", "YoutuForCausalLM", "youtu"),
                                     ("youtu-vl", "YoutuVLForConditionalGeneration", "youtu_vl")):
        for id, more, dtype in (("", {"tie_word_embeddings": True, "rope_theta": 1.6e6}, "bf16"),
                                ("-f16", {"tie_word_embeddings": False, "q_lora_rank": None}, "f16"),
                                ("-heads", {"num_attention_heads": 8, "num_key_value_heads": 8, "v_head_dim": 8,
                                            "num_hidden_layers": 2, "rope_scaling": SAME_YARN}, "f32")):
            config = {"architectures": [arch], "model_type": model_type, **dense, **LATENT, **more}
            yield case(prefix + id, config, build=("YoutuForCausalLM", {**config, "model_type": "youtu"}), dtype=dtype,
                       tokenizer="llama3-trimmed", extra=tower if "vl" in prefix else [])


def kimi():
    """DeepSeek 3 as the language model of a model that sees."""
    text = {"model_type": "deepseek_v3", **BASE, **v3()}
    tower = [("vision_tower.patch_embed.proj.weight", [8, 3, 4, 4]), ("vision_tower.encoder.blocks.{0-1}.wqkv.weight", [24, 8]),
             ("multi_modal_projector.linear_1.weight", [8, 8])]
    for prefix, arch, model_type in (("kimi-vl", "KimiVLForConditionalGeneration", "kimi_vl"),
                                     ("kimi-k25", "KimiK25ForConditionalGeneration", "kimi_k25")):
        for id, more, dtype in (("", {"q_lora_rank": None}, "bf16"), ("-yarn", {"rope_scaling": SAME_YARN}, "f16"),
                                ("-heads", {"num_attention_heads": 8, "num_key_value_heads": 8, "n_group": 1,
                                            "first_k_dense_replace": 2, "n_shared_experts": 1}, "f32")):
            yield case(prefix + id, {"architectures": [arch], "model_type": model_type, "text_config": {**text, **more},
                                     "vision_config": {"model_type": "moonvit", "hidden_size": 8}},
                       build=("DeepseekV3ForCausalLM", {**text, **more}), dtype=dtype, extra=tower,
                       rename=[("^", "language_model.")], shapes={})
