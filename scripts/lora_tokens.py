#!/usr/bin/env python3
"""llama.cpp with `--lora` against the merged file: they say the same.

    scripts/lora_tokens.py [--only TEXT]

Adapters with random factors are made for tests/models/tiny-llama and for random models of other families, converted by `ggraft
lora` and merged by `ggraft lora --merge`, both in F32. The base model with the one, and the other alone, must go on in the same
way, and not as the base model does by itself. Needs torch, transformers, safetensors and xllamacpp, and a built ggraft (GGRAFT
names another than target/debug/ggraft).
"""

import argparse
import json
import os
import re
import shutil
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
    request = {"prompt": prompt, "n_predict": 32, "max_tokens": 32, "temperature": 0.0, "logprobs": 1, "ignore_eos": True}
    answer = server.handle_completions(request)["choices"][0]
    found.append([token["id"] for token in answer["logprobs"]["content"]])
print("RESULT " + json.dumps(found))
"""
    words = json.dumps([str(model), str(lora) if lora else None, PROMPTS])
    done = subprocess.run([sys.executable, "-c", code, words], capture_output=True, text=True)
    result = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not result:
        sys.exit(f"llama.cpp fails: {done.stderr[-2000:]}")
    return json.loads(result[0].removeprefix("RESULT "))


SMALL = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=512)
# Name, class, config, tokenizer, and the names of matrices that get factors. Not GPT-2: the reference turns factors of layers that
# have their inputs as rows, as it turns the layers, and llama.cpp refuses what comes of it.
FAMILIES = [
    ("mixtral", "Mixtral", {**SMALL, "num_local_experts": 4, "num_experts_per_tok": 2}, "spm", r"_proj|experts\.\d"),
    ("qwen3", "Qwen3", {**SMALL, "head_dim": 16}, "qwen2-trimmed", "_proj"),
    ("olmo2", "Olmo2", SMALL, "gpt2-trimmed", "_proj"),
    ("phi3", "Phi3", {**SMALL, "pad_token_id": 0}, "spm", "_proj"),
    ("gptneox", "GPTNeoX", {k: v for k, v in SMALL.items() if k != "num_key_value_heads"}, "gpt2-trimmed", r"query_key_value|dense"),
]
SIZES = {"gpt2-trimmed": 50257, "qwen2-trimmed": 151936, "spm": 520}


def model(path: Path, kind: str, config: dict, tokenizer: str) -> None:
    """Saves a random model of a class of transformers."""
    import torch
    import transformers

    torch.manual_seed(5)
    config = getattr(transformers, f"{kind}Config")(**config, vocab_size=SIZES[tokenizer])
    # Larger than usual, so that what comes next is not a matter of the last bits.
    config.initializer_range = 0.2
    getattr(transformers, f"{kind}ForCausalLM")(config).save_pretrained(path)
    for file in (ROOT / "tests/tokenizers" / tokenizer).iterdir():
        shutil.copy(file, path)


def adapt(base: Path, adapter: Path, pattern: str) -> None:
    """Saves an adapter for the matrices of `base` whose names have the pattern."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    torch.manual_seed(3)
    adapter.mkdir()
    factors = {}
    with safe_open(base / "model.safetensors", framework="pt") as f:
        for name in f.keys():
            shape = f.get_slice(name).get_shape()
            if re.search(pattern, name) and len(shape) == 2:
                outputs, inputs = shape
                stem = "base_model.model." + name.removesuffix(".weight")
                factors[f"{stem}.lora_A.weight"] = torch.randn(4, inputs) * 0.2
                factors[f"{stem}.lora_B.weight"] = torch.randn(outputs, 4) * 0.05
    save_file(factors, adapter / "adapter_model.safetensors")
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8}))


def check(name: str, base: Path, pattern: str, work: Path) -> None:
    adapter = work / "adapter"
    adapt(base, adapter, pattern)
    for words in (["convert", base, "--outtype", "f32", "--outfile", work / "base.gguf"],
                  ["lora", adapter, "--base", base, "--outfile", work / "lora.gguf"],
                  ["lora", adapter, "--base", base, "--merge", "--outtype", "f32", "--outfile", work / "merged.gguf"]):
        subprocess.run([GGRAFT, *map(str, words), "--quiet"], check=True)
    alone = generate(work / "base.gguf", None)
    added = generate(work / "base.gguf", work / "lora.gguf")
    merged = generate(work / "merged.gguf", None)
    if added != merged or added == alone or not all(added):
        sys.exit(f"{name}: not as it should be\nalone: {alone}\nadded: {added}\nmerged: {merged}")
    print(f"{name}: the same, {sum(map(len, added))} tokens", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    for name, kind, config, tokenizer, pattern in [("llama", None, {}, "", "_proj"), *FAMILIES]:
        if args.only in name:
            with tempfile.TemporaryDirectory(prefix="tokens-") as scratch:
                base = Path(scratch, "base") if kind else BASE
                if kind:
                    model(base, kind, config, tokenizer)
                check(name, base, pattern, Path(scratch))


if __name__ == "__main__":
    main()
