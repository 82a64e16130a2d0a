"""From a case, as families write them, to the description of a model directory that the tests read.

Names, shapes and dtypes of the tensors are those that transformers writes when it saves a model of the class; the
values come from a seed, so that no test needs transformers (tests/common).
"""

import json
import re
import tempfile
import warnings
import zlib
from itertools import product
from pathlib import Path

# What config.json says of the vocabulary's size. The embeddings themselves have ROWS rows, to be small.
VOCAB = {"spm": 520, "llama-hf": 482, "gpt2-trimmed": 50257, "gpt2-roles": 50304, "llama3-trimmed": 128256,
         "qwen2-trimmed": 151936, "smollm-trimmed": 49152, "wordpiece": 30522, "t5": 320, "xlm-roberta": 302,
         "xlm-roberta-model": 302}
TOKENIZERS = Path(__file__).resolve().parents[2] / "tests/tokenizers"
ROWS = 40
TORCH = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}
DTYPES = {"BF16": "bf16", "F16": "f16", "F32": "f32", "F64": "f64", "I64": "i64", "I32": "i32", "I16": "i16",
          "I8": "i8", "U8": "u8", "BOOL": "bool", "F8_E4M3": "f8_e4m3", "F8_E5M2": "f8_e5m2"}
# One file and two; the files that come out follow from these flags.
RUNS = [(1, "--outtype f16"), (1, "--outtype bf16"), (1, "--outtype auto"), (2, "--outtype auto")]
PROJECTOR_RUNS = [(1, f"--outtype {t} --mmproj") for t in ("f16", "bf16", "f32", "q8_0", "auto")]


def case(id, config, *, tokenizer="gpt2-trimmed", dtype="bf16", build=None, shapes=None, tensors=None, extra=(), drop=(),
         rename=(), dtypes=(), files=None, flags="", also=(), vocab=True, saved=False, refused=False, bos=False,
         params=False, modules=None, mmproj=False, target=None, ascending=(), types=None, runs=None):
    """A model, by its config.json.

    config     what the file says; vocab_size and torch_dtype are added unless they are there
    tokenizer  a directory of tests/tokenizers, or None
    dtype      bf16, f16 or f32
    build      the class of transformers to build, if it is not the first of `architectures`; or a pair of it and of a
               config.json for it
    shapes     settings that only the tensors' shapes follow from, not written to config.json
    tensors    instead of a class: a list of (name, shape) or (name, shape, dtype); {0-3} in a name is a range
    extra      tensors on top, in the same form
    drop       regular expressions: tensors to leave out
    rename     pairs of a regular expression and its replacement, applied to all names
    dtypes     pairs of a part of a name and the dtype of such tensors
    files      further files, by name; those of the tokenizer are replaced
    flags      added to each conversion
    also       further conversions, as flags
    vocab      whether to add vocab_size
    saved      write config.json as transformers does, with all defaults, instead of as given
    refused    the reference raises, and ggraft must refuse
    params     config is params.json, and the weights are called consolidated, as in Mistral's own format
    modules    tensors of modules that sentence-transformers puts after the model, by directory: (name, shape, dtype)
    mmproj     convert the projector instead, with --mmproj
    target     the model this one drafts for: its config.json and tokenizer
    ascending  names of tensors of integers that never fall
    types      the types to convert to, instead of f16, bf16 and auto
    runs       instead of the usual conversions: pairs of a number of files and flags, for models that are large
    bos        run the reference with tokenizers that remember add_bos_token, as those of transformers 4 did
    """
    types = {} if types is None else {"types": list(types)}
    return types | dict(id=id, config=config, tokenizer=tokenizer, dtype=dtype, build=build, shapes=shapes or {}, tensors=tensors,
                extra=list(extra), drop=list(drop), rename=list(rename), dtypes=list(dtypes), files=files or {},
                flags=flags, also=list(also), vocab=vocab, saved=saved, refused=refused, bos=bos, params=params,
                modules=modules or {}, mmproj=mmproj, target=target, ascending=list(ascending), runs=runs)


# How images are prepared, for `files`.
IMAGES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def projector(id, config, *, images=IMAGES, processor=None, files=None, tokenizer=None, **more):
    """A model whose projector is converted; `images` and `processor` are its preprocessor_config.json and
    processor_config.json."""
    side = {"preprocessor_config.json": images, "processor_config.json": processor}
    files = {name: content for name, content in side.items() if content is not None} | (files or {})
    return case(id, config, mmproj=True, tokenizer=tokenizer, files=files, **more)


def tokenizer_config(name: str, **changes) -> dict:
    """tokenizer_config.json of a tokenizer, changed, for `files`."""
    return json.loads((TOKENIZERS / name / "tokenizer_config.json").read_text()) | changes


def apart(name: str, **changes) -> dict:
    """A tokenizer without tokenizer.json, for `files`: in the files that were used before there was one."""
    tokenizer = json.loads((TOKENIZERS / name / "tokenizer.json").read_text())
    model = tokenizer["model"]
    vocab = model["vocab"] | {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    files = {"tokenizer_config.json": tokenizer_config(name, **changes)}
    if model["type"] == "WordPiece":
        # A token's id is the number of its line.
        words = {id: word for word, id in vocab.items()}
        return files | {"vocab.txt": "".join(f"{words.get(id, '')}\n" for id in range(max(words) + 1))}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return files | {"vocab.json": vocab, "merges.txt": "\n".join(["#version: 0.2", *merges, ""])}


def merged(base: dict, changes: dict) -> dict:
    both = {k: merged(base[k], v) for k, v in changes.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return {**base, **changes, **both}


def model_dir(case: dict) -> dict:
    """The description of the model directory (`ModelDir` of tests/common/model_dir.rs)."""
    config = dict(case["config"])
    if case["vocab"] and case["tokenizer"]:
        size = VOCAB[case["tokenizer"]]
        if "text_config" in config:
            config["text_config"] = {"vocab_size": size, **config["text_config"]}
        else:
            config.setdefault("vocab_size", size)
    if not case["params"]:
        config.setdefault("torch_dtype", TORCH[case["dtype"]])
    tensors = case["tensors"]
    if tensors is None:
        build = case["build"] or config["architectures"][0]
        name, source = build if isinstance(build, (tuple, list)) else (build, config)
        small = {"vocab_size": ROWS, **{k: 0 for k in ("pad_token_id", "bos_token_id", "eos_token_id")}}
        small = {"text_config": small} if "text_config" in source else small
        tensors, saved = from_class(name, merged(source, merged(small, case["shapes"])), case["dtype"])
        if case["saved"]:
            config = merged(saved, config)
    tensors = [list(t) for t in tensors]
    for pattern, replacement in case["rename"]:
        for tensor in tensors:
            tensor[0] = re.sub(pattern, replacement, tensor[0])
    tensors = [t for t in tensors if not any(re.search(p, t[0]) for p in case["drop"])]
    for part, dtype in case["dtypes"]:
        tensors = [[*t[:2], dtype] if part in t[0] else t for t in tensors]
    tensors += [list(t) for t in case["extra"]]
    tensors = [t[:2] if t[2:] == [case["dtype"]] else t for t in tensors]
    model = {"dir": f"tiny-{case['id']}", "config": config, "tokenizer": case["tokenizer"], "files": case["files"]}
    weights = {"seed": zlib.crc32(case["id"].encode()), "dtype": case["dtype"], "bounded": True, "tensors": tensors}
    if case["params"]:
        del model["config"]
        model["files"] = {"params.json": config, **case["files"]}
        weights["consolidated"] = True
    modules = {path: {"seed": zlib.crc32(path.encode()), "dtype": "f32", "bounded": True, "tensors": tensors}
               for path, tensors in case["modules"].items()}
    if modules:
        model["modules"] = modules
    if case["ascending"]:
        weights["ascending"] = case["ascending"]
    if case["target"]:
        target, tokenizer = case["target"]
        model["target"] = {"config": {"vocab_size": VOCAB[tokenizer], **target}, "tokenizer": tokenizer}
    return {k: v for k, v in model.items() if v} | {"weights": weights}


def own_flags(case: dict) -> str:
    """Flags of each conversion of the case."""
    return f"{case['flags']} {'--target-model-dir @dir/target' if case['target'] else ''}".strip()


def runs(case: dict, first: bool) -> list[tuple[int, str]]:
    """Number of files of the checkpoint, and flags. The first case of a family is also split."""
    if case["runs"]:
        return [(shards, f"{flags} --outfile @out/m.gguf") for shards, flags in case["runs"]]
    own = [(1, f"--outtype {name}") for name in case.get("types", [])]
    all = (own or (PROJECTOR_RUNS if case["mmproj"] else RUNS)) + [(1, flags) for flags in case["also"]]
    if first and case["mmproj"]:
        all = all + [(2, "--outtype auto --mmproj"), (1, "--outtype auto --mmproj --outfile @out")]
    elif first:
        all = all + [(1, "--outtype auto --split-max-tensors 7")]
    all = [(shards, f"{flags} {own_flags(case)}".strip()) for shards, flags in all]
    return [(shards, flags if "--outfile" in flags else f"{flags} --outfile @out/m.gguf") for shards, flags in all]


def from_class(name: str, config: dict, dtype: str) -> tuple[list, dict]:
    """Tensors of a model that transformers makes and saves, in patterns; and the config.json it writes."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        (path / "config.json").write_text(json.dumps(config))
        loaded = transformers.AutoConfig.from_pretrained(directory)
        torch.manual_seed(0)
        model = getattr(transformers, name)(loaded).to(getattr(torch, TORCH[dtype]))
        model.save_pretrained(directory)
        headers = {}
        for file in path.glob("*.safetensors"):
            with file.open("rb") as f:
                headers |= json.loads(f.read(int.from_bytes(f.read(8), "little")))
        saved = json.loads((path / "config.json").read_text())
    headers.pop("__metadata__", None)
    return patterns({name: (t["shape"], DTYPES[t["dtype"]]) for name, t in headers.items()}), saved


def patterns(tensors: dict) -> list:
    """Names that differ in numbers only, as ranges of them."""
    groups = {}
    for name, (shape, dtype) in tensors.items():
        parts = name.split(".")
        numbers = tuple(int(p) for p in parts if p.isdecimal())
        stem = ".".join("{}" if p.isdecimal() else p for p in parts)
        groups.setdefault((stem, tuple(shape), dtype), []).append(numbers)
    found = []
    for (stem, shape, dtype), numbers in groups.items():
        for box in boxes(sorted(numbers)):
            spans = [str(a) if a == b else f"{{{a}-{b}}}" for a, b in box]
            found.append([stem.format(*spans), list(shape), dtype])
    return sorted(found, key=lambda t: natural(t[0]))


def boxes(points: list[tuple[int, ...]]) -> list[list[tuple[int, int]]]:
    """Ranges whose product are the points, as few as is easy."""
    axes = list(zip(*points))
    spans = [(min(axis), max(axis)) for axis in axes]
    if len(points) == len(set(points)) and list(product(*(range(a, b + 1) for a, b in spans))) == points:
        return [spans]
    runs = []
    for first in sorted(set(axes[0])):
        rest = boxes([p[1:] for p in points if p[0] == first]) if len(axes) > 1 else [[]]
        for box in rest:
            same = [run for run in runs if run[0][1] == first - 1 and run[1:] == box]
            if same:
                same[0][0] = (same[0][0][0], first)
            else:
                runs.append([(first, first), *box])
    return runs


def natural(name: str) -> list:
    return [(1, int(p)) if p.isdecimal() else (0, p) for p in re.split(r"(\d+)", name)]
