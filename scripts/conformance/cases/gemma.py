"""Gemma of all versions."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6}


def gemma(id, arch, model_type, config=None, **more):
    config = {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}
    return case(id, config, **{"tokenizer": "spm", **more})


def seen(id, arch, model_type, inner, text, **more):
    """A model that sees and hears: the text model's settings and tensors lie one level deeper."""
    text = {"model_type": f"{model_type}_text", **SMALL, **text}
    towers = [("model.vision_tower.patch_embedder.input_proj.weight", [8, 12]), ("model.audio_tower.output_proj.weight", [8, 8]),
              *((f"model.embed_{sense}.embedding_projection.weight", [64, 8]) for sense in ("vision", "audio"))]
    return case(id, {"architectures": [arch], "model_type": model_type, "text_config": text}, build=(inner, text), extra=towers,
                rename=[("^model", "model.language_model")], **more)


def cases():
    yield gemma("gemma", "GemmaForCausalLM", "gemma")
    yield gemma("gemma-f16", "GemmaForCausalLM", "gemma", {"num_key_value_heads": 1, "head_dim": 32}, dtype="f16")
    yield gemma("gemma-head", "GemmaForCausalLM", "gemma", {"num_hidden_layers": 3}, extra=[("lm_head.weight", [40, 64])],
                dtype="f32")
    yield gemma("gemma-saved", "GemmaForCausalLM", "gemma", saved=True)
    yield gemma("gemma2", "Gemma2ForCausalLM", "gemma2")
    yield gemma("gemma2-f16", "Gemma2ForCausalLM", "gemma2",
                {"sliding_window": 128, "attn_logit_softcapping": 40.0, "final_logit_softcapping": 20.0}, dtype="f16")
    yield gemma("gemma2-saved", "Gemma2ForCausalLM", "gemma2", {"num_key_value_heads": 4}, saved=True, dtype="f32")
    yield gemma("gemma2-no-cap", "Gemma2ForCausalLM", "gemma2", {"attn_logit_softcapping": None}, refused=True)
    yield gemma("gemma3", "Gemma3ForCausalLM", "gemma3_text", {"sliding_window": 128, "num_hidden_layers": 7})
    yield gemma("gemma3-f16", "Gemma3ForCausalLM", "gemma3_text",
                {"rope_scaling": {"rope_type": "linear", "factor": 8.0}, "final_logit_softcapping": 30.0}, dtype="f16")
    yield gemma("gemma3-bpe", "Gemma3ForCausalLM", "gemma3_text", {"sliding_window_pattern": 2}, tokenizer="gpt2-trimmed")
    yield gemma("gemma3-saved", "Gemma3ForCausalLM", "gemma3_text", {"use_bidirectional_attention": True}, saved=True)
    yield gemma("gemma3-every-layer", "Gemma3ForCausalLM", "gemma3_text", {"sliding_window_pattern": 1}, dtype="f32")
    yield gemma("gemma3-more-rows", "Gemma3ForCausalLM", "gemma3_text", {"vocab_size": 30})
    vision = {"model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
              "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    for suffix, dtype, config in (("", "bf16", {"sliding_window": 64}),
                                  ("-f16", "f16", {"num_hidden_layers": 7, "num_key_value_heads": 1, "rope_scaling": {
                                      "rope_type": "linear", "factor": 8.0}}),
                                  ("-f32", "f32", {"rope_local_base_freq": 5e3, "rope_theta": 5e5, "head_dim": 32})):
        yield case(f"gemma3-vision{suffix}", {
            "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "vision_config": vision,
            "text_config": {"model_type": "gemma3_text", **SMALL, **config}, "mm_tokens_per_image": 4}, tokenizer="spm",
            dtype=dtype, saved=dtype == "f32")
    pooling = {"modules.json": [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                                {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}],
               "1_Pooling/config.json": {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True}}
    embedding = {"sliding_window": 512, "use_bidirectional_attention": True}
    yield gemma("gemma-embedding", "Gemma3TextModel", "gemma3_text", embedding, files=pooling)
    yield gemma("gemma-embedding-f32", "Gemma3TextModel", "gemma3_text", embedding, dtype="f32")
    yield gemma("gemma-embedding-window", "Gemma3TextModel", "gemma3_text", {"sliding_window": 257, "use_bidirectional_attention": True}, dtype="f16")
    yield gemma("gemma-embedding-no-window", "Gemma3TextModel", "gemma3_text", refused=True)

    n = {"num_hidden_layers": 5, "intermediate_size": [96] * 5, "hidden_size_per_layer_input": 16, "laurel_rank": 8,
         "altup_num_inputs": 4, "num_kv_shared_layers": 0, "vocab_size_per_layer_input": 520, "sliding_window": 128,
         "activation_sparsity_pattern": [0.95, 0.0, 0.5, 0.0, 0.0]}
    rows = {"vocab_size_per_layer_input": 40}
    yield gemma("gemma3n", "Gemma3nForCausalLM", "gemma3n_text", n, shapes=rows)
    yield gemma("gemma3n-shared", "Gemma3nForCausalLM", "gemma3n_text",
                {**n, "num_hidden_layers": 6, "intermediate_size": [96] * 6, "num_kv_shared_layers": 1,
                 "layer_types": ["sliding_attention"] * 4 + ["full_attention", "sliding_attention"],
                 "activation_sparsity_pattern": [0.0] * 6}, shapes=rows, dtype="f32")
    yield gemma("gemma3n-f16", "Gemma3nForCausalLM", "gemma3n_text", {**n, "rope_theta": 5e5, "rope_local_base_freq": 5e3},
                dtype="f16", shapes=rows, saved=True)
    for suffix, dtype, config in (("", "bf16", {}), ("-f16", "f16", {"num_key_value_heads": 1, "sliding_window": 256}),
                                  ("-f32", "f32", {"activation_sparsity_pattern": [0.25] * 5, "head_dim": 32})):
        yield seen(f"gemma3n-seen{suffix}", "Gemma3nForConditionalGeneration", "gemma3n", "Gemma3nForCausalLM", {**n, **config},
                   dtype=dtype, shapes=rows, tokenizer="spm")

    def gemma4(id, config, **more):
        return gemma(id, "Gemma4ForCausalLM", "gemma4_text", config, **{"tokenizer": "llama-hf", **more})

    four = {"num_hidden_layers": 6, "global_head_dim": 32, "hidden_size_per_layer_input": 0, "sliding_window": 128,
            "num_kv_shared_layers": 0, "final_logit_softcapping": 30.0}
    per_layer = {**four, "hidden_size_per_layer_input": 16, "vocab_size_per_layer_input": 482, "num_kv_shared_layers": 2,
                 "use_double_wide_mlp": True, "layer_types": ["sliding_attention", "full_attention"] * 3}
    experts = {**four, "enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32,
               "attention_k_eq_v": True, "num_global_key_value_heads": 1}
    rows = {"shapes": {"vocab_size_per_layer_input": 40}}
    yield gemma4("gemma4", four)
    yield gemma4("gemma4-per-layer", per_layer, dtype="f32", **rows)
    yield gemma4("gemma4-experts", experts, dtype="f16", saved=True)
    arch = "Gemma4ForConditionalGeneration"
    for suffix, dtype, config in (("", "bf16", four), ("-per-layer", "f32", {**per_layer, "num_key_value_heads": 1}),
                                  ("-experts", "f16", {**experts, "num_experts": 2, "final_logit_softcapping": None})):
        yield seen(f"gemma4-seen{suffix}", arch, "gemma4", "Gemma4ForCausalLM", config, dtype=dtype, tokenizer="llama-hf", **rows)
    # The class knows no experts, but the reference wants to see that there are none.
    unified = {**{k: v for k, v in four.items() if k != "hidden_size_per_layer_input"}, "moe_intermediate_size": None}
    suppressed = {"generation_config.json": {"suppress_tokens": [11, 400]}}
    for suffix, dtype, config, files in (
            ("", "bf16", {}, suppressed),
            ("-f16", "f16", {"attention_k_eq_v": True, "num_global_key_value_heads": 1}, {}),
            ("-f32", "f32", {"num_hidden_layers": 3, "layer_types": ["sliding_attention"] * 2 + ["full_attention"]},
             {"generation_config.json": {"suppress_tokens": []}})):
        yield seen(f"gemma4-unified{suffix}", "Gemma4UnifiedForConditionalGeneration", "gemma4_unified",
                   "Gemma4UnifiedForCausalLM", {**unified, **config}, dtype=dtype, files=files, tokenizer="llama-hf")
