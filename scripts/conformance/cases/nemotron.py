"""Nemotron and Nemotron-H."""

import json

from checkpoint import VOCAB, case

SMALL = {"architectures": ["NemotronForCausalLM"], "model_type": "nemotron", "hidden_size": 64, "intermediate_size": 96,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
         "norm_eps": 1e-5}


def cases():
    yield case("nemotron", {**SMALL, "partial_rotary_factor": 0.5}, tokenizer="spm")
    yield case("nemotron-f16", {**SMALL, "head_dim": 16, "partial_rotary_factor": 0.25, "attention_bias": True,
                                "mlp_bias": True}, tokenizer="spm", dtype="f16", flags="--fuse-qkv")
    yield case("nemotron-scaled", {**SMALL, "tie_word_embeddings": True, "rope_theta": 5e4, "num_key_value_heads": 4,
                                   "rope_scaling": {"rope_type": "linear", "factor": 2.0}}, tokenizer="spm", dtype="f32",
               saved=True)

    for case_ in hybrid():
        yield case_


def hybrid():
    h = {"architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h", "hidden_size": 64, "intermediate_size": 96,
         "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 512,
         "ssm_state_size": 16, "mamba_num_heads": 4, "mamba_head_dim": 16, "n_groups": 2, "conv_kernel": 4, "expand": 1,
         "use_mamba_kernels": False, "layer_norm_epsilon": 1e-5}
    moe = {"n_routed_experts": 4, "n_shared_experts": 1, "moe_intermediate_size": 32, "num_experts_per_tok": 2,
           "moe_shared_expert_intermediate_size": 48, "n_group": 1, "topk_group": 1, "routed_scaling_factor": 2.5,
           "norm_topk_prob": True}
    experts = {**h, **moe, "layers_block_type": ["mamba", "moe", "attention", "moe"]}
    yield case("nemotron-h-moe", experts)
    yield case("nemotron-h-moe-f16", {**experts, "n_groups": 1, "num_key_value_heads": 4, "moe_latent_size": 32}, dtype="f16")
    yield case("nemotron-h-moe-f32", {**experts, "layers_block_type": ["moe", "mamba", "attention"], "n_routed_experts": 2},
               dtype="f32", saved=True)
    # Infinity as transformers 5 saves it and as others write it; what is missing has the class's defaults.
    less = {k: v for k, v in experts.items() if k not in ("layer_norm_epsilon", "topk_group", "num_experts_per_tok")}
    for id, infinity in (("tagged", {"__float__": "Infinity"}), ("bare", float("inf"))):
        limited = {**less, "time_step_limit": [0.0, infinity], "torch_dtype": "bfloat16", "vocab_size": VOCAB["gpt2-trimmed"]}
        yield case(f"nemotron-h-{id}-infinity", less, files={"config.json": json.dumps(limited)})
    default = {k: v for k, v in experts.items() if k not in ("mamba_num_heads", "mamba_head_dim", "n_groups", "expand")}
    yield case("nemotron-h-default", default, build=("NemotronHForCausalLM", default), dtype="f16")
    unlike = {k: v for k, v in experts.items() if k != "mamba_head_dim"}
    yield case("nemotron-h-other-width", unlike, build=("NemotronHForCausalLM", experts), dtype="f16")
    # A pattern that transformers does not take: the file is read as it is, and there need not be experts.
    layer = "backbone.layers."
    tensors = [("backbone.embeddings.weight", [40, 64]), ("backbone.norm_f.weight", [64]), ("lm_head.weight", [40, 64]),
               (f"{layer}{{0-3}}.norm.weight", [64]), (f"{layer}0.mixer.A_log", [4]), (f"{layer}0.mixer.D", [4]),
               (f"{layer}0.mixer.dt_bias", [4]), (f"{layer}0.mixer.conv1d.weight", [128, 1, 4]),
               (f"{layer}0.mixer.conv1d.bias", [128]), (f"{layer}0.mixer.in_proj.weight", [196, 64]),
               (f"{layer}0.mixer.norm.weight", [64]), (f"{layer}0.mixer.out_proj.weight", [64, 64])]
    tensors += [(f"{layer}{{1-2}}.mixer.{m}_proj.weight", shape) for m, shape in (("up", [96, 64]), ("down", [64, 96]))]
    tensors += [(f"{layer}3.mixer.{m}_proj.weight", [rows, 64]) for m, rows in (("q", 64), ("k", 32), ("v", 32), ("o", 64))]
    dense = {**h, "model_type": "nemotron_h_custom", "hybrid_override_pattern": "M--*", "num_hidden_layers": 4,
             "rms_norm_eps": 1e-5}
    for id, dtype in (("nemotron-h", "bf16"), ("nemotron-h-f16", "f16"), ("nemotron-h-f32", "f32")):
        yield case(id, dense, tensors=tensors, dtype=dtype)
    yield case("nemotron-h-short", {**dense, "hybrid_override_pattern": "M--"}, tensors=tensors, refused=True)

    mtp = [("mtp.layers.0.enorm.weight", [64]), ("mtp.layers.0.hnorm.weight", [64]), ("mtp.layers.0.eh_proj.weight", [64, 128]),
           ("mtp.layers.0.norm.weight", [64]), ("mtp.layers.1.norm.weight", [64]), ("mtp.layers.1.final_layernorm.weight", [64]),
           ("mtp.layers.1.mixer.gate.weight", [4, 64]), ("mtp.layers.1.mixer.gate.e_score_correction_bias", [4], "f32"),
           ("mtp.layers.1.mixer.experts.{0-3}.up_proj.weight", [32, 64]),
           ("mtp.layers.1.mixer.experts.{0-3}.down_proj.weight", [64, 32]),
           ("mtp.layers.1.mixer.shared_experts.up_proj.weight", [48, 64]),
           ("mtp.layers.1.mixer.shared_experts.down_proj.weight", [64, 48])]
    mtp += [(f"mtp.layers.0.mixer.{m}_proj.weight", [rows, 64]) for m, rows in (("q", 64), ("k", 32), ("v", 32), ("o", 64))]
    predicting = {**experts, "num_nextn_predict_layers": 1}
    plain = ("NemotronHForCausalLM", experts)
    yield case("nemotron-h-mtp", predicting, build=plain, extra=mtp, also=["--outtype auto --mtp", "--outtype auto --no-mtp"])
    yield case("nemotron-h-no-mtp", experts, flags="--mtp", refused=True)

    blocks = [{"block_type": "mamba"}, {"block_type": "attention"},
              {"block_type": "moe", "moe_intermediate_size": 32, "num_experts_per_tok": 2},
              {"block_type": "moe", "moe_intermediate_size": 32, "num_experts_per_tok": 1}]
    puzzle = {**h, **{k: v for k, v in moe.items() if k not in ("moe_intermediate_size", "num_experts_per_tok")},
              "architectures": ["NemotronHPuzzleForCausalLM"], "model_type": "nemotron_h_puzzle", "block_configs": blocks,
              "moe_latent_size": 32, "rms_norm_eps": 1e-5, "num_hidden_layers": 4, "num_nextn_predict_layers": 1}
    same = {**experts, "layers_block_type": [b["block_type"] for b in blocks], "moe_latent_size": 32}
    model = [("^backbone", "model")]
    # What the whole model says of experts counts for nothing.
    for id, dtype, rename, config in (
            ("nemotron-h-puzzle", "bf16", [], {}), ("nemotron-h-puzzle-f16", "f16", model, {"num_key_value_heads": 4}),
            ("nemotron-h-puzzle-f32", "f32", model, {"num_experts_per_tok": 3, "moe_intermediate_size": 48})):
        heads = {"num_key_value_heads": config.get("num_key_value_heads", 2)}
        yield case(id, {**puzzle, **config}, build=("NemotronHForCausalLM", {**same, **heads}), dtype=dtype, rename=rename,
                   extra=mtp)
