#!/usr/bin/env python3
"""Measures `ggraft verify`, and fails where it is slower or takes more memory than it may.

    sudo scripts/with-test-filesystems.sh scripts/verify_bench.py [--ggraft PATH] [--pairs 5]

On XFS (GGRAFT_TEST_XFS): a model of 64 GB (shapes of OLMo 2 32B, weights are holes, aligned), converted so that blocks are
shared, must be verified in 2 s. Beside it (GGRAFT_TEST_EXT4, where nothing is shared): a model of 1.2 GB of random bytes and its copy
must take at most 1.3 times what reading both once takes, in pairs with `dd` of the same files, all in the page cache.
No run may take more than 128 MiB. Needs a release build, GNU time and numpy.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SECONDS, RATIO, MEMORY = 2.0, 1.3, 128


def make(shape: str, weights: str, where: Path) -> Path:
    model = where / shape
    tokenizer = REPOSITORY / "tests/tokenizers/smollm-trimmed"
    subprocess.run([sys.executable, REPOSITORY / "scripts/make_checkpoint.py", shape, model, "--weights", weights,
                    "--tokenizer", tokenizer, "--align", "4096"], check=True)
    return model


def timed(arguments: list) -> tuple[float, float, str]:
    """Seconds, peak MiB and standard output of a command that must succeed."""
    with tempfile.NamedTemporaryFile("r") as note:
        ended = subprocess.run(["/usr/bin/time", "-f", "%e %M", "-o", note.name, *arguments], check=True, text=True,
                               capture_output=True)
        seconds, kib = note.read().split()
    return float(seconds), int(kib) / 1024, ended.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ggraft", default=str(REPOSITORY / "target/release/ggraft"))
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args()
    failed = []

    def check(what: str, found: float, most: float) -> None:
        print(f"{what}: {found:.2f}, at most {most}", flush=True)
        if found > most:
            failed.append(what)

    with tempfile.TemporaryDirectory(dir=os.environ["GGRAFT_TEST_XFS"]) as work:
        model, out = make("olmo-2-32b", "zero", Path(work)), Path(work) / "out.gguf"
        subprocess.run([args.ggraft, "align", model, "--in-place", "--quiet"], check=True)
        subprocess.run([args.ggraft, "convert", model, "--outfile", out, "--quiet", "--reflink", "always", "--min-extent", "4K"],
                       check=True)
        runs = [timed([args.ggraft, "verify", out, model, "--json"]) for _ in range(args.pairs)]
        count = json.loads(runs[0][2])["bytes"]
        print(f"{out.stat().st_size / 1e9:.1f} GB: {count}")
        check("shared, seconds", statistics.median(seconds for seconds, _, _ in runs), SECONDS)
        check("shared, peak MiB", max(mib for _, mib, _ in runs), MEMORY)

    with tempfile.TemporaryDirectory(dir=os.environ["GGRAFT_TEST_EXT4"]) as work:
        model, out = make("llama-1gb", "random", Path(work)), Path(work) / "out.gguf"
        subprocess.run([args.ggraft, "convert", model, "--outfile", out, "--quiet"], check=True)
        files = [*model.glob("*.safetensors"), out]
        verify = [args.ggraft, "verify", out, model]
        ratios = []
        subprocess.run(["cat", *files], check=True, stdout=subprocess.DEVNULL)
        for _ in range(args.pairs):
            start = time.monotonic()
            for file in files:
                subprocess.run(["dd", f"if={file}", "of=/dev/null", "bs=1M", "status=none"], check=True)
            read = time.monotonic() - start
            seconds, mib, _ = timed(verify)
            ratios.append(seconds / read)
            print(f"reading {read:.2f} s, verifying {seconds:.2f} s, {mib:.0f} MiB", flush=True)
            check("copied, peak MiB", mib, MEMORY)
        check("copied, times reading", statistics.median(ratios), RATIO)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
