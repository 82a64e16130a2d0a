"""Kimi K3, which transformers has no class for."""

from checkpoint import case

TEXT = {"architectures": ["KimiLinearForCausalLM"], "model_type": "kimi_linear", "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6,
        "q_lora_rank": 24, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "mla_use_nope": True,
        "linear_attn_config": {"full_attn_layers": [4], "kda_layers": [1, 2, 3], "num_heads": 4, "head_dim": 16, "short_conv_kernel_size": 4,
                               "gate_lower_bound": -5.0},
        "moe_intermediate_size": 32, "num_experts": 3, "num_experts_per_token": 2, "num_shared_experts": 1, "first_k_dense_replace": 1,
        "routed_scaling_factor": 2.5, "moe_renormalize": True, "moe_router_activation_func": "sigmoid", "routed_expert_hidden_size": 32,
        "hidden_act": "situ", "activation_situ_beta": 2.0, "activation_situ_linear_beta": 1.25, "attn_res_block_size": 8, "eos_token_id": 11}
PACKED = {"quantization_config": {"quant_method": "compressed-tensors", "format": "mxfp4-pack-quantized", "config_groups": {}}}


def mlp(at, width=96):
    return [(f"{at}.gate_proj.weight", [width, 64]), (f"{at}.up_proj.weight", [width, 64]), (f"{at}.down_proj.weight", [64, width])]


def layer(at, kind, dense, *, packed=False, latent=32, experts=3, q=24, log=(4,), conv=(64, 1, 4), scales="u8"):
    attn = f"{at}.self_attn"
    yield f"{at}.input_layernorm.weight", [64]
    yield f"{at}.post_attention_layernorm.weight", [64]
    for part in ("self_attention_res", "mlp_res"):
        yield f"{at}.{part}_norm.weight", [64]
        yield f"{at}.{part}_proj.weight", [1, 64]
    yield f"{attn}.g_proj.weight", [64, 64]
    if kind == "F":
        if q:
            yield f"{attn}.q_a_proj.weight", [q, 64]
            yield f"{attn}.q_a_layernorm.weight", [q]
            yield f"{attn}.q_b_proj.weight", [96, q]
        else:
            yield f"{attn}.q_proj.weight", [96, 64]
        yield f"{attn}.kv_a_proj_with_mqa.weight", [40, 64]
        yield f"{attn}.kv_a_layernorm.weight", [32]
        yield f"{attn}.kv_b_proj.weight", [128, 32]
        yield f"{attn}.o_proj.weight", [64, 64]
    else:
        for part in "qkv":
            yield f"{attn}.{part}_proj.weight", [64, 64]
            yield f"{attn}.{part}_conv1d.weight", list(conv)
        yield f"{attn}.A_log", list(log), "f32"
        yield f"{attn}.dt_bias", [64], "f32"
        yield f"{attn}.f_a_proj.weight", [16, 64]
        yield f"{attn}.f_b_proj.weight", [64, 16]
        yield f"{attn}.b_proj.weight", [4, 64]
        yield f"{attn}.o_norm.weight", [16]
        yield f"{attn}.o_proj.weight", [64, 64]
    if dense:
        yield from mlp(f"{at}.mlp")
        return
    moe = f"{at}.block_sparse_moe"
    yield f"{moe}.gate.weight", [experts, 64]
    yield f"{moe}.gate.e_score_correction_bias", [experts], "f32"
    yield from mlp(f"{moe}.shared_experts", 32)
    if latent:
        yield f"{moe}.routed_expert_down_proj.weight", [latent, 64]
        yield f"{moe}.routed_expert_up_proj.weight", [64, latent]
        yield f"{moe}.routed_expert_norm.weight", [latent]
    width = latent or 64
    for expert in range(experts):
        for part, shape in (("w1", [32, width]), ("w2", [width, 32]), ("w3", [32, width])):
            name = f"{moe}.experts.{expert}.{part}"
            if packed:
                yield f"{name}.weight_packed", [shape[0], shape[1] // 2], "u8"
                yield f"{name}.weight_scale", [shape[0], shape[1] // 32], scales
            else:
                yield f"{name}.weight", shape


def tensors(kinds="DDDF", **more):
    for number, kind in enumerate(kinds):
        yield from layer(f"model.layers.{number}", kind, number == 0, **more)
    yield "model.embed_tokens.weight", [40, 64]
    yield "model.norm.weight", [64]
    yield "model.output_attn_res_norm.weight", [64]
    yield "model.output_attn_res_proj.weight", [1, 64]
    yield "lm_head.weight", [40, 64]


def cases():
    def kimi(id, config=None, given=None, whole=None, more=(), **rest):
        text = {k: v for k, v in {**TEXT, **(config or {})}.items() if v is not ...}
        found = [(f"language_model.{t[0]}", *t[1:]) for t in (given or tensors())]
        return case(id, {"architectures": ["KimiK3ForConditionalGeneration"], "model_type": "kimi_k3", **(whole or {}), "text_config": text},
                    tensors=[*found, *more], **rest)

    yield kimi("kimi-k3", PACKED, tensors(packed=True), more=[("vision_tower.blocks.0.wqkv.weight", [8, 8]), ("mm_projector.proj.0.weight", [8, 8])],
               also=["--outtype q8_0", "--outtype f32 --outfile @out"])
    yield kimi("kimi-k3-f16", {"linear_attn_config": {"full_attn_layers": [1, 3], "head_dim": 16, "short_conv_kernel_size": 4}, "routed_expert_hidden_size": ...,
                               "q_lora_rank": None, "moe_renormalize": False, "eos_token_id": ...},
               tensors("FDFD", latent=0, q=0, log=(6,), conv=(64, 4)), dtype="f16", files={"chat_template.jinja": "{{ messages }}"})
    yield kimi("kimi-k3-plain", {"first_k_dense_replace": 0, "num_key_value_heads": 4, "num_experts": 2}, tensors(experts=2, log=(5,)), dtype="f32")
    yield kimi("kimi-k3-e8m0", {**PACKED, "first_k_dense_replace": 1}, tensors(packed=True, scales="f8_e8m0"), whole=PACKED, tokenizer="gpt2-roles")
    yield kimi("kimi-k3-packed-attention", PACKED, [*tensors(packed=True), ("model.layers.0.self_attn.o_proj.weight_packed", [64, 32], "u8")], refused=True)
    yield kimi("kimi-k3-missing-expert", PACKED, [t for t in tensors(packed=True) if ".1.block_sparse_moe.experts.2.w3." not in t[0]], refused=True)
    yield kimi("kimi-k3-gelu", {"hidden_act": "gelu"}, refused=True)
    yield kimi("kimi-k3-half-residual", given=[t for t in tensors() if t[0] != "model.layers.2.mlp_res_proj.weight"], refused=True)
