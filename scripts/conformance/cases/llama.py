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
    yield llama("llama-model", "LlamaModel", config={"tie_word_embeddings": True})
    yield llama("mistral", "MistralForCausalLM", "mistral", config={"sliding_window": 128, "rope_theta": 1e6})
    yield llama("mixtral", "MixtralForCausalLM", "mixtral", config={"num_local_experts": 3, "num_experts_per_tok": 2})
    yield llama("iquestcoder", "IQuestCoderForCausalLM", "iquestcoder", config={"head_dim": 16}, build="LlamaForCausalLM")

    arcee = {"hidden_act": "relu2"}
    yield llama("arcee", "ArceeForCausalLM", "arcee", config=arcee)
    yield llama("arcee-yarn", "ArceeForCausalLM", "arcee", config={**arcee, "head_dim": 32, "rope_scaling": {
        "rope_type": "yarn", "factor": 20.0, "original_max_position_embeddings": 1024, "beta_fast": 32.0, "beta_slow": 1.0,
        "mscale": 1.0}})
    yield llama("arcee-f16", "ArceeForCausalLM", "arcee", config={**arcee, "tie_word_embeddings": True}, dtype="f16")

    yield llama("smollm3", "SmolLM3ForCausalLM", "smollm3", config={"num_hidden_layers": 5, "no_rope_layer_interval": 4,
                                                                    "pad_token_id": 2}, tokenizer="smollm-trimmed")
    yield llama("smollm3-tied", "SmolLM3ForCausalLM", "smollm3",
                config={"no_rope_layers": [1, 0], "tie_word_embeddings": True, "pad_token_id": 2})
    yield llama("smollm3-yarn", "SmolLM3ForCausalLM", "smollm3",
                config={"rope_scaling": {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 1024},
                        "pad_token_id": 2, "rope_theta": 5e6})

    apertus = {"hidden_act": "xielu", "qk_norm": True}
    yield llama("apertus", "ApertusForCausalLM", "apertus", config=apertus)
    yield llama("apertus-theta", "ApertusForCausalLM", "apertus",
                config={**apertus, "rope_theta": 12e6, "rope_scaling": LLAMA3, "num_key_value_heads": 4})
    yield llama("apertus-f16", "ApertusForCausalLM", "apertus", config={**apertus, "tie_word_embeddings": True},
                dtype="f16")

    llama4 = {"intermediate_size": 48, "intermediate_size_mlp": 96, "num_hidden_layers": 4, "num_local_experts": 4,
              "num_experts_per_tok": 1, "head_dim": 16, "use_qk_norm": True, "attention_chunk_size": 64}
    yield llama("llama4", "Llama4ForCausalLM", "llama4_text", config={**llama4, "interleave_moe_layer_step": 1},
                tokenizer="gpt2-trimmed")
    yield llama("llama4-interleaved", "Llama4ForCausalLM", "llama4_text",
                config={**llama4, "interleave_moe_layer_step": 2, "rope_scaling": LLAMA3},
                tokenizer="gpt2-trimmed")
    text = {"model_type": "llama4_text", **SMALL, **llama4, "no_rope_layers": []}
    yield case("llama4-wrapped", {"architectures": ["Llama4ForConditionalGeneration"], "model_type": "llama4",
                                  "text_config": text},
               shapes={"vision_config": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
                                         "intermediate_size": 64, "vision_output_dim": 32, "image_size": 28,
                                         "projector_input_dim": 32, "projector_output_dim": 32}})
