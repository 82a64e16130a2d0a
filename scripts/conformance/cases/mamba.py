"""Mamba, Mamba 2 and Falcon-Mamba."""

from checkpoint import case

SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "state_size": 8}


def cases():
    mamba = {"architectures": ["MambaForCausalLM"], "model_type": "mamba", **SMALL}
    yield case("mamba", {**mamba, "intermediate_size": 128, "time_step_rank": 4, "conv_kernel": 4})
    yield case("mamba-f16", {**mamba, "intermediate_size": 128, "time_step_rank": 8, "layer_norm_epsilon": 1e-6,
                             "conv_kernel": 3}, dtype="f16", shapes={"time_step_rank": 8})
    yield case("mamba-f32", {**mamba, "intermediate_size": 128, "use_bias": True}, dtype="f32")
    yield case("mamba-narrow", {**mamba, "expand": 1, "intermediate_size": 64}, refused=True)
    yield case("mamba-untied", {**mamba, "tie_word_embeddings": False})
    yield case("mamba-padded", {**mamba, "vocab_size": 50300})
    yield case("mamba-bare", mamba)
    # The original's names: no class, no tokenizer.
    original = {"d_model": 64, "n_layer": 2, "vocab_size": 50277, "ssm_cfg": {}, "pad_vocab_size_multiple": 8}
    yield case("mamba-original", {**original, "architectures": ["MambaLMHeadModel"]}, build=("MambaForCausalLM", mamba),
               rename=[("backbone.embeddings", "backbone.embedding")])
    yield case("mamba-original-f16", {**original, "architectures": ["MambaLMHeadModel"], "n_layer": 3}, dtype="f16",
               build=("MambaForCausalLM", {**mamba, "num_hidden_layers": 3}),
               rename=[("backbone.embeddings", "backbone.embedding")])
    yield case("mamba-original-output", {**original, "architectures": ["MambaLMHeadModel"], "pad_vocab_size_multiple": 16,
                                         "d_state": 8}, dtype="f32", build=("MambaForCausalLM", mamba),
               rename=[("backbone.embeddings", "backbone.embedding")], extra=[("lm_head.weight", [40, 64])])
    falcon = {**mamba, "architectures": ["FalconMambaForCausalLM"], "model_type": "falcon_mamba"}
    yield case("falcon-mamba", {**falcon, "intermediate_size": 128, "tie_word_embeddings": False})
    yield case("falcon-mamba-tied", {**falcon, "tie_word_embeddings": True, "mixer_rms_eps": 1e-6})
    yield case("falcon-mamba-f16", {**falcon, "intermediate_size": 128, "time_step_rank": 8}, dtype="f16")

    mamba2 = {"architectures": ["Mamba2ForCausalLM"], "model_type": "mamba2", "hidden_size": 64, "num_hidden_layers": 2,
              "state_size": 16, "num_heads": 8, "head_dim": 16, "n_groups": 1, "expand": 2}
    yield case("mamba2", mamba2)
    yield case("mamba2-groups", {**mamba2, "n_groups": 2, "conv_kernel": 4, "layer_norm_epsilon": 1e-6}, dtype="f16")
    yield case("mamba2-tied", {**mamba2, "tie_word_embeddings": True, "expand": 1, "num_heads": 4}, dtype="f32")
    yield case("mamba2-codestral", {**mamba2, "n_groups": 4, "vocab_size": 520}, tokenizer="spm",
               rename=[("^", "model.")])
    original = {"architectures": ["Mamba2ForCausalLM"], "d_model": 64, "n_layer": 2, "vocab_size": 50277, "d_state": 16,
                "ssm_cfg": {"layer": "Mamba2"}, "pad_vocab_size_multiple": 16}
    yield case("mamba2-original", {**original, "head_dim": 16}, build=("Mamba2ForCausalLM", mamba2))
