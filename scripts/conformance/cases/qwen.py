"""Qwen, of all generations."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6}


def qwen(id, arch, model_type, config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}, **more)


def cases():
    yield qwen("qwen2", "Qwen2ForCausalLM", "qwen2", tokenizer="qwen2-trimmed")
    yield qwen("qwen2-tied-f16", "Qwen2ForCausalLM", "qwen2", {"tie_word_embeddings": True, "rope_theta": 1e6}, dtype="f16")
    yield qwen("qwen2-yarn", "Qwen2ForCausalLM", "qwen2",
               {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}})
    moe = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 48}
    yield qwen("qwen2moe", "Qwen2MoeForCausalLM", "qwen2_moe", moe)
    yield qwen("qwen2moe-dense", "Qwen2MoeForCausalLM", "qwen2_moe", {**moe, "mlp_only_layers": [0]})
    yield qwen("qwen2moe-f16", "Qwen2MoeForCausalLM", "qwen2_moe", moe, dtype="f16")
    yield qwen("qwen3", "Qwen3ForCausalLM", "qwen3", {"head_dim": 32})
    yield qwen("qwen3-tied", "Qwen3ForCausalLM", "qwen3", {"tie_word_embeddings": True, "head_dim": 16}, saved=True)
    yield qwen("qwen3-f32", "Qwen3ForCausalLM", "qwen3", dtype="f32")
    moe = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 16}
    yield qwen("qwen3moe", "Qwen3MoeForCausalLM", "qwen3_moe", moe)
    yield qwen("qwen3moe-dense", "Qwen3MoeForCausalLM", "qwen3_moe", {**moe, "mlp_only_layers": [1]})
    yield qwen("qwen3moe-fused", "Qwen3MoeForCausalLM", "qwen3_moe", moe, flags="--fuse-gate-up-exps")

    linear = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
              "linear_conv_kernel_dim": 4, "head_dim": 16, "num_hidden_layers": 4}
    yield qwen("qwen3next", "Qwen3NextForCausalLM", "qwen3_next", {
        **linear, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 48})
    yield qwen("qwen3next-dense", "Qwen3NextForCausalLM", "qwen3_next", {
        **linear, "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 32, "mlp_only_layers": [0],
        "shared_expert_intermediate_size": 16, "tie_word_embeddings": True})
    yield qwen("qwen3next-f16", "Qwen3NextForCausalLM", "qwen3_next", {
        **linear, "linear_num_value_heads": 2, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 48, "full_attention_interval": 2}, dtype="f16")
    yield qwen("qwen35", "Qwen3_5ForCausalLM", "qwen3_5_text", linear)
    yield qwen("qwen35-tied", "Qwen3_5ForCausalLM", "qwen3_5_text",
               {**linear, "tie_word_embeddings": True, "full_attention_interval": 2})
    yield qwen("qwen35-f16", "Qwen3_5ForCausalLM", "qwen3_5_text", {**linear, "linear_num_value_heads": 2}, dtype="f16")
    moe = {**linear, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
           "shared_expert_intermediate_size": 48}
    yield qwen("qwen35moe", "Qwen3_5MoeForCausalLM", "qwen3_5_moe_text", moe)
    yield qwen("qwen35moe-tied", "Qwen3_5MoeForCausalLM", "qwen3_5_moe_text", {**moe, "tie_word_embeddings": True})
    yield qwen("qwen35moe-f16", "Qwen3_5MoeForCausalLM", "qwen3_5_moe_text", moe, dtype="f16")

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
