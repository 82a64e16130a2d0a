#!/usr/bin/env python3
"""Puts seeds for each fuzz target into a directory, from what the other tests are made of.

    tests/fuzz/seeds.py DIRECTORY
"""

import base64
import itertools
import json
import re
import struct
import sys
import zipfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
DTYPES = {"f64": "F64", "i64": "I64", "f32": "F32", "i32": "I32", "bf16": "BF16", "f16": "F16", "i16": "I16", "i8": "I8",
          "u8": "U8", "bool": "BOOL", "f8_e4m3": "F8_E4M3", "f8_e5m2": "F8_E5M2"}
# What is longer is changed too slowly.
LONGEST = 100_000


def expand(name: str) -> list[str]:
    """`a.{0-1}.b` stands for two names."""
    parts = re.split(r"\{(\d+)-(\d+)\}", name)
    ranges = [range(int(a), int(b) + 1) for a, b in zip(parts[1::3], parts[2::3])]
    return ["".join(itertools.chain(*itertools.zip_longest(parts[::3], map(str, numbers), fillvalue="")))
            for numbers in itertools.product(*ranges)]


def dtype_of(weights: dict, name: str) -> str:
    found = weights["dtype"]
    for part, dtype in weights.get("dtypes", []):
        if part in name:
            found = dtype
    return DTYPES[found]


def models() -> list[bytes]:
    """Configurations with their tensors."""
    found = []
    for path in sorted((TESTS / "conformance").glob("*.json")):
        for case in json.loads(path.read_text())["cases"]:
            model = case["model"]
            weights = model["weights"]
            tensors = [[name, DTYPES[listed[2]] if len(listed) > 2 else dtype_of(weights, name), listed[1]]
                       for listed in weights.get("tensors") or [] for name in expand(listed[0])]
            found.append({"config": model.get("config"), "tensors": tensors})
    golden = json.loads((TESTS / "golden/arch.json").read_text())
    for case in golden["cases"]:
        tensors = case["tensors"]
        tensors = golden["shared"][tensors] if isinstance(tensors, int) else tensors
        found.append({"config": case["config"], "tensors": tensors})
    return [json.dumps(model).encode() for model in found]


def cards() -> list[bytes]:
    cases = json.loads((TESTS / "golden/metadata.json").read_text())["cases"]
    return [case["card"].encode() for case in cases if isinstance(case.get("card"), str)]


def pickles() -> list[bytes]:
    found = []
    for path in sorted((TESTS / "models/torch").glob("*/*.bin")):
        found.append(path.read_bytes())
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found += [archive.read(name) for name in archive.namelist() if name.endswith(".pkl")]
    return found


def safetensors() -> list[bytes]:
    def file(header: object, data: int, padding: int = 0) -> bytes:
        text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
        text += b" " * padding
        return struct.pack("<Q", len(text)) + text + bytes(data)
    two = {"__metadata__": {"format": "pt"}, "a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
           "b.weight": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [12, 16]}}
    return [file({}, 0), file(two, 16), file(two, 16, 8), file(two, 15), file('{"a":{"dtype":"F32","shape":[],'
            '"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', 4),
            file({"a": {"dtype": "F4", "shape": [2**32, 2**32], "data_offsets": [0, 2**63]}}, 4)]


def ggufs() -> list[bytes]:
    text = lambda s: struct.pack("<Q", len(s)) + s
    key = lambda name, kind, value: text(name) + struct.pack("<I", kind) + value
    keys = [key(b"general.architecture", 8, text(b"llama")), key(b"general.alignment", 4, struct.pack("<I", 32)),
            key(b"llama.block_count", 4, struct.pack("<I", 1)),
            key(b"tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 2) + text(b"a") + text(b"b")),
            key(b"scores", 9, struct.pack("<IQ2f", 6, 2, 0.5, 1.0)),
            key(b"nested", 9, struct.pack("<IQIQ", 9, 1, 0, 1) + b"\1"), key(b"yes", 7, b"\1"),
            key(b"i64", 11, struct.pack("<q", -1)), key(b"f64", 12, struct.pack("<d", 1e300))]
    tensor = lambda name, shape, kind, at: text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, at)
    tensors = [tensor(b"a.weight", [32, 2], 0, 0), tensor(b"b.weight", [32], 8, 256), tensor(b"c", [1, 2, 3, 4], 1, 320)]
    found = []
    for version, k, t in [(3, 9, 3), (2, 1, 3), (3, 0, 0), (1, 1, 1), (3, 4, 1)]:
        header = b"GGUF" + struct.pack("<IQQ", version, t, k) + b"".join(keys[:k]) + b"".join(tensors[:t])
        found.append(header + bytes(-len(header) % 32) + bytes(384))
    return found


def tiktokens() -> list[bytes]:
    tokens = [bytes([b]) for b in range(256)] + [b"th", b"the", b" the", b"in", b" a"]
    lines = [base64.b64encode(token) + b" %d" % rank for rank, token in enumerate(tokens)]
    return [b"\n".join(lines) + b"\n", b"\n".join(lines[:4]), b"YQ== 0\nYg== 1\nYWI= 2\n"]


def tokenizers(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((TESTS / "tokenizers").glob(f"*/{pattern}"))]


def tokenizer_jsons() -> list[bytes]:
    small = []
    for kind, more in [("BPE", {"merges": ["a b"], "byte_fallback": True}), ("WordPiece", {"unk_token": "a"}),
                       ("Unigram", {"vocab": [["a", 0.0], ["b", -1.5], ["▁", -2]], "unk_id": 0}), ("WordLevel", {})]:
        model = {"type": kind, "vocab": {"a": 0, "b": 1, "ab": 2}, "unk_token": "a"} | more
        for pre in [None, {"type": "ByteLevel", "add_prefix_space": False},
                    {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}| ?\\p{L}+"},
                                                            "behavior": "Isolated", "invert": False}]},
                    {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}, {"type": "BertPreTokenizer"}]:
            added = [{"id": 3, "content": "<s>", "special": True, "normalized": False, "lstrip": False, "rstrip": False,
                      "single_word": False}]
            small.append(json.dumps({"version": "1.0", "added_tokens": added, "pre_tokenizer": pre, "model": model,
                                     "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace",
                                     "pattern": {"String": " "}, "content": "▁"}]},
                                     "decoder": {"type": "ByteLevel"}, "post_processor": None}).encode())
    return small + tokenizers("tokenizer.json")


def indexes() -> list[bytes]:
    files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    found = [{"metadata": {"total_size": 8}, "weight_map": dict(zip("ab", files))}, {"weight_map": {}},
             {"weight_map": {"a": "../x", "b": files[0]}}, {"weight_map": {"a": files[0], "b": files[0], "c": files[1]}}]
    return [json.dumps(index).encode() for index in found]


SEEDS = {
    "safetensors": safetensors, "index": indexes, "config": models, "tokenizer_json": tokenizer_jsons,
    "sentencepiece": lambda: tokenizers("*.model"), "tekken": lambda: tokenizers("tekken.json"), "tiktoken": tiktokens,
    "card": cards, "pickle": pickles, "gguf": ggufs, "plan": lambda: [bytes(range(n, 256)) for n in range(0, 200, 7)],
}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for target, seeds in SEEDS.items():
        directory = Path(sys.argv[1]) / target
        directory.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds()):
            if len(seed) <= LONGEST:
                (directory / f"{number:04}").write_bytes(seed)


if __name__ == "__main__":
    main()
