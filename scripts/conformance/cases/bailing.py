"""Bailing (Ling, Ring) up to version 2, and Sarvam, whose code is not part of transformers."""

from checkpoint import ROWS, case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
         "head_dim": 16, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 600000, "num_experts": 4,
         "num_experts_per_tok": 2, "num_shared_experts": 1, "moe_intermediate_size": 32, "first_k_dense_replace": 0, "norm_topk_prob": True}


def mlp(at: str, width: int) -> list:
    return [(f"{at}.gate_proj.weight", [width, 64]), (f"{at}.up_proj.weight", [width, 64]), (f"{at}.down_proj.weight", [64, width])]


def tensors(config: dict, second: bool, layers=None, tied=False) -> list:
    last, dense, count = (layers or config["num_hidden_layers"]) - 1, config["first_k_dense_replace"], config["num_experts"]
    size, at = config["head_dim"], f"model.layers.{{0-{last}}}"
    rows = (config["num_attention_heads"] + 2 * config["num_key_value_heads"]) * size
    sparse = f"model.layers.{{{dense}-{last}}}.mlp"
    found = [("model.word_embeddings.weight", [ROWS, 64]), ("model.norm.weight", [64]), (f"{at}.input_layernorm.weight", [64]),
             (f"{at}.post_attention_layernorm.weight", [64]), (f"{at}.attention.query_key_value.weight", [rows, 64]),
             (f"{at}.attention.dense.weight", [64, config["num_attention_heads"] * size]), (f"{sparse}.gate.weight", [count, 64]),
             *mlp(f"{sparse}.experts.{{0-{count - 1}}}", 32), *mlp(f"{sparse}.shared_experts", 32 * config["num_shared_experts"])]
    if second:
        found += [(f"{at}.attention.query_layernorm.weight", [size]), (f"{at}.attention.key_layernorm.weight", [size]),
                  (f"{sparse}.gate.expert_bias", [count], "f32")]
    if dense:
        found += mlp(f"model.layers.{{0-{dense - 1}}}.mlp", 96)
    return found if tied else found + [("lm_head.weight", [ROWS, 64])]


def cases():
    def first(id, config=None, **more):
        config = {"architectures": ["BailingMoeForCausalLM"], "model_type": "bailing_moe", **SMALL, **(config or {})}
        return case(id, config, **{"tensors": tensors(config, False), **more})

    def second(id, config=None, **more):
        config = {"architectures": ["BailingMoeV2ForCausalLM"], "model_type": "bailing_moe", **SMALL, "first_k_dense_replace": 1,
                  "routed_scaling_factor": 2.5, "score_function": "sigmoid", "n_group": 2, "topk_group": 1, **(config or {})}
        layers = config["num_hidden_layers"] + (config.get("num_nextn_predict_layers") or 0)
        return case(id, config, **{"tensors": tensors(config, True, layers), **more})

    yield first("bailing", {"norm_head": False})
    yield first("bailing-f16", {"num_key_value_heads": 4, "num_shared_experts": 2}, dtype="f16")
    yield first("bailing-f32", {"num_experts": 2, "head_dim": 32, "norm_topk_prob": False}, dtype="f32")
    config = {**SMALL, "num_key_value_heads": 1}
    yield first("bailing-tied", config, tensors=tensors(config, False, tied=True))

    yield second("bailing2", {"partial_rotary_factor": 0.5})
    yield second("bailing2-f16", {"moe_shared_expert_intermediate_size": 40, "num_key_value_heads": 4}, dtype="f16")
    yield second("bailing2-nextn", {"num_nextn_predict_layers": 1}, dtype="f32")
    config = {**SMALL, "first_k_dense_replace": 1, "num_nextn_predict_layers": 0, "partial_rotary_factor": 1.0}
    yield second("bailing2-tied", config, tensors=tensors(config, True, tied=True))

    def sarvam(id, config=None, arch="SarvamMoEForCausalLM", bias="f32", **more):
        config = {"architectures": [arch], "model_type": "sarvam_moe", **SMALL, "first_k_dense_replace": 1, "routed_scaling_factor": 2.5,
                  "score_function": "sigmoid", **(config or {})}
        given = [(*t[:2], bias) if t[0].endswith(".expert_bias") else t for t in tensors(config, True)]
        return case(id, config, tensors=given, **more)

    away = "modeling_sarvam_moe.SarvamMoEForCausalLM"
    yield sarvam("sarvam")
    yield sarvam("sarvam-f16", {"num_experts": 12, "head_dim": 32, "partial_rotary_factor": 0.5}, dtype="f16", bias="bf16")
    yield sarvam("sarvam-f32", {"num_experts": 40, "num_key_value_heads": 4, "num_shared_experts": 2}, dtype="f32")
    yield sarvam("sarvam-remote", {"num_experts": 5}, away, bias="bf16")
    yield sarvam("sarvam-remote-f16", {"num_experts": 9, "moe_shared_expert_intermediate_size": 40}, away, dtype="f16", bias="f16")
    yield sarvam("sarvam-remote-f32", {"num_experts": 128}, away, dtype="f32")
