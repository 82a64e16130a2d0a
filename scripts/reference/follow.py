#!/usr/bin/env python3
"""Keeps tables and goldens at the reference's version.

usage: follow.py check                         versions recorded in the goldens are the pinned ones (no packages needed)
       follow.py check LLAMA_CPP_DIR [NAME...]  records again in a temporary copy and compares; changes nothing
       follow.py update LLAMA_CPP_DIR [NAME...] records again in place
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from versions import pinned

ROOT = Path(__file__).resolve().parents[2]
# Conformance cases are not among them: state-space models' values depend on the CPU that `exp` runs on.
# arch.py is not either: it records such models too.
RECORDERS = ["tables", "configs", "kernels", "metadata", "vocab", "torch_save", "convert"]


def tracked() -> list[str]:
    return subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True,
                          text=True).stdout.rstrip("\0").split("\0")


def stale_versions() -> list[str]:
    pins, stale = pinned(), []
    for path in sorted((ROOT / "tests/golden").glob("*.json")):
        content = json.loads(path.read_text()) if path.read_text(errors="replace")[:40].find('"reference"') > 0 else {}
        for package, version in content.get("reference", {}).items():
            if pins.get(package) != version:
                stale.append(f"{path.relative_to(ROOT)}: recorded with {package} {version}, "
                             f"pinned is {pins.get(package)}")
    return stale


def record(root: Path, llama_cpp: str, names: list[str]) -> None:
    for name in names:
        print(f"{name}.py", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, f"scripts/goldens/{name}.py", str(Path(llama_cpp).resolve())], cwd=root,
                       check=True, stdout=subprocess.DEVNULL)


def differing(llama_cpp: str, names: list[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        files = [f for f in tracked() if (ROOT / f).is_file()]
        for file in files:
            copy = Path(folder) / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, copy)
        record(Path(folder), llama_cpp, names)
        return [f"{f}: differs from what the reference gives" for f in files
                if not (Path(folder) / f).is_file() or (Path(folder) / f).read_bytes() != (ROOT / f).read_bytes()]


def main() -> None:
    command, *rest = sys.argv[1:] or [""]
    names = rest[1:] or RECORDERS
    if command not in ("check", "update") or (command == "update" and not rest) or set(names) - set(RECORDERS):
        sys.exit(__doc__)
    if command == "update":
        return record(ROOT, rest[0], names)
    problems = stale_versions() + (differing(rest[0], names) if rest else [])
    print("\n".join(problems) or "current")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
