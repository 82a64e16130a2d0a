"""Granite, of all generations, and Bamba."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}
SCALES = {"attention_multiplier": 0.015625, "embedding_multiplier": 12.0, "residual_multiplier": 0.22, "logits_scaling": 16.0}


def granite(id, arch="GraniteForCausalLM", model_type="granite", config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})},
                **{"tokenizer": "smollm-trimmed", **more})


def cases():
    yield granite("granite", config=SCALES)
    yield granite("granite-defaults", config={"head_dim": 16, "tie_word_embeddings": True}, dtype="f16", saved=True)
    yield granite("granite-biases", config={**SCALES, "attention_bias": True, "mlp_bias": True, "num_key_value_heads": 4},
                  dtype="f32", tokenizer="gpt2-trimmed", flags="--fuse-qkv")

    moe = {**SCALES, "num_local_experts": 4, "num_experts_per_tok": 2}
    yield granite("granite-moe", "GraniteMoeForCausalLM", "granitemoe", moe)
    yield granite("granite-moe-tied", "GraniteMoeForCausalLM", "granitemoe", {**moe, "tie_word_embeddings": True}, dtype="f16")
    yield granite("granite-moe-f32", "GraniteMoeForCausalLM", "granitemoe", {**moe, "num_local_experts": 3},
                  dtype="f32", flags="--fuse-qkv", saved=True)
    shared = {**moe, "shared_intermediate_size": 48}
    yield granite("granite-shared", "GraniteMoeSharedForCausalLM", "granitemoeshared", shared)
    yield granite("granite-shared-f16", "GraniteMoeSharedForCausalLM", "granitemoeshared", shared, dtype="f16")
    yield granite("granite-shared-only", "GraniteMoeSharedForCausalLM", "granitemoeshared",
                  {**shared, "num_local_experts": 0}, drop=["block_sparse_moe"], build=("GraniteMoeSharedForCausalLM", {
                      **SMALL, **shared, "model_type": "granitemoeshared"}), refused=True)
    yield granite("granite-shared-f32", "GraniteMoeSharedForCausalLM", "granitemoeshared", {
        **shared, "num_local_experts": 2, "rope_scaling": {"rope_type": "linear", "factor": 2.0}}, dtype="f32", saved=True)

    swa = {**SCALES, "sliding_window": 64, "num_hidden_layers": 5}
    yield granite("granite-swa", "GraniteSWAForCausalLM", "granite_swa", swa)
    yield granite("granite-swa-layers", "GraniteSWAForCausalLM", "granite_swa", {
        **swa, "num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"],
        "no_rope_layers": [1, 0]}, dtype="f16")
    yield granite("granite-swa-f32", "GraniteSWAForCausalLM", "granite_swa", {**swa, "tie_word_embeddings": True}, dtype="f32",
                  saved=True)
    moe_swa = {**swa, "num_local_experts": 4, "num_experts_per_tok": 2, "shared_intermediate_size": 48}
    for id, dtype, more in (("granite-moe-swa", "bf16", {}), ("granite-moe-swa-f16", "f16", {"num_local_experts": 2}),
                            ("granite-moe-swa-f32", "f32", {"shared_intermediate_size": 96})):
        yield granite(id, "GraniteMoeSWAForCausalLM", "granitemoe_swa", {**moe_swa, **more}, dtype=dtype, saved=dtype == "f32")

    hybrid = {**shared, "num_hidden_layers": 3, "layer_types": ["mamba", "attention", "mamba"], "mamba_n_heads": 8,
              "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2,
              "position_embedding_type": "nope", "tie_word_embeddings": True, "num_local_experts": 2, "hidden_act": "silu"}
    for id, dtype, more in (("granite-hybrid", "bf16", {}), ("granite-hybrid-f16", "f16", {"mamba_n_groups": 2}),
                            ("granite-hybrid-dense", "f32", {"num_local_experts": 0, "num_experts_per_tok": 0}),
                            ("granite-hybrid-attention", "bf16", {"layer_types": ["attention"] * 3}),
                            ("granite-hybrid-attention-dense", "f16", {
                                "layer_types": ["attention"] * 3, "num_local_experts": 0, "num_experts_per_tok": 0})):
        yield granite(id, "GraniteMoeHybridForCausalLM", "granitemoehybrid", {**hybrid, **more}, dtype=dtype,
                      saved=dtype == "f16")
    bamba = {"num_hidden_layers": 4, "attn_layer_indices": [1, 3], "mamba_n_heads": 8, "mamba_d_head": 16,
             "mamba_n_groups": 1, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2, "attn_rotary_emb": 8}
    for id, dtype, more in (("bamba", "bf16", {}), ("bamba-f16", "f16", {"mamba_n_groups": 2, "num_key_value_heads": 4}),
                            ("bamba-beyond", "f16", {"attn_layer_indices": [1, 3, 9]}),
                            ("bamba-f32", "f32", {"attn_layer_indices": [2], "rope_theta": 5e5})):
        yield granite(id, "BambaForCausalLM", "bamba", {**bamba, **more}, dtype=dtype, tokenizer="llama3-trimmed",
                      saved=dtype == "f32")
