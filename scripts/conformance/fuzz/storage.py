"""Models as they would have been published quantized: matrices replaced by what a method stores of them."""

import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "cases"))
import quantized as made  # noqa: E402  (the cases' own ways to store a matrix)

# What methods leave alone.
LEFT = re.compile(r"embed|wte|wpe|norm|lm_head|head|output|gate\.weight|router|conv|position|score|classifier|shared_expert_gate|visual|vision|audio|ln_")
# Rows and columns are a multiple of this, so that every method can store them.
STEP = 64


def eight_bits(rng) -> tuple[dict, object]:
    """FP8, and what compressed-tensors and ModelOpt make of eight bits."""
    sides = [rng.choice([16, 32, 48, 64, 128]) for _ in "rc"]
    scales, rows = rng.choice(["f32", "bf16", "f16"]), lambda rows, _: [rows, 1]
    dtype = rng.choice(["f8_e4m3", "f8_e4m3", "f8_e5m2"])
    channel = {"num_bits": 8, "strategy": "channel", "group_size": None}
    square = {**channel, "strategy": "block", "block_structure": sides}
    return rng.choice([
        ({**made.EIGHT, "weight_block_size": sides}, made.eight("weight_scale_inv", rng.choice([scales, "f8_e8m0"]), made.blocks(*sides), dtype)),
        (made.EIGHT, made.eight("weight_scale_inv", scales, dtype=dtype)),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, made.eight("weight_scale", scales, rng.choice([rows, lambda *_: []]), dtype)),
        (made.compressed("float-quantized", made.group(**channel)), made.eight("weight_scale", scales, rows, dtype)),
        (made.compressed("float-quantized", made.group(**square)), made.eight("weight_scale", scales, made.blocks(*sides), dtype)),
        (made.compressed("int-quantized", made.group(type="int", **channel)), made.eight("weight_scale", scales, rows, "i8")),
        (made.compressed("naive-quantized", made.group(**channel)), made.eight("weight_scale", scales, rows, dtype)),
    ])


def four_bits(rng) -> tuple[dict, object]:
    """NVFP4, and integers of few bits."""
    size, bits, scales = rng.choice([16, 32, 64]), rng.choice([2, 4, 8]), rng.choice(["f32", "bf16", "f16"])
    any, zeros = rng.choice([2, 3, 4, 5, 6, 7, 8]), rng.random() < 0.5
    version = rng.choice([{}, {"checkpoint_format": "gptq"}, {"checkpoint_format": "gptq_v2"}])
    order = rng.choice([None, made.shuffled, lambda at, groups: groups - 1 - at % groups])
    return rng.choice([
        ({**made.NVFP4, "quant_algo": rng.choice(["NVFP4", "NVFP4", "W4A16_NVFP4"])}, made.nvfp4),
        (made.compressed("nvfp4-pack-quantized", made.group()), made.nvfp4_compressed),
        (made.integers(any, size, symmetric=not zeros), made.pack_quantized(any, size, zeros, scales)),
        (made.gptq_method(bits, size, **version), made.gptq(bits, size, order, scales)),
        ({"quant_method": "bitnet"}, made.bitnet),
    ])


def changed(rng, model: dict) -> list[str]:
    """Quantizes `model`, and says how. Nothing if it is quantized already, or has no matrix that could be."""
    config = model.get("config")
    if not config or "quantization" in str(config):
        return []
    method, quantize = rng.choice([eight_bits, four_bits, four_bits])(rng)
    most, tensors, count = rng.choice([0.5, 0.9, 1.0, 1.0]), [], 0
    for tensor in model["weights"]["tensors"]:
        name, shape, *rest = tensor
        module = name.removesuffix(".weight")
        fits = module != name and len(shape) == 2 and not any(n % STEP for n in shape) and not rest and not LEFT.search(name)
        if fits and rng.random() < most:
            tensors += [list(part) for part in quantize(module, *shape)]
            count += 1
        else:
            tensors.append(tensor)
    if not count:
        return []
    model["weights"]["tensors"] = tensors
    config["quantization_config"] = method
    return [f"{count} patterns of matrices as {method}"]
