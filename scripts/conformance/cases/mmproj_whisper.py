"""What hears: encoders like Whisper's."""

from checkpoint import projector

TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "head_dim": 16}
WHISPER = {"d_model": 32, "encoder_layers": 4, "encoder_attention_heads": 2, "encoder_ffn_dim": 48, "num_mel_bins": 16,
           "max_source_positions": 24}


def transformers():
    encoder = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 128, "num_mel_bins": 16,
               "max_source_positions": 24}
    for name, kind, part, text, audio in (
            ("Qwen2Audio", "qwen2_audio", "qwen2_audio_encoder", "qwen2", WHISPER),
            ("Voxtral", "voxtral", "voxtral_encoder", "llama", encoder),
            ("AudioFlamingo3", "audioflamingo3", "audioflamingo3_encoder", "qwen2", encoder)):
        arch = f"{name}ForConditionalGeneration"

        def model(id, changes=None, config=None, **more):
            return projector(f"{kind}-{id}", {"architectures": [arch], "model_type": kind, "text_config": {**TEXT, "model_type": text},
                                              "audio_config": {**audio, "model_type": part, **(changes or {})}, **(config or {})},
                             images=None, **more)

        yield model("plain")
        yield model("epsilon", {"layer_norm_eps": 1e-4, "num_mel_bins": 24}, dtype="f32")
        yield model("shallow", {"encoder_layers": 3, "num_hidden_layers": 3, "activation_function": "gelu"}, dtype="f16")


def encoder(prefix, layers=4, wide=32, ff=48, mel=16):
    layer = f"{prefix}layers.{{0-{layers - 1}}}."
    tensors = [(f"{prefix}conv1.weight", [wide, mel, 3]), (f"{prefix}conv1.bias", [wide]), (f"{prefix}conv2.weight", [wide, wide, 3]),
               (f"{prefix}conv2.bias", [wide]), (f"{prefix}embed_positions.weight", [24, wide]),
               (f"{prefix}layer_norm.weight", [wide]), (f"{prefix}layer_norm.bias", [wide])]
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        tensors.append((f"{layer}self_attn.{part}.weight", [wide, wide]))
        if part != "k_proj":
            tensors.append((f"{layer}self_attn.{part}.bias", [wide]))
    for part, shape in (("fc1", [ff, wide]), ("fc2", [wide, ff])):
        tensors += [(f"{layer}{part}.weight", shape), (f"{layer}{part}.bias", shape[:1])]
    for part in ("self_attn_layer_norm", "final_layer_norm"):
        tensors += [(f"{layer}{part}.weight", [wide]), (f"{layer}{part}.bias", [wide])]
    return tensors


TEXT_TENSORS = [("language_model.model.embed_tokens.weight", [40, 64]), ("language_model.model.norm.weight", [64])]


def own_code():
    audio = {**WHISPER, "model_type": "whisper"}
    config = {"architectures": ["UltravoxModel"], "model_type": "ultravox", "hidden_size": 64, "audio_config": audio,
              "text_config": {"architectures": ["LlamaForCausalLM"]}, "stack_factor": 8}
    tensors = encoder("audio_tower.") + TEXT_TENSORS + [
        ("multi_modal_projector.ln_pre.weight", [256]), ("multi_modal_projector.linear_1.weight", [96, 256]),
        ("multi_modal_projector.ln_mid.weight", [48]), ("multi_modal_projector.linear_2.weight", [64, 48])]
    yield projector("ultravox", config, images=None, tensors=tensors)
    yield projector("ultravox-post", {**config, "stack_factor": 4}, images=None, dtype="f16", drop=["ln_mid"], tensors=tensors + [
        ("multi_modal_projector.ln_post.weight", [64])], refused=True)
    yield projector("ultravox-f32", {**config, "audio_config": {**audio, "layer_norm_eps": 1e-6}}, images=None, dtype="f32", tensors=tensors)
    yield projector("ultravox-renamed", {**config, "audio_config": {"num_hidden_layers": 4, "hidden_size": 32, "intermediate_size": 48,
                                                                    "num_attention_heads": 2, "num_mel_bins": 16}},
                    images=None, dtype="f16", tensors=tensors)
    yield projector("ultravox-no-factor", {k: v for k, v in config.items() if k != "stack_factor"}, images=None, tensors=tensors,
                    refused=True)

    config = {"architectures": ["MERaLiON2ForConditionalGeneration"], "model_type": "meralion2", "speech_config": audio,
              "text_config": {"hidden_size": 64, "model_type": "gemma2"}}
    tensors = encoder("speech_encoder.") + [("text_decoder.model.embed_tokens.weight", [40, 64]), ("ln_speech.weight", [32]),
                                            ("ln_speech.bias", [32])]
    for part, shape in (("mlp_adapter.0", [48, 480]), ("gate_proj", [48, 48]), ("pool_proj", [48, 48]), ("out_proj", [64, 48])):
        tensors += [(f"speech_audio_adapter.{part}.weight", shape), (f"speech_audio_adapter.{part}.bias", shape[:1])]
    yield projector("meralion2", config, images=None, tensors=tensors)
    yield projector("meralion2-factor", {**config, "speech_mlp_scale_factor": 5}, images=None, dtype="f16", tensors=tensors)
    yield projector("meralion2-f32", {**config, "speech_config": {**audio, "layer_norm_eps": 1e-3}}, images=None, dtype="f32",
                    tensors=tensors + [("speech_audio_adapter.other.weight", [3, 3])])

    config = {"architectures": ["GlmasrModel"], "model_type": "Glmasr", "merge_factor": 4, "whisper_config": audio,
              "lm_config": {"hidden_size": 64, "model_type": "llama"}}
    tensors = encoder("audio_encoder.whisper.") + [
        ("model.embed_tokens.weight", [40, 64]), ("lm_head.weight", [40, 64]), ("audio_encoder.audio_bos_eos_token.weight", [2, 64]),
        ("audio_encoder.layer_norm.weight", [32]), ("audio_encoder.layer_norm.bias", [32]),
        ("audio_encoder.adapting.0.weight", [96, 128]), ("audio_encoder.adapting.0.bias", [96]),
        ("audio_encoder.adapting.2.weight", [64, 96]), ("audio_encoder.adapting.2.bias", [64])]
    yield projector("glmasr", config, images=None, tensors=tensors)
    yield projector("glmasr-f32", {**config, "merge_factor": 2}, images=None, dtype="f32", tensors=tensors)
    yield projector("glmasr-f16", {**config, "whisper_config": {**audio, "layer_norm_eps": 1e-6}}, images=None, dtype="f16", tensors=tensors)
    yield projector("glmasr-one-token", config, images=None, refused=True, drop=["audio_bos"], tensors=tensors, extra=[
        ("audio_encoder.audio_bos_eos_token.weight", [1, 64])])


def cases():
    yield from transformers()
    yield from own_code()
