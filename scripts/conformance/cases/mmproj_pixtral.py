"""What sees in Pixtral and models that use it."""

from checkpoint import projector

TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "head_dim": 16}
VISION = {"model_type": "pixtral", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
          "num_attention_heads": 2, "image_size": 32, "patch_size": 4}
TOKENS = {"added_tokens_decoder": {"0": {"content": "<unk>"}, "12": {"content": "[IMG_BREAK]"}}}
OLDER = {"tokenizer_config.json": {}, "tokenizer.json": {"added_tokens": [{"id": 7, "content": "[IMG_BREAK]"}], "model": {}}}


def hf():
    for name, kind, text in (("Llava", "llava", "mistral"), ("Mistral3", "mistral3", "mistral"),
                             ("LightOnOCR", "lighton_ocr", "qwen3")):
        arch = f"{name}ForConditionalGeneration"
        files = {} if kind == "lighton_ocr" else {"tokenizer_config.json": TOKENS}
        build = "LightOnOcrForConditionalGeneration" if kind == "lighton_ocr" else None

        def model(id, vision=None, config=None, files=files, **more):
            return projector(f"{kind}-{id}", {"architectures": [arch], "model_type": kind,
                                              "text_config": {**TEXT, "model_type": text},
                                              "vision_config": {**VISION, **(vision or {})}, **(config or {})},
                             files=files, build=build, **more)

        yield model("plain")
        yield model("silu", {"hidden_act": "silu", "hidden_size": 64, "num_attention_heads": 4}, dtype="f16",
                    config={"spatial_merge_size": 2} if kind != "llava" else {"multimodal_projector_bias": False})
        yield model("token-of-file", {"layer_norm_eps": 1e-3}, files=OLDER, dtype="f32", also=["--mmproj --outtype tq1_0"],
                    rename=[(r"^(.*)language_model\.(model\.)?embed_tokens", "model.embed_tokens")])
        yield model("relu", {"hidden_act": "relu"}, refused=True)
        if files:
            yield model("no-token", files={"tokenizer_config.json": {}}, refused=True)


def consolidated(layers=3):
    layer = f"vision_encoder.transformer.layers.{{0-{layers - 1}}}."
    return [("vision_encoder.patch_conv.weight", [32, 3, 4, 4]), ("vision_encoder.ln_pre.weight", [32]),
            (layer + "attention.{wq}.weight", [32, 32]), (layer + "attention_norm.weight", [32]), (layer + "ffn_norm.weight", [32]),
            (layer + "feed_forward.w1.weight", [48, 32]), (layer + "feed_forward.w2.weight", [32, 48]),
            (layer + "feed_forward.w3.weight", [48, 32]),
            ("vision_language_adapter.w_in.weight", [64, 32]), ("vision_language_adapter.w_out.weight", [64, 64]),
            ("tok_embeddings.weight", [40, 64]), ("norm.weight", [64]), ("output.weight", [40, 64]),
            ("layers.0.attention.wq.weight", [64, 64])]


def mistral():
    vision = {"hidden_size": 32, "num_channels": 3, "image_size": 32, "patch_size": 4, "rope_theta": 10000.0,
              "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2, "image_token_id": 10,
              "image_break_token_id": 12, "image_end_token_id": 13}
    params = {"dim": 64, "n_layers": 1, "head_dim": 16, "hidden_dim": 96, "n_heads": 4, "n_kv_heads": 2, "norm_eps": 1e-5,
              "vocab_size": 40}
    tensors = [(n.replace("{wq}", w), s) for n, s in consolidated() for w in (["wq", "wk", "wv", "wo"] if "{wq}" in n else [""])]

    def model(id, changes=None, config=None, **more):
        more = {"tensors": tensors, **more}
        return projector(f"mistral-{id}", {**params, "vision_encoder": {**vision, **(changes or {})}, **(config or {})}, images=None,
                         params=True, vocab=False, flags="--mistral-format", **more)

    merger = {"add_pre_mm_projector_layer_norm": True, "mm_projector_id": "patch_merge", "spatial_merge_size": 2}
    merged = [("patch_merger.merging_layer.weight", [32, 128]), ("pre_mm_projector_norm.weight", [32])]
    yield model("pixtral")
    yield model("small-3.1", merger, dtype="f16", extra=merged)
    yield model("biased", dtype="f32", extra=[("vision_language_adapter.w_in.bias", [64]), ("vision_language_adapter.w_out.bias", [64])])
    tekken = {"config": {}, "vocab": [], "special_tokens": [{"rank": 12, "token_str": "[IMG_BREAK]", "is_control": True}]}
    yield model("placeholder", {**merger, "image_break_token_id": -1}, extra=merged, files={"tekken.json": tekken})
    yield model("placeholder-lost", {"image_break_token_id": -1}, files={"tekken.json": {"config": {}, "vocab": []}}, refused=True)
    yield model("no-eps", config={"norm_eps": None}, refused=True)
    yield model("blind", config={"vision_encoder": None}, refused=True)


def cases():
    yield from hf()
    yield from mistral()
