"""Qwen, of all generations."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6}


def qwen(id, arch, model_type, config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}, **more)


def prediction(layers=1):
    """Layers for multi-token prediction."""
    return [("mtp.fc.weight", [64, 128]), ("mtp.pre_fc_norm_embedding.weight", [64]), ("mtp.norm.weight", [64]),
            ("mtp.pre_fc_norm_hidden.weight", [64]), (f"mtp.layers.{{0-{layers - 1}}}.input_layernorm.weight", [64]),
            (f"mtp.layers.{{0-{layers - 1}}}.self_attn.q_proj.weight", [64, 64])]


def prediction(layers=1):
    """Layers for multi-token prediction."""
    return [("mtp.fc.weight", [64, 128]), ("mtp.pre_fc_norm_embedding.weight", [64]), ("mtp.norm.weight", [64]),
            ("mtp.pre_fc_norm_hidden.weight", [64]), (f"mtp.layers.{{0-{layers - 1}}}.input_layernorm.weight", [64]),
            (f"mtp.layers.{{0-{layers - 1}}}.self_attn.q_proj.weight", [64, 64])]


def cases():
    yield qwen("qwen2", "Qwen2ForCausalLM", "qwen2", tokenizer="qwen2-trimmed")
    yield qwen("qwen2-tied-f16", "Qwen2ForCausalLM", "qwen2", {"tie_word_embeddings": True, "rope_theta": 1e6}, dtype="f16",
               tokenizer="qwen2-trimmed")
    yield qwen("qwen2-yarn", "Qwen2ForCausalLM", "qwen2",
               {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}},
               tokenizer="qwen2-trimmed")
    moe = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 48}
    yield qwen("qwen2moe", "Qwen2MoeForCausalLM", "qwen2_moe", moe)
    yield qwen("qwen2moe-dense", "Qwen2MoeForCausalLM", "qwen2_moe", {**moe, "mlp_only_layers": [0]}, refused=True)
    yield qwen("qwen2moe-f16", "Qwen2MoeForCausalLM", "qwen2_moe", moe, dtype="f16")
    yield qwen("qwen3", "Qwen3ForCausalLM", "qwen3", {"head_dim": 32})
    yield qwen("qwen3-tied", "Qwen3ForCausalLM", "qwen3", {"tie_word_embeddings": True, "head_dim": 16}, saved=True)
    yield qwen("qwen3-f32", "Qwen3ForCausalLM", "qwen3", dtype="f32")
    moe = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 16}
    yield qwen("qwen3moe", "Qwen3MoeForCausalLM", "qwen3_moe", moe)
    yield qwen("qwen3moe-dense", "Qwen3MoeForCausalLM", "qwen3_moe", {**moe, "mlp_only_layers": [1]}, refused=True)
    yield qwen("qwen3moe-f32", "Qwen3MoeForCausalLM", "qwen3_moe", {**moe, "num_key_value_heads": 4}, dtype="f32")

    linear = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 16,
              "linear_conv_kernel_dim": 4, "head_dim": 16, "num_hidden_layers": 4}
    moe = {**linear, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
           "shared_expert_intermediate_size": 48}
    alone = {"also": ["--outtype auto --mtp", "--outtype auto --no-nextn"]}
    yield qwen("qwen3next", "Qwen3NextForCausalLM", "qwen3_next", moe, extra=prediction(), **alone)
    yield qwen("qwen3next-two", "Qwen3NextForCausalLM", "qwen3_next", {**moe, "tie_word_embeddings": True},
               extra=prediction(2), dtype="f32")
    yield qwen("qwen3next-f16", "Qwen3NextForCausalLM", "qwen3_next",
               {**moe, "linear_num_value_heads": 2, "full_attention_interval": 2}, extra=prediction(), dtype="f16")
    yield qwen("qwen3next-no-mtp", "Qwen3NextForCausalLM", "qwen3_next", moe, flags="--no-nextn")
    yield qwen("qwen3next-without", "Qwen3NextForCausalLM", "qwen3_next", moe, refused=True)
    for id, size, config in (("qwen35", "Qwen3_5", linear), ("qwen35moe", "Qwen3_5Moe", moe)):
        arch, kind = f"{size}ForCausalLM", "qwen3_5_text" if size == "Qwen3_5" else "qwen3_5_moe_text"
        yield qwen(id, arch, kind, config, extra=prediction(), **alone)
        yield qwen(f"{id}-tied", arch, kind, {**config, "tie_word_embeddings": True, "full_attention_interval": 2,
                                              "mtp_num_hidden_layers": 1}, extra=prediction(), dtype="f32")
        yield qwen(f"{id}-f16", arch, kind, {**config, "linear_num_value_heads": 2}, flags="--no-nextn", dtype="f16")
        yield qwen(f"{id}-three", arch, kind, {**config, "linear_num_value_heads": 6}, flags="--no-nextn")
        mrope = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25,
                                     "mrope_section": [1, 1, 0], "mrope_interleaved": True}}
        text = {"model_type": kind, **SMALL, **config, **mrope}
        yield case(f"{id}-vision", {"architectures": [f"{size}ForConditionalGeneration"], "model_type": kind.removesuffix("_text"),
                                    "text_config": text, "vision_config": {
                                        "depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
                                        "out_hidden_size": 64, "num_position_embeddings": 16, "patch_size": 8}},
                   extra=prediction())

    qwen1 = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4, "kv_channels": 16,
             "seq_length": 2048, "layer_norm_epsilon": 1e-6, "rotary_emb_base": 10000, "vocab_size": 151936}
    tensors = [("transformer.wte.weight", [40, 64]), ("transformer.ln_f.weight", [64]), ("lm_head.weight", [40, 64]),
               ("transformer.h.{0-1}.attn.c_attn.weight", [192, 64]), ("transformer.h.{0-1}.attn.c_attn.bias", [192]),
               ("transformer.h.{0-1}.attn.c_proj.weight", [64, 64]), ("transformer.h.{0-1}.mlp.w1.weight", [96, 64]),
               ("transformer.h.{0-1}.mlp.w2.weight", [96, 64]), ("transformer.h.{0-1}.mlp.c_proj.weight", [64, 96]),
               ("transformer.h.{0-1}.ln_1.weight", [64]), ("transformer.h.{0-1}.ln_2.weight", [64])]
    for id, dtype in (("qwen1", "bf16"), ("qwen1-f16", "f16"), ("qwen1-f32", "f32")):
        yield case(id, {"architectures": ["QWenLMHeadModel"], "model_type": "qwen", **qwen1}, dtype=dtype, tensors=tensors,
                   tokenizer="qwen2-trimmed")
