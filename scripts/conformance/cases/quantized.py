"""Checkpoints that were published quantized, of several families, with experts and without."""

from checkpoint import ROWS, case

WIDTH, INNER = 128, 192
SMALL = {"hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "head_dim": 32, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}
LLAMA = ("LlamaForCausalLM", "llama", {}, [])
QWEN3 = ("Qwen3ForCausalLM", "qwen3", {}, ["q_norm", "k_norm"])
GEMMA2 = ("Gemma2ForCausalLM", "gemma2", {"query_pre_attn_scalar": 32}, [])
MISTRAL = ("MistralForCausalLM", "mistral", {"sliding_window": None}, [])
EXPERTS = {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "decoder_sparse_step": 1, "mlp_only_layers": [],
           "norm_topk_prob": True}
QWEN3_MOE = ("Qwen3MoeForCausalLM", "qwen3_moe", EXPERTS, ["q_norm", "k_norm"])
MIXTRAL = ("MixtralForCausalLM", "mixtral", {"num_local_experts": 3, "num_experts_per_tok": 2}, [])
QWEN2_MOE = ("Qwen2MoeForCausalLM", "qwen2_moe", {**EXPERTS, "shared_expert_intermediate_size": 64}, [])
OLMOE = ("OlmoeForCausalLM", "olmoe", {"num_experts": 3, "num_experts_per_tok": 2, "intermediate_size": 64}, [])
DOTS1 = ("Dots1ForCausalLM", "dots1", {"n_routed_experts": 3, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
                                       "first_k_dense_replace": 0, "norm_topk_prob": True, "routed_scaling_factor": 1.0},
         ["q_norm", "k_norm"])
# The reference does not find out how many experts there are while it stacks them.
GLM4_MOE = ("Glm4MoeForCausalLM", "glm4_moe", {**DOTS1[2], "n_group": 1, "topk_group": 1, "use_qk_norm": True}, ["q_norm", "k_norm"])
TYPES = ["f16", "bf16", "q8_0", "auto"]


def matrices(family) -> list:
    """The linear layers of a model: (module, rows, columns)."""
    _, kind, config, _ = family
    at = "model.layers.{0-1}"
    found = [(f"{at}.self_attn.q_proj", 128, WIDTH), (f"{at}.self_attn.k_proj", 64, WIDTH), (f"{at}.self_attn.v_proj", 64, WIDTH),
             (f"{at}.self_attn.o_proj", WIDTH, 128)]
    if kind == "mixtral":
        found += [(f"{at}.block_sparse_moe.experts.{{0-2}}.{m}", *((WIDTH, INNER) if m == "w2" else (INNER, WIDTH))) for m in ("w1", "w2", "w3")]
    elif "num_experts" in config or "n_routed_experts" in config:
        inner = 64
        shared = {"qwen2_moe": ["shared_expert"], "dots1": ["shared_experts"], "glm4_moe": ["shared_experts"]}.get(kind, [])
        found += [(f"{at}.mlp.{e}.{m}_proj", *((WIDTH, inner) if m == "down" else (inner, WIDTH)))
                  for e in ["experts.{0-2}", *shared] for m in ("gate", "up", "down")]
    else:
        found += [(f"{at}.mlp.{m}_proj", *((WIDTH, INNER) if m == "down" else (INNER, WIDTH))) for m in ("gate", "up", "down")]
    return found


def others(family) -> list:
    """What is not quantized."""
    _, kind, config, norms = family
    at = "model.layers.{0-1}"
    norm = ["input_layernorm", "post_attention_layernorm", *(["pre_feedforward_layernorm", "post_feedforward_layernorm"] if kind == "gemma2" else [])]
    found = [("model.embed_tokens.weight", [ROWS, WIDTH]), ("model.norm.weight", [WIDTH])]
    found += [(f"{at}.{n}.weight", [WIDTH]) for n in norm] + [(f"{at}.self_attn.{n}.weight", [32]) for n in norms]
    if kind != "gemma2":
        found.append(("lm_head.weight", [ROWS, WIDTH]))
    if kind == "qwen2_moe":
        found += [(f"{at}.mlp.shared_expert_gate.weight", [1, WIDTH]), *((f"{at}.self_attn.{m}_proj.bias", [n]) for m, n in (("q", 128), ("k", 64), ("v", 64)))]
    if kind == "olmoe":
        found += [(f"{at}.self_attn.q_norm.weight", [128]), (f"{at}.self_attn.k_norm.weight", [64])]
    if kind in ("dots1", "glm4_moe"):
        found.append((f"{at}.mlp.gate.e_score_correction_bias", [3], "f32"))
    if {"num_experts", "n_routed_experts"} & config.keys() or kind == "mixtral":
        found.append((f"{at}.{'block_sparse_moe' if kind == 'mixtral' else 'mlp'}.gate.weight", [3, WIDTH]))
    return found


def model(id, family, method, quantize, more=(), refused=False, types=TYPES, **kwargs):
    """A model whose linear layers are what `quantize` makes of their names and shapes."""
    arch, kind, config, _ = family
    config = {"architectures": [arch], "model_type": kind, **SMALL, **config}
    if method is not None:
        config["quantization_config"] = method
    tensors = others(family) + [t for m in matrices(family) for t in quantize(*m)] + list(more)
    return case(f"quantized-{id}", config, tensors=tensors, refused=refused, types=["auto"] if refused else types,
                **{"tokenizer": {"llama": "spm", "gemma2": "spm", "glm4_moe": "gpt2-roles"}.get(kind, "gpt2-trimmed"), **kwargs})


# NVFP4: four-bit codes, a scale for 16 of them, and one for all.
KV = [(f"model.layers.{{0-1}}.self_attn.{k}_proj.{k}_scale", [], "f32") for k in "kv"]
NVFP4 = {"quant_method": "modelopt", "quant_algo": "NVFP4"}
MODELOPT = {"producer": {"name": "modelopt", "version": "0.29.0"}, "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8", "group_size": 16}}


def nvfp4(name, rows, columns, shape=(), whole=True):
    found = [(f"{name}.weight", [rows, columns // 2], "u8"), (f"{name}.weight_scale", [rows, columns // 16], "f8_e4m3")]
    return found + ([(f"{name}.weight_scale_2", list(shape), "f32"), (f"{name}.input_scale", list(shape), "f32")] if whole else [])


def nvfp4_compressed(name, rows, columns):
    return [(f"{name}.weight_packed", [rows, columns // 2], "u8"), (f"{name}.weight_scale", [rows, columns // 16], "f8_e4m3"),
            (f"{name}.weight_global_scale", [1], "f32"), (f"{name}.input_global_scale", [1], "f32")]


def fp8(name, rows, columns):
    return [(f"{name}.weight", [rows, columns], "f8_e4m3"), (f"{name}.weight_scale", [], "f32"), (f"{name}.input_scale", [], "f32")]


def attention_in(inner, outer):
    return lambda name, *shape: (inner if "self_attn" in name else outer)(name, *shape)


def group(format=None, **weights):
    weights = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16, "symmetric": True, "dynamic": False, **weights}
    return {"targets": ["Linear"], "weights": weights, "input_activations": None} | ({"format": format} if format else {})


def compressed(format, *groups):
    return {"quant_method": "compressed-tensors", "format": format, "ignore": ["lm_head"],
            "config_groups": {f"group_{i}": g for i, g in enumerate(groups)}}


def layers(algorithm, *modules):
    return {f"model.layers.{at}.{m}": {"quant_algo": algorithm, "group_size": 16} for at in (0, 1) for m in modules}


def plain(name, rows, columns):
    return [(f"{name}.weight", [rows, columns])]


ATTENTION = [f"self_attn.{m}_proj" for m in "qkvo"]
MLP = [f"mlp.{m}_proj" for m in ("gate", "up", "down")]


def nvfp4_cases():
    for family in (LLAMA, QWEN3, GEMMA2, MISTRAL):
        yield model(f"nvfp4-{family[1]}", family, NVFP4, nvfp4, KV, also=["--outtype auto --fuse-qkv", "--outtype tq1_0"])
    yield model("nvfp4-file", QWEN3, None, nvfp4, KV, files={"hf_quant_config.json": MODELOPT}, dtype="f16")
    yield model("nvfp4-experts", QWEN3_MOE, NVFP4, nvfp4, also=["--outtype auto --fuse-gate-up-exps"])
    yield model("nvfp4-experts-ones", QWEN3_MOE, NVFP4, lambda *m: nvfp4(*m, whole="up_proj" in m[0]))
    one = [("model.layers.0.self_attn.q_proj.weight_scale_2", [], "f32", [1.0000005]), ("model.layers.1.self_attn.q_proj.weight_scale_2", [], "f32", [1.000002]),
           ("model.layers.1.self_attn.q_proj.input_scale", [1], "f32", [1.0])]
    yield model("nvfp4-ones", LLAMA, NVFP4, lambda *m: nvfp4(*m, whole=False), one)
    near = [("model.layers.0.mlp.experts.{0-2}.up_proj.weight_scale_2", [], "f32", [1.00001]), ("model.layers.1.mlp.experts.{0-2}.up_proj.weight_scale_2", [], "f32", [1.000012])]
    yield model("nvfp4-experts-near", QWEN3_MOE, NVFP4, lambda *m: nvfp4(*m, whole=False), near)
    yield model("nvfp4-weight-only", LLAMA, {**NVFP4, "quant_algo": "W4A16_NVFP4"}, nvfp4, dtype="f16")
    mixed = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers("FP8", *ATTENTION) | layers("NVFP4", *MLP)}
    yield model("nvfp4-mixed", LLAMA, mixed, attention_in(fp8, nvfp4), KV, also=["--outtype auto --fp8-as-q8"])
    mixed = {**mixed, "quantized_layers": layers("W4A16_NVFP4", "mlp.experts.0.up_proj", "mlp.experts") | layers("NVFP4", "self_attn.v_proj")
             | layers("W4A16_NVFP4", "self_attn")}
    yield model("nvfp4-mixed-experts", QWEN3_MOE, mixed, nvfp4)
    yield model("nvfp4-mixed-plain", QWEN3, {**mixed, "quantized_layers": layers("NVFP4", *MLP)}, attention_in(plain, nvfp4))
    yield model("nvfp4-missing-layer", QWEN3, {**mixed, "quantized_layers": layers("NVFP4", "mlp.other")}, attention_in(plain, nvfp4), refused=True)
    yield model("nvfp4-narrow", LLAMA, NVFP4, lambda n, r, c: nvfp4(n, r, c - 32), refused=True)
    yield model("nvfp4-few-scales", LLAMA, NVFP4, lambda n, r, c: [(f"{n}.weight", [r, c // 2], "u8"), (f"{n}.weight_scale", [r, c // 32], "f8_e4m3")], refused=True)
    yield model("nvfp4-mixtral", MIXTRAL, NVFP4, nvfp4, refused=True)
    for family in (LLAMA, QWEN3, QWEN3_MOE):
        yield model(f"nvfp4-compressed-{family[1]}", family, compressed("nvfp4-pack-quantized", group()), nvfp4_compressed, KV)
    two = compressed("mixed-precision", group("nvfp4-pack-quantized"), group("nvfp4-pack-quantized", observer="minmax"))
    yield model("nvfp4-compressed-mixed", MISTRAL, two, nvfp4_compressed, dtype="f16")
    other = compressed("mixed-precision", group("nvfp4-pack-quantized"), group("float-quantized"))
    yield model("nvfp4-compressed-other", MISTRAL, other, nvfp4_compressed, refused=True)


# Integers of few bits, several to a word of 32.
def pack_quantized(bits, size, zeros=False, scale="bf16"):
    per_word = 32 // bits

    def quantize(name, rows, columns):
        found = [(f"{name}.weight_packed", [rows, -(-columns // per_word)], "words"), (f"{name}.weight_scale", [rows, columns // size], scale),
                 (f"{name}.weight_shape", [2], "i64", [rows, columns])]
        return found + ([(f"{name}.weight_zero_point", [-(-rows // per_word), columns // size], "words")] if zeros else [])
    return quantize


def integers(bits, size, **weights):
    return compressed("pack-quantized", group(**{"type": "int", "num_bits": bits, "group_size": size, "strategy": "group", **weights}))


def pack_quantized_cases():
    for family in (LLAMA, QWEN3, MIXTRAL):
        yield model(f"w4a16-{family[1]}", family, integers(4, 32), pack_quantized(4, 32), also=["--outtype auto --fuse-qkv", "--outtype tq1_0"])
        yield model(f"w4a16-zeros-{family[1]}", family, integers(4, 64, symmetric=False), pack_quantized(4, 64, zeros=True, scale="f16"), dtype="f16")
    yield model("w8a16", GEMMA2, integers(8, 32), pack_quantized(8, 32))
    yield model("w8a16-zeros", QWEN3_MOE, integers(8, 64, symmetric=False), pack_quantized(8, 64, zeros=True, scale="f32"))
    yield model("w2a16-zeros", MISTRAL, integers(2, 16), pack_quantized(2, 16, zeros=True), dtype="f32")
    # Words are not full, rows end in one.
    yield model("w3a16-zeros", LLAMA, integers(3, 32), pack_quantized(3, 32, zeros=True))
    yield model("w5a16", QWEN3, integers(5, 64), pack_quantized(5, 64))
    yield model("w6a16-zeros", QWEN3_MOE, integers(6, 32), pack_quantized(6, 32, zeros=True))
    yield model("w4a16-channel", LLAMA, integers(4, None, strategy="channel"), pack_quantized(4, 32), refused=True)
    yield model("w4a16-uneven", LLAMA, integers(4, 48), pack_quantized(4, 32), refused=True)
    yield model("w4a16-other-scales", LLAMA, integers(4, 32), pack_quantized(4, 64), refused=True)
    yield model("w4a16-two-groups", LLAMA, compressed("pack-quantized", group(type="int", strategy="group"), group()), pack_quantized(4, 32), refused=True)
    yield model("w4a16-float", LLAMA, integers(4, 32, type="float"), pack_quantized(4, 32), refused=True)


def gptq(bits, size, order=None, scale="f16", index=True):
    """`order` puts rows into other groups, as act-order does."""
    per_word = 32 // bits

    def quantize(name, rows, columns):
        groups = [order(at, columns // size) if order else at // size for at in range(columns)]
        found = [(f"{name}.qweight", [columns // per_word, rows], "words"), (f"{name}.qzeros", [columns // size, rows // per_word], "words"),
                 (f"{name}.scales", [columns // size, rows], scale)]
        return found + ([(f"{name}.g_idx", [columns], "i32", groups)] if index else [])
    return quantize


def gptq_method(bits, size, **more):
    return {"quant_method": "gptq", "bits": bits, "group_size": size, "desc_act": False, "sym": True, **more}


def shuffled(at, groups):
    return at * 7 % 11 % groups


def gptq_cases():
    for family in (LLAMA, QWEN3, MIXTRAL):
        biases = [(f"model.layers.{{0-1}}.self_attn.{m}_proj.bias", [n], "f16") for m, n in (("q", 128), ("k", 64), ("v", 64))] if family is QWEN3 else []
        yield model(f"gptq-{family[1]}", family, gptq_method(4, 64), gptq(4, 64), biases, dtype="f16", also=["--outtype auto --fuse-qkv", "--outtype tq2_0"])
        yield model(f"gptq-order-{family[1]}", family, gptq_method(4, 32, desc_act=True), gptq(4, 32, order=shuffled), dtype="bf16")
        yield model(f"gptq-v2-{family[1]}", family, gptq_method(4, 32, checkpoint_format="gptq_v2"), gptq(4, 32), dtype="f16")
    yield model("gptq-8", QWEN3_MOE, gptq_method(8, 64), gptq(8, 64), dtype="f16")
    yield model("gptq-8-v2", LLAMA, gptq_method(8, 64, checkpoint_format="gptq_v2"), gptq(8, 64, order=shuffled, scale="bf16"))
    yield model("gptq-2", GEMMA2, gptq_method(2, 32), gptq(2, 32, scale="f32"))
    yield model("gptq-one-group", MISTRAL, gptq_method(4, -1), lambda name, rows, columns: gptq(4, columns)(name, rows, columns), dtype="f32")
    yield model("gptq-3", LLAMA, gptq_method(3, 32), gptq(4, 32), refused=True)
    yield model("gptq-no-index", LLAMA, gptq_method(4, 32), gptq(4, 32, index=False), refused=True)
    yield model("gptq-beyond", LLAMA, gptq_method(4, 32), gptq(4, 32, order=lambda at, groups: at // 16), refused=True)


def bitnet(name, rows, columns):
    return [(f"{name}.weight", [rows // 4, columns], "u8"), (f"{name}.weight_scale", [1], "bf16")]


def bitnet_cases():
    # Lazily, the reference mixes tensors that are there with those that are not.
    for family in (LLAMA, QWEN3, MIXTRAL):
        yield model(f"bitnet-{family[1]}", family, {"quant_method": "bitnet", "linear_class": "bitlinear"}, bitnet,
                    also=["--outtype tq1_0", "--outtype tq2_0"], flags="--no-lazy")


# Weights of eight bits.
EIGHT = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic"}


def eight(suffix, scales="f32", of=lambda rows, columns: [], dtype="f8_e4m3"):
    return lambda name, rows, columns: [(f"{name}.weight", [rows, columns], dtype), (f"{name}.{suffix}", of(rows, columns), scales)]


def blocks(*sides):
    return lambda *shape: [-(-n // side) for n, side in zip(shape, sides)]


def cases():
    yield from nvfp4_cases()
    yield from pack_quantized_cases()
    yield from gptq_cases()
    yield from bitnet_cases()
