#!/usr/bin/env python3
"""Asks the real llama.cpp which of the damaged files of tests/structure.rs it loads, and notes it.

    .venv/bin/python scripts/structure.py

Writes tests/structure/verdicts.json: for each file null, or what llama.cpp says when it refuses to load it. Needs the package
xllamacpp (scripts/venv.sh), whose library is called directly; every file is loaded in a process of its own, since
llama.cpp aborts on some.
"""

import ctypes
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ROOM = 512  # more than sizeof(llama_model_params), which differs between versions


class Params(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_char * ROOM)]


def load(path: str) -> int:
    """Loads a file, and nothing else. Errors go to standard error, as llama.cpp writes them."""
    directory = Path(importlib.util.find_spec("xllamacpp").origin).parent
    llama = ctypes.CDLL(next(map(str, directory.glob("*.so"))))
    llama.llama_model_default_params.restype = Params
    llama.llama_model_load_from_file.restype = ctypes.c_void_p
    llama.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Params]
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    sys.stderr.flush()
    os._exit(0 if model else 1)


def judge(path: Path) -> tuple[str, str | None]:
    ended = subprocess.run([sys.executable, __file__, "--load", path], capture_output=True, text=True, errors="replace",
                           timeout=120)
    name = path.with_suffix(".name").read_text()
    if ended.returncode == 0:
        return name, None
    said = [line for line in ended.stderr.splitlines() if "error" in line or "ASSERT" in line or "what()" in line]
    why = said[0] if said else f"exit {ended.returncode}"
    return name, why.replace(str(path), "FILE")[:200]


def main() -> int:
    if sys.argv[1:2] == ["--load"]:
        return load(sys.argv[2])
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["cargo", "test", "--quiet", "--test", "structure"], cwd=REPOSITORY, check=True,
                       env={**os.environ, "GGRAFT_WRITE_STRUCTURE": work})
        files = sorted(Path(work).glob("*.gguf"))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            verdicts = dict(pool.map(judge, files))
    out = REPOSITORY / "tests/structure/verdicts.json"
    out.write_text(json.dumps(verdicts, indent=0, sort_keys=True, ensure_ascii=False) + "\n")
    refused = sum(why is not None for why in verdicts.values())
    print(f"{len(verdicts)} files, {refused} refused; wrote {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
