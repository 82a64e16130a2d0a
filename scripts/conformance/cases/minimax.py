"""MiniMax."""

import re
from itertools import product

from checkpoint import ROWS, case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6,
         "num_local_experts": 4, "num_experts_per_tok": 2}


FIRST = {"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
         "head_dim": 16, "rotary_dim": 8, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000000,
         "num_local_experts": 4, "num_experts_per_tok": 2, "attn_type_list": [0, 0, 1],
         **{f"layernorm_{part}_{scale}": value for part in ("full_attention", "linear_attention", "mlp")
            for scale, value in (("alpha", 3.5565588200778455), ("beta", 1.0))}}


def index(tensors: list) -> dict:
    """The list of tensors that there is with several files, without which the reference does not look at embeddings."""
    spans = [re.split(r"\{(\d+)-(\d+)\}", name) for name, _ in tensors]
    choices = [[range(int(a), int(b) + 1) for a, b in zip(parts[1::3], parts[2::3])] for parts in spans]
    names = ["".join(str(p) for pair in zip(parts[::3], [*numbers, ""]) for p in pair)
             for parts, ranges in zip(spans, choices) for numbers in product(*ranges)]
    return {"model.safetensors.index.json": {"weight_map": {name: "model.safetensors" for name in names}}}


def first(config: dict) -> list:
    """Tensors of MiniMax 01 and M1, whose code is not part of transformers."""
    at, count = "model.layers.{0-2}", config["num_local_experts"]
    heads = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    return [("model.embed_tokens.weight", [ROWS, 64]), ("model.norm.weight", [64]), ("lm_head.weight", [ROWS, 64]),
            (f"{at}.input_layernorm.weight", [64]), (f"{at}.post_attention_layernorm.weight", [64]),
            (f"{at}.block_sparse_moe.gate.weight", [count, 64]),
            (f"{at}.block_sparse_moe.experts.{{0-{count - 1}}}.w1.weight", [32, 64]),
            (f"{at}.block_sparse_moe.experts.{{0-{count - 1}}}.w2.weight", [64, 32]),
            (f"{at}.block_sparse_moe.experts.{{0-{count - 1}}}.w3.weight", [32, 64]),
            ("model.layers.{0-1}.self_attn.qkv_proj.weight", [3 * heads, 64]), ("model.layers.{0-1}.self_attn.norm.weight", [heads]),
            ("model.layers.{0-1}.self_attn.output_gate.weight", [heads, 64]), ("model.layers.{0-1}.self_attn.out_proj.weight", [64, heads]),
            ("model.layers.2.self_attn.q_proj.weight", [heads, 64]), ("model.layers.2.self_attn.k_proj.weight", [keys, 64]),
            ("model.layers.2.self_attn.v_proj.weight", [keys, 64]), ("model.layers.2.self_attn.o_proj.weight", [64, heads])]


def m3(id, text, arch="MiniMaxM3SparseForConditionalGeneration", **more):
    """Tensors by hand: the class of transformers gives them other names than those of released models."""
    text = {**SMALL, "rotary_dim": 8, "n_shared_experts": 1, "routed_scaling_factor": 2.0, "dense_intermediate_size": 128,
            "shared_intermediate_size": 96, "moe_layer_freq": [0, 1], "sparse_attention_config": {
                "sparse_num_index_heads": 2, "sparse_index_dim": 16, "sparse_topk_blocks": 4, "sparse_block_size": 32,
                "sparse_local_block": 1, "sparse_attention_freq": [0, 1]}, **text}
    inner = "ForConditional" in arch
    config = {"architectures": [arch], "model_type": "minimax_m3_of_old", **({"text_config": text} if inner else text)}
    start, count = "language_model." if inner else "", text["num_local_experts"]
    at, moe = f"{start}model.layers.{{0-1}}", f"{start}model.layers.1.block_sparse_moe"
    attention = [("q_proj", 64), ("k_proj", text["num_key_value_heads"] * 16), ("v_proj", text["num_key_value_heads"] * 16)]
    tensors = [(f"{start}model.embed_tokens.weight", [ROWS, 64]), (f"{start}model.norm.weight", [64]), (f"{start}lm_head.weight", [ROWS, 64]),
               (f"{at}.input_layernorm.weight", [64]), (f"{at}.post_attention_layernorm.weight", [64]),
               *[(f"{at}.self_attn.{name}.weight", [rows, 64]) for name, rows in attention], (f"{at}.self_attn.o_proj.weight", [64, 64]),
               (f"{at}.self_attn.q_norm.weight", [16]), (f"{at}.self_attn.k_norm.weight", [16]),
               *[(f"{start}model.layers.0.mlp.{name}_proj.weight", [128, 64]) for name in ("gate", "up")],
               (f"{start}model.layers.0.mlp.down_proj.weight", [64, 128]), (f"{moe}.gate.weight", [count, 64]),
               (f"{moe}.e_score_correction_bias", [count], "f32"),
               (f"{moe}.experts.{{0-{count - 1}}}.w1.weight", [96, 64]), (f"{moe}.experts.{{0-{count - 1}}}.w2.weight", [64, 96]),
               (f"{moe}.experts.{{0-{count - 1}}}.w3.weight", [96, 64]), *[(f"{start}model.layers.1.self_attn.{name}.weight", shape) for name, shape in (
                   ("index_q_proj", [32, 64]), ("index_k_proj", [16, 64]), ("index_q_norm", [16]), ("index_k_norm", [16]))],
               *[(f"{moe}.shared_experts.{name}_proj.weight", shape) for name, shape in (
                   ("gate", [96, 64]), ("up", [96, 64]), ("down", [64, 96]))]]
    return case(id, config, tensors=tensors, **more)


def cases():
    def m2(id, config, **more):
        return case(id, {"architectures": ["MiniMaxM2ForCausalLM"], "model_type": "minimax_m2", **SMALL, **config}, **more)

    yield m2("minimax-m2", {"rotary_dim": 8, "scoring_func": "sigmoid", "use_routing_bias": True})
    yield m2("minimax-m2-f16", {"rotary_dim": 16, "num_local_experts": 2, "num_key_value_heads": 4, "rope_theta": 1e6}, dtype="f16",
             saved=True)
    yield m2("minimax-m2-f32", {"rotary_dim": 8, "head_dim": 32, "tie_word_embeddings": True, "num_hidden_layers": 3}, dtype="f32")
    yield m2("minimax-m2-no-rotary-dim", {}, refused=True)
    quantized = {"quant_method": "fp8", "fmt": "float8_e4m3fn", "weight_block_size": [32, 32], "activation_scheme": "dynamic"}
    scales = [("model.layers.{0-1}.block_sparse_moe.experts.{0-3}.w1.weight_scale_inv", [3, 2], "f32"),
              ("model.layers.{0-1}.block_sparse_moe.experts.{0-3}.w3.weight_scale_inv", [3, 2], "f32"),
              ("model.layers.{0-1}.block_sparse_moe.experts.{0-3}.w2.weight_scale_inv", [2, 3], "f32")]
    yield m2("minimax-m2-fp8", {"rotary_dim": 8, "quantization_config": quantized},
             build=("MiniMaxM2ForCausalLM", {"model_type": "minimax_m2", **SMALL, "rotary_dim": 8}),
             dtypes=[(".experts.", "f8_e4m3")], extra=scales, also=["--outtype bf16 --fp8-as-q8"])

    def m01(id, arch="MiniMaxText01ForCausalLM", config=None, files=None, **more):
        config = {"architectures": [arch], "model_type": "minimax_text_01", **FIRST, **(config or {})}
        return case(id, config, **{"tensors": first(config), "files": {**index(first(config)), **(files or {})}, **more})

    yield m01("minimax-01", files={"chat_template.jinja": "a\r\n{{ b }}"})
    yield m01("minimax-01-f16", config={"num_local_experts": 2, "num_key_value_heads": 4}, dtype="f16")
    yield m01("minimax-01-f32", config={"rotary_dim": 16}, dtype="f32")
    for suffix, dtype, config in (("", "bf16", {}), ("-f16", "f16", {"num_local_experts": 2}), ("-f32", "f32", {"num_key_value_heads": 1})):
        yield m01("minimax-m1" + suffix, "MiniMaxM1ForCausalLM", config, dtype=dtype)
    yield m01("minimax-01-beta", config={"layernorm_mlp_beta": 0.5}, refused=True)

    yield m3("minimax-m3", {})
    yield m3("minimax-m3-f16", {"num_local_experts": 2, "num_key_value_heads": 4}, dtype="f16")
    yield m3("minimax-m3-f32", {"rope_theta": 5000000, "scoring_func": "sigmoid"}, dtype="f32")
    for suffix, dtype, config in (("", "bf16", {}), ("-f16", "f16", {"num_local_experts": 2}), ("-f32", "f32", {"head_dim": 16})):
        yield m3("minimax-m3-text" + suffix, config, "MiniMaxM3SparseForCausalLM", dtype=dtype)
    yield m3("minimax-m3-no-indexer", {"sparse_attention_config": {}}, refused=True)
