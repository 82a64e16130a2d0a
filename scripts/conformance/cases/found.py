"""What fuzz.py found: variations of cases of other families that ggraft once took for something else."""

import copy
import importlib
import json

import checkpoint
from cases.quantized import NVFP4, nvfp4


def of(family, id):
    """Case `id` of `family`."""
    return copy.deepcopy(next(case for case in importlib.import_module(f"cases.{family}").cases() if case["id"] == id))


def like(family, id, name, config=None, **changes):
    """The same under another name, with other settings, and arguments of `case`."""
    case = of(family, id)
    case["id"] = f"found-{name}"
    # Tensors stay those of the settings that the case has.
    if config and case["tensors"] is None and not isinstance(case["build"], tuple):
        case["build"] = (case["build"] or case["config"]["architectures"][0], copy.deepcopy(case["config"]))
    case["config"] = {key: value for key, value in {**case["config"], **(config or {})}.items() if value is not ...}
    return {**case, "also": [], **changes}


def cases():
    # Of some layers queries, keys and values are joined, of others they are not.
    yield like("nemotron", "nemotron-h-mtp", "fused-in-part", flags="--fuse-qkv")
    yield like("mimo", "mimo2", "fused-but-windows", {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, flags="--fuse-qkv")
    # Without tensors, settings alone tell of --mtp.
    yield like("deepseek4", "deepseek4-two-predict", "vocabulary-for-prediction", flags="--mtp --vocab-only")
    yield like("deepseek4", "deepseek4-two-predict", "name-of-vocabulary", flags="--mtp --vocab-only --outfile @out")
    # Only columns of codes need heads of a multiple of 16.
    qkv = r"layers\.0\.linear_attn\.in_proj_qkv\.weight"
    yield like("giants", "qwen4-causal-ngrams", "narrow-heads-nvfp4", {"quantization_config": NVFP4}, drop=[qkv],
               extra=nvfp4("model.layers.0.linear_attn.in_proj_qkv", 64, 64))
    # What transformers has no class for may have any token ids.
    yield like("wrapped", "maple-f32", "several-first-tokens", {"bos_token_id": [1, 2]})
    # What is null is written as false.
    yield like("kimi_k3", "kimi-k3-f16", "norm-null", {"moe_renormalize": None})
    yield like("hunyuan", "hy3", "route-norm-null", {"route_norm": None})
    # A token twice, with other flags each time.
    again = [{"id": 50256 + at, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": plain, "special": not plain}
             for at, (text, plain) in enumerate([("<|endoftext|>", False), ("new", True)])]
    vocabulary = json.loads((checkpoint.TOKENIZERS / "gpt2-trimmed/tokenizer.json").read_text()) | {"added_tokens": again}
    decoder = {"50257": {**again[1], "special": True, "normalized": False}, "50258": again[1]}
    decoder = {id: {key: value for key, value in token.items() if key != "id"} for id, token in decoder.items()}
    yield like("wrapped", "kimi-linear-f16", "token-twice", {"vocab_size": 50300}, files={
        "tokenizer.json": vocabulary, "tokenizer_config.json": checkpoint.tokenizer_config("gpt2-trimmed", added_tokens_decoder=decoder)})
    # Code that comes with a model looks at its own files alone.
    beside = {"special_tokens_map.json": {"additional_special_tokens": [{"content": "<a>", "lstrip": False}, "<b>"]}, "added_tokens.json": {"<later>": 480}}
    yield like("hunyuan", "hunyuan-tiktoken", "tiktoken-alone", files={**of("hunyuan", "hunyuan-tiktoken")["files"], **beside})
    # torch rounds to 16 bits what it computes of them.
    yield like("mmproj_gemma4", "gemma4-both", "scales-f16", dtype="f16")
    tower = of("mmproj_qwen_like", "ling3-vl-f16")["config"]["vision_config"]
    yield like("mmproj_qwen_like", "ling3-vl-f16", "deepstack-null", {"vision_config": {**tower, "deepstack_visual_indexes": None}}, refused=True)
    moonvit = of("mmproj_moonvit", "kimi_k2.5")["config"]["vision_config"]
    yield like("mmproj_moonvit", "kimi_k2.5", "kernel-null", {"vision_config": {**moonvit, "merge_kernel_size": None}}, refused=True)
    # Scaling of rope may be anything where something sees, too.
    muse = of("mmproj_vit", "muse-plain")["config"]["vision_config"]
    long = {"rope_type": "longrope", "short_factor": [1.0, 1.5], "long_factor": [1.0, 2.0]}
    yield like("mmproj_vit", "muse-plain", "long-rope-of-images", {"vision_config": {**muse, "rope_scaling": long}})
    # Without the defaults of its class.
    yield like("lfm2", "lfm2-audio-tokenizer", "sounds-without-size", {"hidden_size": None}, refused=True)
