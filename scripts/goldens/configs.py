#!/usr/bin/env python3
"""Records how the reference reads many small config.json files, for `tests/config.rs`.

Each class that `tables.py` lists is read with all keys missing and then with keys that its `__post_init__` looks at.
Recorded is what `load_hparams` returns with `text_config` merged into it, as the text models do; of the second and
later files of a class, only what differs from the first.

usage: configs.py LLAMA_CPP_DIR      (needs torch and transformers; writes tests/golden/configs.json)
"""

import json
import logging
import re
import sys
import tempfile
from pathlib import Path

LLAMA_CPP = Path(sys.argv[1])
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(LLAMA_CPP), str(LLAMA_CPP / "gguf-py")]

import transformers  # noqa: E402
from conversion.base import ModelBase  # noqa: E402

logging.disable(logging.CRITICAL)
transformers.logging.set_verbosity_error()

# Different on every machine, read by no text model's converter, or merged already.
NOISE = {"transformers_version", "_name_or_path", "dtype", "torch_dtype", "output_hidden_states", "return_dict",
         "chunk_size_feed_forward", "problem_type", "output_attentions", "is_encoder_decoder",
         "text_config", "vision_config", "audio_config", "architectures"}

SMALL = {"num_hidden_layers": 4, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96,
         "intermediate_size": 96}
LONG = {"type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8}
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}
LINEAR = {"type": "linear", "factor": 2.0}
PER_LAYER = {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 5e5},
             "sliding_attention": {"rope_type": "default", "rope_theta": 1e3}}
# Numbers that strict JSON lacks, as transformers 4 and 5 save them, and what only looks like one.
INFINITY, TAGGED = float("inf"), {"__float__": "Infinity"}
NOT_TAGGED = [{"__float__": "Inf"}, {"__float__": 1.0}, {"__float__": "NaN", "other": 1}]
# What all classes are tried with.
COMMON = [
    {},
    SMALL,
    {"rope_theta": 123456.0, "partial_rotary_factor": 0.75},
    {"rope_scaling": YARN, "rope_theta": 5e4, "max_position_embeddings": 4096},
    {"rope_parameters": {"rope_type": "default", "rope_theta": 777.0}},
    {"num_key_value_heads": None, "head_dim": None, "layer_types": None},
    {"layer_types": ["full_attention"], "num_hidden_layers": 1},
    {"id2label": {"0": "a", "1": "b", "2": "c"}},
    {"num_labels": 1, "tie_word_embeddings": False},
]
# What single classes are tried with besides.
MORE = {
    "llama4_text": [{"no_rope_layers": [1, 0, 1, 0], "num_hidden_layers": 4}, {"no_rope_layer_interval": 2},
                    {"moe_layers": [1]}, {"interleave_moe_layer_step": 2, "num_hidden_layers": 5}],
    "smollm3": [{"no_rope_layers": [1, 0], "num_hidden_layers": 2}, {"no_rope_layer_interval": 2, "sliding_window": 8},
                {"use_sliding_window": True, "sliding_window": 8}],
    "internlm3": [{"qkv_bias": True}, {"qkv_bias": True, "bias": True}],
    "llava": [{"text_config": {"model_type": "mistral", **SMALL}}, {"text_config": {"tie_word_embeddings": True}},
              {"text_config": {"model_type": "nonesuch"}}, {"vision_feature_select_strategy": "half"},
              {"text_config": None}, {"text_config": {"hidden_size": "64"}}],
    "llama4": [{"text_config": SMALL}, {"text_config": {"model_type": "llama", **SMALL}}],
    "voxtral": [{"text_config": SMALL}, {"text_config": {"model_type": "qwen2"}}],
    "mistral3": [{"text_config": {"model_type": "ministral3", **SMALL}}, {"text_config": SMALL},
                 {"text_config": {"model_type": "mistral", "layer_types": ["full_attention"], "num_hidden_layers": 1}}],
    "ministral3": [{"rope_parameters": {"type": "yarn", "factor": 8.0, "rope_theta": 2e6}}, {"head_dim": 48}],
    "kimi_k25": [{"text_config": {"model_type": "kimi_k2", **SMALL}}, {"text_config": {"model_type": "llama"}}],
    "qwen2_audio": [{"text_config": {"model_type": "qwen2", **SMALL}}],
    "audioflamingo3": [{"text_config": SMALL}],
    "qwen3_next": [{"full_attention_interval": 2}, {"mlp_only_layers": None}, {"mlp_only_layers": [0]}],
    "qwen3_5_text": [{"full_attention_interval": 3}],
    "qwen3_5_moe_text": [{"full_attention_interval": 3}],
    "qwen3_5": [{"text_config": SMALL}, {"text_config": {**SMALL, "rope_parameters": {"mrope_section": [3, 3, 2]}}}],
    "qwen3_5_moe": [{"text_config": SMALL}],
    "gemma": [{"hidden_act": "gelu"}, {"hidden_act": "relu"}],
    "gemma2": [{"num_hidden_layers": 3}],
    "gemma3_text": [{"sliding_window_pattern": 2}, {"use_bidirectional_attention": True, "sliding_window": 513},
                    {"rope_scaling": LINEAR, "rope_local_base_freq": 5e3, "rope_theta": 2e6},
                    {"rope_parameters": PER_LAYER}, {"rope_scaling": YARN}],
    "gemma3": [{"text_config": {**SMALL, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}}, {"text_config": {}},
               {"text_config": {"model_type": "gemma2", **SMALL}}],
    "gemma3n_text": [{"num_hidden_layers": 12}, {"intermediate_size": [8, 16], "num_hidden_layers": 2},
                     {"intermediate_size": [8, 16], "num_hidden_layers": 3}, {"rope_parameters": PER_LAYER},
                     {"activation_sparsity_pattern": [0.5, 0.0], "num_hidden_layers": 2},
                     {"activation_sparsity_pattern": [0.5], "num_hidden_layers": 2}, {"num_kv_shared_layers": 0}],
    "gemma3n": [{"text_config": SMALL}],
    "gemma4_text": [{"num_global_key_value_heads": 1, "global_head_dim": 32}, {"use_bidirectional_attention": "all"},
                    {"use_bidirectional_attention": "vision"}, {"use_bidirectional_attention": "none"},
                    {"attention_k_eq_v": True, "num_global_key_value_heads": 1}, {"rope_parameters": PER_LAYER},
                    {"layer_types": ["full_attention", "sliding_attention"], "num_hidden_layers": 2},
                    {"attention_k_eq_v": True, "num_global_key_value_heads": 16, "num_hidden_layers": 12}],
    "gemma4_unified_text": [{"num_global_key_value_heads": 1, "global_head_dim": 32}],
    "gemma4": [{"text_config": SMALL}],
    "gemma4_unified": [{"text_config": SMALL}],
    "phi": [{"partial_rotary_factor": None}],
    "phi3": [{**SMALL, "rope_scaling": LONG}, {**SMALL, "rope_scaling": {**LONG, "type": "su"}},
             {**SMALL, "rope_scaling": {**LONG, "type": "yarn"}, "original_max_position_embeddings": 512},
             {**SMALL, "rope_scaling": {**LONG, "short_factor": [1.0]}}, {**SMALL, "rope_scaling": {"type": "longrope"}},
             {**SMALL, "rope_scaling": LONG, "partial_rotary_factor": 0.5}, {"rope_scaling": LINEAR},
             {**SMALL, "rope_scaling": {**LONG, "short_factor": [1.0] * 4, "long_factor": [1.0] * 4},
              "partial_rotary_factor": 0.5, "max_position_embeddings": 131072},
             {**SMALL, "rope_scaling": {**LONG, "short_factor": ["x"] * 8}}],
    "phimoe": [{**SMALL, "rope_scaling": {**LONG, "short_mscale": 1.25, "long_mscale": 1.5}}, {"rope_scaling": LONG},
               {**SMALL, "rope_scaling": {**LONG, "short_mscale": 1.25, "long_mscale": 1.5,
                                          "original_max_position_embeddings": 2048}}, {"num_experts": 3}],
    "olmo3": [{"rope_parameters": PER_LAYER}, {"rope_scaling": YARN, "rope_theta": 1e6}],
    "olmoe": [{"num_local_experts": 5}],
    "deepseek_v2": [{"qk_nope_head_dim": 16, "qk_rope_head_dim": 8}, {"num_experts": 5}],
    "deepseek_v3": [{"qk_nope_head_dim": 16, "qk_rope_head_dim": 8}, {"num_local_experts": 5, "num_mtp_layers": 3},
                    {"rope_scaling": {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0, "beta_fast": 32, "beta_slow": 1}}],
    "deepseek_v32": [{"first_k_dense_replace": 1, "num_hidden_layers": 3}, {"num_experts": 5}, {"num_local_experts": 6}],
    "youtu": [{"hidden_size": 0}, {"initializer_range": None, "hidden_size": 64}, {"embedding_initializer_range": 0.5}],
    "glm": [{"eos_token_id": 7}, {"eos_token_id": None}],
    "glm4": [{"eos_token_id": None}],
    "glm4_moe": [{"num_local_experts": 5, "num_mtp_layers": 2}],
    "glm4_moe_lite": [{"head_dim": 24}, {"num_hidden_layers": 3, "num_local_experts": 4}],
    "glm_moe_dsa": [{"index_topk_pattern": "FSSF", "num_hidden_layers": 4}, {"index_topk_freq": 3, "num_hidden_layers": 9},
                    {"index_topk_freq": 2, "index_skip_topk_offset": 1, "num_hidden_layers": 6},
                    {"index_topk_pattern": ["full"]}, {"index_topk_pattern": "FX"}, {"num_experts": 7}],
    "glm4v": [{"text_config": SMALL}, {"text_config": {"tie_word_embeddings": True}}],
    "glm4v_moe": [{"text_config": SMALL}],
    "glm_ocr": [{"text_config": {"tie_word_embeddings": True}}],
    "bamba": [{"time_step_limit": [0.0, TAGGED]}, {"attn_layer_indices": [1, 3], "num_hidden_layers": 4}, {"mamba_n_heads": 3}, {"mamba_d_head": 64},
              {"mamba_d_head": 7}, {"time_step_limit": [0.0, 1.0]}, {"layers_block_type": ["full_attention"]}],
    "granitemoehybrid": [{"time_step_limit": [0.0, INFINITY]}, {"layer_types": ["mamba", "attention"], "num_hidden_layers": 2}, {"mamba_n_heads": 3},
                         {"layers_block_type": ["mamba", "attention"], "num_hidden_layers": 2},
                         {"time_step_limit": [0.0, 1.0]}, {"time_step_limit": [0, 1]}],
    "granite_swa": [{"layer_rope_theta": [1.0, 0.0], "num_hidden_layers": 2}],
    "nemotron": [{"head_dim": 24}, {"partial_rotary_factor": 0.25}],
    "nemotron_h": [{"time_step_limit": [0.0, INFINITY]}, {"time_step_limit": [0.0, TAGGED]}, {"time_step_limit": TAGGED},
                   {"hybrid_override_pattern": "M*-E", "num_hidden_layers": 4}, {"hybrid_override_pattern": "MX"},
                   {"layers_block_type": ["mamba", "attention", "mlp"]}, {"layers_block_type": ["conv"]},
                   {"mamba_n_groups": 4, "mamba_d_conv": 3, "mamba_expand": 1, "mamba_dt_min": 0.5, "mamba_dt_max": 0.6,
                    "mamba_dt_limit": [0.0, 1.0], "mamba_dt_init_floor": 0.1, "mamba_conv_bias": False,
                    "mamba_chunk_size": 64},
                   {"num_nextn_predict_layers": 1, "mtp_layers_block_type": ["attention", "mlp"]},
                   {"num_nextn_predict_layers": 1, "mtp_layers_block_type": ["conv"]},
                   {"mtp_hybrid_override_pattern": "*M"}, {"layer_types": ["mamba", "moe"], "num_hidden_layers": 7}],
    "cohere2": [{"sliding_window_pattern": 2}, {"head_dim": 99}],
    "cohere2_moe": [{"first_k_dense_replace": 2, "num_hidden_layers": 6}, {"sliding_window_pattern": 3},
                    {"mlp_layer_types": ["dense"], "num_hidden_layers": 1}],
    "gpt_oss": [{"num_experts": 3}, {"head_dim": None, "hidden_size": 64, "num_attention_heads": 4}],
    "gpt2": [{"hidden_size": 48, "num_attention_heads": 3, "num_hidden_layers": 5}, {"n_embd": 48, "n_inner": 96}],
    "gpt_bigcode": [{"multi_query": False}, {"n_head": 5}, {"hidden_size": 48}],
    "gpt_neox": [{"rotary_emb_base": 500, "rotary_pct": 0.5}, {"rotary_pct": 1.0}, {"rope_scaling": LINEAR}],
    "bloom": [{"n_embed": 48}, {"n_head": 3, "n_layer": 5}, {"num_attention_heads": 3}],
    "falcon": [{"n_embed": 48}, {"num_kv_heads": 3}, {"ffn_hidden_size": 7}, {"head_dim": 3}, {"hidden_size": 68, "num_attention_heads": 4}],
    "jamba": [{"mamba_dt_rank": 5}, {"hidden_size": 65}, {"attn_layer_offset": 9}, {"expert_layer_offset": 3},
              {"layers_block_type": []}],
    "mamba": [{"hidden_size": 65, "expand": 3}, {"time_step_rank": 7}, {"intermediate_size": 5}],
    "mamba2": [{"hidden_size": 64, "num_heads": 8, "head_dim": 16}, {"hidden_size": 64}, {"time_step_limit": [0.0, 1.0]},
               {"time_step_limit": [0.0, INFINITY]}, {"time_step_limit": [-INFINITY, TAGGED]},
               {"time_step_limit": [{"__float__": "-Infinity"}, {"__float__": "NaN"}]},
               {"time_step_limit": NOT_TAGGED}, {"nobody": [{"reads": [TAGGED, *NOT_TAGGED]}, float("nan")]},
               {"nobody": ["\ud800", 10**40, -(10**19)]}, {"layer_norm_epsilon": TAGGED},
               {"layer_norm_epsilon": 10**20}, {"chunk_size": 10**20}, {"hidden_act": "\ud800"}],
    "falcon_mamba": [{"hidden_size": 65}, {"use_falcon_mambapy": True}],
    "distilbert": [{"dim": 48, "hidden_size": 32}, {"n_layers": 3}],
    "modernbert": [{"global_attn_every_n_layers": 2}, {"local_attention": 64}, {"reference_compile": True},
                   {"global_rope_theta": 7e4, "local_rope_theta": 5e3}, {"rope_parameters": PER_LAYER},
                   {"rope_scaling": LINEAR}, {"classifier_pooling": "max"}, {"sliding_window": 33}],
    "nomic_bert": [{"head_dim": 8}],
    "t5": [{"feed_forward_proj": "gated-gelu"}, {"feed_forward_proj": "gated-silu"}, {"feed_forward_proj": "a-b"},
           {"num_decoder_layers": 2}, {"hidden_size": 48, "head_dim": 3}, {"tie_word_embeddings": True}],
    "mt5": [{"feed_forward_proj": "relu"}, {"num_layers": 3}],
    "umt5": [{"feed_forward_proj": "relu"}],
}
OTHERS = [{"model_type": "gpt-sw3"}, {"model_type": "deepseek"}, {"model_type": "chatglm", "num_layers": 4}]


def read(config: dict) -> dict | None:
    """None where transformers refuses the file and the reference takes it as it is."""
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary, "config.json").write_text(json.dumps(config))
        try:
            transformers.AutoConfig.from_pretrained(temporary, trust_remote_code=False).to_dict()
        except Exception:
            return None
        hparams = ModelBase.load_hparams(Path(temporary), False)
    hparams = {**hparams, **hparams.get("text_config", {})}
    return json.loads(json.dumps({k: v for k, v in hparams.items() if k not in NOISE}))


def main() -> None:
    classes = re.search(r'CLASSES = """(.*?)"""', Path(__file__).with_name("tables.py").read_text(), re.S)[1].split()
    lines = []
    groups = [[{"model_type": m, **c} for c in COMMON + MORE.pop(m, [])] for m in classes] + [[c] for c in OTHERS]
    assert not MORE, MORE.keys()
    for group in groups:
        first = read(group[0])
        for config in group:
            hparams = read(config)
            if hparams is None:
                result = None
            elif config is group[0]:
                result = {"set": hparams, "unset": []}
            else:
                result = {"set": {k: v for k, v in hparams.items() if k not in (first or {}) or first[k] != v},
                          "unset": [k for k in first or {} if k not in hparams]}
            lines.append(json.dumps([config, result], separators=(",", ":")))
    (ROOT / "tests/golden/configs.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(len(lines), "files")


main()
