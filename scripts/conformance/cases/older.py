"""Models of some years ago, and others that few use, most without code in transformers: their tensors are listed here."""

from cases.plain import SMALL, gpt, llama
from checkpoint import ROWS, case, tokenizer_config

NAMED = (("", "bf16"), ("-f16", "f16"), ("-f32", "f32"))


def several(id, arch, model_type, variants, *, base=SMALL, tensors=llama, **common):
    """Three configurations: changes, and what else."""
    for (suffix, dtype), (changes, more) in zip(NAMED, variants):
        more = dict(more)
        tied = {"tied": more.pop("tied")} if "tied" in more else {}
        config = {**base, **changes}
        yield case(id + suffix, {"architectures": [arch], "model_type": model_type, **config}, dtype=dtype,
                   tensors=tensors(config, **tied) if tensors else None, **{**common, **more})


def experts(config, *, moe="block_sparse_moe", names=("w1", "w2", "w3"), tied=False):
    """Mixtral's layers."""
    width, inner, count = config["hidden_size"], config["intermediate_size"], config["num_local_experts"]
    at, one = f"model.layers.{{0-{config['num_hidden_layers'] - 1}}}.{moe}", f"experts.{{0-{count - 1}}}"
    found = [t for t in llama(config, tied=tied) if ".mlp." not in t[0]] + [(f"{at}.gate.weight", [count, width])]
    return found + [(f"{at}.{one}.{name}.weight", [width, inner] if name == names[1] else [inner, width]) for name in names]


def arctic(config, **_):
    at, width = "model.layers.{0-1}", config["hidden_size"]
    residual = [(f"{at}.residual_mlp.{name}.weight", [width, width]) for name in ("w1", "w2", "w3")]
    return experts(config) + residual + [(f"{at}.residual_layernorm.weight", [width])]


def mpt(config, biases=False, tied=True, scales=False):
    width, at = config["d_model"], f"transformer.blocks.{{0-{config['n_layers'] - 1}}}"
    keys = config.get("attn_config", {}).get("kv_n_heads", config["n_heads"]) * width // config["n_heads"]
    parts = {"norm_1": [width], "norm_2": [width], "attn.Wqkv": [width + 2 * keys, width], "attn.out_proj": [width, width],
             "ffn.up_proj": [4 * width, width], "ffn.down_proj": [width, 4 * width]}
    found = [("transformer.wte.weight", [ROWS, width]), ("transformer.norm_f.weight", [width])]
    for part, shape in parts.items():
        found += [(f"{at}.{part}.weight", shape)] + ([(f"{at}.{part}.bias", shape[:1])] if biases else [])
    return found + ([] if tied else [("lm_head.weight", [ROWS, width])])


def jais(config, tied=True, slopes=True):
    width, inner = config["n_embd"], config["n_inner"]
    found = gpt(config, {"ln_1": [width], "attn.c_attn": [width, 3 * width], "attn.c_proj": [width, width], "ln_2": [width],
                         "mlp.c_fc": [width, inner], "mlp.c_fc2": [width, inner], "mlp.c_proj": [inner, width]}, tied)
    # Biases of these layers have as many elements as their matrices have columns.
    columns = {"c_attn": 3 * width, "c_proj": width, "c_fc": inner, "c_fc2": inner}
    found = [(name, [columns.get(name.split(".")[-2], width)]) if name.endswith(".bias") else (name, shape) for name, shape in found]
    found += [("transformer.ln_f.bias", [width]), ("transformer.h.{0-1}.attn.bias", [1, 1, 8, 8])]
    return found + ([("transformer.relative_pe.slopes", [config["n_head"]])] if slopes else [])


def dbrx(config, **_):
    width, inner, count = config["d_model"], config["ffn_config"]["ffn_hidden_size"], config["ffn_config"]["moe_num_experts"]
    keys = config["attn_config"]["kv_n_heads"] * width // config["n_heads"]
    at = f"transformer.blocks.{{0-{config['n_layers'] - 1}}}"
    found = [(f"{at}.norm_attn_norm.{name}.weight", shape) for name, shape in (
        ("norm_1", [width]), ("norm_2", [width]), ("attn.Wqkv", [width + 2 * keys, width]), ("attn.out_proj", [width, width]))]
    found += [(f"{at}.ffn.router.layer.weight", [count, width])]
    found += [(f"{at}.ffn.experts.mlp.{name}", [count * inner, width]) for name in ("w1", "v1", "w2")]
    return found + [("transformer.wte.weight", [ROWS, width]), ("transformer.norm_f.weight", [width]), ("lm_head.weight", [ROWS, width])]


def grok2(config, **_):
    norms = {"input_layernorm": "pre_attn_norm", "post_attention_layernorm": "post_attn_norm"}
    found = [(next((n.replace(old, new) for old, new in norms.items() if old in n), n), s) for n, s in experts(config)]
    at, width = "model.layers.{0-1}", config["hidden_size"]
    found += [(f"{at}.{norm}.weight", [width]) for norm in ("pre_moe_norm", "post_moe_norm")]
    if "shared" in config:
        found += [(f"{at}.mlp.{n}_proj.weight", s) for n, s in (("gate", [48, width]), ("up", [48, width]), ("down", [width, 48]))]
    return found


def grok1(config, **_):
    width, inner, count, at = config["hidden_size"], config["intermediate_size"], config["num_local_experts"], "transformer.decoder_layer.{0-1}"
    size = width // config["num_attention_heads"]
    found = [("transformer.in_out_embed.weight", [ROWS, width]), ("transformer.rms_norm.weight", [width]), ("lm_head.weight", [ROWS, width])]
    found += [(f"{at}.multi_head_attention.{n}.weight", s) for n, s in (
        ("query", [width, width]), ("key", [2 * size, width]), ("value", [2 * size, width]), ("linear", [width, width]))]
    found += [(f"{at}.moe.{{0-{count - 1}}}.{n}.weight", [width, inner] if n == "linear_1" else [inner, width])
              for n in ("linear", "linear_1", "linear_v")]
    # What comes last, of each file: the reference loses experts that nothing follows.
    return found + [(f"{at}.rms_norm{n}.weight", [width]) for n in ("", "_1", "_2", "_3")] + [(f"{at}.router.weight", [count, width])]


def hrm(config, tied=False):
    width, inner, size = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    heads, at = config["num_attention_heads"] * size, "model.{}_module.layers.{{0-{}}}"
    found = [("model.embed_tokens.weight", [ROWS, width]), ("model.z_L_init", [width])]
    for stack in "LH":
        place = at.format(stack, config["num_hidden_layers"] - 1)
        found += [(f"{place}.{n}.weight", s) for n, s in (
            ("attn.gqkv_proj", [4 * heads, width]), ("attn.o_proj", [width, heads]), ("mlp.gate_up_proj", [2 * inner, width]),
            ("mlp.down_proj", [width, inner]))]
    return found if tied else found + [("lm_head.weight", [ROWS, width])]


def spark(config, **_):
    at, size, width = "model.layers.{0-1}.self_attn", config["head_dim"], config["hidden_size"]
    rows = (config["num_attention_heads"] + 2 * config["num_key_value_heads"]) * size
    found = [t for t in llama(config, tied=True) if not any(f"{x}_proj" in t[0] for x in "qkv")]
    return found + [(f"{at}.q_k_v_proj.weight", [rows, width]), (f"{at}.g_proj.weight", [config["num_attention_heads"], width])]


def talkie(config, **_):
    at, width, inner, heads = "model.blocks.{0-1}", config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    rows = heads * config["head_dim"]
    found = [("model.embed.weight", [ROWS, width]), ("lm_head", [ROWS, width]), ("lm_head_gain.w_g", [1])]
    found += [(f"{at}.attn.attn_{n}.weight", [rows, width]) for n in ("query", "key", "value")]
    found += [(f"{at}.attn.attn_resid.weight", [width, rows]), (f"{at}.attn.head_gain.head_g", [heads]), (f"{at}.attn_gain.a_g", [1]),
              (f"{at}.mlp_gain.a_g", [1]), (f"{at}.embed_skip.a_g", [1])]
    return found + [(f"{at}.mlp.mlp_{n}.weight", [width, inner] if n == "resid" else [inner, width]) for n in ("gate", "linear", "resid")]


def llada(config, tied=False, biases=False):
    width, inner, at = config["d_model"], config["mlp_hidden_size"], f"model.transformer.blocks.{{0-{config['n_layers'] - 1}}}"
    keys = config.get("n_kv_heads", config["n_heads"]) * width // config["n_heads"]
    found = [("model.transformer.wte.weight", [ROWS, width]), ("model.transformer.ln_f.weight", [width])]
    parts = {"q_proj": [width, width], "k_proj": [keys, width], "v_proj": [keys, width], "attn_out": [width, width], "ff_proj": [inner, width],
             "up_proj": [inner, width], "ff_out": [width, inner], "attn_norm": [width], "ff_norm": [width]}
    found += [(f"{at}.{part}.weight", shape) for part, shape in parts.items()]
    found += [(f"{at}.{part}.bias", [keys if part != "q_proj" else width]) for part in ("q_proj", "k_proj") if biases]
    return found if tied else found + [("model.transformer.ff_out.weight", [ROWS, width])]


def wavtokenizer(config, **_):
    width, posnet, convnext = config["hidden_size"], config["posnet"], config["convnext"]
    found = [("backbone.embedding.weight", [16, config["n_embd_features"]])]
    found += [(f"backbone.codebook.{n}", s) for n, s in (
        ("cluster_size", [16]), ("embed_avg", [16, config["n_embd_features"]]), ("inited", [1]))]
    found += [("backbone.embed.weight", [width, config["n_embd_features"], 7]), ("backbone.embed.bias", [width])]
    found += [("backbone.norm.weight", [width]), ("backbone.norm.bias", [width]), ("backbone.final_layer_norm.weight", [width]),
              ("backbone.final_layer_norm.bias", [width]), ("head.out.weight", [66, width]), ("head.out.bias", [66])]
    size, inner, at = convnext["n_embd"], config["n_ff"], f"backbone.convnext.{{0-{convnext['n_layer'] - 1}}}"
    found += [(f"{at}.dwconv.weight", [size, 1, 7]), (f"{at}.dwconv.bias", [size]), (f"{at}.norm.weight", [size]), (f"{at}.norm.bias", [size]),
              (f"{at}.pwconv1.weight", [inner, size]), (f"{at}.pwconv1.bias", [inner]), (f"{at}.pwconv2.weight", [size, inner]),
              (f"{at}.pwconv2.bias", [size]), (f"{at}.gamma", [size])]
    size = posnet["n_embd"]
    for at in ("0", "1", "3", "4"):
        found += [(f"backbone.posnet.{at}.{n}.{kind}", [size, size, 3] if "conv" in n and kind == "weight" else [size])
                  for n in ("norm1", "conv1", "norm2", "conv2") for kind in ("weight", "bias")]
    found += [(f"backbone.posnet.2.{n}.{kind}", [size, size, 1] if kind == "weight" and n != "norm" else [size])
              for n in ("norm", "q", "k", "v", "proj_out") for kind in ("weight", "bias")]
    return found + [(f"backbone.posnet.5.norm.{kind}", [size]) for kind in ("weight", "bias")]


def falcon_h1(config, **_):
    width, inner, size = config["hidden_size"], config["mamba_d_ssm"], config["mamba_n_heads"]
    both, at = inner + 2 * config["mamba_n_groups"] * config["mamba_d_state"], f"model.layers.{{0-{config['num_hidden_layers'] - 1}}}"
    found = [t for t in llama(config) if "post_attention" not in t[0]]
    found = [(n.replace(".mlp.", ".feed_forward.").replace("model.norm", "model.final_layernorm"), s) for n, s in found]
    found += [(f"{at}.pre_ff_layernorm.weight", [width]), (f"{at}.mamba.A_log", [size], "f16")]
    return found + [(f"{at}.mamba.{n}", s) for n, s in (
        ("in_proj.weight", [inner + both + size, width]), ("conv1d.weight", [both, 1, 4]), ("conv1d.bias", [both]), ("dt_bias", [size]), ("D", [size]),
        ("norm.weight", [inner]), ("out_proj.weight", [width, inner]))]


def granite_switch(config, **_):
    width, size, rank, count = config["hidden_size"], config["head_dim"], config["max_lora_rank"], config["num_adapters"]
    inner, at = config["shared_intermediate_size"], f"model.layers.{{0-{config['num_hidden_layers'] - 2}}}"
    q, k = config["num_attention_heads"] * size, config["num_key_value_heads"] * size
    found = [("model.embed_tokens.weight", [ROWS, width]), ("model.norm.weight", [width]), ("model.switch.buffer", [4]), ("model.adapter_token_ids", [count])]
    found += [(f"{at}.{n}.weight", [width]) for n in ("input_layernorm", "post_attention_layernorm")]
    for name, rows, columns in (("self_attn.qkv_proj", (q, k, k), width), ("self_attn.o_proj", (width,), q),
                                ("shared_mlp.input_linear", (inner, inner), width), ("shared_mlp.output_linear", (width,), inner)):
        found.append((f"{at}.{name}.base_layer.weight", [sum(rows), columns]))
        for slot, part in enumerate(rows):
            end = f"_slices.{slot}" if len(rows) > 1 else ""
            found += [(f"{at}.{name}.lora_A{end}", [count, 1, rank, columns]), (f"{at}.{name}.lora_B{end}", [count, 1, part, rank])]
    return found


def cases():
    yield from several("vllama3", "VLlama3ForCausalLM", "vllama3", (
        ({"num_key_value_heads": 8, "hidden_size": 128, "num_attention_heads": 32}, {"drop": (), "tokenizer": "spm"}),
        ({}, {}), ({"head_dim": 32}, {"tied": True})))
    config = {**SMALL, "hidden_size": 128, "num_key_value_heads": 32}
    yield case("vllama3-32-heads", {"architectures": ["VLlama3ForCausalLM"], "model_type": "vllama3", **{
        k: v for k, v in config.items() if k != "num_attention_heads"}}, tensors=llama({**config, "num_attention_heads": 32}), tokenizer="spm")

    yield from several("xverse", "XverseForCausalLM", "xverse", (
        ({"num_key_value_heads": 4}, {}), ({"num_key_value_heads": 2}, {}), ({"num_attention_heads": 8}, {"tied": True})), tokenizer="llama-hf")
    small = {"max_seq_len": 2048, "d_model": 64, "n_layers": 2, "n_heads": 4}
    yield from several("mpt", "MPTForCausalLM", "mpt", (
        ({}, {}), ({"attn_config": {"alibi": False, "clip_qkv": 6.0, "kv_n_heads": 2}}, {}),
        ({"attn_config": {"alibi_bias_max": 16, "clip_qkv": 6.5, "alibi": True}}, {"tied": False})), base=small, tensors=mpt)
    yield case("mpt-spm", {"architectures": ["MPTForCausalLM"], "model_type": "mpt", **small}, tensors=mpt(small, biases=True), tokenizer="spm")

    small = {"n_embd": 64, "n_inner": 96, "n_layer": 2, "n_head": 4, "n_positions": 1024, "layer_norm_epsilon": 1e-5,
             "activation_function": "swiglu", "position_embedding_type": "alibi"}
    # Not lazy, or the reference cannot read the slopes. Under these names, the first of them is positive.
    yield from several("jais-swiglu", "JAISLMHeadModel", "jais", (
        ({"embeddings_scale": 14.6, "width_scale": 0.125}, {"tied": False}),
        ({"mup_embeddings_scale": 9.17, "mup_output_alpha": 1.0862, "mup_width_scale": 0.125}, {"tied": False})),
        base=small, tensors=jais, flags="--no-lazy")
    config = {"architectures": ["JAISLMHeadModel"], "model_type": "jais", **small}
    yield case("jais-alibi-f32", {**config, "embeddings_scale": 1.0, "width_scale": 1, "n_head": 6}, tensors=jais({**small, "n_head": 6}), dtype="f32",
               flags="--no-lazy")
    yield case("jais-without-slopes", {**config, "embeddings_scale": 2, "width_scale": 3.3}, tensors=jais(small, slopes=False))

    small = {"d_model": 64, "n_heads": 4, "n_layers": 2, "max_seq_len": 2048, "attn_config": {"clip_qkv": 8, "kv_n_heads": 2, "rope_theta": 500000},
             "ffn_config": {"ffn_hidden_size": 96, "moe_num_experts": 4, "moe_top_k": 2}}
    yield from several("dbrx", "DbrxForCausalLM", "dbrx", (
        ({}, {}), ({"attn_config": {"clip_qkv": 0.5, "kv_n_heads": 4, "rope_theta": 1e4}}, {"also": ["--outtype q8_0", "--outtype tq1_0"]}),
        ({"ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 3, "moe_top_k": 1}}, {})), base=small, tensors=dbrx)
    yield case("dbrx-classless", {"architectures": ["DbrxForCausalLM"], "model_type": "dbrx_of_old", **small}, tensors=dbrx(small))

    small = {**SMALL, "num_local_experts": 4, "num_experts_per_tok": 2, "embedding_multiplier_scale": 78.38367176906169,
             "output_multiplier_scale": 0.5773502691896257}
    far = {"rope_type": "original", "scaling_factor": 16.0, "original_max_position_embeddings": 8192, "extrapolation_factor": 1.0,
           "attn_factor": 1.0, "beta_fast": 8, "beta_slow": 1}
    template = {"chat_template.jinja": "{{ messages }}"}
    yield from several("grok2", "GrokForCausalLM", "git", (
        ({**far, "head_dim": 16, "moe_intermediate_size": 96, "attn_temperature_len": 1024, "final_logit_softcapping": 50, "shared": 1},
         {"files": template}),
        ({"attn_logit_softcapping": 20.0, "attn_output_multiplier": 0.08838834764831845}, {"tokenizer": "spm"}),
        ({"rope_type": "yarn", **{k: v for k, v in far.items() if k != "rope_type"}}, {"files": template})), base=small, tensors=grok2)
    yield case("grok1", {"architectures": ["Grok1ForCausalLM"], "model_type": "grok-1", **small}, tensors=grok1(small), tokenizer="spm")
    yield case("grok-without-template", {"architectures": ["GrokForCausalLM"], "model_type": "git", **small}, tensors=grok2(small), refused=True)

    small = {**SMALL, "num_local_experts": 4, "num_experts_per_tok": 2}
    added = {"added_tokens_decoder": {"0": {"content": "<unk>", "special": True}, "1": {"content": "<|begin|>", "special": True},
                                      "300": {"content": "▁plain", "special": False}, "9999": {"content": "far", "special": True}},
             "unk_token": "<unk>", "bos_token": "<|begin|>"}
    yield from several("arctic", "ArcticForCausalLM", "arctic", (
        ({}, {"files": {"tokenizer_config.json": tokenizer_config("spm", **added)}}),
        ({"num_key_value_heads": 4}, {"files": {"tokenizer_config.json": added}}), ({"num_local_experts": 3}, {})),
        base=small, tensors=arctic, tokenizer="spm")
    yield case("arctic-without-unk", {"architectures": ["ArcticForCausalLM"], "model_type": "arctic", **small}, tensors=arctic(small), tokenizer="spm",
               files={"tokenizer_config.json": {k: v for k, v in added.items() if k != "unk_token"}}, refused=True)

    quantizer = {"vq_config": {"embed_dim": 8, "num_embeddings": 8, "base_channels": 32, "channel_multiplier": [1], "num_res_blocks": 1,
                               "latent_channels": 8, "resolution": 32}}
    small = {**SMALL, **quantizer, "num_key_value_heads": 4}
    yield from several("chameleon", "ChameleonForConditionalGeneration", "chameleon", (
        ({"vocabulary_map": {"<image>": 4}}, {}), ({"swin_norm": True}, {}), ({"attention_bias": True}, {"saved": True})), base=small, tensors=None,
        shapes={"vocabulary_map": {"<image>": 4}})
    yield case("chameleon-old-name", {"architectures": ["ChameleonForCausalLM"], "model_type": "chameleon", **small,
                                      "vocabulary_map": {"<image>": 4}}, build="ChameleonForConditionalGeneration")

    small = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16,
             "max_position_embeddings": 2048, "H_cycles": 2, "L_cycles": 3}
    yield from several("hrm-text", "HrmTextForCausalLM", "hrm_text", (
        ({}, {}), ({"embedding_scale": 8.0, "prefix_lm": False, "head_dim": 32}, {}),
        ({"H_cycles": 1, "L_cycles": 1, "num_hidden_layers": 3}, {"tied": True})), base=small, tensors=hrm)
    yield case("hrm-text-of-transformers", {"architectures": ["HrmTextForCausalLM"], "model_type": "hrm_text", **small}, saved=True)
    yield case("hrm-text-classless", {"architectures": ["HrmTextForCausalLM"], "model_type": "hrm", **small, "num_key_value_heads": 4,
                                      "embedding_scale": 5.5, "prefix_lm": 1}, tensors=hrm(small))

    small = {**SMALL, "head_dim": 16, "layer_types": ["sliding_attention", "full_attention"], "sliding_window": 512, "hidden_act": "gelu",
             "gate_attn_act_mode": "sigmoid", "headwise_attn_output_gate": True, "rope_parameters": {
                 "full_attention": {"rope_type": "default", "rope_theta": 5e6, "partial_rotary_factor": 0.25},
                 "sliding_attention": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0}}}
    yield from several("spark2_5", "Spark2_5ForCausalLM", "spark2_5", (
        ({}, {}), ({"num_key_value_heads": 4, "layer_types": ["full_attention"] * 2}, {}), ({"head_dim": 32}, {})), base=small, tensors=spark)
    for id, changes in (("act", {"hidden_act": "silu"}), ("gate", {"gate_attn_act_mode": "tanh"}), ("types", {"layer_types": ["full_attention"]})):
        yield case(f"spark2_5-{id}", {"architectures": ["Spark2_5ForCausalLM"], "model_type": "spark2_5", **small, **changes},
                   tensors=spark(small), refused=True)

    small = {**{k: v for k, v in SMALL.items() if k != "num_key_value_heads"}, "head_dim": 16, "rope_theta": 1e6}
    yield from several("talkie", "TalkieForCausalLM", "talkie", (
        ({}, {}), ({"head_dim": 8}, {}), ({"num_attention_heads": 2, "head_dim": 32}, {})), base=small, tensors=talkie)

    yield from several("dream", "DreamModel", "Dream", (
        ({"mask_token_id": 50256}, {"tokenizer": "gpt2-roles"}), ({"num_key_value_heads": 4}, {"tokenizer": "qwen2-trimmed"}),
        ({"mask_token_id": None}, {"tied": True, "tokenizer": "spm"})))
    small = {"d_model": 64, "mlp_hidden_size": 96, "n_layers": 2, "n_heads": 4, "max_sequence_length": 4096, "rope_theta": 5e5, "rms_norm_eps": 1e-5}
    yield from several("llada", "LLaDAModelLM", "llada", (
        ({"n_kv_heads": 2}, {"tokenizer": "gpt2-roles"}), ({"head_dim": 16}, {"tokenizer": "llama3-trimmed"}),
        ({}, {"tied": True, "tokenizer": "qwen2-trimmed"})), base=small, tensors=llada)

    small = {"hidden_size": 32, "n_embd_features": 16, "n_ff": 64, "vocab_size": 16, "n_head": 1, "layer_norm_epsilon": 1e-6,
             "group_norm_epsilon": 1e-6, "group_norm_groups": 4, "max_position_embeddings": 512, "n_layer": 6,
             "posnet": {"n_embd": 32, "n_layer": 6}, "convnext": {"n_embd": 32, "n_layer": 3}}
    yield from several("wavtokenizer", "WavTokenizerDec", "wavtokenizer", (
        ({}, {}), ({"convnext": {"n_embd": 32, "n_layer": 2}}, {}), ({"n_layer": 12, "group_norm_groups": 8}, {})),
        base=small, tensors=wavtokenizer, tokenizer=None)

    small = {**SMALL, "head_dim": 16, "rope_theta": 1e11, "mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 2, "mamba_d_state": 16,
             "mamba_d_conv": 4, "mamba_expand": 2, "mlp_multipliers": [0.8838834764831844, 0.5859375], "key_multiplier": 0.390625,
             "attention_in_multiplier": 1.0, "attention_out_multiplier": 0.9375, "ssm_in_multiplier": 1.25, "ssm_out_multiplier": 0.23570226039551587,
             "ssm_multipliers": [0.3535533905932738, 0.25, 0.3535533905932738, 0.5, 1.0], "lm_head_multiplier": 0.0390625, "embedding_multiplier": 5.656854249492381}
    yield from several("falcon-h1", "FalconH1ForCausalLM", "falcon_h1", (
        ({}, {}), ({"mamba_n_groups": 1, "attention_in_multiplier": 1.3}, {}), ({"num_key_value_heads": 4, "rms_norm_eps": 1e-6, "hidden_act": "silu"}, {})),
        base=small, tensors=falcon_h1)

    small = {**SMALL, "num_hidden_layers": 3, "head_dim": 16, "shared_intermediate_size": 96, "num_adapters": 3, "max_lora_rank": 8, "adapter_token_ids": [5, 6, 7],
             "adapter_substitute_token_ids": [8, 8, 9], "num_experts_per_tok": 2, "attention_multiplier": 0.0625, "embedding_multiplier": 12,
             "residual_multiplier": 0.22, "logits_scaling": 8, "rope_theta": 1e7}
    yield from several("granite-switch", "GraniteSwitchForCausalLM", "granite_switch", (
        ({}, {}), ({"control_token_gain": 12.5, "num_key_value_heads": 4}, {"also": ["--outtype q8_0"]}), ({"projection_head_dim": 16, "num_adapters": 1}, {})),
        base=small, tensors=granite_switch)

    def bitnet(config, **_):
        at = f"model.layers.{{0-{config['num_hidden_layers'] - 1}}}"
        return llama(config, tied=True) + [(f"{at}.self_attn.inner_attn_ln.weight", [config["hidden_size"]]), (f"{at}.mlp.ffn_layernorm.weight", [config["intermediate_size"]])]

    # Matrices have fewer than 32768 elements: more are added up by several threads, in an order that depends on their number.
    yield from several("bitnet", "BitNetForCausalLM", "bitnet", (
        ({}, {"also": ["--outtype tq1_0"]}), ({"num_key_value_heads": 4}, {}), ({"intermediate_size": 100, "rope_theta": 1e4}, {})),
        tensors=bitnet, tokenizer="spm")
    yield from several("bitnet-old-name", "BitnetForCausalLM", "bitnet_of_old", (
        ({}, {}), ({"num_hidden_layers": 1}, {}), ({"intermediate_size": 33}, {})), tensors=bitnet, tokenizer="spm")
    yield case("bitnet-output", {"architectures": ["BitNetForCausalLM"], "model_type": "bitnet", **SMALL}, tensors=llama(SMALL), tokenizer="spm", refused=True)
