"""Changes to config.json: sizes, defaults left out, nulls, kinds of rope scaling."""

import copy

# Values that a size or a number may take. What a class does not take is noticed when it is built, and tried otherwise.
NUMBERS = {
    "num_hidden_layers": [1, 2, 3, 5], "n_layer": [1, 3], "num_layers": [1, 2, 3], "n_layers": [1, 3],
    "num_attention_heads": [1, 2, 4, 8], "n_head": [2, 4, 8], "num_heads": [2, 4, 8],
    "num_key_value_heads": [1, 2, 4], "head_dim": [8, 16, 32, 64], "hidden_size": [32, 64, 128], "n_embd": [32, 64, 128],
    "intermediate_size": [32, 64, 96, 100, 256], "moe_intermediate_size": [32, 48, 64], "d_ff": [64, 96, 160],
    "num_local_experts": [2, 3, 4, 8], "num_experts": [2, 3, 4, 8], "n_routed_experts": [2, 4, 8],
    "num_experts_per_tok": [1, 2, 3], "max_position_embeddings": [32, 512, 2048, 131072], "sliding_window": [16, 128, 4096],
    "n_positions": [32, 512], "rope_theta": [1e4, 5e5, 1234567.5], "rms_norm_eps": [1e-5, 1e-6, 1e-12, 3e-7],
    "layer_norm_eps": [1e-5, 1e-12], "layer_norm_epsilon": [1e-5, 1e-6], "norm_eps": [1e-5, 1e-8],
    "partial_rotary_factor": [0.25, 0.5, 0.75, 1.0], "rotary_pct": [0.25, 0.5, 1.0], "kv_lora_rank": [16, 32],
    "q_lora_rank": [16, 32], "qk_rope_head_dim": [8, 16], "v_head_dim": [16, 32], "first_k_dense_replace": [0, 1],
    "routed_scaling_factor": [1.0, 2.5], "final_logit_softcapping": [15.0, 30.0], "attn_logit_softcapping": [50.0],
    "logit_scale": [0.0625, 1.0], "embedding_multiplier": [1.0, 12.0], "residual_multiplier": [0.22, 1.0],
    "n_group": [1, 2], "topk_group": [1], "shared_expert_intermediate_size": [32, 64], "query_pre_attn_scalar": [16, 144],
    "conv_kernel": [2, 4], "state_size": [8, 16], "n_groups": [1, 2], "vocab_size": [50, 60000, 200000],
    "depth": [1, 2, 4], "embed_dim": [32, 64], "num_channels": [3], "image_size": [16, 32, 56, 224], "patch_size": [2, 4, 8, 14],
    "spatial_merge_size": [1, 2], "num_mel_bins": [16, 80, 128], "d_model": [32, 64], "encoder_layers": [1, 2, 4],
    "encoder_attention_heads": [1, 2, 4], "encoder_ffn_dim": [48, 64], "hidden_dim": [32, 64], "feedforward_mult": [1, 2, 4],
    "conv_kernel_size": [3, 5, 15], "mlp_ratio": [1, 2, 4], "num_position_embeddings": [16, 64, 2304], "input_feat_size": [16, 128],
    "num_nextn_predict_layers": [0, 1], "shared_intermediate_size": [32, 48, 64], "type_vocab_size": [1, 2],
}
FLAGS = ["tie_word_embeddings", "attention_bias", "mlp_bias", "use_cache", "norm_topk_prob", "use_qkv_bias", "bias",
         "use_parallel_residual", "qkv_bias", "add_bias_linear", "use_bias", "attention_out_bias", "qk_layernorm"]
# Keys that a file may have besides.
EXTRA = {
    "bos_token_id": [0, 1, 2, [1, 2], None], "eos_token_id": [0, 2, 7, [2, 3], None], "pad_token_id": [0, 5, None, -1],
    "unk_token_id": [0, 3], "n_ctx": [77], "model_max_length": [333], "max_length": [20], "is_causal": [False, True],
    "rope_theta": [10000, 250000.0], "head_dim": [16, 32, None], "sliding_window": [None, 64], "layer_types": [None],
    "_name_or_path": ["someone/model-7b", "./local"], "scoring_func": ["sigmoid", "softmax"], "n_kv_heads": [1, 2],
    "num_experts_per_token": [2], "norm_eps": [1e-5], "expert_gating_func": [2], "transformers_version": ["4.40.0"],
    "torch_dtype": ["float32", "bfloat16", None], "use_sliding_window": [True, False], "max_window_layers": [1],
    "rms_norm_eps": [1e-6], "quantization_config": [None], "rope_scaling": [None], "attention_factor": [1.2],
}


def ropes(rng) -> dict:
    """A kind of rope scaling, as files spell it."""
    half = rng.choice([4, 8, 16])
    factors = {"short_factor": [1.0 + i / 8 for i in range(half)], "long_factor": [1.0 + i for i in range(half)]}
    kind, values = rng.choice([
        ("linear", {"factor": rng.choice([2, 2.0, 4.5])}), ("dynamic", {"factor": 2.0}), ("default", {}),
        ("yarn", {"factor": rng.choice([4.0, 32]), "original_max_position_embeddings": 512}),
        ("yarn", {"factor": 8.0, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1.0,
                  "attention_factor": 1.5, "mscale": 1.0, "mscale_all_dim": rng.choice([0.5, 1.0])}),
        ("llama3", {"factor": rng.choice([8.0, 32.0]), "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": rng.choice([256, 8192])}),
        ("longrope", factors | {"original_max_position_embeddings": 128}), ("su", factors), ("longrope", factors),
        ("mrope", {"mrope_section": rng.choice([[2, 3, 3], [1, 1, 2], [4, 4]])}),
    ])
    values = dict(values)
    if rng.random() < 0.2 and values:
        values.pop(rng.choice(list(values)))
    names = rng.choice([["rope_type"], ["type"], ["type", "rope_type"]])
    return {name: kind for name in names} | values


def text(config: dict) -> dict:
    """The part of a configuration that describes the language model."""
    return config["text_config"] if isinstance(config.get("text_config"), dict) else config


def section(rng, case: dict):
    """Where to change things: a function from a configuration to a part of it."""
    config = case["config"]
    parts = [key for key, value in config.items() if isinstance(value, dict) and key.endswith(("config", "encoder"))]
    if not case["mmproj"] or not parts or rng.random() < 0.1:
        return text
    key = rng.choice(parts)
    return lambda config: config.setdefault(key, {})


def images(rng, case: dict) -> tuple[dict, list[str]]:
    """The case with another preprocessor_config.json, and what was done."""
    name = "preprocessor_config.json"
    settings = copy.deepcopy(case["files"].get(name) or {})
    key, value = rng.choice([
        ("image_mean", [0.48, 0.46, 0.41]), ("image_mean", [0, 0, 0]), ("image_mean", [0.5, 1, 0.5]), ("image_std", None), ("image_std", []),
        ("size", {"height": 448, "width": 448}), ("size", {"longest_edge": 512}), ("image_mean", 0.5), ("min_pixels", 3136),
        ("max_pixels", 1003520), ("media_proc_cfg", {"image_mean": [0.1, 0.2, 0.3], "patch_size": 16}), ("image_seq_length", 64),
        ("do_resize", True), ("image_std", [1e-3, 1.5, 1e10]),
    ])
    if settings and rng.random() < 0.2:
        key = rng.choice(list(settings))
        del settings[key]
        value = "gone"
    else:
        settings[key] = value
    case["files"] = {**case["files"], rng.choice([name, name, "processor_config.json"]): settings}
    return case, [f"images: {key}={value}"]


def changed(rng, case: dict) -> tuple[dict, list[str]]:
    """The case with another configuration, and what was done."""
    case, done = copy.deepcopy(case), []
    before = copy.deepcopy(case["config"])
    text = section(rng, case)
    config = text(case["config"])
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        known = [k for k in config if k in NUMBERS]
        if known:
            key = rng.choice(known)
            config[key] = rng.choice(NUMBERS[key])
            done.append(f"{key}={config[key]}")
    if rng.random() < 0.3:
        key = rng.choice(FLAGS)
        config[key] = rng.random() < 0.5
        done.append(f"{key}={config[key]}")
    # From here on tensors stay those of the settings so far.
    if case["tensors"] is None:
        first, source = case["build"] if isinstance(case["build"], (tuple, list)) else (case["build"], case["config"])
        if source is not case["config"]:
            before_text, source = text(before), copy.deepcopy(source)
            new = {k: v for k, v in config.items() if k not in before_text or before_text[k] != v}
            text(source).update({k: v for k, v in new.items()})
        case["build"] = (first or case["config"]["architectures"][0], copy.deepcopy(source))
    for _ in range(rng.choice([0, 0, 1, 2])):
        what = rng.random()
        if what < 0.4 and len(config) > 4:
            key = rng.choice([k for k in config if k not in ("architectures", "model_type")])
            del config[key]
            done.append(f"no {key}")
        elif what < 0.55:
            key = rng.choice([k for k in config if k not in ("architectures", "model_type")] or ["use_cache"])
            config[key] = None
            done.append(f"{key}=null")
        else:
            key = rng.choice(list(EXTRA))
            config[key] = rng.choice(EXTRA[key])
            done.append(f"{key}={config[key]}")
    if rng.random() < 0.3:
        key = "rope_scaling" if rng.random() < 0.8 else "rope_parameters"
        config[key] = ropes(rng)
        if key == "rope_parameters" and rng.random() < 0.7:
            config[key]["rope_theta"] = 5e5
        done.append(f"{key}={config[key]}")
    return case, done
