"""Power cuts up to 40 seconds after ggraft said that it was done.

A conversion on a file system in an image; after it has ended with 0 and a random time, during which nothing else
happens there, the image is copied as it is at that instant, without a sync. The image lies on an XFS of its own, whose
clones are such instants: what the file system had not written by then is not in the copy. The copy is mounted and the
outputs are compared with what they were.
"""

import random
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import support
from support import Context

IMAGE = 384 << 20
# Nearly all of the time they wait.
PARALLEL = 12
LONGEST_WAIT = 40.0

# Under names that are free, over a complete file, over a complete set.
SET = ["--split-max-tensors", "5"]
KINDS = [("new", []), ("over a file", []), ("new set", SET), ("over a set", SET)]


def run(context: Context) -> list[dict]:
    cuts, longest = (3, 4.0) if context.short else (50, LONGEST_WAIT)
    host = context.top / "host.img"
    support.make_image(host, "xfs", 64 << 30)
    images = support.mount(host, context.top / "images")
    model = support.make_model(context.top / "model")
    rows = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        jobs = {}
        for kind in support.FILE_SYSTEMS:
            for mode in ("copy", "share"):
                place = lambda n: images / f"{kind}-{mode}-{n}"
                jobs[kind, mode] = [pool.submit(cut, context, kind, mode, n, longest, model, place(n)) for n in range(cuts)]
        for (kind, mode), started in jobs.items():
            done = [job.result() for job in started]
            waits = [wait for wait, _, _ in done]
            rows.append({
                "file system": kind, "mode": mode, "cuts": len(done), "files": sum(files for _, files, _ in done),
                "after, s": f"{min(waits):.1f} to {max(waits):.1f}, median {statistics.median(waits):.1f}",
                "lost": sum(lost for _, _, lost in done),
            })
    support.unmount(images)
    host.unlink()
    return rows


def cut(context: Context, kind: str, mode: str, n: int, longest: float, model: Path, place: Path):
    """One conversion and one power cut: seconds between them, files written, files lost."""
    what, flags = KINDS[n % len(KINDS)]
    image, copy = place.with_suffix(".img"), place.with_suffix(".cut")
    support.make_image(image, kind, IMAGE)
    at = support.mount(image, context.top / "mounts" / place.name)
    support.call("cp", "-r", model, at / "model")
    (at / "out").mkdir()
    flags = [*flags, "--no-reflink"] if mode == "copy" else flags
    if what.startswith("over"):
        old = context.convert(at / "model", at / "out/m.gguf", *flags, "--model-name", "old")
        support.call(*old)
    support.call("sync", "-f", at)
    support.call(*context.convert(at / "model", at / "out/m.gguf", *flags, "--model-name", "new"))
    ended = time.monotonic()
    # Half of the cuts come while little has been written back by itself.
    wait = random.uniform(0, longest) * random.choice([0.1, 1])
    time.sleep(wait)
    subprocess.run(["cp", "--reflink=always", image, copy], check=True)
    wait = time.monotonic() - ended
    expected = support.hashes(support.outputs(at / "out"))
    support.unmount(at)
    image.unlink()

    at = support.mount(copy, at)
    found = support.hashes(support.outputs(at / "out")) if (at / "out").is_dir() else {}
    support.unmount(at)
    copy.unlink()
    lost = sum(found.get(name) != digest for name, digest in expected.items())
    return wait, len(expected), lost
