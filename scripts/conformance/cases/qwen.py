"""Qwen, of all generations."""

from checkpoint import apart, case
from tiktoken_files import QWEN

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6}


def qwen(id, arch, model_type, config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}, **more)


def prediction(layers=1):
    """Layers for multi-token prediction."""
    return [("mtp.fc.weight", [64, 128]), ("mtp.pre_fc_norm_embedding.weight", [64]), ("mtp.norm.weight", [64]),
            ("mtp.pre_fc_norm_hidden.weight", [64]), (f"mtp.layers.{{0-{layers - 1}}}.input_layernorm.weight", [64]),
            (f"mtp.layers.{{0-{layers - 1}}}.self_attn.q_proj.weight", [64, 64])]


def first(id, config=None, **more):
    """Qwen 1, which transformers has no class for."""
    config = {"architectures": ["QWenLMHeadModel"], "model_type": "qwen", "hidden_size": 64, "intermediate_size": 192,
              "num_hidden_layers": 2, "num_attention_heads": 4, "kv_channels": 16, "seq_length": 2048,
              "max_position_embeddings": 8192, "layer_norm_epsilon": 1e-6, "rotary_emb_base": 10000, "no_bias": True,
              "vocab_size": 151936, "tie_word_embeddings": False, **(config or {})}
    at = f"transformer.h.{{0-{config['num_hidden_layers'] - 1}}}."
    tensors = [("transformer.wte.weight", [40, 64]), ("transformer.ln_f.weight", [64]), ("lm_head.weight", [40, 64]),
               (at + "ln_1.weight", [64]), (at + "ln_2.weight", [64]), (at + "attn.c_attn.weight", [192, 64]),
               (at + "attn.c_attn.bias", [192]), (at + "attn.c_proj.weight", [64, 64]), (at + "mlp.w1.weight", [96, 64]),
               (at + "mlp.w2.weight", [96, 64]), (at + "mlp.c_proj.weight", [64, 96])]
    return case(id, config, tokenizer=None, tensors=tensors, files=QWEN, **more)


def cases():
    yield first("qwen")
    yield first("qwen-ids", {"bos_token_id": 151643, "eos_token_id": 151645, "num_hidden_layers": 3, "num_attention_heads": 8},
                dtype="f16")
    yield first("qwen-f32", {"rotary_emb_base": 1000000, "layer_norm_epsilon": 1e-5, "vocab_size": 151851}, dtype="f32",
                also=["--outtype f32"])
    yield qwen("qwen2", "Qwen2ForCausalLM", "qwen2", tokenizer="qwen2-trimmed")
    yield qwen("qwen2-tied-f16", "Qwen2ForCausalLM", "qwen2", {"tie_word_embeddings": True, "rope_theta": 1e6}, dtype="f16",
               tokenizer="qwen2-trimmed")
    yield qwen("qwen2-yarn", "Qwen2ForCausalLM", "qwen2",
               {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}},
               tokenizer="qwen2-trimmed")
    for size, dtype in ((2, "bf16"), (3, "f16")):
        yield qwen(f"qwen{size}-apart", f"Qwen{size}ForCausalLM", f"qwen{size}", {"vocab_size": 151936}, dtype=dtype,
                   tokenizer=None, files=apart("qwen2-trimmed"))
    moe = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 48}
    yield qwen("qwen2moe", "Qwen2MoeForCausalLM", "qwen2_moe", moe)
    yield qwen("qwen2moe-dense", "Qwen2MoeForCausalLM", "qwen2_moe", {**moe, "mlp_only_layers": [0]}, refused=True)
    yield qwen("qwen2moe-f16", "Qwen2MoeForCausalLM", "qwen2_moe", moe, dtype="f16")
    yield qwen("qwen2moe-f32", "Qwen2MoeForCausalLM", "qwen2_moe",
               {**moe, "num_experts": 3, "num_key_value_heads": 4, "tie_word_embeddings": True}, dtype="f32", saved=True)
    yield qwen("qwen3", "Qwen3ForCausalLM", "qwen3", {"head_dim": 32})
    yield qwen("qwen3-tied", "Qwen3ForCausalLM", "qwen3", {"tie_word_embeddings": True, "head_dim": 16}, saved=True)
    yield qwen("qwen3-f32", "Qwen3ForCausalLM", "qwen3", dtype="f32")
    moe = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 16}
    yield qwen("qwen3moe", "Qwen3MoeForCausalLM", "qwen3_moe", moe)
    yield qwen("qwen3moe-dense", "Qwen3MoeForCausalLM", "qwen3_moe", {**moe, "mlp_only_layers": [1]}, refused=True)
    yield qwen("qwen3moe-tied", "Qwen3MoeForCausalLM", "qwen3_moe",
               {**moe, "num_experts": 2, "tie_word_embeddings": True, "rope_theta": 1e7}, dtype="f16")
    yield qwen("qwen3moe-f32", "Qwen3MoeForCausalLM", "qwen3_moe", {**moe, "num_key_value_heads": 4}, dtype="f32",
               saved=True)

    # Embedding models, and others that differ from these by name.
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
               {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    last = {"modules.json": modules, "1_Pooling/config.json": {"word_embedding_dimension": 64, "pooling_mode_lasttoken": True}}
    renamed = [("input_layernorm", "pre_attention_layernorm"), ("post_attention_layernorm", "pre_mlp_layernorm")]
    for id, arch, kind, inner, base, config, more in (
            ("qwen2-model", "Qwen2Model", "qwen2", "Qwen2Model", "qwen2", {}, {"files": last, "tokenizer": "qwen2-trimmed"}),
            ("qwen3-model", "Qwen3Model", "qwen3", "Qwen3Model", "qwen3", {}, {"files": last}),
            ("kormo", "KORMoForCausalLM", "kormo", "LlamaForCausalLM", "llama", {}, {"rename": renamed}),
            ("rnd1", "RND1", "rnd1", "Qwen3MoeForCausalLM", "qwen3_moe", {**moe, "mask_token_id": 20}, {})):
        for suffix, dtype, changes in (("", "bf16", {}), ("-tied", "f16", {"tie_word_embeddings": True, "rope_theta": 1e6}),
                                       ("-heads", "f32", {"num_key_value_heads": 1, "num_hidden_layers": 3, "head_dim": 32})):
            changes = {**config, **changes}
            yield qwen(id + suffix, arch, kind, changes, dtype=dtype, build=(inner, {"model_type": base, **SMALL, **changes}),
                       **more)

    linear = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 16,
              "linear_conv_kernel_dim": 4, "head_dim": 16, "num_hidden_layers": 4}
    moe = {**linear, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
           "shared_expert_intermediate_size": 48}
    alone = {"also": ["--outtype auto --mtp", "--outtype auto --no-nextn"]}
    yield qwen("qwen3next", "Qwen3NextForCausalLM", "qwen3_next", moe, extra=prediction(), **alone)
    yield qwen("qwen3next-two", "Qwen3NextForCausalLM", "qwen3_next", {**moe, "tie_word_embeddings": True},
               extra=prediction(2), dtype="f32")
    yield qwen("qwen3next-f16", "Qwen3NextForCausalLM", "qwen3_next",
               {**moe, "linear_num_value_heads": 2, "full_attention_interval": 2}, extra=prediction(), dtype="f16",
               saved=True)
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
        yield qwen35("-three", {**config, "linear_num_value_heads": 6}, flags="--no-nextn", saved=True)
        mrope = {"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25, "mrope_section": [1, 1, 0],
                 "mrope_interleaved": True}
        tower = {"arch": f"{size}ForConditionalGeneration", "rename": [("^model", "model.language_model")]}
        pictures = ("model.visual.patch_embed.proj.weight", [8, 3, 2, 2])
        yield qwen35("-vision", {**config, "rope_parameters": mrope}, extra=[pictures, *prediction()], **tower)
        yield qwen35("-vision-f16", {**config, "linear_num_value_heads": 6, "num_key_value_heads": 1},
                     extra=[pictures], flags="--no-nextn", dtype="f16", **tower)
        half = {"tie_word_embeddings": True, "rope_parameters": {**mrope, "partial_rotary_factor": 0.5}}
        yield qwen35("-vision-f32", {**config, **half}, extra=[pictures, *prediction(2)], dtype="f32", **tower)

    vision = {"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 64,
              "patch_size": 8, "num_position_embeddings": 16}
    mrope = {"rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}, "rope_theta": 1e6}
    for id, arch, kind, dtype in (("qwen2vl", "Qwen2VLForConditionalGeneration", "qwen2_vl", "bf16"),
                                  ("qwen25vl", "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl", "f16")):
        yield case(id, {"architectures": [arch], "model_type": kind, **SMALL, **mrope, "vision_config": vision}, dtype=dtype)
        text = {"model_type": f"{kind}_text", **SMALL, **mrope, "tie_word_embeddings": True}
        yield case(f"{id}-text", {"architectures": [arch], "model_type": kind, "text_config": text, "vision_config": vision,
                                  "tie_word_embeddings": True}, dtype="f32", saved=True)
        yield case(f"{id}-heads", {"architectures": [arch], "model_type": kind, **SMALL, **mrope, "vision_config": vision,
                                   "num_key_value_heads": 4, "num_hidden_layers": 3, "sliding_window": 512}, dtype="bf16",
                   tokenizer="qwen2-trimmed")
    for suffix, dtype, config in (("", "bf16", {}), ("-f16", "f16", {"num_key_value_heads": 1}),
                                  ("-f32", "f32", {"num_hidden_layers": 1, "rope_theta": 1e4})):
        text = {"model_type": "qwen2_vl_text", **SMALL, **mrope, **config}
        yield case(f"qwen2vl-model{suffix}", {"architectures": ["Qwen2VLModel"], "model_type": "qwen2_vl", "text_config": text,
                                             "vision_config": vision}, dtype=dtype)
    mrope = {"rope_scaling": {"rope_type": "default", "mrope_section": [3, 3, 2], "mrope_interleaved": True},
             "rope_theta": 5e6, "head_dim": 16}
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "decoder_sparse_step": 1}
    for id, arch, kind, config in (("qwen3vl", "Qwen3VLForConditionalGeneration", "qwen3_vl", {}),
                                   ("qwen3vlmoe", "Qwen3VLMoeForConditionalGeneration", "qwen3_vl_moe", experts)):
        for suffix, dtype, layers in (("", "bf16", [0]), ("-none", "f16", []), ("-default", "f32", None)):
            deep = {"deepstack_visual_indexes": layers} if layers is not None else {}
            text = {"model_type": f"{kind}_text", **SMALL, **mrope, **config, "tie_word_embeddings": dtype == "f16"}
            yield case(id + suffix, {"architectures": [arch], "model_type": kind, "text_config": text,
                                     "tie_word_embeddings": dtype == "f16", "vision_config": {**vision, **deep}}, dtype=dtype,
                       saved=dtype == "f16")
