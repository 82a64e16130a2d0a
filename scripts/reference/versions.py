"""The reference's version, read from versions.txt: the only place that states it."""

import importlib.metadata
from pathlib import Path

FILE = Path(__file__).with_name("versions.txt")
LLAMA = "llama-cpp-python"


def pinned() -> dict[str, str]:
    return dict(line.split("==") for line in FILE.read_text().split())


def recorded_with(*packages: str) -> dict[str, str]:
    """What a golden says it was recorded with; raises where an installed package is not the pinned one."""
    pins = pinned()
    for package in packages:
        installed = importlib.metadata.version(package)
        if installed.split("+")[0] != pins[package]:
            raise SystemExit(f"{package}: {FILE.name} says {pins[package]}, installed is {installed}: install that")
    return {package: pins[package] for package in (LLAMA, *packages)}
