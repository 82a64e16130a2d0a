"""Convert Hugging Face checkpoints to GGUF with the `ggraft` program that this package brings along.

    >>> import ggraft
    >>> ggraft.convert("Llama-3.2-1B", outfile="llama.gguf")["outputs"]

Each function runs one command, returns what that prints with `--json` (docs/reference/json.md has the fields), and raises a
GgraftError where it fails. Flags are keyword arguments by the names of the command line: `outtype="q8_0"`, `no_reflink=True`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union

__all__ = ["CheckpointError", "DiffersError", "GgraftError", "SharingError", "UnsupportedError", "UsageError",
           "convert", "executable", "inspect", "plan", "verify"]

StrPath = Union[str, "os.PathLike[str]"]
Flag = Union[str, int, bool, "os.PathLike[str]", None]


class GgraftError(Exception):
    """A command failed: an error of the operating system (exit code 1), or one of the kinds below."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__("\n".join([error.get("message", ""), *error.get("hints", [])]))
        #: A word for what went wrong, "io" or "invalid".
        self.kind: str = error.get("kind", "process")
        #: The file it is about, if it is about one.
        self.file: str | None = error.get("file")
        #: The tensor it is about, as the file calls it.
        self.tensor: str | None = error.get("tensor")
        #: What to do about it, each a line.
        self.hints: list[str] = error.get("hints", [])
        #: The exit code of the command.
        self.exit_code: int = error.get("exit_code", 1)


class UsageError(GgraftError):
    """Arguments that cannot be acted on (exit code 2)."""


class UnsupportedError(GgraftError):
    """A well-formed model that ggraft cannot convert (exit code 3)."""


class CheckpointError(GgraftError):
    """A file that is damaged, incomplete, or contradicts itself (exit code 4)."""


class SharingError(GgraftError):
    """Sharing was demanded where blocks cannot be shared (exit code 5)."""


class DiffersError(GgraftError):
    """A file is not what it is made of (exit code 6); `report` tells where."""

    report: dict[str, Any] | None = None


_KINDS = {2: UsageError, 3: UnsupportedError, 4: CheckpointError, 5: SharingError, 6: DiffersError}


def executable() -> str:
    """The path of the program: that of this environment, or the first in PATH.

    Raises FileNotFoundError if there is none.
    """
    here = Path(sysconfig.get_path("scripts"), "ggraft")
    user = Path(sysconfig.get_path("scripts", f"{os.name}_user"), "ggraft")
    for path in (str(here), str(user), shutil.which("ggraft")):
        if path and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError("no program ggraft beside this package or in PATH")


def convert(model: StrPath, *, outfile: StrPath | None = None, outtype: str | None = None, **flags: Flag) -> dict[str, Any]:
    """Convert the checkpoint in the directory `model`, and return the report of `ggraft convert --json`."""
    return _run("convert", model, flags={"outfile": outfile, "outtype": outtype, **flags})


def plan(model: StrPath, *, outtype: str | None = None, **flags: Flag) -> dict[str, Any]:
    """What `convert` would share, copy and convert, range by range; nothing is written."""
    return _run("plan", model, flags={"outtype": outtype, **flags})


def verify(file: StrPath, model: StrPath | None = None, **flags: Flag) -> dict[str, Any]:
    """Prove that the GGUF file `file` is what becomes of `model`; without a model, that llama.cpp would load it.

    Raises DiffersError, with the report in its `report`, where it is not.
    """
    return _run("verify", *([file] if model is None else [file, model]), flags=flags)


def inspect(path: StrPath, **flags: Flag) -> dict[str, Any]:
    """Key-values and tensors of a GGUF file, a split set, or a checkpoint."""
    return _run("inspect", path, flags=flags)


def _run(command: str, *operands: StrPath, flags: dict[str, Flag]) -> dict[str, Any]:
    call = [executable(), command, "--json", *_arguments(flags), "--", *map(os.fspath, operands)]
    ended = subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        said = json.loads(ended.stdout) if ended.stdout else {}
    except ValueError:
        said = {}
    if ended.returncode == 0:
        return said
    words = ended.stderr.decode(errors="replace").strip()
    error = said.get("error") or {"message": words, "exit_code": ended.returncode}
    raised = _KINDS.get(ended.returncode, GgraftError)(error)
    if isinstance(raised, DiffersError) and "error" not in said:
        raised.kind, raised.report = "differs", said
    raise raised


def _arguments(flags: dict[str, Flag]) -> Sequence[str]:
    """`no_reflink=True` is `--no-reflink`, `outtype="f16"` is `--outtype=f16`; False and None leave a flag out."""
    given = ((f"--{name.replace('_', '-')}", value) for name, value in flags.items())
    return [
        flag if value is True else f"{flag}={os.fspath(value) if isinstance(value, os.PathLike) else value}"
        for flag, value in given
        if value is not None and value is not False
    ]
