"""Changes to what lies beside config.json: tokenizer, model card, names of directories and shards, and flags."""

import copy
import json
from pathlib import Path

TOKENIZERS = Path(__file__).resolve().parents[3] / "tests/tokenizers"
SIZES = ["7B", "1.5b", "8x7B", "135M", "70b-16k", "0.5B", "A3B", "30B-A3B", "2x1.8B", "3.8b"]
WORDS = ["Llama", "Qwen2.5", "mistral", "Phi-3", "mini", "Instruct", "chat", "v0.1", "v2", "Base", "finetune", "GPTQ", "hf",
         "Gemma", "2", "it", "coder", "128k", "DPO", "ünï", "bf16", "LoRA", "x", "r1", "20240501", "distill", "MoE", "3.1"]


def directory(rng) -> str:
    parts = [rng.choice(WORDS) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.7:
        parts.insert(rng.randint(0, len(parts)), rng.choice(SIZES))
    return rng.choice(["-", "-", "_", "."]).join(parts)


def card(rng) -> str:
    """README.md with front matter of a few of the usual fields."""
    fields = {
        "license": ["apache-2.0", "other", "llama3.1", ["mit", "gpl"]], "license_name": ["my-license", "llama-3"],
        "license_link": ["https://example.com/LICENSE", "LICENSE"], "language": ["en", ["en", "de", "zh"], [False, "no"]],
        "tags": [["a", "b"], "text-generation", []], "pipeline_tag": ["text-generation"], "library_name": ["transformers"],
        "base_model": ["meta-llama/Llama-3.1-8B", ["Qwen/Qwen2-7B", "someone/Other-7B-v2"], "./local/path", "nobody",
                       "https://huggingface.co/a/B-7b"],
        "datasets": [["HuggingFaceH4/ultrachat_200k"], "allenai/c4", ["https://huggingface.co/datasets/x/Y-v1.0", "z"]],
        "model_name": ["My Model 7B", "thing"], "model-name": ["dashed"], "model_creator": ["Somebody"],
        "author": ["A. Author"], "version": ["v1.0", "v2", "3.1", "2024-05", "r1", 2], "organization": ["org"], "quantized_by": ["q"],
        "model_description": ["one line", "two\nlines"], "name": ["A Name"], "basename": ["base"], "finetune": ["ft"],
        "size_label": ["9B"], "doi": ["10.1/x"], "repo_url": ["https://example.com/r"], "inference": [False, True, None],
        "prompt_template": ["<s>{prompt}"], "model_type": ["llama"], "base_model_relation": ["quantized", "finetune"],
        "widget": [[{"text": "x: y"}]], "thumbnail": ["http://x/y.png"], "new_version": ["a/b"], "source_url": ["https://s"],
    }
    import yaml

    chosen = {key: rng.choice(fields[key]) for key in rng.sample(list(fields), rng.randint(0, 8))}
    body = "\n# Title\n\nText: with a colon.\n"
    style = {"default_flow_style": rng.choice([True, False, None]), "sort_keys": False, "allow_unicode": rng.random() < 0.5}
    text = yaml.safe_dump(chosen, **style) if chosen else ""
    return rng.choice(["---\n{}---{}", "---\n{}\n---\n{}", "\n---\n{}---\n{}", "---\r\n{}---\r\n{}"]).format(text, body)


def overrides(rng) -> dict:
    fields = {"general.name": "Given Name", "general.author": "Me", "general.version": "v9", "general.size_label": "3B",
              "general.license": "mit", "general.tags": ["t"], "general.languages": ["fr"], "general.description": "d",
              "general.basename": "Given", "general.finetune": "tuned", "general.url": "https://u", "general.doi": "10/y",
              "general.base_models": [{"name": "N", "organization": "O", "version": "1", "repo_url": "https://r"}]}
    return {key: fields[key] for key in rng.sample(list(fields), rng.randint(0, 5))}


def flags(rng) -> str:
    words = ["--outtype", rng.choice(["auto", "auto", "auto", "f16", "bf16", "f32", "q8_0", "tq1_0", "tq2_0"])]
    some = [["--vocab-only"], ["--model-name", rng.choice(["Given", "My-Model-7B-v1", "x_y"])], ["--fuse-qkv"],
            ["--fuse-qkv"], ["--fuse-gate-up-exps"], [rng.choice(["--no-nextn", "--mtp"])], ["--split-max-tensors", rng.choice(["1", "3", "7", "100"])],
            ["--split-max-size", rng.choice(["5K", "30K", "1M", "20000"])], ["--no-tensor-first-split"],
            ["--metadata", "@dir/overrides.json"], ["--sentence-transformers-dense-modules"], ["--fp8-as-q8"]]
    for extra in rng.sample(some, rng.choice([0, 0, 0, 1, 1, 2])):
        words += extra
    out = rng.choice(["@out/m.gguf", "@out/m.gguf", "@out", "@out/a-{ftype}.gguf", "@out/{outtype}-{FTYPE}.gguf"])
    return " ".join([*words, "--outfile", out])


def tokenizer_files(case: dict) -> dict:
    """The JSON files of the tokenizer, those that the case replaces among them."""
    files = {}
    if case["tokenizer"]:
        for path in (TOKENIZERS / case["tokenizer"]).glob("*.json"):
            if path.name != "expected.json":
                files[path.name] = json.loads(path.read_text())
    return files | {name: copy.deepcopy(file) for name, file in case["files"].items() if isinstance(file, dict)}


def tokenizer(rng, case: dict) -> tuple[dict, list[str]]:
    """The case with a changed tokenizer, and what was done."""
    files, done = tokenizer_files(case), []
    new = {}
    for _ in range(rng.choice([1, 1, 2])):
        if rng.random() < 0.35 and "tokenizer.json" in files and "model" in files["tokenizer.json"]:
            done.append(change_json(rng, new.setdefault("tokenizer.json", files["tokenizer.json"])))
        elif rng.random() < 0.8 and "tokenizer_config.json" in files:
            done.append(change_config(rng, new.setdefault("tokenizer_config.json", files["tokenizer_config.json"])))
        else:
            name, content = rng.choice([
                ("chat_template.jinja", "{% for m in messages %}{{ m }}\n{% endfor %}"),
                ("chat_template.json", {"chat_template": "{{ json }}"}),
                ("additional_chat_templates/rag.jinja", "{{ rag }}"),
                ("generation_config.json", {"bos_token_id": 1, "eos_token_id": [2, 3]}),
                ("special_tokens_map.json", {"bos_token": "<s>", "pad_token": {"content": "<pad>", "lstrip": False}}),
                ("special_tokens_map.json", {"additional_special_tokens": ["<extra>"]}),
                ("added_tokens.json", {"<later>": 480}),
            ])
            new[name] = content
            done.append(f"+{name}")
    case["files"] = {**case["files"], **new}
    return case, done


def change_config(rng, config: dict) -> str:
    key, value = rng.choice([
        ("add_bos_token", True), ("add_bos_token", False), ("add_eos_token", True), ("add_prefix_space", True),
        ("add_prefix_space", False), ("chat_template", "{{ messages }}"), ("chat_template", None),
        ("chat_template", [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]),
        ("chat_template", [{"name": "rag!x", "template": "c"}]), ("bos_token", "<|endoftext|>"), ("pad_token", "<unk>"),
        ("eos_token", {"__type": "AddedToken", "content": "</s>", "lstrip": False, "normalized": False, "rstrip": False,
                       "single_word": False, "special": True}),
        ("additional_special_tokens", ["<one>", "<two>"]), ("unk_token", None), ("legacy", False), ("legacy", True),
        ("tokenizer_class", "PreTrainedTokenizerFast"), ("tokenizer_class", "LlamaTokenizerFast"), ("tokenizer_class", None),
        ("tokenizer_class", "TokenizersBackend"), ("clean_up_tokenization_spaces", True), ("image_token", "<image>"),
        ("extra_special_tokens", {"boi_token": "<boi>"}), ("model_max_length", 1e30), ("add_sep_token", True),
        ("mask_token", "<mask>"), ("sep_token", "<sep>"), ("cls_token", "<cls>"), ("padding_side", "left"),
    ])
    if rng.random() < 0.15:
        key = rng.choice(list(config) or ["legacy"])
        config.pop(key, None)
        return f"tokenizer_config: no {key}"
    config[key] = value
    return f"tokenizer_config: {key}={str(value)[:40]}"


def change_json(rng, tokenizer: dict) -> str:
    added = tokenizer.get("added_tokens") or []
    what = rng.choice(["flag", "flag", "add", "drop", "post", "normalizer", "merge", "rename"])
    if what == "flag" and added:
        token, flag = rng.choice(added), rng.choice(["special", "normalized", "lstrip", "rstrip", "single_word"])
        token[flag] = not token.get(flag, False)
        return f"tokenizer: {token['content']} {flag}={token[flag]}"
    if what == "add":
        vocab = tokenizer["model"]["vocab"]
        ids = list(vocab.values()) if isinstance(vocab, dict) else range(len(vocab))
        id = max([*ids, *(t["id"] for t in added)]) + 1
        text = rng.choice(["<|new|>", "▁two words", "[TOOL]", "<new>", "  ", "\t"])
        added.append({"id": id, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                      "normalized": rng.random() < 0.5, "special": rng.random() < 0.5})
        return f"tokenizer: new token {text!r}"
    if what == "drop" and added:
        token = added.pop(rng.randrange(len(added)))
        return f"tokenizer: {token['content']} is not added"
    if what == "post":
        tokenizer["post_processor"] = rng.choice([None, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False,
                                                         "use_regex": True}])
        return "tokenizer: other post-processor"
    if what == "normalizer":
        tokenizer["normalizer"] = rng.choice([None, {"type": "NFC"}, {"type": "Lowercase"}, {"type": "StripAccents"},
                                              {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]}])
        return f"tokenizer: normalizer {(tokenizer['normalizer'] or {}).get('type')}"
    if what == "merge" and tokenizer["model"].get("merges"):
        tokenizer["model"]["merges"].pop()
        return "tokenizer: a merge less"
    if what == "rename" and added:
        token = rng.choice(added)
        token["content"] += "2"
        return f"tokenizer: renamed to {token['content']}"
    return "tokenizer: as it was"
