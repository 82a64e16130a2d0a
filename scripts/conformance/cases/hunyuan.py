"""HunYuan without and with experts and with vision, and Hy 3."""

from checkpoint import case
from tiktoken_files import HUNYUAN

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 32768, "rms_norm_eps": 1e-5}
DYNAMIC = {"type": "dynamic", "alpha": 1000.0, "factor": 1.0, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}


def hunyuan(id, arch="HunYuanDenseV1ForCausalLM", model_type="hunyuan_v1_dense", config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})}, **more)


def cases():
    yield hunyuan("hunyuan", config={"rope_scaling": DYNAMIC, "eod_token_id": 7},
                  files={"generation_config.json": {"eos_token_id": [9, 7]}})
    yield hunyuan("hunyuan-f16", config={"tie_word_embeddings": True, "num_key_value_heads": 4, "attention_bias": True, "num_experts": 1,
                                         "rope_scaling": {"rope_type": "dynamic", "factor": 1.0}}, dtype="f16",
                  files={"generation_config.json": {"eos_token_id": 9}})
    yield hunyuan("hunyuan-f32", config={"head_dim": 32, "num_key_value_heads": None, "pad_token_id": -1, "rope_theta": 5e5,
                                         "max_position_embeddings": 2048}, dtype="f32", saved=True)
    yield hunyuan("hunyuan-stored-head", config={"tie_word_embeddings": True}, extra=[("lm_head.weight", [40, 64])])
    yield hunyuan("hunyuan-theta", config={"rope_scaling": DYNAMIC, "rope_theta": 5e5}, refused=True)
    yield hunyuan("hunyuan-context", config={"rope_scaling": DYNAMIC, "max_position_embeddings": 2048}, refused=True)

    whole = {"tokenizer": None, "files": HUNYUAN}
    yield hunyuan("hunyuan-tiktoken", config={"vocab_size": 128167, "eod_token_id": 127960}, shapes={"vocab_size": 40}, **whole)
    moe = {"vocab_size": 128167, "num_experts": 3, "moe_topk": [2, 2], "moe_intermediate_size": [32, 32], "num_shared_expert": [1, 1]}

    def experts(id, config=None, **more):
        config = {**moe, **(config or {})}
        heads, kv, size = config.get("num_attention_heads", 4), config.get("num_key_value_heads", 2), config.get("head_dim", 16)
        wide, own = config.get("hidden_size", 64), config["moe_intermediate_size"][0]
        at, sides = "model.layers.{0-1}", lambda n: (("gate", [n, wide]), ("up", [n, wide]), ("down", [wide, n]))
        found = [("model.embed_tokens.weight", [40, wide]), ("model.norm.weight", [wide]), (f"{at}.input_layernorm.weight", [wide]),
                 (f"{at}.post_attention_layernorm.weight", [wide]), (f"{at}.self_attn.query_layernorm.weight", [size]),
                 (f"{at}.self_attn.key_layernorm.weight", [size]), (f"{at}.mlp.gate.wg.weight", [config["num_experts"], wide], "f32"),
                 (f"{at}.self_attn.q_proj.weight", [heads * size, wide]), (f"{at}.self_attn.o_proj.weight", [wide, heads * size])]
        found += [(f"{at}.self_attn.{part}_proj.weight", [kv * size, wide]) for part in "kv"]
        found += [(f"{at}.mlp.shared_mlp.{part}_proj.weight", shape) for part, shape in sides(96)]
        found += [(f"{at}.mlp.experts.{{0-{config['num_experts'] - 1}}}.{part}_proj.weight", shape) for part, shape in sides(own)]
        found += [("lm_head.weight", [40, wide])]
        return hunyuan(id, "HunYuanMoEV1ForCausalLM", "hunyuan_v1_moe", config, tensors=found, **{**whole, **more})

    yield experts("hunyuan-moe", {"hidden_size": 256, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 128, "rope_scaling": DYNAMIC},
                  also=["--vocab-only"])
    yield experts("hunyuan-moe-f16", {"tie_word_embeddings": True, "bos_token_id": 3, "eos_token_id": 127960, "num_experts": 2, "moe_intermediate_size": [64, 64]},
                  dtype="f16")
    yield experts("hunyuan-moe-f32", {"model_type": "hunyuan", "moe_topk": [1, 1], "rope_theta": 5e5, "num_shared_expert": [2, 2]}, dtype="f32")
    yield experts("hunyuan-moe-differs", {"moe_topk": [1, 2]}, refused=True)
    yield experts("hunyuan-moe-json", {"vocab_size": 50257}, tokenizer="gpt2-trimmed", files={}, refused=True)
    yield experts("hunyuan-moe-size", {"vocab_size": 128160}, refused=True)

    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
              "patch_size": 14, "out_hidden_size": 64, "max_image_size": 28, "num_key_value_heads": 2}
    whole = {"architectures": ["HunYuanVLForConditionalGeneration"], "model_type": "hunyuan_vl", "vision_config": vision}
    sections = {"mrope_section": [2, 2, 2, 2]}
    for suffix, dtype, text in (
            ("", "bf16", {"rope_scaling": {**DYNAMIC, "type": "xdrope", "xdrope_section": [2, 2, 2, 2]}}),
            ("-f16", "f16", {"rope_parameters": {**DYNAMIC, "rope_type": "dynamic", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]},
                             "num_key_value_heads": 1, "pad_token_id": -1}),
            ("-plain", "f32", {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}, "num_experts": 1})):
        text = {"model_type": "hunyuan_vl_text", **SMALL, "eod_token_id": 7, **text}
        yield case(f"hunyuan-vl{suffix}", {**whole, "text_config": text}, dtype=dtype, saved=suffix == "-f16")
    flat = {**SMALL, "vocab_size": 50257, "attention_head_dim": 16, "eod_token_id": 7,
            "rope_scaling": {**DYNAMIC, "type": "xdrope", "xdrope_section": [2, 2, 2, 2]}}
    yield case("hunyuan-vl-flat", {**whole, **flat}, shapes={"vocab_size": 40})
    yield case("hunyuan-vl-no-alpha", {**whole, "text_config": {
        "model_type": "hunyuan_vl_text", **SMALL, "rope_scaling": {"type": "dynamic", "factor": 1.0, **sections}}}, refused=True)

    experts = {"num_hidden_layers": 3, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
    nextn = [("model.layers.3.eh_proj.weight", [64, 128]), ("model.layers.3.enorm.weight", [64]), ("model.layers.3.hnorm.weight", [64]),
             ("model.layers.3.final_layernorm.weight", [64]), ("model.layers.3.input_layernorm.weight", [64])]
    three = ("HYV3ForCausalLM", "hy_v3")
    yield hunyuan("hy3", *three, experts)
    yield hunyuan("hy3-nextn", *three, {**experts, "num_nextn_predict_layers": 1, "num_shared_experts": 2}, extra=nextn,
                  also=["--outtype auto --mtp", "--outtype auto --no-nextn"])
    yield hunyuan("hy3-f16", *three, {**experts, "num_experts": 2, "route_norm": False, "tie_word_embeddings": True, "attention_bias": True,
                                      "rope_theta": 1e6}, dtype="f16", saved=True)
    yield hunyuan("hy3-f32", *three, {**experts, "num_key_value_heads": 4, "mlp_layer_types": ["dense", "dense", "sparse"],
                                      "num_nextn_predict_layers": 0}, dtype="f32")
