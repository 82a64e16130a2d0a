#!/usr/bin/env python3
"""Cuts the power and kills processes while ggraft writes, and counts what was lost.

    sudo scripts/faults/run.py [--short] [--part NAME]... [--ggraft PATH] [--no-fsync]

Prints a table for each part, and ends with 1 if anything was lost, mixed or left behind. `--short` takes a minute
and is for CI. `--no-fsync` passes that flag on, to see that the power cuts do lose files then. Needs root, loop
devices, xfsprogs, btrfs-progs and e2fsprogs; nothing of Python but itself.

A part is a module of this directory with a docstring and a function `run(context)` that gives a list of rows:
dictionaries whose keys are the columns. Columns in `support.FAULTS` have to be 0. Add it to PARTS.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import kills
import power
import replaced
import support
import surgery
import together

PARTS = {"power": power, "kills": kills, "together": together, "replaced": replaced, "surgery": surgery}


def table(rows: list[dict]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([str(row[c]) for c in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--part", action="append", choices=PARTS, help="all of them by default")
    parser.add_argument("--ggraft", type=Path, default=support.REPOSITORY / "target/release/ggraft")
    parser.add_argument("--no-fsync", action="store_true")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("must be root to mount file systems")
    if not args.ggraft.is_file():
        sys.exit(f"{args.ggraft} is not there: cargo build --release, or --ggraft")

    top = Path(tempfile.mkdtemp(prefix="ggraft-faults."))
    faults = 0
    try:
        flags = ["--no-fsync"] if args.no_fsync else []
        context = support.Context(args.ggraft.resolve(), args.short, top, flags)
        for name in args.part or PARTS:
            print(f"\n{name}: {PARTS[name].__doc__.splitlines()[0]}\n", flush=True)
            rows = PARTS[name].run(context)
            print(table(rows), flush=True)
            faults += sum(row.get(column, 0) for row in rows for column in support.FAULTS)
    finally:
        support.unmount_all()
        shutil.rmtree(top, ignore_errors=True)
    print(f"\n{faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
