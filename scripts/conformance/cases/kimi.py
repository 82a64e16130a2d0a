"""Kimi of all generations with nothing but tiktoken.model, as published; `deepseek`, `wrapped` and `kimi_k3` have them with
tokenizer.json."""

import base64

from cases.found import like, of
from tiktoken_files import KIMI_TOKENS as COUNT
from tiktoken_files import kimi

ROLES = {"bos_token_id": COUNT, "eos_token_id": COUNT + 1}


def token(text, rank):
    return f"{base64.b64encode(text).decode()} {rank}"


def odd(lines):
    """The file in another order, with an empty line, a token that no two others make up, and one that reads as a special one."""
    more = [token(b"\xf0\x9f\xa7\xbf\xf0\x9f\xa7\xbf\xf0\x9f\xa7\xbf", COUNT), token(b"<twice>", COUNT + 1)]
    return [*reversed(lines + more), ""]


def alone(family, id, name, config=None, files=None, **more):
    case = like(family, id, name, config, tokenizer=None, files=kimi(258) if files is None else files, **more)
    return case | {"id": name}


def inside(size, **more):
    """A configuration's part for the language model."""
    return {"architectures": ["DeepseekV3ForCausalLM"], "vocab_size": COUNT + size, **more}


def cases():
    yield alone("deepseek", "deepseek3-no-yarn", "kimi-k2", {"model_type": "kimi_k2", "vocab_size": COUNT + 256, **ROLES}, also=["--vocab-only"])
    # Names for more tokens than Kimi's code makes, one that another token has, and a vocabulary with room behind.
    names = {0: "[BOS]", 1: "[EOS]", 4: "<twice>", 100: "[PAD]", 256: "[UNK]", 258: "<beyond>", -3: "<below>"}
    files = kimi(258, names, odd, bos_token={"content": "[BOS]", "__type": "AddedToken"}, chat_template=..., add_bos_token=True)
    yield alone("deepseek", "deepseek3-no-yarn", "kimi-k2-odd", {"model_type": "deepseek_v3", "vocab_size": COUNT + 300, **ROLES}, files)
    few = kimi(258, bos_token=..., eos_token=..., added_tokens_decoder={
        str(COUNT + at): {"content": name, "special": at > 1} for at, name in enumerate(["[BOS]", "[EOS]", "[PAD]", "[UNK]"])})
    yield alone("deepseek", "deepseek3-no-yarn", "kimi-k2-few", {"model_type": "kimi_k2", "vocab_size": COUNT + 2}, few)
    for family, id in (("kimi-vl", "kimi-vl"), ("kimi-k25", "kimi-k25-f16")):
        text = of("deepseek", id)["config"]["text_config"]
        yield alone("deepseek", id, f"{family}-tiktoken", {"text_config": {**text, **inside(256)}, **ROLES})

    linear = {"vocab_size": COUNT + 256}
    # The tokenizer's end counts for more than the configuration's.
    ends = kimi(258, eos_token="<|im_end|>")
    yield alone("wrapped", "kimi-linear", "kimi-linear-tiktoken", {**linear, **ROLES}, ends)
    yield alone("wrapped", "kimi-linear-f16", "kimi-linear-no-end", linear)
    yield alone("wrapped", "kimi-linear-model", "kimi-linear-odd", {"vocab_size": COUNT + 300}, files)

    text = of("kimi_k3", "kimi-k3")["config"]["text_config"]
    plain = of("kimi_k3", "kimi-k3-plain")["config"]["text_config"]
    yield alone("kimi_k3", "kimi-k3", "kimi-k3-tiktoken", {"text_config": {**text, "vocab_size": COUNT + 256, "eos_token_id": COUNT + 2}},
                kimi(256, chat_template=...))
    # Two special tokens fewer than those before it.
    yield alone("kimi_k3", "kimi-k3-plain", "kimi-k3-room", {"text_config": {**plain, "vocab_size": COUNT + 300, "eos_token_id": None}},
                kimi(256, added_tokens_decoder={str(COUNT + at): {"content": name} for at, name in enumerate(["[BOS]", "[EOS]", "[PAD]", "[UNK]"])}))

    small = {"model_type": "kimi_k2", "vocab_size": COUNT + 256}
    for name, files in (("gap", kimi(258, lines=lambda lines: [*lines[:-1], token(b"last", COUNT)])),
                        ("no-pad", kimi(258, pad_token=...)), ("null-end", kimi(258, eos_token=None)),
                        ("other-start", kimi(258, bos_token="<s>")), ("unknown-beyond", kimi(258, {0: "[BOS]", 1: "[EOS]", 2: "[PAD]", 258: "[UNK]"})),
                        ("one-name", kimi(258, {0: "[BOS]", 1: "[EOS]", 2: "[PAD]", 3: "[UNK]", 4: "[BOS]"})), ("no-class", kimi(258, auto_map=...)),
                        ("no-settings", {"tiktoken.model": kimi(258)["tiktoken.model"]})):
        yield alone("deepseek", "deepseek3-no-yarn", f"kimi-k2-{name}", small, files, refused=True)
