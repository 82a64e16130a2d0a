#!/usr/bin/env python3
"""Records what llama.cpp's converter makes of many small models, for `tests/arch.rs`.

Each case is a config.json and a list of tensors; its result is every key-value of set_gguf_parameters()
and every tensor of prepare_tensors(), or the fact that the converter refuses. No vocabulary is read.

usage: arch.py LLAMA_CPP_DIR      (needs torch and transformers; writes tests/golden/arch.json)
"""

import json
import logging
import os
import struct
import sys
import tempfile
from pathlib import Path

LLAMA_CPP = Path(sys.argv[1])
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(LLAMA_CPP), str(LLAMA_CPP / "gguf-py")]

os.environ["ATEN_CPU_CAPABILITY"] = "avx2"  # torch's powers differ in the last bit between instruction sets

import gguf  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from conversion import ModelType, get_model_architecture, get_model_class  # noqa: E402
from conversion.base import ModelBase  # noqa: E402

logging.disable(logging.CRITICAL)
transformers.logging.set_verbosity_error()

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "F64": 8, "U8": 1}
FTYPES = {"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16,
          "bf16": gguf.LlamaFileType.MOSTLY_BF16, "auto": gguf.LlamaFileType.GUESSED}
# Set by transformers and read by no converter here, or different on every machine.
NOISE = {"transformers_version", "id2label", "label2id", "_name_or_path", "dtype", "torch_dtype", "output_hidden_states",
         "return_dict", "chunk_size_feed_forward", "is_encoder_decoder", "problem_type", "output_attentions"}

CASES = []


def case(name, config, tensors, outtype="auto", data=False, files=None):
    """`config`: config.json. `tensors`: (name, dtype, shape). `data`: also record elements. `files`: beside it."""
    CASES.append(dict(name=name, config=config, tensors=sorted(tensors), outtype=outtype, data=data, files=files or {}))


def model(prefix="model.", layers=2, hidden=64, heads=4, kv=2, head_dim=16, ff=32, vocab=24, dtype="BF16", bias=(),
          tied=False, qk_norm=False, experts=None, shared=False, renames=(), extra=(), norm_dtype=None):
    """Tensors of a small transformer under Hugging Face's names."""
    norm = norm_dtype or dtype
    out = [(f"{prefix}embed_tokens.weight", dtype, [vocab, hidden])]
    for i in range(layers):
        p = f"{prefix}layers.{i}."
        rows = {"q": heads * head_dim, "k": kv * head_dim, "v": kv * head_dim}
        for m, n in rows.items():
            out.append((f"{p}self_attn.{m}_proj.weight", dtype, [n, hidden]))
            if m in bias:
                out.append((f"{p}self_attn.{m}_proj.bias", dtype, [n]))
            if qk_norm and m in "qk":
                out.append((f"{p}self_attn.{m}_norm.weight", norm, [head_dim]))
        out.append((f"{p}self_attn.o_proj.weight", dtype, [hidden, heads * head_dim]))
        out.append((f"{p}input_layernorm.weight", norm, [hidden]))
        out.append((f"{p}post_attention_layernorm.weight", norm, [hidden]))
        if experts is None:
            for m in ("gate", "up"):
                out.append((f"{p}mlp.{m}_proj.weight", dtype, [ff, hidden]))
            out.append((f"{p}mlp.down_proj.weight", dtype, [hidden, ff]))
        else:
            out += experts(p, dtype, hidden, ff)
        if shared:
            for m in ("gate", "up"):
                out.append((f"{p}mlp.shared_expert.{m}_proj.weight", dtype, [ff, hidden]))
            out.append((f"{p}mlp.shared_expert.down_proj.weight", dtype, [hidden, ff]))
            out.append((f"{p}mlp.shared_expert_gate.weight", dtype, [1, hidden]))
    out.append((f"{prefix}norm.weight", norm, [hidden]))
    if not tied:
        out.append(("lm_head.weight", dtype, [vocab, hidden]))
    out += extra
    for old, new in renames:
        out = [(n.replace(old, new), d, s) for n, d, s in out]
    return sorted(out)


def mixtral_experts(count):
    def tensors(p, dtype, hidden, ff):
        out = [(f"{p}block_sparse_moe.gate.weight", dtype, [count, hidden])]
        for x in range(count):
            e = f"{p}block_sparse_moe.experts.{x}."
            out += [(e + "w1.weight", dtype, [ff, hidden]), (e + "w2.weight", dtype, [hidden, ff]),
                    (e + "w3.weight", dtype, [ff, hidden])]
        return out
    return tensors


def qwen_experts(count, fused=False, suffix=""):
    def tensors(p, dtype, hidden, ff):
        out = [(f"{p}mlp.gate.weight", dtype, [count, hidden])]
        if fused:
            return out + [(f"{p}mlp.experts.gate_up_proj{suffix}", dtype, [count, 2 * ff, hidden]),
                          (f"{p}mlp.experts.down_proj{suffix}", dtype, [count, hidden, ff])]
        for x in range(count):
            e = f"{p}mlp.experts.{x}."
            out += [(e + "gate_proj.weight", dtype, [ff, hidden]), (e + "up_proj.weight", dtype, [ff, hidden]),
                    (e + "down_proj.weight", dtype, [hidden, ff])]
        return out
    return tensors


def config(arch, model_type, drop=(), **changes):
    out = dict(architectures=[arch], model_type=model_type, hidden_size=64, intermediate_size=32, num_hidden_layers=2,
               num_attention_heads=4, num_key_value_heads=2, vocab_size=24, max_position_embeddings=4096,
               rms_norm_eps=1e-5, torch_dtype="bfloat16", tie_word_embeddings=False)
    out.update(changes)
    return {k: v for k, v in out.items() if k not in drop and v is not ...}


def llama(arch="LlamaForCausalLM", model_type="llama", **changes):
    return config(arch, model_type, **changes)


# --- Llama: shapes, types, names -------------------------------------------------------------------------------------
case("llama", llama(), model())
case("llama permutes", llama(hidden_size=4, num_attention_heads=2, num_key_value_heads=1, head_dim=4),
     model(hidden=4, heads=2, kv=1, head_dim=4, ff=2, vocab=2, dtype="F32", bias="qkv"), "f32", data=True)
for outtype in ("f32", "f16", "bf16"):
    case(f"llama as {outtype}", llama(), model(), outtype)
case("llama f16 source", llama(), model(dtype="F16"))
case("llama f32 source", llama(), model(dtype="F32"))
case("llama f32 norms", llama(), model(norm_dtype="F32"))
case("llama f64 source", llama(), model(dtype="F64"), "bf16")
case("llama first matrix decides", llama(), [
    (n, "F32" if "embed" in n else "F16" if "layers.0" in n else d, s) for n, d, s in model()])
case("llama tied", llama(tie_word_embeddings=True), model(tied=True))
case("llama attention bias", llama(attention_bias=True), model(bias="qkv"))
case("llama head_dim", llama(head_dim=32), model(head_dim=32))
case("llama head_dim null", llama(head_dim=None), model())
case("llama multi-query", llama(num_key_value_heads=1), model(kv=1))
case("llama full heads", llama(num_key_value_heads=None), model(kv=4))
case("llama no kv heads", llama(drop=["num_key_value_heads"]), model(kv=4))
case("llama inv_freq", llama(), model(extra=[(f"model.layers.{i}.self_attn.rotary_emb.inv_freq", "F32", [8])
                                             for i in range(2)]))
case("llama no norm", llama(), [t for t in model() if t[0] != "model.norm.weight"])
case("llama extra tensor", llama(), model(extra=[("model.layers.0.something.weight", "BF16", [4, 4])]))
case("llama layer beyond", llama(num_hidden_layers=1), model())
case("llama layer 00", llama(), model(renames=[("layers.0.", "layers.00.")]))
case("llama vision parts", llama(), model(extra=[("vision_tower.x.weight", "F16", [4, 4]), ("mlp1.0.weight", "F16", [4])]))
case("llama language_model", llama(), model(prefix="language_model.model.", renames=[("lm_head", "language_model.lm_head")]))
case("llama text_model", llama(), model(prefix="model.text_model."))
case("llama language_model twice", llama(), model(extra=[("language_model.model.norm.weight", "F32", [64])]))
case("llama two names for one", llama(), model(extra=[("output_norm.weight", "F32", [64])]))
case("llama base model", llama("LlamaModel"), model(prefix="", tied=True))
case("llama gguf names", llama(), [("token_embd.weight", "BF16", [24, 64]), ("output_norm.weight", "BF16", [64]),
                                   ("blk.0.attn_norm.weight", "BF16", [64]), ("blk.1.ffn_gate.weight", "BF16", [32, 64])])
case("llama consolidated names", llama(), [
    ("tok_embeddings.weight", "BF16", [24, 64]), ("norm.weight", "BF16", [64]), ("output.weight", "BF16", [24, 64]),
    ("layers.0.attention.wq.weight", "BF16", [64, 64]), ("layers.0.feed_forward.w2.weight", "BF16", [64, 32]),
    ("layers.0.attention_norm.weight", "BF16", [64])])
case("llama matrix bias", llama(mlp_bias=True), model(extra=[("model.layers.0.mlp.up_proj.bias", "BF16", [2, 16])]))
case("llama scalar", llama(), model(extra=[("model.layers.0.mlp.up_proj.bias", "BF16", [])]))
case("llama heads do not divide rows", llama(num_attention_heads=4, head_dim=16), model(heads=3))
case("llama 0 heads", llama(num_attention_heads=0), model())
case("llama integers", llama(), model(extra=[("model.layers.0.mlp.up_proj.bias", "I64", [32])]))
for arch in ("LLaMAForCausalLM", "IQuestCoderForCausalLM"):
    case(arch, llama(arch), model())

# --- config.json: defaults, old spellings, refusals ------------------------------------------------------------------
bare = dict(drop=["num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "vocab_size", "intermediate_size",
                  "tie_word_embeddings", "torch_dtype"])
case("llama defaults", llama(**bare), model(kv=4))
case("mistral defaults", llama("MistralForCausalLM", "mistral", **bare), model(kv=8))
case("mixtral defaults", llama("MixtralForCausalLM", "mixtral", **bare), model(kv=8))
case("qwen2 defaults", llama("Qwen2ForCausalLM", "qwen2", **bare), model())
case("qwen2_moe defaults", llama("Qwen2MoeForCausalLM", "qwen2_moe", **bare), model())
case("qwen3 defaults", llama("Qwen3ForCausalLM", "qwen3", **bare), model())
case("qwen3_moe defaults", llama("Qwen3MoeForCausalLM", "qwen3_moe", **bare), [])
case("no model_type", llama(drop=["model_type"]), model())
case("no model_type, bare", llama(drop=["model_type", *bare["drop"]]), model())
case("no model_type, no kv heads", llama(drop=["model_type", "num_key_value_heads"]), model(kv=4))
case("no model_type, null kv heads", llama(drop=["model_type"], num_key_value_heads=None), model(kv=4))
case("no model_type, rope_theta", llama(drop=["model_type"], rope_theta=5e5), model())
case("no model_type, linear", llama(drop=["model_type"], rope_scaling={"type": "linear", "factor": 4}), model())
case("no model_type, llama3", llama(drop=["model_type"], rope_theta=5e5, original_max_position_embeddings=2048,
                                    rope_scaling={"type": "llama3", "factor": 4}), model())
case("no model_type, rope_scaling string", llama(drop=["model_type"], rope_scaling="linear"), model())
case("no model_type, local theta", llama(drop=["model_type"], rope_theta=1e6, rope_local_base_freq=1e4), model())
case("no model_type, old names", {"architectures": ["LlamaForCausalLM"], "n_layers": 2, "dim": 64, "n_heads": 4,
     "n_kv_heads": 2, "hidden_dim": 32, "norm_eps": 1e-6, "vocab_size": 24, "head_dim": 16, "rope_theta": 1e4}, model())
case("no model_type, lists", llama(drop=["model_type"], intermediate_size=[32, 48], n_group=2, topk_group=1), model())
case("no model_type, booleans", llama(drop=["model_type"], vocab_size=True, rms_norm_eps=True), model())
case("no model_type, gating", llama(drop=["model_type"], scoring_func="sigmoid", num_experts_per_tok=2), model())
case("no model_type, unknown gating", llama(drop=["model_type"], scoring_func="none"), model())
case("no model_type, mrope", llama(drop=["model_type"], rope_scaling={"type": "mrope", "mrope_section": [2, 3, 3]}), model())
case("unknown model_type", llama(model_type="llama5", drop=["rms_norm_eps"]), model())
iquest = dict(arch="IQuestCoderForCausalLM", model_type="iquestcoder", drop=["rms_norm_eps"], head_dim=16)
case("iquestcoder", llama(**iquest), model())
case("iquestcoder clip_qkv", llama(**iquest, clip_qkv=8.0), model())
case("iquestcoder sliding", llama(**iquest, use_sliding_window=True), model())
case("iquestcoder odd heads", llama(**{**iquest, "hidden_size": 66}), model(hidden=66))
case("model_type number", llama(model_type=7), model())
for key, value in dict(hidden_size="64", num_hidden_layers=2.0, rms_norm_eps=1, rms_norm_eps_=None, use_cache=1,
                       vocab_size=None, hidden_act=None, initializer_range=2.0, eos_token_id=[1, "2"], bos_token_id=-1,
                       head_dim="x", tie_word_embeddings="no", pretraining_tp=1.5, torch_dtype="auto",
                       dtype="torch.float16", id2label={"a": "b"}, num_labels=None, use_return_dict=True,
                       layer_types=["full_attention"], num_attention_heads=5, rope_parameters=[1], rope_theta=None,
                       rope_scaling=False, partial_rotary_factor=0.5, is_causal=False, quantization_config=None,
                       vocab_size_=1 << 32, max_position_embeddings=-1, num_labels_=1, norm_eps=0.5,
                       n_layers=1, layer_norm_eps=1e-4, rms_norm_eps__=1e300).items():
    key = key.rstrip("_")
    case(f"llama {key}={json.dumps(value)}", llama(drop=["num_key_value_heads"], **{key: value}), model(kv=4))
    if key in ("hidden_size", "rms_norm_eps", "num_attention_heads", "torch_dtype", "layer_types"):
        case(f"llama {key}={json.dumps(value)}, kv heads", llama(**{key: value}), model())
case("mistral null kv heads", llama("MistralForCausalLM", "mistral", num_key_value_heads=None), model(kv=4))
case("mistral sliding", llama("MistralForCausalLM", "mistral", sliding_window=64, head_dim=16, rope_theta=1e6), model())
case("mistral layer_types", llama("MistralForCausalLM", "mistral", layer_types=["full_attention", "sliding_attention"]), model())
case("mistral layer_types, per layer rope", llama("MistralForCausalLM", "mistral",
     layer_types=["full_attention", "sliding_attention"],
     rope_parameters={"full_attention": {"rope_theta": 1e6, "rope_type": "yarn", "factor": 2.0,
                                         "original_max_position_embeddings": 64},
                      "sliding_attention": {"rope_theta": 1e4}}), model())
case("mistral odd heads", llama("MistralForCausalLM", "mistral", hidden_size=66), model(hidden=66))
case("qwen3 null head_dim", llama("Qwen3ForCausalLM", "qwen3", head_dim=None), model(qk_norm=True))
case("InternVL", {"architectures": ["InternVLChatModel"], "model_type": "internvl_chat",
                  "llm_config": llama("Qwen2ForCausalLM", "qwen2", rope_theta=1e6), "vision_config": {}},
     model(prefix="language_model.model.", bias="qkv", renames=[("lm_head", "language_model.lm_head")],
           extra=[("vision_model.embeddings.class_embedding", "BF16", [1, 1, 8]), ("mlp1.0.weight", "BF16", [8])]))
case("text_config without architecture", {"architectures": ["LlamaForCausalLM"], "text_config": llama(drop=["architectures"])},
     model())
case("text_config null", llama(text_config=None), model())
case("no architectures", llama(drop=["architectures"]), model())

# --- rope ------------------------------------------------------------------------------------------------------------
L3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 1024}
ROPES = {
    "linear": {"type": "linear", "factor": 2.0},
    "linear integer": {"rope_type": "linear", "factor": 2},
    "linear without factor": {"type": "linear"},
    "dynamic": {"type": "dynamic", "factor": 2.0},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024},
    "yarn without original": {"type": "yarn", "factor": 4.0},
    "yarn all": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024, "attention_factor": 0.9,
                 "beta_fast": 32, "beta_slow": 1.0, "extrapolation_factor": 1.5, "mscale": 1.0},
    "yarn attn_factor": {"type": "yarn", "factor": 4.0, "attn_factor": 1.25},
    "yarn original 0": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 0},
    "yarn beta string": {"type": "yarn", "factor": 4.0, "beta_fast": "32", "original_max_position_embeddings": 1024},
    "yarn without factor": {"type": "yarn"},
    "llama3": {"rope_type": "llama3", **L3},
    "llama3 old": {"type": "llama3", **L3},
    "llama3 incomplete": {"rope_type": "llama3", "factor": 8.0},
    "llama3 null low": {"rope_type": "llama3", **L3, "low_freq_factor": None},
    "LLAMA3": {"rope_type": "LLAMA3", **L3},
    "longrope": {"type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8,
                 "original_max_position_embeddings": 1024},
    "longrope without factors": {"type": "longrope"},
    "su": {"type": "su", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8},
    "unknown type": {"type": "warp", "factor": 2.0},
    "null type": {"rope_type": None, "factor": 2.0},
    "number type": {"rope_type": 3},
    "default": {"rope_type": "default"},
    "empty": {},
    "theta inside": {"rope_type": "default", "rope_theta": 12345.0},
    "list": ["linear", 2.0],
    "sliding": {"rope_type": "default", "sliding_attention": {"rope_theta": 777.0}},
    "full only": {"full_attention": {"rope_type": "linear", "factor": 3.0, "rope_theta": 5e4}},
    "full null": {"full_attention": None},
    "mrope": {"rope_type": "default", "mrope_section": [8, 4, 4]},
    "factor string": {"rope_type": "linear", "factor": "2"},
}
for name, rope in ROPES.items():
    for arch, model_type, extra in (("LlamaForCausalLM", "llama", {}), ("Qwen2ForCausalLM", "qwen2", {"bias": "qkv"})):
        case(f"{model_type} rope {name}", llama(arch, model_type, rope_scaling=rope, rope_theta=1e6),
             model(layers=1, **extra))
        CASES[-1]["config"]["num_hidden_layers"] = 1
for model_type, arch in (("mixtral", "MixtralForCausalLM"), ("qwen3", "Qwen3ForCausalLM")):
    for name in ("yarn", "longrope", "llama3", "linear without factor"):
        case(f"{model_type} rope {name}", llama(arch, model_type, rope_scaling=ROPES[name]), model())
case("llama rope_parameters", llama(rope_parameters={"rope_type": "yarn", "factor": 4.0, "rope_theta": 5e5}), model())
case("llama rope_parameters and rope_scaling", llama(rope_parameters={"rope_type": "default", "rope_theta": 5e5},
                                                     rope_scaling={"type": "linear", "factor": 2.0}), model())
case("llama odd head_dim", llama(hidden_size=68, head_dim=17), model(hidden=68, head_dim=16))

WIDE = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 0.001, "high_freq_factor": 10000.0,
        "original_max_position_embeddings": 8192}  # every frequency lies between the two
for dim in (32, 64, 80, 96, 100, 128, 256):
    for theta in (10000.0, 150000, 5e5, 1e6):
        case(f"rope factors {dim} {theta}", llama(head_dim=dim, rope_theta=theta, rope_scaling=WIDE), [])
for name, dim, theta, factor in (("Llama 3.1", 128, 500000.0, 8.0), ("Llama 3.2", 64, 500000.0, 32), ("odd", 33, 777, 3.3)):
    case(f"rope factors {name}", llama(head_dim=dim, rope_theta=theta, rope_scaling={
        "rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192}, max_position_embeddings=131072), [])

# --- Mixtral, Qwen ---------------------------------------------------------------------------------------------------
mixtral = dict(num_local_experts=3, num_experts_per_tok=2)
case("mixtral", llama("MixtralForCausalLM", "mixtral", **mixtral), model(experts=mixtral_experts(3)))
case("mixtral alias", llama("MixtralForCausalLM", "mixtral", num_experts=3), model(experts=mixtral_experts(3)))
case("mixtral raw", llama("MixtralForCausalLM", "mixtral", drop=["model_type"], **mixtral), model(experts=mixtral_experts(3)))
case("mixtral stacks", llama("MixtralForCausalLM", "mixtral", num_local_experts=2, num_hidden_layers=1, hidden_size=4,
                            num_attention_heads=2),
     model(layers=1, hidden=4, heads=2, kv=2, head_dim=2, ff=3, vocab=2, dtype="F32", experts=mixtral_experts(2)),
     "f32", data=True)
case("mixtral missing expert", llama("MixtralForCausalLM", "mixtral", **mixtral),
     [t for t in model(experts=mixtral_experts(3)) if t[0] != "model.layers.1.block_sparse_moe.experts.2.w3.weight"])
case("mixtral too many experts", llama("MixtralForCausalLM", "mixtral", num_local_experts=2), model(experts=mixtral_experts(3)))
case("mixtral huge", llama("MixtralForCausalLM", "mixtral", num_local_experts=4_000_000_000), model(experts=mixtral_experts(3)))
case("mixtral 0 experts", llama("MixtralForCausalLM", "mixtral", num_local_experts=0), model(experts=mixtral_experts(3)))
case("mixtral ragged", llama("MixtralForCausalLM", "mixtral", **mixtral),
     [(n, d, [31, 64] if "0.block_sparse_moe.experts.2.w1" in n else s) for n, d, s in model(experts=mixtral_experts(3))])
case("mixtral 11 experts", llama("MixtralForCausalLM", "mixtral", num_local_experts=11, num_hidden_layers=1),
     model(layers=1, experts=mixtral_experts(11)))
qwen2 = lambda **c: llama("Qwen2ForCausalLM", "qwen2", **c)  # noqa: E731
case("qwen2", qwen2(rope_theta=1e6, use_sliding_window=False, sliding_window=4096), model(bias="qkv"))
case("qwen2 sliding", qwen2(use_sliding_window=True, sliding_window=64, max_window_layers=1), model(bias="qkv"))
case("qwen2 per layer rope", qwen2(use_sliding_window=True, sliding_window=64, max_window_layers=1, rope_parameters={
    "full_attention": {"rope_theta": 1e6, "rope_type": "default"}, "sliding_attention": {"rope_theta": 1e4}}), model(bias="qkv"))
case("qwen2 head_dim", qwen2(head_dim=32), model(head_dim=32, bias="qkv"))
case("qwen2 tied", qwen2(tie_word_embeddings=True), model(bias="qkv", tied=True), "f16")
case("qwen2 base model", llama("Qwen2Model", "qwen2"), model(prefix="", tied=True, bias="qkv"))
case("qwen2 base model, prefixed", llama("Qwen2Model", "qwen2"), model(tied=True, bias="qkv"))
case("kormo", llama("KORMoForCausalLM", "kormo"), model())
case("qwen2 layer_types", qwen2(layer_types=["full_attention"] * 2), model(bias="qkv"))
case("qwen2 layer_types legacy", qwen2(layer_types=["attention"] * 2, drop=["rms_norm_eps"]), model(bias="qkv"))
case("qwen2 layer_types unknown", qwen2(layer_types=["round"] * 2, drop=["rms_norm_eps"]), model(bias="qkv"))
modules = [{"type": "sentence_transformers.models.Transformer", "path": ""},
           {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]
for name, pooling in dict(mean={"pooling_mode_mean_tokens": True}, cls={"pooling_mode_cls_token": True},
                          last={"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False},
                          new={"pooling_mode": "lasttoken"}, unknown={"pooling_mode_max_tokens": True}).items():
    case(f"qwen2 pooling {name}", llama("Qwen2Model", "qwen2"), model(prefix="", tied=True, bias="qkv"),
         files={"modules.json": modules, "1_Pooling/config.json": pooling})
qwen3 = lambda **c: llama("Qwen3ForCausalLM", "qwen3", **c)  # noqa: E731
case("qwen3", qwen3(head_dim=16, rope_theta=1e6), model(qk_norm=True))
case("qwen3 attention bias", qwen3(head_dim=16), model(qk_norm=True, bias="qkv"), "f16")
case("qwen3 base model", llama("Qwen3Model", "qwen3", head_dim=16), model(prefix="", tied=True, qk_norm=True))
case("qwen3 pooling", llama("Qwen3Model", "qwen3", head_dim=16), model(prefix="", tied=True, qk_norm=True),
     files={"modules.json": modules, "1_Pooling/config.json": {"pooling_mode_lasttoken": True}})
tokenizer = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
             "pre_tokenizer": None, "post_processor": None, "decoder": None,
             "model": {"type": "BPE", "vocab": {"a": 0, "|": 1, "no": 2, "b": 3, "yes": 4}, "merges": []}}
files = {"tokenizer.json": tokenizer, "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"}}
tiny = dict(layers=1, hidden=4, heads=2, kv=1, head_dim=2, ff=3, vocab=5, dtype="F32", qk_norm=True)
small = dict(num_hidden_layers=1, hidden_size=4, head_dim=2)
for tied in (False, True):
    case(f"reranker tied={tied}", qwen3(**small, tie_word_embeddings=tied), model(tied=tied, **tiny), "f32", data=True,
         files={**files, "README.md": "\n# Qwen3-Reranker-0.6B\n"})
case("reranker only by former name", qwen3(**small, _name_or_path="Qwen/Qwen3-Reranker-4B"), model(**tiny), files=files)
case("reranker by name, raw", qwen3(**small, drop=["model_type"], _name_or_path="Qwen/Qwen3-Reranker-4B"),
     model(**tiny), "f16", files=files)
case("reranker by class", llama("Qwen3ForCausalLM", "qwen3", **small, architectures=["Qwen3ForSequenceClassification"],
                                text_config={"architectures": ["Qwen3ForCausalLM"]}), model(**tiny), files=files)
case("reranker without tokenizer", qwen3(**small, drop=["model_type"], _name_or_path="Qwen3-Reranker"), model(**tiny))
case("reranker of few tokens", qwen3(**small, drop=["model_type"], _name_or_path="Qwen3-Reranker"), model(**{**tiny, "vocab": 3}), files=files)
moe = dict(num_experts=3, num_experts_per_tok=2, moe_intermediate_size=32, head_dim=16, norm_topk_prob=True)
qwen3_moe = lambda **c: llama("Qwen3MoeForCausalLM", "qwen3_moe", **{**moe, **c})  # noqa: E731
case("qwen3_moe", qwen3_moe(), model(qk_norm=True, experts=qwen_experts(3)))
case("qwen3_moe num_local_experts", qwen3_moe(num_local_experts=2), model(qk_norm=True, experts=qwen_experts(2)))
case("qwen3_moe no head_dim", qwen3_moe(head_dim=...), model(qk_norm=True, experts=qwen_experts(3)), "f16")
case("qwen3_moe raw", qwen3_moe(drop=["model_type"]), model(qk_norm=True, experts=qwen_experts(3)), "f32")
case("qwen3_moe fused", qwen3_moe(), model(qk_norm=True, experts=qwen_experts(3, True)))
case("qwen3_moe fused .weight", qwen3_moe(), model(qk_norm=True, experts=qwen_experts(3, True, ".weight")))
tiny = dict(layers=1, hidden=4, heads=2, kv=1, head_dim=2, ff=3, vocab=2, dtype="F32", qk_norm=True)
case("qwen3_moe stacks", qwen3_moe(num_hidden_layers=1, num_experts=2), model(experts=qwen_experts(2), **tiny), "f32", data=True)
case("qwen3_moe splits", qwen3_moe(num_hidden_layers=1, num_experts=2), model(experts=qwen_experts(2, True), **tiny),
     "f32", data=True)
for name, shape in {"odd rows": [3, 5, 64], "flat gate_up": [6, 64]}.items():
    case(f"qwen3_moe {name}", qwen3_moe(), [
        (n, d, shape if n.endswith("gate_up_proj") else s)
        for n, d, s in model(qk_norm=True, experts=qwen_experts(3, True))])
case("qwen3_moe dense layer", qwen3_moe(mlp_only_layers=[0]), model(qk_norm=True))
case("qwen3_moe missing expert", qwen3_moe(num_experts=4), model(qk_norm=True, experts=qwen_experts(3)))
case("qwen2_moe", llama("Qwen2MoeForCausalLM", "qwen2_moe", num_experts=3, num_experts_per_tok=2, moe_intermediate_size=32,
                        shared_expert_intermediate_size=48), model(bias="qkv", experts=qwen_experts(3), shared=True))

# --- published config.json files ------------------------------------------------------------------------------------
PUBLISHED = {
    "SmolLM2-135M-Instruct": {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1,
        "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.041666666666666664,
        "intermediate_size": 1536, "is_llama_config": True, "max_position_embeddings": 8192, "mlp_bias": False,
        "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
        "pad_token_id": 2, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_interleaved": False, "rope_scaling": None,
        "rope_theta": 100000, "tie_word_embeddings": True, "torch_dtype": "bfloat16", "transformers_version": "4.42.3",
        "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16", "fp16": "float16"}}, "use_cache": True,
        "vocab_size": 49152},
    "Llama-3.2-1B-Instruct": {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 128000,
        "eos_token_id": [128001, 128008, 128009], "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048,
        "initializer_range": 0.02, "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": False,
        "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
        "pretraining_tp": 1, "rms_norm_eps": 1e-05,
        "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                         "original_max_position_embeddings": 8192, "rope_type": "llama3"},
        "rope_theta": 500000.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "transformers_version": "4.45.0.dev0", "use_cache": True, "vocab_size": 128256},
    "Mistral-7B-Instruct-v0.3": {
        "architectures": ["MistralForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
        "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
        "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32,
        "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "sliding_window": None,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.42.0.dev0",
        "use_cache": True, "vocab_size": 32768},
    "Mixtral-8x7B-Instruct-v0.1": {
        "architectures": ["MixtralForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
        "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
        "max_position_embeddings": 32768, "model_type": "mixtral", "num_attention_heads": 32,
        "num_experts_per_tok": 2, "num_hidden_layers": 32, "num_key_value_heads": 8, "num_local_experts": 8,
        "output_router_logits": False, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "router_aux_loss_coef": 0.02,
        "sliding_window": None, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "transformers_version": "4.36.0.dev0", "use_cache": True, "vocab_size": 32000},
    "Qwen2.5-0.5B-Instruct": {
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
        "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02, "intermediate_size": 4864,
        "max_position_embeddings": 32768, "max_window_layers": 21, "model_type": "qwen2", "num_attention_heads": 14,
        "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
        "sliding_window": 32768, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "transformers_version": "4.43.1", "use_cache": True, "use_sliding_window": False, "vocab_size": 151936},
    "Qwen3-30B-A3B": {
        "architectures": ["Qwen3MoeForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": 151643, "decoder_sparse_step": 1, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu",
        "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 6144, "max_position_embeddings": 40960,
        "max_window_layers": 48, "mlp_only_layers": [], "model_type": "qwen3_moe", "moe_intermediate_size": 768,
        "norm_topk_prob": True, "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8,
        "num_hidden_layers": 48, "num_key_value_heads": 4, "output_router_logits": False, "rms_norm_eps": 1e-06,
        "rope_scaling": None, "rope_theta": 1000000.0, "router_aux_loss_coef": 0.001, "sliding_window": None,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.51.0", "use_cache": True,
        "use_sliding_window": False, "vocab_size": 151936},
}
for name, published in PUBLISHED.items():
    case(name, published, [])

case("voxtral", llama("VoxtralForConditionalGeneration"), [])

# --- what is not supported yet ---------------------------------------------------------------------------------------
for arch in ("Qwen3TTSForConditionalGeneration", "PocketTTSModel", "UltravoxModel", "NoSuchModel"):
    case(f"unsupported {arch}", llama(arch), [])
case("llama fp8 without scales", llama(quantization_config={"quant_method": "fp8"}), model())


def write_safetensors(path, tensors):
    """Elements are numbered through the whole file, so that where each one ends up can be seen."""
    header, offset, body, first = {}, 0, [], 0
    for name, dtype, shape in tensors:
        count = int(np.prod(shape, dtype=np.int64))
        data = np.arange(first, first + count, dtype=np.float32).tobytes() if dtype == "F32" else bytes(count * SIZES[dtype])
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset, first = offset + len(data), first + count
        body.append(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(body))


def key_values(writer):
    out = []
    for key, val in writer.kv_data[0].items():
        packed = writer._pack_val(val.value, val.type, add_vtype=True, sub_type=val.sub_type)
        kind = gguf.GGUFValueType(struct.unpack("<I", packed[:4])[0]).name
        value = val.value
        if kind == "FLOAT32":
            value = struct.unpack("<I", packed[4:])[0]  # its bits
        elif kind == "UINT32":
            value = int(value)
        elif kind == "ARRAY":
            kind = f"ARRAY {gguf.GGUFValueType.get_type(value[0]).name}"
        out.append([key, kind, value])
    return out


def tensors(writer, data):
    out = []
    for name, info in writer.tensors[0].items():
        row = [name, info.dtype.name, [int(n) for n in info.shape]]
        if data or name == "rope_freqs.weight":
            array = gguf.LazyNumpyTensor.to_eager(info.tensor)
            array = np.ascontiguousarray(array).view(np.float32).ravel()
            row.append([int(n) for n in (array if data and name != "rope_freqs.weight" else array.view(np.uint32))])
        out.append(row)
    return out


def convert(directory, case, out):
    """The reference's `main`, without vocabulary, metadata and the file; fills `out`."""
    hparams = ModelBase.load_hparams(directory, False)
    seen = {k: v for k, v in hparams.items() if k not in NOISE and (k not in case["config"] or case["config"][k] != v)}
    removed = sorted(k for k in case["config"] if k not in hparams and k not in NOISE)
    out.update(hparams=json.loads(json.dumps(seen)), removed=removed)
    model_class = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
    instance = model_class(directory, FTYPES[case["outtype"]], directory / "out.gguf")
    instance.gguf_writer.kv_data[0].clear()
    instance.prepare_tensors()
    instance.set_gguf_parameters()
    out.update(key_values=key_values(instance.gguf_writer), tensors=tensors(instance.gguf_writer, case["data"]))


def run(case):
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary) / "model"
        directory.mkdir()
        (directory / "config.json").write_text(json.dumps(case["config"]))
        for name, content in case["files"].items():
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(json.dumps(content))
        write_safetensors(directory / "model.safetensors", case["tensors"])
        out = {}
        try:
            convert(directory, case, out)
        except Exception as error:
            out["error"] = f"{type(error).__name__}: {str(error)[:120].replace(temporary, '')}"
        return out


assert len({c["name"] for c in CASES}) == len(CASES), "names repeat"
with torch.inference_mode():
    results = [{**case, "result": run(case)} for case in CASES]

# Cases have much in common: what they share is written once, and referred to by its place.
shared = {}


def place(value):
    return shared.setdefault(json.dumps(value, separators=(",", ":")), len(shared))


for result in results:
    for holder in (result, result["result"]):
        for key in ("tensors", "hparams", "key_values"):
            if key in holder:
                holder[key] = place(holder[key])
lines = [json.dumps(result, separators=(",", ":")) for result in results]
(ROOT / "tests/golden").mkdir(parents=True, exist_ok=True)
(ROOT / "tests/golden/arch.json").write_text(
    '{"shared":[\n' + ",\n".join(shared) + '\n],"cases":[\n' + ",\n".join(lines) + "\n]}\n")
print(len(CASES), "cases")
