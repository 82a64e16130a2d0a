#!/usr/bin/env python3
"""Compares ggraft with the reference on small models of a family, byte for byte.

    scripts/conformance/run.py FAMILY... [--only TEXT] [--update]

FAMILY is a file of cases/. For each case a model directory is made, both programs convert it, and the first
differences are shown. Results of the reference are kept in target/conformance, so that another run costs no more than
ggraft itself. With --update, cases that agree become goldens (tests/conformance/FAMILY.json), which `cargo test`
checks without Python; those that do not are left out. --all takes every family.

With GGRAFT_TEST_BTRFS or GGRAFT_TEST_XFS set to a directory on such a file system (scripts/with-test-filesystems.sh
does), also with sharing on: then tensors may lie elsewhere, and must still be the same.

GGRAFT names another binary than target/debug/ggraft; then nothing is built.

Needs torch, transformers and sentencepiece when something must be run anew, and LLAMA_CPP_DIR in the environment: the
directory with convert_hf_to_gguf.py. See README.md.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# torch's powers differ in the last bit between instruction sets; it looks at this when first used.
os.environ["ATEN_CPU_CAPABILITY"] = "avx2"

import checkpoint  # noqa: E402
import reference  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).parent / "cases"
WORK = ROOT / "target/conformance"
GOLDENS = ROOT / "tests/conformance"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def families() -> list[str]:
    return sorted(p.stem for p in CASES.glob("*.py") if not p.stem.startswith("_"))


def load(family: str) -> list[dict]:
    spec = importlib.util.spec_from_file_location(family, CASES / f"{family}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cases = list(module.cases())
    assert len({c["id"] for c in cases}) == len(cases), f"{family}: ids repeat"
    return cases


def described(case: dict) -> dict:
    """The case's model directory; made anew only if the case changed."""
    source = json.dumps(case, sort_keys=True).encode() + Path(checkpoint.__file__).read_bytes()
    path = WORK / "models" / f"{sha(source)}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(checkpoint.model_dir(case)))
    return json.loads(path.read_text())


def contents(directory: Path) -> bytes:
    files = sorted(p for p in directory.rglob("*") if p.is_file())
    return b"".join(str(p.relative_to(directory)).encode() + b"\0" + hashlib.sha256(p.read_bytes()).digest() for p in files)


def write_models(entries: list[dict], out: Path) -> None:
    listing = out / "cases.json"
    listing.write_text(json.dumps(entries))
    subprocess.run([str(ROOT / "target/debug/examples/golden_checkpoints"), str(out), str(listing)], cwd=ROOT, check=True)


def ask_reference(jobs: list[tuple[Path, str, Path, bool]]) -> None:
    missing = [job for job in jobs if not (job[2] / "result.json").exists()]
    if not missing:
        return
    llama_cpp = os.environ.get("LLAMA_CPP_DIR") or sys.exit("set LLAMA_CPP_DIR to the directory of convert_hf_to_gguf.py")
    print(f"running the reference {len(missing)} times", file=sys.stderr, flush=True)
    reference.convert(reference.load(Path(llama_cpp)), missing, min(2, os.cpu_count() or 1))
    for _, flags, out, _ in missing:
        if not (out / "result.json").exists():
            sys.exit(f"{out}: the reference ended without a result; see stderr.txt")


def ggraft() -> str:
    return os.environ.get("GGRAFT") or str(ROOT / "target/debug/ggraft")


def run_ggraft(model: Path, flags: str, out: Path) -> subprocess.CompletedProcess:
    words = [w.replace("@out", str(out)).replace("@dir", str(model)) for w in flags.split()]
    return subprocess.run([ggraft(), "convert", str(model), "--quiet", *words], capture_output=True, text=True)


def compare(model: Path, flags: str, expected: Path) -> list[str]:
    """What differs: nothing if all is well."""
    result = json.loads((expected / "result.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        done = run_ggraft(model, flags + " --no-reflink", out)
        if result["raises"]:
            if done.returncode in (3, 4):
                return []
            return [f"the reference refuses ({result['raises']}), ggraft exits with {done.returncode}"]
        if done.returncode != 0:
            return [f"ggraft exits with {done.returncode}: {done.stderr.strip()}"]
        made = sorted(p.name for p in out.iterdir())
        if made != result["files"]:
            return [f"ggraft makes {made}, the reference {result['files']}"]
        return [line for name in made for line in differences(expected / name, out / name)]


class Readable(reference.Manifest):
    """With the start of arrays, not just their digest."""

    def value(self, kind: int) -> str:
        at = self.at
        short = super().value(kind)
        if kind != reference.ARRAY:
            return short
        end, self.at = self.at, at
        element, count = self.unpack("IQ")
        shown = [super(Readable, self).value(element).split(" ", 1)[1] for _ in range(min(count, 24))]
        self.at = end
        return f"{short} {', '.join(shown)}{' …' if count > 24 else ''}"


def differences(wanted: Path, found: Path) -> list[str]:
    a, b = wanted.read_bytes(), found.read_bytes()
    if a == b:
        return []
    left, right = Readable(a), Readable(b)
    lines = []
    for what in ("keys", "tensors"):
        x, y = getattr(left, what), getattr(right, what)
        if x != y:
            name = {line.split(":")[0]: line for line in x}
            other = {line.split(":")[0]: line for line in y}
            lines += [f"{what[:-1]} missing: {name[k]}" for k in name if k not in other][:4]
            lines += [f"{what[:-1]} too much: {other[k]}" for k in other if k not in name][:4]
            changed = [k for k in name if k in other and name[k] != other[k]]
            lines += [f"{what[:-1]} is {other[k]}\n        expected {name[k]}" for k in changed][:4]
            lines += [note for k in changed[:2] if what == "tensors" for note in element(a, b, left, right, k)]
            if not lines:
                at = next(i for i, (p, q) in enumerate(zip(x, y)) if p != q)
                lines.append(f"order of {what}: number {at} is {y[at]}\n        expected {x[at]}")
    return [f"{found.name}: {line}" for line in lines or ["keys and tensors agree, the bytes around them do not"]]


def element(a: bytes, b: bytes, left, right, name: str) -> list[str]:
    """Where two tensors of the same size start to differ."""
    (p, n), (q, m) = left.where[name], right.where[name]
    if n != m:
        return []
    x, y = a[p:p + n], b[q:q + m]
    at = next((i for i in range(n) if x[i] != y[i]), None)
    if at is None:
        return []
    at -= at % 4
    count = sum(x[i] != y[i] for i in range(n))
    return [f"    {count} of {n} bytes differ, from byte {at}: {y[at:at + 8].hex(' ')}, expected {x[at:at + 8].hex(' ')}"]


def compare_shared(model: Path, flags: str, expected: Path) -> list[str]:
    """With sharing on: the same tensors, wherever they lie."""
    place = os.environ.get("GGRAFT_TEST_BTRFS") or os.environ.get("GGRAFT_TEST_XFS")
    result = json.loads((expected / "result.json").read_text())
    if not place or result["raises"] or "split" in flags:
        return []
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        copy, out = Path(scratch, "model", model.name), Path(scratch, "out")
        shutil.copytree(model, copy)
        out.mkdir()
        done = run_ggraft(copy, flags + " --min-extent 1", out)
        if done.returncode != 0:
            return [f"sharing: ggraft exits with {done.returncode}: {done.stderr.strip()}"]
        found = [t for p in out.iterdir() for t in reference.Manifest(p.read_bytes()).tensors]
    wanted = [t for name in result["files"] for t in reference.Manifest((expected / name).read_bytes()).tensors]
    return [f"sharing: {t} differs" for t in sorted(set(wanted) ^ set(found))][:4]


def entry(shards: int, flags: str, out: Path, full: bool) -> dict:
    result = json.loads((out / "result.json").read_text())
    run = {"shards": shards, "convert": flags}
    if result["raises"]:
        return run | {"raises": result["raises"]}
    return run | {"files": [reference.manifest(out / name, "@out", full) for name in result["files"]]}


def write_goldens(family: str, cases: list[dict]) -> None:
    path = GOLDENS / f"{family}.json"
    if not cases:
        path.unlink(missing_ok=True)
        return
    lines = []
    for case in cases:
        runs = ",\n".join("   " + json.dumps(r, ensure_ascii=False) for r in case["runs"])
        model = json.dumps(case["model"], ensure_ascii=False)
        lines.append(f'  {{"id": {json.dumps(case["id"])},\n   "model": {model},\n   "runs": [\n{runs}]}}')
    head = json.dumps(reference.versions())
    path.write_text(f'{{"reference": {head},\n "cases": [\n' + ",\n".join(lines) + "\n ]}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", help="cases whose name has this text in it")
    parser.add_argument("--fresh", action="store_true", help="run the reference again, whatever is kept")
    parser.add_argument("--update", action="store_true", help="write goldens of the cases that agree")
    args = parser.parse_args()
    names = families() if args.all else args.families
    if not names or set(names) - set(families()):
        parser.error(f"families are: {' '.join(families())}")
    if args.update and args.only:
        parser.error("--update writes all cases of a family; leave out --only")

    if "GGRAFT" not in os.environ:
        targets = ["--bin", "ggraft", "--example", "golden_checkpoints"]
        subprocess.run(["cargo", "build", "--quiet", *targets], cwd=ROOT, check=True)
    WORK.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=WORK, prefix="run-"))
    try:
        return check(names, args, work)
    finally:
        shutil.rmtree(work)


def check(names: list[str], args: argparse.Namespace, work: Path) -> int:
    listed, models, broken = [], [], 0
    for family in names:
        for at, case in enumerate(load(family)):
            if args.only and args.only not in case["id"]:
                continue
            try:
                model = described(case)
            except Exception as e:
                print(f"{family} {case['id']}: transformers cannot make it: {type(e).__name__}: {e}", flush=True)
                broken += 1
                continue
            listed.append((family, case["id"], model, case, checkpoint.runs(case, at == 0)))
            for shards in {s for s, _ in listed[-1][-1]}:
                weights = model["weights"] | {"shards": shards}
                models.append({"id": f"{family}/{case['id']}/{shards}", "model": model | {"weights": weights}})
    write_models(models, work)

    jobs = {}
    for family, id, model, case, runs in listed:
        for shards, flags in runs:
            directory = work / family / id / str(shards) / model["dir"]
            key = sha(contents(directory) + f"{model['dir']} {flags}{case['bos'] or ''}".encode())
            jobs[family, id, shards, flags] = (directory, flags, WORK / "results" / key, case["bos"])
    if args.fresh:
        for _, _, out, _ in jobs.values():
            shutil.rmtree(out, ignore_errors=True)
    ask_reference(list(jobs.values()))

    failed, passed = broken, {family: [] for family in names}
    for family, id, model, case, runs in listed:
        problems = {}
        for shards, flags in runs:
            directory, _, out, _ = jobs[family, id, shards, flags]
            found = compare(directory, flags, out)
            if not found and (shards, flags) == runs[-1]:
                found = compare_shared(directory, flags, out)
            refused = json.loads((out / "result.json").read_text())["raises"]
            if bool(refused) != case["refused"]:
                found = [f"the case is not as intended: the reference refuses ({refused})" if refused else
                         "the case is not as intended: the reference does not refuse"]
            name = f"{flags.removesuffix(' --outfile @out/m.gguf')}{f' of {shards} files' if shards > 1 else ''}"
            for line in found:
                problems.setdefault(line, []).append(name)
        print(f"{family} {id}: {'DIFFERS' if problems else 'OK'}", flush=True)
        for line, names in list(problems.items())[:8]:
            print(f"    {line}\n        with {'; '.join(names)}", flush=True)
        failed += bool(problems)
        if not problems:
            entries = [entry(*run, jobs[family, id, *run][2], run == runs[0]) for run in runs]
            passed[family].append({"id": id, "model": model, "runs": entries})
    if args.update:
        for family, cases in passed.items():
            write_goldens(family, cases)
    print(f"{len(listed) + broken - failed} of {len(listed) + broken} cases agree")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
