"""Changes that tell published models from those of cases/: settings under other names and in other places, tensors more or less,
another tokenizer, tokens beyond the vocabulary, what lies beside."""

import json
import re

import checkpoint
from . import files
from .config import text

# Settings that models of different origin have under different names; the reference takes the first it finds.
SAME = [
    ("max_position_embeddings", "n_ctx", "n_positions", "max_length", "max_sequence_length", "model_max_length"),
    ("hidden_size", "n_embd", "dim", "d_model"), ("num_hidden_layers", "n_layers", "n_layer", "num_layers"),
    ("intermediate_size", "n_inner", "hidden_dim", "dense_intermediate_size", "prefix_dense_intermediate_size"),
    ("num_attention_heads", "n_head", "n_heads"), ("num_key_value_heads", "n_kv_heads", "n_head_kv", "num_kv_heads"),
    ("rope_theta", "global_rope_theta", "rope_global_theta", "rotary_emb_base"), ("rms_norm_eps", "norm_eps"),
    ("rope_local_base_freq", "local_rope_theta", "swa_rope_theta"), ("partial_rotary_factor", "rope_pct", "rotary_pct"),
    ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"), ("num_local_experts", "num_experts", "n_routed_experts"),
    ("num_experts_per_tok", "num_experts_per_token", "top_k_experts"), ("sliding_window", "window_size"),
    ("scoring_func", "score_function", "score_func", "moe_router_activation_func"), ("head_dim", "attention_head_dim"),
    ("moe_intermediate_size", "expert_intermediate_size"), ("state_size", "d_state", "ssm_state_size"), ("conv_kernel", "d_conv"),
]
# What files have besides, and what the reference or transformers look at somewhere.
BESIDES = {
    "rope_local_base_freq": [10000.0, 1e4], "original_max_position_embeddings": [256, 4096], "sliding_window_pattern": [2, 6],
    "swa_rope_theta": [1e4], "rope_interleave": [True, False], "mlp_only_layers": [[], [0]], "decoder_sparse_step": [1, 2],
    "moe_layer_freq": [1, [0, 1]], "cache_implementation": ["hybrid"], "pretraining_tp": [1, 2], "use_mrope": [False],
    "id2label": [{"0": "no", "1": "yes"}, {"0": "LABEL_0"}], "auto_map": [{"AutoConfig": "configuration_x.XConfig"}],
    "is_encoder_decoder": [False], "decoder_start_token_id": [0, 2], "tie_word_embeddings": [True, False], "layer_norm_eps": [1e-5],
    "n_shared_experts": [1, 2], "num_nextn_predict_layers": [0, 1], "partial_rotary_factor": [0.5], "rope_type": ["default"],
    "norm_topk_prob": [True, False], "routed_scaling_factor": [1, 2.5], "hidden_act": ["silu", "gelu"], "use_cache": [False],
    "hidden_activation": ["gelu_pytorch_tanh"], "attention_multiplier": [0.5], "classifier_pooling": ["mean", "cls"],
    "final_logit_softcapping": [30.0], "suppress_tokens": [[1, 2], []], "begin_suppress_tokens": [[3]], "no_rope_layers": [[1, 0]],
    "max_window_layers": [0, 28], "attn_logit_softcapping": [50.0, None], "architectures": [["Other", "Names"]],
    "use_bidirectional_attention": [True, False], "mamba_d_conv": [4], "attention_chunk_size": [8192], "rope_scaling_factor": [2.0],
    "unsloth_fixed": [True], "unsloth_version": ["2025.1.1"], "image_token_id": [7], "vision_config": [{"hidden_size": 8}],
}
TOKENIZERS = ["spm", "llama-hf", "gpt2-trimmed", "gpt2-roles", "llama3-trimmed", "qwen2-trimmed", "smollm-trimmed", "wordpiece",
              "t5", "xlm-roberta"]


def named(rng, config: dict) -> str | None:
    """A setting has another name, or two."""
    groups = [names for names in SAME if any(name in config for name in names)]
    if not groups:
        return None
    names = rng.choice(groups)
    old, new = rng.choice([name for name in names if name in config]), rng.choice(names)
    if rng.random() < 0.5:
        config[new] = config.pop(old)
        return f"{old} is called {new}"
    value = config[old]
    config[new] = rng.choice([value, value * 2]) if isinstance(value, (int, float)) else value
    return f"{new}={config[new]} beside {old}"


# Settings that need not be whole, but often are.
REAL = ("theta", "scale", "scaling", "factor", "multiplier", "softcapping", "base", "eps", "scalar", "alpha", "dropout")


def spelled(rng, config: dict) -> str | None:
    """A number with or without decimals."""
    keys = [k for k, v in config.items() if type(v) in (int, float) and any(word in k for word in REAL)]
    if not keys:
        return None
    key = rng.choice(keys)
    value = config[key]
    config[key] = int(value) if isinstance(value, float) and value == int(value) else float(value)
    return f"{key}={config[key]!r}"


def fewer(rng, config: dict) -> str | None:
    """Only what differs from the defaults, as far as that may be guessed."""
    keys = [k for k in config if k not in ("architectures", "model_type", "vocab_size", "text_config")]
    gone = rng.sample(keys, min(len(keys), rng.randint(1, 3)))
    for key in gone:
        del config[key]
    return f"no {', '.join(gone)}"


def besides(rng, config: dict) -> str | None:
    key = rng.choice([key for key in BESIDES if key != "architectures"])
    config[key] = rng.choice(BESIDES[key])
    return f"{key}={config[key]}"


def layers(config: dict) -> int:
    counts = (config.get(name) for name in ("num_hidden_layers", "n_layer", "num_layers", "n_layers"))
    return next((n for n in counts if isinstance(n, int)), 2)


def kinds(rng, config: dict) -> str | None:
    """layer_types, as newer files have them."""
    names = rng.choice([["sliding_attention", "full_attention"], ["full_attention"], ["sliding_attention"],
                        ["linear_attention", "full_attention"], ["chunked_attention", "full_attention"]])
    count = layers(config) + rng.choice([0, 0, 0, 0, -1, 1])
    config["layer_types"] = [rng.choice(names) for _ in range(count)]
    if rng.random() < 0.5:
        config.setdefault("sliding_window", 64)
    return f"layer_types={config['layer_types']}"


def rope(rng, config: dict) -> str | None:
    """Settings of rope for each kind of layer."""
    def one(theta):
        kind = rng.choice([{"rope_type": "default"}, {"rope_type": "linear", "factor": 8.0}, {}, {"rope_type": "default"},
                           {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256, "beta_fast": 32, "beta_slow": 1},
                           {"rope_type": "proportional", "partial_rotary_factor": 0.25},
                           {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                            "original_max_position_embeddings": 256}])
        values = {"rope_theta": rng.choice([theta, int(theta)]), **kind}
        if rng.random() < 0.2:
            values["partial_rotary_factor"] = rng.choice([0.25, 0.5, 1.0])
        return values
    both = {"full_attention": one(1e6), "sliding_attention": one(1e4)}
    if rng.random() < 0.2:
        del both[rng.choice(list(both))]
    config[rng.choice(["rope_parameters", "rope_parameters", "rope_scaling"])] = both
    if rng.random() < 0.6:
        for key in ("rope_theta", "rope_scaling", "rope_local_base_freq", "partial_rotary_factor"):
            if config.get(key) is not both:
                config.pop(key, None)
    return f"rope for {both}"


def moved(rng, model: dict) -> str | None:
    """A setting of the language model at the top, or at both places."""
    config = model["config"]
    inner = text(config)
    if inner is config or not inner:
        return None
    key = rng.choice([k for k in inner if k not in ("model_type", "architectures")] or [None])
    if key is None:
        return None
    value = inner[key]
    if rng.random() < 0.5:
        del inner[key]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        value *= 2
    config[key] = value
    return f"{key}={value} outside of text_config"


def dtype(rng, model: dict) -> str | None:
    config = model["config"]
    was = config.pop("torch_dtype", None) or "bfloat16"
    what = rng.choice([{}, {"dtype": was}, {"torch_dtype": "auto"}, {"dtype": "float32", "torch_dtype": was}, {"dtype": None}])
    config.update(what)
    if isinstance(config.get("text_config"), dict) and rng.random() < 0.5:
        config["text_config"].update(what)
    return f"dtype: {what}"


def several(model: dict, pattern: str) -> list[list]:
    return [t for t in model["weights"]["tensors"] if re.search(pattern, t[0])]


def tensors(rng, model: dict) -> str | None:
    """Tensors more or less, and norms in F32."""
    listed = model["weights"]["tensors"]
    what = rng.choice(["head", "inverse", "bias", "norms", "prefix", "vision", "beyond", "scale", "order"])
    heads = several(model, r"(^|\.)(lm_head|output|embed_out|score)\.weight$")
    span = next((m for t in listed if (m := re.match(r"(.*layers\.)(\{\d+-\d+\}|\d+)\.", t[0]))), None)
    if what == "head":
        embeddings = several(model, r"(embed_tokens|wte|word_embeddings|embed_in)\.weight$")
        if heads:
            model["weights"]["tensors"] = [t for t in listed if t not in heads]
            return "no output matrix"
        if embeddings and not model.get("mmproj"):
            listed.append(["lm_head.weight", *embeddings[0][1:]])
            return "output matrix besides"
    if what == "inverse" and span:
        listed.append([f"{span[1]}{span[2]}.self_attn.rotary_emb.inv_freq", [8], "f32"])
        return "rotary_emb.inv_freq"
    if what == "bias" and span:
        weights = several(model, r"(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)\.weight$")
        plain = [t for t in weights if len(t[1]) == 2 and not t[2:]]
        if plain:
            base = rng.choice(plain)
            listed.append([base[0].removesuffix("weight") + "bias", base[1][:1]])
            return f"bias of {base[0]}"
    if what == "norms":
        for tensor in listed:
            if "norm" in tensor[0] and len(tensor[1]) == 1:
                tensor[2:] = [rng.choice(["f32", "bf16"])]
        return "norms of another dtype"
    if what == "prefix":
        old, new = rng.choice([("model.", ""), ("", "model."), ("", "language_model."), ("model.", "model.language_model."),
                               ("language_model.", ""), ("model.language_model.", "language_model.model."), ("", "transformer.")])
        for tensor in listed:
            if tensor[0].startswith(old):
                tensor[0] = new + tensor[0][len(old):]
        return f"names start with {new!r} instead of {old!r}"
    if what == "vision":
        listed += [["vision_tower.patch.weight", [8, 8]], ["multi_modal_projector.linear_1.weight", [8, 8]]][:rng.choice([1, 2])]
        return "tensors that see"
    if what == "beyond" and span and "-" in span[2]:
        last = int(span[2].strip("{}").split("-")[1])
        for tensor in [t for t in listed if t[0].startswith(span[1] + span[2])]:
            listed.append([tensor[0].replace(span[2], str(last + 1), 1), *tensor[1:]])
        return "a layer more"
    if what == "scale" and span:
        listed.append([f"{span[1]}{span[2]}.self_attn.{rng.choice(['k_scale', 'v_scale'])}", [1], "f32"])
        return "scale of the cache"
    if what == "order":
        rng.shuffle(listed)
        return "tensors in another order"
    return None


def tokenizer(rng, model: dict) -> str | None:
    """Another tokenizer altogether."""
    if not model.get("tokenizer") or any("token" in name for name in model.get("files", {})):
        return None
    name = rng.choice(TOKENIZERS)
    model["tokenizer"] = name
    if rng.random() < 0.85:
        text(model["config"])["vocab_size"] = checkpoint.VOCAB[name]
    return f"tokenizer {name}"


def beyond(rng, model: dict) -> str | None:
    """Tokens that somebody added, with or without room for them."""
    found = files.tokenizer_files({"tokenizer": model.get("tokenizer"), "files": model.get("files", {})})
    known, config = found.get("tokenizer.json"), found.get("tokenizer_config.json")
    vocab = (known or {}).get("model", {}).get("vocab")
    pieces = checkpoint.VOCAB.get(model.get("tokenizer"))
    if config is None or (not pieces if known is None else not isinstance(vocab, (dict, list))):
        return None
    added = (known or {}).setdefault("added_tokens", [])
    # Without tokenizer.json, the pieces are those of a file that is not changed here.
    own = vocab.values() if isinstance(vocab, dict) else range(len(vocab)) if vocab else [pieces - 1]
    next_id = max([*own, *(t["id"] for t in added)]) + 1 + rng.choice([0, 0, 0, 3])
    new = []
    for at in range(rng.choice([1, 2, 5])):
        new.append({"id": next_id + at, "content": rng.choice(["<|tool_{}|>", "<extra{}>", "[NEW{}]", "▁new {}", "new{}"]).format(at),
                    "single_word": False, "lstrip": rng.random() < 0.2, "rstrip": False, "normalized": rng.random() < 0.3,
                    "special": rng.random() < 0.5})
    where = rng.choice(["both", "json", "config", "added_tokens.json"] if known else ["config", "added_tokens.json"])
    changed = {}
    if where in ("both", "json"):
        added += new
        changed["tokenizer.json"] = known
    if where in ("both", "config"):
        decoder = config.setdefault("added_tokens_decoder", {})
        decoder.update({str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in new})
        changed["tokenizer_config.json"] = config
    if where == "added_tokens.json":
        changed["added_tokens.json"] = {t["content"]: t["id"] for t in new}
    count, room = next_id + len(new), rng.choice([0, 0, 1, 100, None])
    if room is not None:
        text(model["config"])["vocab_size"] = count + room
    model["files"] = {**model.get("files", {}), **changed}
    return f"{len(new)} tokens from {next_id} in {where}, room for {room}"


def lying_beside(rng, model: dict) -> str | None:
    name, content = rng.choice([
        ("generation_config.json", {"temperature": 0.6, "top_k": 20, "top_p": 0.95, "do_sample": True, "repetition_penalty": 1.05}),
        ("generation_config.json", {"temperature": 1, "top_p": 1, "min_p": 0, "top_k": None, "eos_token_id": [1, 2]}),
        ("generation_config.json", {"top_k": 20.0, "mirostat": 2, "sequence": "top_k;temperature", "xtc_probability": 0.5}),
        ("generation_config.json", "{not json"), ("generation_config.json", {"suppress_tokens": [1, 2], "pad_token_id": 3}),
        ("chat_template.json", {"chat_template": [{"name": "default", "template": "d"}, {"name": "rag", "template": "r"}]}),
        ("chat_template.jinja", "{{ bos_token }}ünï\r\n"), ("chat_template.jinja", ""),
        ("special_tokens_map.json", {"eos_token": "</s>", "bos_token": {"content": "<s>", "lstrip": False}, "unk_token": "<unk>"}),
        ("special_tokens_map.json", {"additional_special_tokens": [{"content": "<a>", "lstrip": False}, "<b>"]}),
        ("tokenizer_config.json.bak", {}), ("model.safetensors.index.json.bak", "{}"), ("config.json.orig", "{}"),
        ("adapter_config.json", {"base_model_name_or_path": "someone/base"}), ("params.json", {"dim": 64}),
        ("preprocessor_config.json", {"image_mean": [0.5, 0.5, 0.5]}), ("LICENSE", "text"), ("vocab.json", {"a": 0}), ("merges.txt", "#version: 0.2\n"),
        ("hf_quant_config.json", {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": None}}), ("sentence_bert_config.json", {"max_seq_length": 99}),
    ])
    if name in model.get("files", {}):
        return None
    model["files"] = {**model.get("files", {}), name: content}
    return f"+{name} {json.dumps(content)[:50]}"


def pooling(rng, model: dict) -> str | None:
    """What sentence-transformers says of how embeddings are pooled."""
    kinds = ["pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens", "pooling_mode_lasttoken"]
    chosen = {kind: rng.random() < 0.4 for kind in kinds}
    if rng.random() < 0.3:
        chosen = {"pooling_mode": rng.choice(["mean", "cls", "lasttoken", "max", ["mean", "cls"]])}
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
               {"idx": 1, "name": "1", "path": "1_Pooling", "type": rng.choice(["sentence_transformers.models.Pooling", "x.Pooling"])}]
    model["files"] = {**model.get("files", {}), "modules.json": modules, "1_Pooling/config.json": {"word_embedding_dimension": 64, **chosen}}
    return f"pooling: {chosen}"


def own_format(rng, params: dict) -> str:
    """Settings of Mistral's own format."""
    sections = [params, *(v for v in params.values() if isinstance(v, dict))]
    section = rng.choice(sections)
    key = rng.choice(list(section))
    what = rng.choice(["gone", "other", "besides", "besides"])
    if what == "gone":
        del section[key]
        return f"no {key}"
    if what == "other" and type(section[key]) in (int, float):
        section[key] = rng.choice([section[key] * 2, float(section[key]), section[key] / 2])
        return f"{key}={section[key]}"
    key, value = rng.choice([
        ("max_position_embeddings", 4096), ("max_seq_len", 8192), ("sliding_window", 64), ("rope_theta", 1e6), ("tied_embeddings", True),
        ("use_biases", False), ("causal", True), ("model_type", "transformer"), ("model_parallel", 1), ("ragged_attention", "2-layers"),
        ("yarn", {"original_max_position_embeddings": 512, "factor": 8, "apply_scale": True, "beta": 32, "alpha": 1}), ("head_dim", 16),
        ("llama_4_scaling", {"original_max_position_embeddings": 512, "beta": 0.1}), ("rope_scaling", {"rope_type": "yarn", "factor": 2.0}),
    ])
    params[key] = value
    return f"{key}={value}"


def target(rng, target: dict) -> str:
    """Another model to draft for."""
    config = target["config"]
    what = rng.choice(["tokenizer", "size", "layers", "inside", "gone", "kind"])
    if what == "tokenizer":
        target["tokenizer"] = rng.choice(TOKENIZERS)
        text(config)["vocab_size"] = checkpoint.VOCAB[target["tokenizer"]] + rng.choice([0, 0, 0, 8])
        return f"target has tokenizer {target['tokenizer']}"
    if what in ("size", "layers"):
        key = {"size": "hidden_size", "layers": "num_hidden_layers"}[what]
        text(config)[key] = rng.choice([4, 24, 64, 128])
        return f"{key} of target is {text(config)[key]}"
    if what == "inside" and "text_config" not in config:
        inner = {key: config.pop(key) for key in list(config) if key not in ("architectures", "model_type")}
        config["text_config"] = inner
        return "settings of target in text_config"
    if what == "kind":
        config["architectures"] = [rng.choice(["LlamaForCausalLM", "Qwen3ForCausalLM", "Gemma3ForCausalLM", "Qwen3MoeForCausalLM",
                                               "Gemma4ForConditionalGeneration", "MistralForCausalLM", "GptOssForCausalLM"])]
        return f"target is {config['architectures'][0]}"
    inner = text(config)
    key = rng.choice([key for key in inner if key != "architectures"] or ["vocab_size"])
    inner.pop(key, None)
    return f"no {key} of target"


def changed(rng, model: dict) -> list[str]:
    """Changes a model, and says how."""
    if "target" in model and rng.random() < 0.6:
        return [target(rng, model["target"])]
    if isinstance(params := model.get("files", {}).get("params.json"), dict):
        return [own_format(rng, params) for _ in range(rng.choice([1, 2]))]
    if "config" not in model:
        return []
    inner = text(model["config"])
    done = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        settings = rng.choice([named, named, spelled, fewer, besides, besides, kinds, rope])
        whole = rng.choice([moved, dtype, tensors, tensors, tokenizer, beyond, lying_beside, lying_beside, pooling])
        done.append(settings(rng, inner) if rng.random() < 0.5 else whole(rng, model))
    return [what for what in done if what]
