#!/usr/bin/env python3
"""Has the reference edit, split and merge the files of tests/surgery.rs, and notes what comes of it.

    .venv/bin/python scripts/goldens/surgery.py LLAMA_CPP_DIR LLAMA_GGUF_SPLIT

LLAMA_CPP_DIR is llama.cpp's source, whose gguf-py edits; LLAMA_GGUF_SPLIT the tool that scripts/build_llama_tools.sh builds.
Writes tests/surgery/digests.json: for each edit the SHA-256 of the file, for each split those of all files by name and that of
the merged one.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(*args: object) -> None:
    done = subprocess.run([str(arg) for arg in args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{args}: {done.stdout}{done.stderr}")


def edit(scripts: Path, job: Path) -> str:
    case, source, out = json.loads((job / "case.json").read_text()), job / "in.gguf", job / "out.gguf"
    args = [str(job / "text") if arg == "FILE" else arg for arg in case["theirs"]]
    if case["tool"] == "NewMetadata":
        run(sys.executable, scripts / "gguf_new_metadata.py", "--force", *args, source, out)
    else:
        shutil.copy(source, out)
        # Behind --: a value may be negative.
        run(sys.executable, scripts / "gguf_set_metadata.py", "--force", "--", out, *args)
    return digest(out)


def split(tool: Path, job: Path) -> dict[str, object]:
    case = json.loads((job / "case.json").read_text())
    run(tool, "--split", *case["theirs"], job / "in.gguf", job / "part")
    parts = sorted(job.glob("part-*.gguf"))
    run(tool, "--merge", parts[0], job / "merged.gguf")
    return {"parts": {part.name: digest(part) for part in parts}, "merged": digest(job / "merged.gguf")}


def main() -> None:
    llama_cpp, tool = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    scripts = llama_cpp / "gguf-py/gguf/scripts"
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["cargo", "test", "--quiet", "--test", "surgery"], cwd=REPOSITORY, check=True,
                       env={**os.environ, "GGRAFT_WRITE_SURGERY": work})
        digests = {
            "edits": [edit(scripts, job) for job in sorted(Path(work).glob("edit-*"))],
            "splits": [split(tool, job) for job in sorted(Path(work).glob("split-*"))],
        }
    path = REPOSITORY / "tests/surgery/digests.json"
    path.write_text(json.dumps(digests, indent=1) + "\n")
    print(f"{len(digests['edits'])} edits, {len(digests['splits'])} splits: {path}")


if __name__ == "__main__":
    main()
