"""More checkpoints that were published quantized: eight bits, and experts of further families."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
from quantized import (DOTS1, EIGHT, GEMMA2, GLM4_MOE, KV, LLAMA, MISTRAL, MIXTRAL, NVFP4, OLMOE, QWEN2_MOE, QWEN3, QWEN3_MOE, blocks,  # noqa: E402
                       compressed, eight, gptq, gptq_method, group, integers, model, nvfp4, nvfp4_compressed, pack_quantized)


def eight_bit_cases():
    few = {"types": ["auto", "q8_0"]}
    experts = (QWEN3_MOE, MIXTRAL, DOTS1)
    for family in (LLAMA, QWEN3, GEMMA2, *experts):
        also = ["--outtype auto --fp8-as-q8"] + (["--outtype auto --fuse-qkv"] if family is QWEN3 else [])
        yield model(f"fp8-{family[1]}", family, {**EIGHT, "weight_block_size": [48, 64]}, eight("weight_scale_inv", of=blocks(48, 64)), also=also, **few)
    for family in (LLAMA, QWEN3, QWEN3_MOE):
        # Scales are powers of two.
        powers = {**EIGHT, "weight_block_size": [128, 128], "scale_fmt": "ue8m0"}
        yield model(f"fp8-powers-{family[1]}", family, powers, eight("weight_scale_inv", "f8_e8m0", blocks(128, 128)), **few)
    one = [(f"model.layers.{{0-1}}.self_attn.{m}_proj.activation_scale", [], "f32") for m in "qkv"]
    unused = [(f"model.layers.{{0-1}}.self_attn.{m}_proj.input_scale", [], "f32") for m in "qkvo"] + KV
    for family in (MISTRAL, QWEN3, MIXTRAL):
        yield model(f"fp8-whole-{family[1]}", family, {**EIGHT, "activation_scheme": "static"}, eight("weight_scale_inv", "bf16"), one, **few)
        yield model(f"modelopt-fp8-{family[1]}", family, {"quant_method": "modelopt", "quant_algo": "FP8"}, eight("weight_scale"), unused, **few)
    channel, rows = {"num_bits": 8, "strategy": "channel", "group_size": None}, lambda rows, _: [rows, 1]
    for family in (QWEN3, GEMMA2, QWEN3_MOE):
        yield model(f"float-channel-{family[1]}", family, compressed("float-quantized", group(**channel)), eight("weight_scale", "bf16", rows), **few)
        square = group(num_bits=8, strategy="block", group_size=None, block_structure=[64, 32])
        yield model(f"float-block-{family[1]}", family, compressed("float-quantized", square), eight("weight_scale", of=blocks(64, 32)), **few)
        yield model(f"int-channel-{family[1]}", family, compressed("int-quantized", group(type="int", **channel)),
                    eight("weight_scale", "f16", rows, dtype="i8"), dtype="f16", **few)
        yield model(f"naive-{family[1]}", family, compressed("naive-quantized", group(**channel)), eight("weight_scale", of=rows), **few)

    # Pairs of codes and powers of two, which the reference reads of some architectures only.
    def pairs(name, rows, columns):
        return [(f"{name}.weight_packed", [rows, columns // 2], "u8"), (f"{name}.weight_scale", [rows, columns // 32], "u8")]
    yield model("mxfp4-compressed", LLAMA, compressed("mxfp4-pack-quantized", group(strategy="group", group_size=32)), pairs, refused=True)


def experts_cases():
    few = {"types": ["auto", "q8_0"]}
    for family in (QWEN2_MOE, OLMOE, DOTS1, GLM4_MOE):
        yield model(f"nvfp4-{family[1]}", family, NVFP4, nvfp4, **few)
    for family in (OLMOE, DOTS1, GLM4_MOE):
        yield model(f"nvfp4-compressed-{family[1]}", family, compressed("nvfp4-pack-quantized", group()), nvfp4_compressed, KV, **few)
        yield model(f"gptq-{family[1]}", family, gptq_method(4, 32), gptq(4, 32), dtype="f16", **few)
        yield model(f"w4a16-{family[1]}", family, integers(4, 32), pack_quantized(4, 32), **few)


def cases():
    yield from eight_bit_cases()
    yield from experts_cases()
