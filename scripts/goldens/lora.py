#!/usr/bin/env python3
"""Regenerate tests/golden/lora.json: run the reference's convert_lora_to_gguf.py on adapters of small models.

    python scripts/goldens/lora.py LLAMA_CPP_DIR [--only TEXT [--update]]

The models are those of tests/conformance; of each, only config.json (and in a few cases the tokenizer) is there. Their
adapters have a pair of factors for every matrix but the embeddings. Where the reference refuses, each matrix that it
refuses becomes a case of its own, and the adapter goes without. Values come from a seed (tests/common). --only runs the
cases with that in their name and shows what comes of them; with --update it records them, too.
"""

import argparse
import contextlib
import io
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
sys.path.insert(0, str(Path(__file__).parent))
from convert import Manifest, digest  # noqa: E402
from versions import recorded_with  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "tests/golden/lora.json"
RANK = 4
SKIPPED = re.compile(r"embed|wte|wpe|position|norm|LayerNorm|ln_|lm_head|conv|mtp|vision|visual|audio|projector|relative_attention_bias")

# Further cases of a family than its first, by name.
MORE = {
    "bert": ["roberta", "nomic-bert"], "deepseek": ["deepseek2", "deepseek2-lite", "deepseek3"],
    "gemma": ["gemma2", "gemma3", "gemma3n", "gemma4"], "glm": ["glm4moe", "glm-dsa"], "granite": ["granite-moe", "granite-hybrid"],
    "llama": ["mixtral", "mistral", "llama4", "smollm3"], "moe": ["dots1"], "phi": ["phi3", "phimoe"],
    "qwen": ["qwen2", "qwen2moe", "qwen3", "qwen3moe", "qwen3next", "qwen35", "qwen35moe", "qwen2vl", "qwen3vl", "qwen3vlmoe"],
}
# Families that read the tokenizer although nothing of it is written.
WITH_TOKENIZER = {"mistral3", "bert-nomic-bert"}
# Models of which the reference counts layers in the weights.
WITH_WEIGHTS = {"qwen-qwen3next", "qwen-qwen35", "qwen-qwen35moe"}


def models() -> list[tuple[str, dict]]:
    """Cases of tests/conformance: the first of each family, and those named above."""
    found = []
    for path in sorted((ROOT / "tests/conformance").glob("*.json")):
        if path.stem.startswith("mmproj"):
            continue
        cases = [c for c in json.loads(path.read_text())["cases"] if "files" in c["runs"][0] and "config" in c["model"]]
        wanted = [c for c in cases if c["id"] in MORE.get(path.stem, []) and c is not cases[0]]
        found += [(f"{path.stem}-{case['id']}", case["model"]) for case in cases[:1] + wanted]
    return found


def factors(tensors: list, transposed: bool = False, dtype=None) -> list:
    """Pairs of factors for the matrices among `tensors`."""
    found = []
    for name, shape, *_ in tensors:
        rows, columns = reversed(shape) if transposed else shape
        stem = "base_model.model." + name.removesuffix(".weight")
        tail = [dtype] if dtype else []
        found += [[f"{stem}.lora_A.weight", [RANK, columns], *tail], [f"{stem}.lora_B.weight", [rows, RANK], *tail]]
    return found


def matrices(model: dict) -> list:
    listed = model["weights"].get("tensors") or []
    return [t for t in listed if t[0].endswith(".weight") and len(t[1]) == 2 and not SKIPPED.search(t[0])]


def groups(tensors: list) -> list[list]:
    """What stands or falls together: experts need each other."""
    experts = [t for t in tensors if ".experts." in t[0]]
    return ([experts] if experts else []) + [[t] for t in tensors if ".experts." not in t[0]]


def case(id: str, config: dict, tensors: list, flags: list[str], dtype="f32", files=None, settings=None, tokenizer=None,
         name=None, weights=None) -> dict:
    adapter = {"peft_type": "LORA", "r": RANK, "lora_alpha": 8, "base_model_name_or_path": "org/base", **(settings or {})}
    base = {"dir": "base", "config": config, "weights": {"seed": 0, "dtype": "bf16", "tensors": []}}
    if tokenizer:
        base["tokenizer"] = tokenizer
    if weights:
        base["weights"] = weights
    weights = {"seed": zlib.crc32(id.encode()), "dtype": dtype, "bounded": True, "stem": "adapter_model", "tensors": tensors}
    directory = {"dir": name or f"tiny-{id}-lora", "files": {"adapter_config.json": adapter, **(files or {})}, "weights": weights}
    return {"id": id, "base": base, "adapter": directory, "flags": flags}


F32 = ["--outfile @out/m.gguf"]
ALL = [f"--outtype {t} --outfile @out/m.gguf" for t in ("f32", "f16", "bf16", "q8_0")]


def special() -> list[dict]:
    """What does not depend on the family."""
    llama = next(m for id, m in models() if id.startswith("llama-"))
    config, tensors = llama["config"], matrices(llama)
    some = factors(tensors)
    norms = [["base_model.model.model.layers.{0-1}.input_layernorm.weight", [64]], ["base_model.model.model.norm.weight", [64]]]
    embedding = [["base_model.model.model.embed_tokens.lora_embedding_A", [RANK, 40]],
                 ["base_model.model.model.embed_tokens.lora_embedding_B", [64, RANK]]]
    head = factors([["lm_head.weight", [40, 64]]])
    card = "---\nbase_model: org/Base-1B\nlibrary_name: peft\nlicense: mit\ntags: [lora]\n---\n# An adapter\n"
    made = [
        case("bf16", config, some, ALL, dtype="bf16"), case("f16", config, some, ALL, dtype="f16"),
        case("two-types", config, [[*t, "f16"] if "lora_A" in t[0] else t for t in some], ALL, dtype="bf16"),
        case("norms", config, norms + some, ALL), case("embedding", config, embedding + some, ALL),
        case("output", {**config, "tie_word_embeddings": False}, head + some, F32),
        case("named", config, some, ["--outfile @out", "--outfile @out/{ftype}.gguf --outtype f16", "--outtype q8_0"],
             files={"README.md": card}, name="Base-1B-chat-lora-v2"),
        case("small-label", config, some, ["--outfile @out"], name="base-4k-7B-LoRA"),
        case("alora", config, some, F32, settings={"alora_invocation_tokens": [1, 5, 77], "invocation_string": "x"}),
        case("alora-empty", config, some, F32, settings={"alora_invocation_tokens": [], "invocation_string": ""}),
        case("alpha-float", config, some, F32, settings={"lora_alpha": 0.1, "use_rslora": True, "alpha_pattern": {"q_proj": 3}}),
        case("base-layer", config, some + [["base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight", [64, 64]]], F32),
        case("only-norms", config, norms, ["--outfile @out"]),
        case("whole-output", config, some + [["base_model.model.lm_head.weight", [40, 64]]], F32),
        case("magnitude", config, some + [["base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", [64]]], F32),
        case("bias", config, some + [["base_model.model.model.layers.0.self_attn.q_proj.bias", [64]]], F32),
        case("half", config, some[1:], F32), case("no-alpha", config, some, F32, settings={"lora_alpha": None}),
        case("ranks", config, [[t[0], [RANK + 1, t[1][1]]] if "lora_A" in t[0] else t for t in some], F32),
        case("unknown-tensor", config, some + factors([["model.layers.0.self_attn.z_proj.weight", [64, 64]]]), F32),
        case("other-layer", config, some + factors([["model.layers.9.self_attn.q_proj.weight", [64, 64]]]), F32),
    ]
    for tokenizer in ("llama3-trimmed", "qwen2-trimmed", "smollm-trimmed"):
        text = {"invocation_string": "<|start_of_role|>user", "alora_invocation_tokens": None}
        made.append(case(f"alora-text-{tokenizer}", config, some, F32, settings=text, tokenizer=tokenizer))
    tied = next((c for c in json.loads((ROOT / "tests/conformance/deepseek.json").read_text())["cases"]
                 if c["model"].get("config", {}).get("tie_word_embeddings")), None)
    if tied:
        made.append(case("tied-output", tied["model"]["config"], head, F32))
    return made


class Reference:
    """The script, each time in a fork of this process, which has torch loaded."""

    def __init__(self, llama_cpp: Path):
        os.environ["TQDM_DISABLE"] = os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
        sys.path.insert(0, str(llama_cpp))
        import convert_hf_to_gguf  # noqa: F401
        import torch
        torch.set_num_threads(1)
        self.script = llama_cpp / "convert_lora_to_gguf.py"

    def run(self, case: dict, flags: str) -> dict:
        with tempfile.TemporaryDirectory(prefix="lora-") as work:
            listing = Path(work, "cases.json")
            entries = [{"id": "case", "model": case["base"]}, {"id": "case", "model": case["adapter"]}]
            listing.write_text(json.dumps(entries))
            subprocess.run([str(ROOT / "target/debug/examples/golden_checkpoints"), work, str(listing)], cwd=ROOT, check=True)
            base, adapter, out = Path(work, "case/base"), Path(work, "case", case["adapter"]["dir"]), Path(work, "out")
            out.mkdir()
            before = set(adapter.iterdir())
            words = [w.replace("@out", str(out)) for w in flags.split()]
            result = Path(work, "result.json")
            pid = os.fork()
            if pid == 0:
                self.child([str(adapter), "--base", str(base), *words], result)
            os.waitpid(pid, 0)
            refused = json.loads(result.read_text())
            if refused is not None:
                return {"convert": f"--base @base {flags}", "raises": refused.replace(work, "")}
            made = [p for p in [*out.iterdir(), *(set(adapter.iterdir()) - before)]]
            return {"convert": f"--base @base {flags}", "files": [self.manifest(p, out) for p in sorted(made)]}

    def manifest(self, path: Path, out: Path) -> dict:
        data = path.read_bytes()
        read = Manifest(data)
        where = "@out" if path.parent == out else "@dir"
        return {"path": f"{where}/{path.name}", "bytes": len(data), "sha256": digest(data), "keys": read.keys,
                "tensors": read.tensors}

    def child(self, words: list[str], result: Path) -> None:
        refused = "ended without a word"
        try:
            sys.argv = [str(self.script), *words]
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as stderr:
                try:
                    runpy.run_path(str(self.script), run_name="__main__")
                    refused = None
                except SystemExit as e:
                    last = (stderr.getvalue().splitlines() or [""])[-1]
                    refused = None if e.code in (None, 0) else f"exit {e.code}: {last}"
                except BaseException as e:
                    refused = f"{type(e).__name__}: {(str(e).splitlines() or [''])[0]}"
        finally:
            result.write_text(json.dumps(refused))
            os._exit(0)


def families(reference: Reference, only: str) -> list[dict]:
    made = []
    for id, model in models():
        tensors = matrices(model)
        if only not in id or not tensors:
            continue
        transposed = model["config"].get("model_type") == "gpt2"
        more = {"tokenizer": model.get("tokenizer")} if {id, id.split("-")[0]} & WITH_TOKENIZER else {}
        more |= {"weights": model["weights"]} if id in WITH_WEIGHTS else {}
        whole = case(id, model["config"], factors(tensors, transposed), F32, **more)
        if "raises" in reference.run(whole, F32[0]):
            fine = []
            for group in groups(tensors):
                part = re.sub(r"\W+", "-", re.sub(r"\{[^}]*\}|\.weight", "", group[0][0].split(".", 2)[-1])).strip("-")
                alone = case(f"{id}-{part}", model["config"], factors(group, transposed), F32, **more)
                if "raises" in reference.run(alone, F32[0]):
                    made.append(alone)
                else:
                    fine += group
            whole = case(id, model["config"], factors(fine, transposed), F32, **more) if fine else None
        if whole:
            made.append(whole)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_cpp", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--update", action="store_true", help="with --only: write those cases, and keep the others")
    args = parser.parse_args()
    subprocess.run(["cargo", "build", "--quiet", "--example", "golden_checkpoints"], cwd=ROOT, check=True)
    reference = Reference(args.llama_cpp)
    cases = families(reference, args.only) + [c for c in special() if args.only in c["id"]]
    kept = json.loads(GOLDENS.read_text())["cases"] if args.only and args.update else []
    lines = {case["id"]: json.dumps(case, ensure_ascii=False) for case in kept if args.only not in case["id"]}
    for case in cases:
        runs = [reference.run(case, flags) for flags in case.pop("flags")]
        refused = [run["raises"] for run in runs if "raises" in run]
        print(f"{case['id']}: {len(runs)} conversions" + (f", refused: {refused[0]}" if refused else ""), flush=True)
        lines[case["id"]] = json.dumps({**case, "runs": runs}, ensure_ascii=False)
    if args.update or not args.only:
        head = json.dumps(recorded_with("numpy", "torch", "transformers", "tokenizers"))
        GOLDENS.write_text(f'{{"reference": {head},\n "cases": [\n' + ",\n".join(lines.values()) + "\n ]}\n")


if __name__ == "__main__":
    main()
