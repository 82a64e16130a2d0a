"""Models that draft for others: EAGLE-3, DFlash, DSpark, assistants."""

from checkpoint import case, VOCAB

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
         "max_position_embeddings": 512, "rms_norm_eps": 1e-5}
QWEN = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 80, "num_hidden_layers": 12}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 96, "num_hidden_layers": 16}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 256}


def block(at, hidden=64, ff=96, heads=4, kv=2, size=16, double=1, norms=False):
    """One layer: what its attention reads is `double` times as wide as the model."""
    yield f"{at}.self_attn.q_proj.weight", [heads * size, hidden * double]
    yield f"{at}.self_attn.k_proj.weight", [kv * size, hidden * double]
    yield f"{at}.self_attn.v_proj.weight", [kv * size, hidden * double]
    yield f"{at}.self_attn.o_proj.weight", [hidden, heads * size]
    yield f"{at}.mlp.gate_proj.weight", [ff, hidden]
    yield f"{at}.mlp.up_proj.weight", [ff, hidden]
    yield f"{at}.mlp.down_proj.weight", [hidden, ff]
    yield f"{at}.input_layernorm.weight", [hidden]
    yield f"{at}.post_attention_layernorm.weight", [hidden]
    if norms:
        yield f"{at}.self_attn.q_norm.weight", [size]
        yield f"{at}.self_attn.k_norm.weight", [size]


def eagle(at="midlayer", tokens=24, d2t=True, embeds=True, **more):
    yield from block(at, double=2, **more)
    yield f"{at}.hidden_norm.weight", [64]
    yield "fc.weight", [64, 192]
    yield "norm.weight", [64]
    yield "lm_head.weight", [tokens, 64]
    if embeds:
        yield "embed_tokens.weight", [40, 64]
    if d2t:
        yield "d2t", [tokens], "i64"
        yield "t2d", [40], "bool"


def eagle3(id, config=None, tensors=None, arch="LlamaForCausalLMEagle3", target=(QWEN, "qwen2-trimmed"), vocab=None, **more):
    vocab = vocab or VOCAB[target[1]]
    config = {"architectures": [arch], "model_type": "llama", **SMALL, "num_hidden_layers": 1, "vocab_size": vocab,
              "draft_vocab_size": 24, **(config or {})}
    return case(id, config, tokenizer=None, tensors=tensors or list(eagle()), target=target, ascending=["d2t"], **more)


def flash(layers=2, **more):
    for layer in range(layers):
        yield from block(f"layers.{layer}", norms=True, **more)
    yield "fc.weight", [64, 128]
    yield "hidden_norm.weight", [64]
    yield "norm.weight", [64]


def dflash(id, config=None, tensors=None, arch="DFlashDraftModel", target=(QWEN, "qwen2-trimmed"), **more):
    vocab = VOCAB[target[1]]
    config = {"architectures": [arch], "model_type": "qwen3", **SMALL, "num_hidden_layers": 2, "vocab_size": vocab, **(config or {})}
    return case(id, config, tokenizer=None, tensors=tensors or list(flash()), target=target, ascending=["d2t"], **more)


def cases():
    yield eagle3("eagle3")
    yield eagle3("eagle3-own", {"eagle_aux_hidden_state_layer_ids": [1, 5, 9], "target_hidden_size": 80,
                                "norm_before_residual": True, "norm_before_fc": True, "rope_scaling": LLAMA3, "rope_theta": 5e5},
                 [*eagle(), ("input_norm.weight", [192])], arch="LlamaForCausalLM", target=(LLAMA, "llama3-trimmed"), dtype="f16")
    inner = {"model_type": "llama", **SMALL, "num_hidden_layers": 1, "vocab_size": VOCAB["gpt2-trimmed"]}
    yield case("eagle3-speculators", {"architectures": ["Eagle3Speculator"], "draft_vocab_size": 24, "speculators_model_type": "eagle3",
                                      "transformer_layer_config": inner, "norm_before_residual": False}, vocab=False,
               tokenizer=None, tensors=list(eagle("layers.0", embeds=False)), target=(LLAMA, "gpt2-trimmed"), ascending=["d2t"], dtype="f32")
    yield eagle3("eagle3-wrapped", arch="Eagle3DraftModel", tensors=list(eagle(d2t=False)),
                 target=({"architectures": ["Qwen3VLForConditionalGeneration"], "text_config": {"vocab_size": VOCAB["spm"], **QWEN}}, "spm"))
    yield eagle3("eagle3-llama-hf", arch="Eagle3LlamaForCausalLM", target=(LLAMA, "llama-hf"), also=["--vocab-only"],
                 config={"num_key_value_heads": 4}, tensors=list(eagle(kv=4)))
    yield eagle3("eagle3-beyond", target=({**QWEN, "vocab_size": 30}, "qwen2-trimmed"), vocab=VOCAB["qwen2-trimmed"], refused=True)
    yield eagle3("eagle3-alone", target=None, vocab=40, refused=True)

    own = {"block_size": 8, "mask_token_id": 7, "target_layer_ids": [1, 4, 9]}
    yield dflash("dflash", {"dflash_config": own, "layer_types": ["full_attention", "sliding_attention"], "sliding_window": 64})
    yield dflash("dflash2", {"dflash_config": {**own, "conv_kernel_size": 4, "conv_group_size": 2, "selector_rank": 8, "selector_top_k": 5,
                                               "output_multiplier": 0.5, "final_logit_softcapping": 30.0, "input_embedding_scale": 8.0,
                                               "use_swa": True, "swa_window_size": 32, "causal": False, "attention_value_scale": 0.7},
                             "partial_rotary_factor": 0.5, "head_dim": None, "rope_is_neox_style": True},
                 [*flash(), ("embed_tokens.weight", [40, 64]), ("lm_head.weight", [40, 64]),
                  ("candidate_selector.predecessor_codebook", [40, 8]), ("candidate_selector.successor_codebook", [40, 8]),
                  ("candidate_selector.hidden_projection.weight", [8, 64]),
                  ("layers.{0-1}.attention_conv.base_kernel", [2, 4]), ("layers.{0-1}.attention_conv.kernel_projection.weight", [8, 64])],
                 arch="DFlash2DraftModel", target=(LLAMA, "llama3-trimmed"), dtype="f16")
    yield dflash("dflash-turned", {"block_size": 4, "target_layer_ids": [3], "rope_is_neox_style": False, "has_embed_tokens": False,
                                   "use_sliding_window": True, "sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"],
                                   "max_window_layers": 2, "is_causal": True},
                 [*flash(), ("embed_tokens.weight", [40, 64]), ("layers.{0-1}.self_attn.sinks", [4])],
                 target=({"architectures": ["Qwen3VLForConditionalGeneration"],
                          "text_config": {"vocab_size": 1, "rope_scaling": {"mrope_section": [4, 2, 2]}}}, "gpt2-trimmed"), dtype="f32")
    yield dflash("dflash-gemma", target=({"architectures": ["Gemma3ForCausalLM"]}, "spm"), also=["--vocab-only"])
    yield dflash("dflash-alone", target=(QWEN, "qwen2-trimmed"), files={"mask_embedding.pt": "no pickle"}, refused=True)

    markov = [("markov_head.markov_w1.weight", [40, 8]), ("markov_head.markov_w2.weight", [40, 8])]
    confidence = [("confidence_head.proj.weight", [1, 64]), ("confidence_head.proj.bias", [1])]
    few = [("lm_head.weight", [24, 64]), ("d2t", [24], "i64"), ("t2d", [40], "bool")]
    yield dflash("dspark", {"target_layer_ids": [1, 3], "mask_token_id": 9, "block_size": 6},
                 [*flash(), *markov, *confidence, ("lm_head.weight", [40, 64])], arch="Qwen3DSparkModel")
    yield dflash("dspark-few", {"aux_hidden_state_layer_ids": [2, 5], "mask_token_id": 3, "draft_vocab_size": 24},
                 [*flash(), *markov, *few], arch="DSparkDraftModel", target=(LLAMA, "llama3-trimmed"), dtype="f16")
    yield case("dspark-speculator", {"architectures": ["DSparkSpeculator"], "mask_token_id": 5, "draft_vocab_size": 24, "sample_from_anchor": True,
                                     "target_layer_ids": [0], "transformer_layer_config": {
                                         "model_type": "qwen3", **SMALL, "num_hidden_layers": 2, "vocab_size": VOCAB["gpt2-trimmed"]}},
               vocab=False, tokenizer=None, tensors=[*flash(), *markov, *few], target=(QWEN, "gpt2-trimmed"), ascending=["d2t"], dtype="f32")
    yield dflash("dspark-lfm2", {"dflash_config": own, "markov_head_type": "vanilla"}, [*flash(), *markov], arch="Lfm2DSparkDraftModel",
                 target=({"architectures": ["Lfm2ForCausalLM"]}, "gpt2-trimmed"))
    yield dflash("dspark-ling", {"dflash_config": own}, [*flash(), *markov], arch="LingDSparkModel")
    yield dflash("dspark-gated", {"markov_head_type": "gated"}, arch="Qwen3DSparkModel", refused=True)
    yield dflash("dspark-lacking", {"draft_vocab_size": 24}, arch="Qwen3DSparkModel", refused=True)

    muse = {"architectures": ["MuseGlimmerForConditionalGeneration"]}
    def assistant(id, config, **more):
        return case(id, {"architectures": ["MuseGlimmerAssistantModel"], "model_type": "muse_glimmer_assistant", **SMALL, "num_hidden_layers": 2,
                         "vocab_size": VOCAB["gpt2-trimmed"], **config}, tokenizer=None, target=(muse, "gpt2-trimmed"), **more)
    yield assistant("muse-assistant", {"target_layer_ids": [1, 3]})
    yield assistant("muse-assistant-f16", {"block_size": 8, "mask_token_id": 40, "num_key_value_heads": 4, "rope_theta": 1e4,
                                           "layer_types": ["full_attention", "sliding_attention"]}, dtype="f16", saved=True)
    yield assistant("muse-assistant-f32", {"sliding_window": 0, "target_layer_ids": [0], "head_dim": 32}, dtype="f32")

    four = {"model_type": "gemma4_text", **SMALL, "num_hidden_layers": 4, "global_head_dim": 32, "sliding_window": 128,
            "hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}
    def gemma(id, config, outer=None, unified=False, **more):
        name = "Gemma4UnifiedAssistantForCausalLM" if unified else "Gemma4AssistantForCausalLM"
        text = {**four, **({"model_type": "gemma4_unified_text"} if unified else {}), **config}
        size = config.get("global_head_dim", 32)
        tensors = [t for layer in range(4) for t in block(f"model.layers.{layer}", size=16 if layer % 2 else size, norms=True)
                   if "k_" not in t[0] and "v_" not in t[0]]
        tensors += [("model.layers.{0-3}.pre_feedforward_layernorm.weight", [64]), ("model.layers.{0-3}.post_feedforward_layernorm.weight", [64]),
                    ("model.layers.{0-3}.layer_scalar", [1]), ("model.embed_tokens.weight", [40, 64]), ("model.norm.weight", [64]),
                    ("pre_projection.weight", [64, 192]), ("post_projection.weight", [96, 64]), ("masked_embedding.centroids.weight", [8, 64]),
                    ("masked_embedding.token_ordering", [40], "i64")]
        return case(id, {"architectures": [name], "model_type": "gemma4_unified_assistant" if unified else "gemma4_assistant",
                         "text_config": text, **(outer or {})}, tokenizer="llama-hf", tensors=tensors, **more)
    yield gemma("gemma4-assistant", {})
    yield gemma("gemma4-assistant-f16", {"num_key_value_heads": 1, "attention_k_eq_v": True, "num_global_key_value_heads": 1},
                {"backbone_hidden_size": 96}, dtype="f16", saved=True)
    yield gemma("gemma4-assistant-f32", {"layer_types": ["sliding_attention", "full_attention"] * 2, "final_logit_softcapping": 30.0},
                {"use_ordered_embeddings": True, "num_centroids": 8, "centroid_intermediate_top_k": 2}, dtype="f32")
    yield gemma("gemma4-assistant-unified", {"moe_intermediate_size": None}, unified=True)
    yield gemma("gemma4-assistant-unified-f16", {"moe_intermediate_size": None, "num_key_value_heads": 4}, {"backbone_hidden_size": 128}, unified=True, dtype="f16")
    yield gemma("gemma4-assistant-unified-f32", {"moe_intermediate_size": None, "global_head_dim": 64}, unified=True, dtype="f32", saved=True)

    def spark(id, config, tensors, **more):
        return case(id, {"architectures": ["Gemma4DSparkModel"], "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
                         "num_key_value_heads": 2, "head_dim": 16, "global_head_dim": 32, "num_global_key_value_heads": 1,
                         "num_hidden_layers": 2, "layer_types": ["full_attention"] * 2, "attention_k_eq_v": True, "rms_norm_eps": 1e-6,
                         "vocab_size": VOCAB["llama-hf"], "max_position_embeddings": 512, "target_layer_ids": [1, 2], "mask_token_id": 4,
                         **config}, tokenizer=None, tensors=tensors,
                    target=({"architectures": ["Gemma4ForConditionalGeneration"]}, "llama-hf"), **more)
    four = [t for at in ("layers.0", "layers.1") for t in block(at, kv=1, size=32, norms=True) if "v_proj" not in t[0]]
    four += [("layers.{0-1}.pre_feedforward_layernorm.weight", [64]), ("layers.{0-1}.post_feedforward_layernorm.weight", [64]),
             ("layers.{0-1}.layer_scalar", [1]), ("fc.weight", [64, 128]), ("hidden_norm.weight", [64]), ("norm.weight", [64]), *markov]
    yield spark("gemma4-dspark", {"tie_word_embeddings": True}, four)
    yield spark("gemma4-dspark-f16", {"dflash_config": {"mask_token_id": 3, "block_size": 4, "target_layer_ids": [0]}, "sample_from_anchor": False,
                                      "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 5e5}}},
                [*four, ("lm_head.weight", [40, 64]), ("confidence_proj.weight", [1, 64])], dtype="f16")
    yield spark("gemma4-dspark-f32", {"tie_word_embeddings": True, "rope_parameters": {"rope_type": "proportional", "partial_rotary_factor": 0.5,
                                      "rope_theta": 1e5}}, four, dtype="f32")
    yield spark("gemma4-dspark-untied", {}, four, refused=True)
