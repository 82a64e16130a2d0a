"""RWKV 6 and 7, and models that Qwen 2 was turned into with them. transformers has none of them."""

from checkpoint import ROWS, case

# A vocabulary in RWKV's form: ids, texts and bytes as Python writes them, and numbers of bytes. Two line ends are token 261 in the real one.
TOKENS = [bytes([i]) for i in range(256)] + ["\n\n", " the", "''", "\"", "it's", "\\n", "中", "é\t", "\U0001f600", b"\xe4\xb8", b"'\x80", "a b c"]
VOCAB = "".join(f"{i} {t!r} {len(t.encode() if isinstance(t, str) else t)}\n" for i, t in enumerate(TOKENS, 1))
FILES = {"rwkv_vocab_v20230424.txt": VOCAB}
WORLD = {"vocab_size": 300, "num_hidden_layers": 2, "hidden_size": 64}


def rwkv6(config):
    width, rank, at = config["hidden_size"], 8, f"rwkv.blocks.{{0-{config['num_hidden_layers'] - 1}}}"
    inner = config["intermediate_size"] or 224
    found = [("rwkv.embeddings.weight", [ROWS, width]), ("rwkv.ln_out.weight", [width]), ("rwkv.ln_out.bias", [width]), ("head.weight", [ROWS, width]),
             ("rwkv.blocks.0.pre_ln.weight", [width]), ("rwkv.blocks.0.pre_ln.bias", [width])]
    for part, shape in {"ln1.weight": [width], "ln1.bias": [width], "ln2.weight": [width], "ln2.bias": [width],
                        "attention.time_maa_w1": [width, 5 * rank], "attention.time_maa_w2": [5, rank, width], "attention.time_decay": [1, 1, width],
                        "attention.time_decay_w1": [width, rank], "attention.time_decay_w2": [rank, width], "attention.time_faaaa": [4, 16],
                        "attention.key.weight": [width, width], "attention.value.weight": [width, width], "attention.receptance.weight": [width, width],
                        "attention.gate.weight": [width, width], "attention.output.weight": [width, width], "attention.ln_x.weight": [width],
                        "attention.ln_x.bias": [width], "feed_forward.time_maa_k": [1, 1, width], "feed_forward.time_maa_r": [1, 1, width],
                        "feed_forward.key.weight": [inner, width], "feed_forward.receptance.weight": [width, width],
                        "feed_forward.value.weight": [width, inner]}.items():
        found.append((f"{at}.{part}", shape))
    return found + [(f"{at}.attention.time_maa_{part}", [1, 1, width]) for part in "xwkvrg"]


def qwen(config, part, lerp=()):
    """What is left of Qwen, and `part` of each layer."""
    width, inner, at = config["hidden_size"], config["intermediate_size"], f"model.layers.{{0-{config['num_hidden_layers'] - 1}}}"
    found = [("model.embed_tokens.weight", [ROWS, width]), ("model.norm.weight", [width]), ("lm_head.weight", [ROWS, width])]
    found += [(f"{at}.{n}.weight", s) for n, s in (("input_layernorm", [width]), ("post_attention_layernorm", [width]), ("mlp.gate_proj", [inner, width]),
                                                   ("mlp.up_proj", [inner, width]), ("mlp.down_proj", [width, inner]))]
    return found + [(f"{at}.self_attn.{n}", s) for n, s in part.items()]


def qwen6(config):
    width, rank, keys = config["hidden_size"], 8, 32
    part = {"time_maa_w1": [width, 5 * rank], "time_maa_w2": [5, rank, width], "time_decay": [1, 1, width], "time_decay_w1": [width, rank],
            "time_decay_w2": [rank, width], "q_proj.weight": [width, width], "q_proj.bias": [width], "k_proj.weight": [keys, width], "k_proj.bias": [keys],
            "v_proj.weight": [keys, width], "v_proj.bias": [keys], "o_proj.weight": [width, width], "gate.weight": [width, width]}
    return qwen(config, part | {f"time_maa_{x}": [1, 1, width] for x in "xwkvrg"})


def rwkv7(config, values_in_first=True):
    """Names and shapes of RWKV's own models."""
    width, rank, at = config["hidden_size"], 8, f"model.layers.{{0-{config['num_hidden_layers'] - 1}}}"
    found = ends(width)
    for part, shape in {"w0": [1, 1, width], "w1": [width, rank], "w2": [rank, width], "a0": [1, 1, width], "a1": [width, rank], "a2": [rank, width],
                        "g1": [width, rank], "g2": [rank, width], "k_k": [1, 1, width], "k_a": [1, 1, width], "r_k": [4, 16],
                        "key.weight": [width, width], "value.weight": [width, width], "receptance.weight": [width, width], "output.weight": [width, width],
                        "ln_x.weight": [width], "ln_x.bias": [width]}.items():
        found.append((f"{at}.attention.{part}", shape))
    first = 0 if values_in_first else 1
    for part, shape in {"v0": [1, 1, width], "v1": [width, rank], "v2": [rank, width]}.items():
        found.append((f"model.layers.{{{first}-{config['num_hidden_layers'] - 1}}}.attention.{part}", shape))
    found += [(f"{at}.attention.x_{x}", [1, 1, width]) for x in "rwkvag"]
    return found + feed_forward(at, width)


def ends(width):
    return [("model.embeddings.weight", [ROWS, width]), ("model.norm.weight", [width]), ("model.norm.bias", [width]), ("lm_head.weight", [ROWS, width]),
            ("model.layers.0.pre_norm.weight", [width]), ("model.layers.0.pre_norm.bias", [width])]


def feed_forward(at, width, name="feed_forward", norms=("ln1", "ln2")):
    found = [(f"{at}.{norm}.{kind}", [width]) for norm in norms for kind in ("weight", "bias")]
    return found + [(f"{at}.{name}.x_k", [width]), (f"{at}.{name}.key.weight", [4 * width, width]), (f"{at}.{name}.value.weight", [width, 4 * width])]


def fla(config):
    """Names and shapes of flash-linear-attention's."""
    width, rank, at = config["hidden_size"], 8, f"model.layers.{{0-{config['num_hidden_layers'] - 1}}}"
    found = ends(width)
    for low in "wag":
        found += [(f"{at}.attn.{low}_lora.lora.0.weight", [rank, width]), (f"{at}.attn.{low}_lora.lora.2.weight", [width, rank])]
        found += [(f"{at}.attn.{low}_lora.lora.2.bias", [width])] if low != "g" else []
    v = f"model.layers.{{1-{config['num_hidden_layers'] - 1}}}.attn.v_lora.lora"
    found += [(f"{v}.0.weight", [rank, width]), (f"{v}.2.weight", [width, rank]), (f"{v}.2.bias", [width])]
    found += [(f"{at}.attn.{n}.weight", [width, width]) for n in ("r_proj", "k_proj", "v_proj", "o_proj")]
    found += [(f"{at}.attn.{n}", s) for n, s in (("k_k", [width]), ("k_a", [width]), ("r_k", [4, 16]), ("g_norm.weight", [width]), ("g_norm.bias", [width]))]
    if config.get("fused"):
        found += [(f"{at}.attn.x_x", [6, width])]
    else:
        found += [(f"{at}.attn.x_{x}", [1, 1, width]) for x in "rwkvag"]
    return found + feed_forward(at, width, "ffn", ("attn_norm", "ffn_norm"))


def hybrid(config):
    width, rank, mixed = config["hidden_size"], 8, "rwkvag" if config["wkv_has_gate"] else "rwkva"
    part = {"w0": [1, 1, width], "w1": [width, rank], "w2": [rank, width], "a0": [1, 1, width], "a1": [width, rank], "a2": [rank, width],
            "v0": [1, 1, width], "v1": [width, rank], "v2": [rank, width], "k_k": [1, 1, width], "k_a": [1, 1, width], "r_k": [4, 16],
            "key.weight": [width, width], "value.weight": [width, width], "receptance.weight": [width, width], "output.weight": [width, width],
            "ln_x.weight": [width], "ln_x.bias": [width]}
    part |= {"g1": [width, rank], "g2": [rank, width]} if config["wkv_has_gate"] else {}
    part |= {f"x_{x}": [1, 1, width] for x in mixed}
    return [(n.replace(".self_attn.", ".self_attn.time_mixer."), s) for n, s in qwen(config, part)]


def cases():
    def one(id, arch, model_type, config, tensors, dtype="bf16", **more):
        common = {"tokenizer": None, "files": FILES} if "vocab_size" in config else {}
        return case(id, {"architectures": [arch], "model_type": model_type, **config}, tensors=tensors(config), dtype=dtype, **{**common, **more})

    ways = (("", "bf16"), ("-f16", "f16"), ("-f32", "f32"))
    small = {**WORLD, "head_size": 16, "layer_norm_epsilon": 1e-5, "rescale_every": 6, "intermediate_size": None}
    template = {"tokenizer_config.json": {"chat_template": "{{ messages }}", "bos_token": "x"}}
    for (suffix, dtype), changes in zip(ways, ({}, {"rescale_every": 1, "num_hidden_layers": 3}, {"rescale_every": 0, "intermediate_size": 96})):
        yield one(f"rwkv6{suffix}", "Rwkv6ForCausalLM", "rwkv6", {**small, **changes}, rwkv6, dtype, also=["--outtype q8_0"])
    yield one("rwkv6-template", "Rwkv6ForCausalLM", "rwkv6", {**small, "bos_token_id": 5, "pad_token_id": 7}, rwkv6, files=FILES | template)
    yield one("rwkv6-few-tokens", "Rwkv6ForCausalLM", "rwkv6", {**small, "vocab_size": 200}, rwkv6, refused=True)
    yield one("rwkv6-wrong-length", "Rwkv6ForCausalLM", "rwkv6", small, rwkv6, refused=True,
              files={"rwkv_vocab_v20230424.txt": VOCAB + "300 'x' 2\n"})
    small = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 96, "rms_norm_eps": 1e-6}
    for (suffix, dtype), changes in zip(ways, ({}, {"lora_rank_tokenshift": 8, "lora_rank_decay": 8}, {"num_attention_heads": 8})):
        yield one(f"rwkv6-qwen2{suffix}", "RWKV6Qwen2ForCausalLM", "rwkv6qwen2", {**small, **changes}, qwen6, dtype,
                  tokenizer="spm" if dtype == "f32" else "qwen2-trimmed")
    own = {**WORLD, "head_size": 16, "layer_norm_epsilon": 1e-5, "intermediate_size": None, "lora_rank_decay": 8, "lora_rank_iclr": 8,
           "lora_rank_value_residual_mix": 8, "lora_rank_gate": 8}
    for (suffix, dtype), changes in zip(ways, ({}, {"num_hidden_layers": 3, "lora_rank_gate": None, "lora_rank_decay": None}, {"intermediate_size": 256})):
        yield one(f"rwkv7{suffix}", "Rwkv7ForCausalLM", "rwkv7", {**own, **changes},
                  lambda config, d=dtype: rwkv7(config, values_in_first=d != "f16"), dtype)
    flat = {**WORLD, "head_dim": 16, "norm_eps": 1e-5, "intermediate_size": 256, "decay_low_rank_dim": 8, "a_low_rank_dim": 8, "v_low_rank_dim": 8,
            "gate_low_rank_dim": 8}
    for (suffix, dtype), changes in zip(ways, ({}, {"fused": 1, "num_hidden_layers": 3}, {"a_low_rank_dim": None, "v_low_rank_dim": None})):
        yield one(f"rwkv7-fla{suffix}", "RWKV7ForCausalLM", "rwkv7", {**flat, **changes}, fla, dtype)
    small = {"hidden_size": 64, "num_hidden_layers": 2, "head_size": 16, "rms_norm_eps": 1e-6, "intermediate_size": 96, "wkv_has_gate": True, "wkv_version": 7}
    for (suffix, dtype), changes in zip(ways, ({}, {"wkv_has_gate": False}, {"num_hidden_layers": 3})):
        yield one(f"rwkv-hybrid{suffix}", "RwkvHybridForCausalLM", "rwkv_hybrid", {**small, **changes}, hybrid, dtype,
                  tokenizer="spm" if dtype == "f16" else "qwen2-trimmed")
    yield one("rwkv-hybrid-6", "RwkvHybridForCausalLM", "rwkv_hybrid", {**small, "wkv_version": 6}, hybrid, tokenizer="spm", refused=True)
