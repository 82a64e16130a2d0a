#!/usr/bin/env python3
"""Small models of each architecture, converted by ggraft, loaded and run by llama.cpp.

    scripts/conformance/generate.py [FAMILY...]

Takes the first recorded case of each architecture of the families (tests/conformance/FAMILY.json), gives its embeddings as many
rows as there are tokens, converts it and has llama.cpp (the package xllamacpp) say four tokens. Prints OK, or what it says
instead. Some small models are too small for llama.cpp, which then says so; those that work are listed in
tests/llama_cpp.rs, and tried there again. Needs target/debug/ggraft and target/debug/examples/golden_checkpoints.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import checkpoint
import run


def whole(model: dict) -> dict:
    """The model with embeddings of all tokens."""
    model = json.loads(json.dumps(model))
    config = model.get("config", {})
    settings = config.get("text_config", config)
    rows = settings.get("vocab_size") or config.get("vocab_size") or checkpoint.VOCAB.get(model.get("tokenizer"), checkpoint.ROWS)
    for tensor in model["weights"]["tensors"]:
        tensor[1] = [rows if size == checkpoint.ROWS and i == 0 else size for i, size in enumerate(tensor[1])]
    return model


def answer(model: dict) -> str:
    """OK, or what went wrong."""
    with tempfile.TemporaryDirectory() as scratch:
        run.write_models([{"id": "whole", "model": whole(model)}], Path(scratch))
        gguf = Path(scratch, "m.gguf")
        done = subprocess.run([str(run.ROOT / "target/debug/ggraft"), "convert", str(Path(scratch, "whole", model["dir"])), "--outtype", "f16",
                               "--outfile", str(gguf)], capture_output=True, text=True)
        if done.returncode:
            return f"ggraft: {done.stderr.strip()[:200]}"
        command = [sys.executable, str(run.ROOT / "scripts/llama_generate.py"), str(gguf), "a b", "--n-predict", "4"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        except subprocess.TimeoutExpired:
            return "no answer within a minute"
        if done.returncode == 0:
            return "OK"
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower() or "GGML_ASSERT" in line] or done.stderr.splitlines()
        return (lines or [f"exit status {done.returncode}"])[0][:200]


def main() -> None:
    good = 0
    for path in sorted(run.GOLDENS.glob("*.json")):
        if sys.argv[1:] and path.stem not in sys.argv[1:]:
            continue
        seen = set()
        for case in json.loads(path.read_text())["cases"]:
            architecture = (case["model"].get("config") or {}).get("architectures", ["?"])[0]
            if architecture in seen or not case["runs"] or "--mmproj" in case["runs"][0]["convert"]:
                continue
            seen.add(architecture)
            said = answer(case["model"])
            good += said == "OK"
            print(f"{path.stem} {case['id']} ({architecture}): {said}", flush=True)
    print(f"{good} architectures answer")


if __name__ == "__main__":
    main()
