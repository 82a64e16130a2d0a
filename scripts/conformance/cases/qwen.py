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
    # transformers has a pre-tokenizer of its own for other model types of these, with which the reference recognizes only
    # the real vocabulary.
    gpt2 = {"tokenizer": "gpt2-trimmed"}
    for id, size, config in (("qwen35", "Qwen3_5", linear), ("qwen35moe", "Qwen3_5Moe", moe)):
        arch, build = f"{size}ForCausalLM", "qwen3_5_text" if size == "Qwen3_5" else "qwen3_5_moe_text"

        def qwen35(suffix, config, arch=arch, id=id, inner=arch, build=build, **more):
            return qwen(id + suffix, arch, "qwen3_5_text", config, **gpt2,
                        build=(inner, {"model_type": build, **SMALL, **config}), **more)

        yield qwen35("", config, extra=prediction(), **alone)
        yield qwen35("-tied", {**config, "tie_word_embeddings": True, "full_attention_interval": 2,
                               "mtp_num_hidden_layers": 1}, extra=prediction(), dtype="f32")
        yield qwen35("-f16", {**config, "linear_num_value_heads": 2}, flags="--no-nextn", dtype="f16")
        yield qwen35("-three", {**config, "linear_num_value_heads": 6}, flags="--no-nextn")
        mrope = {"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25, "mrope_section": [1, 1, 0],
                 "mrope_interleaved": True}
        yield qwen35("-vision", {**config, "rope_parameters": mrope}, arch=f"{size}ForConditionalGeneration",
                     rename=[("^model", "model.language_model")],
                     extra=[("model.visual.patch_embed.proj.weight", [8, 3, 2, 2]), *prediction()])

    vision = {"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 64,
              "patch_size": 8, "num_position_embeddings": 16}
    mrope = {"rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}, "rope_theta": 1e6}
    for id, arch, kind, dtype in (("qwen2vl", "Qwen2VLForConditionalGeneration", "qwen2_vl", "bf16"),
                                  ("qwen25vl", "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl", "f16")):
        yield case(id, {"architectures": [arch], "model_type": kind, **SMALL, **mrope, "vision_config": vision}, dtype=dtype)
        text = {"model_type": f"{kind}_text", **SMALL, **mrope, "tie_word_embeddings": True}
        yield case(f"{id}-text", {"architectures": [arch], "model_type": kind, "text_config": text, "vision_config": vision,
                                  "tie_word_embeddings": True}, dtype="f32")
    mrope = {"rope_scaling": {"rope_type": "default", "mrope_section": [3, 3, 2], "mrope_interleaved": True},
             "rope_theta": 5e6, "head_dim": 16}
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "decoder_sparse_step": 1}
    for id, arch, kind, config in (("qwen3vl", "Qwen3VLForConditionalGeneration", "qwen3_vl", {}),
                                   ("qwen3vlmoe", "Qwen3VLMoeForConditionalGeneration", "qwen3_vl_moe", experts)):
        for suffix, dtype, layers in (("", "bf16", [0]), ("-none", "f16", []), ("-default", "f32", None)):
            deep = {"deepstack_visual_indexes": layers} if layers is not None else {}
            text = {"model_type": f"{kind}_text", **SMALL, **mrope, **config, "tie_word_embeddings": dtype == "f16"}
            yield case(id + suffix, {"architectures": [arch], "model_type": kind, "text_config": text,
                                     "tie_word_embeddings": dtype == "f16", "vision_config": {**vision, **deep}}, dtype=dtype)
