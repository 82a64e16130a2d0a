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


PROJECTORS = """
## Projectors

What `--mmproj` converts: the parts that see or hear, with the projector to the language model. Where `vision_config` names an
architecture of its own, that one counts. Models in Mistral's own format (`--mistral-format`) have a projector, too.

"""

# Why a name is not converted, other than that nobody has written it yet.
REASONS = {
    "GraniteSpeechForConditionalGeneration": "the reference lists the name, but has no text model for it",
    "GraniteSpeechPlusForConditionalGeneration": "the reference lists the name, but has no text model for it",
    "UltravoxModel": "the reference refuses it: its text model is a Llama of its own, to be converted as that",
    "PocketTTSModel": "speech synthesis: its tensors are products of matrices, to the last bit those of torch's BLAS",
    "Qwen3TTSForConditionalGeneration": "speech synthesis: its tensors are products of matrices, to the last bit those of torch's BLAS",
}


def reference_names(llama_cpp: Path, map_name: str) -> dict[str, str]:
    tree = ast.parse((llama_cpp / "conversion/__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and node.target.id == map_name:
            return ast.literal_eval(node.value)
    sys.exit(f"conversion/__init__.py: no {map_name}")


# Models whose own name goes first, whatever that of their part for text is (`get_model_architecture` of the reference).
OWN_NAME = {"StepVLForConditionalGeneration", "Sarashina2VisionForCausalLM", "Exaone4_5_ForConditionalGeneration",
            "Step3p7ForConditionalGeneration", "KimiK3ForConditionalGeneration"}


def goldens(mmproj: bool) -> Counter:
    """Cases by architecture, without those that both programs refuse."""
    found = Counter()
    for path in (ROOT / "tests/conformance").glob("*.json"):
        for case in json.loads(path.read_text())["cases"]:
            config = case["model"].get("config", {})  # models in Mistral's own format have none
            if mmproj != any("--mmproj" in run["convert"] for run in case["runs"]):
                continue
            # As the reference does it: the architecture of the part goes first.
            part = config.get("vision_config" if mmproj else "text_config") or {}
            own = config.get("architectures") or []
            names = own if not mmproj and OWN_NAME.intersection(own[:1]) else part.get("architectures") or own
            if names and all("files" in run for run in case["runs"]):
                found[names[0]] += 1
    return found


def table(names: dict[str, str], supported: set[str], counts: Counter) -> str:
    families = {}
    for name, family in names.items():
        families.setdefault(family, []).append(name)
    rows = []
    for family, members in sorted(families.items()):
        for name in sorted(members, key=str.lower):
            state = "supported" if name in supported else REASONS.get(name, "not yet")
            rows.append(f"| `{family}` | {name} | {state} | {counts[name] or ''} |")
    text = f"{len(supported & names.keys())} of {len(names)} names are supported.\n\n"
    text += "| file | architecture | state | goldens |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    if beyond := sorted(supported - names.keys()):
        text += f"\nAlso converted, though the reference has no such name: {', '.join(beyond)}.\n"
    print(f"{len(supported & names.keys())} of {len(names)} names, {sum(counts.values())} goldens")
    return text


def main() -> None:
    llama_cpp = Path(sys.argv[1])
    ggraft = os.environ.get("GGRAFT") or str(ROOT / "target/debug/ggraft")
    listed = subprocess.run([ggraft, "convert", "--print-supported-models"], check=True, capture_output=True, text=True)
    models, _, projectors = listed.stdout.partition("MMPROJ models:")
    listed = [{line.removeprefix("  - ") for line in part.splitlines() if line.startswith("  - ")}
              for part in (models, projectors)]
    text = HEAD + table(reference_names(llama_cpp, "TEXT_MODEL_MAP"), listed[0], goldens(False))
    text += PROJECTORS + table(reference_names(llama_cpp, "MMPROJ_MODEL_MAP"), listed[1], goldens(True))
    (ROOT / "docs/models.md").write_text(text)


if __name__ == "__main__":
    main()
