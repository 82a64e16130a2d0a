#!/usr/bin/env python3
"""Measures what a worker reads for one job, for lists of 100, 1,000 and 10,000 models; fails if that grows with the list.

usage: scale.py GGRAFT [SIZES...]        (needs strace)

The list is one of many array jobs: all models but a few sampled ones are done already, so that the directory of outputs and that
of the records are as full as they get. Three ways to give a worker its job: `jobs.d --index I` (a file for each entry),
`jobs.jsonl --index I` (reads the list up to its entry), and `jobs.jsonl --only I/100` (100 workers, each of which reads the
list once for all of its jobs). Bytes are those that read, pread64 and getdents64 answered, as strace saw them in all processes.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

TINY = Path(__file__).resolve().parents[2] / "tests/models/tiny-llama"
WORKERS = 100
CALL = re.compile(r"(read|pread64|getdents64|openat|newfstatat|statx)\((?:(\d+)<([^>]*)>)?.*= (\d+)")


def make(site: Path, size: int, sampled: set[int]) -> None:
    """Models that are looked at, a list of all, and for all others what is left of a finished job: an output, a record."""
    (site / "out/.ggraft-batch").mkdir(parents=True)
    (site / "jobs.d").mkdir()
    lines = []
    for n in range(size):
        entry = {"name": f"m{n:05}", "model": f"{site}/models/m{n:05}", "outfile": f"{site}/out/m{n:05}.gguf", "outtype": "q8_0"}
        lines.append(json.dumps(entry) + "\n")
        (site / f"jobs.d/{n}.jsonl").write_text(lines[-1])
        if n in sampled:
            model = site / "models" / f"m{n:05}"
            model.mkdir(parents=True)
            for file in TINY.iterdir():
                os.link(file, model / file.name) if os.stat(file).st_dev == os.stat(site).st_dev else model.joinpath(file.name).write_bytes(file.read_bytes())
        else:
            (site / f"out/m{n:05}.gguf").write_text("x")
            (site / f"out/.ggraft-batch/{n:032x}.json").write_text("{}")
    (site / "jobs.jsonl").write_text("".join(lines))


def measure(ggraft: str, site: Path, jobs: int, args: list[str]) -> dict[str, float]:
    """Per job: bytes of the list, of directories, of everything else in the site, and system calls."""
    trace = site / "trace"
    command = ["strace", "-f", "-qq", "-y", "-e", "trace=read,pread64,getdents64,openat,newfstatat,statx", "-o", trace,
               ggraft, "batch", *args, "--quiet", "--jobs=1", "--threads=1"]
    subprocess.run(command, check=True, cwd=site)
    count = Counter()
    for line in trace.read_text(errors="replace").splitlines():
        if not (match := CALL.search(line)):
            continue
        call, _, path, answer = match.groups()
        count["calls"] += 1
        if not path or not path.startswith(str(site)):
            continue
        if call == "getdents64":
            count["directories"] += int(answer)
        elif call in ("read", "pread64"):
            count["list" if "/jobs." in path else "files"] += int(answer)
    trace.unlink()
    return {key: count[key] / jobs for key in ("list", "directories", "files", "calls")}


def main() -> None:
    ggraft = os.path.abspath(sys.argv[1])
    sizes = [int(size) for size in sys.argv[2:]] or [100, 1000, 10000]
    rows: dict[str, list[dict[str, float]]] = {}
    print(f"{'':28}{'models':>8}{'list, B':>10}{'directories, B':>16}{'files, B':>10}{'calls':>8}   (for one job)")
    for size in sizes:
        last = size - 1
        # Worker 1's share, and an entry near the end for each of the others; the first in a directory does more.
        share = set(range(0, size, WORKERS))
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            site = Path(folder).resolve()
            make(site, size, share | {last, last - 1, last - 2})
            subprocess.run([ggraft, "batch", site / "jobs.d", f"--index={last - 2}", "--quiet"], check=True)
            for name, jobs, args in (
                ("jobs.d --index I", 1, ["jobs.d", f"--index={last}"]),
                ("jobs.jsonl --index I", 1, ["jobs.jsonl", f"--index={last - 1}"]),
                ("jobs.jsonl --only I/100", len(share), ["jobs.jsonl", f"--only=1/{WORKERS}"]),
            ):
                row = measure(ggraft, site, jobs, args)
                rows.setdefault(name, []).append(row)
                print(f"{name:28}{size:8}" + "".join(f"{row[key]:{width}.0f}" for key, width in
                      (("list", 10), ("directories", 16), ("files", 10), ("calls", 8))), flush=True)
    first, last = rows["jobs.d --index I"][0], rows["jobs.d --index I"][-1]
    grown = {key: last[key] / max(first[key], 1) for key in first}
    print("jobs.d --index I, the longest list compared with the shortest:", ", ".join(f"{k} × {v:.2f}" for k, v in grown.items()))
    # Names of more digits are longer, and there is always some noise.
    sys.exit(any(value > 1.05 for value in grown.values()))


if __name__ == "__main__":
    main()
