"""Models with latent attention that transformers has no class for, or another: Dots 3, Hy 4, GLM 5 Next, Ling 3."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4,
         "max_position_embeddings": 4096, "rms_norm_eps": 1e-6}
LATENT = {"q_lora_rank": 24, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16}
EXPERTS = {"moe_intermediate_size": 32, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "norm_topk_prob": True,
           "routed_scaling_factor": 2.5, "first_k_dense_replace": 1}
INDEX = {"index_n_heads": 2, "index_head_dim": 16, "index_topk": 32}


def mlp(at, size=96):
    return [(f"{at}.{kind}_proj.weight", [64, size] if kind == "down" else [size, 64]) for kind in ("gate", "up", "down")]


def moe(at, bias="e_score_correction_bias", experts=4):
    yield f"{at}.gate.weight", [experts, 64]
    yield f"{at}.gate.{bias}", [experts], "f32"
    yield from mlp(f"{at}.shared_experts", 32)
    yield from mlp(f"{at}.experts.{{0-{experts - 1}}}", 32)


def latent(at, heads=4, q=24, kv=32, nope=16, rope=8, v=16):
    yield f"{at}.q_a_proj.weight", [q, 64]
    yield f"{at}.q_a_layernorm.weight", [q]
    yield f"{at}.q_b_proj.weight", [heads * (nope + rope), q]
    yield f"{at}.kv_a_proj_with_mqa.weight", [kv + rope, 64]
    yield f"{at}.kv_a_layernorm.weight", [kv]
    yield f"{at}.kv_b_proj.weight", [heads * (nope + v), kv]
    yield f"{at}.o_proj.weight", [64, heads * v]


def indexer(at, q=24):
    return [(f"{at}.wq_b.weight", [32, q]), (f"{at}.wk.weight", [16, 64]), (f"{at}.k_norm.weight", [16]),
            (f"{at}.k_norm.bias", [16]), (f"{at}.weights_proj.weight", [2, 64])]


def norms(at):
    return [(f"{at}.input_layernorm.weight", [64]), (f"{at}.post_attention_layernorm.weight", [64])]


ENDS = [("model.embed_tokens.weight", [40, 64]), ("model.norm.weight", [64]), ("lm_head.weight", [40, 64])]


def nextn(layer, head=True):
    at = f"model.layers.{layer}"
    return [(f"{at}.eh_proj.weight", [64, 128]), (f"{at}.enorm.weight", [64]), (f"{at}.hnorm.weight", [64]),
            (f"{at}.shared_head.norm.weight", [64])]


def dots3():
    swa = {"swa_num_attention_heads": 2, "swa_num_key_value_heads": 2, "swa_q_lora_rank": 24, "swa_kv_lora_rank": 48, "swa_head_dim": 32,
           "swa_qk_nope_head_dim": 24, "swa_qk_rope_head_dim": 8, "swa_v_head_dim": 24, "sliding_window_size": 128}
    base = {**SMALL, **LATENT, **EXPERTS, **INDEX, **swa, "head_dim": 24, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
            "layer_types": ["full_attention", "sliding_attention", "sliding_attention"], "rope_theta": 8e7, "swa_rope_theta": 1e4}
    def tensors(predicts=False):
        for layer in range(4 if predicts else 3):
            at = f"model.layers.{layer}"
            yield from norms(at)
            window = dict(heads=2, kv=48, nope=24, v=24) if layer else {}
            yield from latent(f"{at}.self_attn", **window)
            yield f"{at}.self_attn.k_rope_only_layernorm.weight", [8]
            yield f"{at}.self_attn.g_proj.weight", [2 if layer else 4, 64]
            if not layer:
                yield from indexer(f"{at}.self_attn.indexer")
            yield from moe(f"{at}.mlp") if 0 < layer < 3 else mlp(f"{at}.mlp")
        yield from ENDS
        if predicts:
            yield from nextn(3)
            yield "model.mtp.embed_tokens.weight", [40, 64]
    def dots(id, config=None, arch="Dots3NoteForCausalLM", predicts=False, more=(), **rest):
        config = {"architectures": [arch], "model_type": "dots3", **base, **(config or {})}
        return case(id, config, tensors=[*tensors(predicts), *more], tokenizer="gpt2-roles",
                    files={"tokenizer.json": roles("<|endofassistant|>")}, **rest)
    yield dots("dots3")
    yield dots("dots3-f16", {"apply_mla_qkv_lora_rescale": True, "tie_word_embeddings": True}, dtype="f16", arch="Dots3NoteTextForCausalLM")
    yield dots("dots3-nextn", {"apply_mla_qkv_lora_rescale": True}, predicts=True, dtype="f32",
               also=["--outtype auto --mtp", "--outtype auto --no-nextn"])
    yield dots("dots3-gate", {"attention_gate_type": "elementwise"}, refused=True)


def roles(text):
    """The tokenizer with `text` as an added token."""
    import json
    from pathlib import Path
    path = Path(__file__).resolve().parents[3] / "tests/tokenizers/gpt2-roles/tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"][-1]["content"] = text
    return tokenizer


def hy4():
    base = {**SMALL, **LATENT, "moe_intermediate_size": 32, "n_routed_experts": 4, "num_experts_per_tok": 2,
            "indexer_types": ["full", "shared", "full"], **INDEX}
    def tensors(owns=(True, False, True)):
        for layer in range(3):
            at = f"model.layers.{layer}"
            yield from norms(at)
            yield from latent(f"{at}.self_attn")
            yield f"{at}.self_attn.learnable_sink_param", [4], "f32"
            for part in ("attn", "mlp"):
                yield f"{at}.hc_{part}_layer.hc_pre.hc_fn", [24, 256], "f32"
                yield f"{at}.hc_{part}_layer.hc_pre.hc_base", [24], "f32"
                yield f"{at}.hc_{part}_layer.hc_pre.hc_scale", [3], "f32"
            if owns[layer]:
                yield from indexer(f"{at}.self_attn.indexer")
            if layer:
                yield f"{at}.mlp.gate.weight", [4, 64]
                yield f"{at}.mlp.gate.e_score_correction_bias", [4], "f32"
                yield from mlp(f"{at}.mlp.shared_experts", 32)
                yield f"{at}.mlp.experts.gate_up_proj", [4, 64, 64]
                yield f"{at}.mlp.experts.down_proj", [4, 64, 32]
            else:
                yield from mlp(f"{at}.mlp")
        yield from ENDS
        for part, shape in (("fn", [4, 256]), ("base", [4]), ("scale", [1])):
            yield f"model.hc_head.hc_head_{part}", shape, "f32"
    def hy(id, config=None, owns=(True, False, True), more=(), **rest):
        return case(id, {"architectures": ["HYV4ForCausalLM"], "model_type": "hy_v4", **base, **(config or {})},
                    tensors=[*tensors(owns), *more], **rest)
    yield hy("hy4", more=[("model.mtp_layers.0.eh_proj.weight", [64, 128])])
    yield hy("hy4-f16", {"indexer_types": None, "layer_types": ["deepseek_sparse_attention"] * 3, "enable_lm_head_fp32": True,
                         "swiglu_limit": 0.0, "n_group": 2, "topk_group": 1}, owns=(True, True, False), dtype="f16")
    yield hy("hy4-f32", {"mlp_layer_types": ["dense", "sparse", "sparse"], "first_k_dense_replace": 1, "tie_word_embeddings": True,
                         "hc_magnitude": 1.5}, dtype="f32")
    yield hy("hy4-lacking", owns=(True, False, False), refused=True)
    yield hy("hy4-dense-later", {"mlp_layer_types": ["dense", "sparse", "dense"]}, refused=True)


def glm5():
    text = {**SMALL, **LATENT, **EXPERTS, **INDEX, "model_type": "glm5_next_text", "num_hidden_layers": 4, "qk_rope_head_dim": 0, "mla_use_nope": True,
            "index_kpool": 16, "hc_mult": 4, "hc_sinkhorn_iters": 20, "hc_eps": 1e-6,
            "linear_attn_config": {"num_heads": 4, "head_dim": 16, "short_conv_kernel_size": 4, "gate_lower_bound": -5.0}}
    def tensors(predicts=False, kinds="DDDL"):
        for layer, kind in enumerate(kinds + ("L" if predicts else "")):
            at = f"model.layers.{layer}"
            yield from norms(at)
            if kind == "L":
                yield from latent(f"{at}.self_attn", rope=0)
                yield from indexer(f"{at}.self_attn.indexer")
                yield f"{at}.self_attn.indexer.index_kpool_compress_ape", [16, 16]
                yield f"{at}.self_attn.indexer.index_kpool_compress_gate", [16, 64]
            else:
                for part in "qkv":
                    yield f"{at}.self_attn.{part}_proj.weight", [64, 64]
                    yield f"{at}.self_attn.{part}_conv1d.weight", [64, 1, 4]
                yield f"{at}.self_attn.A_log", [1, 1, 6, 1], "f32"
                yield f"{at}.self_attn.dt_bias", [64], "f32"
                yield f"{at}.self_attn.f_a_proj.weight", [16, 64]
                yield f"{at}.self_attn.f_b_proj.weight", [64, 16]
                yield f"{at}.self_attn.b_proj.weight", [4, 64]
                yield f"{at}.self_attn.g_a_proj.weight", [16, 64]
                yield f"{at}.self_attn.g_b_proj.weight", [64, 16]
                yield f"{at}.self_attn.o_norm.weight", [16]
                yield f"{at}.self_attn.o_proj.weight", [64, 64]
            for part in ("attn", "ffn"):
                yield f"{at}.hc_{part}_fn", [24, 256]
                yield f"{at}.hc_{part}_base", [24]
                yield f"{at}.hc_{part}_scale", [3]
            yield from moe(f"{at}.mlp") if layer else mlp(f"{at}.mlp")
        yield from ENDS
        if predicts:
            yield from nextn(4)
    def glm(id, config=None, predicts=False, more=(), kinds="DDDL", **rest):
        return case(id, {"architectures": ["Glm5NextForConditionalGeneration"], "model_type": "glm5_next",
                         "text_config": {**text, **(config or {})}}, tensors=[*tensors(predicts, kinds), *more], tokenizer="gpt2-roles", **rest)
    yield glm("glm5")
    yield glm("glm5-f16", {"layer_types": ["full_attention", "linear_attention", "linear_attention", "full_attention"], "tie_word_embeddings": True,
                           "index_topk_pattern": "FSSF", "swiglu_limit": 7.0}, kinds="LDDL", dtype="f16",
              more=[("model.visual.blocks.0.norm1.weight", [8])])
    yield glm("glm5-nextn", {"num_nextn_predict_layers": 1, "index_kpool_always_select_tail": False}, predicts=True, dtype="f32",
              also=["--outtype auto --mtp", "--outtype auto --no-nextn"])
    yield glm("glm5-rope", {"qk_rope_head_dim": 8}, refused=True)


def ling3():
    base = {**SMALL, **LATENT, "model_type": "bailing_moe_v3", "num_hidden_layers": 4, "layer_group_size": 2, "head_dim": 16, "short_conv_kernel_size": 4,
            "no_kda_lora": True, "kda_safe_gate": True, "kda_lower_bound": -5.0, "gated_attention_proj_granularity_type": "head_wise",
            "moe_intermediate_size": 32, "moe_shared_expert_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2,
            "num_shared_experts": 1, "first_k_dense_replace": 1, "routed_scaling_factor": 2.5, "norm_topk_prob": True, "rope_theta": 6e6,
            "score_function": "sigmoid"}
    def tensors(kinds="DLDL", log=([4],)):
        for layer, kind in enumerate(kinds):
            at = f"model.layers.{layer}"
            yield from norms(at)
            part = f"{at}.attention"
            if kind == "L":
                yield from [(name.replace(".o_proj.", ".dense."), shape) for name, shape in latent(part)]
                yield f"{part}.g_proj.weight", [4, 64]
            else:
                for which in "qkv":
                    yield f"{part}.{which}_proj.weight", [64, 64]
                    yield f"{part}.{which}_conv1d.weight", [64, 1, 4]
                yield f"{part}.A_log", list(log[0]), "f32"
                yield f"{part}.dt_bias", [64], "f32"
                yield f"{part}.f_proj.weight", [64, 64]
                yield f"{part}.b_proj.weight", [4, 64]
                yield f"{part}.g_proj.weight", [64, 64]
                yield f"{part}.o_norm.weight", [16]
                yield f"{part}.o_proj.weight", [64, 64]
            yield from moe(f"{at}.mlp", bias="expert_bias") if layer else mlp(f"{at}.mlp")
        yield "model.word_embeddings.weight", [40, 64]
        yield from ENDS[1:]
        if len(kinds) > 4:
            yield from [(name.replace("shared_head.norm", "final_layernorm"), shape) for name, shape in nextn(4)]
    def ling(id, config=None, kinds="DLDL", more=(), log=([4],), **rest):
        return case(id, {"architectures": ["BailingMoeV3ForCausalLM"], **base, **(config or {})}, tensors=[*tensors(kinds, log), *more], **rest)
    yield ling("ling3")
    yield ling("ling3-f16", {"layer_group_size": 3, "q_lora_rank": None, "expert_swiglu_limit_list": [None, 7.0, 5.5],
                             "share_expert_swiglu_limit_list": [1, 2, 3, 4, 5]}, kinds="DDLL", log=([1, 1, 4, 1],), dtype="f16")
    yield ling("ling3-nextn", {"num_nextn_predict_layers": 1}, kinds="DLDLL", dtype="f32", also=["--outtype auto --mtp", "--outtype auto --no-nextn"])
    yield ling("ling3-lora", {"no_kda_lora": False}, refused=True)
    def seen(id, config=None, **rest):
        text = {**base, "mrope_section": [2, 1, 1], **(config or {})}
        return case(id, {"architectures": ["BailingMoeV3VLForConditionalGeneration"], "model_type": "bailing_moe_v3_vl", "text_config": text},
                    tensors=[*tensors(), ("linear_proj.0.weight", [64, 8]), ("model.visual.blocks.0.norm1.weight", [8])], **rest)
    yield seen("ling3-vl")
    yield seen("ling3-vl-f16", {"mrope_section": [1, 1, 2, 9], "norm_topk_prob": False}, dtype="f16")
    yield seen("ling3-vl-f32", {"moe_shared_expert_intermediate_size": 64, "kda_lower_bound": -2.5}, dtype="f32")
    yield seen("ling3-vl-sections", {"mrope_section": [8, 8, 8]}, refused=True)


def cases():
    for family in (dots3, hy4, glm5, ling3):
        yield from family()
