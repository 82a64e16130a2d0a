"""What becomes of a model directory once it is written: weights in files of other names and of another kind, config.json in another hand."""

import json
from pathlib import Path

INDEX = "model.safetensors.index.json"


def rename(model: Path) -> None:
    """Other names than usual, which the index has to name if there is one."""
    names = {p.name: p.name.replace("model-", "model.part-") for p in model.glob("model-*.safetensors")}
    for old, new in names.items():
        (model / old).rename(model / new)
    if (model / INDEX).exists():
        write_index(model, INDEX, names)


def write_index(model: Path, name: str, names: dict[str, str]) -> None:
    content = json.loads((model / INDEX).read_text())
    content["weight_map"] = {k: names.get(v, v) for k, v in content["weight_map"].items()}
    (model / name).write_text(json.dumps(content))


def as_torch(model: Path) -> None:
    """The same tensors as torch saves them, in files called pytorch_model."""
    import torch
    from safetensors.torch import load_file

    names = {p.name: p.name.replace("model", "pytorch_model", 1).replace(".safetensors", ".bin") for p in model.glob("model*.safetensors")}
    for old, new in names.items():
        path = model / old
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        tensors = load_file(path)
        torch.save({name: tensors[name] for name in header if name != "__metadata__"}, model / new)
        path.unlink()
    if (model / INDEX).exists():
        write_index(model, "pytorch_model.bin.index.json", names)
        (model / INDEX).unlink()


def respell(model: Path) -> None:
    """config.json with what Python takes beyond JSON, and the same settings twice."""
    path = model / "config.json"
    if not path.exists():
        return
    config = json.loads(path.read_text())
    first = next((key for key, value in config.items() if isinstance(value, int)), None)
    config |= {"time_step_limit": [0.0, float("inf")], "unused": float("nan"), "name": "\ud83d", "large": 10 ** 30, "small": 1e-400}
    text = json.dumps(config, separators=(",", ":"))
    path.write_text((f'{{"{first}":1,' if first else "{") + text[1:])
