#!/usr/bin/env python3
"""What planning a model costs that is as large as any published one, and how that grows with tensors and files.

    sudo scripts/with-test-filesystems.sh scripts/giants.py [--tokenizer DIR] [--only TEXT]

Weights are holes in $GGRAFT_TEST_XFS, so that blocks can be shared and nothing is read. Each row is one run of `ggraft`: seconds
of processor time, which other programs on the machine hardly change, the same per 1,000 tensors, and the most memory it took.
Exits with 1 where a row breaks what issue and README promise: 128 MiB for all of them, 0.8 s for DeepSeek-V3, 1.5 s for a
terabyte in 200,000 tensors, and as long for each tensor in large models as in small ones, and for each file that is added to many
as for each that is added to few (to open a file takes about as long as ten tensors). GGRAFT names another binary than
target/release/ggraft. Needs GNU time. DIR holds a tokenizer's files; by default a tiny one of the tests.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from make_checkpoint import QUANTIZED, shards, write
from published_shapes import MODELS, llama

ROOT = Path(__file__).resolve().parents[1]
MEMORY = 128 << 10  # KiB
# What the time per tensor, and the time per file, may grow by; the smallest models mostly wait for the start of the program.
GROWTH = 1.5


def published(name: str, quantized: str | None = None):
    config, found, dtype = MODELS[name]()
    found = {name: shape if isinstance(shape, tuple) else (dtype, shape) for name, shape in found.items()}
    if quantized:
        store, config["quantization_config"] = QUANTIZED[quantized]
        found = store(found)
    return config, found, shards(found)


def mixtral(tensors: int, files: int, hidden: int = 1024, ff: int = 512):
    """So many tensors, nearly all of them of experts, in so many files."""
    layers = 32
    config, found, dtype = llama(hidden, layers, ff, 8, 8, 128256, True, {
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-05, "rope_theta": 1e6, "num_experts_per_tok": 2}, experts=max(1, (tensors // layers - 7) // 3))
    found = {name: (dtype, shape) for name, shape in found.items()}
    names = list(found)
    each = math.ceil(len(names) / files)
    return config, found, [names[i:i + each] for i in range(0, len(names), each)]


DRY = ["convert", "--dry-run"]
DEEPSEEK = lambda: published("deepseek-v3", "fp8")
TERABYTE = lambda: mixtral(200_000, 200, 1024, 2560)
TWO_TERABYTES = lambda: mixtral(200_000, 400, 2048, 2560)
ROWS = [
    # What, how to make it, what to do with it, the most seconds.
    *[("Llama 405B", lambda: published("llama-405b"), words, None)
      for words in (DRY, [], ["--min-extent", "4K"], ["--min-extent", "4K", "--json"])],
    *[("DeepSeek-V3, FP8", DEEPSEEK, words, 0.8 if words != ["--json"] else None)
      for words in (DRY, [], ["--json"], [*DRY, "--no-reflink"])],
    *[("1 TB", TERABYTE, words, 1.5 if words != ["--json"] else None)
      for words in (DRY, [], ["--json"], [*DRY, "--no-reflink"], ["align", "--check"])],
    *[("2 TB", TWO_TERABYTES, words, 1.5 if words != ["--json"] else None)
      for words in (DRY, [], ["--json"], [*DRY, "--no-reflink"], ["align", "--check"])],
    *[("tensors", lambda n=n: mixtral(n, 1), DRY, None) for n in (1000, 10_000, 50_000, 200_000)],
    *[("files", lambda n=n: mixtral(20_000, n), DRY, None) for n in (1, 100, 1000, 10_000)],
    *[("files", lambda n=n: mixtral(20_000, n), ["align", "--check"], None) for n in (1, 100, 1000, 10_000)],
]


def run(ggraft: str, model: Path, words: list[str]) -> tuple[float, int, int]:
    """Seconds, KiB, and bytes of standard output."""
    command, flags = (words[0], words[1:]) if words and not words[0].startswith("-") else ("plan", words)
    out = [] if command == "align" else ["--outfile", str(model.parent / "out.gguf")]
    timed = ["/usr/bin/time", "-f", "%U %S %M", "-o", str(model.parent / "time"), ggraft, command, str(model), *out, *flags]
    done = subprocess.run(timed, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(timed)}\n{done.stderr.decode()}")
    user, system, kib = (model.parent / "time").read_text().split()
    return float(user) + float(system), int(kib), len(done.stdout)


def grows(first, *rest) -> bool:
    """Whether what is added costs more in a large model than in a small one. Rows are tensors, files, seconds."""
    added = [((tensors - first[0]) or (files - first[1]), seconds - first[2]) for tensors, files, seconds in rest]
    few, many = added[1], added[-1]
    print(f"each that is added: {1e6 * few[1] / few[0]:.1f} µs among {few[0]}, {1e6 * many[1] / many[0]:.1f} among {many[0]}")
    return many[1] / many[0] > GROWTH * few[1] / few[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, default=ROOT / "tests/tokenizers/gpt2-roles")
    parser.add_argument("--only", default="", help="rows with this in their first column")
    args = parser.parse_args()
    parent = os.environ.get("GGRAFT_TEST_XFS") or sys.exit("set GGRAFT_TEST_XFS to a directory on XFS")
    ggraft = os.environ.get("GGRAFT", str(ROOT / "target/release/ggraft"))
    tokens = json.loads((args.tokenizer / "tokenizer.json").read_bytes())
    tokens = len(tokens["model"]["vocab"]) + len(tokens["added_tokens"])
    failed, made, grown = [], None, {}
    work = Path(tempfile.mkdtemp(dir=parent, prefix="giants-"))
    print("| model | tensors | files | GB | command | seconds | ms per 1,000 tensors | MiB | output, KB |")
    print("|---|---|---|---|---|---|---|---|---|")
    try:
        for what, make, words, limit in ROWS:
            if args.only not in what:
                continue
            key = (what, make.__defaults__)
            if key != made:
                shutil.rmtree(work / "model", ignore_errors=True)
                config, found, parts = make()
                if config["vocab_size"] < tokens:
                    config["vocab_size"] = tokens
                    for name in {"model.embed_tokens.weight", "lm_head.weight"} & found.keys():
                        found[name][1][0] = tokens
                write(work / "model", config, found, parts)
                for file in args.tokenizer.iterdir():
                    shutil.copy(file, work / "model")
                made = key
            seconds, kib, out = min(run(ggraft, work / "model", words) for _ in range(3))
            size = sum(p.stat().st_size for p in (work / "model").glob("*.safetensors"))
            row = f"{what} | {len(found)} | {len(parts)} | {size / 1e9:.0f} | {' '.join(words) or 'plan'}"
            each = 1e6 * seconds / len(found)
            print(f"| {row} | {seconds:.2f} | {each:.1f} | {kib / 1024:.0f} | {out / 1000:.0f} |", flush=True)
            if kib > MEMORY or (limit and seconds > limit):
                failed.append(row)
            if what in ("tensors", "files"):
                grown.setdefault((what, *words), []).append((len(found), len(parts), seconds))
    finally:
        shutil.rmtree(work)
    failed += [" ".join(key) for key, rows in grown.items() if grows(*rows)]
    for row in failed:
        print(f"broken: {row}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
