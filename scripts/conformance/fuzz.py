#!/usr/bin/env python3
"""Random models, converted by ggraft and by the reference, and compared byte for byte.

    scripts/conformance/fuzz.py [--seed S] [--cases N] [--first N] [--only N] [--family NAME...]
                                [--quantized PART] [--published PART] [--refusals] [--keep DIR]

Each case is one of cases/ with other sizes, kinds of rope scaling, dtypes, ways of quantization, files and names of shards, model card, directory,
tokenizer and flags. The seed and its number decide what it is: --only 17 is case 17 of 2000, too. A line is printed for every
case in which the two programs do not do the same: DIFFER with the first differing keys and tensors, WE REFUSE, THEY REFUSE
(and llama.cpp does not load what ggraft made either, though it loads the case of cases/), BROKEN where ggraft ends with something
else than a refusal, or VERIFY DIFFERS where the files are equal, and `ggraft verify` says that they are not of the model.
Cases that agree and those listed in fuzz/known.py are only counted. Exit status 1 if there is anything else.

Needs what run.py needs, and xllamacpp. --keep writes model and results of the cases shown to DIR/NUMBER.
"""

import argparse
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import run  # sets what torch looks at when it is imported

import checkpoint
import reference
from fuzz import config, files, known, published, shards, storage

ROOT = run.ROOT
# Cases that are written, converted and removed together.
BATCH = 60
TRIES = 8


def bases(families: list[str] | None) -> list[tuple[str, dict]]:
    names = families or run.families()
    return [(name, case) for name in names for case in run.load(name) if not case["refused"] and not case["bos"]]


def made(args: argparse.Namespace, number: int, listed: list[tuple[str, dict]]) -> dict | None:
    """Case `number`: its model, flags, and what was changed. None if transformers takes none of the changes tried."""
    for attempt in range(TRIES):
        rng = random.Random(f"{args.seed}/{number}/{attempt}")
        family, base = rng.choice(listed)
        case, done = config.changed(rng, base) if rng.random() < 0.75 and not base["params"] else (dict(base), [])
        if rng.random() < 0.3:
            case, more = files.tokenizer(rng, case)
            done += more
        extra = dict(case["files"])
        if rng.random() < 0.3:
            extra["README.md"] = files.card(rng)
            done.append("card")
        if base["mmproj"] and rng.random() < 0.4:
            case, more = config.images(rng, case)
            done += more
            extra = {**case["files"], **extra}
        flags = checkpoint.own_flags(case)
        flags = f"{files.flags(rng)} {flags}".strip() if rng.random() < 0.8 else f"{flags} --outfile @out"
        if not any(word in json.dumps([case["config"], case["tensors"]]) for word in ("nextn", "mtp")) and rng.random() < 0.9:
            # Both programs refuse this of all other models, and that is it.
            flags = flags.replace("--no-nextn", "").replace("--mtp", "")
        if case["mmproj"]:
            flags = f"--mmproj {flags}".replace("--vocab-only ", "")
        if "@dir/overrides.json" in flags:
            extra["overrides.json"] = files.overrides(rng)
        case["files"] = extra
        if rng.random() < 0.4:
            case["dtype"] = rng.choice(["bf16", "f16", "f32"])
        try:
            model = run.described(base) if not done and case["dtype"] == base["dtype"] else checkpoint.model_dir(case)
        except Exception:
            continue
        model = json.loads(json.dumps(model))
        if not case["mmproj"] and rng.random() < args.quantized:
            done += storage.changed(rng, model)
            # Lazily, the reference mixes tensors of BitNet that are there with those that are not.
            flags = f"--no-lazy {flags}" if done and "bitnet" in done[-1] else flags
        if extra:
            model["files"] = {**model.get("files", {}), **extra}
        if rng.random() < args.published:
            done += published.changed(rng, model)
        if rng.random() < 0.6:
            model["dir"] = files.directory(rng)
        weights = model["weights"]
        weights["shards"] = rng.choice([1, 1, 1, 2, 3, 5])
        weights["header"] = rng.choice(["padded", "padded", "odd", "aligned"])
        if rng.random() < 0.1:
            # What methods of quantization store has the dtype that it has.
            plain = [t for t in weights["tensors"] if t[2:] in ([], ["f16"], ["bf16"], ["f32"]) and "scale" not in t[0]]
            for tensor in plain:
                tensor[2:] = [rng.choice(["f16", "f32", "f64", "bf16"])] if rng.random() < 0.1 else tensor[2:]
        size = sum(elements(t) for t in weights["tensors"])
        # Some changes bring tensors that the case adds, too.
        if size > 4_000_000 or len({t[0] for t in weights["tensors"]}) < len(weights["tensors"]):
            continue
        return {"number": number, "base": f"{family} {base['id']}", "done": done, "flags": flags, "model": model, "plain": run.described(base),
                "fitting": base["tensors"] is None, "shards": rng.choices([None, shards.rename, shards.as_torch, shards.respell], [80, 9, 6, 5])[0],
                "bos": case["bos"]}
    return None


def elements(tensor: list) -> int:
    count = 1
    for size in tensor[1]:
        count *= size
    for span in tensor[0].split("{")[1:]:
        low, high = span.split("}")[0].split("-")
        count *= int(high) - int(low) + 1
    return count


def only_last_bits(wanted: Path, found: Path) -> bool:
    """Whether the files differ in last bits of exponentials and square roots at most, which MKL computes as the processor likes."""
    a, b = wanted.read_bytes(), found.read_bytes()
    left, right = reference.Manifest(a), reference.Manifest(b)
    if left.keys != right.keys or len(a) != len(b) or len(left.tensors) != len(right.tensors):
        return False
    other = [x for x, y in zip(left.tensors, right.tensors) if x != y]
    for line in other:
        if not re.search(r"\.(ssm_a|conv_norm\w*\.(weight|bias)): F32", line):
            return False
        (p, n), (q, _) = left.where[line.split(":")[0]], right.where[line.split(":")[0]]
        x, y = struct.unpack(f"<{n // 4}f", a[p:p + n]), struct.unpack(f"<{n // 4}f", b[q:q + n])
        # What is made of a root, a sum of products, may be small besides its parts.
        size = [max(map(abs, x))] * len(x) if "bias" in line else map(abs, x)
        if any(i != j and not abs(i - j) <= 2.5e-7 * most for i, j, most in zip(x, y, size)):
            return False
    return True


def loads(model: dict, flags: str) -> str | None:
    """Why llama.cpp does not load what ggraft makes of a model; none if it does."""
    model = json.loads(json.dumps(model))
    settings = config.text(model.get("config", {}))
    # The embeddings have few rows, but llama.cpp wants as many as there are tokens.
    rows = settings.get("vocab_size") or checkpoint.VOCAB.get(model.get("tokenizer"), checkpoint.ROWS)
    for tensor in model["weights"]["tensors"]:
        tensor[1] = [rows if size == checkpoint.ROWS and i == 0 else size for i, size in enumerate(tensor[1])]
    with tempfile.TemporaryDirectory() as scratch:
        run.write_models([{"id": "whole", "model": model}], Path(scratch))
        flags = flags.replace("--vocab-only", "").rsplit("--outfile", 1)[0]
        done = run.run_ggraft(Path(scratch, "whole", model["dir"]), flags + " --outfile @out/m.gguf", Path(scratch))
        if done.returncode:
            return f"it has nothing to load, ggraft refuses: {done.stderr.strip()[:160]}"
        first = sorted(Path(scratch).glob("*.gguf"))[0]
        command = [sys.executable, str(Path(__file__).parent / "fuzz/load.py"), str(first)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        except subprocess.TimeoutExpired:
            return None  # the server waits for itself now and then, but only once a model is loaded
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
    return (lines or [f"exit status {done.returncode}"])[0][:200]


def judged(case: dict, model: Path, out: Path) -> tuple[str, list[str]]:
    """What came of a case, and what to say about it."""
    theirs = json.loads((out / "result.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        ours = Path(scratch)
        flags = case["flags"] + " --no-reflink"
        done = run.run_ggraft(model, flags, ours)
        # Where sizes were changed and tensors were not, only ggraft asks whether they belong together.
        if done.returncode and not theirs["raises"] and "--allow-incomplete" in done.stderr:
            done = run.run_ggraft(model, flags + " --allow-incomplete", ours)
        said = done.stderr.strip().replace(str(model), "@dir")
        if done.returncode not in (0, 2, 3, 4):
            return "broken", [f"exit status {done.returncode}: {said[:300]}"]
        if theirs["raises"] and done.returncode:
            return "both refuse", [f"they: {theirs['raises'][:200]}", f"we: {said[:300]}"]
        if theirs["raises"]:
            if why := known.reason(theirs["raises"], known.REFUSED_THERE):
                return "listed", [f"they: {theirs['raises'][:200]}", why]
            if "--mmproj" in case["flags"]:
                return "they refuse", [f"they: {theirs['raises'][:200]}"]
            why = loads(case["model"], case["flags"])
            if why is None:
                return "only they refuse, and llama.cpp loads ours", []
            if not case["fitting"]:
                return "only they refuse, and the sizes do not fit the tensors", []
            if loads(case["plain"], "") is not None:
                return "only they refuse, and llama.cpp does not load the model unchanged either", []
            return "they refuse", [f"they: {theirs['raises'][:200]}", f"llama.cpp: {why}"]
        if done.returncode:
            why = known.reason(said, known.REFUSED_HERE)
            return ("listed", [said[:300], why]) if why else ("we refuse", [said[:300]])
        names = sorted(p.name for p in ours.iterdir())
        pairs = zip(sorted(theirs["files"]), names)
        lines = [line for expected, name in pairs for line in run.differences(out / expected, ours / name)]
        if names != theirs["files"]:
            lines = [f"files are {names}, expected {theirs['files']}", *lines]
        elif lines and all(only_last_bits(out / name, ours / name) for name in names):
            return "agree but for last bits", []
        if lines and (why := known.reason("\n".join(lines), known.DIFFERENT)):
            return "listed", [*lines[:6], why]
        if lines:
            return "differ", lines[:6]
        problem = verified(model, case["flags"], [ours / name for name in names])
        return ("verify differs", [problem]) if problem else ("agree", [])


# What `ggraft verify` has to be told of a conversion, and whether it is followed by a value.
TOLD = {"--model-name": 1, "--metadata": 1, "--target-model-dir": 1, "--mistral-format": 0, "--disable-mistral-community-chat-template": 0}


def verified(model: Path, flags: str, files: list[Path]) -> str | None:
    """What `ggraft verify` finds wrong with the files that the reference makes, too."""
    words = flags.replace("@dir", str(model)).split()
    told = [word for at, flag in enumerate(words) if flag in TOLD for word in words[at:at + 1 + TOLD[flag]]]
    command = [run.ggraft(), "verify", "--quiet", str(files[0]), str(model), *told]
    done = subprocess.run(command, capture_output=True, text=True)
    said = (done.stdout + done.stderr).replace(str(model), "@dir").strip()
    return f"exit status {done.returncode}: {said[:600]}" if done.returncode else None


def batch(cases: list[dict], converter, args: argparse.Namespace) -> Counter:
    counts = Counter()
    work = Path(tempfile.mkdtemp(dir=run.WORK, prefix="fuzz-"))
    try:
        run.write_models([{"id": str(c["number"]), "model": c["model"]} for c in cases], work)
        jobs = []
        for case in cases:
            case["path"] = work / str(case["number"]) / case["model"]["dir"]
            if case["shards"] and not case["model"]["weights"].get("consolidated"):
                case["shards"](case["path"])
            jobs.append((case["path"], case["flags"], work / f"{case['number']}.out", case["bos"]))
        reference.convert(converter, jobs, min(2, os.cpu_count() or 1))
        for case, (model, flags, out, _) in zip(cases, jobs):
            if not (out / "result.json").exists():
                counts["reference without a result"] += 1
                continue
            what, lines = judged(case, model, out)
            counts[what] += 1
            if lines and (args.refusals or what not in ("both refuse", "listed")):
                print(f"{case['number']} {what.upper()}: {case['base']}: {'; '.join(case['done'])}\n    {case['model']['dir']} "
                      f"{flags}", *lines, sep="\n    ", flush=True)
                if args.keep and what not in ("both refuse", "listed"):
                    kept = Path(args.keep) / str(case["number"])
                    shutil.rmtree(kept, ignore_errors=True)
                    shutil.copytree(model, kept / model.name)
                    shutil.copytree(out, kept / "reference")
    finally:
        shutil.rmtree(work)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, help="this case alone")
    parser.add_argument("--family", nargs="+", help="cases made from these files of cases/")
    parser.add_argument("--quantized", type=float, default=0.15, help="the part of models that are quantized (0.15)")
    parser.add_argument("--published", type=float, default=0.35, help="the part of models that get what published ones have (0.35)")
    parser.add_argument("--refusals", action="store_true", help="show what both refuse and what is listed, too")
    parser.add_argument("--keep", help="directory for the cases that are shown")
    args = parser.parse_args()
    if "GGRAFT" not in os.environ:
        subprocess.run(["cargo", "build", "--quiet", "--bin", "ggraft", "--example", "golden_checkpoints"], cwd=ROOT, check=True)
    run.WORK.mkdir(parents=True, exist_ok=True)
    llama_cpp = os.environ.get("LLAMA_CPP_DIR") or sys.exit("set LLAMA_CPP_DIR to the directory of convert_hf_to_gguf.py")
    converter, listed = reference.load(Path(llama_cpp)), bases(args.family)
    numbers = [args.only] if args.only is not None else list(range(args.first, args.first + args.cases))
    counts = Counter()
    for start in range(0, len(numbers), BATCH):
        cases = [made(args, number, listed) for number in numbers[start:start + BATCH]]
        counts["not made"] += cases.count(None)
        counts += batch([case for case in cases if case], converter, args)
        print(f"-- {start + len(cases)}: {', '.join(f'{n} {what}' for what, n in counts.most_common())}", flush=True)
    return 1 if any(counts[what] for what in ("differ", "we refuse", "they refuse", "broken", "verify differs")) else 0


if __name__ == "__main__":
    sys.exit(main())
