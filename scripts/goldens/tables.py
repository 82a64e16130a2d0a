#!/usr/bin/env python3
"""Regenerates the tables of facts taken from llama.cpp and transformers:

  src/config/generated/classes.rs  fields, types and defaults of the configuration classes
  src/arch/generated/names.rs      spellings of tensor names, and the architectures the reference knows

One row a line, so that a difference shows what has changed.

usage: tables.py LLAMA_CPP_DIR      (needs transformers and torch)
"""

import dataclasses
import inspect
import json
import sys
import types
import typing
from pathlib import Path

LLAMA_CPP = Path(sys.argv[1])
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(LLAMA_CPP), str(LLAMA_CPP / "gguf-py")]

# Configuration classes and GGUF architectures that ggraft can read and name. Add to these, then rerun.
CLASSES = """
apertus arcee internlm3 iquestcoder llama llama4 llama4_text llava ministral ministral3 mistral mistral3 mixtral smollm3
voxtral
audioflamingo3 qwen2 qwen2_audio qwen2_moe qwen3 qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen3_moe qwen3_next
qwen2_5_vl qwen2_5_vl_text qwen2_vl qwen2_vl_text qwen3_vl qwen3_vl_moe qwen3_vl_moe_text qwen3_vl_text
gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text gemma4 gemma4_text gemma4_unified gemma4_unified_text
phi phi3 phimoe
olmo olmo2 olmo3 olmoe seed_oss
deepseek_v2 deepseek_v3 deepseek_v32 kimi_k25 youtu
glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe glm4v_moe_text glm4v_text glm_moe_dsa glm_ocr glm_ocr_text solar_open
bamba granite granite_swa granitemoe granitemoe_swa granitemoehybrid granitemoeshared
nemotron nemotron_h
cohere cohere2 cohere2_moe
git gpt_oss gpt2 gpt_bigcode gpt_neox bloom falcon starcoder2 stablelm
jamba mamba mamba2 falcon_mamba
bert camembert distilbert eurobert jina_embeddings_v3 modernbert nomic_bert roberta xlm-roberta
t5 mt5 umt5
afmoe dots1 laguna mellum minicpm3 dbrx chameleon bitnet mpt hrm_text jais2 janus falcon_h1
ernie4_5 ernie4_5_moe paddleocr_vl paddleocr_vl_text
exaone4 exaone4_5 exaone_moe
hunyuan_v1_dense hunyuan_v1_moe hunyuan_vl hunyuan_vl_text hy_v3 hy_v4
lfm2 lfm2_moe lfm2_vl
minimax minimax_m2 minimax_m3_vl minimax_m3_vl_text
step3p5 step3p7
muse_glimmer muse_glimmer_assistant muse_glimmer_text gemma4_assistant gemma4_unified_assistant
bailing_hybrid deepseek_v4 deepseek_ocr2 deepseek_ocr2_text unlimited_ocr unlimited_ocr_text dots3_note dots3_note_text
glm5_next glm5_next_text kimi_linear mimo_v2_flash mistral4 qwen4_exp qwen4_exp_text
minicpmv4_6 qwen2_5_omni qwen2_5_omni_thinker qwen2_5_omni_text qwen3_asr qwen3_omni_moe qwen3_omni_moe_thinker
qwen3_omni_moe_text granite_speech granite_speech_plus
clip_vision_model granite4_vision granite4_vision_text idefics3 internvl lfm2_vl lighton_ocr pixtral siglip2_vision_model
siglip_vision_model smolvlm
""".split()
ARCHS = """
APERTUS ARCEE LLAMA LLAMA4 LLAMA_EMBED MISTRAL3 SMOLLM3
QWEN QWEN2 QWEN2MOE QWEN2VL QWEN3 QWEN35 QWEN35MOE QWEN3MOE QWEN3NEXT QWEN3VL QWEN3VLMOE RND1
GEMMA GEMMA2 GEMMA3 GEMMA3N GEMMA4 GEMMA_EMBEDDING
PHI2 PHI3 PHIMOE
OLMO OLMO2 OLMOE SEED_OSS
DEEPSEEK DEEPSEEK2 DEEPSEEK32
CHATGLM GLM4 GLM4_MOE GLM_DSA
GRANITE GRANITE_HYBRID GRANITE_MOE GRANITE_SWA
NEMOTRON NEMOTRON_H NEMOTRON_H_MOE
COHERE2 COHERE2MOE COMMAND_R
GPT_OSS GPT2 GPTNEOX BLOOM FALCON STARCODER STARCODER2 STABLELM INTERNLM2
JAMBA MAMBA MAMBA2
MMPROJ
BERT EUROBERT JINA_BERT_V2 JINA_BERT_V3 MODERN_BERT NEO_BERT NOMIC_BERT NOMIC_BERT_MOE
T5 T5ENCODER
MAINCODER
AFMOE DOTS1 LAGUNA MELLUM SMALLTHINKER GROVEMOE MAPLE DBRX ARCTIC GROK
BAILINGMOE BAILINGMOE2 BAILINGMOE3
ERNIE4_5 ERNIE4_5_MOE PADDLEOCR
EXAONE EXAONE4 EXAONE_MOE
HUNYUAN_DENSE HUNYUAN_MOE HUNYUAN_VL HY_V3 HY_V4
LFM2 LFM2MOE
MINIMAX01 MINIMAXM2 MINIMAXM3
STEP35 MUSE_GLIMMER GEMMA4_ASSISTANT EAGLE3 DFLASH
DEEPSEEK2OCR DEEPSEEK4 DOTS3NOTE GLM5_NEXT KIMI_K3 KIMI_LINEAR MIMO2 MISTRAL4 QWEN4EXP
BAICHUAN BITNET CHAMELEON CODESHELL COGVLM DECI DREAM HRM_TEXT JAIS JAIS2 LLADA LLADA_MOE MINICPM MINICPM3 MPT NANBEIGE
OPENELM ORION PANGU_EMBED PLM REFACT SPARK2_5 TALKIE XVERSE
ARWKV7 FALCON_H1 GRANITE_SWITCH PLAMO PLAMO2 PLAMO3 RWKV6 RWKV6QWEN2 RWKV7
QWEN3TTS POCKETTTS WAVTOKENIZER_DEC
""".split()

import torch  # noqa: E402
import transformers  # noqa: E402
from gguf.constants import MODEL_ARCH, MODEL_TENSORS, TENSOR_NAMES  # noqa: E402
from gguf.tensor_mapping import TensorNameMap  # noqa: E402
from transformers import PreTrainedConfig, configuration_utils  # noqa: E402
from transformers.generation.configuration_utils import GenerationConfig  # noqa: E402
from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: E402

KINDS = {int: "INT", float: "FLOAT", str: "STR", bool: "BOOL", dict: "DICT", type(None): "NULL",
         list: "LIST", list[int]: "INTS", list[float]: "FLOATS", list[str]: "STRS",
         list[float | int]: "NUMBERS", list[float | int | None]: "GAPPED_NUMBERS"}
# Configs within a config that matter to the text model, or to what sees and hears; others stay as the file has them.
PARTS = ("text_config", "thinker_config", "vision_config", "audio_config", "encoder_config", "projector_config",
         "qformer_config", "sam_config")


def with_parts(names: list[str]) -> list[str]:
    """These and the classes of what they consist of."""
    found = list(dict.fromkeys(names))
    for name in found:
        parts = CONFIG_MAPPING[name].sub_configs_defaults.items()
        found += [spec.model_type for key, spec in parts if key in PARTS and spec.model_type not in found]
    return found



VISIBLE = "pub(visible)"  # becomes the module that a table is for


def s(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def rows(items) -> str:
    """A Rust slice with one item a line."""
    return "&[\n" + "".join(f"    {item},\n" for item in items) + "]"


def strings(doc: str, name: str, items) -> str:
    return f"/// {doc}\n{VISIBLE} const {name}: &[&str] = {rows(map(s, items))};\n\n"


def kinds(annotation) -> str:
    """The JSON types that a field of this type accepts, as Rust."""
    if isinstance(annotation, str):  # declared under postponed annotations: transformers checks nothing
        return "ANY"
    union = isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union
    parts = typing.get_args(annotation) if union else (annotation,)
    names = []
    for part in parts:
        origin = typing.get_origin(part)
        if isinstance(part, types.UnionType) or origin is typing.Union:
            names.append(kinds(part))
        elif origin is typing.Literal:  # which strings, CHOICES says
            names.append("STR")
        elif origin is dict:
            names.append("DICT")
        elif part in KINDS:
            names.append(KINDS[part])
        elif origin is list and typing.get_args(part) == (float, float):
            names.append("FLOATS")
        else:  # isinstance() refuses a TypedDict, so it accepts nothing; nor is anything in JSON a tuple or a class
            assert typing.is_typeddict(part) or origin is tuple or issubclass(part, PreTrainedConfig), part
    return " | ".join(dict.fromkeys(names))


def choices(annotation) -> list[str]:
    """The strings that a Literal allows."""
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [c for part in typing.get_args(annotation) if not isinstance(part, str) for c in choices(part)]


def default(value) -> str:
    """A default as Python's JSON, which has infinity."""
    return json.dumps(value)


def pairs(items) -> str:
    return "&[" + ", ".join(f"({s(k)}, {s(v)})" for k, v in items) + "]"


def is_computed(cls, name: str) -> bool:
    attribute = inspect.getattr_static(cls, name)
    return isinstance(attribute, property) and attribute.fset is None


def part(spec) -> str:
    """A config within a config."""
    fixed = issubclass(spec.config_class, PreTrainedConfig)
    return f"Part {{ model_type: {s(spec.model_type)}, fixed: {str(fixed).lower()}, " \
           f"optional: {str(spec.optional).lower()}, given: {s(json.dumps(spec.init_kwargs))} }}"


def class_table() -> str:
    out = f"""//! What transformers {transformers.__version__} declares in its configuration classes.
//!
//! Generated by `scripts/goldens/tables.py`; do not edit.

use crate::config::class::{{
    BOOL, Class, DICT, FLOAT, FLOATS, GAPPED_NUMBERS, INT, INTS, LIST, NULL, NUMBERS, Part, STR, STRS,
}};

/// The classes known here.
{VISIBLE} const CLASSES: &[Class] = &[
"""
    common = {f.name: f.default for f in dataclasses.fields(PreTrainedConfig)}
    readonly = {n for n in dir(PreTrainedConfig) if is_computed(PreTrainedConfig, n)}
    restricted = []
    for model_type in with_parts(CLASSES):
        cls = CONFIG_MAPPING[model_type]
        assert cls.model_type == model_type
        theta = cls.default_theta if isinstance(cls.default_theta, dict) else {"global": cls.default_theta}
        local = f"Some({float(theta['local'])!r})" if "local" in theta else "None"
        computed = sorted(n for n in dir(cls) if is_computed(cls, n) and n not in readonly)
        parts = [f"({s(key)}, {part(spec)})" for key, spec in cls.sub_configs_defaults.items() if key in PARTS]
        out += f"    Class {{ model_type: {s(model_type)}, theta: {float(theta['global'])!r}, local_theta: {local}, "
        out += f"aliases: {pairs(cls.attribute_map.items())}, computed: &[{', '.join(map(s, computed))}], "
        out += f"parts: &[{', '.join(parts)}], fields: &[\n"
        for f in dataclasses.fields(cls):
            if f.name in common and f.default == common[f.name]:
                continue
            assert f.default is not dataclasses.MISSING, (model_type, f.name)
            out += f"        ({s(f.name)}, {kinds(f.type)}, {s(default(f.default))}),\n"
            if allowed := choices(f.type) if not isinstance(f.type, str) else []:
                restricted += [f"({s(model_type)}, {s(f.name)}, &[{', '.join(map(s, allowed))}])"]
        out += "    ] },\n"
    out += "];\n\n"
    assert common.keys() >= {"architectures", "dtype", "id2label"}
    out += "/// Class, field, and the strings it accepts, where those are few.\n"
    out += f"{VISIBLE} const CHOICES: &[(&str, &str, &[&str])] = {rows(restricted)};\n\n"

    known = sorted(set(CONFIG_MAPPING.keys()) - set(with_parts(CLASSES)))
    out += strings("`model_type`s transformers knows and this program does not.", "OTHER_MODEL_TYPES", known)
    dtypes = sorted(n for n in dir(torch) if isinstance(getattr(torch, n), torch.dtype))
    out += strings(f"Names of element types in torch {torch.__version__.split('+')[0]}.", "TORCH_DTYPES", dtypes)
    out += strings("Generation settings, which are dropped from model configurations.", "GENERATION",
                   GenerationConfig._get_default_generation_params())
    out += strings("Attributes that cannot be set; a file that tries is refused.", "READ_ONLY", sorted(readonly))
    out += strings("Accepted `layer_types`.", "ATTENTION_LAYER_TYPES", configuration_utils.ALLOWED_ATTN_LAYER_TYPES)
    out += strings("Accepted `mlp_layer_types`.", "MLP_LAYER_TYPES", configuration_utils.ALLOWED_MLP_LAYER_TYPES)
    renamed = rows(f"({s(k)}, {s(v)})" for k, v in configuration_utils._LEGACY_LAYER_TYPE_REMAP.items())
    return out + f"/// Old names of layer types.\n{VISIBLE} const LEGACY_LAYER_TYPES: &[(&str, &str)] = {renamed};\n"


def name_table() -> str:
    import conversion

    out = f"""//! Names: how checkpoints spell each GGUF tensor, and which architectures the reference knows.
//!
//! Generated by `scripts/goldens/tables.py`; do not edit.

#![allow(dead_code, reason = "covers architectures whose families are not written yet")]

/// GGUF tensors (without `.weight`) and the names that mean them; `{{bid}}` is the layer, between dots or before one.
/// Where two claim a name, the later one gets it. What follows a `#` tells tensors apart that GGUF calls the same.
{VISIBLE} const SPELLINGS: &[(&str, &[&str])] = &[
"""
    owner = {}
    for tensor, name in TENSOR_NAMES.items():
        owner.setdefault(name, tensor)

    def known_as(tensor) -> str:
        name = TENSOR_NAMES[tensor]
        return name if owner[name] == tensor else f"{name}#{tensor.name.lower()}"

    own = {getattr(MODEL_ARCH, a): TensorNameMap.arch_block_mappings_cfg.get(getattr(MODEL_ARCH, a), {}) for a in ARCHS}

    def known_to(arch, tensor) -> str:
        return f"{TENSOR_NAMES[tensor]}#{arch.name.lower()}" if tensor in own[arch] else known_as(tensor)

    used = set().union(*(MODEL_TENSORS[arch] for arch in own))
    # What an architecture calls otherwise takes the place of what is usual, or comes last.
    spelled = [(tensor, known_as(tensor), keys, False) for tensor, keys in TensorNameMap.mappings_cfg.items()]
    for tensor, keys in TensorNameMap.block_mappings_cfg.items():
        spelled.append((tensor, known_as(tensor), keys, True))
        spelled += [(tensor, known_to(a, tensor), names[tensor], True) for a, names in own.items() if tensor in names]
    for arch, names in own.items():
        rest = [tensor for tensor in names if tensor not in TensorNameMap.block_mappings_cfg]
        spelled += [(tensor, known_to(arch, tensor), names[tensor], True) for tensor in rest]
    for tensor, name, keys, blocks in spelled:
        if tensor in used:
            for key in (TENSOR_NAMES[tensor], *keys):
                assert sum(part.endswith("{bid}") for part in key.split(".")) == key.count("{") <= blocks, key
            out += f"    ({s(name)}, &[{', '.join(map(s, dict.fromkeys(keys)))}]),\n"
    out += "];\n\n"
    for arch in ARCHS:
        model_arch = getattr(MODEL_ARCH, arch)
        out += strings(f"Tensors of the GGUF architecture `{arch.lower()}`.", arch,
                       [known_to(model_arch, t) for t in MODEL_TENSORS[model_arch] if t in TENSOR_NAMES])
    known = sorted(set(conversion.TEXT_MODEL_MAP) | set(conversion.MMPROJ_MODEL_MAP))
    out += strings("Architectures the reference has a converter for.", "REFERENCE_ARCHITECTURES", known)
    return out + strings("Those of them that it converts the projector of.", "REFERENCE_PROJECTORS",
                         sorted(conversion.MMPROJ_MODEL_MAP))


for path, text in (("src/config/generated/classes.rs", class_table()), ("src/arch/generated/names.rs", name_table())):
    visible = f"pub(in crate::{path.split('/')[1]})"
    (ROOT / path).write_text(text.replace(VISIBLE, visible).rstrip() + "\n", encoding="utf-8")
