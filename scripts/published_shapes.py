"""Tensors of published models in state-dict order, from their configurations.

`MODELS` maps a name to a function that gives `(config, tensors, dtype)`: what `config.json` holds, a shape for
each tensor name, and the safetensors dtype. Shapes are outermost dimension first; one of another dtype is a pair with that.
"""

from collections.abc import Callable

Shapes = dict[str, list[int]]
LLAMA3_ROPE = {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
               "original_max_position_embeddings": 8192, "rope_type": "llama3"}


def weights(prefix: str, shapes: Shapes) -> Shapes:
    return {f"{prefix}{name}.weight": shape for name, shape in shapes.items()}


def attention(hidden: int, q: int, kv: int) -> Shapes:
    return {"self_attn.q_proj": [q, hidden], "self_attn.k_proj": [kv, hidden], "self_attn.v_proj": [kv, hidden],
            "self_attn.o_proj": [hidden, q]}


def gated(hidden: int, ff: int, prefix: str = "mlp.") -> Shapes:
    return {f"{prefix}gate_proj": [ff, hidden], f"{prefix}up_proj": [ff, hidden], f"{prefix}down_proj": [hidden, ff]}


def llama(hidden, layers, ff, heads, kv, vocab, tied, config, experts=0, norms=("input_layernorm",
          "post_attention_layernorm"), qk_norm=False):
    """Llama, Mistral, Mixtral and OLMo 2."""
    kv_rows = hidden // heads * kv
    if experts:
        mlp = {"block_sparse_moe.gate": [experts, hidden]} | {
            f"block_sparse_moe.experts.{expert}.{name}": shape for expert in range(experts)
            for name, shape in {"w1": [ff, hidden], "w2": [hidden, ff], "w3": [ff, hidden]}.items()}
        config = config | {"num_local_experts": experts}
    else:
        mlp = gated(hidden, ff)
    found = {"model.embed_tokens.weight": [vocab, hidden]}
    for layer in range(layers):
        norm = {"self_attn.q_norm": [hidden], "self_attn.k_norm": [kv_rows]} if qk_norm else {}
        found |= weights(f"model.layers.{layer}.", attention(hidden, hidden, kv_rows) | norm | mlp
                         | {norm: [hidden] for norm in norms})
    found |= {"model.norm.weight": [hidden]}
    if not tied:
        found |= {"lm_head.weight": [vocab, hidden]}
    config = config | {
        "hidden_size": hidden, "num_hidden_layers": layers, "intermediate_size": ff, "num_attention_heads": heads,
        "num_key_value_heads": kv, "vocab_size": vocab, "tie_word_embeddings": tied, "hidden_act": "silu"}
    return config, found, "BF16"


def bloom_560m():
    hidden, layers, vocab = 1024, 24, 250880
    found = {"word_embeddings.weight": [vocab, hidden]}
    both = lambda name, rows, columns: {f"{name}.weight": [rows, columns], f"{name}.bias": [rows]}
    norm = lambda name: {f"{name}.weight": [hidden], f"{name}.bias": [hidden]}
    found |= norm("word_embeddings_layernorm")
    for layer in range(layers):
        h = f"h.{layer}."
        found |= (norm(f"{h}input_layernorm") | both(f"{h}self_attention.query_key_value", 3 * hidden, hidden)
                  | both(f"{h}self_attention.dense", hidden, hidden) | norm(f"{h}post_attention_layernorm")
                  | both(f"{h}mlp.dense_h_to_4h", 4 * hidden, hidden) | both(f"{h}mlp.dense_4h_to_h", hidden, 4 * hidden))
    config = {"architectures": ["BloomForCausalLM"], "model_type": "bloom", "hidden_size": hidden, "n_layer": layers,
              "n_head": 16, "num_attention_heads": 16, "vocab_size": vocab, "layer_norm_epsilon": 1e-5, "n_embed": hidden,
              "seq_length": 2048}
    return config, found | norm("ln_f"), "F16"


def deepseek_v3():
    """92,000 tensors once make_checkpoint.py --fp8 has added scales."""
    hidden, layers, experts, moe, heads, vocab = 7168, 61, 256, 2048, 128, 129280
    found = {"model.embed_tokens.weight": [vocab, hidden]}
    # The last one predicts more tokens and has more to it.
    for layer in range(layers + 1):
        prefix = f"model.layers.{layer}."
        found |= weights(prefix, {
            "self_attn.q_a_proj": [1536, hidden], "self_attn.q_a_layernorm": [1536], "self_attn.q_b_proj": [heads * 192, 1536],
            "self_attn.kv_a_proj_with_mqa": [576, hidden], "self_attn.kv_a_layernorm": [512],
            "self_attn.kv_b_proj": [heads * 256, 512], "self_attn.o_proj": [hidden, heads * 128],
            "input_layernorm": [hidden], "post_attention_layernorm": [hidden]})
        if layer < 3:
            found |= weights(prefix, gated(hidden, 18432))
            continue
        for expert in range(experts):
            found |= weights(f"{prefix}mlp.experts.{expert}.", gated(hidden, moe, ""))
        found |= weights(prefix, gated(hidden, moe, "mlp.shared_experts.") | {"mlp.gate": [experts, hidden]})
        found |= {f"{prefix}mlp.gate.e_score_correction_bias": [experts]}
    found |= weights(f"model.layers.{layers}.", {
        "embed_tokens": [vocab, hidden], "shared_head.head": [vocab, hidden], "shared_head.norm": [hidden],
        "eh_proj": [hidden, 2 * hidden], "enorm": [hidden], "hnorm": [hidden]})
    config = {
        "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "hidden_size": hidden,
        "num_hidden_layers": layers, "intermediate_size": 18432, "moe_intermediate_size": moe, "num_attention_heads": heads,
        "num_key_value_heads": heads, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": experts, "n_shared_experts": 1,
        "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4, "first_k_dense_replace": 3, "moe_layer_freq": 1,
        "norm_topk_prob": True, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
        "num_nextn_predict_layers": 1, "max_position_embeddings": 163840, "rms_norm_eps": 1e-06, "rope_theta": 10000,
        "rope_scaling": {"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0,
                         "original_max_position_embeddings": 4096},
        "hidden_act": "silu", "tie_word_embeddings": False, "vocab_size": vocab, "bos_token_id": 0, "eos_token_id": 1}
    return config, found | weights("", {"model.norm": [hidden], "lm_head": [vocab, hidden]}), "BF16"


def gpt2_medium():
    """Its matrices are stored as their transposes; the causal masks among its tensors, which nobody reads, are left out."""
    hidden, layers = 1024, 24
    found = {"wte.weight": [50257, hidden], "wpe.weight": [1024, hidden]}
    norm = lambda name: {f"{name}.weight": [hidden], f"{name}.bias": [hidden]}
    matrix = lambda name, rows, columns: {f"{name}.weight": [rows, columns], f"{name}.bias": [columns]}
    for layer in range(layers):
        h = f"h.{layer}."
        found |= (norm(f"{h}ln_1") | matrix(f"{h}attn.c_attn", hidden, 3 * hidden) | matrix(f"{h}attn.c_proj", hidden, hidden)
                  | norm(f"{h}ln_2") | matrix(f"{h}mlp.c_fc", hidden, 4 * hidden) | matrix(f"{h}mlp.c_proj", 4 * hidden, hidden))
    config = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": hidden, "n_layer": layers, "n_head": 16,
              "n_ctx": 1024, "n_positions": 1024, "vocab_size": 50257, "layer_norm_epsilon": 1e-05}
    return config, found | norm("ln_f"), "F32"


def glm_106b():
    """GLM-4.5-Air, whose finetunes include GLM-Steam-106B."""
    hidden, layers, experts, moe, vocab = 4096, 46, 128, 1408, 151552
    q, kv = 96 * 128, 8 * 128
    found = {"model.embed_tokens.weight": [vocab, hidden]}
    for layer in range(layers + 1):
        l = f"model.layers.{layer}."
        found |= weights(l, attention(hidden, q, kv))
        found |= {f"{l}self_attn.{name}_proj.bias": [rows] for name, rows in (("q", q), ("k", kv), ("v", kv))}
        if layer == 0:
            found |= weights(l, gated(hidden, 10944))
        else:
            for expert in range(experts):
                found |= weights(l, gated(hidden, moe, f"mlp.experts.{expert}."))
            found |= {f"{l}mlp.gate.weight": [experts, hidden], f"{l}mlp.gate.e_score_correction_bias": [experts]}
            found |= weights(l, gated(hidden, moe, "mlp.shared_experts."))
        found |= weights(l, {"input_layernorm": [hidden], "post_attention_layernorm": [hidden]})
        if layer == layers:
            found |= weights(l, {"eh_proj": [hidden, 2 * hidden], "enorm": [hidden], "hnorm": [hidden],
                                 "shared_head.norm": [hidden]})
    found |= {"model.norm.weight": [hidden], "lm_head.weight": [vocab, hidden]}
    config = {"architectures": ["Glm4MoeForCausalLM"], "model_type": "glm4_moe", "hidden_size": hidden,
              "num_hidden_layers": layers, "num_attention_heads": 96, "num_key_value_heads": 8, "head_dim": 128,
              "intermediate_size": 10944, "moe_intermediate_size": moe, "n_routed_experts": experts,
              "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 1, "attention_bias": True,
              "partial_rotary_factor": 0.5, "rope_theta": 1000000, "max_position_embeddings": 131072, "n_group": 1,
              "topk_group": 1, "norm_topk_prob": True, "routed_scaling_factor": 1.0, "use_qk_norm": False,
              "num_nextn_predict_layers": 1, "rms_norm_eps": 1e-5, "vocab_size": vocab}
    return config, found, "BF16"


def jamba_mini():
    hidden, layers, experts, ff, vocab, inner, rank, state = 4096, 32, 16, 14336, 65536, 8192, 256, 16
    found = {"model.embed_tokens.weight": [vocab, hidden]}
    for layer in range(layers):
        l = f"model.layers.{layer}."
        if layer % 8 == 4:
            found |= weights(l, attention(hidden, hidden, 1024))
        else:
            found |= {f"{l}mamba.A_log": [inner, state], f"{l}mamba.D": [inner], f"{l}mamba.conv1d.weight": [inner, 1, 4],
                      f"{l}mamba.conv1d.bias": [inner]}
            found |= weights(f"{l}mamba.", {
                "in_proj": [2 * inner, hidden], "x_proj": [rank + 2 * state, inner], "dt_proj": [inner, rank],
                "out_proj": [hidden, inner], "dt_layernorm": [rank], "b_layernorm": [state], "c_layernorm": [state]})
            found |= {f"{l}mamba.dt_proj.bias": [inner]}
        if layer % 2 == 1:
            found |= {f"{l}feed_forward.router.weight": [experts, hidden]}
            for expert in range(experts):
                found |= weights(l, gated(hidden, ff, f"feed_forward.experts.{expert}."))
        else:
            found |= weights(l, gated(hidden, ff, "feed_forward."))
        found |= weights(l, {"input_layernorm": [hidden], "pre_ff_layernorm": [hidden]})
    found |= {"model.final_layernorm.weight": [hidden], "lm_head.weight": [vocab, hidden]}
    config = {"architectures": ["JambaForCausalLM"], "model_type": "jamba", "hidden_size": hidden, "num_hidden_layers": layers,
              "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": ff, "num_experts": experts,
              "num_experts_per_tok": 2, "attn_layer_period": 8, "attn_layer_offset": 4, "expert_layer_period": 2,
              "expert_layer_offset": 1, "mamba_d_state": state, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": rank,
              "rms_norm_eps": 1e-6, "vocab_size": vocab, "max_position_embeddings": 262144, "tie_word_embeddings": False}
    return config, found, "BF16"


def nemotron_nano_9b():
    hidden, vocab, ff, inner, groups, state, heads = 4480, 131072, 15680, 10240, 8, 128, 128
    pattern = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"
    found = {"backbone.embeddings.weight": [vocab, hidden]}
    for layer, kind in enumerate(pattern):
        l = f"backbone.layers.{layer}."
        found |= {f"{l}norm.weight": [hidden]}
        conv = inner + 2 * groups * state
        if kind == "M":
            found |= {f"{l}mixer.dt_bias": [heads], f"{l}mixer.A_log": [heads], f"{l}mixer.D": [heads],
                      f"{l}mixer.conv1d.weight": [conv, 1, 4], f"{l}mixer.conv1d.bias": [conv]}
            found |= weights(f"{l}mixer.", {"in_proj": [inner + conv + heads, hidden], "norm": [inner],
                                            "out_proj": [hidden, inner]})
        elif kind == "*":
            found |= weights(f"{l}mixer.", {"q_proj": [5120, hidden], "k_proj": [1024, hidden], "v_proj": [1024, hidden],
                                            "o_proj": [hidden, 5120]})
        else:
            found |= weights(f"{l}mixer.", {"up_proj": [ff, hidden], "down_proj": [hidden, ff]})
    found |= {"backbone.norm_f.weight": [hidden], "lm_head.weight": [vocab, hidden]}
    config = {"architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h", "hidden_size": hidden,
              "num_hidden_layers": len(pattern), "hybrid_override_pattern": pattern, "num_attention_heads": 40,
              "num_key_value_heads": 8, "head_dim": 128, "attention_head_dim": 128, "intermediate_size": ff,
              "mamba_num_heads": heads, "mamba_head_dim": 80, "n_groups": groups, "ssm_state_size": state, "conv_kernel": 4,
              "expand": 2, "chunk_size": 128, "layer_norm_epsilon": 1e-5, "rms_norm_eps": 1e-5, "vocab_size": vocab,
              "max_position_embeddings": 131072, "mlp_hidden_act": "relu2", "tie_word_embeddings": False}
    return config, found, "BF16"


def both(prefix: str, shapes: Shapes) -> Shapes:
    """Weights and their biases."""
    found = {}
    for name, shape in shapes.items():
        found |= {f"{prefix}{name}.weight": shape, f"{prefix}{name}.bias": shape[:1]}
    return found


def qwen3_vl_8b():
    wide, ff, vocab = 1152, 4304, 151936
    found = {"model.language_model.embed_tokens.weight": [vocab, 4096]}
    for layer in range(36):
        found |= weights(f"model.language_model.layers.{layer}.", attention(4096, 4096, 1024) | gated(4096, 12288) | {
            "self_attn.q_norm": [128], "self_attn.k_norm": [128], "input_layernorm": [4096], "post_attention_layernorm": [4096]})
    found |= {"model.language_model.norm.weight": [4096]}
    for layer in range(27):
        found |= both(f"model.visual.blocks.{layer}.", {
            "attn.qkv": [3 * wide, wide], "attn.proj": [wide, wide], "mlp.linear_fc1": [ff, wide], "mlp.linear_fc2": [wide, ff],
            "norm1": [wide], "norm2": [wide]})
    merged = {"linear_fc1": [4 * wide, 4 * wide], "linear_fc2": [4096, 4 * wide]}
    for number in range(3):
        found |= both(f"model.visual.deepstack_merger_list.{number}.", merged | {"norm": [4 * wide]})
    found |= both("model.visual.merger.", merged | {"norm": [wide]}) | both("model.visual.patch_embed.", {"proj": [wide, 3, 2, 16, 16]})
    found |= {"model.visual.pos_embed.weight": [2304, wide], "lm_head.weight": [vocab, 4096]}
    config = {"architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "tie_word_embeddings": False,
              "text_config": {"hidden_size": 4096, "num_hidden_layers": 36, "intermediate_size": 12288, "num_attention_heads": 32,
                              "num_key_value_heads": 8, "head_dim": 128, "vocab_size": vocab, "rms_norm_eps": 1e-6,
                              "max_position_embeddings": 262144, "rope_theta": 5000000, "model_type": "qwen3_vl_text",
                              "rope_scaling": {"mrope_interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"}},
              "vision_config": {"depth": 27, "hidden_size": wide, "intermediate_size": ff, "num_heads": 16, "patch_size": 16,
                                "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 4096, "num_position_embeddings": 2304,
                                "deepstack_visual_indexes": [8, 16, 24], "model_type": "qwen3_vl"}}
    return config, found, "BF16"


def gemma_3_4b():
    hidden, wide, ff, vocab = 2560, 1152, 4304, 262208
    found = {"language_model.model.embed_tokens.weight": [vocab, hidden]}
    for layer in range(34):
        found |= weights(f"language_model.model.layers.{layer}.", attention(hidden, 2048, 1024) | gated(hidden, 10240) | {
            "self_attn.q_norm": [256], "self_attn.k_norm": [256], "input_layernorm": [hidden], "post_attention_layernorm": [hidden],
            "pre_feedforward_layernorm": [hidden], "post_feedforward_layernorm": [hidden]} | {"self_attn.o_proj": [hidden, 2048]})
    found |= {"language_model.model.norm.weight": [hidden], "multi_modal_projector.mm_input_projection_weight": [wide, hidden],
              "multi_modal_projector.mm_soft_emb_norm.weight": [wide]}
    tower = "vision_tower.vision_model."
    found |= both(f"{tower}embeddings.", {"patch_embedding": [wide, 3, 14, 14]}) | {f"{tower}embeddings.position_embedding.weight": [4096, wide]}
    for layer in range(27):
        found |= both(f"{tower}encoder.layers.{layer}.", {f"self_attn.{part}": [wide, wide] for part in ("q_proj", "k_proj", "v_proj", "out_proj")} | {
            "layer_norm1": [wide], "layer_norm2": [wide], "mlp.fc1": [ff, wide], "mlp.fc2": [wide, ff]})
    found |= both(tower, {"post_layernorm": [wide]})
    config = {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "mm_tokens_per_image": 256,
              "text_config": {"hidden_size": hidden, "num_hidden_layers": 34, "intermediate_size": 10240, "model_type": "gemma3_text",
                              "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
              "vision_config": {"hidden_size": wide, "intermediate_size": ff, "num_hidden_layers": 27, "num_attention_heads": 16, "image_size": 896,
                                "patch_size": 14, "model_type": "siglip_vision_model", "vision_use_head": False}}
    return config, found, "BF16"


def fp8(name: str, rows: int, columns: int, scales: str = "F32", suffix: str = "weight_scale_inv") -> Shapes:
    return {f"{name}.weight": ("F8_E4M3", [rows, columns]), f"{name}.{suffix}": (scales, [-(-rows // 128), -(-columns // 128)])}


def minimax_m2():
    hidden, layers, experts, ff, vocab = 3072, 62, 256, 1536, 200064
    found = {"model.embed_tokens.weight": [vocab, hidden]}
    for layer in range(layers):
        l = f"model.layers.{layer}."
        for name, shape in attention(hidden, 48 * 128, 8 * 128).items():
            found |= fp8(f"{l}{name}", *shape)
        moe = f"{l}block_sparse_moe."
        found |= {f"{moe}gate.weight": ("F32", [experts, hidden]), f"{moe}e_score_correction_bias": ("F32", [experts])}
        for expert in range(experts):
            for name, shape in (("w1", [ff, hidden]), ("w2", [hidden, ff]), ("w3", [ff, hidden])):
                found |= fp8(f"{moe}experts.{expert}.{name}", *shape)
        found |= weights(l, {"self_attn.q_norm": [48 * 128], "self_attn.k_norm": [8 * 128], "input_layernorm": [hidden],
                             "post_attention_layernorm": [hidden]})
    found |= {"model.norm.weight": [hidden], "lm_head.weight": [vocab, hidden]}
    config = {"architectures": ["MiniMaxM2ForCausalLM"], "model_type": "minimax_m2", "hidden_size": hidden, "num_hidden_layers": layers,
              "intermediate_size": ff, "num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128, "num_local_experts": experts,
              "num_experts_per_tok": 8, "rotary_dim": 64, "rope_theta": 5000000, "max_position_embeddings": 196608, "rms_norm_eps": 1e-6,
              "scoring_func": "sigmoid", "vocab_size": vocab, "tie_word_embeddings": False,
              "quantization_config": {"quant_method": "fp8", "fmt": "float8_e4m3fn", "weight_block_size": [128, 128]}}
    return config, found, "BF16"


def in_bf16(config: dict, found: Shapes, dtype: str):
    """The same without scales and in one type, as others publish it again."""
    config = {key: value for key, value in config.items() if key != "quantization_config"}
    return config, {name: shape[1] if isinstance(shape, tuple) else shape for name, shape in found.items() if "scale_inv" not in name}, dtype


def deepseek_v4_flash():
    hidden, layers, experts, ff, vocab, head, rank = 4096, 43, 256, 2048, 129280, 512, 1024
    ratios = [0, 0] + [4, 128] * 20 + [4, 0]
    scaled = lambda name, rows, columns: fp8(name, rows, columns, "F8_E8M0", "scale")
    float32 = lambda found: {name: ("F32", shape) for name, shape in found.items()}
    found = {"embed.weight": [vocab, hidden], "norm.weight": [hidden], "head.weight": [vocab, hidden]}
    found |= float32({"hc_head_fn": [4, 4 * hidden], "hc_head_base": [4], "hc_head_scale": [1]})
    for layer in range(layers):
        l, attn, ffn, ratio = f"layers.{layer}.", f"layers.{layer}.attn.", f"layers.{layer}.ffn.", ratios[layer]
        found |= weights(l, {"attn_norm": [hidden], "ffn_norm": [hidden], "attn.q_norm": [rank], "attn.kv_norm": [head]})
        for part in ("attn", "ffn"):
            found |= float32({f"{l}hc_{part}_fn": [24, 4 * hidden], f"{l}hc_{part}_base": [24], f"{l}hc_{part}_scale": [3]})
        for name, shape in {"wq_a": [rank, hidden], "wq_b": [64 * head, rank], "wkv": [head, hidden], "wo_a": [8 * rank, 8 * head],
                            "wo_b": [hidden, 8 * rank]}.items():
            found |= scaled(f"{attn}{name}", *shape)
        found |= float32({f"{attn}attn_sink": [64]})
        for part, width in ((attn, head), (f"{attn}indexer.", 128)):
            if not ratio or (part != attn and ratio != 4):
                continue
            twice = width * (2 if ratio == 4 else 1)
            found |= float32({f"{part}compressor.ape": [ratio, twice]})
            found |= weights(f"{part}compressor.", {"wkv": [twice, hidden], "wgate": [twice, hidden], "norm": [width]})
        if ratio == 4:
            found |= scaled(f"{attn}indexer.wq_b", 64 * 128, rank) | weights(f"{attn}indexer.", {"weights_proj": [64, hidden]})
        found |= {f"{ffn}gate.weight": [experts, hidden]}
        found |= {f"{ffn}gate.tid2eid": ("I64", [vocab, 6])} if layer < 3 else float32({f"{ffn}gate.bias": [experts]})
        for name, (rows, columns) in {"w1": (ff, hidden), "w2": (hidden, ff), "w3": (ff, hidden)}.items():
            found |= scaled(f"{ffn}shared_experts.{name}", rows, columns)
            for expert in range(experts):
                one = f"{ffn}experts.{expert}.{name}."
                found |= {f"{one}weight": ("I8", [rows, columns // 2]), f"{one}scale": ("F8_E8M0", [rows, columns // 32])}
    config = {"architectures": ["DeepseekV4ForCausalLM"], "model_type": "deepseek_v4", "hidden_size": hidden, "moe_intermediate_size": ff,
              "num_hidden_layers": layers, "num_attention_heads": 64, "num_key_value_heads": 1, "head_dim": head, "qk_rope_head_dim": 64,
              "q_lora_rank": rank, "o_lora_rank": rank, "o_groups": 8, "n_routed_experts": experts, "n_shared_experts": 1, "num_experts_per_tok": 6,
              "compress_ratios": ratios, "compress_rope_theta": 160000, "num_hash_layers": 3, "swiglu_limit": 10.0, "sliding_window": 128,
              "vocab_size": vocab, "rope_theta": 10000, "max_position_embeddings": 1048576, "rms_norm_eps": 1e-6,
              "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 65536, "beta_fast": 32, "beta_slow": 1},
              "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "scale_fmt": "ue8m0", "weight_block_size": [128, 128]}}
    return config, found, "BF16"


def kimi_k3():
    hidden, layers, experts, ff, latent, vocab, inner = 7168, 93, 896, 3072, 3584, 163840, 96 * 128
    full = [layer for layer in range(1, layers + 1) if layer % 4 == 0 or layer == layers]
    l = "language_model.model."
    found = {f"{l}embed_tokens.weight": [vocab, hidden]}
    for layer in range(layers):
        at = f"{l}layers.{layer}."
        found |= weights(at, {"input_layernorm": [hidden], "post_attention_layernorm": [hidden], "self_attn.g_proj": [inner, hidden],
                              "self_attn.o_proj": [hidden, inner]})
        for part in ("self_attention_res", "mlp_res"):
            found |= weights(at, {f"{part}_norm": [hidden], f"{part}_proj": [1, hidden]})
        if layer + 1 in full:
            found |= weights(f"{at}self_attn.", {"q_a_proj": [1536, hidden], "q_a_layernorm": [1536], "q_b_proj": [96 * 192, 1536],
                                                 "kv_a_proj_with_mqa": [576, hidden], "kv_a_layernorm": [512], "kv_b_proj": [96 * 256, 512]})
        else:
            found |= weights(f"{at}self_attn.", {f"{part}_proj": [inner, hidden] for part in "qkv"} | {
                f"{part}_conv1d": [inner, 1, 4] for part in "qkv"} | {
                "f_a_proj": [128, hidden], "f_b_proj": [inner, 128], "b_proj": [96, hidden], "o_norm": [128]})
            found |= {f"{at}self_attn.A_log": ("F32", [128]), f"{at}self_attn.dt_bias": ("F32", [inner])}
        if not layer:
            found |= weights(at, gated(hidden, 33792))
            continue
        moe = f"{at}block_sparse_moe."
        found |= weights(moe, {"gate": [experts, hidden], "routed_expert_down_proj": [latent, hidden],
                               "routed_expert_up_proj": [hidden, latent], "routed_expert_norm": [latent]} | gated(hidden, 2 * ff, "shared_experts."))
        found |= {f"{moe}gate.e_score_correction_bias": ("F32", [experts])}
        for expert in range(experts):
            for name, (rows, columns) in (("w1", (ff, latent)), ("w2", (latent, ff)), ("w3", (ff, latent))):
                one = f"{moe}experts.{expert}.{name}.weight"
                found |= {f"{one}_packed": ("U8", [rows, columns // 2]), f"{one}_scale": ("U8", [rows, columns // 32])}
    found |= weights(l, {"norm": [hidden], "output_attn_res_norm": [hidden], "output_attn_res_proj": [1, hidden]})
    found |= {"language_model.lm_head.weight": [vocab, hidden]}
    text = {"model_type": "kimi_linear", "hidden_size": hidden, "intermediate_size": 33792, "num_hidden_layers": layers, "num_attention_heads": 96,
            "num_key_value_heads": 96, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
            "mla_use_nope": True, "linear_attn_config": {"full_attn_layers": full, "num_heads": 96, "head_dim": 128, "short_conv_kernel_size": 4,
                                                         "gate_lower_bound": -5.0},
            "moe_intermediate_size": ff, "num_experts": experts, "num_experts_per_token": 16, "num_shared_experts": 2, "first_k_dense_replace": 1,
            "routed_scaling_factor": 1.0, "moe_renormalize": True, "moe_router_activation_func": "sigmoid", "routed_expert_hidden_size": latent,
            "hidden_act": "situ", "activation_situ_beta": 4.0, "activation_situ_linear_beta": 25.0, "attn_res_block_size": 12,
            "rms_norm_eps": 1e-5, "max_position_embeddings": 1048576, "vocab_size": vocab,
            "quantization_config": {"quant_method": "compressed-tensors", "format": "mxfp4-pack-quantized"}}
    return {"architectures": ["KimiK3ForConditionalGeneration"], "model_type": "kimi_k3", "text_config": text}, found, "BF16"


MODELS: dict[str, Callable[[], tuple[dict, Shapes, str]]] = {
    "llama-3.2-1b": lambda layers=16: llama(2048, layers, 8192, 32, 8, 128256, True, {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "head_dim": 64, "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "rope_scaling": LLAMA3_ROPE, "bos_token_id": 128000,
        "eos_token_id": 128001}),
    "mistral-7b-v0.1": lambda layers=32: llama(4096, layers, 14336, 32, 8, 32000, False, {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096, "bos_token_id": 1, "eos_token_id": 2}),
    "olmo-2-32b": lambda: llama(5120, 64, 27648, 40, 8, 100352, False, {
        "architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2", "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-06, "rope_theta": 500000.0},
        norms=("post_attention_layernorm", "post_feedforward_layernorm"), qk_norm=True),
    "llama-405b": lambda layers=126: llama(16384, layers, 53248, 128, 8, 128256, False, {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "head_dim": 128, "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "rope_scaling": LLAMA3_ROPE, "bos_token_id": 128000,
        "eos_token_id": 128001}),
    "deepseek-v3": deepseek_v3,
    "bloom-560m": bloom_560m,
    "gpt2-medium": gpt2_medium,
    "glm-106b": glm_106b,
    "gemma-3-4b": gemma_3_4b,
    "jamba-mini": jamba_mini,
    "deepseek-v4-flash": deepseek_v4_flash,
    "kimi-k3": kimi_k3,
    "minimax-m2": minimax_m2,
    "minimax-m2-bf16": lambda: in_bf16(*minimax_m2()),
    "nemotron-nano-9b-v2": nemotron_nano_9b,
    "qwen3-vl-8b": qwen3_vl_8b,
    # What takes memory, if anything does: the whole model, and a single matrix (3.4 GB, twice).
    "llama-100gb": lambda layers=99: llama(5120, layers, 27648, 40, 8, 128256, False, {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-06, "rope_theta": 500000.0, "bos_token_id": 128000, "eos_token_id": 128001}),
    "llama-wide": lambda: llama(40960, 1, 64, 320, 1, 512, True, {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-06, "rope_theta": 500000.0}),
    # A terabyte in 90,000 tensors: what a plan costs.
    "mixtral-1tb": lambda layers=60: llama(2048, layers, 2688, 32, 8, 128256, False, {
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-06, "rope_theta": 500000.0, "num_experts_per_tok": 8, "bos_token_id": 128000,
        "eos_token_id": 128001}, experts=500),
    "llama-1gb": lambda layers=6: llama(2048, layers, 8192, 32, 8, 128256, True, {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-06, "rope_theta": 500000.0}),
}
