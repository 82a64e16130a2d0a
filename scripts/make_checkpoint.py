#!/usr/bin/env python3
"""Makes checkpoints with the exact headers of published models, from their shapes alone.

    scripts/make_checkpoint.py llama-3.2-1b OUT_DIR [--weights zero|written|random] [--align N] [--quantized KIND] [--tokenizer DIR]

Tensor names, order, dtype, shard borders (5 GB in state-dict order, as `save_pretrained` cuts them) and
header padding are those of the Hugging Face writer. With `--weights zero` the data are holes, so 100 GB
take kilobytes; clones of holes take no space and copies do, so the blocks of an output show what
was not shared. With `--weights written` they are zeros on the disk. `--align N` pads headers so that data starts on a multiple of N bytes, which is legal.
`--quantized fp8` stores linear layers as FP8 with a scale for each block of 128 × 128, as Qwen publishes them; `nvfp4` as
ModelOpt does, `gptq` as GPTQ does, with four bits.
Needs only Python; `random` needs numpy.
"""

import argparse
import json
import math
import shutil
from pathlib import Path

from published_shapes import MODELS

SHARD_LIMIT = 5 * 10**9
FP8_BLOCK = 128
SIZES = {"I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "F8_E8M0": 1, "F8_E4M3": 1, "I8": 1, "U8": 1}
GPTQ_GROUP = 128


def in_fp8(found: dict[str, tuple]) -> dict[str, tuple]:
    """The same with linear layers in FP8."""
    made = {}
    for name, (dtype, shape) in found.items():
        linear = "_proj" in name and len(shape) == 2
        made[name] = ("F8_E4M3" if linear else dtype, shape)
        if linear:
            made[name + "_scale_inv"] = ("F32", [-(-n // FP8_BLOCK) for n in shape])
    return made


def in_nvfp4(found: dict[str, tuple]) -> dict[str, tuple]:
    """The same with linear layers in NVFP4."""
    made = {}
    for name, (dtype, shape) in found.items():
        if "_proj." not in name:
            made[name] = (dtype, shape)
            continue
        rows, columns = shape
        made[name] = ("U8", [rows, columns // 2])
        made[name + "_scale"] = ("F8_E4M3", [rows, columns // 16])
        made |= {name + "_scale_2": ("F32", []), name.replace("weight", "input_scale"): ("F32", [])}
    return made


def in_gptq(found: dict[str, tuple]) -> dict[str, tuple]:
    """The same with linear layers in four bits as GPTQ has them."""
    made = {}
    for name, (dtype, shape) in found.items():
        if "_proj." not in name:
            made[name] = ("F16", shape)
            continue
        (rows, columns), base = shape, name.removesuffix("weight")
        groups = columns // GPTQ_GROUP
        made |= {base + "qweight": ("I32", [columns // 8, rows]), base + "qzeros": ("I32", [groups, rows // 8]),
                 base + "scales": ("F16", [groups, rows]), base + "g_idx": ("I32", [columns])}
    return made


QUANTIZED = {
    "fp8": (in_fp8, {"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3", "weight_block_size": [FP8_BLOCK] * 2}),
    "nvfp4": (in_nvfp4, {"quant_method": "modelopt", "quant_algo": "NVFP4"}),
    "gptq": (in_gptq, {"quant_method": "gptq", "bits": 4, "group_size": GPTQ_GROUP, "desc_act": False, "sym": True}),
}


def size(tensor: tuple[str, list[int]]) -> int:
    dtype, shape = tensor
    return SIZES[dtype] * math.prod(shape)


def shards(found: dict[str, tuple]) -> list[list[str]]:
    """Cuts where the next tensor would exceed the limit."""
    cut, filled = [[]], 0
    for name, tensor in found.items():
        if filled and filled + size(tensor) > SHARD_LIMIT:
            cut.append([])
            filled = 0
        cut[-1].append(name)
        filled += size(tensor)
    return cut


def write_shard(path: Path, names: list[str], found: dict, weights: str, align: int) -> None:
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(names, key=lambda name: (-SIZES[found[name][0]], name)):
        start, end = end, end + size(found[name])
        dtype, shape = found[name]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-(-(8 + len(text)) // align) * align - 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        if weights == "random":
            import numpy as np
            rng = np.random.default_rng(len(names))
            for left in range(end, 0, -(1 << 24)):
                values = rng.integers(0, 1 << 16, min(left, 1 << 24) // 2, dtype=np.uint16)
                # Small numbers of either sign whatever the dtype, so that nothing is infinite or no number.
                file.write(((values & 0x8FBF) | 0x3000).tobytes())
        if weights == "written":
            for left in range(end, 0, -(1 << 24)):
                file.write(bytes(min(left, 1 << 24)))
        file.truncate(8 + len(text) + end)
        for name in names:
            if name.endswith(".g_idx"):
                file.seek(8 + len(text) + header[name]["data_offsets"][0])
                file.write(b"".join((at // GPTQ_GROUP).to_bytes(4, "little") for at in range(found[name][1][0])))


def write(out: Path, config: dict, found: dict[str, tuple], parts: list[list[str]], weights="zero", align=8) -> None:
    """Writes a model's directory but for the tokenizer."""
    out.mkdir(parents=True, exist_ok=True)
    if len(parts) == 1:
        files = ["model.safetensors"]
    else:
        files = [f"model-{i + 1:05}-of-{len(parts):05}.safetensors" for i in range(len(parts))]
        index = {"metadata": {"total_size": sum(map(size, found.values()))},
                 "weight_map": {name: file for file, names in zip(files, parts) for name in names}}
        (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    for file, names in zip(files, parts):
        write_shard(out / file, names, found, weights, align)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", choices=["zero", "written", "random"], default="zero")
    parser.add_argument("--align", type=int, default=8)
    parser.add_argument("--quantized", choices=QUANTIZED)
    parser.add_argument("--layers", type=int, help="another number of layers than the model has (Llamas only)")
    parser.add_argument("--tokenizer", type=Path, help="directory with tokenizer files to copy")
    args = parser.parse_args()
    config, found, dtype = MODELS[args.model](**({"layers": args.layers} if args.layers else {}))
    found = {name: shape if isinstance(shape, tuple) else (dtype, shape) for name, shape in found.items()}
    if args.quantized:
        found = QUANTIZED[args.quantized][0](found)
    config |= {"torch_dtype": {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}[dtype]}
    if args.quantized:
        config["quantization_config"] = QUANTIZED[args.quantized][1]
    write(args.out, config, found, shards(found), args.weights, args.align)
    for file in args.tokenizer.iterdir() if args.tokenizer else ():
        shutil.copy(file, args.out)


if __name__ == "__main__":
    main()
