"""Step 3.5 and 3.7. Tensors by hand: the class of transformers gives settings and tensors other names than released models."""

from checkpoint import ROWS, case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4, "num_attention_groups": 2,
         "head_dim": 16, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "sliding_window": 64, "moe_num_experts": 4, "moe_top_k": 2,
         "moe_intermediate_size": 32, "share_expert_dim": 48, "moe_router_scaling_factor": 3.0, "norm_expert_weight": True,
         "moe_layers_enum": "1,2,3", "layer_types": ["full_attention"] + ["sliding_attention"] * 3,
         "partial_rotary_factors": [0.5, 1.0, 1.0, 1.0], "rope_theta": [5000000.0, 10000.0, 10000.0, 10000.0],
         "attention_other_setting": {"num_attention_heads": 6, "num_attention_groups": 1}}


def layer(at: str, heads: int, groups: int) -> list:
    return [(f"{at}.input_layernorm.weight", [64]), (f"{at}.post_attention_layernorm.weight", [64]),
            (f"{at}.self_attn.q_proj.weight", [heads * 16, 64]), (f"{at}.self_attn.k_proj.weight", [groups * 16, 64]),
            (f"{at}.self_attn.v_proj.weight", [groups * 16, 64]), (f"{at}.self_attn.o_proj.weight", [64, heads * 16]),
            (f"{at}.self_attn.q_norm.weight", [16]), (f"{at}.self_attn.k_norm.weight", [16]), (f"{at}.self_attn.g_proj.weight", [heads, 64])]


def mlp(at: str, width: int) -> list:
    return [(f"{at}.gate_proj.weight", [width, 64]), (f"{at}.up_proj.weight", [width, 64]), (f"{at}.down_proj.weight", [64, width])]


def tensors(start="", predict=False) -> list:
    moe = f"{start}model.layers.{{1-3}}.moe"
    found = [(f"{start}model.embed_tokens.weight", [ROWS, 64]), (f"{start}model.norm.weight", [64]), (f"{start}lm_head.weight", [ROWS, 64]),
             *layer(f"{start}model.layers.0", 4, 2), *layer(f"{start}model.layers.{{1-3}}", 6, 1), *mlp(f"{start}model.layers.0.mlp", 96),
             (f"{moe}.gate.weight", [4, 64]), (f"{moe}.router_bias", [4], "f32"), (f"{moe}.up_proj.weight", [4, 32, 64]),
             (f"{moe}.gate_proj.weight", [4, 32, 64]), (f"{moe}.down_proj.weight", [4, 64, 32]),
             *mlp(f"{start}model.layers.{{1-3}}.share_expert", 48)]
    if predict:
        at = f"{start}model.layers.4"
        found += [*layer(at, 6, 1), *mlp(f"{at}.mlp", 96), (f"{at}.eh_proj.weight", [64, 128]), (f"{at}.enorm.weight", [64]),
                  (f"{at}.hnorm.weight", [64]), (f"{at}.transformer.shared_head.norm.weight", [64]),
                  (f"{at}.transformer.shared_head.output.weight", [ROWS, 64])]
    return found


def cases():
    def step(id, config=None, arch="Step3p5ForCausalLM", predict=False, **more):
        # Under the name of its class the reference converts none of them.
        config = {"architectures": [arch], "model_type": "step3p5_of_old", **SMALL, **(config or {})}
        return case(id, config, tensors=tensors(predict=predict), **more)

    def wrapped(id, config=None, predict=False, **more):
        config = {"architectures": ["Step3p7ForConditionalGeneration"], "model_type": "step3p7_of_old",
                  "text_config": {"architectures": ["Step3p5ForCausalLM"], **SMALL, **(config or {})}}
        vision = [("vision_model.conv1.weight", [8, 3, 2, 2]), ("vit_large_projector.weight", [8, 8])]
        return case(id, config, tensors=tensors(predict=predict) + vision, **more)

    limits = {"swiglu_limits": [None, 7.0, 7.0, None], "swiglu_limits_shared": [0.0, 16.0, 16.0, 1.5]}
    yield step("step3.5", limits)
    yield step("step3.5-predict", {"num_nextn_predict_layers": 1, **limits}, predict=True,
               also=["--outtype auto --mtp", "--outtype auto --no-nextn"])
    yield step("step3.5-f16", {"rope_theta": 1e6, "moe_layers_enum": "", "moe_every_n_layer": 2, "norm_expert_weight": None}, dtype="f16")
    yield step("step3.5-f32", {"attention_other_setting": None, "moe_router_scaling_factor": None}, dtype="f32")
    yield step("step3.5-other-part", {"partial_rotary_factors": [0.5, 0.5, 1.0, 1.0]}, refused=True)
    yield wrapped("step3.7", limits)
    yield wrapped("step3.7-f16", {"moe_layers_enum": "1, 2,3", "swiglu_limits": [7.0]}, dtype="f16")
    yield wrapped("step3.7-predict", {"num_nextn_predict_layers": 1, "layer_types": SMALL["layer_types"] + ["sliding_attention"],
                                      "partial_rotary_factors": SMALL["partial_rotary_factors"] + [1.0]}, dtype="f32", predict=True)
