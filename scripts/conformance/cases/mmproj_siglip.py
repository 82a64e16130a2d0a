"""What sees in Gemma 3, Idefics 3, SmolVLM and InternVL."""

from checkpoint import projector

TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "head_dim": 16}
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 32,
          "patch_size": 4}


def gemma3():
    arch = "Gemma3ForConditionalGeneration"

    def gemma(id, vision, config=None, **more):
        vision = {"model_type": "siglip_vision_model", "vision_use_head": False, **VISION, **vision}
        return projector(id, {"architectures": [arch], "model_type": "gemma3", "text_config": TEXT, "vision_config": vision,
                              "mm_tokens_per_image": 4, **(config or {})},
                         # What transformers 5 saves has a part less than what is published.
                         rename=[(r"^vision_tower\.(?!vision_model)", "vision_tower.vision_model.")], **more)

    images = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "image_seq_length": 4}
    yield gemma("gemma3", {}, images=images)
    yield gemma("gemma3-other-scale", {"image_size": 24, "layer_norm_eps": 1e-5}, images=images, dtype="f32")
    yield gemma("gemma3-head", {"vision_use_head": True, "hidden_size": 64}, {"mm_tokens_per_image": 16}, dtype="f16")
    yield gemma("gemma3-defaults", {}, dtype="f16", build=(arch, {
        "architectures": [arch], "model_type": "gemma3", "text_config": TEXT, "mm_tokens_per_image": 16,
        "vision_config": {"model_type": "siglip_vision_model", **VISION, "num_hidden_layers": 12}}),
        config={"vision_config": {"hidden_size": 32}})
    yield gemma("gemma3-no-list", {}, images={"image_mean": 0.5, "image_std": [0.5]}, refused=True)


def idefics():
    text = {**TEXT, "model_type": "llama"}
    images = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": {"longest_edge": 64}}
    for name, kind in (("Idefics3", "idefics3"), ("SmolVLM", "smolvlm")):
        arch = f"{name}ForConditionalGeneration"

        def idefics(id, vision, config=None, images=images, **more):
            vision = {"model_type": f"{kind}_vision", **VISION, **vision}
            return projector(f"{kind}-{id}", {"architectures": [arch], "model_type": kind, "text_config": text,
                                              "vision_config": vision, **(config or {})}, images=images, **more)

        yield idefics("plain", {})
        yield idefics("scaled", {"layer_norm_eps": 1e-4}, {"scale_factor": 4}, dtype="f32")
        yield idefics("no-size", {"hidden_size": 64, "patch_size": 8}, dtype="f16",
                      images={"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})
        yield idefics("no-eps", {}, {"vision_config": {k: v for k, v in VISION.items() if k != "patch_size"}},
                      build=(arch, {"architectures": [arch], "model_type": kind, "text_config": text,
                                    "vision_config": {**VISION, "patch_size": 8}}))


def vit(layers, wide, ff, names=("attention", "mlp"), extra=()):
    """InternViT's layers."""
    layer = f"vision_model.encoder.layers.{{0-{layers - 1}}}."
    return [(layer + "ls1", [wide]), (layer + "ls2", [wide]), (layer + "attn.qkv.weight", [3 * wide, wide]),
            (layer + "attn.qkv.bias", [3 * wide]), (layer + "attn.proj.weight", [wide, wide]), (layer + "attn.proj.bias", [wide]),
            (layer + "mlp.fc1.weight", [ff, wide]), (layer + "mlp.fc1.bias", [ff]), (layer + "mlp.fc2.weight", [wide, ff]),
            (layer + "mlp.fc2.bias", [wide]), (layer + "norm1.weight", [wide]), (layer + "norm1.bias", [wide]),
            (layer + "norm2.weight", [wide]), (layer + "norm2.bias", [wide]), *extra]


def internvl():
    wide = 32
    vision = {"architectures": ["InternVisionModel"], "model_type": "intern_vit_6b", "hidden_size": wide,
              "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4, "image_size": 16, "patch_size": 4,
              "hidden_act": "gelu", "layer_norm_eps": 1e-6, "qk_normalization": False, "norm_type": "layer_norm"}
    text = {**TEXT, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
    tensors = vit(4, wide, 48) + [
        ("vision_model.embeddings.class_embedding", [1, 1, wide]), ("vision_model.embeddings.patch_embedding.bias", [wide]),
        ("vision_model.embeddings.patch_embedding.weight", [wide, 3, 4, 4]),
        ("vision_model.embeddings.position_embedding", [1, 17, wide]),
        ("mlp1.0.weight", [128]), ("mlp1.0.bias", [128]), ("mlp1.1.weight", [64, 128]), ("mlp1.1.bias", [64]),
        ("mlp1.3.weight", [64, 64]), ("mlp1.3.bias", [64]),
        ("language_model.model.embed_tokens.weight", [40, 64]), ("language_model.model.layers.0.mlp.up_proj.weight", [96, 64])]

    def intern(id, changes, config=None, **more):
        return projector(f"internvl-{id}", {"architectures": ["InternVLChatModel"], "model_type": "internvl_chat",
                                            "llm_config": text, "vision_config": {**vision, **changes}, "downsample_ratio": 0.5,
                                            **(config or {})}, tensors=tensors, **more)

    yield intern("chat", {})
    yield intern("norms", {"qk_normalization": True}, {"min_dynamic_patch": 1, "max_dynamic_patch": 12}, dtype="f32",
                 extra=[("vision_model.encoder.layers.{0-3}.attn.q_norm.weight", [32]),
                        ("vision_model.encoder.layers.{0-3}.attn.k_norm.weight", [32])])
    yield intern("silu", {"hidden_act": "silu", "image_size": [16, 16], "patch_size": [4, 4]}, {"downsample_ratio": 0.25},
                 dtype="f16")
    yield intern("relu", {"hidden_act": "relu"}, refused=True)
    # As transformers saves it, and as Intern-S1 is.
    hf = {**VISION, "model_type": "internvl_vision", "architectures": ["InternVisionModel"], "image_size": [32, 32],
          "patch_size": [4, 4], "num_hidden_layers": 4}
    arch = "InternVLForConditionalGeneration"
    s1 = [(r"^(vision_tower|multi_modal_projector)\.", r"model.\1.")]
    yield projector("internvl-hf", {"architectures": [arch], "model_type": "internvl", "text_config": text, "vision_config": hf},
                    rename=s1)
    yield projector("internvl-hf-defaults", {"architectures": [arch], "model_type": "internvl", "text_config": text,
                                             "vision_config": {"architectures": ["InternVisionModel"], "hidden_size": 32,
                                                               "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4}},
                    dtype="f16", rename=s1)


def cases():
    yield from gemma3()
    yield from idefics()
    yield from internvl()
