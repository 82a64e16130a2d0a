#!/usr/bin/env python3
"""Regenerate tests/golden/kernels.json: what the reference's element conversions give, NaNs included.

    python scripts/goldens/kernels.py LLAMA_CPP_DIR

Every F16 and every BF16 goes in; of F32, every upper half with the lower halves that matter to
rounding. Each conversion is also run on shifted, cut and misaligned arrays: if an element's result
depended on where it lies (vector loop or tail), there would be no one right answer, and this says so.
"""

import hashlib
import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
import torch

OUT = Path(__file__).resolve().parents[2] / "tests/golden/kernels.json"

# Lower halves: none, least, halves of BF16's last place and their neighbours; then the same for F16,
# whose last place is bit 13.
LOW_HALVES = [0x0000, 0x0001, 0x7fff, 0x8000, 0x8001, 0xffff, 0x0fff, 0x1000, 0x1001, 0x2fff, 0x3000, 0x3001]
BLOCKS = 256

SAMPLES = {
    "F16": [0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0x3c04, 0x3c0c, 0x7bff, 0x7c00, 0xfc00, 0x7c01, 0xfdff,
            0x7e00, 0x7e01, 0xffff],
    "BF16": [0x0000, 0x8000, 0x0001, 0x3300, 0x3301, 0x33c0, 0x3f80, 0x477f, 0x4780, 0x7f7f, 0x7f80, 0xff80, 0x7f81,
             0xffbf, 0x7fc0, 0xffff],
    "F32": [0x00000000, 0x80000000, 0x00000001, 0x33000000, 0x33000001, 0x3f801000, 0x3f803000, 0x3f808000, 0x3f818000,
            0x477f0fff, 0x477f1000, 0x477f3000, 0x7f7f7fff, 0x7f7f8000, 0x7f800000, 0xff800000, 0x7f800001, 0xff801000,
            0x7f808000, 0x7fbfffff, 0x7fc00000, 0xffc01001, 0xffffffff],
}


def inputs(dtype: str) -> np.ndarray:
    if dtype != "F32":
        return np.arange(0x10000, dtype=np.uint16)
    upper = np.arange(0x10000, dtype=np.uint32)[:, None] << 16
    return (upper | np.array(LOW_HALVES, dtype=np.uint32)).ravel()


def convert(bits: np.ndarray, source: str, target: str, gguf) -> np.ndarray:
    """Bits in, bits out, by the steps of prepare_tensors() in conversion/base.py."""
    dtypes = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    tensor = torch.from_numpy(bits.view(np.uint8)).view(dtypes[source])
    if tensor.dtype not in (torch.float16, torch.float32):
        tensor = tensor.to(torch.float32)
    data = gguf.quants.quantize(tensor.numpy(), gguf.GGMLQuantizationType[target])
    return np.ascontiguousarray(data).view(np.uint32 if target == "F32" else np.uint16)


def check_position_independence(bits: np.ndarray, result: np.ndarray, source: str, target: str, gguf) -> None:
    for shift in range(33):
        for length in (1, 7, 31, 64, 1000, len(bits)):
            part = bits[shift:shift + length]
            assert (convert(part, source, target, gguf) == result[shift:shift + length]).all(), (source, target, shift, length)
    # NaNs of either sign, in arrays shorter than a vector and just longer
    for start in range(len(bits) - 100, len(bits)) if source != "F32" else range(len(bits) - 1000, len(bits)):
        assert (convert(bits[start:], source, target, gguf) == result[start:]).all(), (source, target, start)
    shifted = np.frombuffer(bytearray(b"\0" + bits.tobytes()), dtype=np.uint8)[1:].view(bits.dtype)
    assert not shifted.flags.aligned
    assert (convert(shifted, source, target, gguf) == result).all(), (source, target, "misaligned")


def hexadecimal(value: int, dtype: str) -> str:
    return f"{value:0{8 if dtype == 'F32' else 4}x}"


def main() -> None:
    sys.path.insert(0, sys.argv[1] + "/gguf-py")
    import gguf

    kernels = []
    for source in ("F32", "F16", "BF16"):
        bits = inputs(source)
        with np.errstate(over="ignore"):
            for target in ("F32", "F16", "BF16"):
                result = convert(bits, source, target, gguf)
                check_position_independence(bits, result, source, target, gguf)
                one = lambda value: int(convert(np.array([value], dtype=bits.dtype), source, target, gguf)[0])  # noqa: E731
                kernels.append({
                    "from": source, "to": target, "sha256": hashlib.sha256(result.tobytes()).hexdigest(),
                    "samples": {hexadecimal(v, source): hexadecimal(one(v), target) for v in SAMPLES[source]},
                    "blocks": " ".join(hashlib.sha256(b.tobytes()).hexdigest()[:8] for b in np.split(result, BLOCKS)),
                })
    reference = {"llama-cpp-python": "0.3.36", **{p: importlib.metadata.version(p) for p in ("numpy", "torch")}}
    content = {"reference": reference, "f32_low_halves": [f"{v:04x}" for v in LOW_HALVES], "kernels": kernels}
    OUT.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
