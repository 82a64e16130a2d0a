#!/usr/bin/env python3
"""Regenerate tests/golden/kernels.json: what the reference's element conversions give, NaNs included.

    python scripts/goldens/kernels.py LLAMA_CPP_DIR

Every element of 8 and 16 bits goes in; of wider ones, every upper 16 bits with the lower bits that matter to
rounding. For types made of blocks they go in backwards, so that no block has its only NaN among the last
few elements: there numpy keeps a part of the NaN's payload, and which elements these are depends on
the width of the processor's vectors. F32 also goes into these types in blocks made for them.

Each conversion is also run on shifted, cut and misaligned arrays: if an element's result depended on
where it lies (vector loop or tail), there would be no one right answer, and this says so.
"""

import hashlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
from versions import recorded_with  # noqa: E402

OUT = Path(__file__).resolve().parents[2] / "tests/golden/kernels.json"

# Lower halves of 32 bits: none, least, halves of BF16's last place and their neighbours; then the same for F16,
# whose last place is bit 13.
LOW_32 = [0x0000, 0x0001, 0x7fff, 0x8000, 0x8001, 0xffff, 0x0fff, 0x1000, 0x1001, 0x2fff, 0x3000, 0x3001]
# Lower 48 of 64 bits, likewise for F32, whose last place is bit 29 of an F64; and for integers of some sizes.
LOW_64 = [0x0, 0x1, 0x0fffffff, 0x10000000, 0x10000001, 0x1fffffff, 0x2fffffff, 0x30000000, 0x30000001,
          0x7fffffffffff, 0x800000000000, 0x800000000001, 0xffffffffffff, 0x1000001, 0x2000002, 0x800000800000,
          0x4000000000, 0x4000000001, 0xc000000000, 0x8000000000]
BLOCKS = 256

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
          "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "BOOL": torch.bool, "U8": torch.uint8,
          "I8": torch.int8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64}
SIZES = {name: torch.empty(0, dtype=dtype).element_size() for name, dtype in DTYPES.items()}
ELEMENTWISE = {"F32": np.uint32, "F16": np.uint16, "BF16": np.uint16}
BLOCKWISE = ["Q8_0", "TQ1_0", "TQ2_0"]

SAMPLES = {
    "F16": [0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0x3c04, 0x3c0c, 0x7bff, 0x7c00, 0xfc00, 0x7c01, 0xfdff,
            0x7e00, 0x7e01, 0xffff],
    "BF16": [0x0000, 0x8000, 0x0001, 0x3300, 0x3301, 0x33c0, 0x3f80, 0x477f, 0x4780, 0x7f7f, 0x7f80, 0xff80, 0x7f81,
             0xffbf, 0x7fc0, 0xffff],
    "F32": [0x00000000, 0x80000000, 0x00000001, 0x33000000, 0x33000001, 0x3f801000, 0x3f803000, 0x3f808000, 0x3f818000,
            0x477f0fff, 0x477f1000, 0x477f3000, 0x7f7f7fff, 0x7f7f8000, 0x7f800000, 0xff800000, 0x7f800001, 0xff801000,
            0x7f808000, 0x7fbfffff, 0x7fc00000, 0xffc01001, 0xffffffff],
    "F64": [0x3ff0000010000000, 0x3ff0000030000000, 0x36a0000000000000, 0x3690000000000001, 0x47efffffffffffff,
            0x7ff0000000000001, 0xfff4000020000000, 0x7ff8000000000000],
    "F8_E4M3": [0x00, 0x80, 0x01, 0x07, 0x08, 0x38, 0x7e, 0x7f, 0xff],
    "F8_E5M2": [0x00, 0x80, 0x01, 0x03, 0x04, 0x3c, 0x7b, 0x7c, 0x7d, 0x7e, 0xff],
    "BOOL": [0x00, 0x01, 0x02, 0xff],
    "I64": [0x7fffffffffffffff, 0x8000000000000000, 0x0000000001000001, 0xffffffffffffffff],
}


def patterns(dtype: str) -> np.ndarray:
    size = SIZES[dtype]
    if size <= 2:
        return np.arange(1 << 8 * size, dtype=f"u{size}")
    low = np.array(LOW_32 if size == 4 else LOW_64, dtype=f"u{size}")
    upper = np.arange(0x10000, dtype=f"u{size}")[:, None] << np.uint64(8 * size - 16).astype(f"u{size}")
    return (upper | low).ravel()


def blocks() -> np.ndarray:
    """F32 in blocks of 256 with a common range of exponents, then some that are ties by construction."""
    state, bits = 1, []

    def random() -> int:
        nonlocal state
        state = (state * 1664525 + 1013904223) % 2**32
        return state >> 8

    for exponent in range(256):
        for _ in range(256):
            lower = max(exponent - random() % 8, 0)
            mantissa = random() % 2**23
            if lower == 255:
                mantissa = 0x400000 if mantissa % 4 == 0 else 0
            bits.append(random() % 2 << 31 | lower << 23 | mantissa)
    # Integers and halves with a largest magnitude of 127, so that the scale of Q8_0 is a power of two.
    for exponent in range(1, 225, 7):
        unit = np.uint32(exponent << 23).view(np.float32)
        for i in range(256):
            value = 127.0 if i % 32 == 0 else (i * 37 % 509 - 254) / 2
            bits.append(int((np.float32(value) * unit).view(np.uint32)))
    # Halves of the largest, and their neighbours, for types with three values.
    for exponent in range(30, 254, 7):
        half = (exponent - 1) << 23
        for i in range(256):
            bits.append(i // 5 % 2 << 31 | [exponent << 23, half, half - 1, half + 1, 0][i % 5])
    return np.array(bits, dtype=np.uint32)


def convert(bits: np.ndarray, source: str, target: str, gguf) -> np.ndarray:
    """Bits in, bits out, by the steps of prepare_tensors() in conversion/base.py."""
    tensor = torch.from_numpy(np.ascontiguousarray(bits).view(np.uint8)).view(DTYPES[source])
    if tensor.dtype not in (torch.float16, torch.float32):
        tensor = tensor.to(torch.float32)
    data = gguf.quants.quantize(tensor.numpy(), gguf.GGMLQuantizationType[target])
    return np.ascontiguousarray(data).view(ELEMENTWISE.get(target, np.uint8))


def check_position_independence(bits: np.ndarray, result: np.ndarray, source: str, target: str, gguf) -> None:
    for shift in range(33):
        for length in (1, 7, 31, 64, 1000, len(bits)):
            part = bits[shift:shift + length]
            assert (convert(part, source, target, gguf) == result[shift:shift + length]).all(), (source, target, shift, length)
    # NaNs of either sign, in arrays shorter than a vector and just longer
    for start in range(max(0, len(bits) - (100 if SIZES[source] < 4 else 1000)), len(bits)):
        assert (convert(bits[start:], source, target, gguf) == result[start:]).all(), (source, target, start)
    shifted = np.frombuffer(bytearray(b"\0" + bits.tobytes()), dtype=np.uint8)[1:].view(bits.dtype)
    if SIZES[source] > 1 and source in ("F16", "BF16", "F32"):
        assert not shifted.flags.aligned
        assert (convert(shifted, source, target, gguf) == result).all(), (source, target, "misaligned")


def check_rows(bits: np.ndarray, result: np.ndarray, source: str, target: str, gguf) -> None:
    """Blocks do not depend on the rows they are in."""
    for width in (256, 512, 2048):
        for rows in (1, 3, 16, 17, 40, len(bits) // width):
            part = bits[:rows * width]
            if len(part) and len(part) == rows * width:
                again = convert(part.reshape(rows, width), source, target, gguf).ravel()
                assert (again == result[:len(again)]).all(), (source, target, rows, width)


def hexadecimal(value: int, bytes: int) -> str:
    return f"{value:0{2 * bytes}x}"


def main() -> None:
    sys.path.insert(0, sys.argv[1] + "/gguf-py")
    import gguf

    kernels = []

    def add(source: str, target: str, order: str, elements: int, result: np.ndarray, samples: dict) -> None:
        parts = np.split(result, math.gcd(BLOCKS, elements // 256 or 1))
        kernels.append({
            "from": source, "to": target, "input": order, "sha256": hashlib.sha256(result.tobytes()).hexdigest(),
            "samples": samples, "blocks": " ".join(hashlib.sha256(p.tobytes()).hexdigest()[:8] for p in parts),
        })

    with np.errstate(all="ignore"):
        for source in DTYPES:
            bits = patterns(source)
            for target in ELEMENTWISE:
                result = convert(bits, source, target, gguf)
                check_position_independence(bits, result, source, target, gguf)
                one = lambda value: int(convert(np.array([value], dtype=bits.dtype), source, target, gguf)[0])  # noqa: E731
                add(source, target, "patterns", len(bits), result, {
                    hexadecimal(v, SIZES[source]): hexadecimal(one(v), result.itemsize) for v in SAMPLES.get(source, [])})
            for target in BLOCKWISE:
                for order, input in [("reversed", bits[::-1].copy()), ("blocks", blocks())]:
                    if order == "reversed" or source == "F32":
                        result = convert(input, source, target, gguf)
                        check_rows(input, result, source, target, gguf)
                        add(source, target, order, len(input), result, {})
    reference = recorded_with("numpy", "torch")
    content = {"reference": reference, "low_32": [hexadecimal(v, 2) for v in LOW_32],
               "low_64": [hexadecimal(v, 6) for v in LOW_64], "kernels": kernels}
    OUT.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
