#!/usr/bin/env python3
"""Draws a plan as docs/picture.svg does: the checkpoint's bytes above, the GGUF's below, and where each goes.

    ggraft plan MODEL --json | scripts/picture.py > docs/picture.svg

MODEL on a file system that shares blocks; the picture in docs/ is of Llama-3.2-1B's shape on XFS (scripts/make_checkpoint.py
llama-3.2-1b DIR --align 32 --tokenizer tests/tokenizers/llama3-trimmed).
"""

import json
import sys
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, LEFT = 960, 20
ABOVE, BELOW, BAR = 60, 190, 34
COLOURS = {"shared": "#2a9d8f", "copied": "#e9a23b", "converted": "#8e5ea2", "metadata": "#9aa0a6"}


def joined(steps: list[dict]) -> list[dict]:
    """Neighbouring steps of one kind that continue each other in both files, as one."""
    runs: list[dict] = []
    for step in steps:
        last = runs[-1] if runs else None
        gap = step["start"] - (last["start"] + last["len"]) if last else 0
        if (last and last["kind"] == step["kind"] and step["source"] is not None and last["source"] is not None
                and step["source"] - last["source"] == step["start"] - last["start"] and gap < 1 << 16):
            last["len"] += gap + step["len"]
        else:
            runs.append(dict(step))
    return runs


def bars(plan: dict) -> str:
    """The two files to scale, ribbons between them, names and a legend."""
    output, source = plan["outputs"][0], plan["sources"][0]
    steps = [{"start": step["start"], "len": step["len"], "source": step["source_offset"],
              "kind": step["action"] if step["action"] in COLOURS else "metadata"} for step in output["steps"]]
    scale = WIDTH / max(output["bytes"], source["bytes"])
    x = lambda offset: f"{LEFT + offset * scale:.1f}"
    parts = []
    for run in joined(steps):
        colour = COLOURS[run["kind"]]
        start, end = run["start"], run["start"] + run["len"]
        width = max((end - start) * scale, 0.4)
        parts.append(f'<rect x="{x(start)}" y="{BELOW}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>')
        if run["source"] is not None and width >= 0.5:
            begins, ends = run["source"], run["source"] + run["len"]
            above = ABOVE + BAR
            parts.append(f'<path d="M{x(begins)} {above}L{x(ends)} {above}L{x(end)} {BELOW}L{x(start)} {BELOW}Z" fill="{colour}" opacity=".35"/>')
            parts.append(f'<rect x="{x(begins)}" y="{ABOVE}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>')
    size = lambda bytes: f"{bytes / 1e9:.2f} GB" if bytes >= 1e9 else f"{bytes / 1e6:.1f} MB"
    label = lambda y, text: f'<text x="{LEFT}" y="{y}">{escape(text)}</text>'
    parts.append(label(ABOVE - 10, f'{Path(source["path"]).name}, {size(source["bytes"])}'))
    parts.append(label(BELOW + BAR + 20, f'{Path(output["path"]).name}, {size(output["bytes"])}'))
    totals = {kind: sum(step["len"] for step in group) for kind, group in
              groupby(sorted(steps, key=lambda s: s["kind"]), key=lambda s: s["kind"])}
    at = LEFT
    for kind in (kind for kind in COLOURS if totals.get(kind)):
        text = f"{kind} {size(totals[kind])}"
        parts.append(f'<rect x="{at}" y="16" width="12" height="12" fill="{COLOURS[kind]}"/><text x="{at + 18}" y="27">{text}</text>')
        at += 40 + 8 * len(text)
    return "\n".join(parts)


def main() -> None:
    plan = json.load(sys.stdin)
    height = BELOW + BAR + 34
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 2 * LEFT} {height}" font-family="sans-serif" font-size="14">\n'
          f'<rect width="100%" height="100%" fill="#fff"/>\n{bars(plan)}\n</svg>')


main()
