"""What sees in models with an encoder of Qwen's that are not Qwen VL themselves."""

from checkpoint import IMAGES, projector

PIXELS = {**IMAGES, "min_pixels": 100, "max_pixels": 1500}


def tower(prefix="visual.", layers=3, wide=32, ff=48, gated=True, joined=96, fc="linear_fc"):
    block = f"{prefix}blocks.{{0-{layers - 1}}}."
    tensors = [(f"{prefix}patch_embed.proj.weight", [wide, 3, 2, 4, 4])]
    parts = [("attn.qkv", [joined, wide]), ("attn.proj", [wide, wide]), ("norm1", [wide]), ("norm2", [wide])]
    parts += [("mlp.gate_proj", [ff, wide]), ("mlp.up_proj", [ff, wide]), ("mlp.down_proj", [wide, ff])] if gated else [
        (f"mlp.{fc}1", [ff, wide]), (f"mlp.{fc}2", [wide, ff])]
    for part, shape in parts:
        tensors += [(f"{block}{part}.weight", shape), (f"{block}{part}.bias", shape[:1])]
    return tensors


def cases():
    vision = {"depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "num_key_value_heads": 2, "out_hidden_size": 64,
              "patch_size": 4, "fullatt_block_indexes": [2]}
    config = {"architectures": ["Exaone4_5_ForConditionalGeneration"], "model_type": "exaone4_5_own", "vision_config": vision,
              "text_config": {"hidden_size": 64}}
    tensors = tower("model.visual.", joined=64) + [("model.visual.merger.ln_q.weight", [32]), ("model.visual.merger.mlp.0.weight", [128, 128]),
                                                   ("model.visual.merger.mlp.2.weight", [64, 128]), ("lm_head.weight", [40, 64])]
    yield projector("exaone4.5", config, images=PIXELS, tensors=tensors)
    yield projector("exaone4.5-f16", {**config, "rms_norm_eps": 1e-5, "vision_config": {**vision, "window_size": 16, "image_size": 64}},
                    images=PIXELS, dtype="f16", tensors=tensors)
    yield projector("exaone4.5-f32", {**config, "vision_config": {k: v for k, v in vision.items() if k not in ("num_key_value_heads", "fullatt_block_indexes")}},
                    images=PIXELS, dtype="f32", tensors=tensors)

    vision = {"depth": 3, "embed_dim": 32, "hidden_size": 64, "num_heads": 4, "mlp_ratio": 2, "patch_size": 4, "spatial_merge_size": 2}
    config = {"architectures": ["Sarashina2VisionForCausalLM"], "model_type": "sarashina2_vision", "vision_config": vision,
              "text_config": {"hidden_size": 64}}
    tensors = tower(gated=False, fc="fc") + [("visual.merger.ln_q.weight", [32]), ("visual.merger.ln_q.bias", [32]), ("visual.merger.mlp.0.weight", [128, 128]),
                                             ("visual.merger.mlp.2.weight", [64, 128]), ("llm.lm_head.weight", [40, 64]), ("norm.weight", [64])]
    yield projector("sarashina2", config, tensors=tensors)
    yield projector("sarashina2-f16", {**config, "rms_norm_eps": 1e-5}, dtype="f16", tensors=tensors)
    yield projector("sarashina2-f32", {**config, "vision_config": {**vision, "image_size": 64}}, dtype="f32", tensors=tensors)

    vision = {"depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 4, "out_hidden_size": 64, "num_position_embeddings": 64}
    config = {"architectures": ["Qwen4ExpForConditionalGeneration"], "model_type": "qwen4_exp_own", "vision_config": vision, "text_config": {"hidden_size": 64}}
    merger = [("model.visual.merger.norm.weight", [32]), ("model.visual.merger.norm.bias", [32]), ("model.visual.merger.linear_fc1.weight", [128, 128]),
              ("model.visual.merger.linear_fc2.weight", [64, 128])]
    tensors = tower("model.visual.", gated=False) + merger + [("model.visual.pos_embed.weight", [64, 32]), ("model.visual.patch_embed.proj.bias", [32]),
                                                               ("mtp.fc.weight", [64, 128]), ("lm_head.weight", [40, 64])]
    yield projector("qwen4-exp", config, tensors=tensors)
    yield projector("qwen4-exp-f16", {**config, "text_config": {"hidden_size": 64, "rms_norm_eps": 1e-5}}, dtype="f16", tensors=tensors)
    yield projector("qwen4-exp-f32", {**config, "vision_config": {**vision, "spatial_merge_size": 2, "image_size": 48}}, dtype="f32", tensors=tensors)

    vision = {"depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 4, "out_hidden_size": 64, "image_size": 32, "hidden_act": "silu"}
    config = {"architectures": ["Glm5NextForConditionalGeneration"], "model_type": "glm5_next_own", "vision_config": vision, "text_config": {"hidden_size": 64}}
    tensors = tower("model.visual.") + [("model.visual.merger.proj.weight", [64, 64]), ("lm_head.weight", [40, 64]), ("model.visual.post_layernorm.weight", [32])]
    yield projector("glm5-next", config, tensors=tensors)
    yield projector("glm5-next-f16", {**config, "vision_config": {**vision, "swiglu_limit": 7.0, "spatial_merge_size": 4, "rms_norm_eps": 1e-6}}, dtype="f16",
                    images={**IMAGES, "min_image_tokens": 4, "max_image_tokens": 100}, tensors=tensors)
    yield projector("glm5-next-f32", config, images={**IMAGES, "patch_size": 4, "merge_size": 2, "max_image_tokens": 9}, dtype="f32", tensors=tensors)

    vision = {"depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 4, "out_hidden_size": 128, "num_position_embeddings": 64,
              "disable_merger_proj": True, "spatial_merge_size": 2, "deepstack_visual_indexes": []}
    config = {"architectures": ["BailingMoeV3VLForConditionalGeneration"], "model_type": "bailing_moe_v3_vl", "vision_config": vision,
              "text_config": {"hidden_size": 64, "rms_norm_eps": 1e-5}}
    tensors = tower("model.visual.", gated=False) + merger[:2] + [("model.visual.pos_embed.weight", [64, 32]), ("linear_proj.0.weight", [64, 128]),
                                                                   ("linear_proj.0.bias", [64]), ("linear_proj.2.weight", [64, 64]), ("lm_head.weight", [40, 64])]
    yield projector("ling3-vl", config, tensors=tensors)
    yield projector("ling3-vl-f16", {**config, "text_config": {"hidden_size": 64}}, dtype="f16", tensors=tensors)
    yield projector("ling3-vl-f32", {**config, "vision_config": {**vision, "image_size": 48}}, dtype="f32", tensors=tensors)
    yield projector("ling3-vl-merged", {**config, "vision_config": {**vision, "disable_merger_proj": False}}, tensors=tensors, refused=True)
