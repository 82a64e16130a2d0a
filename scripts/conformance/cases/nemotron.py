"""Nemotron and Nemotron-H."""

from checkpoint import case

SMALL = {"architectures": ["NemotronForCausalLM"], "model_type": "nemotron", "hidden_size": 64, "intermediate_size": 96,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
         "norm_eps": 1e-5}


def cases():
    yield case("nemotron", {**SMALL, "partial_rotary_factor": 0.5}, tokenizer="spm")
    yield case("nemotron-f16", {**SMALL, "head_dim": 16, "partial_rotary_factor": 0.25, "attention_bias": True,
                                "mlp_bias": True}, tokenizer="spm", dtype="f16", flags="--fuse-qkv")
    yield case("nemotron-scaled", {**SMALL, "tie_word_embeddings": True, "rope_theta": 5e4, "num_key_value_heads": 4,
                                   "rope_scaling": {"rope_type": "linear", "factor": 2.0}}, tokenizer="spm", dtype="f32")
