"""What the parts share: file systems in images, a model small enough to convert a thousand times, and running ggraft."""

import hashlib
import json
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# Columns of the parts' tables that count what must not happen.
FAULTS = ("lost", "mixed", "silent", "leftovers", "failed")

FILE_SYSTEMS = {
    "xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"],
    "ext4": ["mkfs.ext4", "-q"],
    "btrfs": ["mkfs.btrfs", "-q"],
}

_mounted: list[Path] = []
_lock = threading.Lock()


@dataclass
class Context:
    """What a part is told."""

    ggraft: Path
    # Whether it has to be done within seconds.
    short: bool
    # A directory of its own for everything.
    top: Path
    # Flags for every conversion.
    flags: list[str] = field(default_factory=list)

    def convert(self, model: Path, out: Path, *flags: str) -> list[str]:
        """The command line of a conversion."""
        line = [self.ggraft, "convert", model, "--outfile", out, "--quiet", *self.flags, *flags]
        return [str(word) for word in line]


def call(*line) -> None:
    done = subprocess.run([str(word) for word in line], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, line))}: {done.stderr or done.stdout}")


def make_image(path: Path, kind: str, size: int) -> None:
    with path.open("wb") as image:
        image.truncate(size)
    call(*FILE_SYSTEMS[kind], path)


def mount(image: Path, at: Path) -> Path:
    at.mkdir(parents=True, exist_ok=True)
    # One at a time: `mount` looks for a free loop device and takes it in two steps.
    with _lock:
        call("mount", "-o", "loop", image, at)
        _mounted.append(at)
    return at


def unmount(at: Path) -> None:
    call("umount", at)
    with _lock:
        _mounted.remove(at)


def unmount_all() -> None:
    for at in reversed(_mounted):
        subprocess.run(["umount", "--lazy", str(at)], capture_output=True)


def make_model(at: Path) -> Path:
    """A Llama of 10 MB with random weights, aligned so that all it can share is shared."""
    source = REPOSITORY / "tests/models/tiny-llama"
    at.mkdir()
    for path in source.iterdir():
        if path.suffix != ".safetensors" and path.name != "config.json":
            shutil.copy(path, at)
    config = json.loads((source / "config.json").read_text())
    hidden, inner, layers = 512, 1024, 2
    config |= {"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers, "head_dim": 64,
               "num_attention_heads": 8, "num_key_value_heads": 8}
    (at / "config.json").write_text(json.dumps(config))

    matrices = {"model.embed_tokens.weight": [config["vocab_size"], hidden]}
    norms = ["model.norm.weight"]
    for n in range(layers):
        layer = f"model.layers.{n}."
        matrices |= {f"{layer}self_attn.{name}_proj.weight": [hidden, hidden] for name in "qkvo"}
        matrices |= {f"{layer}mlp.{name}_proj.weight": [inner, hidden] for name in ("gate", "up")}
        matrices[f"{layer}mlp.down_proj.weight"] = [hidden, inner]
        norms += [f"{layer}{name}_layernorm.weight" for name in ("input", "post_attention")]
    if not config.get("tie_word_embeddings"):
        matrices["lm_head.weight"] = [config["vocab_size"], hidden]
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in [*matrices.items(), *((name, [hidden]) for name in norms)]:
        start, end = end, end + 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 4096)
    # Exponents of ordinary weights, whatever the rest.
    weights = bytearray(os.urandom(end))
    weights[1::2] = bytes(0x3C | b & 0x80 for b in weights[1::2])
    (at / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + weights)
    return at


def hashes(paths: list[Path]) -> dict[str, str]:
    """A hash by name for each file that is there."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()}


def outputs(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix == ".gguf")


def leftovers(directory: Path) -> list[str]:
    """Hidden names that ggraft made."""
    return [path.name for path in directory.iterdir() if path.name.startswith(".") and ".ggraft-" in path.name]
