"""A model in several shards of a few megabytes, and what its tensors hold; for the parts about sources that change."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from support import REPOSITORY

SHARDS = 6


def make(at: Path) -> Path:
    """A Llama in six shards of 8 MB, no tensor of which lies on a block boundary."""
    source = REPOSITORY / "tests/models/tiny-llama"
    at.mkdir(parents=True)
    for path in source.iterdir():
        if path.suffix != ".safetensors" and path.name != "config.json":
            shutil.copy(path, at)
    config = json.loads((source / "config.json").read_text())
    config |= {"hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": SHARDS, "head_dim": 64,
               "num_attention_heads": 8, "num_key_value_heads": 8, "tie_word_embeddings": True}
    (at / "config.json").write_text(json.dumps(config))
    for n in range(SHARDS):
        layer = f"model.layers.{n}."
        shapes = {f"{layer}self_attn.{name}_proj.weight": [512, 512] for name in "qkvo"}
        shapes |= {f"{layer}mlp.{name}_proj.weight": [1024, 512] for name in ("gate", "up")}
        shapes |= {f"{layer}mlp.down_proj.weight": [512, 1024]}
        shapes |= {f"{layer}{name}_layernorm.weight": [512] for name in ("input", "post_attention")}
        if n == 0:
            shapes |= {"model.embed_tokens.weight": [config["vocab_size"], 512], "model.norm.weight": [512]}
        write(at / f"model-{n + 1:05}-of-{SHARDS:05}.safetensors", shapes)
    return at


def write(path: Path, shapes: dict[str, list[int]]) -> None:
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (8 - (8 + len(text)) % 8)
    weights = bytearray(os.urandom(end))
    # Exponents of ordinary weights, whatever the rest.
    weights[1::2] = bytes(0x3C | b & 0x80 for b in weights[1::2])
    path.write_bytes(len(text).to_bytes(8, "little") + text + weights)


def tensors(model: Path) -> dict[str, str]:
    """A hash by name of every tensor; raises if a header cannot be read."""
    found = {}
    for path in sorted(model.glob("model-*.safetensors")):
        data = path.read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        for name, tensor in json.loads(data[8:start]).items():
            if name != "__metadata__":
                begin, end = tensor["data_offsets"]
                found[name] = hashlib.sha256(data[start + begin : start + end]).hexdigest()
    return found


def lost(model: Path, before: dict[str, str]) -> int:
    """How many tensors are not what they were."""
    try:
        now = tensors(model)
    except ValueError:
        return len(before)
    return sum(now.get(name) != digest for name, digest in before.items())
