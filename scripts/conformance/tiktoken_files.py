"""Tokenizers in tiktoken's format, whose code comes with the model: the files of such models, with code that does what theirs
does as far as the reference asks for it."""

import base64
import json
from pathlib import Path

CODE = """
import base64
import unicodedata
from pathlib import Path

import tiktoken

SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
         r"|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
SPECIAL = [@NAMES, *(f"<|extra_{n}|>" for n in range(205))]


class @CLASS:
    @classmethod
    def register_for_auto_class(cls, auto_class="AutoTokenizer"):
        pass

    @classmethod
    def from_pretrained(cls, directory, *args, **kwargs):
        self = cls()
        lines = Path(directory, "@FILE").read_text().splitlines()
        self.mergeable_ranks = {base64.b64decode(token): int(rank) for token, rank in map(str.split, lines)}
        self.special_tokens = {token: @FIRST + at for at, token in enumerate(SPECIAL)}
        self.encoding = tiktoken.Encoding("@MODEL", pat_str=SPLIT, mergeable_ranks=self.mergeable_ranks,
                                          special_tokens=self.special_tokens)
        return self

    def get_vocab(self):
        return self.mergeable_ranks

    def encode(self, text):
        return self.encoding.encode(unicodedata.normalize("NFC", text))
"""


def tokens():
    """The tokens of Qwen 2 that merges make, which are those of Qwen 1, in its format."""
    path = Path(__file__).resolve().parents[2] / "tests/tokenizers/qwen2-trimmed/tokenizer.json"
    model = json.loads(path.read_text())["model"]
    letters = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters += [byte for byte in range(256) if byte not in letters]
    byte = {chr(b if at < 188 else 256 + at - 188): b for at, b in enumerate(letters)}
    made = {"".join(merge.split(" ") if isinstance(merge, str) else merge) for merge in model["merges"]}
    tokens = sorted((id, text) for text, id in model["vocab"].items() if len(text) == 1 or text in made)
    encoded = ((base64.b64encode(bytes(byte[c] for c in text)).decode(), id) for id, text in tokens)
    return [f"{text} {id}" for text, id in encoded]


def files(model, file, module, name, first, names, more=""):
    code = CODE
    for place, text in (("@NAMES", ", ".join(f'"{n}"' for n in names)), ("@CLASS", name), ("@FILE", file), ("@FIRST", str(first)), ("@MODEL", model)):
        code = code.replace(place, text)
    settings = {"model_max_length": 8192, "tokenizer_class": name, "auto_map": {"AutoTokenizer": [f"{module}.{name}", None]}}
    return {file: tokens(), "tokenizer_config.json": settings, f"{module}.py": (code + more).strip().split("\n")}


QWEN = files("qwen", "qwen.tiktoken", "tokenization_qwen", "QWenTokenizer", 151643, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
HUNYUAN = files("hunyuan", "hy.tiktoken", "tokenization_hy", "HYTokenizer", 127957,
                ["<|endoftext|>", "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>"], "\n    vocab_size = 127957 + len(SPECIAL)\n")

KIMI_CODE = """
import base64
import json
from pathlib import Path

import tiktoken

SPLIT = "|".join([
    r"[\\p{Han}]+",
    r"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\\p{N}{1,3}", r" ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*", r"\\s*[\\r\\n]+", r"\\s+(?!\\S)", r"\\s+"])


class TikTokenTokenizer:
    @classmethod
    def register_for_auto_class(cls, auto_class="AutoTokenizer"):
        pass

    @classmethod
    def from_pretrained(cls, directory, *args, **kwargs):
        self, settings = cls(), json.loads(Path(directory, "tokenizer_config.json").read_text())
        lines = Path(directory, "tiktoken.model").read_bytes().splitlines()
        ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
        names = {int(id): token["content"] for id, token in settings.get("added_tokens_decoder", {}).items()}
        self.special_tokens = {names.get(id, f"<|reserved_token_{id}|>"): id for id in range(len(ranks), len(ranks) + @RESERVED)}
        self.model = tiktoken.Encoding("tiktoken.model", pat_str=SPLIT, mergeable_ranks=ranks, special_tokens=self.special_tokens)
        for id in range(self.model.n_vocab):
            self.model.decode_single_token_bytes(id)
        for kind, name in (("bos", "[BOS]"), ("eos", "[EOS]"), ("pad", None), ("unk", None)):
            given = settings.get(f"{kind}_token", name)
            setattr(self, f"{kind}_id", self.special_tokens[str(given["content"] if isinstance(given, dict) else given)])
        return self

    def encode(self, text):
        return self.model.encode(text, allowed_special="all")
"""


def kimi(reserved, names=None, lines=None, **settings):
    """Kimi's, with as many special tokens as that generation has after the others. Ranks leave nothing out, as theirs do;
    `lines` changes the file, `names` are those of special tokens by their place after the others."""
    texts = [line.split(" ")[0] for line in tokens()]
    given = {0: "[BOS]", 1: "[EOS]", 2: "<|im_end|>", 3: "<|im_user|>", 5: "<|start_header_id|>", 9: "[EOT]", 254: "[UNK]", 255: "[PAD]"}
    listed = [f"{text} {rank}" for rank, text in enumerate(texts)]
    listed = lines(listed) if lines else listed
    count = sum(line != "" for line in listed)
    marks = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    added = {str(count + place): {"content": name, **marks} for place, name in (names or given).items()}
    config = {"added_tokens_decoder": added, "additional_special_tokens": ["<|im_end|>"], "bos_token": "[BOS]", "eos_token": "[EOS]",
              "pad_token": "[PAD]", "unk_token": "[UNK]", "model_max_length": 131072, "tokenizer_class": "TikTokenTokenizer",
              "chat_template": "{{ messages }}", "auto_map": {"AutoTokenizer": ["tokenization_kimi.TikTokenTokenizer", None]}, **settings}
    config = {key: value for key, value in config.items() if value is not ...}
    code = KIMI_CODE.replace("@RESERVED", str(reserved))
    return {"tiktoken.model": listed, "tokenizer_config.json": config, "tokenization_kimi.py": code.strip().split("\n")}


# What comes before its special tokens.
KIMI_TOKENS = len(tokens())
