#!/usr/bin/env python3
"""What the libraries that define them make of weights in the formats that the reference does not read.

    pip install numpy torch safetensors "mlx[cpu]" bitsandbytes
    scripts/goldens/quantized_libraries.py > tests/golden/quantized.json

MLX and bitsandbytes are asked themselves; AutoAWQ is no longer published for present versions of torch, so of it there is the
formula of `dequantize_gemm` (awq/utils/packing_utils.py), in torch. Each case has the tensors as they are stored, in base64, and
the SHA-256 of the weights in F32.
"""

import base64
import hashlib
import json

import mlx.core as mx
import numpy as np
import torch

torch.manual_seed(1)
DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int32: "I32", torch.uint32: "U32",
          torch.uint8: "U8", torch.int8: "I8"}


def stored(tensor: torch.Tensor) -> dict:
    data = tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.dim() else tensor.reshape(1).view(torch.uint8).numpy().tobytes()
    return {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data": base64.b64encode(data).decode()}


def case(name: str, config: dict, tensors: dict, weight: torch.Tensor) -> dict:
    return {"name": name, "config": config, "tensors": {k: stored(v) for k, v in tensors.items()}, "weight": hashlib.sha256(weight.float().contiguous().numpy().tobytes()).hexdigest()}


def from_mlx(array: mx.array) -> torch.Tensor:
    kinds = {mx.float16: torch.float16, mx.bfloat16: torch.bfloat16, mx.float32: torch.float32, mx.uint32: torch.uint32}
    width = {2: mx.uint16, 4: mx.uint32}[array.dtype.size]
    raw = np.array(array.view(width))
    return torch.from_numpy(raw.astype(raw.dtype, copy=True)).view(kinds[array.dtype])


def mlx():
    for bits in (2, 4, 8):
        for dtype in (mx.float16, mx.bfloat16, mx.float32):
            rows, columns, size = 64, 128, 32 if bits == 8 else 64
            weight = mx.array(torch.randn(rows, columns).numpy()).astype(dtype)
            codes, scales, biases = mx.quantize(weight, group_size=size, bits=bits)
            back = mx.dequantize(codes, scales, biases, group_size=size, bits=bits)
            tensors = {"weight": codes, "scales": scales, "biases": biases}
            name = f"mlx-{bits}-{str(dtype).rsplit('.')[-1]}"
            yield case(name, {"quantization": {"group_size": size, "bits": bits}}, {k: from_mlx(v) for k, v in tensors.items()}, from_mlx(back))


def bitsandbytes():
    import bitsandbytes.functional as bnb

    for kind in ("nf4", "fp4"):
        for dtype in (torch.float16, torch.bfloat16, torch.float32):
            for nested in (False, True):
                weight = torch.randn(64, 128).to(dtype)
                codes, state = bnb.quantize_4bit(weight, blocksize=64, quant_type=kind, compress_statistics=nested)
                back = bnb.dequantize_4bit(codes, state)
                tensors = {"weight": codes} | {f"weight.{k}": v for k, v in state.as_dict(packed=True).items()}
                name = f"{kind}-{str(dtype).rsplit('.')[-1]}{'-nested' if nested else ''}"
                yield case(name, {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, tensors, back)
    codes, scales, _ = bnb.int8_vectorwise_quant(torch.randn(64, 128).half())
    back = bnb.int8_vectorwise_dequant(codes, scales)
    config = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}
    yield case("int8", config, {"weight": codes, "SCB": scales, "weight_format": torch.tensor(0, dtype=torch.uint8)}, back)


def awq():
    reverse = [0, 4, 1, 5, 2, 6, 3, 7]
    shifts = torch.arange(0, 32, 4)

    def unpacked(words: torch.Tensor) -> torch.Tensor:
        codes = torch.bitwise_right_shift(words[:, :, None], shifts[None, None, :]).to(torch.int8).view(words.shape[0], -1)
        order = torch.arange(codes.shape[-1]).view(-1, 8)[:, reverse].view(-1)
        return torch.bitwise_and(codes[:, order], 15)

    for dtype in (torch.float16, torch.bfloat16):
        rows, columns, size = 64, 128, 32
        codes = torch.randint(-2**31, 2**31, (columns, rows // 8), dtype=torch.int64).to(torch.int32)
        zeros = torch.randint(-2**31, 2**31, (columns // size, rows // 8), dtype=torch.int64).to(torch.int32)
        scales = (torch.rand(columns // size, rows) / 50).to(dtype)
        groups = [t.repeat_interleave(size, dim=0) for t in (unpacked(zeros), scales)]
        weight = ((unpacked(codes) - groups[0]) * groups[1]).T
        config = {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": size, "version": "gemm", "zero_point": True}}
        yield case(f"awq-{DTYPES[dtype].lower()}", config, {"qweight": codes, "qzeros": zeros, "scales": scales}, weight)


print(json.dumps({"cases": [*mlx(), *bitsandbytes(), *awq()]}, indent=0))
