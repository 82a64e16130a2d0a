#!/usr/bin/env python3
"""Converts one model from a hub of our own, with 20 ms of delay before every answer: the reference's --remote, and ggraft.

Usage: scripts/hub/bench.py GGRAFT SERVE_HUB PYTHON LLAMA_CPP MODEL

MODEL is a directory that both can convert, such as what scripts/make_smollm2.py makes. Prints for each seconds, peak memory and
bytes written, and whether the files are the same (`ggraft convert --remote --no-reflink`).
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DELAY = "20"

# The reference has the hub's address built in.
REFERENCE = """
import sys, runpy
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/gguf-py"]
import os, gguf.utility
gguf.utility.SafetensorRemote.BASE_DOMAIN = os.environ["HF_ENDPOINT"]
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(command: list[str], environment: dict[str, str]) -> tuple[float, int, int]:
    """Seconds, peak memory in bytes, bytes written."""
    start = time.monotonic()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]}: {said.decode()[-2000:]}")
    return time.monotonic() - start, usage.ru_maxrss * 1024, usage.ru_oublock * 512


def main() -> None:
    ggraft, serve, python, llama_cpp, model = (os.path.abspath(path) for path in sys.argv[1:6])
    identifier = "org/" + Path(model).name
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as scratch:
        scratch = Path(scratch)
        with subprocess.Popen([serve, model, identifier, DELAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as hub:
            environment = dict(os.environ, HF_ENDPOINT=hub.stdout.readline().strip(), HOME=str(scratch), HF_HUB_DISABLE_XET="1")
            ours, theirs = scratch / "ours.gguf", scratch / "theirs.gguf"
            convert = ["--remote", "--outfile"]
            cases = [
                ("reference", theirs, [python, "-c", REFERENCE, llama_cpp, f"{llama_cpp}/convert_hf_to_gguf.py", identifier, *convert, str(theirs)]),
                ("ggraft", ours, [ggraft, "convert", identifier, "--no-reflink", "--quiet", *convert, str(ours)]),
            ]
            for name, out, command in cases:
                # What the reference downloads to its cache is no part of ours.
                if name == "ggraft":
                    environment["HF_HOME"] = str(scratch / "empty")
                seconds, memory, written = run(command, environment)
                size = out.stat().st_size
                print(f"{name:9}  {seconds:6.2f} s  {size / seconds / 1e6:7.1f} MB/s  {memory / 2**20:6.0f} MiB  "
                      f"{written / size:.4f} x the output written")
            print("the same bytes:", ours.read_bytes() == theirs.read_bytes())
            hub.stdin.close()


if __name__ == "__main__":
    main()
