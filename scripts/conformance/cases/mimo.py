"""MiMo V2. transformers has the first one's class, whose tensors have other names than those that were published."""

from checkpoint import case

BASE = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 24, "v_head_dim": 16, "swa_head_dim": 24, "swa_num_attention_heads": 8, "swa_num_key_value_heads": 8, "swa_v_head_dim": 16,
        "hybrid_layer_pattern": [0, 1, 1], "sliding_window": 128, "topk_method": "noaux_tc", "scoring_func": "sigmoid", "n_group": 1, "topk_group": 1,
        "n_routed_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True, "routed_scaling_factor": None,
        "layernorm_epsilon": 1e-6, "max_position_embeddings": 4096, "rope_theta": 5e6, "swa_rope_theta": 1e4, "partial_rotary_factor": 0.334,
        "attention_value_scale": 0.707}
FP8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}


def fp8(name, rows, columns, lines=None):
    return [(f"{name}.weight", [rows, columns], "f8_e4m3"),
            (f"{name}.weight_scale_inv", [lines or -(-rows // 128), -(-columns // 128)], "f32")]


def mlp(at, width, matrix):
    return [t for part, shape in (("gate", (width, 64)), ("up", (width, 64)), ("down", (64, width))) for t in matrix(f"{at}.{part}_proj", *shape)]


def plain(name, *shape):
    return [(f"{name}.weight", list(shape))]


def attention(at, window, joined=0, matrix=plain):
    kv = 8 if window else 4
    if joined:
        rows = 8 * 24 + kv * (24 + 16)
        yield from fp8(f"{at}.qkv_proj", rows, 64, joined * -(-(rows // joined) // 128))
    else:
        yield from matrix(f"{at}.q_proj", 192, 64)
        yield from matrix(f"{at}.k_proj", kv * 24, 64)
        yield from matrix(f"{at}.v_proj", kv * 16, 64)
    yield from matrix(f"{at}.o_proj", 64, 128)
    if window:
        yield f"{at}.attention_sink_bias", [8]


def tensors(windows=(0, 1, 1), joined=0, matrix=plain, packed=False, experts=3, predicts=3, dense=1):
    def norms(at):
        return [(f"{at}.input_layernorm.weight", [64]), (f"{at}.post_attention_layernorm.weight", [64])]
    for number, window in enumerate(windows):
        at = f"model.layers.{number}"
        yield from norms(at)
        yield from attention(f"{at}.self_attn", window, joined, matrix)
        if number < dense:
            yield from mlp(f"{at}.mlp", 96, matrix)
            continue
        yield f"{at}.mlp.gate.weight", [experts, 64]
        yield f"{at}.mlp.gate.e_score_correction_bias", [experts], "f32"
        for expert in range(experts):
            name = f"{at}.mlp.experts.{expert}"
            if not packed:
                yield from mlp(name, 32, matrix)
                continue
            for part, rows, columns in (("gate", 32, 64), ("up", 32, 64), ("down", 64, 32)):
                yield f"{name}.{part}_proj.weight", [rows, columns // 2], "u8"
                yield f"{name}.{part}_proj.weight_scale", [rows, columns // 32], "u8"
    for number in range(predicts):
        at = f"model.mtp.layers.{number}"
        yield from norms(at)
        yield from attention(f"{at}.self_attn", 1, joined, matrix)
        yield from mlp(f"{at}.mlp", 96, matrix)
        yield from plain(f"{at}.eh_proj", 64, 128)
        for norm in ("enorm", "hnorm", "final_layernorm"):
            yield f"{at}.{norm}.weight", [64]
    yield "model.embed_tokens.weight", [40, 64]
    yield "model.norm.weight", [64]
    yield "lm_head.weight", [40, 64]


def cases():
    def mimo(id, config=None, given=None, arch="MiMoV2ForCausalLM", model_type="mimo_v2", **more):
        config = {"architectures": [arch], "model_type": model_type, **BASE, **(config or {})}
        return case(id, {k: v for k, v in config.items() if v is not ...}, tensors=list(given or tensors()), **more)

    flash = ("MiMoV2FlashForCausalLM", "mimo_v2_flash")
    flat = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "partial_rotary_factor": 0.5}, "partial_rotary_factor": ..., "rope_theta": ...}
    only = ["--outtype auto --mtp", "--outtype auto --no-nextn", "--outtype q8_0"]

    yield mimo("mimo2", also=only)
    yield mimo("mimo2-fp8", {"quantization_config": FP8}, tensors(joined=8, matrix=fp8), also=[*only, "--outtype auto --fp8-as-q8"])
    yield mimo("mimo2-mxfp4", {"quantization_config": {**FP8, "store_dtype": "mxfp4"}, "attention_value_scale": None},
               tensors(joined=4, matrix=fp8, packed=True), dtype="f16", also=["--outtype f32 --no-nextn --outfile @out"])
    yield mimo("mimo2-f32", {"hybrid_layer_pattern": [1, 0, 1], "layernorm_epsilon": ..., "attention_value_scale": ...},
               tensors((1, 0, 1), dense=0), dtype="f32")
    yield mimo("mimo2-flash", flat, None, *flash)
    yield mimo("mimo2-flash-f16", {**flat, "sliding_window": ..., "sliding_window_size": 64, "max_position_embeddings": ..., "moe_intermediate_size": 2048,
                                   "n_group": ..., "norm_topk_prob": ...},
               [(t[0], [2048 if n == 32 else n for n in t[1]], *t[2:]) if ".experts." in t[0] else t for t in tensors()], *flash, dtype="f16")
    yield mimo("mimo2-flash-f32", {**flat, "layer_types": ["full_attention"] * 3, "mlp_layer_types": ["sparse"] * 3}, tensors(dense=0, experts=3), *flash,
               dtype="f32")
    yield mimo("mimo2-flash-by-layer", {"rope_theta": ..., "partial_rotary_factor": ...}, None, *flash, refused=True)
    yield mimo("mimo2-other-heads", {"swa_num_attention_heads": 4}, refused=True)
    yield mimo("mimo2-four-predict", given=tensors(predicts=4), refused=True)
    yield mimo("mimo2-ranks", {"quantization_config": FP8}, [t if "qkv_proj.weight_scale" not in t[0] else (t[0], [3, 1], "f32") for t in tensors(joined=8)],
               refused=True)
    yield mimo("mimo2-mxfp4-64", {"quantization_config": {**FP8, "store_dtype": "mxfp4", "mxfp4_block_size": 64}}, tensors(packed=True), refused=True)
