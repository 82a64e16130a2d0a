"""Mamba, Mamba 2 and Falcon-Mamba."""

import json

from checkpoint import VOCAB, case

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
    for id, more, dtype in (("mamba-original-f16", {"n_layer": 3}, "f16"), ("mamba-original-f32", {"d_model": 32}, "f32")):
        built = {**mamba, "num_hidden_layers": more.get("n_layer", 2), "hidden_size": more.get("d_model", 64)}
        yield case(id, {**original, **more, "architectures": ["MambaLMHeadModel"]}, build=("MambaForCausalLM", built),
                   rename=[("backbone.embeddings", "backbone.embedding")], dtype=dtype)
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
    # Infinity as transformers 5 saves it and as others write it; keys that nobody reads may hold anything.
    less = {k: v for k, v in mamba2.items() if k != "state_size"}
    odd = {"nobody": ["\ud800", float("nan"), 10**40, {"\udc00": {"__float__": "NaN"}}]}
    for id, infinity in (("tagged", {"__float__": "Infinity"}), ("bare", float("inf"))):
        limited = {**less, **odd, "time_step_limit": [0.0, infinity], "torch_dtype": "bfloat16",
                   "vocab_size": VOCAB["gpt2-trimmed"]}
        yield case(f"mamba2-{id}-limit", less, files={"config.json": json.dumps(limited)})
    endless = {**mamba2, "layer_norm_epsilon": float("inf"), "torch_dtype": "bfloat16", "vocab_size": VOCAB["gpt2-trimmed"]}
    yield case("mamba2-endless", mamba2, files={"config.json": json.dumps(endless)})
    original = {"architectures": ["Mamba2ForCausalLM"], "d_model": 64, "n_layer": 2, "vocab_size": 50277, "d_state": 16,
                "ssm_cfg": {"layer": "Mamba2"}, "pad_vocab_size_multiple": 16}
    yield case("mamba2-original", {**original, "head_dim": 16}, build=("Mamba2ForCausalLM", mamba2))
