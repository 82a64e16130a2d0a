"""python ray_batch.py jobs.jsonl: each entry of the list is a task of Ray's; tasks that are retried find what is done."""

import subprocess
import sys

import ray


@ray.remote(num_cpus=2, max_retries=3)
def convert(jobs: str, index: int) -> int:
    return subprocess.run(["ggraft", "batch", jobs, "--index", str(index), "--retry", "2", "--quiet"]).returncode


entries = sum(1 for line in open(sys.argv[1]) if line.strip() and not line.startswith("#"))
failed = [i for i, code in enumerate(ray.get([convert.remote(sys.argv[1], i) for i in range(entries)])) if code]
sys.exit(f"failed: {failed}" if failed else 0)
