"""Jamba."""

from checkpoint import case

SMALL = {"architectures": ["JambaForCausalLM"], "model_type": "jamba", "hidden_size": 64, "intermediate_size": 96,
         "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "num_experts": 3,
         "num_experts_per_tok": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2,
         "expert_layer_offset": 1, "mamba_d_state": 8, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": 4,
         "use_mamba_kernels": False}


def cases():
    yield case("jamba", SMALL, tokenizer="spm")
    yield case("jamba-llama-hf", {**SMALL, "attn_layer_period": 3, "attn_layer_offset": 2}, tokenizer="llama-hf")
    yield case("jamba-auto-rank", {**SMALL, "mamba_dt_rank": "auto", "tie_word_embeddings": True}, tokenizer="spm", dtype="f16")
    yield case("jamba-dense", {**SMALL, "num_experts": 1, "num_experts_per_tok": 1, "num_key_value_heads": 4},
               tokenizer="spm", dtype="f32")
    yield case("jamba-no-attention", {**SMALL, "num_hidden_layers": 1, "attn_layer_period": 3, "attn_layer_offset": 2},
               tokenizer="spm", dtype="f16")
    yield case("jamba-fused", SMALL, tokenizer="spm", flags="--fuse-qkv --fuse-gate-up-exps")
    yield case("jamba-mini", SMALL, tokenizer="spm", rename=[(r"feed_forward\.(experts|router)", r"moe.\1")])
