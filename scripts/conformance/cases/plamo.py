"""PLaMo 2 and 3. transformers has none of them."""

import json

from checkpoint import ROWS, case

TOKENS = [["<|plamo:unk|>", 0.0, "UNKNOWN"], ["<|plamo:bos|>", 0.0, "CONTROL"], ["<|plamo:eos|>", 0, "CONTROL"], ["<|plamo:pad|>", 0.0, "CONTROL"],
          ["<|plamo:op|>", 0.0, "NORMAL", None, None], ["<0x00>", 0.0, "BYTE"], ["a", -1.5, "NORMAL"], ["日本", -2.25, "NORMAL"], ["plain", -0.1],
          [" \n", -3.0, "OTHER"]]
LINES = "".join(json.dumps(t, ensure_ascii=i % 2 == 0) + "\n" for i, t in enumerate(TOKENS)) + "\n"
SETTINGS = {"bos_token": "<|plamo:bos|>", "eos_token": "<|plamo:eos|>", "pad_token": "<|plamo:pad|>", "unk_token": "<|plamo:unk|>", "sep_token": None,
            "cls_token": "<|plamo:bos|>"}
FILES = {"tokenizer.jsonl": LINES, "tokenizer_config.json": SETTINGS}


def norms(at, width):
    return [(f"{at}.{n}.weight", [width]) for n in ("pre_mixer_norm", "post_mixer_norm", "pre_mlp_norm", "post_mlp_norm")]


def plamo2(config):
    width, inner, size, heads, kv = config["hidden_size"], config["intermediate_size"], config["hidden_size_per_head"], config["num_attention_heads"], config["num_key_value_heads"]
    mamba, states, count = config["mamba_num_heads"], config["mamba_d_state"], config["num_hidden_layers"]
    found = [("model.embed_tokens.weight", [ROWS, width]), ("model.norm.weight", [width])]
    step = config.get("mamba_step", 2)
    for i in range(count):
        at = f"model.layers.layers.{i}"
        found += norms(at, width) + [(f"{at}.mlp.gate_up_proj.weight", [2 * inner, width]), (f"{at}.mlp.down_proj.weight", [width, inner])]
        if config.get("mamba_enabled", True) and i % step != step // 2:
            rows = mamba * size
            found += [(f"{at}.mixer.{n}", s) for n, s in (
                ("in_proj.weight", [2 * rows, width]), ("conv1d.weight", [rows, 1, 4]), ("bcdt_proj.weight", [64 + 2 * states, rows]), ("dt_proj.weight", [mamba, 64]),
                ("dt_bias", [mamba]), ("D", [mamba]), ("dt_norm_weight", [64]), ("B_norm_weight", [states]), ("C_norm_weight", [states]),
                ("out_proj.weight", [width, rows]))]
            found.append((f"{at}.mixer.A_log", [mamba], "f16"))
        else:
            found += [(f"{at}.mixer.{n}", s) for n, s in (
                ("qkv_proj.weight", [(heads + 2 * kv) * size, width]), ("o_proj.weight", [width, heads * size]), ("q_weight", [heads, size]), ("k_weight", [kv, size]))]
    return found


def plamo3(config):
    width, inner, size, heads, kv = config["hidden_size"], config["intermediate_size"], config["head_dim"], config["num_attention_heads"], config["num_key_value_heads"]
    at = f"model.layers.layers.{{0-{config['num_hidden_layers'] - 1}}}"
    found = [("model.embed_tokens.weight", [ROWS, width]), ("model.norm.weight", [width])] + norms(at, width)
    return found + [(f"{at}.{n}.weight", s) for n, s in (
        ("mlp.gate_up_proj", [2 * inner, width]), ("mlp.down_proj", [width, inner]), ("mixer.qkv_proj", [(heads + 2 * kv) * size, width]),
        ("mixer.o_proj", [width, heads * size]), ("mixer.q_norm", [size]), ("mixer.k_norm", [size]))]


def cases():
    def one(id, arch, model_type, config, tensors, dtype="bf16", **more):
        return case(id, {"architectures": [arch], "model_type": model_type, **config}, tensors=tensors, dtype=dtype, **{"tokenizer": None, "files": FILES, **more})

    ways = (("", "bf16"), ("-f16", "f16"), ("-f32", "f32"))
    names = {2: ("Plamo2ForCausalLM", "PLaMo2ForCausalLM"), 3: ("Plamo3ForCausalLM", "PLaMo3ForCausalLM")}
    small = {"vocab_size": 12, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
             "hidden_size_per_head": 16, "mamba_num_heads": 8, "mamba_d_state": 16, "mamba_d_conv": 4, "rms_norm_eps": 1e-6, "max_position_embeddings": 2048}
    bare = {k: v for k, v in small.items() if k not in ("rms_norm_eps", "max_position_embeddings")}
    for name, old in zip(names[2], ("", "-old-name")):
        for (suffix, dtype), config in zip(ways, (small, {**small, "mamba_step": 4, "rope_theta": 1e6}, {**bare, "mamba_enabled": not old, "vocab_size": 5})):
            yield one(f"plamo2{old}{suffix}", name, "plamo2", config, plamo2(config), dtype)
    yield one("plamo2-few-layers", names[2][0], "plamo2", {**small, "num_hidden_layers": 1}, plamo2({**small, "num_hidden_layers": 1}))
    missing = {"tokenizer.jsonl": LINES, "tokenizer_config.json": {**SETTINGS, "sep_token": "nowhere"}}
    yield one("plamo2-no-such-token", names[2][0], "plamo2", small, plamo2(small), files=missing, refused=True)
    small = {"vocab_size": 12, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
             "head_dim": 16, "rms_norm_eps": 1e-6, "max_position_embeddings": 4096}
    template = {**FILES, "tokenizer_config.json": {**SETTINGS, "chat_template": "{{ messages }}"}}
    for name, old in zip(names[3], ("", "-old-name")):
        for (suffix, dtype), (changes, files) in zip(ways, (
                ({"sliding_window": 2048, "sliding_window_pattern": 8, "rope_theta": 1e6}, FILES),
                ({"window_size": 1024, "sliding_window_pattern": [True, False], "rope_scaling_factor": 4, "initial_context_length": 1024}, template),
                ({"rope_scaling_factor": 2.5, "initial_context_length": 512}, {**template, "chat_template.jinja": "{{ own }}"}))):
            yield one(f"plamo3{old}{suffix}", name, "plamo3", {**small, **changes}, plamo3(small), dtype, files=files)
