"""Writes inputs to begin with, a directory a target: the files of tests/tokenizers and tests/models, and for `config` the models
that tests/conformance describes, each as its config.json, a zero, and a line for each tensor."""

import json
import re
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
out = Path(sys.argv[1])


def seed(target: str, name: str, data: bytes) -> None:
    (out / target).mkdir(parents=True, exist_ok=True)
    (out / target / name).write_bytes(data)


def names(pattern: str) -> list[str]:
    """`{0-3}` in a name stands for each of the numbers."""
    found = re.search(r"\{(\d+)-(\d+)\}", pattern)
    if not found:
        return [pattern]
    numbers = range(int(found[1]), int(found[2]) + 1)
    return [name for n in numbers for name in names(pattern[:found.start()] + str(n) + pattern[found.end():])]


for path in sorted((TESTS / "conformance").glob("*.json")):
    seen = set()
    for case in json.loads(path.read_text())["cases"]:
        model = case["model"]
        config, listed = model.get("config"), model["weights"].get("tensors")
        if not config or not listed or (kind := tuple(config.get("architectures", []))) in seen:
            continue
        seen.add(kind)
        lines = [f"{name} BF16 {','.join(map(str, tensor[1]))}" for tensor in listed for name in names(tensor[0])]
        seed("config", f"{path.stem}-{case['id']}", json.dumps(config).encode() + b"\0" + "\n".join(lines).encode())

tiny = TESTS / "models/tiny-llama"
seed("header", "tiny", (tiny / "model.safetensors").read_bytes()[:20000])
seed("card", "tiny", (tiny / "README.md").read_bytes())
shard = "model-00001-of-00001.safetensors"
seed("index", "tiny", json.dumps({"metadata": {"total_size": 238208}, "weight_map": {"model.norm.weight": shard}}).encode())
for path in sorted((TESTS / "tokenizers").glob("*/*")):
    target = {"tokenizer.json": "tokenizer", "tekken.json": "tekken"}.get(path.name, "sentencepiece" if path.suffix == ".model" else None)
    if target and path.stat().st_size < 65536:
        seed(target, path.parent.name, path.read_bytes())
for path in sorted((TESTS / "models/torch").glob("*/*.bin")):
    seed("pickle", f"{path.parent.name}-{path.name}", path.read_bytes())
seed("tiktoken", "bytes", b"".join(b"%s %d\n" % (__import__("base64").b64encode(bytes([n])), n) for n in range(256)))
seed("wordpiece", "words", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nword\n")
seed("gguf", "empty", b"GGUF" + (3).to_bytes(4, "little") + bytes(16))
for path in sorted((TESTS / "handmade").glob("**/*.gguf")):
    seed("gguf", path.stem, path.read_bytes()[:65536])
seed("plan", "some", bytes(range(256)) * 4)
