"""What sees in Kimi-VL, Kimi K2.5, GLM-5V and MiniMax M3."""

from checkpoint import IMAGES, projector


def tower(prefix="vision_tower.", layers=4, wide=32, ff=48, patch=4, time=False, biased=True):
    block = f"{prefix}encoder.blocks.{{0-{layers - 1}}}."
    tensors = [(f"{prefix}patch_embed.proj.weight", [wide, 3, patch, patch]), (f"{prefix}patch_embed.proj.bias", [wide]),
               (f"{prefix}patch_embed.pos_emb.weight", [6, 5, wide]),
               (f"{prefix}encoder.final_layernorm.weight", [wide]), (f"{prefix}encoder.final_layernorm.bias", [wide])]
    if time:
        tensors.append((f"{prefix}patch_embed.pos_emb.time_weight", [4, 1, wide]))
    for part, shape in (("wqkv", [3 * wide, wide]), ("wo", [wide, wide]), ("mlp.fc0", [ff, wide]), ("mlp.fc1", [wide, ff])):
        tensors += [(f"{block}{part}.weight", shape)] + ([(f"{block}{part}.bias", shape[:1])] if biased else [])
    for part in ("norm0", "norm1"):
        tensors += [(f"{block}{part}.weight", [wide]), (f"{block}{part}.bias", [wide])]
    return tensors


def kimi_vl():
    vision = {"model_type": "moonvit", "patch_size": 4, "num_attention_heads": 4, "num_hidden_layers": 4, "hidden_size": 32,
              "intermediate_size": 48, "init_pos_emb_height": 6, "init_pos_emb_width": 5, "merge_kernel_size": [2, 2]}
    config = {"architectures": ["KimiVLForConditionalGeneration"], "model_type": "kimi_vl", "vision_config": vision,
              "text_config": {"hidden_size": 64, "model_type": "deepseek_v3"}}
    tensors = tower() + [("language_model.model.embed_tokens.weight", [40, 64])]
    for part, shape in (("linear_1", [128, 128]), ("linear_2", [64, 128])):
        tensors += [(f"multi_modal_projector.{part}.weight", shape), (f"multi_modal_projector.{part}.bias", shape[:1])]
    tensors += [("multi_modal_projector.pre_norm.weight", [32]), ("multi_modal_projector.pre_norm.bias", [32])]
    yield projector("kimi-vl", config, tensors=tensors)
    yield projector("kimi-vl-f16", {**config, "vision_config": {**vision, "layer_norm_eps": 1e-6}}, dtype="f16", tensors=tensors)
    yield projector("kimi-vl-f32", config, dtype="f32", images={"media_proc_cfg": IMAGES}, tensors=tensors, drop=[r"wqkv\.bias"])
    yield projector("kimi-vl-flat-positions", config, tensors=tensors, drop=["pos_emb"], refused=True,
                    extra=[("vision_tower.patch_embed.pos_emb.weight", [30, 32])])


def kimi_k25():
    vision = {"model_type": "", "patch_size": 4, "vt_num_attention_heads": 4, "vt_num_hidden_layers": 4, "vt_hidden_size": 64,
              "vt_intermediate_size": 96, "init_pos_emb_height": 6, "init_pos_emb_width": 5, "init_pos_emb_time": 4,
              "merge_kernel_size": [2, 2], "projector_hidden_act": "gelu", "num_attention_heads": 4}
    for name, kind, linear in (("KimiK25", "kimi_k2.5", "proj."), ("Glm5v", "glm5v", "")):
        config = {"architectures": [f"{name}ForConditionalGeneration"], "model_type": kind, "vision_config": vision,
                  "text_config": {"hidden_size": 64, "model_type": "x"}}
        tensors = tower(wide=64, ff=96)
        numbers = ("0", "2") if linear else ("linear_1", "linear_2")
        for number, shape in zip(numbers, ([256, 256], [64, 256])):
            tensors += [(f"mm_projector.{linear}{number}.weight", shape), (f"mm_projector.{linear}{number}.bias", shape[:1])]
        tensors += [("mm_projector.pre_norm.weight", [64]), ("mm_projector.pre_norm.bias", [64])]
        yield projector(kind, config, tensors=tensors)
        yield projector(f"{kind}-limit", {**config, "vision_config": {**vision, "projector_hidden_act": "silu", "projector_ln_eps": 1e-4}},
                        dtype="f32", tensors=tensors, images={"media_proc_cfg": {**IMAGES, "in_patch_limit": 100}})
        sparse = {k: v for k, v in vision.items() if not k.startswith("init_pos") and k != "merge_kernel_size"}
        yield projector(f"{kind}-defaults", {**config, "vision_config": {**sparse, "num_attention_heads": 8}}, dtype="f16", tensors=tensors)
        yield projector(f"{kind}-heads", {**config, "vision_config": {**vision, "num_attention_heads": 5}}, tensors=tensors, refused=True)


def minimax():
    vision = {"hidden_size": 160, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 4,
              "image_size": 32, "num_channels": 3, "projection_dim": 64}
    config = {"architectures": ["MiniMaxM3SparseForConditionalGeneration"], "model_type": "minimax_m3_own", "vision_config": vision,
              "text_config": {"hidden_size": 64}}
    layer = "vision_tower.vision_model.encoder.layers.{0-2}."
    tensors = [("vision_tower.vision_model.embeddings.patch_embedding.weight", [160, 3, 2, 4, 4]),
               ("vision_tower.vision_model.pre_layrnorm.weight", [160]), ("vision_tower.vision_model.pre_layrnorm.bias", [160]),
               ("language_model.model.embed_tokens.weight", [40, 64])]
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        tensors += [(f"{layer}self_attn.{part}.weight", [160, 160]), (f"{layer}self_attn.{part}.bias", [160])]
    for part, shape in (("mlp.fc1", [96, 160]), ("mlp.fc2", [160, 96])):
        tensors += [(f"{layer}{part}.weight", shape), (f"{layer}{part}.bias", shape[:1])]
    for part in ("layer_norm1", "layer_norm2"):
        tensors += [(f"{layer}{part}.weight", [160]), (f"{layer}{part}.bias", [160])]
    for part, shape in (("multi_modal_projector.linear_1", [64, 160]), ("multi_modal_projector.linear_2", [64, 64]),
                        ("patch_merge_mlp.linear_1", [64, 256]), ("patch_merge_mlp.linear_2", [64, 64])):
        tensors += [(f"{part}.weight", shape), (f"{part}.bias", shape[:1])]
    yield projector("minimax-m3", config, tensors=tensors)
    yield projector("minimax-m3-f16", {**config, "vision_config": {**vision, "layer_norm_eps": 1e-6, "img_token_compression_config":
                                                                   {"spatial_merge_size": 4}}}, dtype="f16", tensors=tensors)
    yield projector("minimax-m3-three", config, dtype="f32", tensors=tensors[1:], extra=[
        ("vision_tower.vision_model.embeddings.patch_embedding.weight", [160, 3, 3, 4, 4])])
    yield projector("minimax-m3-heads", {**config, "vision_config": {**vision, "num_attention_heads": 4}}, tensors=tensors, refused=True)


def cases():
    yield from kimi_vl()
    yield from kimi_k25()
    yield from minimax()
