#!/usr/bin/env python3
"""Signals at random moments of `ggraft with`, to ggraft or to the command it runs: nothing may stay mounted, nothing may hang.

    sudo scripts/faults/with.py [--short] [--ggraft PATH] [--runs N]

Each run gets INT, TERM or KILL, the one after it is left alone. Afterwards there are no mounts, directories or processes of
either. Prints a table, and ends with 1 if there were any, or if a process did not end within 10 seconds.
"""

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import support

PATIENCE = 10
SIGNALS = {"INT": signal.SIGINT, "TERM": signal.SIGTERM, "KILL": signal.SIGKILL}

# Reads all of the file again and again, from ggraft and not from the page cache.
COMMAND = """
import os, sys
while True:
    file = os.open(sys.argv[1], os.O_RDONLY)
    while os.read(file, 1 << 20):
        pass
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--ggraft", type=Path, default=support.REPOSITORY / "target/release/ggraft")
    args = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="ggraft-with."))
    (top / "tmp").mkdir()
    rows = collections.defaultdict(collections.Counter)
    try:
        model = support.make_model(top / "model")
        for n in range(12 if args.short else args.runs):
            one_run(args.ggraft.resolve(), model, top / "tmp", rows)
    finally:
        for mount in mounts(top):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(top, ignore_errors=True)
    columns = ["runs", "hung", "mounted", "left", "command lives", "next failed"]
    print("| signal | to | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 2) + "|")
    for (name, to), row in sorted(rows.items()):
        print(f"| {name} | {to} | " + " | ".join(str(row[column]) for column in columns) + " |")
    return 1 if any(row[column] for row in rows.values() for column in columns[1:]) else 0


def one_run(ggraft: Path, model: Path, temp: Path, rows: dict) -> None:
    name, to = random.choice(list(SIGNALS)), random.choice(["ggraft", "command"])
    row = rows[name, to]
    row["runs"] += 1
    start = [ggraft, "with", model, "--outtype", random.choice(["f32", "f16", "q8_0"]), "--"]
    environment = os.environ | {"TMPDIR": str(temp)}
    line = [*start, sys.executable, "-c", COMMAND, "{}"]
    process = subprocess.Popen(line, env=environment, stderr=subprocess.DEVNULL)
    command = None
    if to == "command":
        while command is None and process.poll() is None:
            command = child_of(process.pid)
    time.sleep(random.uniform(0, 0.6))
    command = command or child_of(process.pid)
    try:
        os.kill(process.pid if to == "ggraft" else command, SIGNALS[name])
    except (ProcessLookupError, TypeError):
        pass
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        row["hung"] += 1
        process.kill()
        process.wait()
    # A killed ggraft tells nobody, but its command is told that it is gone.
    deadline = time.monotonic() + PATIENCE
    while command and is_alive(command) and time.monotonic() < deadline:
        time.sleep(0.01)
    if command and is_alive(command):
        row["command lives"] += 1
        os.kill(command, signal.SIGKILL)
    try:
        after = subprocess.run([*start, "true"], env=environment, timeout=PATIENCE, check=False)
        row["next failed"] += after.returncode != 0
    except subprocess.TimeoutExpired:
        row["hung"] += 1
    row["mounted"] += len(mounts(temp))
    row["left"] += len(list(temp.iterdir()))


def child_of(parent: int) -> int | None:
    """The process that ggraft runs; not the helper that mounts."""
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return next((int(child) for child in children if b"posix_fadvise" in
                     Path(f"/proc/{child}/cmdline").read_bytes()), None)
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_alive(process: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def mounts(below: Path) -> list[str]:
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [point for point in points if point.startswith(f"{below}/")]


if __name__ == "__main__":
    sys.exit(main())
