#!/usr/bin/env python3
"""Compares two GGUF models tensor by tensor: names, shapes, types and bytes, wherever they lie.

    scripts/compare_tensors.py A.gguf B.gguf

Of a split model, name the first file. Reads headers with `ggraft inspect --json` (GGRAFT names the
binary, target/release/ggraft by default). Exit status 1 if anything differs.
"""

import json
import os
import subprocess
import sys


def tensors(path: str) -> dict:
    ggraft = os.environ.get("GGRAFT", "target/release/ggraft")
    seen = json.loads(subprocess.run([ggraft, "inspect", "--json", path], check=True, capture_output=True).stdout)
    return {t["name"]: t for t in seen["tensors"]}


def same_bytes(a: dict, b: dict) -> bool:
    with open(a["file"], "rb") as left, open(b["file"], "rb") as right:
        left.seek(a["offset"])
        right.seek(b["offset"])
        for rest in range(a["bytes"], 0, -(1 << 24)):
            part = min(rest, 1 << 24)
            if left.read(part) != right.read(part):
                return False
    return True


def main() -> int:
    a, b = tensors(sys.argv[1]), tensors(sys.argv[2])
    differing = sorted(a.keys() ^ b.keys())
    for name in a.keys() & b.keys():
        alike = all(a[name][key] == b[name][key] for key in ("shape", "type", "bytes"))
        if not (alike and same_bytes(a[name], b[name])):
            differing.append(name)
    for name in differing:
        print(f"differs: {name}")
    print(f"{len(a)} tensors, {len(differing)} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
