"""What sees in models that have an encoder of the usual kind, and little else in common."""

from checkpoint import IMAGES, projector

TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 2048, "head_dim": 16}
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 32,
          "patch_size": 4}
PIXELS = {**IMAGES, "min_pixels": 100, "max_pixels": 1500}
OLDER = [(r"vision_tower\.(?!vision_model)", "vision_tower.vision_model.")]


def model(id, name, kind, vision, text=None, config=None, **more):
    return projector(id, {"architectures": [f"{name}ForConditionalGeneration"], "model_type": kind,
                          "text_config": {**TEXT, **(text or {})}, "vision_config": {**VISION, **vision}, **(config or {})}, **more)


def lfm2():
    def lfm(id, vision=None, config=None, **more):
        return model(f"lfm2-vl-{id}", "Lfm2Vl", "lfm2_vl", {"model_type": "siglip2_vision_model", "vision_use_head": False,
                                                            "patch_size": 16, **(vision or {})}, {"model_type": "lfm2"},
                     {"projector_hidden_size": 48, **(config or {})}, rename=OLDER, **more)

    yield lfm("plain")
    yield lfm("less-deep", {"layer_norm_eps": 1e-5}, {"vision_feature_layer": -2, "downsample_factor": 2}, dtype="f16")
    yield lfm("no-norm", {"hidden_size": 64}, {"projector_use_layernorm": False, "downsample_factor": 4}, dtype="f32")
    yield lfm("patches", {"patch_size": 8}, refused=True)


def llama4():
    def llama(id, vision=None, **more):
        return model(f"llama4-{id}", "Llama4", "llama4", {"vision_output_dim": 32, "projector_input_dim": 32,
                                                          "projector_output_dim": 32, **(vision or {})}, {"num_local_experts": 2}, **more)

    yield llama("plain")
    yield llama("shuffled", {"norm_eps": 1e-6, "image_size": 16, "hidden_size": 64}, dtype="f16")
    yield llama("f32", {"num_hidden_layers": 4}, dtype="f32")
    yield llama("silu", {"hidden_act": "silu"}, refused=True)


def janus():
    def janus(id, vision=None, **more):
        own = {k: v for k, v in VISION.items() if k != "intermediate_size"} | {"projection_dim": 64, "depth": 2, "mlp_ratio": 1.5}
        return projector(f"janus-{id}", {"architectures": ["JanusForConditionalGeneration"], "model_type": "janus",
                                         "text_config": {**TEXT, "model_type": "llama"}, "vision_config": {**own, **(vision or {})},
                                         "vq_config": {"base_channels": 32, "channel_multiplier": [1], "num_res_blocks": 1,
                                                       "embed_dim": 8, "num_embeddings": 8, "projection_dim": 64}}, **more)

    yield janus("plain")
    yield janus("silu", {"hidden_act": "silu", "mlp_ratio": 2.01, "depth": 3}, dtype="f16")
    yield janus("relu", {"hidden_act": "relu", "layer_norm_eps": 1e-5, "intermediate_size": 80}, dtype="f32")


def minicpm():
    def minicpm(id, vision=None, config=None, **more):
        return model(f"minicpmv-{id}", "MiniCPMV4_6", "minicpmv4_6", {"insert_layer_id": 1, **(vision or {})},
                     {"model_type": "qwen3_5_text"}, {"insert_layer_id": 1, **(config or {})}, **more)

    yield minicpm("plain", rename=[(r"^model\.vision_tower\.", "model.vision_tower.")])
    yield minicpm("4x", images={**IMAGES, "downsample_mode": "4x", "scale_resolution": 448}, dtype="f16")
    yield minicpm("late", {"layer_norm_eps": 1e-5}, {"insert_layer_id": 2}, dtype="f32")
    yield minicpm("8x", images={**IMAGES, "downsample_mode": "8x"}, refused=True)


def hunyuan():
    def hunyuan(id, vision=None, images=PIXELS, **more):
        own = {k: v for k, v in VISION.items() if k != "image_size"}
        return projector(f"hunyuan-vl-{id}", {"architectures": ["HunYuanVLForConditionalGeneration"], "model_type": "hunyuan_vl",
                                              "text_config": TEXT, "vision_config": {**own, "out_hidden_size": 64,
                                                                                     "max_image_size": 32, **(vision or {})}},
                         images=images, **more)

    yield hunyuan("plain")
    yield hunyuan("f16", {"spatial_merge_size": 2, "rms_norm_eps": 1e-6}, dtype="f16")
    yield hunyuan("f32", {"image_size": 32, "hidden_size": 64}, dtype="f32")
    yield hunyuan("no-pixels", images=IMAGES, refused=True)


def paddle():
    def paddle(id, vision=None, images=PIXELS, **more):
        return model(f"paddleocr-{id}", "PaddleOCRVL", "paddleocr_vl", {"architectures": ["PaddleOCRVisionModel"], **(vision or {})},
                     images=images, build="PaddleOCRVLForConditionalGeneration", **more)

    yield paddle("plain")
    yield paddle("f16", {"hidden_size": 64}, images={**PIXELS, "max_pixels": 2822400}, dtype="f16")
    yield paddle("f32", {"rms_norm_eps": 1e-5}, dtype="f32", extra=[("visual.vision_model.head.probe", [1, 1, 32]),
                                                                     ("visual.vision_model.embeddings.packing_position_embedding.weight", [4, 32])])
    yield paddle("no-pixels", images=IMAGES, refused=True)


def muse():
    def muse(id, vision=None, **more):
        own = {k: v for k, v in VISION.items() if k != "image_size"}
        return projector(f"muse-{id}", {"architectures": ["MuseGlimmerForConditionalGeneration"], "model_type": "muse_glimmer",
                                        "text_config": TEXT, "vision_config": {**own, "pos_emb_height": 4, "pos_emb_width": 4,
                                                                               **(vision or {})}},
                         drop=[r"^model\.vision_(adapter|projection)"], **more, extra=[
            ("model.vision_adapter.fc1.weight", [96, 128]), ("model.vision_adapter.fc2.weight", [96, 96]),
            ("model.vision_projection.weight", [64, 96])])

    yield muse("plain")
    yield muse("f16", {"layer_norm_eps": 1e-6, "merge_size": 3, "num_attention_heads": 2}, dtype="f16")
    yield muse("f32", {"patch_size": 8, "num_hidden_layers": 4}, dtype="f32")


def blocks(prefix, layers, parts, biased=True):
    """Tensors of each layer: names and shapes."""
    tensors = []
    for part, shape in parts:
        tensors.append((f"{prefix}{{0-{layers - 1}}}.{part}.weight", shape))
        if biased:
            tensors.append((f"{prefix}{{0-{layers - 1}}}.{part}.bias", shape[:1]))
    return tensors


SIGLIP = [("self_attn.q_proj", [32, 32]), ("self_attn.k_proj", [32, 32]), ("self_attn.v_proj", [32, 32]),
          ("self_attn.out_proj", [32, 32]), ("mlp.fc1", [48, 32]), ("mlp.fc2", [32, 48]), ("layer_norm1", [32]), ("layer_norm2", [32])]


def phi4():
    images = {**IMAGES, "patch_size": 4, "min_num_patches": 16, "max_num_patches": 64}
    vision = {**VISION, "model_type": "siglip2_vision_model", "num_hidden_layers": 4}
    config = {"architectures": ["Phi4ForCausalLMV"], "model_type": "phi4-siglip", "hidden_size": 64, "vision_config": vision}
    tower = "model.vision_tower.vision_tower.vision_model."
    tensors = [("model.embed_tokens.weight", [40, 64]), (f"{tower}embeddings.patch_embedding.weight", [32, 48]),
               (f"{tower}embeddings.patch_embedding.bias", [32]), (f"{tower}embeddings.position_embedding.weight", [36, 32]),
               (f"{tower}post_layernorm.weight", [32]), (f"{tower}head.probe", [1, 1, 32]),
               ("model.mm_projector.0.weight", [64, 32]), ("model.mm_projector.0.bias", [64]), ("model.mm_projector.2.weight", [64, 64]),
               ("model.mm_projector.2.bias", [64]), *blocks(f"{tower}encoder.layers.", 4, SIGLIP)]
    yield projector("phi4", config, images=images, tensors=tensors)
    yield projector("phi4-global", {**config, "min_num_patches": 4, "max_num_patches": 9, "vision_config": {**vision, "layer_norm_eps": 1e-5}},
                    images={**IMAGES, "patch_size": 4}, dtype="f32", tensors=tensors)
    yield projector("phi4-f16", config, images=images, dtype="f16", tensors=tensors)
    yield projector("phi4-oblong", config, images=images, tensors=tensors, drop=["position_embedding"], refused=True,
                    extra=[(f"{tower}embeddings.position_embedding.weight", [37, 32])])


def youtu():
    vision = {**VISION, "model_type": "siglip2_vision_model", "fullatt_block_indexes": [0, 2], "window_size": 64, "num_hidden_layers": 3}
    config = {"architectures": ["YoutuVLForConditionalGeneration"], "model_type": "youtu_vl", "hidden_size": 64, "vision_config": vision}
    tower = "siglip2.vision_model."
    tensors = [("model.embed_tokens.weight", [40, 64]), (f"{tower}embeddings.patch_embedding.weight", [32, 48]),
               (f"{tower}embeddings.patch_embedding.bias", [32]), (f"{tower}post_layernorm.weight", [32]), (f"{tower}post_layernorm.bias", [32]),
               ("merger.ln_q.weight", [32]), ("merger.mlp.0.weight", [128, 128]), ("merger.mlp.0.bias", [128]), ("merger.mlp.2.weight", [64, 128]),
               ("merger.mlp.2.bias", [64]), ("other.weight", [3, 3]), *blocks(f"{tower}encoder.layers.", 3, SIGLIP)]
    yield projector("youtu-vl", config, tensors=tensors)
    yield projector("youtu-vl-silu", {**config, "vision_config": {**vision, "hidden_act": "silu", "image_size": 56, "spatial_merge_size": 4}},
                    dtype="f16", tensors=tensors)
    yield projector("youtu-vl-f32", {**config, "vision_config": {k: v for k, v in vision.items() if k not in ("image_size", "window_size")}},
                    dtype="f32", tensors=tensors)
    yield projector("youtu-vl-no-windows", {**config, "vision_config": VISION}, tensors=tensors, refused=True)


def cogvlm():
    vision = {"dropout_prob": 0.0, "hidden_act": "gelu", "hidden_size": 32, "image_size": 16, "in_channels": 3, "intermediate_size": 48,
              "layer_norm_eps": 1e-6, "num_heads": 4, "num_hidden_layers": 3, "num_positions": 17, "patch_size": 4}
    config = {"architectures": ["CogVLMForCausalLM"], "hidden_size": 64, "vision_config": vision}
    layer = [("attention.query_key_value", [96, 32]), ("attention.dense", [32, 32]), ("input_layernorm", [32]),
             ("mlp.fc1", [48, 32]), ("mlp.fc2", [32, 48]), ("post_attention_layernorm", [32])]
    head = "model.vision."
    tensors = [("model.embed_tokens.weight", [40, 64]), (f"{head}boi", [1, 1, 64]), (f"{head}eoi", [1, 1, 64]),
               (f"{head}patch_embedding.cls_embedding", [1, 32]), (f"{head}patch_embedding.position_embedding.weight", [17, 32]),
               (f"{head}patch_embedding.proj.weight", [32, 3, 4, 4]), (f"{head}patch_embedding.proj.bias", [32]),
               (f"{head}linear_proj.linear_proj.weight", [64, 32]), (f"{head}linear_proj.norm1.weight", [64]),
               (f"{head}linear_proj.norm1.bias", [64]), (f"{head}linear_proj.gate_proj.weight", [48, 64]),
               (f"{head}linear_proj.dense_h_to_4h.weight", [48, 64]), (f"{head}linear_proj.dense_4h_to_h.weight", [64, 48]),
               *blocks(f"{head}transformer.layers.", 3, layer)]
    yield projector("cogvlm", config, tensors=tensors)
    yield projector("cogvlm-f16", {**config, "vision_config": {**vision, "layer_norm_eps": 1e-5}}, dtype="f16", tensors=tensors)
    yield projector("cogvlm-f32", {**config, "vision_config": {k: v for k, v in vision.items() if k != "layer_norm_eps"}}, dtype="f32",
                    tensors=tensors)


def dots():
    vision = {"embed_dim": 32, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
              "patch_size": 4, "spatial_merge_size": 2, "rms_norm_eps": 1e-5, "use_bias": False}
    config = {"architectures": ["DotsOCRForCausalLM"], "model_type": "dots_ocr", "hidden_size": 64, "vision_config": vision}
    head = "vision_tower."
    layer = [("attn.qkv", [96, 32]), ("attn.proj", [32, 32]), ("mlp.fc1", [48, 32]), ("mlp.fc2", [32, 48]), ("mlp.fc3", [48, 32]),
             ("norm1", [32]), ("norm2", [32])]
    tensors = [("model.embed_tokens.weight", [40, 64]), (f"{head}patch_embed.patchifier.proj.weight", [32, 3, 4, 4]),
               (f"{head}patch_embed.patchifier.proj.bias", [32]), (f"{head}patch_embed.patchifier.norm.weight", [32]),
               (f"{head}post_trunk_norm.weight", [32]), (f"{head}merger.ln_q.weight", [32]), (f"{head}merger.ln_q.bias", [32]),
               (f"{head}merger.mlp.0.weight", [128, 128]), (f"{head}merger.mlp.0.bias", [128]), (f"{head}merger.mlp.2.weight", [64, 128]),
               (f"{head}merger.mlp.2.bias", [64]), *blocks(f"{head}blocks.", 3, layer, biased=False)]
    yield projector("dots-ocr", config, images=PIXELS, tensors=tensors)
    yield projector("dots-ocr-f16", {**config, "vision_config": {**vision, "spatial_merge_size": 4}}, images=PIXELS, dtype="f16", tensors=tensors)
    yield projector("dots-ocr-f32", config, images=None, processor={"image_processor": PIXELS}, dtype="f32", tensors=tensors)
    yield projector("dots-ocr-no-eps", {**config, "vision_config": {k: v for k, v in vision.items() if k != "rms_norm_eps"}},
                    images=PIXELS, tensors=tensors, refused=True)


def step3():
    vision = {"width": 1536, "layers": 47, "heads": 16, "image_size": 728, "patch_size": 14, "mlp_ratio": 0.0625, "ls_init_value": 0.1}
    config = {"architectures": ["StepVLForConditionalGeneration"], "model_type": "step_robotics", "understand_projector_stride": 2,
              "text_config": {"hidden_size": 64}, "vision_config": vision}
    # Few of the layers that there should be: nothing asks for the rest.
    layer = [("attn.in_proj_", [96, 32]), ("attn.out_proj", [32, 32]), ("mlp.c_fc", [48, 32]), ("mlp.c_proj", [32, 48]),
             ("ln_1", [32]), ("ln_2", [32])]
    tensors = [(n.replace("in_proj_.", "in_proj_"), s) for n, s in blocks("vision_model.transformer.resblocks.", 2, layer)] + [
        ("model.embed_tokens.weight", [40, 64]), ("lm_head.weight", [40, 64]), ("vision_model.conv1.weight", [32, 3, 4, 4]),
        ("vision_model.positional_embedding", [36, 32]), ("vision_model.ln_pre.weight", [32]), ("vision_model.ln_pre.bias", [32]),
        ("vision_model.transformer.resblocks.{0-1}.ls_1.gamma", [32]), ("vision_model.transformer.resblocks.{0-1}.ls_2.gamma", [32]),
        ("vision_model.vit_downsampler1.weight", [64, 32, 3, 3]), ("vision_model.vit_downsampler1.bias", [64]),
        ("vision_model.vit_downsampler2.weight", [64, 64, 3, 3]), ("vision_model.vit_downsampler2.bias", [64]),
        ("vit_large_projector.weight", [64, 64])]
    for id, arch, kind in (("step3-vl", "StepVL", "step_robotics"), ("step3p7", "Step3p7", "step3p7")):
        config |= {"architectures": [f"{arch}ForConditionalGeneration"], "model_type": kind}
        text = {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
        yield projector(id, {**config, "text_config": text}, images=None, tensors=tensors)
        yield projector(f"{id}-normal", {**config, "text_config": text, "vision_config": {**vision, "intermediate_size": 96, "layer_norm_eps": 1e-6}},
                        dtype="f16", tensors=tensors)
        yield projector(f"{id}-f32", {**config, "text_config": text, "vision_config": {k: v for k, v in vision.items() if k != "mlp_ratio"}},
                        images={"image_mean": [0.5, 0.25, 0.125]}, dtype="f32", tensors=tensors)
        yield projector(f"{id}-small", {**config, "text_config": text, "vision_config": {**vision, "layers": 2}}, tensors=tensors, refused=True)


def cases():
    for family in (lfm2, llama4, janus, minicpm, hunyuan, paddle, muse, phi4, youtu, cogvlm, dots, step3):
        yield from family()
