#!/usr/bin/env python3
"""Writes docs/models.md: every name that the reference's text models have, and its state here.

usage: models.py LLAMA_CPP_DIR      (GGRAFT names the binary, target/debug/ggraft by default)
"""

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = """# Models

Every Hugging Face architecture that llama.cpp's `convert_hf_to_gguf.py` (scripts/reference/versions.txt) has a text model for,
with the file of its `conversion/` it is in. *Goldens* are configurations of it whose whole files are compared with the
reference's, byte for byte, each at several output types and cut into one file and two (`tests/conformance`); other tests
compare more. Written by `scripts/conformance/models.py`.

"""


def reference_names(llama_cpp: Path) -> dict[str, str]:
    tree = ast.parse((llama_cpp / "conversion/__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and node.target.id == "TEXT_MODEL_MAP":
            return ast.literal_eval(node.value)
    sys.exit("conversion/__init__.py: no TEXT_MODEL_MAP")


def goldens() -> Counter:
    """Cases by architecture, without those that both programs refuse."""
    found = Counter()
    for path in (ROOT / "tests/conformance").glob("*.json"):
        for case in json.loads(path.read_text())["cases"]:
            config = case["model"].get("config", {})  # models in Mistral's own format have none
            # As the reference does it: the text model's own architecture goes first.
            names = config.get("text_config", {}).get("architectures") or config.get("architectures") or []
            if names and all("files" in run for run in case["runs"]):
                found[names[0]] += 1
    return found


def main() -> None:
    names = reference_names(Path(sys.argv[1]))
    ggraft = os.environ.get("GGRAFT") or str(ROOT / "target/debug/ggraft")
    listed = subprocess.run([ggraft, "convert", "--print-supported-models"], check=True, capture_output=True, text=True)
    supported, counts = set(listed.stdout.split()), goldens()
    families = {}
    for name, family in names.items():
        families.setdefault(family, []).append(name)
    rows = []
    for family, members in sorted(families.items()):
        for name in sorted(members, key=str.lower):
            state = "supported" if name in supported else "not yet"
            rows.append(f"| `{family}` | {name} | {state} | {counts[name] or ''} |")
    beyond = sorted(supported - names.keys())
    text = HEAD + f"{len(supported & names.keys())} of {len(names)} names are supported.\n\n"
    text += "| file | architecture | state | goldens |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    if beyond:
        text += f"\nAlso converted, though the reference has no such name: {', '.join(beyond)}.\n"
    (ROOT / "docs/models.md").write_text(text)
    print(f"{len(supported & names.keys())} of {len(names)} names, {sum(counts.values())} goldens")


if __name__ == "__main__":
    main()
