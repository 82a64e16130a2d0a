#!/usr/bin/env python3
"""Compares `ggraft lora --merge` with PEFT's merge_and_unload, element by element.

    scripts/lora_merge.py [--only TEXT] [--keep DIR]

Small models of several families are made with adapters of every kind that can be merged. PEFT merges in F32 and saves; ggraft
converts that, and merges by itself, both to F32. Each element may differ by at most

    (rank + 4) · 2^-24 · (|W| + |scale| · |B| · |A|)

which is what the order of a sum of `rank` products can change, and the roundings of scale and sum (Higham, Accuracy and
Stability of Numerical Algorithms, 3.5). That bound is made like the merged model itself, from absolute values, so that it is
moved about by the family like the elements. Tensors that the adapter does not touch must be the same. The same goes for the
other types: what ggraft writes must be what the F32 file becomes when it is rounded.

Needs torch, transformers, peft (`pip install --no-deps peft accelerate psutil`), gguf, and a built ggraft (GGRAFT names another
than target/debug/ggraft).
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GGRAFT = os.environ.get("GGRAFT") or str(ROOT / "target/debug/ggraft")

SMALL = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=520, max_position_embeddings=128)
# Tokenizers of tests/tokenizers, and how many tokens they have.
TOKENIZERS = {"gemma2": ("spm", 520), "phi3": ("spm", 520), "qwen2": ("qwen2-trimmed", 151936), "qwen3": ("qwen2-trimmed", 151936),
              "mistral": ("spm", 520), "gemma3": ("spm", 520), "bert": ("wordpiece", 30522), "mixtral-experts": ("spm", 520), "phimoe-experts": ("spm", 520),
              "qwen3moe-experts": ("qwen2-trimmed", 151936), "qwen2moe": ("qwen2-trimmed", 151936)}
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
GPT2 = dict(n_embd=64, n_layer=2, n_head=4, n_positions=128, n_ctx=128, vocab_size=520)


def cases():
    """Name, class of the model, its config, and settings of the adapter, or a pattern of names for one made by hand."""
    llama = ("LlamaForCausalLM", "LlamaConfig", SMALL)
    yield "llama", *llama, dict(target_modules=LINEAR)
    yield "llama-output", *llama, dict(target_modules=LINEAR + ["lm_head"], r=16, lora_alpha=3)
    yield "llama-rslora", *llama, dict(target_modules=LINEAR, use_rslora=True)
    yield "llama-patterns", *llama, dict(target_modules=LINEAR, rank_pattern={"layers.1.self_attn.q_proj": 2, "up_proj": 12},
                                         alpha_pattern={r"layers\.\d.mlp.down_proj": 64, "k_proj": 1})
    yield "llama-embedding", *llama, dict(target_modules=["embed_tokens", "q_proj"])
    yield "llama-saved", *llama, dict(target_modules=["q_proj", "v_proj"], modules_to_save=["lm_head", "embed_tokens"])
    yield "llama-norms", *llama, dict(target_modules=["q_proj"], modules_to_save=["input_layernorm", "norm"])
    yield "llama-large-rank", *llama, dict(target_modules=LINEAR, r=200, lora_alpha=7)
    yield "llama-biases", "LlamaForCausalLM", "LlamaConfig", {**SMALL, "attention_bias": True}, dict(
        target_modules=["q_proj", "k_proj"], bias="lora_only")
    yield "llama-tied", "LlamaForCausalLM", "LlamaConfig", {**SMALL, "tie_word_embeddings": True}, dict(target_modules=LINEAR)
    yield "qwen2", "Qwen2ForCausalLM", "Qwen2Config", SMALL, dict(target_modules=LINEAR)
    yield "qwen3", "Qwen3ForCausalLM", "Qwen3Config", {**SMALL, "head_dim": 32}, dict(target_modules=LINEAR)
    yield "gemma2", "Gemma2ForCausalLM", "Gemma2Config", {**SMALL, "head_dim": 16}, dict(target_modules=LINEAR)
    yield "phi3", "Phi3ForCausalLM", "Phi3Config", {**SMALL, "pad_token_id": 0}, dict(
        target_modules=["qkv_proj", "o_proj", "gate_up_proj", "down_proj"])
    yield "stablelm", "StableLmForCausalLM", "StableLmConfig", SMALL, dict(target_modules=LINEAR)
    yield "gpt2", "GPT2LMHeadModel", "GPT2Config", GPT2, dict(target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)
    yield "gptneox", "GPTNeoXForCausalLM", "GPTNeoXConfig", {**SMALL, "num_key_value_heads": None}, dict(
        target_modules=["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"])
    yield "bloom", "BloomForCausalLM", "BloomConfig", dict(hidden_size=64, n_layer=2, n_head=4, vocab_size=520), dict(
        target_modules=["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"])
    yield "falcon", "FalconForCausalLM", "FalconConfig", dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                                                            vocab_size=520, new_decoder_architecture=True, num_kv_heads=2), dict(
        target_modules=["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"])
    mlp = dict(target_modules=LINEAR)
    yield "mistral", "MistralForCausalLM", "MistralConfig", SMALL, mlp
    yield "gemma3", "Gemma3ForCausalLM", "Gemma3TextConfig", {**SMALL, "head_dim": 16}, mlp
    yield "granite", "GraniteForCausalLM", "GraniteConfig", SMALL, mlp
    yield "olmo2", "Olmo2ForCausalLM", "Olmo2Config", SMALL, mlp
    yield "cohere", "CohereForCausalLM", "CohereConfig", SMALL, mlp
    yield "smollm3", "SmolLM3ForCausalLM", "SmolLM3Config", {**SMALL, "pad_token_id": 0}, mlp
    yield "exaone4", "Exaone4ForCausalLM", "Exaone4Config", {**SMALL, "sliding_window": 64, "sliding_window_pattern": 2}, mlp
    yield "glm4", "Glm4ForCausalLM", "Glm4Config", {**SMALL, "head_dim": 16, "pad_token_id": 0}, dict(
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj"])
    yield "phi", "PhiForCausalLM", "PhiConfig", {**SMALL, "num_key_value_heads": 4}, dict(target_modules=["q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"])
    yield "starcoder2", "Starcoder2ForCausalLM", "Starcoder2Config", SMALL, dict(target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "c_fc", "c_proj"])
    yield "nemotron", "NemotronForCausalLM", "NemotronConfig", {**SMALL, "head_dim": 16}, dict(
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"])
    yield "mamba", "MambaForCausalLM", "MambaConfig", dict(hidden_size=64, num_hidden_layers=2, state_size=8, vocab_size=520), dict(
        target_modules=["in_proj", "x_proj", "out_proj"])
    yield "bert", "BertModel", "BertConfig", {**SMALL, "vocab_size": 520}, dict(target_modules=["query", "key", "value", "dense"])
    yield "deepseek3", "DeepseekV3ForCausalLM", "DeepseekV3Config", {
        **SMALL, "num_key_value_heads": 4, "q_lora_rank": 24, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16,
        "n_routed_experts": 4, "n_shared_experts": 1, "moe_intermediate_size": 32, "num_experts_per_tok": 2, "first_k_dense_replace": 1,
        "n_group": 1, "topk_group": 1}, dict(target_modules=["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    yield "qwen2moe", "Qwen2MoeForCausalLM", "Qwen2MoeConfig", {**SMALL, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
                                                             "shared_expert_intermediate_size": 48}, mlp
    experts = dict(num_local_experts=4, num_experts_per_tok=2)
    yield "mixtral-experts", "MixtralForCausalLM", "MixtralConfig", {**SMALL, **experts}, r"experts\.\d+\.w\d|q_proj"
    yield "qwen3moe-experts", "Qwen3MoeForCausalLM", "Qwen3MoeConfig", {
        **SMALL, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 16}, r"experts\.\d+\.\w+_proj|o_proj"
    yield "phimoe-experts", "PhimoeForCausalLM", "PhimoeConfig", {**SMALL, **experts, "pad_token_id": 0}, r"experts\.[02]\.w\d"


def randomized(model, torch):
    """Factors of a new adapter are zero; weights that were trained are not."""
    generator = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters():
        if "lora_" in name or "modules_to_save" in name or parameter.requires_grad:
            parameter.data = torch.randn(parameter.shape, generator=generator).to(parameter.dtype) * 0.3


def run(*words) -> None:
    done = subprocess.run([GGRAFT, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")


def read(path: Path) -> dict:
    import gguf

    return {t.name: t.data for t in gguf.GGUFReader(path).tensors}


def by_peft(case, base: Path, adapter: Path, merged: Path, bound: Path, libraries) -> int:
    """Makes an adapter of the model in `base`, and has PEFT merge it, as it is and as absolute values. Answers the largest rank."""
    torch, transformers, peft = libraries
    _, model_class, _, _, settings = case
    settings = peft.LoraConfig(**{"r": 4, "lora_alpha": 8, "init_lora_weights": True, **settings})

    def load():
        return getattr(transformers, model_class).from_pretrained(base, dtype=torch.float32)

    model = peft.get_peft_model(load(), settings)
    randomized(model, torch)
    model.save_pretrained(adapter)
    model = peft.PeftModel.from_pretrained(load(), adapter)
    absolute = peft.PeftModel.from_pretrained(load(), adapter)
    model.merge_and_unload().save_pretrained(merged)
    for parameter in absolute.parameters():
        parameter.data = parameter.data.abs()
    absolute.merge_and_unload().save_pretrained(bound)
    return max([settings.r, *settings.rank_pattern.values()])


def by_hand(case, base: Path, adapter: Path, merged: Path, bound: Path, libraries) -> int:
    """The same for matrices that PEFT does not see any more, since transformers joins experts as it loads them: those whose names
    the pattern finds get factors, and PEFT's formula is applied to the files."""
    torch, (*_, pattern) = libraries[0], case
    from safetensors.torch import load_file, save_file

    generator = torch.Generator().manual_seed(7)
    weights = {name: tensor for file in base.glob("*.safetensors") for name, tensor in load_file(file).items()}
    factors, results = {}, [{}, {}]
    for name, weight in weights.items():
        exact = weight.float()
        results[0][name], results[1][name] = exact, exact.abs()
        if re.search(pattern, name):
            a, b = (torch.randn(shape, generator=generator) * 0.3 for shape in ((4, weight.shape[1]), (weight.shape[0], 4)))
            stem = "base_model.model." + name.removesuffix(".weight")
            factors |= {f"{stem}.lora_A.weight": a, f"{stem}.lora_B.weight": b}
            results[0][name], results[1][name] = exact + 2.0 * (b @ a), exact.abs() + 2.0 * (b.abs() @ a.abs())
    adapter.mkdir()
    save_file(factors, adapter / "adapter_model.safetensors")
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8}))
    for directory, tensors in zip((merged, bound), results):
        directory.mkdir()
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        shutil.copy(base / "config.json", directory)
    return 4


def check(case, work: Path, dtype: str, libraries) -> str:
    """The largest difference as a part of what is allowed."""
    torch, transformers, _ = libraries
    name, model_class, config_class, config, settings = case
    base, adapter, merged, bound = (work / part for part in ("base", "adapter", "merged", "bound"))
    torch.manual_seed(1)
    config = getattr(transformers, config_class)(**{k: v for k, v in config.items() if v is not None})
    getattr(transformers, model_class)(config).to(getattr(torch, dtype)).save_pretrained(base)
    tokenizer, size = TOKENIZERS.get(name, ("spm", 520) if name.startswith("llama") else ("gpt2-trimmed", 50257))
    merge = by_hand if isinstance(settings, str) else by_peft
    rank = merge(case, base, adapter, merged, bound, libraries)
    for directory in (base, merged, bound):
        for file in (ROOT / "tests/tokenizers" / tokenizer).iterdir():
            shutil.copy(file, directory)
        # The embeddings are smaller, which no converter minds.
        saved = json.loads((directory / "config.json").read_text())
        (directory / "config.json").write_text(json.dumps(saved | {"vocab_size": size}))
    common = ["--outtype", "f32", "--no-reflink", "--quiet"]
    run("convert", merged, "--outfile", work / "merged.gguf", *common)
    run("convert", bound, "--outfile", work / "bound.gguf", *common)
    run("lora", adapter, "--merge", "--base", base, "--outfile", work / "ours.gguf", *common)
    run("verify", work / "ours.gguf", base, "--lora", adapter)
    theirs, limits, ours = (read(work / f"{part}.gguf") for part in ("merged", "bound", "ours"))
    assert theirs.keys() == ours.keys(), theirs.keys() ^ ours.keys()
    worst = 0.0
    for tensor, expected in theirs.items():
        allowed = (rank + 4) * 2.0**-24 * abs(limits[tensor].astype("f8"))
        difference = abs(ours[tensor].astype("f8") - expected.astype("f8"))
        beyond = difference > allowed + 1e-30
        assert not beyond.any(), f"{name} {tensor}: {difference.max()} where {allowed.flat[difference.argmax()]} is allowed"
        worst = max(worst, float((difference / (allowed + 1e-30)).max()))
    for outtype in ("f16", "bf16", "q8_0"):
        flags = ["--outtype", outtype, "--no-reflink", "--quiet"]
        run("lora", adapter, "--merge", "--base", base, "--outfile", work / f"{outtype}.gguf", *flags)
        rounded(work / "ours.gguf", work / f"{outtype}.gguf")
    return f"{worst:.2f}"


def rounded(exact: Path, short: Path) -> None:
    """What is in `short` must be what is in `exact`, rounded."""
    import gguf
    import numpy

    values = {t.name: t.data for t in gguf.GGUFReader(exact).tensors}
    for tensor in gguf.GGUFReader(short).tensors:
        expected = gguf.quants.quantize(numpy.array(values[tensor.name]), tensor.tensor_type)
        same = expected.tobytes() == tensor.data.tobytes()
        assert same, f"{short.name} {tensor.name}: not what the F32 file becomes as {tensor.tensor_type.name}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", type=Path, help="leave models and outputs there")
    args = parser.parse_args()
    import peft
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for case in cases():
        for dtype in ("float32", "bfloat16", "float16"):
            if args.only not in f"{case[0]} {dtype}":
                continue
            with tempfile.TemporaryDirectory(prefix="merge-") as scratch:
                work = args.keep / case[0] / dtype if args.keep else Path(scratch)
                work.mkdir(parents=True, exist_ok=True)
                worst = check(case, work, dtype, (torch, transformers, peft))
            print(f"{case[0]} {dtype}: largest difference {worst} of the bound", flush=True)


if __name__ == "__main__":
    main()
