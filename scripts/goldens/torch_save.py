#!/usr/bin/env python3
"""Regenerate tests/models/torch (what torch.save writes) and tests/golden/torch.json (what the reference makes of it).

    python scripts/goldens/torch_save.py LLAMA_CPP_DIR

LLAMA_CPP_DIR holds convert_hf_to_gguf.py. The models are Llamas of a few kilobytes; their tokenizer is
tests/tokenizers/spm.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
MODELS, EXPECTED = ROOT / "tests/models/torch", ROOT / "tests/golden/torch.json"
HIDDEN, KV, FF, VOCAB = 16, 8, 24, 520
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": FF,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": VOCAB,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-05, "tie_word_embeddings": False,
}


def weights(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    shapes = {"model.embed_tokens": [VOCAB, HIDDEN]} | {f"model.layers.0.{name}": shape for name, shape in {
        "self_attn.q_proj": [HIDDEN, HIDDEN], "self_attn.k_proj": [KV, HIDDEN], "self_attn.v_proj": [KV, HIDDEN],
        "self_attn.o_proj": [HIDDEN, HIDDEN], "mlp.gate_proj": [FF, HIDDEN], "mlp.up_proj": [FF, HIDDEN],
        "mlp.down_proj": [HIDDEN, FF], "input_layernorm": [HIDDEN], "post_attention_layernorm": [HIDDEN],
    }.items()} | {"model.norm": [HIDDEN], "lm_head": [VOCAB, HIDDEN]}
    return {f"{name}.weight": torch.randn(shape).to(dtype) for name, shape in shapes.items()}


def write(name: str, shards: list[dict], index: bool = False, config: dict | None = None, **options) -> None:
    dir = MODELS / name
    dir.mkdir(parents=True)
    (dir / "config.json").write_text(json.dumps(CONFIG | (config or {}), indent=2) + "\n")
    names = ["pytorch_model.bin"]
    if len(shards) > 1:
        names = [f"pytorch_model-{i + 1:05}-of-{len(shards):05}.bin" for i in range(len(shards))]
    for file, shard in zip(names, shards):
        torch.save(shard, dir / file, **options)
    if index:
        place = {tensor: file for file, shard in zip(names, shards) for tensor in shard}
        (dir / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": place}, indent=2))


def main() -> None:
    llama_cpp = Path(sys.argv[1]).resolve()
    shutil.rmtree(MODELS, ignore_errors=True)

    write("plain", [weights(torch.float16)])
    # A module's state dict: an OrderedDict with versions attached, parameters, one of them tied.
    module = torch.nn.Module()
    state = module.state_dict()
    for name, tensor in weights(torch.bfloat16).items():
        state[name] = torch.nn.Parameter(tensor)
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    write("module", [state])
    # Tensors that are parts of one storage, and several types.
    mixed = weights(torch.float32)
    both = torch.randn(2 * FF, HIDDEN).to(torch.bfloat16)
    mixed["model.layers.0.mlp.gate_proj.weight"], mixed["model.layers.0.mlp.up_proj.weight"] = both[:FF], both[FF:]
    mixed["model.layers.0.mlp.down_proj.weight"] = mixed["model.layers.0.mlp.down_proj.weight"].double()
    write("views", [mixed])
    half = weights(torch.bfloat16)
    names = list(half)
    write("shards", [{name: half[name] for name in part} for part in (names[:5], names[5:])], index=True)
    # Types that no storage has.
    eight = weights(torch.float16)
    for name in eight:
        if "proj" in name:
            eight[name] = eight[name].to(torch.float8_e5m2 if "mlp" in name else torch.float8_e4m3fn)
    write("eight", [eight])
    # Scales that are powers of two.
    scaled = weights(torch.float16)
    for name in list(scaled):
        if "mlp" in name:
            scaled[name] = scaled[name].to(torch.float8_e4m3fn)
            blocks = [size // 8 for size in scaled[name].shape]
            scaled[f"{name}_scale_inv"] = torch.exp2(torch.randint(-4, 4, blocks).float()).to(torch.float8_e8m0fnu)
    write("scales", [scaled], config={"quantization_config": {"quant_method": "fp8", "weight_block_size": [8, 8]}})
    # What is refused here.
    write("legacy", [weights(torch.float16)], _use_new_zipfile_serialization=False)
    turned = weights(torch.float16)
    turned["model.layers.0.mlp.down_proj.weight"] = torch.randn(FF, HIDDEN).half().t()
    write("transposed", [turned])

    expected = {}
    for name in "plain", "module", "views", "shards", "eight", "scales":
        for outtype in "auto", "f32", "q8_0":
            with tempfile.TemporaryDirectory() as work:
                model = Path(work) / "Tiny-Torch"
                shutil.copytree(MODELS / name, model)
                for file in (ROOT / "tests/tokenizers/spm").iterdir():
                    shutil.copy(file, model)
                out = Path(work) / "out.gguf"
                subprocess.run([sys.executable, llama_cpp / "convert_hf_to_gguf.py", model, "--outtype", outtype,
                                "--outfile", out], check=True, capture_output=True)
                data = out.read_bytes()
                expected[f"{name} {outtype}"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    EXPECTED.write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
