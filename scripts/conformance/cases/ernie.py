"""Ernie 4.5 and PaddleOCR-VL."""

from checkpoint import case, tokenizer_config

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}
EXPERTS = {"num_hidden_layers": 3, "moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 32, "moe_layer_start_index": 1}


def ernie(id, arch="Ernie4_5ForCausalLM", model_type="ernie4_5", config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})},
                **{"tokenizer": "spm", **more})


def joined(heads, kv_heads, size):
    """Queries, keys and values in one matrix, and gate and up, as Paddle has them."""
    drop = [r"[qkv]_proj", r"gate_proj", r"up_proj"]
    extra = [("model.layers.{0-1}.self_attn.qkv_proj.weight", [(heads + 2 * kv_heads) * size, 64]),
             ("model.layers.{0-1}.mlp.up_gate_proj.weight", [192, 64])]
    return {"drop": drop, "extra": extra}


def cases():
    yield ernie("ernie", files={"tokenizer_config.json": tokenizer_config("spm", add_prefix_space=False)})
    yield ernie("ernie-f16", config={"tie_word_embeddings": False, "num_key_value_heads": 4, "use_bias": True}, dtype="f16")
    yield ernie("ernie-old-name", "Ernie4_5_ForCausalLM", config={"head_dim": None, "num_key_value_heads": None}, dtype="f32",
                saved=True, build="Ernie4_5ForCausalLM")
    yield ernie("ernie-joined", "Ernie4_5_ForCausalLM", build="Ernie4_5ForCausalLM", **joined(4, 2, 16))
    yield ernie("ernie-joined-f16", "Ernie4_5_ForCausalLM", build="Ernie4_5ForCausalLM", config={"head_dim": 32, "num_key_value_heads": 1},
                dtype="f16", rename=[(r"^model\.", "ernie.")], **joined(4, 1, 32))
    yield ernie("ernie-no-sentencepiece", tokenizer="gpt2-trimmed", refused=True)
    mtp = [("model.mtp_block.0.mlp.up_proj.weight", [96, 64]), ("model.mtp_emb_norm.0.weight", [64]),
           ("model.mtp_hidden_norm.0.weight", [64]), ("model.mtp_linear_proj.0.weight", [64, 128])]
    moe = ("Ernie4_5_MoeForCausalLM", "ernie4_5_moe")
    yield ernie("ernie-moe", *moe, EXPERTS, extra=mtp)
    yield ernie("ernie-moe-f16", *moe, {**EXPERTS, "moe_num_shared_experts": 0, "num_key_value_heads": 4, "moe_layer_start_index": 2,
                                        "tie_word_embeddings": False}, dtype="f16")
    yield ernie("ernie-moe-f32", *moe, {**EXPERTS, "moe_num_experts": 2, "use_bias": True, "moe_num_shared_experts": 1},
                dtype="f32", saved=True)
    text = {"model_type": "paddleocr_vl_text", **SMALL, "rope_scaling": {"rope_type": "default", "mrope_section": [2, 3, 3]}}
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
              "patch_size": 14}
    paddle = {"architectures": ["PaddleOCRVLForConditionalGeneration"], "model_type": "paddleocr_vl", "vision_config": vision}
    yield case("paddleocr", {**paddle, "text_config": text}, tokenizer="spm")
    yield case("paddleocr-f16", {**paddle, "text_config": {**text, "num_key_value_heads": 1, "tie_word_embeddings": False}},
               dtype="f16", tokenizer="spm", saved=True)
    flat = {"rope_scaling": {"type": "default", "rope_type": "default", "mrope_section": [2, 3, 3]}, "rope_theta": 500000}
    yield case("paddleocr-flat", {**paddle, **SMALL, **flat, "tie_word_embeddings": False, "vocab_size": 520}, dtype="f32",
               tokenizer="spm", shapes={"vocab_size": 40})
