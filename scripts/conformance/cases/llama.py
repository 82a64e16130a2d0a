"""Llama, Mistral, Mixtral and their relatives."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 1024}


def llama(id, arch="LlamaForCausalLM", model_type="llama", config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})},
                **{"tokenizer": "spm", **more})


def cases():
    yield llama("llama")
    yield llama("llama-tied-f16", config={"tie_word_embeddings": True, "num_key_value_heads": 4}, dtype="f16")
    yield llama("llama-3", config={"rope_scaling": LLAMA3, "rope_theta": 500000.0, "head_dim": 32},
                tokenizer="smollm-trimmed")
    yield llama("llama-biases", config={"attention_bias": True, "mlp_bias": True})
    yield llama("llama-f32", dtype="f32")
    yield llama("llama-saved", saved=True, config={"rope_scaling": LLAMA3})
    yield llama("llama-fused", flags="--fuse-qkv")
    yield llama("mistral", "MistralForCausalLM", "mistral", config={"sliding_window": 128, "rope_theta": 1e6})
    yield llama("mistral-heads", "MistralForCausalLM", "mistral", dtype="f16", tokenizer="gpt2-trimmed",
                config={"sliding_window": None, "head_dim": 8, "num_key_value_heads": 1})
    yield llama("mistral-tied", "MistralForCausalLM", "mistral", config={"tie_word_embeddings": True}, dtype="f32",
                saved=True)
    experts = {"num_local_experts": 3, "num_experts_per_tok": 2}
    yield llama("mixtral", "MixtralForCausalLM", "mixtral", config=experts)
    yield llama("mixtral-f16", "MixtralForCausalLM", "mixtral", dtype="f16",
                config={**experts, "num_local_experts": 2, "num_key_value_heads": 4, "sliding_window": 64, "rope_theta": 1e6})
    yield llama("mixtral-f32", "MixtralForCausalLM", "mixtral", dtype="f32", tokenizer="gpt2-trimmed",
                config={**experts, "num_hidden_layers": 3, "num_experts_per_tok": 1, "tie_word_embeddings": True}, saved=True)

    # Names that stand for Llama, written in several ways.
    ways = (("", "bf16", {}), ("-f16", "f16", {"num_key_value_heads": 4, "tie_word_embeddings": True}),
            ("-f32", "f32", {"head_dim": 32, "attention_bias": True, "rope_theta": 5e5, "rope_scaling": LLAMA3}))
    for id, arch, kind, inner in (("llama-model", "LlamaModel", "llama", "LlamaModel"),
                                  ("llama-old-name", "LLaMAForCausalLM", "llama", "LlamaForCausalLM"),
                                  ("llama-bidirectional", "LlamaBidirectionalModel", "llama_bidirec", "LlamaModel"),
                                  ("iquestcoder", "IQuestCoderForCausalLM", "iquestcoder", "LlamaForCausalLM")):
        for suffix, dtype, config in ways:
            if arch == "LlamaModel" and "rope_scaling" in config:
                # It prefixes the name of the factors, too, and then knows no such tensor.
                yield llama("llama-model-scaled", arch, kind, config, build=(inner, {"model_type": kind, **SMALL, **config}),
                            refused=True)
                config = {**config, "rope_scaling": None}
            yield llama(id + suffix, arch, kind, config, dtype=dtype,
                        build=(inner, {"model_type": "llama", **SMALL, **config}))

    arcee = {"hidden_act": "relu2"}
    yield llama("arcee", "ArceeForCausalLM", "arcee", config=arcee)
    yield llama("arcee-yarn", "ArceeForCausalLM", "arcee", config={**arcee, "head_dim": 32, "rope_scaling": {
        "rope_type": "yarn", "factor": 20.0, "original_max_position_embeddings": 1024, "beta_fast": 32.0, "beta_slow": 1.0,
        "mscale": 1.0}})
    yield llama("arcee-f16", "ArceeForCausalLM", "arcee", config={**arcee, "tie_word_embeddings": True}, dtype="f16",
                saved=True)

    yield llama("smollm3", "SmolLM3ForCausalLM", "smollm3", config={"num_hidden_layers": 5, "no_rope_layer_interval": 4,
                                                                    "pad_token_id": 2}, tokenizer="smollm-trimmed")
    yield llama("smollm3-tied", "SmolLM3ForCausalLM", "smollm3",
                config={"no_rope_layers": [1, 0], "tie_word_embeddings": True, "pad_token_id": 2}, saved=True)
    yield llama("smollm3-yarn", "SmolLM3ForCausalLM", "smollm3",
                config={"rope_scaling": {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 1024},
                        "pad_token_id": 2, "rope_theta": 5e6})

    apertus = {"hidden_act": "xielu", "qk_norm": True}
    yield llama("apertus", "ApertusForCausalLM", "apertus", config=apertus)
    yield llama("apertus-theta", "ApertusForCausalLM", "apertus",
                config={**apertus, "rope_theta": 12e6, "rope_scaling": LLAMA3, "num_key_value_heads": 4})
    yield llama("apertus-f16", "ApertusForCausalLM", "apertus", config={**apertus, "tie_word_embeddings": True},
                dtype="f16", saved=True)

    llama4 = {"intermediate_size": 48, "intermediate_size_mlp": 96, "num_hidden_layers": 4, "num_local_experts": 4,
              "num_experts_per_tok": 1, "head_dim": 16, "use_qk_norm": True, "attention_chunk_size": 64}
    yield llama("llama4", "Llama4ForCausalLM", "llama4_text", config={**llama4, "interleave_moe_layer_step": 1},
                tokenizer="gpt2-trimmed")
    yield llama("llama4-interleaved", "Llama4ForCausalLM", "llama4_text",
                config={**llama4, "interleave_moe_layer_step": 2, "rope_scaling": LLAMA3},
                tokenizer="gpt2-trimmed", saved=True)
    yield llama("llama4-full", "Llama4ForCausalLM", "llama4_text", dtype="f16", tokenizer="gpt2-trimmed",
                config={**llama4, "interleave_moe_layer_step": 4, "layer_types": ["full_attention"] * 4,
                        "num_local_experts": 2, "tie_word_embeddings": True})
    vision = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
              "vision_output_dim": 32, "image_size": 28, "projector_input_dim": 32, "projector_output_dim": 32}
    for suffix, dtype, config in (("", "bf16", {"no_rope_layers": []}), ("-f16", "f16", {"interleave_moe_layer_step": 2}),
                                  ("-f32", "f32", {"num_local_experts": 2, "rope_scaling": LLAMA3, "head_dim": 32})):
        yield case("llama4-wrapped" + suffix, {
            "architectures": ["Llama4ForConditionalGeneration"], "model_type": "llama4",
            "text_config": {"model_type": "llama4_text", **SMALL, **llama4, **config}},
            dtype=dtype, shapes={"vision_config": vision}, saved=dtype == "f16")
