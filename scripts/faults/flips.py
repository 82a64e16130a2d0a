#!/usr/bin/env python3
"""Changes one bit of a GGUF file's tensor data at a time, and cuts files short, and asks `ggraft verify` what it finds.

    scripts/faults/flips.py [--flips 10000] [--cuts 1000] [--seed 1] [--model DIR]... [--ggraft PATH]

Files are made of tests/models/tiny-llama and of every DIR, in all types, in one file and in splits, and, if GGRAFT_TEST_XFS
and GGRAFT_TEST_BTRFS are set (scripts/with-test-filesystems.sh), with shared blocks there. Places are random bytes,
and the first and last of random tensors. A flip is found if verify exits with 6 and names exactly this tensor and
offset; a cut is found if it exits with 4 or 6. Fails unless all are found. Needs a release build for 10,000 in minutes.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FLAGS = [[], ["--outtype", "bf16"], ["--outtype", "f16"], ["--outtype", "f32"], ["--outtype", "q8_0"],
         ["--outtype", "tq2_0"], ["--split-max-tensors", "7"]]


class Made:
    """A file and the model it is made of."""

    def __init__(self, ggraft: str, model: Path, out: Path, flags: list[str]):
        self.ggraft, self.model = ggraft, model
        label = f"{model.name} {' '.join(flags)}"
        subprocess.run([ggraft, "convert", model, "--outfile", out, "--quiet", "--no-fsync", "--min-extent", "4K", *flags],
                       check=True)
        first = out if out.exists() else sorted(out.parent.glob(f"{out.stem}-*.gguf"))[0]
        shown = json.loads(subprocess.run([ggraft, "inspect", "--json", first], check=True, capture_output=True).stdout)
        self.paths = [Path(file["path"]) for file in shown["files"]]
        self.tensors = shown["tensors"]
        report = self.verify()
        assert report.returncode == 0, (label, report.stdout, report.stderr)
        self.shared = json.loads(report.stdout)["bytes"]["shared"]
        self.label = f"{label} ({self.shared} bytes shared)"

    def verify(self) -> subprocess.CompletedProcess:
        return subprocess.run([self.ggraft, "verify", self.paths[0], self.model, "--json"], capture_output=True)

    def flip(self, random_: random.Random) -> str | None:
        """Changes a bit and changes it back; answers what went wrong."""
        tensor = random_.choice(self.tensors)
        within = random_.choice([0, tensor["bytes"] - 1] + 4 * [random_.randrange(tensor["bytes"])])
        at = tensor["offset"] + within
        with open(tensor["file"], "r+b", buffering=0) as file:
            old = os.pread(file.fileno(), 1, at)
            os.pwrite(file.fileno(), bytes([old[0] ^ 1 << random_.randrange(8)]), at)
            found = self.verify()
            os.pwrite(file.fileno(), old, at)
        what = f"{self.label}: {tensor['name']} byte {within}"
        if found.returncode != 6:
            return f"{what}: exit {found.returncode}: {found.stderr.decode()}"
        differences = json.loads(found.stdout)["differences"]
        named = [(d.get("tensor"), d.get("offset"), d.get("offset_in_tensor")) for d in differences]
        return None if named == [(tensor["name"], at, within)] else f"{what}: {differences}"

    def cut(self, random_: random.Random) -> str | None:
        """Cuts a file short and makes it whole again; answers what went wrong."""
        path = random_.choice(self.paths)
        whole = path.read_bytes()
        ends = [t["offset"] + n for t in self.tensors if t["file"] == str(path) for n in (0, t["bytes"])]
        ends = [end for end in ends if end < len(whole)] or [0]
        len_ = random_.choice([random_.choice(ends), len(whole) - 1, random_.randrange(len(whole))])
        os.truncate(path, len_)
        found = self.verify()
        with open(path, "r+b") as file:
            file.seek(len_)
            file.write(whole[len_:])
        return None if found.returncode in (4, 6) else f"{self.label}: cut to {len_} of {len(whole)}: exit {found.returncode}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=10000)
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument("--ggraft", default=str(REPOSITORY / "target/release/ggraft"))
    args = parser.parse_args()
    random_ = random.Random(args.seed)
    models = [REPOSITORY / "tests/models/tiny-llama", *args.model]
    places = [None, *(os.environ[v] for v in ("GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS") if v in os.environ)]
    with tempfile.TemporaryDirectory() as scratch:
        works = [tempfile.mkdtemp(dir=place or scratch) for place in places]
        made = []
        for work in map(Path, works):
            for model in models:
                # Only there can blocks be shared, and only what is aligned.
                here = work / model.name
                subprocess.run([args.ggraft, "align", model, "-o", here, "--quiet"], check=True)
                made += [Made(args.ggraft, here, work / f"{model.name}-{i}.gguf", flags) for i, flags in enumerate(FLAGS)]
        print(f"{len(made)} conversions, {sum(m.shared > 0 for m in made)} of which share blocks", flush=True)
        failed = 0
        for kind, count in (("flip", args.flips), ("cut", args.cuts)):
            start, wrong = time.monotonic(), []
            for i in range(count):
                wrong += filter(None, [getattr(made[i % len(made)], kind)(random_)])
            print(f"{kind}s found: {count - len(wrong)} of {count}, {time.monotonic() - start:.0f} s", flush=True)
            print("\n".join(wrong[:20]), file=sys.stderr)
            failed += len(wrong)
        for work in works[1:]:
            subprocess.run(["rm", "-rf", work], check=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
