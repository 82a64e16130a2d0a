"""What sees in DeepSeek-OCR, its successors, and DeepSeek V4."""

from checkpoint import IMAGES, projector


def sam(layers=2, wide=32):
    head = "model.sam_model."
    block = f"{head}blocks.{{0-{layers - 1}}}."
    tensors = [(f"{head}pos_embed", [1, 8, 8, wide]), (f"{head}patch_embed.proj.weight", [wide, 3, 4, 4]), (f"{head}patch_embed.proj.bias", [wide]),
               (f"{head}neck.0.weight", [24, wide, 1, 1]), (f"{head}neck.1.weight", [24]), (f"{head}neck.1.bias", [24]),
               (f"{head}neck.2.weight", [24, 24, 3, 3]), (f"{head}neck.3.weight", [24]), (f"{head}neck.3.bias", [24]),
               (f"{head}net_2.weight", [32, 24, 3, 3]), (f"{head}net_3.weight", [48, 32, 3, 3]),
               (f"{block}attn.rel_pos_h", [27, 8]), (f"{block}attn.rel_pos_w", [27, 8])]
    for part, shape in (("attn.qkv", [3 * wide, wide]), ("attn.proj", [wide, wide]), ("mlp.lin1", [48, wide]), ("mlp.lin2", [wide, 48]),
                        ("norm1", [wide]), ("norm2", [wide])):
        tensors += [(f"{block}{part}.weight", shape), (f"{block}{part}.bias", shape[:1])]
    return tensors


TEXT = [("lm_head.weight", [40, 64]), ("model.embed_tokens.weight", [40, 64]), ("model.layers.0.input_layernorm.weight", [64]), ("model.norm.weight", [64]),
        ("model.image_newline", [64]), ("model.view_seperator", [64]), ("model.projector.layers.weight", [64, 48]), ("model.projector.layers.bias", [64])]
SAM = {"width": 32, "layers": 2, "heads": 4, "global_attn_indexes": [1], "downsample_channels": [32, 48]}


def ocr():
    clip = {"width": 32, "layers": 4, "heads": 4, "image_size": 224, "patch_size": 14}
    vision = {"image_size": 1024, "mlp_ratio": 3.7362, "model_name": "deeplip_b_l", "model_type": "vision",
              "width": {"clip-l-14-224": clip, "sam_vit_b": SAM}}
    layer = "model.vision_model.transformer.layers.{0-2}."
    tensors = sam() + TEXT + [("model.vision_model.embeddings.class_embedding", [32]), ("model.vision_model.embeddings.patch_embedding.weight", [32, 3, 14, 14]),
                              ("model.vision_model.embeddings.position_embedding.weight", [257, 32]),
                              ("model.vision_model.pre_layrnorm.weight", [32]), ("model.vision_model.pre_layrnorm.bias", [32])]
    for part, shape in (("self_attn.qkv_proj", [96, 32]), ("self_attn.out_proj", [32, 32]), ("mlp.fc1", [48, 32]), ("mlp.fc2", [32, 48]),
                        ("layer_norm1", [32]), ("layer_norm2", [32])):
        tensors += [(f"{layer}{part}.weight", shape), (f"{layer}{part}.bias", shape[:1])]
    for name, kind in (("DeepseekOCR", "deepseek_vl_v2"), ("UnlimitedOCR", "unlimited_own")):
        config = {"architectures": [f"{name}ForCausalLM"], "model_type": kind, "vision_config": vision,
                  "language_config": {"hidden_size": 64, "model_type": "deepseek_v2"}}
        id = name.lower()
        yield projector(id, config, tensors=tensors)
        yield projector(f"{id}-f16", {**config, "vision_config": {**vision, "width": {**vision["width"], "clip-l-14-224": {**clip, "layer_norm_eps": 1e-5}},
                                                                  "window_size": 7}}, dtype="f16", tensors=tensors)
        yield projector(f"{id}-scale", config, images={**IMAGES, "image_seq_length": 16}, dtype="f32", tensors=tensors)
        yield projector(f"{id}-no-sam", {**config, "vision_config": {**vision, "width": {"clip-l-14-224": clip}}}, tensors=tensors, refused=True)


def ocr2():
    vision = {"image_size": 1024, "mlp_ratio": 3.7362, "model_name": "deepencoderv2", "model_type": "vision",
              "width": {"qwen2-0-5b": {"dim": 32}, "sam_vit_b": SAM}}
    config = {"architectures": ["DeepseekOCR2ForCausalLM"], "model_type": "deepseek_vl_v2", "vision_config": vision,
              "language_config": {"hidden_size": 64, "model_type": "deepseek_v2"}}
    layer = "model.qwen2_model.model.model.layers.{0-2}."
    tensors = sam() + [t for t in TEXT if "newline" not in t[0]] + [
        ("model.qwen2_model.query_768.weight", [9, 32]), ("model.qwen2_model.query_1024.weight", [16, 32]), ("model.qwen2_model.model.model.norm.weight", [32])]
    for part, shape, bias in (("self_attn.q_proj", [32, 32], True), ("self_attn.k_proj", [16, 32], True), ("self_attn.v_proj", [16, 32], True),
                              ("self_attn.o_proj", [32, 32], False), ("mlp.gate_proj", [48, 32], False), ("mlp.up_proj", [48, 32], False),
                              ("mlp.down_proj", [32, 48], False), ("input_layernorm", [32], False), ("post_attention_layernorm", [32], False)):
        tensors += [(f"{layer}{part}.weight", shape)] + ([(f"{layer}{part}.bias", shape[:1])] if bias else [])
    yield projector("deepseekocr2", config, tensors=tensors)
    yield projector("deepseekocr2-f16", {**config, "vision_config": {**vision, "layers": 4, "num_attention_heads": 4, "intermediate_size": 48}},
                    dtype="f16", tensors=tensors)
    yield projector("deepseekocr2-f32", {**config, "vision_config": {**vision, "patch_size": 32}}, dtype="f32", tensors=tensors)
    yield projector("deepseekocr2-no-width", {**config, "vision_config": {**vision, "width": {"sam_vit_b": SAM}}}, tensors=tensors, refused=True)


def v4():
    config = {"architectures": ["DeepseekV4ForCausalLM"], "model_type": "deepseek_v4_own", "hidden_size": 64, "vision_n_layers": 3, "vision_dim": 32,
              "vision_n_heads": 4, "vision_inter_dim": 48, "vision_patch_size": 4, "vision_downsample_ratio": 2, "vision_min_pixels": 1024,
              "vision_max_n_token": 384, "vision_max_wh_ratio": 8}
    layer = "vision.blocks.{0-2}."
    tensors = [("embed.weight", [40, 64]), ("layers.0.attn_norm.weight", [64]), ("vision.patch_embed.proj.weight", [32, 48]),
               ("vision.patch_embed.proj.bias", [32]), ("image_start", [64]), ("image_end", [64]), ("image_pad", [64]), ("vision.norm.weight", [32]), ("aligner.w1.weight", [64, 128]), ("aligner.w2.weight", [64, 64])]
    for part, shape in (("attn.wqkv.weight", [96, 32]), ("attn.wo.weight", [32, 32]), ("mlp.w1.weight", [96, 32]), ("mlp.w2.weight", [32, 48]),
                        ("norm1.weight", [32]), ("norm2.weight", [32])):
        tensors.append((f"{layer}{part}", shape))
    yield projector("deepseek-v4", config, images=None, tensors=tensors)
    yield projector("deepseek-v4-f16", {**config, "vision_downsample_ratio": 3}, images=None, dtype="f16", tensors=tensors)
    yield projector("deepseek-v4-f32", config, images={"image_mean": [0.25, 0.5, 0.75]}, dtype="f32", tensors=tensors)
    yield projector("deepseek-v4-longer", {**config, "vision_max_n_token": 400}, images=None, tensors=tensors, refused=True)
    yield projector("deepseek-v4-blind", {k: v for k, v in config.items() if k != "vision_n_layers"}, images=None, tensors=tensors, refused=True)


def cases():
    yield from ocr()
    yield from ocr2()
    yield from v4()
