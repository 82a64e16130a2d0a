#!/usr/bin/env python3
"""Kills a batch of 202 jobs twenty times midway and starts it again; prints what was lost or done twice.

usage: batch.py GGRAFT [REAL_MODEL]

200 copies of the tiny model, ten of them without weights, and REAL_MODEL in two types, if given. KILL and TERM in turns, at
random moments; after that the batch runs to its end. Then every output is compared with what a conversion of its own
gives and by `ggraft verify`, and events say how often each job was finished, and whether one was begun again after that. Exits
with 1 unless: exactly the ten fail, no job is finished twice, every output is right, every event is as `ggraft schema` has it,
TERM takes at most two seconds, and nothing else is left. Needs the Python package jsonschema.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import jsonschema

TINY = Path(__file__).resolve().parents[2] / "tests/models/tiny-llama"
ROUNDS = 20


def jobs(site: Path, real: str | None) -> list[dict]:
    jobs = []
    for n in range(200):
        model = site / "models" / f"m{n:03}"
        shutil.copytree(TINY, model)
        if n % 20 == 7:
            (model / "model.safetensors").unlink()
        jobs.append({"name": model.name, "model": str(model), "outtype": "q8_0", "outfile": f"{site}/out/{model.name}.gguf"})
    for outtype in ("bf16", "q8_0") if real else ():
        jobs.insert(100, {"name": f"real {outtype}", "model": real, "outtype": outtype, "outfile": f"{site}/out/real-{outtype}.gguf"})
    return jobs


def run(ggraft: str, site: Path, round: int, seconds: float | None) -> tuple[int | None, float, list[dict]]:
    log = site / f"events-{round}.jsonl"
    child = subprocess.Popen([ggraft, "batch", site / "jobs.jsonl", "--jobs=2", "--quiet", "--events", log],
                             stderr=subprocess.DEVNULL)
    stopping = 0.0
    try:
        code = child.wait(seconds)
    except subprocess.TimeoutExpired:
        code, start = None, time.monotonic()
        child.send_signal(signal.SIGKILL if round % 2 else signal.SIGTERM)
        child.wait()
        stopping = time.monotonic() - start
    text = log.read_text() if log.exists() else ""
    # The last line may have been cut off.
    return code, stopping, [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]


def main() -> None:
    ggraft, real = os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        (site / "out").mkdir()
        listed = jobs(site, real)
        (site / "jobs.jsonl").write_text("".join(json.dumps(job) + "\n" for job in listed))
        events, slowest, killed, code = [], 0.0, 0, None
        for round in range(ROUNDS):
            ended, stopping, told = run(ggraft, site, round, random.uniform(0.05, 0.6))
            events += told
            killed += ended is None
            slowest = max(slowest, stopping)
        code, _, told = run(ggraft, site, ROUNDS, None)
        events += told
        finished = Counter(e["job"] for e in events if e["event"] == "finished")
        failed = {e["job"] for e in events if e["event"] == "failed"}
        twice = begun_again(events) | {job for job, times in finished.items() if times > 1}
        strange = against_schema(ggraft, events)
        wrong = []
        for job in listed:
            if job["name"] in failed:
                continue
            expected = site / "expected.gguf"
            subprocess.run([ggraft, "convert", job["model"], "--outtype", job["outtype"], "--outfile", expected, "--quiet"], check=True)
            output = Path(job["outfile"])
            if not output.is_file() or output.read_bytes() != expected.read_bytes() or not verifies(ggraft, job):
                wrong.append(job["name"])
        left = [p.name for p in (site / "out").iterdir() if p.suffix != ".gguf" and p.name != ".ggraft-batch"]
        expected_to_fail = {f"m{n:03}" for n in range(200) if n % 20 == 7}
        print(f"{len(listed)} jobs, killed {killed} times, slowest TERM {slowest:.2f} s, exit code at the end {code}")
        print(f"{len(failed)} failed, {len(failed ^ expected_to_fail)} others than planted; {len(twice)} finished twice; "
              f"{len(wrong)} wrong or missing; {len(left)} leftovers; {len(events)} events, {strange} against the schema")
        sys.exit(bool(failed ^ expected_to_fail or twice or wrong or left or strange or code != 7 or slowest > 2))


def begun_again(events: list[dict]) -> set[str]:
    """Jobs that were begun after they had been finished."""
    done, again = set(), set()
    for event in events:
        if event["event"] == "finished":
            done.add(event["job"])
        elif event["event"] == "started" and event["job"] in done:
            again.add(event["job"])
    return again


def against_schema(ggraft: str, events: list[dict]) -> int:
    schema = json.loads(subprocess.run([ggraft, "schema"], check=True, stdout=subprocess.PIPE).stdout)
    validator = jsonschema.validators.validator_for(schema)(schema)
    return sum(not validator.is_valid(event) for event in events)


def verifies(ggraft: str, job: dict) -> bool:
    return subprocess.run([ggraft, "verify", job["outfile"], job["model"]], stdout=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    main()
