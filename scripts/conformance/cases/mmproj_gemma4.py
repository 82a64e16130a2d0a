"""What sees and hears in Gemma 4."""

from checkpoint import projector

TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
        "global_head_dim": 16, "hidden_size_per_layer_input": 0, "layer_types": ["full_attention"], "vocab_size_per_layer_input": 40}


def cases():
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16,
              "patch_size": 4, "position_embedding_size": 24}
    audio = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "subsampling_conv_channels": [16, 8], "output_proj_dims": 48}
    config = {"architectures": ["Gemma4ForConditionalGeneration"], "model_type": "gemma4", "text_config": TEXT, "vision_config": vision}
    yield projector("gemma4-eyes", config)
    yield projector("gemma4-both", {**config, "audio_config": audio}, dtype="f32")
    yield projector("gemma4-clipped", {**config, "vision_config": {**vision, "use_clipped_linears": True, "standardize": True}, "audio_config": audio})
    yield from unified()


def unified():
    """Images and sound go through one matrix each; there are no towers."""
    vision = {"patch_size": 2, "pooling_kernel_size": 3, "mm_embed_dim": 48, "mm_posemb_size": 20, "output_proj_dims": 64}
    audio = {"audio_embed_dim": 32}
    text = {k: v for k, v in TEXT.items() if k != "vocab_size_per_layer_input"} | {"moe_intermediate_size": None}
    config = {"architectures": ["Gemma4UnifiedForConditionalGeneration"], "model_type": "gemma4_unified", "text_config": text,
              "vision_config": vision, "audio_config": audio}
    yield projector("gemma4-unified", config)
    yield projector("gemma4-unified-f32", {**config, "vision_config": {**vision, "pooling_kernel_size": 1, "rms_norm_eps": 1e-5}}, dtype="f32")
    yield projector("gemma4-unified-f16-sized", {**config, "vision_config": {**vision, "patch_size": 4, "pooling_kernel_size": 2, "model_patch_size": 8}},
                    dtype="f16")
    yield projector("gemma4-unified-deaf", {k: v for k, v in config.items() if k != "audio_config"}, refused=True)
