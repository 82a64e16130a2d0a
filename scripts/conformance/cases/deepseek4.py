"""DeepSeek V4 as it was published, with names that transformers does not use, and its drafts."""

from checkpoint import VOCAB, case

SMALL = {"model_type": "deepseek_v4", "hidden_size": 64, "moe_intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 1, "head_dim": 32, "qk_rope_head_dim": 8, "q_lora_rank": 32, "o_lora_rank": 32, "o_groups": 2,
         "n_routed_experts": 3, "n_shared_experts": 1, "num_experts_per_tok": 2, "scoring_func": "sqrtsoftplus", "norm_topk_prob": True,
         "routed_scaling_factor": 1.5, "swiglu_limit": 10.0, "sliding_window": 128, "index_n_heads": 4, "index_head_dim": 32, "index_topk": 64,
         "hc_mult": 4, "hc_sinkhorn_iters": 20, "hc_eps": 1e-6, "num_hash_layers": 1, "compress_ratios": [0, 4, 128, 0],
         "compress_rope_theta": 160000, "rope_theta": 10000, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6,
         "num_nextn_predict_layers": 1,
         "rope_scaling": {"type": "yarn", "factor": 16, "beta_fast": 32, "beta_slow": 1, "original_max_position_embeddings": 1024},
         "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "scale_fmt": "ue8m0", "weight_block_size": [128, 128]}}


def fp8(name, rows, columns, scales="f8_e8m0"):
    blocks = [-(-rows // 128), -(-columns // 128)]
    return [(f"{name}.weight", [rows, columns], "f8_e4m3"), (f"{name}.scale", blocks, scales)]


def layer(at, ratio, table, *, plain=False, codes="i8", scales="f8_e8m0", experts=3, tokens=40):
    matrix = (lambda name, rows, columns: [(f"{name}.weight", [rows, columns])]) if plain else fp8
    attn = f"{at}.attn"
    yield f"{at}.attn_norm.weight", [64]
    yield f"{at}.ffn_norm.weight", [64]
    for part in ("attn", "ffn"):
        yield f"{at}.hc_{part}_fn", [24, 256], "f32"
        yield f"{at}.hc_{part}_base", [24], "f32"
        yield f"{at}.hc_{part}_scale", [3], "f32"
    yield f"{attn}.attn_sink", [4], "f32"
    yield from matrix(f"{attn}.wq_a", 32, 64)
    yield from matrix(f"{attn}.wq_b", 128, 32)
    yield f"{attn}.q_norm.weight", [32]
    yield from matrix(f"{attn}.wkv", 32, 64)
    yield f"{attn}.kv_norm.weight", [32]
    yield f"{attn}.wo_a.weight", [64, 64]
    yield from matrix(f"{attn}.wo_b", 64, 64)
    if ratio:
        yield f"{attn}.compressor.ape", [ratio, 64], "f32"
        yield f"{attn}.compressor.wkv.weight", [64, 64], "f32"
        yield f"{attn}.compressor.wgate.weight", [64, 64]
        yield f"{attn}.compressor.norm.weight", [32]
    if ratio == 4:
        index = f"{attn}.indexer"
        yield from matrix(f"{index}.wq_b", 160, 32)
        yield f"{index}.weights_proj.weight", [4, 64]
        yield f"{index}.compressor.ape", [4, 64], "f32"
        yield f"{index}.compressor.wkv.weight", [64, 64]
        yield f"{index}.compressor.wgate.weight", [64, 64]
        yield f"{index}.compressor.norm.weight", [32]
    ffn = f"{at}.ffn"
    yield f"{ffn}.gate.weight", [experts, 64]
    yield f"{ffn}.gate.bias", [experts], "f32"
    if table:
        yield f"{ffn}.gate.tid2eid", [tokens, 2], table
    for part, shape in (("w1", [32, 64]), ("w2", [64, 32]), ("w3", [32, 64])):
        yield from matrix(f"{ffn}.shared_experts.{part}", *shape)
        for expert in range(experts):
            name = f"{ffn}.experts.{expert}.{part}"
            yield f"{name}.weight", [shape[0], shape[1] // 2], codes
            yield f"{name}.scale", [shape[0], shape[1] // 32], scales


def head():
    return [("hc_head_fn", [4, 256], "f32"), ("hc_head_base", [4], "f32"), ("hc_head_scale", [1], "f32")]


def tensors(ratios=(0, 4, 128), table="i64", hashed=1, **more):
    yield "embed.weight", [40, 64]
    yield "norm.weight", [64]
    yield "head.weight", [40, 64]
    yield from head()
    for number, ratio in enumerate(ratios):
        yield from layer(f"layers.{number}", ratio, table if number < hashed else None, **more)


def predicting(number, plain=False, **more):
    at = f"mtp.{number}"
    yield from layer(at, 0, None, plain=plain, **more)
    yield from ((f"{at}.{name}", *rest) for name, *rest in head())
    for part in ("e_proj", "h_proj"):
        yield from [(f"{at}.{part}.weight", [64, 64])] if plain else fp8(f"{at}.{part}", 64, 64)
    for norm in ("enorm", "hnorm", "norm"):
        yield f"{at}.{norm}.weight", [64]


def stage(number, **more):
    yield from layer(f"mtp.{number}", 0, None, **more)


def draft(stages=2, plain=False):
    for number in range(stages):
        yield from stage(number, plain=plain)
    # What no layer has stands with one of them.
    yield from [("mtp.0.main_proj.weight", [64, 192])] if plain else fp8("mtp.0.main_proj", 64, 192)
    yield "mtp.0.main_norm.weight", [64]
    at = f"mtp.{stages - 1}"
    yield f"{at}.norm.weight", [64]
    yield from ((f"{at}.{name}", *rest) for name, *rest in head())
    for part in ("w1", "w2"):
        yield f"{at}.markov_head.markov_{part}.weight", [40, 8]
    yield f"{at}.confidence_head.proj.weight", [1, 128], "f32"


def cases():
    def deepseek(id, config=None, given=None, **more):
        config = {"architectures": ["DeepseekV4ForCausalLM"], **SMALL, **(config or {})}
        return case(id, {k: v for k, v in config.items() if v is not ...}, tensors=list(given or tensors()), **more)

    yield deepseek("deepseek4", given=[*tensors(), *predicting(0), ("aligner.proj.weight", [8, 8])],
                   also=["--outtype auto --mtp", "--outtype auto --no-nextn", "--outtype q8_0", "--outtype auto --fp8-as-q8", "--vocab-only",
                         "--outtype auto --outfile @out", "--mtp --outfile @out"])
    yield deepseek("deepseek4-0731", {"num_hash_layers": 0, "rope_scaling": None, "compress_ratios": [0, 4], "num_hidden_layers": 2, "eos_token_id": 1,
                                      "quantization_config": ..., "n_routed_experts": 2},
                   tensors((0, 4), None, 0, plain=True, codes="u8", scales="u8", experts=2), dtype="f16",
                   files={"chat_template.jinja": "{{ messages }}"})
    yield deepseek("deepseek4-f32", {"num_hash_layers": 2, "head_dim": 16, "swiglu_limit": 7.0, "norm_topk_prob": False, "hc_mult": 2},
                   [*tensors(table="i32", hashed=2, scales="u8"), ("layers.0.ffn.gate.bias_vl", [3], "f32"), ("layers.2.ffn.gate.bias_vl", [3])], dtype="f32")
    # What the class would say if the file did not.
    few = {k: ... for k in ("qk_rope_head_dim", "o_groups", "index_n_heads", "hc_eps", "swiglu_limit", "sliding_window", "scoring_func",
                            "num_nextn_predict_layers", "norm_topk_prob")}
    yield deepseek("deepseek4-defaults", {**few, "head_dim": 64, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}})
    # Weights in a type that has no numbers but powers of two.
    yield deepseek("deepseek4-powers", given=[(*t[:2], "f8_e8m0") if ".hc_" in t[0] else t for t in tensors()])
    yield deepseek("deepseek4-two-predict", {"num_nextn_predict_layers": 2}, [*tensors(), *predicting(0, plain=True), *predicting(1)],
                   also=["--outtype auto --mtp", "--outtype f32 --mtp --vocab-only"])
    yield deepseek("deepseek4-no-scale", given=[t for t in tensors() if t[0] != "layers.1.ffn.experts.2.w2.scale"], refused=True)
    yield deepseek("deepseek4-no-table", {"num_hash_layers": 2}, refused=True)
    yield deepseek("deepseek4-stray", given=[*tensors(), ("layers.0.attn.wq_c.weight", [4, 4])], refused=True)
    yield deepseek("deepseek4-long-blocks", given=[(t[0], [64, 33], *t[2:]) if t[0].endswith(".experts.0.w1.weight") else t for t in tensors()], refused=True)

    own = {"dspark_block_size": 6, "dspark_target_layer_ids": [0, 1, 2], "dspark_noise_token_id": 7}
    target = {"architectures": ["DeepseekV4ForCausalLM"], "model_type": "deepseek_v4"}

    def dspark(id, config=None, given=None, arch="DeepseekV4DSparkModel", **more):
        config = {"architectures": [arch], **SMALL, **own, "vocab_size": VOCAB["gpt2-trimmed"], **(config or {})}
        return case(id, config, tensors=list(given or draft()), **{"target": (target, "gpt2-trimmed"), "tokenizer": None, **more})

    yield dspark("deepseek4-dspark", also=["--vocab-only", "--outtype q8_0 --outfile @out"])
    yield dspark("deepseek4-dspark-f16", {"dspark_target_layer_ids": [2], "rope_scaling": None}, draft(1, plain=True), dtype="f16", also=["--no-nextn"])
    yield dspark("deepseek4-dspark-f32", {"num_hidden_layers": 1, "compress_ratios": [0], "dspark_block_size": 4},
                 [*draft(3), ("mtp.0.ffn.gate.bias_vl", [3])], dtype="f32")
    yield dspark("deepseek4-dspark-beside", given=[*tensors(), *draft()], arch="DeepseekV4ForCausalLM", flags="--dspark")
    yield dspark("deepseek4-dspark-compressed", given=[*draft(), ("mtp.0.attn.compressor.ape", [4, 64])], refused=True)
    yield dspark("deepseek4-dspark-alone", target=None, tokenizer="gpt2-trimmed", refused=True)
