"""LFM 2 and its mixture of experts."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 2048, "norm_eps": 1e-5, "conv_L_cache": 3}


def lfm2(id, arch="Lfm2ForCausalLM", model_type="lfm2", config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}, **more)


def cases():
    mixed = {"layer_types": ["conv", "full_attention", "conv"]}
    yield lfm2("lfm2", config={"full_attn_idxs": [1], "block_multiple_of": 32})
    yield lfm2("lfm2-f16", config={**mixed, "block_auto_adjust_ff_dim": False, "tie_embedding": False, "num_key_value_heads": 4},
               dtype="f16")
    yield lfm2("lfm2-f32", config={**mixed, "block_ff_dim": 160, "block_ffn_dim_multiplier": 1.3, "block_multiple_of": 16,
                                   "rope_theta": 1e6, "tie_word_embeddings": True}, dtype="f32", saved=True)
    yield lfm2("lfm2-all-attend")
    old = {"build": "Lfm2ForCausalLM"}
    yield lfm2("lfm2-old-name", "LFM2ForCausalLM", config={**mixed, "conv_L_cache": 4}, **old)
    yield lfm2("lfm2-old-name-f16", "LFM2ForCausalLM", config={**mixed, "block_multiple_of": 1, "num_key_value_heads": 1}, dtype="f16", **old)
    yield lfm2("lfm2-audio", "LFM2ForCausalLM", config={**mixed, "tie_word_embeddings": False}, dtype="f32", saved=True, **old,
               rename=[(r"^model\.", "lfm.")], extra=[("conformer.pre_encode.out.weight", [8, 8]), ("depth_linear.weight", [8, 8]),
                                                       ("audio_embedding.embedding.weight", [8, 8])])
    # What turns speech tokens into sound is a model of the same class beside them.
    for suffix, dtype, changes in (("", "bf16", {}), ("-f16", "f16", {"num_key_value_heads": 4}), ("-f32", "f32", {"output_size": 18})):
        config = {**mixed, "sliding_window": 30, "output_size": 34, "vocab_size": 40, **changes}
        yield lfm2(f"lfm2-audio-tokenizer{suffix}", "Lfm25AudioTokenizer", config=config, dtype=dtype, build="Lfm2ForCausalLM",
                   rename=[(r"^model\.", "lfm.")], drop=["lm_head"], tokenizer=None, extra=[
                       ("lin.weight", [config["output_size"], 64]), ("lin.bias", [config["output_size"]]),
                       ("emb.emb.weight", [16, 64]), ("istft.window", [16], "f32")])
    moe = ("Lfm2MoeForCausalLM", "lfm2_moe")
    experts = {**mixed, "moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2, "num_dense_layers": 1}
    yield lfm2("lfm2-moe", *moe, experts)
    yield lfm2("lfm2-moe-f16", *moe, {**experts, "num_experts": 2, "num_dense_layers": 2, "use_expert_bias": False}, dtype="f16")
    yield lfm2("lfm2-moe-untied", *moe, {**experts, "tie_embedding": False}, refused=True)
    yield lfm2("lfm2-moe-f32", *moe, {**experts, "num_key_value_heads": 4, "rope_theta": 5e6}, dtype="f32", saved=True)
    yield lfm2("lfm2-moe-no-kinds", *moe, {**experts, "layer_types": None}, refused=True,
               build=("Lfm2MoeForCausalLM", {"model_type": "lfm2_moe", **SMALL, **experts}))

    dense = {"1_Dense": [("linear.weight", [32, 64], "bf16")]}
    pooling = {"modules.json": [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                                {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}],
               "1_Pooling/config.json": {"word_embedding_dimension": 64, "pooling_mode_cls_token": True}}
    def embeds(id, arch, config=None, **more):
        return lfm2(id, arch, config={**mixed, **(config or {})}, build="Lfm2ForCausalLM", rename=[(r"^model\.", "")], drop=["lm_head"], **more)
    yield embeds("lfm2-model", "Lfm2Model")
    yield embeds("lfm2-model-dense", "Lfm2Model", dtype="f16", modules=dense)
    yield embeds("lfm2-model-f32", "Lfm2Model", {"num_key_value_heads": 4}, dtype="f32", files=pooling, modules=dense)
    yield embeds("lfm2-bidirectional", "Lfm2BidirectionalModel", files=pooling)
    yield embeds("lfm2-bidirectional-dense", "Lfm2BidirectionalModel", {"conv_L_cache": 4}, dtype="f16", modules=dense)
    yield embeds("lfm2-bidirectional-f32", "Lfm2BidirectionalModel", {"block_multiple_of": 32}, dtype="f32", files=pooling, modules=dense)
