"""Runs the reference on model directories, each in a process of its own that is forked from one with torch loaded."""

import json
import logging
import os
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "goldens"))
from convert import ARRAY as ARRAY, Manifest, digest, run_here  # noqa: E402
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
from versions import recorded_with  # noqa: E402


def versions() -> dict:
    packages = ["numpy", "torch", "transformers", "tokenizers", "sentencepiece"]
    return recorded_with(*packages)


def manifest(path: Path, where: str, full: bool) -> dict:
    """What `compare.rs` of the tests checks of a file."""
    data = path.read_bytes()
    entry = {"path": f"{where}/{path.name}", "bytes": len(data), "sha256": digest(data)}
    if full:
        read = Manifest(data)
        entry |= {"keys": read.keys, "tensors": read.tensors}
    return entry


def load(llama_cpp: Path):
    os.environ["TQDM_DISABLE"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.path.insert(0, str(llama_cpp))
    import convert_hf_to_gguf
    import torch
    import transformers

    logging.basicConfig(level=logging.ERROR)
    logging.getLogger().setLevel(logging.ERROR)
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)  # threads do not survive a fork
    know_kimi()
    return convert_hf_to_gguf


def know_kimi() -> None:
    """The converter knows Kimi's code by what it makes of a text with Kimi's 163,584 tokens. Cases have a few hundred."""
    from conversion.base import TextModel

    recognize = TextModel.get_vocab_base_pre

    def by_class(self, tokenizer):
        if type(tokenizer).__name__ != "TikTokenTokenizer":
            return recognize(self, tokenizer)
        try:
            return recognize(self, tokenizer)
        except NotImplementedError:
            return "kimi-k2"

    TextModel.get_vocab_base_pre = by_class


def convert(converter, jobs: list[tuple[Path, str, Path, bool]], workers: int) -> None:
    """Jobs: model directory, flags, where files and `result.json` go, and whether tokenizers say add_bos_token."""
    running = {}
    for model, flags, out, bos in jobs:
        while len(running) >= workers:
            pid, _ = os.wait()
            running.pop(pid)
        pid = os.fork()
        if pid == 0:
            if bos:
                remember_bos()
            one(converter, model, flags, out)
        running[pid] = out
    for _ in range(len(running)):
        os.wait()


def remember_bos() -> None:
    """One converter asserts `tokenizer.add_bos_token`, which transformers 5 forgets where there is a tokenizer.json."""
    from transformers import TokenizersBackend

    TokenizersBackend.add_bos_token = property(lambda self: True, lambda self, value: None)


def one(converter, model: Path, flags: str, out: Path) -> None:
    """In the child: never returns."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        sys.stderr = open(out / "stderr.txt", "w")
        os.dup2(sys.stderr.fileno(), 2)
        words = [w.replace("@out", str(out)).replace("@dir", str(model)) for w in flags.split()]
        refused = run_here(converter, [str(model), *words])
        files = sorted(p.name for p in out.glob("*.gguf"))
        if refused is not None:
            for name in files:
                (out / name).unlink()
            refused = refused.replace(str(model), "@dir").replace(str(out), "@out")
        (out / "result.json").write_text(json.dumps({"raises": refused, "files": [] if refused else files}))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)
