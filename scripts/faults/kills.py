"""SIGKILL at random moments of a conversion, over an old file, an old set, and under new names.

Afterwards there is the old output or the new one, or none where that is right: under a name that was free, or of a set
its first file, without which nobody loads it. The next run leaves no temporary file.
"""

import random
import subprocess
import time
from pathlib import Path

import support
from support import Context

IMAGE = 512 << 20
SET = ["--split-max-tensors", "5"]


def run(context: Context) -> list[dict]:
    rounds = 12 if context.short else 100
    model = support.make_model(context.top / "killed-model")
    return [on_file_system(context, kind, rounds, model) for kind in support.FILE_SYSTEMS]


def on_file_system(context: Context, kind: str, rounds: int, model: Path) -> dict:
    image = context.top / "kills.img"
    support.make_image(image, kind, IMAGE)
    at = support.mount(image, context.top / "kills")
    support.call("cp", "-r", model, at / "model")
    row = dict.fromkeys(["old", "new", "none", "finished", "mixed", "leftovers"], 0)
    for n in range(rounds):
        replaces, flags = [(True, []), (True, SET), (False, SET), (True, SET)][n % 4]
        flags = [*flags, "--no-reflink"] if n % 3 == 0 else flags
        one_kill(context, at, replaces, flags, row)
    support.unmount(at)
    image.unlink()
    return {"file system": kind, "kills": rounds} | row


def one_kill(context: Context, at: Path, replaces: bool, flags: list[str], row: dict) -> None:
    out = at / "out"
    subprocess.run(["rm", "-rf", out], check=True)
    out.mkdir()
    convert = lambda name: context.convert(at / "model", out / "m.gguf", *flags, "--model-name", name)
    # What the new output looks like, and how long it takes.
    started = time.monotonic()
    support.call(*convert("new"))
    took = time.monotonic() - started
    new = support.hashes(support.outputs(out))
    old = {}
    if replaces:
        started = time.monotonic()
        support.call(*convert("old"))
        took = min(took, time.monotonic() - started)
        old = support.hashes(support.outputs(out))
    else:
        for path in support.outputs(out):
            path.unlink()

    process = subprocess.Popen(convert("new"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(random.uniform(0, 1.1 * took))
    process.kill()
    row["finished"] += process.wait() == 0
    found = support.hashes(support.outputs(out))
    first = min(new)
    if found == new:
        row["new"] += 1
    elif found == old and old:
        row["old"] += 1
    elif first not in found and (len(new) > 1 or not found and not old):
        row["none"] += 1
    else:
        row["mixed"] += 1
    support.call(*convert("new"))
    row["leftovers"] += len(support.leftovers(out))
    if support.hashes(support.outputs(out)) != new:
        row["mixed"] += 1
