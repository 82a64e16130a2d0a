"""What sees in Qwen VL models and their relatives."""

from checkpoint import IMAGES, projector

TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6}
ROPE = {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e6}}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def model(id, arch, model_type, vision, text=None, config=None, **more):
    return projector(id, {"architectures": [arch], "model_type": model_type, "text_config": {**TEXT, **(text or {})},
                          "vision_config": vision, **(config or {})}, **more)


def qwen2():
    arch = "Qwen2VLForConditionalGeneration"
    vision = {"depth": 3, "embed_dim": 32, "hidden_size": 64, "num_heads": 4, "mlp_ratio": 2, "patch_size": 4,
              "in_channels": 3, "spatial_merge_size": 2, "temporal_patch_size": 2}
    yield model("qwen2-vl", arch, "qwen2_vl", vision, ROPE)
    yield model("qwen2-vl-f16-wide", arch, "qwen2_vl", {**vision, "embed_dim": 64, "patch_size": 8}, ROPE, dtype="f16",
                images={"image_mean": [0.4814, 0.4578, 0.4082], "image_std": [0.2686, 0.2613, 0.2757]})
    flat = {**TEXT, **ROPE, "architectures": [arch], "model_type": "qwen2_vl",
            "vision_config": {**vision, "model_type": "qwen2_vl"}, "rms_norm_eps": 1e-5}
    yield projector("qwen2-vl-flat", flat, dtype="f32", build=(arch, {**flat, "text_config": {**TEXT, **ROPE}}))
    yield model("qwen2-vl-sized", arch, "qwen2_vl", {**vision, "image_size": 112}, ROPE,
                images={"media_proc_cfg": IMAGES, "image_mean": [1.0, 1.0, 1.0], "image_std": [1, 1, 1]})
    # The model without a head: fine-tunes that embed are saved like this.
    bare = "Qwen2VLModel"
    yield model("qwen2-vl-model", bare, "qwen2_vl", vision, ROPE)
    yield model("qwen2-vl-model-f16", bare, "qwen2_vl", {**vision, "mlp_ratio": 3}, ROPE, dtype="f16")
    yield model("qwen2-vl-model-f32", bare, "qwen2_vl", {**vision, "patch_size": 8}, ROPE, dtype="f32",
                images={"image_mean": [0.4814, 0.4578, 0.4082], "image_std": [0.2686, 0.2613, 0.2757]})
    arch = "Qwen2_5_VLForConditionalGeneration"
    vision = {"depth": 4, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 4, "out_hidden_size": 64,
              "fullatt_block_indexes": [1, 3], "window_size": 16, "tokens_per_second": 2}
    yield model("qwen2.5-vl", arch, "qwen2_5_vl", vision, ROPE)
    yield model("qwen2.5-vl-odd", arch, "qwen2_5_vl", {**vision, "hidden_size": 40, "intermediate_size": 72}, ROPE,
                config={"rms_norm_eps": 1e-4})
    yield model("qwen2.5-vl-processor", arch, "qwen2_5_vl", {**vision, "depth": 3, "fullatt_block_indexes": [2]}, ROPE,
                images=None, processor={"image_processor": IMAGES, "image_mean": [0.1]}, dtype="f32")
    yield model("qwen2.5-vl-uneven", arch, "qwen2_5_vl", {**vision, "fullatt_block_indexes": [0, 3]}, ROPE, refused=True)
    yield model("qwen2.5-vl-no-images", arch, "qwen2_5_vl", vision, ROPE, images=None, refused=True)


def qwen3():
    vision = {"depth": 4, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 4, "out_hidden_size": 64,
              "num_position_embeddings": 64, "deepstack_visual_indexes": [1, 3], "spatial_merge_size": 2}
    arch = "Qwen3VLForConditionalGeneration"
    yield model("qwen3-vl", arch, "qwen3_vl", vision, {**ROPE, "head_dim": 16})
    yield model("qwen3-vl-sized", arch, "qwen3_vl", {**vision, "image_size": 48, "spatial_merge_size": 1}, {**ROPE, "head_dim": 16},
                dtype="f16")
    yield model("qwen3-vl-one", arch, "qwen3_vl", {**vision, "depth": 3, "deepstack_visual_indexes": [2], "hidden_size": 64},
                {**ROPE, "head_dim": 16, "rms_norm_eps": 1e-5}, dtype="f32")
    yield model("qwen3-vl-beyond", arch, "qwen3_vl", vision, {**ROPE, "head_dim": 16}, refused=True,
                build=(arch, {"architectures": [arch], "model_type": "qwen3_vl", "text_config": {**TEXT, **ROPE},
                              "vision_config": vision}), config={"vision_config": {**vision, "deepstack_visual_indexes": [1, 9]}})
    for name, kind in (("Qwen3VLMoe", "qwen3_vl_moe"), ("Qwen3_5", "qwen3_5"), ("Qwen3_5Moe", "qwen3_5_moe")):
        arch = f"{name}ForConditionalGeneration"
        text = {**ROPE, "head_dim": 16, **(EXPERTS if kind.endswith("moe") else {})}
        if "3_5" in kind:
            text |= {"linear_num_value_heads": 2, "linear_num_key_heads": 2, "linear_key_head_dim": 16,
                     "linear_value_head_dim": 16, "shared_expert_intermediate_size": 32}
        own = vision if "3_5" not in kind else {k: v for k, v in vision.items() if k != "deepstack_visual_indexes"}
        yield model(kind, arch, kind, own, text)
        yield model(f"{kind}-wide", arch, kind, {**own, "hidden_size": 64, "num_position_embeddings": 50}, text, dtype="f16")
        yield model(f"{kind}-deep", arch, kind, {**own, "depth": 5, "patch_size": 8}, text, dtype="f32")


def glm():
    vision = {"depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 4, "out_hidden_size": 64,
              "image_size": 32, "spatial_merge_size": 2}
    for name, kind in (("Glm4v", "glm4v"), ("Glm4vMoe", "glm4v_moe"), ("GlmOcr", "glm_ocr")):
        arch = f"{name}ForConditionalGeneration"
        text = {**ROPE, "head_dim": 16, "pad_token_id": 0}
        if kind.endswith("moe"):
            text |= {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "first_k_dense_replace": 0}
        yield model(kind, arch, kind, vision, text)
        yield model(f"{kind}-gelu", arch, kind, {**vision, "hidden_act": "gelu", "rms_norm_eps": 1e-6}, text, dtype="f16")
        yield model(f"{kind}-wide", arch, kind, {**vision, "hidden_size": 64, "depth": 4, "image_size": 20}, text, dtype="f32")


def cases():
    yield from qwen2()
    yield from qwen3()
    yield from glm()
