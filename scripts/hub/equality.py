#!/usr/bin/env python3
"""Converts one small model of every family from a hub of our own: the reference's --remote, and ggraft's; the same bytes?

Usage: scripts/hub/equality.py GGRAFT EXAMPLES LLAMA_CPP [FAMILY...]

Run with the Python that the reference runs with. GGRAFT and EXAMPLES (a directory with serve_hub and golden_checkpoints) are built
by `cargo build --bins --examples`. Prints a line for each model; exits with 1 if any file differs, or if fewer than 20 could be
compared. What the reference refuses to convert remotely is named and not counted. Of Mamba and Jamba, `ssm_a` may differ by a unit in
the last place: the reference's exponential depends on the processor (scripts/conformance/README.md).
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENOUGH = 20


def chosen(families: list[str]) -> list[tuple[dict, list[str]]]:
    """For each family the first case that becomes one file: the case, and flags."""
    found = []
    for path in sorted((ROOT / "tests/conformance").glob("*.json")):
        if families and path.stem not in families:
            continue
        for case in json.loads(path.read_text())["cases"]:
            plain = [run["convert"] for run in case["runs"] if "raises" not in run and run["convert"].count("@") == 1]
            if plain and "config" in case["model"]:
                flags = plain[0].replace("--outfile @out/m.gguf", "").split()
                found.append(({"id": path.stem, "model": case["model"]}, flags))
                break
    return found


def reference(llama_cpp: str, endpoint: str, identifier: str, flags: list[str], out: Path, said: Path) -> bool:
    """Runs the reference in a fork: torch takes longest."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
            import gguf.utility

            gguf.utility.SafetensorRemote.BASE_DOMAIN = endpoint
            sys.argv = ["convert_hf_to_gguf.py", identifier, "--remote", *flags, "--outfile", str(out)]
            sys.modules["convert_hf_to_gguf"].main()
            code = 0
        except SystemExit as e:
            code = e.code or 0
        except BaseException as e:
            print(f"{type(e).__name__}: {e}", file=open(said, "a"))
        os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def last_places(ours: Path, theirs: Path) -> bool:
    """Whether nothing differs but units in the last place of `ssm_a`."""
    import gguf
    import numpy

    left, right = gguf.GGUFReader(ours), gguf.GGUFReader(theirs)
    apart = [(a, b) for a, b in zip(left.tensors, right.tensors, strict=True) if a.data.tobytes() != b.data.tobytes()]
    start = left.data_offset
    return start == right.data_offset and ours.read_bytes()[:start] == theirs.read_bytes()[:start] and all(
        a.name.endswith("ssm_a") and numpy.abs(a.data.view("i4").astype("i8") - b.data.view("i4")).max() <= 1 for a, b in apart)


def load(llama_cpp: str) -> None:
    sys.path[:0] = [llama_cpp, llama_cpp + "/gguf-py"]
    import logging

    import convert_hf_to_gguf  # noqa: F401
    import torch
    import transformers

    logging.getLogger().setLevel(logging.ERROR)
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)


def main() -> int:
    ggraft, examples, llama_cpp = (os.path.abspath(path) for path in sys.argv[1:4])
    cases = chosen(sys.argv[4:])
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        (scratch / "cases.json").write_text(json.dumps([case for case, _ in cases]))
        models = scratch / "models"
        subprocess.run([f"{examples}/golden_checkpoints", str(models), str(scratch / "cases.json")], cwd=ROOT, check=True)
        served = scratch / "served"
        served.mkdir()
        for case, _ in cases:
            (models / case["id"] / case["model"]["dir"]).rename(served / case["id"])
        with subprocess.Popen([f"{examples}/serve_hub", str(served), "org/*"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as hub:
            endpoint = hub.stdout.readline().strip()
            os.environ |= {"HF_ENDPOINT": endpoint, "HOME": str(scratch), "HF_HOME": str(scratch / "home"), "HF_HUB_DISABLE_XET": "1",
                           "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1", "ATEN_CPU_CAPABILITY": "avx2"}
            load(llama_cpp)
            equal, refused, different = compare(ggraft, llama_cpp, endpoint, cases, scratch)
            hub.stdin.close()
    print(f"{equal} equal, {different} different, {refused} that the reference refuses remotely")
    return 0 if not different and (equal >= ENOUGH or sys.argv[4:]) else 1


def compare(ggraft: str, llama_cpp: str, endpoint: str, cases: list, scratch: Path) -> tuple[int, int, int]:
    equal = refused = different = 0
    ours, theirs, said = scratch / "ours.gguf", scratch / "theirs.gguf", scratch / "said.txt"
    # What the reference puts into the library's cache is no part of ours.
    environment = dict(os.environ, HF_HOME=str(scratch / "none"))
    for case, flags in cases:
        identifier = f"org/{case['id']}"
        for path in (ours, theirs):
            path.unlink(missing_ok=True)
        if not reference(llama_cpp, endpoint, identifier, flags, theirs, said):
            refused += 1
            print(f"{identifier}: the reference refuses: {(said.read_text().strip().splitlines() or ['?'])[-1][:150]}", flush=True)
            continue
        command = [ggraft, "convert", identifier, "--remote", *flags, "--no-reflink", "--quiet", "--outfile", str(ours)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        same = done.returncode == 0 and (ours.read_bytes() == theirs.read_bytes() or last_places(ours, theirs))
        equal, different = equal + same, different + (not same)
        print(f"{identifier} {' '.join(flags)}: {'equal' if same else 'DIFFERENT ' + done.stderr.strip()[:300]}", flush=True)
    return equal, refused, different


if __name__ == "__main__":
    sys.exit(main())
