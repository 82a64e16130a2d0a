#!/usr/bin/env python3
"""What `ggraft pull --gguf` takes of a disk at any moment, where blocks can be shared, and what --dry-run says beforehand.

Usage: sudo scripts/with-test-filesystems.sh scripts/hub/space.py GGRAFT SERVE_HUB MODEL

A hub of our own serves the directory MODEL; it is downloaded to $GGRAFT_TEST_XFS and $GGRAFT_TEST_BTRFS, whose free space is looked
at every few milliseconds. Fails if the most that was taken is over 1.02 times what --dry-run said. Take a model of some hundred
megabytes, so that what file systems keep for themselves does not count.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MOST = 1.02  # times what was said


def free(directory: Path) -> int:
    found = os.statvfs(directory)
    return found.f_bfree * found.f_frsize


def pull(ggraft: str, identifier: str, directory: Path, environment: dict[str, str]) -> tuple[int, int]:
    """The most bytes that were taken at a moment, and those that are in the end."""
    os.sync()
    before, least = free(directory), free(directory)
    with subprocess.Popen([ggraft, "pull", identifier, str(directory / "model"), "--gguf", "--quiet"], env=environment) as child:
        while child.poll() is None:
            least = min(least, free(directory))
            time.sleep(0.003)
    if child.returncode:
        sys.exit(f"ggraft pull: exit code {child.returncode}")
    os.sync()
    return before - min(least, free(directory)), before - free(directory)


def main() -> int:
    ggraft, serve, model = (os.path.abspath(path) for path in sys.argv[1:4])
    identifier, failed = "org/" + Path(model).name, 0
    size = sum(file.stat().st_size for file in Path(model).iterdir())
    with subprocess.Popen([serve, model, identifier, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as hub:
        endpoint = hub.stdout.readline().strip()
        for name in ("GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS"):
            with tempfile.TemporaryDirectory(dir=os.environ[name]) as scratch:
                environment = dict(os.environ, HF_ENDPOINT=endpoint, HOME=scratch, HF_HOME=f"{scratch}/cache")
                target = str(Path(scratch) / "model")
                told = [ggraft, "pull", identifier, target, "--gguf", "--dry-run", "--json"]
                told = json.loads(subprocess.run(told, env=environment, check=True, capture_output=True).stdout)
                most, end = pull(ggraft, identifier, Path(scratch), environment)
                said = told["peak_bytes"]
                print(f"{name[12:].lower():5}  at most {most / size:.3f} x the model, {end / size:.3f} x in the end; --dry-run said {said / size:.3f} x")
                failed |= most > MOST * said
        hub.stdin.close()
    return failed


if __name__ == "__main__":
    sys.exit(main())
