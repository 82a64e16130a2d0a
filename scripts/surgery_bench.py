#!/usr/bin/env python3
"""Measures `ggraft edit`, `split`, `merge` and `diff`, and fails where they take more time or space than they may.

    sudo scripts/with-test-filesystems.sh scripts/surgery_bench.py [--ggraft PATH] [--pairs 5] [--part NAME]...

sparse  On XFS (GGRAFT_TEST_XFS): a model of 66 GB in BF16 with a vocabulary of 128,256, whose data are holes. An edit of its chat
        template must take 0.2 s and 1 MB; merging it again after a split 1 s and 1 % of space at any moment.
dense   On XFS: the same in 2 GB of random bytes, since holes take no space whatever is done with them.
ext4    On ext4 (GGRAFT_TEST_EXT4), where nothing is shared: an edit of 1 GB of random bytes must take at most 1.1 times what `cp`
        takes, in pairs, each with its data on the disk in the end.
loads   A real model (GGRAFT_TEST_SMOLLM2, a directory) is converted on XFS, edited, split and merged; each must be verified, equal by
        `diff --read-all`, and be completed by llama.cpp (scripts/llama_generate.py) as the first.

Of wall times the median counts. No run may take more than 128 MiB. Needs a release build, GNU time, and for `loads` the Python that has xllamacpp (GGRAFT_TEST_PYTHON).
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
EDIT_SECONDS, EDIT_BYTES, MERGE_SECONDS, MERGE_SPACE, RATIO, MEMORY = 0.2, 1_000_000, 1.0, 0.01, 1.1, 128
VOCABULARY = 128_256

failed = []


def check(what: str, found: float, most: float) -> None:
    print(f"{what}: {found:.4g}, at most {most}", flush=True)
    if found > most:
        failed.append(what)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def strings(name: str, values: list[str]) -> bytes:
    return key(name, 9, struct.pack("<IQ", 8, len(values)) + b"".join(map(text, values)))


def make_gguf(path: Path, layers: int, width: int, inner: int, vocabulary: int, random: bool) -> int:
    """A Llama in BF16, with norms in F32; answers its length."""
    numbers = {"block_count": layers, "context_length": 8192, "embedding_length": width, "feed_forward_length": inner,
               "attention.head_count": width // 128, "attention.head_count_kv": 8}
    keys = [key("general.architecture", 8, text("llama")),
            *(key(f"llama.{name}", 4, struct.pack("<I", n)) for name, n in numbers.items()),
            key("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)),
            key("tokenizer.ggml.model", 8, text("gpt2")), key("tokenizer.ggml.pre", 8, text("llama-bpe")),
            strings("tokenizer.ggml.tokens", [f"token {n}" for n in range(vocabulary)]),
            key("tokenizer.ggml.token_type", 9, struct.pack("<IQ", 5, vocabulary) + struct.pack("<i", 1) * vocabulary),
            strings("tokenizer.ggml.merges", [f"to ken{n}" for n in range(2 * vocabulary)]),
            key("tokenizer.chat_template", 8, text("{{ old }}"))]
    tensors = [("token_embd.weight", [width, vocabulary], 30)]
    for n in range(layers):
        shapes = {"attn_norm": [width], "attn_q": [width, width], "attn_k": [width, 1024], "attn_v": [width, 1024],
                  "attn_output": [width, width], "ffn_norm": [width], "ffn_gate": [width, inner], "ffn_up": [width, inner],
                  "ffn_down": [inner, width]}
        tensors += [(f"blk.{n}.{name}.weight", shape, 0 if len(shape) == 1 else 30) for name, shape in shapes.items()]
    tensors += [("output_norm.weight", [width], 0), ("output.weight", [width, vocabulary], 30)]
    header, offset = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys), 0
    for name, shape, kind in tensors:
        header += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape)
        header += struct.pack("<IQ", kind, offset)
        size = 4 if kind == 0 else 2
        for n in shape:
            size *= n
        offset += -(-size // 32) * 32
    header += bytes(-len(header) % 32)
    with path.open("wb") as file:
        file.write(header)
        for at in range(0, offset if random else 0, 1 << 24):
            file.write(os.urandom(min(1 << 24, offset - at)))
        file.truncate(len(header) + offset)
        os.fsync(file.fileno())
    return len(header) + offset


class Ggraft:
    """Runs ggraft, and keeps the last run's memory and processor time; every run's memory is checked."""

    def __init__(self, path: str) -> None:
        self.path = path

    def run(self, *args: object) -> tuple[float, dict]:
        """Seconds, and the report."""
        with tempfile.NamedTemporaryFile("r") as note:
            line = ["/usr/bin/time", "-f", "%M %U %S", "-o", note.name, self.path, *map(str, args), "--json"]
            began = time.monotonic()
            ended = subprocess.run(line, text=True, capture_output=True)
            seconds = time.monotonic() - began
            if ended.returncode:
                sys.exit(f"{line}: {ended.stderr}")
            kib, user, system = note.read().split()[-3:]
        self.mib, self.cpu = int(kib) / 1024, float(user) + float(system)
        if self.mib > MEMORY:
            check(f"{args[0]}, peak MiB", self.mib, MEMORY)
        return seconds, json.loads(ended.stdout)


def used(at: Path) -> int:
    """Bytes that the file system has given away."""
    os.sync()
    state = os.statvfs(at)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


class Peak:
    """The most that a file system had given away meanwhile."""

    def __init__(self, at: Path) -> None:
        self.at, self.most, self.over = at, 0, threading.Event()

    def __enter__(self) -> "Peak":
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        return self

    def watch(self) -> None:
        while not self.over.is_set():
            state = os.statvfs(self.at)
            self.most = max(self.most, (state.f_blocks - state.f_bfree) * state.f_frsize)
            time.sleep(0.002)

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.watcher.join()
        self.most = max(self.most, used(self.at))


def shared(ggraft: Ggraft, pairs: int, what: str, shape: dict) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ["GGRAFT_TEST_XFS"]) as work:
        at = Path(work)
        model, out, template = at / "model.gguf", at / "out.gguf", at / "chat.jinja"
        length = make_gguf(model, **shape)
        template.write_text("{{ new }}\n" * 100)
        print(f"{what}: {length / 1e9:.1f} GB")

        seconds, before = [], used(at)
        for _ in range(pairs):
            out.unlink(missing_ok=True)
            took, report = ggraft.run("edit", model, "--chat-template", template, "-o", out)
            seconds.append(took)
        check(f"{what}: edit, seconds, median of {pairs}", statistics.median(seconds), EDIT_SECONDS)
        print(f"{what}: edit, least {min(seconds):.3f} s, {ggraft.cpu:.2f} s of a processor, {ggraft.mib:.0f} MiB")
        check(f"{what}: edit, new bytes by the file's extents", report["measured"]["unique"], EDIT_BYTES)
        check(f"{what}: edit, new bytes of the file system", used(at) - before, EDIT_BYTES)
        ggraft.run("edit", out, "--chat-template", template, "--name", "new", "--in-place")

        took, report = ggraft.run("split", out, "--max-size", length // 7, "-o", at / "part")
        print(f"{what}: split into {len(report['outputs'])} files, seconds: {took:.3f}")
        first, seconds, extra = report["outputs"][0]["path"], [], []
        model.unlink()
        out.unlink()
        for _ in range(pairs):
            out.unlink(missing_ok=True)
            before = used(at)
            with Peak(at) as peak:
                took, report = ggraft.run("merge", first, "-o", out)
            seconds.append(took)
            extra.append((peak.most - before) / length)
        check(f"{what}: merge, seconds, median of {pairs}", statistics.median(seconds), MERGE_SECONDS)
        print(f"{what}: merge, least {min(seconds):.3f} s, {ggraft.cpu:.2f} s of a processor, {ggraft.mib:.0f} MiB")
        check(f"{what}: merge, extra space", max(extra), MERGE_SPACE)
        print(f"{what}: merge, shared: {report['bytes']['cloned'] / report['bytes']['total']:.4%}")
        took, report = ggraft.run("diff", first, out)
        print(f"{what}: diff, seconds: {took:.3f}, {report['bytes']}")
        if not report["equal"]:
            failed.append(f"{what}: diff")


def sparse(ggraft: Ggraft, pairs: int) -> None:
    shape = {"layers": 45, "width": 8192, "inner": 22_016, "vocabulary": VOCABULARY}
    shared(ggraft, pairs, "sparse", shape | {"random": False})


def dense(ggraft: Ggraft, pairs: int) -> None:
    shape = {"layers": 10, "width": 4096, "inner": 11_008, "vocabulary": 16_000}
    shared(ggraft, pairs, "dense", shape | {"random": True})


def ext4(ggraft: Ggraft, pairs: int) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ["GGRAFT_TEST_EXT4"]) as work:
        at = Path(work)
        model, out, template, copy = at / "model.gguf", at / "out.gguf", at / "chat.jinja", at / "copy.gguf"
        length = make_gguf(model, layers=5, width=4096, inner=11_008, vocabulary=8_000, random=True)
        template.write_text("{{ new }}")
        subprocess.run(["cat", model], check=True, stdout=subprocess.DEVNULL)

        def theirs() -> float:
            copy.unlink(missing_ok=True)
            os.sync()
            began = time.monotonic()
            subprocess.run(["cp", model, copy], check=True)
            subprocess.run(["sync", copy], check=True)
            return time.monotonic() - began

        def ours() -> float:
            out.unlink(missing_ok=True)
            os.sync()
            return ggraft.run("edit", model, "--chat-template", template, "-o", out)[0]

        ratios = []
        for n in range(2 * pairs):
            # Each goes first as often as the other.
            first, second = (theirs, ours) if n % 2 else (ours, theirs)
            a, b = first(), second()
            cp, edit = (a, b) if n % 2 else (b, a)
            ratios.append(edit / cp)
            print(f"ext4: {length / 1e9:.1f} GB, cp {cp:.2f} s, edit {edit:.2f} s", flush=True)
        check("ext4: edit, times cp", statistics.median(ratios), RATIO)


def loads(ggraft: Ggraft, _: int) -> None:
    source, python = os.environ["GGRAFT_TEST_SMOLLM2"], os.environ.get("GGRAFT_TEST_PYTHON", sys.executable)

    def says(path: Path) -> str:
        line = [python, REPOSITORY / "scripts/llama_generate.py", path, "The capital of France is", "--n-predict", "8"]
        return subprocess.run(line, check=True, text=True, capture_output=True).stdout

    with tempfile.TemporaryDirectory(dir=os.environ["GGRAFT_TEST_XFS"]) as work:
        at = Path(work)
        model, out, template = at / "model.gguf", at / "out.gguf", at / "chat.jinja"
        subprocess.run(["cp", "-r", source, at / "source"], check=True)
        ggraft.run("convert", at / "source", "--outfile", model)
        template.write_text("{{ messages }}")
        ggraft.run("edit", model, "--chat-template", template, "-o", out)
        ggraft.run("split", model, "--max-tensors", 100, "-o", at / "part")
        first = min(at.glob("part-*.gguf"))
        ggraft.run("merge", first, "-o", at / "merged.gguf")
        expected = says(model)
        for path in (out, first, at / "merged.gguf"):
            ggraft.run("verify", path)
            if path != out:
                ggraft.run("verify", path, at / "source")
            found = says(path)
            print(f"loads: {path.name}: {found.strip()!r}")
            if found != expected:
                failed.append(f"loads: {path.name}")
            compared = subprocess.run([ggraft.path, "diff", model, path, "--read-all", "--json"], text=True, capture_output=True)
            report = json.loads(compared.stdout)
            keys = [one["key"] for one in report["keys"] if not one["layout"]]
            if keys != (["tokenizer.chat_template"] if path == out else []) or any(t["state"] != "equal" for t in report["tensors"]):
                failed.append(f"loads: diff of {path.name}")


PARTS = {"sparse": sparse, "dense": dense, "ext4": ext4, "loads": loads}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ggraft", default=str(REPOSITORY / "target/release/ggraft"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--part", action="append", choices=PARTS, help="all of them by default")
    args = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for name in args.part or PARTS:
        PARTS[name](Ggraft(args.ggraft), args.pairs)
    for what in failed:
        print(f"FAILED: {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
