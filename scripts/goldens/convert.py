#!/usr/bin/env python3
"""Regenerate tests/golden/expected.json: run the reference on every golden case.

    python scripts/goldens/convert.py LLAMA_CPP_DIR [ID...]

LLAMA_CPP_DIR holds convert_hf_to_gguf.py. The model directories are made by the example
`golden_checkpoints`. With IDs, only those cases are run again and the rest of the file stays.
All conversions share one Python process, since importing the reference takes ten seconds;
`--check N` runs N of them in processes of their own and compares.
"""

import argparse
import contextlib
import hashlib
import io
import json
import logging
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
from versions import recorded_with  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests/golden/cases.json"
EXPECTED = ROOT / "tests/golden/expected.json"

# GGUF value types: name and struct format; strings and arrays are read apart.
SCALARS = {0: ("u8", "B"), 1: ("i8", "b"), 2: ("u16", "H"), 3: ("i16", "h"), 4: ("u32", "I"), 5: ("i32", "i"),
           6: ("f32", "f"), 7: ("bool", "?"), 10: ("u64", "Q"), 11: ("i64", "q"), 12: ("f64", "d")}
STRING, ARRAY = 8, 9
# Name, elements in a block, bytes of it.
TENSOR_TYPES = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 8: ("Q8_0", 32, 34), 30: ("BF16", 1, 2),
                26: ("I32", 1, 4), 27: ("I64", 1, 8), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
                40: ("NVFP4", 64, 36)}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Manifest:
    """What a GGUF file holds, one line for each key and each tensor (tests/golden/manifest.rs writes the same)."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0
        magic, version, tensors, keys = self.unpack("4sIQQ")
        assert magic == b"GGUF" and version == 3
        self.keys = [f"{self.string()}: {self.value(*self.unpack('I'))}" for _ in range(keys)]
        infos = [(self.string(), self.unpack(f"{self.unpack('I')[0]}Q"), *self.unpack("IQ")) for _ in range(tensors)]
        start = -(-self.at // 32) * 32
        self.tensors, self.where = [], {}
        for name, shape, kind, offset in infos:
            type_name, block, size = TENSOR_TYPES[kind]
            size = math.prod(shape) // block * size
            self.where[name] = (start + offset, size)
            content = data[start + offset:start + offset + size]
            assert len(content) == size
            self.tensors.append(f"{name}: {type_name} {list(shape)} {digest(content)[:8]}")

    def unpack(self, fmt: str) -> tuple:
        values = struct.unpack_from("<" + fmt, self.data, self.at)
        self.at += struct.calcsize("<" + fmt)
        return values

    def string(self) -> str:
        length, = self.unpack("Q")
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def value(self, kind: int) -> str:
        if kind == STRING:
            text = self.string()
            short = json.dumps(text[:60], ensure_ascii=False)
            return f"str {short}" if len(text) <= 60 else f"str {short}… {digest(text.encode())[:8]}"
        if kind == ARRAY:
            element, count = self.unpack("IQ")
            start = self.at
            if element == STRING:
                for _ in range(count):
                    length, = struct.unpack_from("<Q", self.data, self.at)
                    self.at += 8 + length
                name = "str"
            else:
                name, fmt = SCALARS[element]
                self.at += count * struct.calcsize(fmt)
            return f"[{name}; {count}] {digest(self.data[start:self.at])[:8]}"
        name, fmt = SCALARS[kind]
        value, = self.unpack(fmt)
        if name == "f32":  # the shortest digits that read back as the same float
            import numpy
            value = numpy.format_float_scientific(numpy.float32(value), trim="-", exp_digits=1).replace("e+", "e")
        return f"{name} {str(value).lower()}"


def run_here(converter, flags: list[str]) -> str | None:
    """Run the reference's main(); return why it refused, if it did."""
    sys.argv = ["convert_hf_to_gguf.py", *flags]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            converter.main()
    except SystemExit as e:
        return None if e.code in (None, 0) else f"exit {e.code}"
    except Exception as e:
        return f"{type(e).__name__}: {(str(e).splitlines() or [''])[0]}"
    return None


def run_apart(llama_cpp: Path, flags: list[str]) -> str | None:
    command = [sys.executable, str(llama_cpp / "convert_hf_to_gguf.py"), *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    return None if done.returncode == 0 else done.stderr.splitlines()[-1]


def convert(run, model: Path, flags: str) -> dict:
    """One conversion: the files it made, or why it was refused."""
    with tempfile.TemporaryDirectory() as out:
        before = set(model.iterdir())
        words = [w.replace("@out", out).replace("@dir", str(model)) for w in flags.split()]
        refused = run([str(model), *words])
        made = sorted({*Path(out).iterdir(), *(set(model.iterdir()) - before)})
        result = {"convert": flags}
        if refused is not None:
            result["raises"] = refused.replace(str(model), "@dir").replace(out, "@out")
        else:
            result["files"] = []
            for path in made:
                data = path.read_bytes()
                manifest = Manifest(data)
                where = "@out" if path.parent == Path(out) else "@dir"
                result["files"].append({"path": f"{where}/{path.name}", "bytes": len(data), "sha256": digest(data),
                                        "keys": manifest.keys, "tensors": manifest.tensors})
        for path in set(model.iterdir()) - before:
            path.unlink()
        return result


def make_checkpoints(out: Path) -> None:
    subprocess.run(["cargo", "run", "--quiet", "--example", "golden_checkpoints", "--", str(out)], cwd=ROOT, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_cpp", type=Path)
    parser.add_argument("ids", nargs="*")
    parser.add_argument("--check", type=int, default=0, metavar="N")
    args = parser.parse_args()

    os.environ["TQDM_DISABLE"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.path.insert(0, str(args.llama_cpp))
    import convert_hf_to_gguf as converter
    logging.basicConfig(level=logging.ERROR)  # main() asks for INFO, which is ignored once this is set
    logging.getLogger().setLevel(logging.ERROR)

    cases = json.loads(CASES.read_text())
    if unknown := set(args.ids) - {c["id"] for c in cases}:
        parser.error(f"no such case: {', '.join(unknown)}")
    old = json.loads(EXPECTED.read_text())["cases"] if args.ids else {}
    results = {}
    work = Path(tempfile.mkdtemp(prefix="goldens-"))
    try:
        make_checkpoints(work)
        for case in cases:
            id, model = case["id"], work / case["id"] / case["model"]["dir"]
            if args.ids and id not in args.ids:
                if id in old:
                    results[id] = old[id]
                continue
            results[id] = [convert(lambda flags: run_here(converter, flags), model, flags) for flags in case["convert"]]
            refused = sum("raises" in r for r in results[id])
            print(f"{id}: {len(results[id])} conversions, {refused} refused", flush=True)
        converted = [(c, r) for c in cases for r in results[c["id"]] if "files" in r]
        for case, result in converted[::max(1, len(converted) // args.check)][:args.check] if args.check else []:
            model = work / case["id"] / case["model"]["dir"]
            apart = convert(lambda flags: run_apart(args.llama_cpp, flags), model, result["convert"])
            assert apart == result, f"{case['id']} {result['convert']}: differs in a process of its own"
            print(f"{case['id']} {result['convert']}: the same in a process of its own", flush=True)
    finally:
        shutil.rmtree(work)

    packages = ["numpy", "torch", "transformers", "tokenizers", "sentencepiece"]
    reference = recorded_with(*packages)
    EXPECTED.write_text(json.dumps({"reference": reference, "cases": results}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
