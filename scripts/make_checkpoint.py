#!/usr/bin/env python3
"""Makes checkpoints with the exact headers of published models, from their shapes alone.

    scripts/make_checkpoint.py llama-3.2-1b OUT_DIR [--weights zero|random] [--align N] [--tokenizer DIR]

Tensor names, order, dtype, shard borders (5 GB in state-dict order, as `save_pretrained` cuts them) and
header padding are those of the Hugging Face writer. With `--weights zero` the data are holes, so 100 GB
take kilobytes; clones of holes take no space and copies do, so the blocks of an output show what
was not shared. `--align N` pads headers so that data starts on a multiple of N bytes, which is legal.
Needs only Python; `random` needs numpy.
"""

import argparse
import json
import shutil
from pathlib import Path

SHARD_LIMIT = 5 * 10**9
LLAMA3_ROPE = {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
               "original_max_position_embeddings": 8192, "rope_type": "llama3"}

# hidden, layers, ff, heads, kv heads, vocabulary, tied, and what else config.json says
MODELS = {
    "llama-3.2-1b": dict(
        hidden=2048, layers=16, ff=8192, heads=32, kv=8, vocab=128256, tied=True,
        config={"architectures": ["LlamaForCausalLM"], "model_type": "llama", "head_dim": 64,
                "max_position_embeddings": 131072, "rms_norm_eps": 1e-05, "rope_theta": 500000.0,
                "rope_scaling": LLAMA3_ROPE, "bos_token_id": 128000, "eos_token_id": 128001}),
    "mistral-7b-v0.1": dict(
        hidden=4096, layers=32, ff=14336, heads=32, kv=8, vocab=32000, tied=False,
        config={"architectures": ["MistralForCausalLM"], "model_type": "mistral",
                "max_position_embeddings": 32768, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
                "sliding_window": 4096, "bos_token_id": 1, "eos_token_id": 2}),
    # OLMo-2-32B has these dimensions; here it goes by Llama's names and has the tokenizer of Llama 3.
    "llama-64gb": dict(
        hidden=5120, layers=64, ff=27648, heads=40, kv=8, vocab=128256, tied=False,
        config={"architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 4096,
                "rms_norm_eps": 1e-06, "rope_theta": 500000.0, "bos_token_id": 128000, "eos_token_id": 128001}),
    # A terabyte in 90,000 tensors: what a plan costs.
    "mixtral-1tb": dict(
        hidden=2048, layers=60, ff=2688, heads=32, kv=8, vocab=128256, tied=False, experts=500,
        config={"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "max_position_embeddings": 4096,
                "rms_norm_eps": 1e-06, "rope_theta": 500000.0, "num_experts_per_tok": 8,
                "bos_token_id": 128000, "eos_token_id": 128001}),
    # As the model above with layers enough for a hundred gigabytes and for a small one.
    "llama-1gb": dict(
        hidden=2048, layers=6, ff=8192, heads=32, kv=8, vocab=32000, tied=True,
        config={"architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 4096,
                "rms_norm_eps": 1e-06, "rope_theta": 500000.0}),
}


def tensors(model: dict) -> dict[str, list[int]]:
    """Names and shapes in state-dict order."""
    hidden, ff = model["hidden"], model["ff"]
    kv = hidden // model["heads"] * model["kv"]
    if experts := model.get("experts"):
        mlp = {"block_sparse_moe.gate": [experts, hidden]} | {
            f"block_sparse_moe.experts.{expert}.{name}": shape for expert in range(experts)
            for name, shape in {"w1": [ff, hidden], "w2": [hidden, ff], "w3": [ff, hidden]}.items()}
    else:
        mlp = {"mlp.gate_proj": [ff, hidden], "mlp.up_proj": [ff, hidden], "mlp.down_proj": [hidden, ff]}
    found = {"model.embed_tokens.weight": [model["vocab"], hidden]}
    for layer in range(model["layers"]):
        for name, shape in ({
            "self_attn.q_proj": [hidden, hidden], "self_attn.k_proj": [kv, hidden], "self_attn.v_proj": [kv, hidden],
            "self_attn.o_proj": [hidden, hidden],
        } | mlp | {"input_layernorm": [hidden], "post_attention_layernorm": [hidden]}).items():
            found[f"model.layers.{layer}.{name}.weight"] = shape
    found["model.norm.weight"] = [hidden]
    if not model["tied"]:
        found["lm_head.weight"] = [model["vocab"], hidden]
    return found


def size(shape: list[int]) -> int:
    count = 2  # bf16
    for n in shape:
        count *= n
    return count


def shards(found: dict[str, list[int]]) -> list[list[str]]:
    """Cuts where the next tensor would exceed the limit."""
    cut, filled = [[]], 0
    for name, shape in found.items():
        if filled and filled + size(shape) > SHARD_LIMIT:
            cut.append([])
            filled = 0
        cut[-1].append(name)
        filled += size(shape)
    return cut


def write_shard(path: Path, names: list[str], found: dict, weights: str, align: int) -> None:
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(names):
        start, end = end, end + size(found[name])
        header[name] = {"dtype": "BF16", "shape": found[name], "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-(-(8 + len(text)) // align) * align - 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        if weights == "random":
            import numpy as np
            rng = np.random.default_rng(len(names))
            for left in range(end, 0, -(1 << 24)):
                values = rng.integers(0, 1 << 16, min(left, 1 << 24) // 2, dtype=np.uint16)
                # Small numbers of either sign, so that nothing is infinite or no number.
                file.write(((values & 0x8FFF) | 0x3000).tobytes())
        file.truncate(8 + len(text) + end)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", choices=["zero", "random"], default="zero")
    parser.add_argument("--align", type=int, default=8)
    parser.add_argument("--layers", type=int, help="another number of layers than the model has")
    parser.add_argument("--tokenizer", type=Path, help="directory with tokenizer files to copy")
    args = parser.parse_args()
    model = dict(MODELS[args.model])
    if args.layers:
        model["layers"] = args.layers
    args.out.mkdir(parents=True, exist_ok=True)

    found = tensors(model)
    parts = shards(found)
    if len(parts) == 1:
        files = ["model.safetensors"]
    else:
        files = [f"model-{i + 1:05}-of-{len(parts):05}.safetensors" for i in range(len(parts))]
        index = {"metadata": {"total_size": sum(map(size, found.values()))},
                 "weight_map": {name: file for file, names in zip(files, parts) for name in names}}
        (args.out / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    for file, names in zip(files, parts):
        write_shard(args.out / file, names, found, args.weights, args.align)

    config = model["config"] | {
        "hidden_size": model["hidden"], "num_hidden_layers": model["layers"], "intermediate_size": model["ff"],
        "num_attention_heads": model["heads"], "num_key_value_heads": model["kv"], "vocab_size": model["vocab"],
        "tie_word_embeddings": model["tied"], "hidden_act": "silu", "torch_dtype": "bfloat16",
    } | ({"num_local_experts": model["experts"]} if "experts" in model else {})
    (args.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for file in args.tokenizer.iterdir() if args.tokenizer else ():
        shutil.copy(file, args.out)


if __name__ == "__main__":
    main()
