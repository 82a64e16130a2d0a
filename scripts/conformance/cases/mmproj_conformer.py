"""What hears with conformers: LFM2-Audio, and Gemma 3n, which also sees with MobileNetV5."""

from checkpoint import projector


def weights(prefix, shapes, bias=False):
    made = [(f"{prefix}{name}.weight", shape) for name, shape in shapes]
    return made + [(f"{prefix}{name}.bias", shape[:1]) for name, shape in shapes] if bias else made


def lfm2(layers=4, wide=32, mel=16):
    layer = f"conformer.layers.{{0-{layers - 1}}}."
    tensors = [("lfm.embed_tokens.weight", [40, 64]), ("lfm.layers.0.operator_norm.weight", [64]), ("codebook_offsets", [8], "i64"),
               ("audio_loss_weights", [8]), ("depth_linear.weight", [64, 64]), ("depthformer.layers.0.operator_norm.weight", [32]),
               ("depth_embeddings.0.embedding.weight", [40, 32]), ("depth_embeddings.0.to_logits.weight", [40, 32])]
    tensors += weights("conformer.pre_encode.", [("conv.0", [8, 1, 3, 3]), ("conv.2", [8, 1, 3, 3]), ("conv.3", [8, 8, 1, 1]),
                                                 ("conv.5", [8, 1, 3, 3]), ("conv.6", [8, 8, 1, 1]), ("out", [wide, 16])], bias=True)
    tensors += weights(layer, [("norm_feed_forward1", [wide]), ("norm_feed_forward2", [wide]), ("norm_self_att", [wide]), ("norm_conv", [wide]),
                               ("norm_out", [wide]), ("feed_forward1.linear1", [128, wide]), ("feed_forward1.linear2", [wide, 128]),
                               ("feed_forward2.linear1", [128, wide]), ("feed_forward2.linear2", [wide, 128]),
                               ("self_attn.linear_q", [wide, wide]), ("self_attn.linear_k", [wide, wide]), ("self_attn.linear_v", [wide, wide]),
                               ("self_attn.linear_out", [wide, wide]), ("conv.pointwise_conv1", [64, wide, 1]),
                               ("conv.pointwise_conv2", [wide, wide, 1]), ("conv.depthwise_conv", [wide, 1, 9]), ("conv.batch_norm", [wide])], bias=True)
    tensors += [(f"{layer}conv.batch_norm.running_mean", [wide]), (f"{layer}conv.batch_norm.running_var", [wide]),
                (f"{layer}conv.batch_norm.num_batches_tracked", [], "i64"), (f"{layer}self_attn.linear_pos.weight", [wide, wide]),
                (f"{layer}self_attn.pos_bias_u", [2, 16]), (f"{layer}self_attn.pos_bias_v", [2, 16])]
    return tensors + weights("audio_adapter.model.", [("0", [wide]), ("1", [64, wide]), ("3", [64, 64])], bias=True) + [
        ("audio_embedding.embedding.weight", [48, 64]), ("audio_embedding.embedding_norm.weight", [64]), ("audio_embedding.to_logits.weight", [48, 64])]


def gemma3n(layers=3, wide=32):
    layer = f"model.audio_tower.conformer.{{0-{layers - 1}}}."
    tensors = weights("model.audio_tower.subsample_conv_projection.", [
        ("conv_0.conv", [8, 1, 3, 3]), ("conv_1.conv", [4, 8, 3, 3]), ("input_proj_linear", [wide, 16])])
    ffw = [("pre_layer_norm", [wide]), ("ffw_layer_1", [128, wide]), ("ffw_layer_2", [wide, 128]), ("post_layer_norm", [wide])]
    tensors += weights(f"{layer}ffw_layer_start.", ffw) + weights(f"{layer}ffw_layer_end.", ffw)
    tensors += weights(layer, [("attention.pre_attn_norm", [wide]), ("attention.attn.relative_position_embedding.pos_proj", [wide, wide]),
                               ("attention.attn.q_proj", [wide, wide]), ("attention.attn.k_proj", [wide, wide]), ("attention.attn.v_proj", [wide, wide]),
                               ("attention.post", [wide, wide]), ("attention.post_norm", [wide]), ("lconv1d.pre_layer_norm", [wide]),
                               ("lconv1d.linear_start", [64, wide]), ("lconv1d.depthwise_conv1d", [wide, 1, 5]), ("lconv1d.conv_norm", [wide]),
                               ("lconv1d.linear_end", [wide, wide]), ("norm", [wide])]) + [(f"{layer}attention.attn.per_dim_scale", [16])]
    embedder = [("embedding", [48, wide]), ("hard_embedding_norm", [wide]), ("soft_embedding_norm", [wide]), ("embedding_projection", [64, wide])]
    tensors += weights("model.embed_audio.", embedder) + weights("model.embed_vision.", embedder)
    eye = "model.vision_tower.timm_model."
    tensors += weights(eye, [("conv_stem.conv", [8, 3, 3, 3]), ("conv_stem.bn", [8]), ("msfa.ffn.pw_exp.conv", [64, 48, 1, 1]), ("msfa.ffn.pw_exp.bn", [64]),
                             ("msfa.ffn.pw_proj.conv", [wide, 64, 1, 1]), ("msfa.ffn.pw_proj.bn", [wide]), ("msfa.norm", [wide])])
    tensors += [(f"{eye}conv_stem.conv.bias", [8])]
    tensors += weights(f"{eye}blocks.0.{{0-1}}.", [("conv_exp", [32, 8, 3, 3]), ("bn1", [32]), ("conv_pwl", [8, 32, 1, 1]), ("bn2", [8])])
    tensors += weights(f"{eye}blocks.1.{{0-2}}.", [
        ("dw_start.conv", [8, 1, 5, 5]), ("dw_start.bn", [8]), ("pw_exp.conv", [32, 8, 1, 1]), ("pw_exp.bn", [32]), ("dw_mid.conv", [32, 1, 3, 3]),
        ("dw_mid.bn", [32]), ("pw_proj.conv", [8, 32, 1, 1]), ("pw_proj.bn", [8])]) + [(f"{eye}blocks.1.{{0-2}}.layer_scale.gamma", [8])]
    tensors += weights(f"{eye}blocks.3.11.", [
        ("norm", [32]), ("attn.query.proj", [64, 32, 1, 1]), ("attn.key.proj", [32, 32, 1, 1]), ("attn.key.down_conv", [32, 1, 3, 3]), ("attn.key.norm", [32]),
        ("attn.value.proj", [32, 32, 1, 1]), ("attn.value.down_conv", [32, 1, 3, 3]), ("attn.value.norm", [32]), ("attn.output.proj", [32, 64, 1, 1])])
    return tensors + [(f"{eye}blocks.3.11.layer_scale.gamma", [32]), ("model.language_model.embed_tokens.weight", [40, 64]), ("lm_head.weight", [40, 64])]


def cases():
    config = {"architectures": ["Lfm2AudioForConditionalGeneration"], "model_type": "lfm2_audio", "lfm": {"hidden_size": 64, "model_type": "lfm2"},
              "hidden_size": 64, "encoder": {"d_model": 32, "n_heads": 2, "n_layers": 8, "feat_in": 16}}
    tensors = lfm2()
    yield projector("lfm2-audio", config, images=None, tensors=tensors)
    yield projector("lfm2-audio-f32", {**config, "encoder": {**config["encoder"], "feat_in": 24, "n_layers": 7}}, images=None, dtype="f32", tensors=tensors)
    yield projector("lfm2-audio-f16", config, images=None, dtype="f16", tensors=tensors)
    yield projector("lfm2-audio-mixed", config, images=None, dtype="f16", tensors=tensors, dtypes=[("running", "f32"), ("batch_norm.bias", "bf16")])
    yield projector("lfm2-audio-shallow", {**config, "encoder": {**config["encoder"], "n_layers": 3}}, images=None, tensors=tensors, refused=True)

    def sees_and_hears(id, images={}, vision={}, audio={}, **more):
        return projector(f"gemma3n-{id}", {
            "architectures": ["Gemma3nForConditionalGeneration"], "model_type": "gemma3n", "vision_config": {"model_type": "gemma3n_vision", **vision},
            "text_config": {"model_type": "gemma3n_text", "hidden_size": 64, "num_hidden_layers": 2},
            "audio_config": {"model_type": "gemma3n_audio", "hidden_size": 32, "conf_num_hidden_layers": 3, "conf_num_attention_heads": 2, **audio}},
            images=images, **{"tensors": gemma3n(), **more})

    yield sees_and_hears("plain")
    yield sees_and_hears("sized", {"size": {"height": 512, "width": 512}, "image_seq_length": 64, "image_mean": [0.5, 0.5, 0.5]},
                         {"hidden_size": 32, "intermediate_size": 96, "layer_norm_eps": 1e-5}, {"input_feat_size": 80, "intermediate_size": 200}, dtype="f32")
    yield sees_and_hears("halves", {"size": {"height": 256}}, {"num_attention_heads": 4}, dtype="f16")
    # As transformers saves it; the reference has no name for these norms.
    norms = weights("model.audio_tower.subsample_conv_projection.", [("conv_0.norm", [8]), ("conv_1.norm", [4])])
    yield sees_and_hears("norms", tensors=gemma3n() + norms, refused=True)
    yield sees_and_hears("strange-block", tensors=gemma3n() + [("model.vision_tower.timm_model.blocks.0.0.bn3.weight", [8])], refused=True)
