"""GPT-OSS: experts in MXFP4, or plain."""

from checkpoint import case

SMALL = {"architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "hidden_size": 64, "intermediate_size": 64,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "num_local_experts": 4,
         "num_experts_per_tok": 2, "sliding_window": 128, "rms_norm_eps": 1e-5, "rope_theta": 150000.0,
         "max_position_embeddings": 131072, "tie_word_embeddings": False}
YARN = {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
        "original_max_position_embeddings": 4096}
MXFP4 = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                                             "model.embed_tokens", "lm_head"]}


def packed(layers=2, experts=4, rows=64, blocks=2):
    """Experts as blocks of 32 four-bit numbers and a scale each."""
    at = f"model.layers.{{0-{layers - 1}}}.mlp.experts."
    shapes = {"gate_up_proj": [experts, 2 * rows, blocks], "down_proj": [experts, rows, blocks]}
    return [(f"{at}{name}_blocks", [*shape, 16], "u8") for name, shape in shapes.items()] + [
        (f"{at}{name}_scales", shape, "u8") for name, shape in shapes.items()]


EXPERTS = r"experts\.(gate_up|down)_proj$"


def cases():
    config = {**SMALL, "rope_scaling": YARN, "quantization_config": MXFP4}
    plain = {k: v for k, v in SMALL.items()}
    yield case("gpt-oss", config, build=("GptOssForCausalLM", plain), drop=[EXPERTS], extra=packed(),
               also=["--outtype auto --vocab-only"])
    yield case("gpt-oss-default-rope", {**SMALL, "quantization_config": MXFP4}, build=("GptOssForCausalLM", plain),
               drop=[EXPERTS], extra=packed())
    deeper = {**SMALL, "num_hidden_layers": 3, "num_local_experts": 3, "num_key_value_heads": 4, "tie_word_embeddings": True}
    yield case("gpt-oss-tied", {**deeper, "rope_scaling": YARN, "quantization_config": MXFP4},
               build=("GptOssForCausalLM", deeper), drop=[EXPERTS], extra=packed(3, 3))
    yield case("gpt-oss-plain", {**SMALL, "rope_scaling": YARN})
    yield case("gpt-oss-plain-f16", {**SMALL, "layer_types": ["full_attention", "sliding_attention"]}, dtype="f16")
    yield case("gpt-oss-no-count", {**SMALL, "num_local_experts": None}, build=("GptOssForCausalLM", plain), refused=True)
    yield case("gpt-oss-saved", SMALL, saved=True)
