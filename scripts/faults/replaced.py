"""A shard is replaced by its aligned copy while it is converted: the output is right, or there is none.

`silent` counts conversions that ended with 0 and made another file than without the replacement.
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
    original = shards.make(context.top / "replaced-original")
    aligned = context.top / "replaced-aligned"
    support.call(context.ggraft, "align", original, "-o", aligned, "--quiet")
    expected = context.top / "expected.gguf"
    support.call(*context.convert(original, expected, "--no-reflink"))
    want = support.hashes([expected])[expected.name]
    return [on_file_system(context, kind, rounds, (original, aligned, want)) for kind in support.FILE_SYSTEMS]


def on_file_system(context: Context, kind: str, rounds: int, models) -> dict:
    original, aligned, want = models
    image = context.top / "replaced.img"
    support.make_image(image, kind, 512 << 20)
    at = support.mount(image, context.top / "replaced")
    model, out = at / "replaced-original", at / "out.gguf"
    row = dict.fromkeys(["right", "refused", "silent", "failed", "leftovers"], 0)
    took = 0.1
    for _ in range(rounds):
        for path in (model, at / "copies"):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(original, model)
        shutil.copytree(aligned, at / "copies")
        out.unlink(missing_ok=True)
        started = time.monotonic()
        process = subprocess.Popen(context.convert(model, out, "--no-reflink"), stderr=subprocess.PIPE, text=True)
        time.sleep(random.uniform(0, took))
        for path in sorted((at / "copies").glob("*.safetensors")):
            path.rename(model / path.name)
        said = process.communicate()[1]
        took = max(0.02, time.monotonic() - started)
        found = support.hashes([out]).get(out.name)
        row["right"] += process.returncode == 0 and found == want
        row["silent"] += process.returncode == 0 and found != want
        row["refused"] += process.returncode == 4 and found is None and ".safetensors" in said
        row["failed"] += process.returncode not in (0, 4) or (process.returncode == 4 and found is not None)
        row["leftovers"] += len(support.leftovers(at))
    support.unmount(at)
    image.unlink()
    return {"file system": kind, "rounds": rounds} | row
