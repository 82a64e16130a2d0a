"""What sees and hears in dots3-note."""

from checkpoint import projector


def weights(prefix, shapes, bias=False):
    made = [(f"{prefix}{name}.weight", shape) for name, shape in shapes]
    return made + [(f"{prefix}{name}.bias", shape[:1]) for name, shape in shapes] if bias else made


def seen(experts, wide=32, ff=48):
    block = f"vision_encoder.blocks.{{0-{len(experts) - 1}}}."
    tensors = weights("vision_encoder.", [("patch_embed.proj", [wide, 3, 4, 4]), ("patch_embed.norm", [wide]), ("post_trunk_norm", [wide]),
                                          ("adapter.ln_q", [128]), ("adapter.mlp.0", [96, 128]), ("adapter.mlp.2", [64, 96])])
    tensors += weights(block, [("norm_1", [wide]), ("norm_2", [wide]), ("attn.qkv", [96, wide]), ("attn.proj", [wide, wide]), ("attn.q_norm", [16]),
                               ("attn.k_norm", [16])])
    for layer, count in enumerate(experts):
        block = f"vision_encoder.blocks.{layer}.mlp."
        of = [("fc1", [ff, wide]), ("fc2", [wide, ff]), ("fc3", [ff, wide])]
        if count > 0:
            tensors += weights(f"{block}experts.{{0-{count - 1}}}.", of) + [(f"{block}gate_weight", [count, wide]), (f"{block}router_bias", [count])]
        else:
            tensors += weights(block, of)
    return tensors


def heard(layers=3, wide=32, ff=48):
    prefix = "audio_encoder.dots_encoder.speech_encoder."
    layer = f"{prefix}layers.{{0-{layers - 1}}}."
    tensors = weights(prefix, [("conv2d1", [8, 1, 3, 3]), ("conv2d2", [8, 8, 3, 3]), ("conv2d3", [8, 8, 3, 3])], bias=True)
    tensors += weights(prefix, [("conv_out", [wide, 32]), ("layer_norm", [wide])])
    tensors += weights(layer, [(f"self_attn.{x}_proj", [wide, wide]) for x in ("q", "v", "out")] + [("fc1", [2 * ff, wide]), ("fc2", [wide, ff])], bias=True)
    tensors += weights(layer, [("self_attn.k_proj", [wide, wide]), ("self_attn_layer_norm", [wide]), ("final_layer_norm", [wide])])
    return tensors + weights("audio_encoder.audio_adapter.proj.", [("0", [wide]), ("1", [64, wide]), ("3", [64, 64])], bias=True)


def cases():
    vision = {"embed_dim": 32, "hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 2, "patch_size": 4,
              "spatial_merge_size": 2, "rms_norm_eps": 1e-5, "adapter_type": "patch_merger", "pre_pixel_shuffle": True, "temporal_patch_size": 1,
              "use_bias": False, "use_qk_norm": True, "capacity_factor": 2.0, "router_scale": 1.0, "router_scoring_func": "sigmoid"}
    whisper = {"d_model": 32, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 48, "num_mel_bins": 16,
               "activation_function": "swiglu"}
    audio = {"use_conv2d_stem": True, "use_rope": True, "use_rms_norm": True, "use_causal": False, "merge_factor": 1, "chunk_seconds": 60,
             "rope_parameters": {"partial_rotary_factor": 0.5, "rope_theta": 10000.0}, "whisper_config": whisper}
    images = {"min_pixels": 3136, "max_pixels": 200704, "vision_config": {"image_mean": [0.5, 0.5, 0.25], "image_std": [0.5, 0.25, 0.5]}}

    def model(id, experts=(0, 2, 0, 3), arch="Dots3NoteForCausalLM", model_type="dots3", eyes={}, ears={}, side={}, **more):
        tensors = seen(experts) + heard() + [("model.embed_tokens.weight", [40, 64])]
        return projector(f"{arch}-{id}", {
            "architectures": [arch], "model_type": model_type, "hidden_size": 64,
            "vision_config": {**vision, "pyramid_num_routed": [n or -1 for n in experts], **eyes}, "audio_config": {**audio, **ears}},
            images={**images, **side}, tensors=tensors, **more)

    yield model("plain")
    yield model("all", (1, 4, 2, 2), eyes={"capacity_factor": 3, "router_scoring_func": "sigmoid"}, dtype="f32")
    yield model("dense", (0, 0, 0, 0), side={"min_pixels": 784}, dtype="f16")
    yield model("bias", eyes={"use_bias": True}, refused=True)
    yield model("missing-expert", drop=[r"blocks\.1\.mlp\.experts\..*fc2"], refused=True)
    yield model("causal", ears={"use_causal": True}, refused=True)
    whole = "Dots3NoteForConditionalGeneration"
    yield model("plain", arch=whole)
    yield model("f32", (0, 3, 2, 0), arch=whole, dtype="f32")
    yield model("f16", arch=whole, ears={"rope_parameters": {"partial_rotary_factor": 0.5, "rope_theta": 10000}}, dtype="f16")
    yield model("rope", arch=whole, ears={"rope_parameters": {"partial_rotary_factor": 0.25, "rope_theta": 10000}}, refused=True)
