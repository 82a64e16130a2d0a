#!/usr/bin/env python3
"""Regenerate tests/golden/vocab.json: what the reference makes of many variations of the small tokenizers.

    python scripts/goldens/vocab.py LLAMA_CPP_DIR [ID...] [--keep DIR]

A case is a directory of tests/tokenizers with a config.json of BASES, some of it changed: `remove` and then `set`,
where "FILE#/a/0/b" is a place inside a JSON file (a JSON pointer; "-" appends) and "FILE" all of it, a text or JSON.
Expected are the tokenizer.* lines of `--vocab-only` (as convert.py writes them), or why the reference raised; where it
only does not know the pre-tokenizer, that is the hash of the token ids it got. With IDs, only those cases are run
again. `--keep DIR` leaves model directories and GGUF files there.
"""

import argparse
import contextlib
import io
import json
import logging
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import vocab_routes  # noqa: E402
from convert import ROOT, Manifest  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
from versions import recorded_with  # noqa: E402

OUTPUT = ROOT / "tests/golden/vocab.json"
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
          "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048,
          "rms_norm_eps": 1e-05}
QWEN = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
BASES = {
    "spm": {**CONFIG, "vocab_size": 512},
    "llama-hf": {**CONFIG, "vocab_size": 482},
    "gpt2-trimmed": {**CONFIG, "vocab_size": 50257},
    "llama3-trimmed": {**CONFIG, "vocab_size": 128256},
    "qwen2-trimmed": {**CONFIG, **QWEN, "vocab_size": 151936},
    "smollm-trimmed": {**CONFIG, "vocab_size": 49152},
    "wordpiece": {**CONFIG, "architectures": ["BertModel"], "model_type": "bert", "vocab_size": 30522,
                  "type_vocab_size": 2},
    "tekken": {**CONFIG, "architectures": ["MistralForCausalLM"], "model_type": "mistral", "vocab_size": 416},
    "t5": {**CONFIG, "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "vocab_size": 320},
    "xlm-roberta": {**CONFIG, "architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta", "vocab_size": 310,
                    "type_vocab_size": 1},
    "xlm-roberta-model": {**CONFIG, "architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta",
                          "vocab_size": 302, "type_vocab_size": 1},
}
SPM, HF, GPT2, LLAMA3, QWEN2, SMOL, *_ = BASES

CASES = []


def case(base: str, id: str, *remove: str, **files) -> None:
    """Keyword c is config.json, t tokenizer.json, tc tokenizer_config.json, tk tekken.json: pairs of a pointer and a value.
    `files` are whole files."""
    names = {"c": "config.json", "t": "tokenizer.json", "tc": "tokenizer_config.json", "tk": "tekken.json"}
    changes = dict(files.pop("files", {}))
    unsupported, route = files.pop("unsupported", False), files.pop("route", None)
    for short, places in files.items():
        changes |= {f"{names[short]}#{at}": value for at, value in places.items()}
    new = {"id": f"{route or base.removesuffix('-trimmed')} {id}", "base": base}
    if route:  # a route of vocab_routes.ROUTES, without a family
        new["route"] = route
    if unsupported:  # the reference converts it, ggraft says that it does not
        new["unsupported"] = True
    if remove:
        new["remove"] = list(remove)
    if changes:
        new["set"] = changes
    CASES.append(new)


def token(content: str, **flags) -> dict:
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
            "special": True, **flags}


def template(single: list, pair: list = (), tokens: dict = {}) -> dict:
    """A TemplateProcessing: "$A", "$B" or a special token."""
    def item(name: str, type_id: int = 0) -> dict:
        sequence = {"$A": "A", "$B": "B"}.get(name)
        return {"Sequence": {"id": sequence, "type_id": type_id}} if sequence else \
            {"SpecialToken": {"id": name, "type_id": type_id}}
    special = {text: {"id": text, "ids": [id], "tokens": [text]} for text, id in tokens.items()}
    return {"type": "TemplateProcessing", "single": [item(n) for n in single], "pair": [item(n) for n in pair],
            "special_tokens": special}


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
END, START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TC = "tokenizer_config.json"
TEMPLATE = f"{TC}#/chat_template"

for base in (SPM, HF, GPT2, LLAMA3, QWEN2, SMOL):
    case(base, "as it is")

# Chat templates.
case(GPT2, "template null", tc={"/chat_template": None})
case(GPT2, "template null and jinja", tc={"/chat_template": None}, files={"chat_template.jinja": "J"})
case(GPT2, "template absent", TEMPLATE)
case(GPT2, "template empty", tc={"/chat_template": ""})
case(GPT2, "template number", tc={"/chat_template": 5})
case(GPT2, "template false", tc={"/chat_template": False})
case(GPT2, "template object", tc={"/chat_template": {"default": "x"}})
case(GPT2, "template list default only", tc={"/chat_template": [{"name": "default", "template": "D"}]})
case(GPT2, "template list named", tc={"/chat_template": [{"name": "default", "template": "D"}, {"name": "tool-use é", "template": "T"}]})
case(GPT2, "template list no default", tc={"/chat_template": [{"name": "rag", "template": "R"}]})
case(GPT2, "template list empty", tc={"/chat_template": []})
case(GPT2, "template list without names", tc={"/chat_template": [{"template": "R"}]})
case(GPT2, "template list empty texts", tc={"/chat_template": [{"name": "default", "template": ""}, {"name": "a", "template": ""}]})
case(GPT2, "template list null text", tc={"/chat_template": [{"name": "a", "template": None}]})
case(GPT2, "template list of texts", tc={"/chat_template": ["x"]})
case(GPT2, "template list twice the same", tc={"/chat_template": [{"name": "a", "template": "1"}, {"name": "a", "template": "2"}]})
case(GPT2, "template list colliding", tc={"/chat_template": [{"name": "a-b", "template": "1"}, {"name": "a_b", "template": "2"}]})
case(GPT2, "template jinja", TEMPLATE, files={"chat_template.jinja": "{{ 'x' }}\r\nend\r"})
case(GPT2, "template jinja and config", files={"chat_template.jinja": "J"})
case(GPT2, "template jinja empty", TEMPLATE, files={"chat_template.jinja": ""})
case(GPT2, "template jinja, json", TEMPLATE, files={"chat_template.jinja": "J", "chat_template.json": {"chat_template": "S"}})
case(GPT2, "template json", TEMPLATE, files={"chat_template.json": {"chat_template": "S"}})
case(GPT2, "template json list", TEMPLATE, files={"chat_template.json": {"chat_template": [{"name": "default", "template": "S"}]}})
case(GPT2, "template json object", TEMPLATE, files={"chat_template.json": {"chat_template": {"a": 1}}})
case(GPT2, "template json null", TEMPLATE, files={"chat_template.json": {"chat_template": None}})
case(GPT2, "template json without", TEMPLATE, files={"chat_template.json": {}})
case(GPT2, "template json is a list", TEMPLATE, files={"chat_template.json": []})
case(GPT2, "template json broken", TEMPLATE, files={"chat_template.json": "{"})
case(GPT2, "template additional", TEMPLATE, files={"chat_template.jinja": "J", "additional_chat_templates/rag.jinja": "R"})
case(GPT2, "template additional odd name", TEMPLATE, files={"chat_template.jinja": "J", "additional_chat_templates/a.b-c.jinja": "R\r\n"})
case(GPT2, "template additional and others", TEMPLATE, files={"chat_template.jinja": "J", "additional_chat_templates/x.txt": "R", "additional_chat_templates/rag.jinja": "R"})
case(GPT2, "template additional only", TEMPLATE, files={"additional_chat_templates/rag.jinja": "R"})
case(GPT2, "template additional, config", files={"chat_template.jinja": "J", "additional_chat_templates/rag.jinja": "R"})
case(GPT2, "template without tokenizer_config", TC, files={"chat_template.jinja": "J"})
case(GPT2, "template with empty tokenizer_config", files={"chat_template.jinja": "J", TC: {}})
case(SPM, "template jinja", TEMPLATE, files={"chat_template.jinja": "J\nK"})

# Names and flags of special tokens.
for flags in ({"normalized": True}, {"special": False}, {"normalized": True, "special": False}, {"lstrip": True, "rstrip": True, "single_word": True}):
    name = " ".join(f"{k} {v}".lower() for k, v in flags.items())
    case(SMOL, f"added in tokenizer.json {name}", t={"/added_tokens/3": {"id": 3, **token("<repo_name>", **flags)}})
    case(SMOL, f"added decoder contradicts: {name}", tc={"/added_tokens_decoder": {"3": token("<repo_name>", **flags)}})
    case(HF, f"added in tokenizer.json {name}", t={"/added_tokens/3": {"id": 480, **token("<|im_start|>", **flags)}})
    case(HF, f"added in both {name}", t={"/added_tokens/3": {"id": 480, **token("<|im_start|>", **flags)}}, tc={"/added_tokens_decoder/480": token("<|im_start|>", **flags)})
    case(HF, f"added decoder contradicts: {name}", tc={"/added_tokens_decoder/480": token("<|im_start|>", **flags)})
case(SMOL, "added user-defined with ▁ and spaces", t={"/added_tokens/-": {"id": 40000, **token("▁a b", special=False)}, "/model/vocab/▁a b": 40000})
case(SMOL, "added user-defined with ▁, normalized", t={"/added_tokens/-": {"id": 40000, **token("▁▁", special=False, normalized=True)}, "/model/vocab/▁▁": 40000})
case(SMOL, "added beyond the vocabulary", t={"/added_tokens/-": {"id": 49151, **token("<extra>")}})
case(SMOL, "added without flags", t={"/added_tokens/-": {"id": 752, "content": "<extra>"}})
case(SMOL, "added with partial flags", t={"/added_tokens/-": {"id": 752, "content": "<extra>", "special": False}})
case(SMOL, "added looks special", t={"/added_tokens/-": {"id": 40000, **token("<|x|>", special=False)}, "/model/vocab/<|x|>": 40000})
case(SMOL, "added with id of another", t={"/added_tokens/-": {"id": 1, **token("<extra>")}})
case(SMOL, "added empty", t={"/added_tokens/-": {"id": 49151, **token("")}})
case(SMOL, "added twice with other flags", t={"/added_tokens/-": {"id": 3, **token("<repo_name>", special=False)}})
case(SMOL, "added null", t={"/added_tokens": None})
case(SMOL, "added absent", "tokenizer.json#/added_tokens")
case(SMOL, "added absent, decoder there", "tokenizer.json#/added_tokens", tc={"/added_tokens_decoder": {}})
case(SMOL, "decoder empty", tc={"/added_tokens_decoder": {}})
case(SMOL, "decoder new token", tc={"/added_tokens_decoder": {"49151": token("<new>")}})
case(SMOL, "decoder new tokens by id", tc={"/added_tokens_decoder": {"800": token("<b>"), "90": token("<a>", special=False)}})
case(SMOL, "decoder of texts", tc={"/added_tokens_decoder": {"3": "<repo_name>"}})
case(SMOL, "decoder AddedToken", tc={"/added_tokens_decoder": {"3": {"__type": "AddedToken", **token("<repo_name>")}}})
case(SMOL, "decoder without flags", tc={"/added_tokens_decoder": {"3": {"content": "<repo_name>"}}})
case(SMOL, "decoder with unknown flag", tc={"/added_tokens_decoder": {"3": {"content": "<repo_name>", "flag": 1}}})
case(SMOL, "decoder flag of wrong type", tc={"/added_tokens_decoder": {"3": {"content": "<repo_name>", "special": "yes"}}})
case(SMOL, "decoder flag null", tc={"/added_tokens_decoder": {"3": {"content": "<repo_name>", "special": None}}})
case(SMOL, "decoder flags 0 and 1", tc={"/added_tokens_decoder": {"3": {"content": "<repo_name>", "special": 1}}})
case(SMOL, "decoder content missing", tc={"/added_tokens_decoder": {"3": {"special": True}}})
case(SMOL, "decoder id no number", tc={"/added_tokens_decoder": {"x": token("<repo_name>")}})
case(SMOL, "decoder id with spaces", tc={"/added_tokens_decoder": {" 3 ": token("<repo_name>", normalized=True)}})
case(SMOL, "decoder id negative", tc={"/added_tokens_decoder": {"-3": token("<repo_name>", normalized=True)}})
case(SMOL, "decoder null", tc={"/added_tokens_decoder": None})
case(SMOL, "decoder list", tc={"/added_tokens_decoder": []})
case(SMOL, "added_tokens.json", files={"added_tokens.json": {"<new>": 900, "<|im_end|>": 2, "<other>": 800}})
case(SMOL, "added_tokens.json and decoder", tc={"/added_tokens_decoder": {"3": token("<repo_name>")}}, files={"added_tokens.json": {"<new>": 900}})
case(SMOL, "added_tokens.json ids as texts", files={"added_tokens.json": {"<new>": "900"}})
case(HF, "added_tokens.json", f"{TC}#/added_tokens_decoder", files={"added_tokens.json": {"<new>": 482}}, c={"/vocab_size": 483})
case(SPM, "added_tokens.json beyond", files={"added_tokens.json": {"<new>": 512}})
case(SPM, "added_tokens.json absent", "added_tokens.json")
case(SPM, "no tokenizer_config", TC)
case(SMOL, "special_tokens_map texts", files={"special_tokens_map.json": {"bos_token": END, "cls_token": "<repo_name>"}})
case(SMOL, "special_tokens_map objects", files={"special_tokens_map.json": {"bos_token": {"content": END, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}}})
case(SMOL, "special_tokens_map additional", files={"special_tokens_map.json": {"additional_special_tokens": ["<reponame>", "<new>"]}})
case(SMOL, "special_tokens_map additional objects", files={"special_tokens_map.json": {"additional_special_tokens": [token("<repo_name>", normalized=True)]}})
case(SMOL, "special_tokens_map extra objects", files={"special_tokens_map.json": {"extra_special_tokens": [token("<repo_name>", normalized=True)]}})
case(SMOL, "special_tokens_map extra", files={"special_tokens_map.json": {"extra_special_tokens": ["<new>"]}}, tc={"/extra_special_tokens": ["<old>"]})
case(SMOL, "special_tokens_map extra named", files={"special_tokens_map.json": {"extra_special_tokens": {"image_token": "<image>"}}})
case(SMOL, "special_tokens_map other key", files={"special_tokens_map.json": {"image_token": "<image>"}})
case(SMOL, "special_tokens_map ignored beside decoder", files={"special_tokens_map.json": {"image_token": "<image>"}}, tc={"/added_tokens_decoder": {}})
case(SMOL, "special_tokens_map unknown flag", files={"special_tokens_map.json": {"bos_token": {"content": END, "flag": 1}}})
case(SMOL, "special_tokens_map null", files={"special_tokens_map.json": {"pad_token": None}})
case(SMOL, "special_tokens_map number", files={"special_tokens_map.json": {"pad_token": 5}})
case(SMOL, "special_tokens_map adds bos", t={"/post_processor": None}, files={"special_tokens_map.json": {"add_bos_token": True}}, unsupported=True)
case(SMOL, "special_tokens_map list", files={"special_tokens_map.json": []})
case(SMOL, "additional_special_tokens", tc={"/additional_special_tokens": ["<repo_name>", "<new>"]})
case(SMOL, "additional_special_tokens null", tc={"/additional_special_tokens": None})
case(SMOL, "additional_special_tokens objects", tc={"/additional_special_tokens": [{"__type": "AddedToken", **token("<new>", special=False)}]})
case(SMOL, "additional_special_tokens plain objects", tc={"/additional_special_tokens": [token("<new>")]})
case(SMOL, "additional_special_tokens text", tc={"/additional_special_tokens": "<new>"})
case(SMOL, "additional and extra special tokens", tc={"/additional_special_tokens": ["<new>"], "/extra_special_tokens": ["<extra>"]})
case(SMOL, "extra_special_tokens named", tc={"/extra_special_tokens": {"image_token": "<image>", "x": "<x>"}})
case(SMOL, "extra_special_tokens number", tc={"/extra_special_tokens": [5]})
case(SMOL, "extra_special_tokens with empty", tc={"/extra_special_tokens": ["", "<new>"]})
case(SMOL, "model_specific_special_tokens", tc={"/model_specific_special_tokens": {"image_token": "<image>"}})
case(SMOL, "image_token", tc={"/image_token": "<image>", "/audio_token": "<repo_name>"})
case(SMOL, "image_token object", tc={"/image_token": {"__type": "AddedToken", **token("<image>")}})
case(SMOL, "image_token number", tc={"/image_token": 4})
case(SMOL, "image_token and extra", tc={"/image_token": "<image>", "/extra_special_tokens": ["<new>", "<image>"]})
case(SMOL, "image_token object and texts", tc={"/audio_token": "<audio>", "/image_token": {"__type": "AddedToken", **token("<image>")}, "/extra_special_tokens": {"image_token": "<other>"}})
case(SMOL, "special_tokens_map image_token and image_token", files={"special_tokens_map.json": {"video_token": "<video>"}}, tc={"/image_token": "<image>"})
case(SMOL, "special_tokens_map additional and additional", files={"special_tokens_map.json": {"additional_special_tokens": ["<new>"]}}, tc={"/additional_special_tokens": ["<old>"]})
case(SMOL, "model_specific_special_tokens and image_token", tc={"/model_specific_special_tokens": {"x_token": "<x>"}, "/image_token": "<image>"})
case(SMOL, "model_specific_special_tokens list", tc={"/model_specific_special_tokens": ["<x>"]})
case(HF, "image_token in the vocabulary", tc={"/image_token": "<tool>"})
case(HF, "image_token new", tc={"/image_token": "<image>"}, c={"/vocab_size": 500})
case(HF, "additional_special_tokens", tc={"/additional_special_tokens": ["<tool>"]})
case(HF, "additional_special_tokens from the model", tc={"/additional_special_tokens": ["▁t"]})
case(SMOL, "bos AddedToken", tc={"/bos_token": {"__type": "AddedToken", **token(START)}})
case(SMOL, "bos AddedToken normalized", tc={"/bos_token": {"__type": "AddedToken", **token(START, normalized=True)}})
case(SMOL, "bos AddedToken, decoder", tc={"/bos_token": {"__type": "AddedToken", **token(START, normalized=True)}, "/added_tokens_decoder": {"1": token(START)}})
case(SMOL, "bos plain object", tc={"/bos_token": token(START)})
case(SMOL, "bos null", tc={"/bos_token": None})
case(SMOL, "bos absent", f"{TC}#/bos_token")
case(SMOL, "bos empty", tc={"/bos_token": ""})
case(SMOL, "bos number", tc={"/bos_token": 1})
case(SMOL, "bos not in the vocabulary", tc={"/bos_token": "<BOS>"})
case(SMOL, "bos not added", tc={"/bos_token": "Ġt"})
case(SMOL, "cls but no bos", f"{TC}#/bos_token", tc={"/cls_token": START})
case(SMOL, "sep but no eos", f"{TC}#/eos_token", tc={"/sep_token": START})
case(SMOL, "cls, sep and mask", tc={"/cls_token": START, "/sep_token": IM_END, "/mask_token": "<repo_name>"})
case(QWEN2, "eos absent", f"{TC}#/eos_token", f"{TC}#/pad_token")
case(QWEN2, "eos null", tc={"/eos_token": None, "/unk_token": None, "/pad_token": None})
case(HF, "tokens absent", f"{TC}#/eos_token", f"{TC}#/bos_token", f"{TC}#/unk_token")
case(HF, "tokens null", tc={"/bos_token": None, "/eos_token": None, "/unk_token": None})
case(GPT2, "tokens absent", f"{TC}#/eos_token", f"{TC}#/bos_token", f"{TC}#/unk_token")

# Ids in config.json.
case(GPT2, "ids", c={"/bos_token_id": 1, "/eos_token_id": 2, "/pad_token_id": 3, "/unk_token_id": 4, "/sep_token_id": 5, "/cls_token_id": 6, "/mask_token_id": 7})
case(GPT2, "ids without names", f"{TC}#/eos_token", f"{TC}#/bos_token", c={"/bos_token_id": 1, "/eos_token_id": 2})
case(GPT2, "eos ids", f"{TC}#/eos_token", c={"/eos_token_id": [2, 3]})
case(GPT2, "ids null", f"{TC}#/eos_token", c={"/eos_token_id": None, "/text_config": {"eos_token_id": 9}})
case(GPT2, "ids in text_config", f"{TC}#/eos_token", c={"/text_config": {"eos_token_id": 9, "pad_token_id": 8}})
case(GPT2, "ids text and float", c={"/pad_token_id": "3", "/sep_token_id": 3.0})
case(GPT2, "id true", c={"/pad_token_id": True})
case(GPT2, "id negative", c={"/pad_token_id": -1})
case(GPT2, "id beyond", c={"/pad_token_id": 50257})
case(GPT2, "id beyond 32 bits", c={"/pad_token_id": 4294967296})
case(GPT2, "id beyond 64 bits", c={"/pad_token_id": 18446744073709551616})
case(SPM, "ids", c={"/bos_token_id": 1, "/eos_token_id": 511, "/pad_token_id": 512})
case(SPM, "id negative", c={"/pad_token_id": -1})
case(HF, "ids", c={"/pad_token_id": 481, "/sep_token_id": 482})

# What is put around a text.
for name, single, pair in (
    ("bos", [END, "$A"], []),
    ("bos, pair", [END, "$A"], [END, "$A", END, "$B"]),
    ("eos", ["$A", END], ["$A", END, "$B", END]),
    ("both", [START, "$A", END], [START, "$A", END, "$B", END]),
    ("both, other order", [END, "$A", START], [END, "$A", START, START, "$B", START]),
    ("other eos", ["$A", "<repo_name>"], ["$A", "<repo_name>", "$B", "<repo_name>"]),
    ("two seps", [START, "$A", IM_END], [START, "$A", IM_END, IM_END, "$B", IM_END]),
    ("sep, no end", [START, "$A"], [START, "$A", IM_END, "$B"]),
    ("unknown sep", [START, "$A"], [START, "$A", "<repo_name>", "$B"]),
    ("three between", [START, "$A"], [START, "$A", IM_END, IM_END, IM_END, "$B"]),
    ("swapped pair", [START, "$A"], [START, "$B", IM_END, "$A"]),
    ("pair begins otherwise", [START, "$A"], ["$A", IM_END, "$B"]),
    ("pair of one", [START, "$A"], [START]),
    ("pair of its own", [START, "$A", IM_END], [START, "$A", "$B", IM_END]),
    ("text only", ["$A"], ["$A", "$B"]),
    ("one token", [START], []),
    ("none", [], []),
):
    value = template(single, pair, {END: 0, START: 1, IM_END: 2, "<repo_name>": 3})
    case(SMOL, f"template {name}", t={"/post_processor": value})
    if name in ("bos", "both", "other eos", "sep, no end", "two seps"):
        case(SMOL, f"template {name}, no names", f"{TC}#/bos_token", f"{TC}#/eos_token", t={"/post_processor": value})
        case(SMOL, f"template {name}, no tokenizer_config", TC, t={"/post_processor": value})
        case(SMOL, f"template {name}, cls and sep", tc={"/cls_token": END, "/sep_token": "<repo_name>"}, t={"/post_processor": value})
        case(SMOL, f"template {name}, AddedToken", tc={"/bos_token": {"__type": "AddedToken", **token(START)}, "/eos_token": {"__type": "AddedToken", **token(IM_END)}}, t={"/post_processor": value})
    if name == "other eos":
        case(SMOL, "template other eos twice", t={"/post_processor": {"type": "Sequence", "processors": [value, template(["$A", END], [], {END: 0}), template(["$A", START], [], {START: 1})]}})
        case(SMOL, "template other eos, ids", t={"/post_processor": value}, c={"/eot_token_id": 5, "/eos_token_id": 6})
case(SMOL, "template missing special_tokens", "tokenizer.json#/post_processor", t={"/post_processor": template([START, "$A"])})
case(SMOL, "template unknown id", t={"/post_processor": template([START, "$A"], [], {START: 99999})})
case(SMOL, "template single absent", t={"/post_processor": {"type": "TemplateProcessing", "pair": [], "special_tokens": {}}})
case(SMOL, "post null", t={"/post_processor": None})
case(SMOL, "post absent", "tokenizer.json#/post_processor")
case(SMOL, "post empty", t={"/post_processor": {}})
case(SMOL, "post number", t={"/post_processor": 1})
case(SMOL, "post unknown type", t={"/post_processor": {"type": "Unknown"}})
case(SMOL, "post ByteLevel", t={"/post_processor": BYTE_LEVEL})
case(SMOL, "post ByteLevel after template", t={"/post_processor": {"type": "Sequence", "processors": [template([START, "$A"], [], {START: 1}), BYTE_LEVEL]}})
case(SMOL, "post ByteLevel before template", t={"/post_processor": {"type": "Sequence", "processors": [BYTE_LEVEL, template([START, "$A"], [], {START: 1})]}})
case(SMOL, "post sequence empty", t={"/post_processor": {"type": "Sequence", "processors": []}})
case(SMOL, "post nested sequence", t={"/post_processor": {"type": "Sequence", "processors": [{"type": "Sequence", "processors": [BYTE_LEVEL]}]}})
ROBERTA = {"type": "RobertaProcessing", "sep": [IM_END, 2], "cls": [START, 1], "trim_offsets": True, "add_prefix_space": False}
case(SMOL, "post Roberta", t={"/post_processor": ROBERTA})
case(SMOL, "post Roberta, other names", tc={"/cls_token": END, "/sep_token": END}, t={"/post_processor": ROBERTA})
case(SMOL, "post Roberta, no names", f"{TC}#/bos_token", f"{TC}#/eos_token", t={"/post_processor": ROBERTA})
case(SMOL, "post Roberta, no tokenizer_config", TC, t={"/post_processor": ROBERTA})
case(SMOL, "post Bert", t={"/post_processor": {"type": "BertProcessing", "sep": [IM_END, 2], "cls": [START, 1]}})
for value in (True, False, None, "yes"):
    case(SMOL, f"add_bos_token {value}", tc={"/add_bos_token": value})
    case(SMOL, f"add_eos and sep_token {value}", tc={"/add_eos_token": value, "/add_sep_token": value, "/add_pad_token": value})
case(SMOL, "add_bos_token false, template adds", tc={"/add_bos_token": False}, t={"/post_processor": template([START, "$A"], [], {START: 1})})
case(HF, "add_bos_token false", tc={"/add_bos_token": False, "/add_eos_token": True})
case(SPM, "add_bos_token true", tc={"/add_bos_token": True, "/add_eos_token": True})
case(LLAMA3, "add_bos_token true", tc={"/add_bos_token": True, "/add_eos_token": True})

# Which class loads it.
for name in ("LlamaTokenizer", "LlamaTokenizerFast", "GPT2Tokenizer", "GPT2TokenizerFast", "Qwen2Tokenizer", "Qwen2TokenizerFast",
             "PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend", "PythonBackend", "BloomTokenizer", "BloomTokenizerFast", "UnknownTokenizer", "UnknownTokenizerFast", "Fast", "tokenizer", ""):
    for base in (GPT2, QWEN2, HF, SMOL):
        case(base, f"class {name}", tc={"/tokenizer_class": name})
for base in (GPT2, QWEN2, HF, SMOL, LLAMA3):
    case(base, "class absent", f"{TC}#/tokenizer_class")
    case(base, "class null", tc={"/tokenizer_class": None})
    case(base, "class in config.json", f"{TC}#/tokenizer_class", c={"/tokenizer_class": "Qwen2TokenizerFast"})
    case(base, "no tokenizer_config", TC)
    case(base, "empty tokenizer_config", files={TC: {}})
    for model_type in ("llama", "mistral", "mixtral", "ministral", "qwen2", "qwen3", "qwen3_moe", "unknown", "", "internlm2"):
        case(base, f"model_type {model_type}", c={"/model_type": model_type})
    for model_type in ("mistral", "qwen2", "qwen3"):
        case(base, f"model_type {model_type}, no class", f"{TC}#/tokenizer_class", c={"/model_type": model_type})
        case(base, f"model_type {model_type}, LlamaTokenizer", tc={"/tokenizer_class": "LlamaTokenizer"}, c={"/model_type": model_type})
    case(base, "model_type absent", "config.json#/model_type")
case(SMOL, "class number", tc={"/tokenizer_class": 5})
case(SMOL, "class unknown in config.json", f"{TC}#/tokenizer_class", c={"/tokenizer_class": "UnknownTokenizer"})
case(SMOL, "class Cohere", tc={"/tokenizer_class": "CohereTokenizer"})
case(SMOL, "class of the model itself", tc={"/tokenizer_class": "XTokenizer", "/auto_map": {"AutoTokenizer": ["x.XTokenizer", None]}})
case(SMOL, "class of the model itself, known", tc={"/auto_map": {"AutoTokenizer": ["x.XTokenizer", None]}})
case(SMOL, "class of the model itself, null", tc={"/auto_map": {"AutoTokenizer": None}})
case(SMOL, "class of the model itself, list", tc={"/auto_map": ["x.XTokenizer", None]})
case(QWEN2, "class of the model itself", tc={"/tokenizer_class": "XTokenizer", "/auto_map": {"AutoTokenizer": ["x.XTokenizer", None]}})
case(QWEN2, "class of the model itself, known", tc={"/auto_map": {"AutoTokenizer": ["x.XTokenizer", None]}})
for model_type in ("qwen3", "mistral", "unknown"):
    case(QWEN2, f"class of the model itself, {model_type}", tc={"/tokenizer_class": "XTokenizer", "/auto_map": {"AutoTokenizer": ["x.XTokenizer", None]}}, c={"/model_type": model_type})
case(SMOL, "fast_tokenizer_files", tc={"/fast_tokenizer_files": ["tokenizer.json", "tokenizer.4.0.json"]}, unsupported=True)
case(SMOL, "init_inputs", tc={"/init_inputs": []})
case(SMOL, "name_or_path", tc={"/name_or_path": "deepseek-ai/deepseek-coder-x"})
case(SMOL, "config name_or_path", c={"/_name_or_path": "deepseek-ai/deepseek-coder-x"})
case(SMOL, "padding_side wrong", tc={"/padding_side": "middle"})
case(SMOL, "padding_side left", tc={"/padding_side": "left", "/truncation_side": "left", "/model_max_length": 5})
case(SMOL, "split_special_tokens", tc={"/split_special_tokens": True})
case(SMOL, "errors", tc={"/errors": "strict", "/do_lower_case": True, "/legacy": False})
for base in (SMOL, HF, GPT2, LLAMA3, QWEN2):
    for value in (True, False, None):
        case(base, f"add_prefix_space {value}", tc={"/add_prefix_space": value})
case(SMOL, "add_prefix_space absent", f"{TC}#/add_prefix_space")
case(SMOL, "add_prefix_space text", tc={"/add_prefix_space": "no"})
case(QWEN2, "add_prefix_space text", tc={"/add_prefix_space": "no"})
case(SPM, "add_prefix_space", tc={"/add_prefix_space": True})
case(HF, "legacy false", tc={"/legacy": False})
case(HF, "clean_up_tokenization_spaces", tc={"/clean_up_tokenization_spaces": True})

# Model, merges, normalizer and the rest of tokenizer.json.
case(GPT2, "merges absent", "tokenizer.json#/model/merges", unsupported=True)
case(GPT2, "merges absent, merges.txt", "tokenizer.json#/model/merges", files={"merges.txt": "#version: 0.2\nĠ t\nĠ a\n\nmal formed line\n  h e  \n"}, unsupported=True)
case(GPT2, "merges.txt beside", files={"merges.txt": "Ġ t\n"})
case(GPT2, "merges empty", t={"/model/merges": []})
case(GPT2, "merges empty, merges.txt", t={"/model/merges": []}, files={"merges.txt": "Ġ t\r\nĠ a\rh e\x0cx\x85y\n#\n"})
case(GPT2, "merges empty, merges.txt without header", t={"/model/merges": []}, files={"merges.txt": "\n#version\nĠ t\n"})
case(SMOL, "merges empty, merges.txt", t={"/model/merges": []}, files={"merges.txt": "Ġ t\n"})
case(SMOL, "merges null", t={"/model/merges": None})
case(SMOL, "merges as pairs", t={"/model/merges": [["Ġ", "t"], ["Ġ", "a"]]})
case(SMOL, "merges as pairs with spaces", t={"/model/merges": [["a b", "c"]], "/model/vocab/a b": 40000, "/model/vocab/a bc": 40001})
case(SMOL, "merges mixed", t={"/model/merges": ["Ġ t", ["Ġ", "a"]]})
case(SMOL, "merges mixed, pair first", t={"/model/merges": [["Ġ", "t"], "Ġ a"]})
case(SMOL, "merges of three", t={"/model/merges": [["Ġ", "t", "h"]]})
case(SMOL, "merges three words", t={"/model/merges": ["Ġ t h"]})
case(SMOL, "merges with version line", t={"/model/merges": ["#version: 0.2", "Ġ t"]})
case(SMOL, "merges of unknown tokens", t={"/model/merges": ["q x"]})
case(SMOL, "merges numbers", t={"/model/merges": [1]})
case(SMOL, "merges text", t={"/model/merges": "Ġ t"})
case(LLAMA3, "merges as texts", t={"/model/merges": ["Ġ Ġ", "Ġ ĠĠĠ"]})
case(LLAMA3, "ignore_merges false", t={"/model/ignore_merges": False})
case(LLAMA3, "byte_fallback", t={"/model/byte_fallback": True})
case(HF, "byte_fallback false", t={"/model/byte_fallback": False})
case(HF, "byte_fallback absent", "tokenizer.json#/model/byte_fallback")
case(HF, "ignore_merges", t={"/model/ignore_merges": True})
case(HF, "ignore_merges, no byte_fallback", "tokenizer.json#/model/byte_fallback", t={"/model/ignore_merges": True})
case(HF, "decoder null", t={"/decoder": None})
case(HF, "decoder absent", "tokenizer.json#/decoder")
case(HF, "decoder ByteLevel", t={"/decoder": BYTE_LEVEL})
case(HF, "merges as pairs", t={"/model/merges": [["▁", "t"]]})
case(HF, "merges empty", t={"/model/merges": []})
case(HF, "merges absent", "tokenizer.json#/model/merges", unsupported=True)
case(HF, "model type absent", "tokenizer.json#/model/type")
case(HF, "gap in the ids", "tokenizer.json#/model/vocab/▁t")
case(HF, "two tokens with one id", t={"/model/vocab/new": 100})
case(HF, "id beyond the base", "tokenizer.json#/model/vocab/▁t", t={"/model/vocab/▁t": 600})
case(HF, "vocab_size smaller", c={"/vocab_size": 300})
case(HF, "vocab_size larger", c={"/vocab_size": 600})
case(HF, "byte token in lower case", "tokenizer.json#/model/vocab/<0x0A>", t={"/model/vocab/<0x0a>": 13})
case(HF, "Unigram", t={"/model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0]], "byte_fallback": True}}, unsupported=True)
case(SMOL, "Unigram", t={"/model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0]]}, "/added_tokens": []}, unsupported=True)
case(SMOL, "Unigram, backend", tc={"/tokenizer_class": "TokenizersBackend"}, t={"/model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0]]}, "/added_tokens": []})
case(SMOL, "WordPiece", tc={"/tokenizer_class": "TokenizersBackend"}, t={"/model": {"type": "WordPiece", "unk_token": END, "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {END: 0, "a": 17}}, "/added_tokens": []})
case(SMOL, "WordLevel", tc={"/tokenizer_class": "TokenizersBackend"}, t={"/model": {"type": "WordLevel", "unk_token": END, "vocab": {END: 0, "a": 17}}, "/added_tokens": []})
case(SMOL, "model type unknown", t={"/model/type": "X"})
case(SMOL, "model absent", "tokenizer.json#/model")
case(SMOL, "unk_token in the model", t={"/model/unk_token": END})
case(SMOL, "dropout", t={"/model/dropout": 0.0})
case(SMOL, "version unknown", t={"/version": "2.0"})
case(SMOL, "version unknown, backend", t={"/version": "2.0"}, tc={"/tokenizer_class": "TokenizersBackend"})
case(SMOL, "truncation", t={"/truncation": {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}})
# The reference fills the padding's token in where the class has no default for it.
PADDING = {"strategy": {"Fixed": 300}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "<newpad>"}
case(SMOL, "padding", t={"/padding": PADDING})
case(SMOL, "padding, no pad_token", f"{TC}#/pad_token", t={"/padding": PADDING})
case(SMOL, "padding, no pad_token, backend", f"{TC}#/pad_token", t={"/padding": PADDING}, tc={"/tokenizer_class": "TokenizersBackend"})
case(HF, "padding", t={"/padding": PADDING}, c={"/vocab_size": 500})
case(SMOL, "padding, pad_token null, backend", t={"/padding": PADDING}, tc={"/tokenizer_class": "TokenizersBackend", "/pad_token": None})
for name, normalizer in {
    "Lowercase": {"type": "Lowercase"},
    "StripAccents": {"type": "StripAccents"},
    "Bert": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    "Bert false": {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False},
    "Bert partly": {"type": "BertNormalizer"},
    "Sequence": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}]},
    "Sequence then Bert": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": False, "lowercase": None}]},
    "Sequence nested": {"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}]},
    "unknown": {"type": "X"},
    "list": [{"type": "Lowercase"}],
    "empty": {},
    "text": "NFC",
}.items():
    case(GPT2, f"normalizer {name}", t={"/normalizer": normalizer})
    case(LLAMA3, f"normalizer {name}", t={"/normalizer": normalizer})
for name, pre in {
    "null": None, "absent": ..., "ByteLevel": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "Metaspace": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    "Whitespace": {"type": "Whitespace"},
    "bad regex": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False},
    "unknown": {"type": "X"},
}.items():
    remove = ["tokenizer.json#/pre_tokenizer"] if pre is ... else []
    change = {} if pre is ... else {"t": {"/pre_tokenizer": pre}}
    case(LLAMA3, f"pre_tokenizer {name}", *remove, **change)
    case(SMOL, f"pre_tokenizer {name}", *remove, **change)

# Sizes.
case(GPT2, "vocab_size absent", "config.json#/vocab_size")
case(QWEN2, "vocab_size absent", "config.json#/vocab_size")
case(SPM, "vocab_size absent", "config.json#/vocab_size")
case(SMOL, "vocab_size smaller", c={"/vocab_size": 17})
case(SMOL, "vocab_size just right", c={"/vocab_size": 49153})
case(GPT2, "vocab_size of CodeLlama", c={"/vocab_size": 32016})
case(SPM, "vocab_size of CodeLlama", c={"/vocab_size": 32016})
case(HF, "vocab_size of CodeLlama", c={"/vocab_size": 32016})
case(HF, "vocab_size of CodeLlama, names", c={"/vocab_size": 32016, "/prefix_token_id": 5, "/eot_token_id": 6}, tc={"/middle_token": "<tool>", "/suffix_token": "</s>"})
case(SMOL, "vocab_size of CodeLlama", c={"/vocab_size": 32016})
case(SPM, "vocab_size of Granite", c={"/vocab_size": 49152})
case(SPM, "vocab_size smaller", c={"/vocab_size": 40})
case(SPM, "vocab_size text", c={"/vocab_size": "512"})
case(SPM, "vocab_size negative", c={"/vocab_size": -1})
case(SMOL, "vocab_size float", c={"/vocab_size": 49152.0})
case(SMOL, "vocab_size null", c={"/vocab_size": None})

# Files.
case(SMOL, "no tokenizer.json", "tokenizer.json", unsupported=True)
case(SMOL, "no tokenizer.json, vocab.json", "tokenizer.json", files={"vocab.json": {END: 0}, "merges.txt": ""}, c={"/vocab_size": 1})
case(QWEN2, "no tokenizer.json", "tokenizer.json", unsupported=True)
case(SMOL, "tokenizer.json broken", files={"tokenizer.json": "{"})
case(SMOL, "tokenizer.json list", files={"tokenizer.json": []})
case(SMOL, "tokenizer.json empty", files={"tokenizer.json": {}})
case(SMOL, "tokenizer_config broken", files={TC: "{"})
case(SMOL, "tokenizer_config list", files={TC: []})
case(SMOL, "tokenizer_config null", files={TC: "null"})
case(SPM, "tokenizer_config list", files={TC: []})
case(SPM, "tokenizer.json beside", files={"tokenizer.json": {"added_tokens": [{"id": 1, "content": "<s>"}], "post_processor": BYTE_LEVEL, "normalizer": {"type": "Lowercase"}}})
case(SPM, "tokenizer.json empty beside", files={"tokenizer.json": {}})
case(SPM, "tokenizer.json broken beside", files={"tokenizer.json": "{"})
case(SPM, "tokenizer.model broken", files={"tokenizer.model": "x"})
case(SPM, "tokenizer.model empty", files={"tokenizer.model": ""})
case(SPM, "Qwen2", c={"/architectures": ["Qwen2ForCausalLM"], "/model_type": "qwen2"})
case(SPM, "Qwen3", c={"/architectures": ["Qwen3ForCausalLM"], "/model_type": "qwen3", "/head_dim": 16})
case(HF, "Qwen2", c={"/architectures": ["Qwen2ForCausalLM"], "/model_type": "qwen2"})
case(GPT2, "Qwen3", c={"/architectures": ["Qwen3ForCausalLM"], "/model_type": "qwen3", "/head_dim": 16})
case(QWEN2, "Llama", c={"/architectures": ["LlamaForCausalLM"], "/model_type": "llama"})
case(GPT2, "generation_config", files={"generation_config.json": {"eos_token_id": 5}})

vocab_routes.add(case, token, template)


def place(files: dict, path: str) -> tuple:
    """The container and key a changed place stands for."""
    name, _, pointer = path.partition("#")
    if not pointer:
        return files, name
    at = files[name]
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for part in parents:
        at = at[int(part)] if isinstance(at, list) else at[part]
    return at, (last if isinstance(at, dict) else len(at) if last == "-" else int(last))


def write(case: dict, dir: Path) -> None:
    """Writes the model directory of a case; tests/vocab.rs does the same."""
    files = {"config.json": json.loads(json.dumps(BASES[case["base"]]))}
    for path in (ROOT / "tests/tokenizers" / case["base"]).iterdir():
        if path.name != "expected.json":
            files[path.name] = json.loads(path.read_text()) if path.suffix == ".json" else path.read_bytes()
    for path in case.get("remove", []):
        at, key = place(files, path)
        at.pop(key, None)
    for path, value in case.get("set", {}).items():
        at, key = place(files, path)
        if isinstance(at, list) and key == len(at):
            at.append(None)
        at[key] = json.loads(json.dumps(value))
    for name, content in files.items():
        path = dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, (str, bytes)):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            path.write_text(json.dumps(content))


class Hash(logging.Handler):
    """Catches the hash that the reference prints of token ids it does not know."""
    value = None

    def emit(self, record: logging.LogRecord) -> None:
        if found := re.search(r"chkhsh:\s+([0-9a-f]{64})", record.getMessage()):
            self.value = found[1]


def convert(converter, catch: Hash, model: Path, out: Path, route: str | None) -> dict:
    sys.argv = ["convert_hf_to_gguf.py", str(model), "--vocab-only", "--outfile", str(out)]
    catch.value = None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            vocab_routes.convert(route, model, out) if route else converter.main()
    except BaseException as e:  # SystemExit, and what the tokenizers library panics with
        out.unlink(missing_ok=True)
        if isinstance(e, KeyboardInterrupt):
            raise
        if isinstance(e, NotImplementedError) and catch.value:
            return {"unknown_hash": catch.value}
        text = (str(e).splitlines() or [""])[0].replace(str(model), "@dir")
        return {"raises": f"{type(e).__name__}: {text[:100]}"}
    return {"keys": [line for line in Manifest(out.read_bytes()).keys if line.startswith("tokenizer.")]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_cpp", type=Path)
    parser.add_argument("ids", nargs="*")
    parser.add_argument("--keep", type=Path, metavar="DIR")
    args = parser.parse_args()

    os.environ["TQDM_DISABLE"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.path.insert(0, str(args.llama_cpp))
    import convert_hf_to_gguf as converter
    import transformers
    transformers.logging.set_verbosity_error()
    logging.basicConfig(level=logging.WARNING, handlers=[catch := Hash()])

    ids = [c["id"] for c in CASES]
    assert len(set(ids)) == len(ids), [id for id in ids if ids.count(id) > 1]
    if unknown := set(args.ids) - set(ids):
        parser.error(f"no such case: {', '.join(unknown)}")
    old = {c["id"]: c for c in json.loads(OUTPUT.read_text())["cases"]} if args.ids else {}
    work = args.keep or Path(tempfile.mkdtemp(prefix="goldens-"))
    results = []
    try:
        for case in CASES:
            if args.ids and case["id"] not in args.ids:
                results += [old[case["id"]]] if case["id"] in old else []
                continue
            # A directory with the same name for all, since the metadata's heuristics look at it.
            model = work / re.sub(r"\W+", "-", case["id"]) / "model"
            shutil.rmtree(model.parent, ignore_errors=True)
            model.mkdir(parents=True)
            write(case, model)
            results.append({**case, "expected": convert(converter, catch, model, model.parent / "vocab.gguf", case.get("route"))})
            if not args.keep:
                shutil.rmtree(model.parent)
    finally:
        if not args.keep:
            shutil.rmtree(work)
    outcomes = [next(iter(c["expected"])) for c in results]
    print({outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))})

    packages = ["transformers", "tokenizers", "sentencepiece"]
    reference = recorded_with(*packages)
    head = json.dumps({"reference": reference, "bases": BASES}, ensure_ascii=False, indent=1)
    lines = ",\n".join("  " + json.dumps(c, ensure_ascii=False) for c in results)
    OUTPUT.write_text(f"{head[:-2]},\n \"cases\": [\n{lines}\n ]\n}}\n")


if __name__ == "__main__":
    main()
