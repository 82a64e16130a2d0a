"""Two `align --in-place` at once on six shards, started up to 0.3 s apart: one works, one is told who does.

`lost` counts tensors that are not what they were, `silent` processes that ended with 0 although something was lost.
"""

import random
import shutil
import subprocess
import time

import shards
import support
from support import Context


def run(context: Context) -> list[dict]:
    rounds = 3 if context.short else 30
    original = shards.make(context.top / "together-original")
    before = shards.tensors(original)
    return [on_file_system(context, kind, rounds, original, before) for kind in support.FILE_SYSTEMS]


def on_file_system(context: Context, kind: str, rounds: int, original, before) -> dict:
    image = context.top / "together.img"
    support.make_image(image, kind, 512 << 20)
    at = support.mount(image, context.top / "together")
    row = dict.fromkeys(["both", "refused", "lost", "silent", "failed", "leftovers"], 0)
    for _ in range(rounds):
        model = at / "model"
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(original, model)
        line = [context.ggraft, "align", model, "--in-place", "--quiet"]
        start = lambda: subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
        processes = [start()]
        time.sleep(random.uniform(0, 0.3))
        processes.append(start())
        said = [process.communicate()[1] for process in processes]
        codes = [process.returncode for process in processes]
        damaged = shards.lost(model, before)
        row["both"] += codes == [0, 0]
        row["refused"] += sorted(codes) == [0, 1] and any("in place" in text for text in said)
        row["failed"] += 0 not in codes or any(code not in (0, 1) for code in codes)
        row["lost"] += damaged
        row["silent"] += codes.count(0) if damaged else 0
        row["leftovers"] += len(support.leftovers(model)) + (model / ".ggraft-align.lock").exists()
    support.unmount(at)
    image.unlink()
    return {"file system": kind, "rounds": rounds} | row
