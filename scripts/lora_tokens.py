#!/usr/bin/env python3
"""llama.cpp with `--lora` against the merged file: they say the same.

    scripts/lora_tokens.py

An adapter with random factors is made for tests/models/tiny-llama, converted by `ggraft lora` and merged by `ggraft lora --merge`,
both in F32. The base model with the one, and the other alone, must go on in the same way, and not as the base model does by
itself. Needs torch, safetensors and xllamacpp, and a built ggraft (GGRAFT names another than target/debug/ggraft).
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GGRAFT = os.environ.get("GGRAFT") or str(ROOT / "target/debug/ggraft")
BASE = ROOT / "tests/models/tiny-llama"
PROMPTS = ["Humpty Dumpty sat on a wall,", "Hickory, dickory, dock,"]


def generate(model: Path, lora: Path | None) -> list[list]:
    """In a process of its own, since llama.cpp keeps what it has loaded."""
    code = """
import json, sys
import xllamacpp as xlc
model, lora, prompts = json.loads(sys.argv[1])
params = xlc.CommonParams()
params.model.path = model
params.n_ctx, params.n_parallel, params.n_gpu_layers, params.verbosity = 256, 1, 0, 1
params.warmup = params.fit_params = False
params.cpuparams.n_threads = 1
params.sampling.temp = 0.0
if lora:
    info = xlc.CommonAdapterLoraInfo()
    info.path, info.scale = lora, 1.0
    params.lora_adapters = [info]
server = xlc.Server(params)
found = []
for prompt in prompts:
    request = {"prompt": prompt, "n_predict": 32, "max_tokens": 32, "temperature": 0.0}
    found.append(server.handle_completions(request)["choices"][0]["text"])
print("RESULT " + json.dumps(found))
"""
    words = json.dumps([str(model), str(lora) if lora else None, PROMPTS])
    done = subprocess.run([sys.executable, "-c", code, words], capture_output=True, text=True)
    result = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not result:
        sys.exit(f"llama.cpp fails: {done.stderr[-2000:]}")
    return json.loads(result[0].removeprefix("RESULT "))


def main() -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    torch.manual_seed(3)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        adapter = work / "adapter"
        adapter.mkdir()
        factors = {}
        with safe_open(BASE / "model.safetensors", framework="pt") as f:
            for name in f.keys():
                rows, *columns = f.get_slice(name).get_shape()
                if "proj" in name and columns:
                    stem = "base_model.model." + name.removesuffix(".weight")
                    factors[f"{stem}.lora_A.weight"] = torch.randn(4, columns[0]) * 0.2
                    factors[f"{stem}.lora_B.weight"] = torch.randn(rows, 4) * 0.05
        save_file(factors, adapter / "adapter_model.safetensors")
        (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8}))
        for words in (["convert", BASE, "--outtype", "f32", "--outfile", work / "base.gguf"],
                      ["lora", adapter, "--base", BASE, "--outfile", work / "lora.gguf"],
                      ["lora", adapter, "--base", BASE, "--merge", "--outtype", "f32", "--outfile", work / "merged.gguf"]):
            subprocess.run([GGRAFT, *map(str, words), "--quiet"], check=True)
        alone = generate(work / "base.gguf", None)
        added = generate(work / "base.gguf", work / "lora.gguf")
        merged = generate(work / "merged.gguf", None)
    print("alone: ", alone, "\nadded: ", added, "\nmerged:", merged)
    if added != merged or added == alone:
        sys.exit("not as it should be")
    print("the same")


if __name__ == "__main__":
    main()
