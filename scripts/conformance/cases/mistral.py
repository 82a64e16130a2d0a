"""Mistral's own format: params.json and consolidated*.safetensors. No class of transformers writes it."""

from checkpoint import ROWS, case

DENSE = {"dim": 64, "n_layers": 2, "head_dim": 16, "hidden_dim": 96, "n_heads": 4, "n_kv_heads": 2, "norm_eps": 1e-05,
         "vocab_size": 416, "rope_theta": 1e6}
YARN = {"original_max_position_embeddings": 1024, "factor": 16, "apply_scale": False, "beta": 32, "alpha": 1}
MOE = {"dim": 64, "n_layers": 3, "hidden_dim": 96, "n_heads": 4, "n_kv_heads": 4, "norm_eps": 1e-06, "vocab_size": 416,
       "rope_theta": 10000.0, "tied_embeddings": False, "max_position_embeddings": 4096,
       "q_lora_rank": 24, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "kv_lora_rank": 32, "v_head_dim": 16,
       "moe": {"expert_parallel": 1, "route_every_n": 1, "first_k_dense_replace": 1, "num_experts": 4,
               "num_experts_per_tok": 2, "num_expert_groups": 1, "num_expert_groups_per_tok": 1, "routed_scale": 1.5,
               "expert_hidden_dim": 32, "num_shared_experts": 1},
       "yarn": YARN, "llama_4_scaling": {"original_max_position_embeddings": 1024, "beta": 0.1}}
# The reference looks at this file, too, where there are experts.
CONFIG = {"config.json": {"architectures": ["MistralLarge3ForCausalLM"], "model_type": "mistral_large_3"}}
FP8 = {"qformat_weight": "fp8_e4m3", "qscheme_act": "TENSOR"}


def ends(params: dict, tied: bool = False) -> list:
    width = params["dim"]
    output = [] if tied else [("output.weight", [ROWS, width])]
    return [("tok_embeddings.weight", [ROWS, width]), ("norm.weight", [width]), *output]


def feed_forward(at: str, width: int, inner: int) -> list:
    return [(f"{at}.w1.weight", [inner, width]), (f"{at}.w2.weight", [width, inner]), (f"{at}.w3.weight", [inner, width])]


def norms(at: str, width: int) -> list:
    return [(f"{at}.attention_norm.weight", [width]), (f"{at}.ffn_norm.weight", [width])]


def dense(params: dict, tied: bool = False) -> list:
    width, head, at = params["dim"], params["head_dim"], f"layers.{{0-{params['n_layers'] - 1}}}"
    queries, keys = params["n_heads"] * head, params["n_kv_heads"] * head
    attention = [(f"{at}.attention.wq.weight", [queries, width]), (f"{at}.attention.wk.weight", [keys, width]),
                 (f"{at}.attention.wv.weight", [keys, width]), (f"{at}.attention.wo.weight", [width, queries])]
    return ends(params, tied) + norms(at, width) + attention + feed_forward(f"{at}.feed_forward", width, params["hidden_dim"])


def experts(params: dict) -> list:
    moe, width, heads, last = params["moe"], params["dim"], params["n_heads"], params["n_layers"] - 1
    rank, rotated, values = params["kv_lora_rank"], params["qk_rope_head_dim"], params["v_head_dim"]
    both, at = params["qk_nope_head_dim"] + rotated, f"layers.{{0-{last}}}"
    attention = [("wq_a.weight", [params["q_lora_rank"], width]), ("q_a_norm.weight", [params["q_lora_rank"]]),
                 ("wq_b.weight", [heads * both, params["q_lora_rank"]]), ("wkv_a_with_mqa.weight", [rank + rotated, width]),
                 ("kv_a_norm.weight", [rank]), ("wkv_b.weight", [heads * (params["qk_nope_head_dim"] + values), rank]),
                 ("wo.weight", [width, heads * values])]
    first = moe["first_k_dense_replace"]
    routed = f"layers.{{{first}-{last}}}"
    return (ends(params, params["tied_embeddings"]) + norms(at, width) + [(f"{at}.attention.{n}", s) for n, s in attention]
            + (feed_forward(f"layers.{{0-{first - 1}}}.feed_forward", width, params["hidden_dim"]) if first else [])
            + [(f"{routed}.gate.weight", [moe["num_experts"], width])]
            + feed_forward(f"{routed}.experts.{{0-{moe['num_experts'] - 1}}}", width, moe["expert_hidden_dim"])
            + feed_forward(f"{routed}.shared_experts", width, moe["expert_hidden_dim"] * moe["num_shared_experts"]))


def quantized(tensors: list) -> list:
    """The matrices of all layers in FP8, each with a scale for itself and one for what it is multiplied by."""
    found = []
    for name, shape in tensors:
        if "layers." in name and len(shape) == 2:
            stem = name.removesuffix("weight")
            found += [(name, shape, "f8_e4m3"), (f"{stem}qscale_weight", [], "bf16"), (f"{stem}qscale_act", [], "bf16")]
        else:
            found.append((name, shape))
    return found


def cases():
    def mistral(id, params, tensors, tokenizer="tekken", **kwargs):
        return case(f"mistral-{id}", params, tensors=tensors, tokenizer=tokenizer, vocab=False, params=True,
                    flags=f"--mistral-format {kwargs.pop('flags', '')}".strip(), **kwargs)

    yield mistral("dense", DENSE, dense(DENSE), also=["--vocab-only", "--disable-mistral-community-chat-template", "--fuse-qkv", "--outtype q8_0"])
    tied = {**DENSE, "n_kv_heads": 4, "n_layers": 3, "tied_embeddings": True, "max_position_embeddings": 2048}
    yield mistral("tied", tied, dense(tied, tied=True), dtype="f16", files={"chat_template.jinja": "a\r\n{{ b }}"},
                  also=["--disable-mistral-community-chat-template"])
    yield mistral("spm", DENSE, dense(DENSE), tokenizer="spm", flags="--disable-mistral-community-chat-template")
    grouped = {**DENSE, "n_kv_heads": 1, "head_dim": 32}
    yield mistral("yarn", {**grouped, "yarn": YARN}, dense(grouped))
    scaled = {**grouped, "yarn": {**YARN, "apply_scale": True, "factor": 8.5}, "max_position_embeddings": 16384,
              "llama_4_scaling": {"original_max_position_embeddings": 16384, "beta": 0.1}}
    yield mistral("scaling", scaled, dense(grouped))
    yield mistral("scaling-null", {**grouped, "llama_4_scaling": None}, dense(grouped))
    vision = [("vision_encoder.patch_conv.weight", [8, 3, 2, 2]), ("vision_encoder.transformer.layers.0.attention.wq.weight", [8, 8]),
              ("vision_language_adapter.w_in.weight", [64, 8]), ("patch_merger.merging_layer.weight", [8, 32]),
              ("pre_mm_projector_norm.weight", [8])]
    yield mistral("vision", {**DENSE, "vision_encoder": {"hidden_size": 8}}, dense(DENSE) + vision)
    yield mistral("fp8", {**DENSE, "quantization": FP8}, quantized(dense(DENSE)), also=["--fp8-as-q8"])
    yield mistral("fp8-other", {**DENSE, "quantization": {"qformat_weight": "int4"}}, quantized(dense(DENSE)), refused=True)
    yield mistral("no-kv-heads", {k: v for k, v in DENSE.items() if k != "n_kv_heads"}, dense(DENSE), refused=True)
    yield mistral("no-head-dim", {k: v for k, v in DENSE.items() if k != "head_dim"}, dense(DENSE), refused=True)

    yield mistral("moe", MOE, experts(MOE), files=CONFIG, also=["--vocab-only"])
    tied = {**MOE, "tied_embeddings": True, "n_layers": 2, "yarn": {**YARN, "apply_scale": True}, "llama_4_scaling": None,
            "moe": {**MOE["moe"], "first_k_dense_replace": 0, "num_experts": 3, "num_shared_experts": 2}}
    del tied["max_position_embeddings"], tied["llama_4_scaling"]
    yield mistral("moe-tied", tied, experts(tied), files=CONFIG, dtype="f16")
    yield mistral("moe-no-yarn", {k: v for k, v in MOE.items() if k != "yarn"}, experts(MOE), files=CONFIG, refused=True)
    old = {**DENSE, "moe": {"num_experts": 4, "num_experts_per_tok": 2}}
    yield mistral("moe-old", old, dense(DENSE), files=CONFIG, refused=True)
