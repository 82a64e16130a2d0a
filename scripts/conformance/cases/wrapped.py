"""Language models of larger ones whose classes transformers builds only whole, or not at all: their tensors are listed."""

from checkpoint import ROWS, case, tokenizer_config

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "max_position_embeddings": 2048, "rms_norm_eps": 1e-6}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True}
MROPE = {"mrope_section": [2, 3, 3], "rope_type": "default", "rope_theta": 1e6}
AUDIO = [("audio_tower.conv1.weight", [8, 4, 3]), ("audio_tower.layers.0.fc1.weight", [8, 8])]


def attention(start: str, config: dict, norms=False, biases=False) -> list:
    at, size = f"{start}layers.{{0-{config['num_hidden_layers'] - 1}}}", config.get("head_dim") or 64 // config["num_attention_heads"]
    heads, keys = config["num_attention_heads"] * size, config["num_key_value_heads"] * size
    rows = {"q": heads, "k": keys, "v": keys}
    found = [(f"{start}embed_tokens.weight", [ROWS, 64]), (f"{start}norm.weight", [64]), (f"{at}.input_layernorm.weight", [64]),
             (f"{at}.post_attention_layernorm.weight", [64]), (f"{at}.self_attn.o_proj.weight", [64, heads])]
    found += [(f"{at}.self_attn.{part}_proj.weight", [count, 64]) for part, count in rows.items()]
    found += [(f"{at}.self_attn.{part}_proj.bias", [count]) for part, count in rows.items() if biases]
    return found + ([(f"{at}.self_attn.{part}_norm.weight", [size]) for part in "qk"] if norms else [])


def mlp(at: str, width: int) -> list:
    return [(f"{at}.gate_proj.weight", [width, 64]), (f"{at}.up_proj.weight", [width, 64]), (f"{at}.down_proj.weight", [64, width])]


def cases():
    ways = (("", "bf16", {}), ("-f16", "f16", {"num_key_value_heads": 4}), ("-f32", "f32", {"num_attention_heads": 2, "rms_norm_eps": 1e-5}))
    decoder = {"added_tokens_decoder": {"7": {"content": "<|im_start|>", "special": True}, "9": {"content": "<|im_end|>", "special": True}}}
    for suffix, dtype, config in ways:
        config = {"model_type": "qwen2_5_omni_text", **SMALL, "rope_scaling": {"type": "default", "mrope_section": [2, 3, 3]}, **config}
        tensors = attention("thinker.model.", config, biases=True) + mlp("thinker.model.layers.{0-1}.mlp", 96)
        tensors += [("thinker.lm_head.weight", [ROWS, 64]), ("talker.model.norm.weight", [8]), ("token2wav.a.weight", [8]),
                    *[(f"thinker.{name}", shape) for name, shape in AUDIO], ("thinker.visual.merger.ln_q.weight", [8])]
        yield case(f"qwen2.5-omni{suffix}", {"architectures": ["Qwen2_5OmniModel"], "model_type": "qwen2_5_omni", "vocab_size": 50257,
                                             "thinker_config": {"model_type": "qwen2_5_omni_thinker", "text_config": {
                                                 "vocab_size": 50257, **config}}}, tensors=tensors, dtype=dtype, vocab=False)
    for suffix, dtype, config in ways:
        config = {"model_type": "qwen3_omni_moe_text", **SMALL, **EXPERTS, "head_dim": 16, "rope_parameters": MROPE, **config}
        at = "thinker.model.layers.{0-1}.mlp"
        tensors = attention("thinker.model.", config, norms=True) + mlp(f"{at}.experts.{{0-3}}", 32) + [
            (f"{at}.gate.weight", [4, 64]), ("thinker.lm_head.weight", [ROWS, 64]), ("code2wav.a.weight", [8]),
            *[(f"thinker.{name}", shape) for name, shape in AUDIO]]
        files = {"tokenizer_config.json": tokenizer_config("gpt2-trimmed", **decoder)} if dtype != "f16" else {}
        yield case(f"qwen3-omni{suffix}", {"architectures": ["Qwen3OmniMoeForConditionalGeneration"], "model_type": "qwen3_omni_moe",
                                           "thinker_config": {"model_type": "qwen3_omni_moe_thinker", "text_config": {
                                               "vocab_size": 50257, **config}}}, tensors=tensors, dtype=dtype, files=files, vocab=False)
    for suffix, dtype, config in ways:
        config = {"model_type": "qwen3", **SMALL, "head_dim": 16, **config}
        tensors = attention("model.language_model.", config, norms=True) + mlp("model.language_model.layers.{0-1}.mlp", 96) + [
            (f"model.{name}", shape) for name, shape in AUDIO]
        files = {"tokenizer_config.json": tokenizer_config("gpt2-trimmed", **decoder)} if dtype != "f16" else {}
        yield case(f"qwen3-asr{suffix}", {"architectures": ["Qwen3ASRForConditionalGeneration"], "model_type": "qwen3_asr",
                                          "text_config": {**config, "tie_word_embeddings": True}}, tensors=tensors, dtype=dtype, files=files)

    for arch, name in (("DeepseekOCRForCausalLM", "deepseek-ocr"), ("UnlimitedOCRForCausalLM", "unlimited-ocr")):
        for suffix, dtype, config in ways:
            config = {**SMALL, "n_routed_experts": 4, "n_shared_experts": 2, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
                      "first_k_dense_replace": 1, "qk_rope_head_dim": 0, "qk_nope_head_dim": 0, "v_head_dim": 0, "kv_lora_rank": None,
                      "q_lora_rank": None, "norm_topk_prob": False, "vocab_size": 50257, **config}
            if name == "unlimited-ocr":
                config["sliding_window_size"] = 64
            at = "model.layers.1.mlp"
            tensors = attention("model.", config) + mlp("model.layers.0.mlp", 96) + mlp(f"{at}.experts.{{0-3}}", 32) + [
                (f"{at}.gate.weight", [4, 64]), ("lm_head.weight", [ROWS, 64]), *mlp(f"{at}.shared_experts", 64),
                ("model.sam_model.blocks.0.norm1.weight", [8]), ("model.vision_model.pre_layrnorm.weight", [8]),
                ("model.image_newline", [64]), ("model.view_seperator", [64]), ("model.projector.layers.weight", [8, 8])]
            yield case(name + suffix, {"architectures": [arch], "model_type": "deepseek_vl_of_old", "language_config": config},
                       tensors=tensors, dtype=dtype, vocab=False)

    for arch, name in (("KimiLinearForCausalLM", "kimi-linear"), ("KimiLinearModel", "kimi-linear-model")):
        for suffix, dtype, config in ways:
            config = {**SMALL, "num_hidden_layers": 3, "num_experts": 4, "num_experts_per_token": 2, "num_shared_experts": 1,
                      "moe_intermediate_size": 32, "first_k_dense_replace": 1, "routed_scaling_factor": 2.446, "kv_lora_rank": 32,
                      "q_lora_rank": None, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "model_max_length": 4096,
                      "moe_router_activation_func": "sigmoid", **config, "linear_attn_config": {
                          "full_attn_layers": [3], "kda_layers": [1, 2], "head_dim": 16, "num_heads": 4, "short_conv_kernel_size": 4}}
            config["num_key_value_heads"] = config["num_attention_heads"]
            heads, at, own = config["num_attention_heads"], "model.layers.{0-2}", "model.layers.{0-1}.self_attn"
            moe, full = "model.layers.{1-2}.block_sparse_moe", "model.layers.2.self_attn"
            tensors = [("model.embed_tokens.weight", [ROWS, 64]), ("model.norm.weight", [64]), ("lm_head.weight", [ROWS, 64]),
                       (f"{at}.input_layernorm.weight", [64]), (f"{at}.post_attention_layernorm.weight", [64]),
                       *[(f"{own}.{part}_proj.weight", [64, 64]) for part in "qkv"], (f"{own}.o_proj.weight", [64, 64]),
                       *[(f"{own}.{part}_conv1d.weight", [64, 1, 4] if dtype == "f16" else [64, 4]) for part in "qkv"],
                       (f"{own}.A_log", [1, 1, 4, 1], "f32"), (f"{own}.dt_bias", [64], "f32"), (f"{own}.b_proj.weight", [4, 64]),
                       (f"{own}.f_a_proj.weight", [16, 64]), (f"{own}.f_b_proj.weight", [64, 16]), (f"{own}.g_a_proj.weight", [16, 64]),
                       (f"{own}.g_b_proj.weight", [64, 16]), (f"{own}.o_norm.weight", [16]),
                       (f"{full}.q_proj.weight", [heads * 24, 64]), (f"{full}.kv_a_proj_with_mqa.weight", [40, 64]),
                       (f"{full}.kv_a_layernorm.weight", [32]), (f"{full}.kv_b_proj.weight", [heads * 32, 32]),
                       (f"{full}.o_proj.weight", [64, heads * 16]), *mlp("model.layers.0.mlp", 96), (f"{moe}.gate.weight", [4, 64]),
                       (f"{moe}.gate.e_score_correction_bias", [4], "f32"), *mlp(f"{moe}.shared_experts", 32),
                       (f"{moe}.experts.{{0-3}}.w1.weight", [32, 64]), (f"{moe}.experts.{{0-3}}.w2.weight", [64, 32]),
                       (f"{moe}.experts.{{0-3}}.w3.weight", [32, 64])]
            yield case(name + suffix, {"architectures": [arch], "model_type": "kimi_linear", **config}, tensors=tensors, dtype=dtype)

    for arch, name in (("LLaDAMoEModel", "llada-moe-model"), ("LLaDAMoEModelLM", "llada-moe")):
        for suffix, dtype, config in ways:
            config = {**SMALL, "num_experts": 4, "num_experts_per_tok": 2, "expert_intermediate_size": 32, **config}
            at = "model.layers.{0-1}.mlp"
            tensors = attention("model.", config, norms=True) + mlp(f"{at}.experts.{{0-3}}", 32) + [
                (f"{at}.gate.weight", [4, 64]), ("lm_head.weight", [ROWS, 64])]
            yield case(name + suffix, {"architectures": [arch], "model_type": "llada", **config}, tensors=tensors, dtype=dtype)
    maple = {**EXPERTS, "hidden_act": "silu", "nope_on_global_attention": True, "sliding_window": 64,
             "layer_types": ["sliding_attention", "full_attention"], "head_dim": 16}
    for suffix, dtype, config in ways:
        config = {**SMALL, **maple, **config}
        at = "model.layers.{0-1}.mlp"
        tensors = attention("model.", config, norms=True) + mlp(f"{at}.experts.{{0-3}}", 32) + [
            (f"{at}.gate.weight", [4, 64]), ("lm_head.weight", [ROWS, 64])]
        yield case("maple" + suffix, {"architectures": ["MapleForCausalLM"], "model_type": "maple", **config}, tensors=tensors, dtype=dtype)
