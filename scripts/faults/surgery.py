"""SIGKILL at random moments of `ggraft merge --remove-inputs` and `ggraft edit --in-place`.

Until the output is complete the inputs are as they were; afterwards the output is what it is without a kill, and of the
inputs of a merge any may be gone. A file that is edited in place is the old one or the new one, whole.
"""

import random
import shutil
import subprocess
import time
from pathlib import Path

import support
from support import Context

IMAGE = 512 << 20


def run(context: Context) -> list[dict]:
    rounds = 12 if context.short else 200
    model = support.make_model(context.top / "surgery-model")
    return [on_file_system(context, kind, rounds, model) for kind in ("xfs", "ext4")]


def on_file_system(context: Context, kind: str, rounds: int, model: Path) -> dict:
    image = context.top / "surgery.img"
    support.make_image(image, kind, IMAGE)
    at = support.mount(image, context.top / "surgery")
    support.call("cp", "-r", model, at / "model")
    support.call(*context.convert(at / "model", at / "whole.gguf"))
    support.call(context.ggraft, "split", at / "whole.gguf", "--max-tensors", 4, "-o", at / "kept", "--quiet")
    row = dict.fromkeys(["untouched", "complete", "finished", "mixed", "leftovers"], 0)
    for n in range(rounds):
        (one_merge if n % 2 else one_edit)(context, at, row)
    support.unmount(at)
    image.unlink()
    return {"file system": kind, "kills": rounds} | row


def kill(command: list, took: float) -> bool:
    """Whether it had ended by itself."""
    words = [str(word) for word in command]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(random.uniform(0, 1.1 * took))
    process.kill()
    return process.wait() == 0


def fresh(at: Path) -> Path:
    out = at / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return out


def timed(command: list) -> float:
    started = time.monotonic()
    support.call(*command)
    return time.monotonic() - started


def one_merge(context: Context, at: Path, row: dict) -> None:
    out = fresh(at)
    parts = sorted(at.glob("kept-*.gguf"))
    inputs = [shutil.copy(part, out / part.name.replace("kept", "part")) for part in parts]
    before = support.hashes([Path(path) for path in inputs])
    merge = [context.ggraft, "merge", inputs[0], "-o", out / "merged.gguf", "--quiet"]
    took = timed(merge)
    new = support.hashes([out / "merged.gguf"])
    (out / "merged.gguf").unlink()
    row["finished"] += kill([*merge, "--remove-inputs"], 1.5 * took)
    found = support.hashes(support.outputs(out))
    output = {name: digest for name, digest in found.items() if name in new}
    rest = {name: digest for name, digest in found.items() if name not in new}
    if output == new and rest.items() <= before.items():
        row["complete"] += 1
    elif not output and rest == before:
        row["untouched"] += 1
    else:
        row["mixed"] += 1


def one_edit(context: Context, at: Path, row: dict) -> None:
    out = fresh(at)
    file = out / "file.gguf"
    shutil.copy(at / "whole.gguf", file)
    old = support.hashes([file])
    edit = [context.ggraft, "edit", file, "--name", "new", "--in-place", "--quiet"]
    took = timed(edit)
    new = support.hashes([file])
    shutil.copy(at / "whole.gguf", file)
    row["finished"] += kill(edit, took)
    found = support.hashes(support.outputs(out))
    row["complete" if found == new else "untouched" if found == old else "mixed"] += 1
    # The next run takes away what is left.
    support.call(context.ggraft, "edit", file, "--name", "next", "--in-place", "--quiet")
    row["leftovers"] += len(support.leftovers(out))
