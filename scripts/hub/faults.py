#!/usr/bin/env python3
"""Downloads a model of a gigabyte from a hub of our own while 200 things go wrong, and the process is killed now and then.

Usage: scripts/hub/faults.py GGRAFT SERVE_HUB [MIB [FAULTS [SEED]]]

GGRAFT and SERVE_HUB are built by `cargo build --bins --example serve_hub`. In the end every file has the published SHA-256,
and no more is fetched twice than one range (16 MiB) for each fault or kill. Prints the figures; exits with 1 if that is not so.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RANGE = 16 << 20
HEAD = 128 << 10
SHARDS = 4


def make_model(directory: Path, mib: int, seed: int) -> None:
    """Safetensors of random bytes, in shards, with tensors of odd lengths among them."""
    generator = random.Random(seed)
    directory.mkdir()
    for shard in range(1, SHARDS + 1):
        header, at = {}, 0
        for i in range(mib // SHARDS // 8):
            for name, size in ((f"w.{i}", (8 << 20) - 1000), (f"norm.{i}", 1000)):
                header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [at, at + size]}
                at += size
        text = json.dumps(header).encode()
        with open(directory / f"model-{shard:05}-of-{SHARDS:05}.safetensors", "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for _ in range(at // (8 << 20)):
                file.write(generator.randbytes(8 << 20))
    (directory / "config.json").write_text("{}")


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> int:
    ggraft, serve = (os.path.abspath(path) for path in sys.argv[1:3])
    mib, faults, seed = (int(given) for given in (sys.argv[3:] + ["1024", "200", "1"][len(sys.argv) - 3 :]))
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        model = scratch / "model"
        make_model(model, mib, seed)
        size = sum(path.stat().st_size for path in model.iterdir())
        # Every answer with a file in it fails, until enough have.
        command = [serve, str(model), "org/model", "0", str(seed), "1", str(faults)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as hub:
            environment = dict(os.environ, HF_ENDPOINT=hub.stdout.readline().strip(), HOME=str(scratch), HF_HUB_DOWNLOAD_TIMEOUT="1")
            for name in list(environment):
                if name.lower().endswith("_proxy") or name in ("HF_TOKEN", "HF_HOME"):
                    del environment[name]
            generator, kills, runs, start = random.Random(seed), 0, 0, time.monotonic()
            while True:
                runs += 1
                pull = subprocess.Popen([ggraft, "pull", "org/model", str(scratch / "got"), "--plain", "--quiet"], env=environment)
                try:
                    code = pull.wait(timeout=generator.uniform(1, 8) if kills < faults // 10 else None)
                except subprocess.TimeoutExpired:
                    pull.kill()
                    pull.wait()
                    kills += 1
                    continue
                if code == 0:
                    break
                if runs > faults:
                    return 1
            took = time.monotonic() - start
            hub.stdin.write("\n")
            hub.stdin.flush()
            told = json.loads(hub.stdout.readline())
            hub.stdin.close()
        same = all(sha256(path) == sha256(scratch / "got" / path.name) for path in model.iterdir())
    twice, disturbances = told["bytes"] - size, told["faults"] + kills
    print(f"{size} bytes, {told['faults']} faults, {kills} kills, {runs} runs, {took:.0f} s: {twice} bytes were fetched twice, "
          f"{twice / max(disturbances, 1) / 1024:.0f} KiB for each fault or kill; every file right: {same}")
    return 0 if same and twice <= disturbances * RANGE + SHARDS * runs * HEAD else 1


if __name__ == "__main__":
    sys.exit(main())
