#!/usr/bin/env python3
"""Writes tests/golden/metadata.json: what the reference makes of model cards, configurations and names.

usage: metadata.py LLAMA_CPP_DIR [OUTPUT]

Runs gguf.Metadata and gguf.naming_convention of LLAMA_CPP_DIR/gguf-py on the cases below, with the steps that
ModelBase.prepare_metadata adds. Needs numpy and PyYAML of scripts/reference/versions.txt:
PyYAML 6.0.4 merges lists of mappings in another order.
"""

import json
import logging
import struct
import sys
import tempfile
from pathlib import Path

llama_cpp = Path(sys.argv[1])
output = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parents[2] / "tests/golden/metadata.json"
sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from versions import recorded_with  # noqa: E402

recorded_with("PyYAML")
sys.path.insert(0, str(llama_cpp / "gguf-py"))
import gguf  # noqa: E402

logging.disable(logging.CRITICAL)

NAMES = """
Meta-Llama-3.1-8B-Instruct Meta-Llama-3-70B Llama-3.2-1B Llama-3.2-1B-Instruct Llama-3.3-70B-Instruct Llama-2-7b-hf
Llama-2-13b-chat-hf CodeLlama-7b-Instruct-hf TinyLlama-1.1B-Chat-v1.0 TinyLlama_v1.1 open_llama_3b_v2 vicuna-7b-v1.5-16k
Mixtral-8x7B-Instruct-v0.1 Mixtral-8x22B-v0.1 Mistral-7B-v0.1 Mistral-7B-Instruct-v0.3 Mistral-Nemo-Instruct-2407
Mistral-Large-Instruct-2411 Mistral-Small-24B-Instruct-2501 Ministral-8B-Instruct-2410 Codestral-22B-v0.1 mathstral-7B-v0.1
bloom-7b1 bloom-560m bloomz-1b7 bloomz-7b1-mt falcon-7b falcon-40b-instruct falcon-mamba-7b mpt-7b-chat mpt-30b
Qwen2.5-0.5B-Instruct Qwen2.5-0.5B-Instruct-GGUF Qwen2.5-7B-Instruct-1M Qwen2.5-Coder-32B-Instruct Qwen2.5-Math-1.5B
Qwen2-57B-A14B-Instruct Qwen1.5-MoE-A2.7B-Chat Qwen1.5-1.8B Qwen3-0.6B Qwen3-0.6B-Base Qwen3-30B-A3B
Qwen3-235B-A22B-Instruct-2507 Qwen3-30B-A3B-Thinking-2507 Qwen3-Coder-480B-A35B-Instruct Qwen3-4B-FP8 QwQ-32B-Preview
Phi-3-mini-4k-instruct Phi-3-mini-128k-instruct Phi-3-medium-4k-instruct Phi-3.5-mini-instruct Phi-3.5-MoE-instruct phi-2
phi-4 phi-1_5 gemma-2b gemma-7b-it gemma-2-9b-it gemma-2-27b gemma-3-1b-it gemma-3-270m gemma-3n-E4B-it recurrentgemma-2b-it
SmolLM2-135M-Instruct SmolLM-1.7B SmolLM3-3B stablelm-2-1_6b stablelm-zephyr-3b stablelm-3b-4e1t gpt2 gpt2-medium gpt2-xl
gpt-neox-20b gpt-j-6b gpt-oss-20b pythia-6.9b-deduped opt-1.3b OLMo-1B OLMo-2-1124-7B-Instruct OLMoE-1B-7B-0924 DeepSeek-V3
DeepSeek-V3-0324 DeepSeek-R1-0528 DeepSeek-R1-Distill-Qwen-1.5B DeepSeek-R1-Distill-Llama-70B deepseek-coder-6.7b-instruct
deepseek-llm-67b-chat deepseek-moe-16b-base DeepSeek-Coder-V2-Lite-Instruct Yi-1.5-34B-Chat-16K Yi-6B-200K yi-coder-9b
internlm2_5-7b-chat internlm2-chat-1_8b Baichuan2-13B-Chat chatglm3-6b glm-4-9b-chat-1m c4ai-command-r-v01
c4ai-command-r-plus-08-2024 aya-23-8B granite-3.1-2b-instruct granite-34b-code-instruct-8k starcoder2-15b starcoderbase-1b
dolphin-2.9.4-llama3.1-8b Hermes-3-Llama-3.1-8B Nous-Hermes-2-Mixtral-8x7B-DPO OpenHermes-2.5-Mistral-7B zephyr-7b-beta
Starling-LM-7B-alpha SOLAR-10.7B-Instruct-v1.0 WizardLM-2-8x22B Jamba-v0.1 AI21-Jamba-1.5-Mini dbrx-instruct grok-1 mamba-130m-hf
mamba2-2.7b rwkv-6-world-7b RWKV7-Goose-World3-1.5B-HF all-MiniLM-L6-v2 bge-small-en-v1.5 bge-m3 nomic-embed-text-v1.5
e5-mistral-7b-instruct snowflake-arctic-embed-m-v2.0 jina-embeddings-v2-base-en t5-small flan-t5-xl flan-t5-xxl madlad400-3b-mt
MiniCPM-2B-dpo-bf16 MiniCPM3-4B Nemotron-4-340B-Instruct Llama-3.1-Nemotron-70B-Instruct-HF Minitron-4B-Base EXAONE-3.0-7.8B-Instruct
LFM2-1.2B ERNIE-4.5-21B-A3B-PT Hunyuan-A13B-Instruct Kimi-K2-Instruct Kimi-K2-Instruct-0905 MiniMax-Text-01 Seed-OSS-36B-Instruct
bitnet_b1_58-large BitNet-b1.58-2B-4T Llama3-8B-1.58-100B-tokens Mistral-7B-Merge-14-v0.1 Mistral-7B-Instruct-v0.2-GGUF
Llama-3-8B-Instruct-262k Llama-3-8B-Instruct-Gradient-1048k LLaMA-2-7B-32K-lora xlam-7b-r functionary-small-v2.5-Q4_K_M
Model-7B-iq3_xxs Model-F16 Model-BF16 model-fp32 model-fp16-v2 model-bfp16 m-IQ4_NL-small m-q8 my-model-iter12 Iter3 V2 v1.2.3-4
1B 7b 2-3B a-1B-1b a-1b-1B-2B foo-1.5B1 foo-b1 foo-7_5B foo-7b12 foo-12K foo-12k-b foo-t foo-5T foo-A14B foo-2x foo-2X7b foo-2x7 x-1..2B
small a-small a-mini-7b a-SMALL-large a-XXL-xl a-vision-lora-chat-instruct Chat-model lora-x ---a---b--- - -- a--7B
_ .hidden ..a a.b.c foo+bar foo_bar-7B foo@v2 don't-7b héllo-ïnstruct-7b naïve-model-1B ÉTÉ-été-2b 模型-7B-聊天 ß-model-1b
ﬁne-tune-2b ǆungla-1b ქართული-1b 7B-模型 a-٧B b-٣x٧b c-v٢ d-²B e-7K f-1ſmall g-ſmall h-mını i-vısıon j-İter3 ıter4 k-ıq4_ß l-q4_٣é
Ⅷ-1b ªb-1b ⓐ-1b ʰx-1b ́a-1b 1-a-2-b v1-v2-a v1-v2 a-v1-b-v2 a-b-v1-v2-c-7b Iter-5 iterx5 v1.2. v.1 1.2.3 .1 foo-0.5B foo-00B foo-999T
foo-1000000B foo-7B-Instruct-7B-Chat Foo-Bar-v0.1-alpha2-8B-3e foo-tHiS-iS vV1-x fOo-v10beta abc1-7b LLM-jp-3-1.8b
""".split() + [
    "my model 7B", " lead", "trail ", "a  b-c", "a\u00a0b-7B", "x\u3000y-1b", "a\x1fb-1b", "two words-v1.0 instruct", "tab\there-3b",
    "a\nb", "v1\n", "x-7b\n", "line\u2028sep-7B", "a\\b-7B", "{ftype}-7B", "%s-7B", "\"q\"-7B", "é" * 60 + "-7B", "9" * 200 + "B",
    "a-" + "9" * 200 + "B", "-".join(["x"] * 100),
]

# A plain scalar each: the value of a text key, of a list item, and of a sampling key if JSON allows it.
SCALARS = r"""
no yes No YES on Off true FALSE y n nO ~ null Null nULL 0 1 -1 +7 007 08 0b11 0b_ 0x1F 0x_ 0o17 1_000 1__0 _1 1:30 1:60 1:2:3 -1:30
0.0 -0.0 1.0 1. .5 -.5 1.5e3 1.5e+3 1e5 1.5E-3 1_0.2_5 1:30.5 .inf -.INF +.Inf .nan .NaN . .. 1.2.3 3.4e+38 3.5e+38 1.0e+400
2147483647 2147483648 -2147483648 -2147483649 99999999999999999999999999999999999999999999
2024-01-01 2024-1-1 2024-02-30 2024-13-01 0000-01-01 2024-01-01T10:00:00Z 2024-01-01t1:02:03.5+01:30 2024-01-01T24:00:00Z
= << <<x =x 'no' "1" '' "" "\u00e9\x41\n\t\"\\\/\_" "\d" 'it''s' !!str.no !!int."12" !!int.x !!float.1 !!bool.yes !!bool.x !!null.x !foo.x !.12 !!timestamp.x
&a.x *a @x `x %x |x >x ?x -x :x x:y x# x.#y # a,b a[b] {a [a] [] {} {a:.1} a.b a.:.b http://x.y/z=1#f é 日本 😀 "😀" '&' & * - : , ] } ' "
""".split()
SCALARS = [s.replace(".", " ") if s[0] in "!&" or s in ("x.#y", "{a:.1}", "a.:.b") else s for s in SCALARS]

CARDS = {
    "llama": "language:\n- en\n- de\nlicense: llama3.1\npipeline_tag: text-generation\ntags:\n- facebook\n- meta\n- pytorch\nextra_gated_prompt: >-\n  ### LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\n\n  Llama 3.1 Version Release Date: July 23, 2024\n\n   1. more: text\n\nextra_gated_fields:\n  First Name: text\n  Date of birth: date_picker\n  By clicking Submit below I accept: checkbox\nextra_gated_button_content: Submit\n",
    "qwen": "license: apache-2.0\nlicense_link: https://huggingface.co/Qwen/Qwen2.5-0.5B-Instruct/blob/main/LICENSE\nlanguage:\n- en\npipeline_tag: text-generation\nbase_model: Qwen/Qwen2.5-0.5B\ntags:\n- chat\nlibrary_name: transformers\n",
    "phi": "license: mit\nlicense_link: https://huggingface.co/microsoft/Phi-3-mini-4k-instruct/resolve/main/LICENSE\n\nlanguage:\n- en\n- fr\npipeline_tag: text-generation\ntags:\n- nlp\n- code\ninference:\n  parameters:\n    temperature: 0\nwidget:\n  - messages:\n      - role: user\n        content: Can you provide ways to eat combinations of bananas and dragonfruits?\n",
    "mixtral": "library_name: vllm\nlanguage:\n- fr\n- it\n- de\n- es\n- en\nlicense: apache-2.0\nbase_model: mistralai/Mixtral-8x7B-v0.1\ninference: false\nwidget:\n- messages:\n  - role: user\n    content: What is your favorite condiment?\nextra_gated_description: >-\n  If you want to learn more about how we process your personal data, please read\n  our <a href=\"https://mistral.ai/terms/\">Privacy Policy</a>.\ntags:\n- mistral-common\n",
    "thebloke": "base_model: mistralai/Mistral-7B-Instruct-v0.2\ninference: false\nlicense: apache-2.0\nmodel_creator: Mistral AI_\nmodel_name: Mistral 7B Instruct v0.2\nmodel_type: mistral\npipeline_tag: text-generation\nprompt_template: '<s>[INST] {prompt} [/INST]\n\n  '\nquantized_by: TheBloke\ntags:\n- finetuned\n",
    "merge": "base_model:\n- mistralai/Mistral-7B-v0.1\n- https://huggingface.co/teknium/OpenHermes-2.5-Mistral-7B\n- http://huggingface.co/a/b-v1\n- https://huggingface.co/a/b/c\n- https://example.com/huggingface.co/x\n- https://huggingfaceXco/a/b\n- ssh://git@x/y\n- just-a-name-7B-v2\n- /abs/path-1b\n- ../rel/path\n- ./x\n- a sentence about org/x\n- org/with space\n- {name: N, author: A, version: v9, organization: O, description: D, url: U, doi: 10/x, uuid: u, repo_url: R, other: 1}\n- {}\n- {name: null}\n- 5\n- null\n- [x]\n- ''\n- org/\n- /\n- \"https://huggingface.co/a/b\\n\"\n",
    "datasets": "datasets:\n- HuggingFaceTB/smoltalk\n- https://huggingface.co/datasets/x\n- https://huggingface.co/org/set-v1.0\n- {name: S, version: '1'}\n- c4\ndataset: ignored/x\n",
    "dataset": "dataset: one/only-v2\n",
    "dataset_sources": "dataset_sources: [a/b, c]\n",
    "datasets_null": "datasets:\ndataset: a/b\n",
    "datasets_map": "datasets: {a: b}\nbase_model: 7\n",
    "base_models": "base_models: a/b-7B-v1\nbase_model_sources: [x/y]\n",
    "base_model_sources": "base_model_sources: [x/y]\n",
    "entry_bad_value": "base_model:\n- {name: 1.5}\n",
    "entry_number_zero": "base_model:\n- {name: 0, version: false}\n",
    "entry_bytes": "base_model:\n- {name: [72, 105]}\n",
    "all_fields": "".join(f"{k}: {k} value\n" for k in "name author version organization description finetune basename size_label url doi uuid repo_url license license_name license_link tags pipeline_tag languages language".split()),
    "model_fields": "".join(f"model_{k}: {k} value\n" for k in "name author creator type version organization description finetune basename size_label url doi uuid repo_url".split()),
    "both_fields": "model_name: second\nname: first\nmodel_creator: c\nmodel_author: a\nmodel_type: t\n",
    "null_then_model": "name:\nmodel_name: second\nauthor: ~\nmodel_creator: c\n",
    "empty_fields": "name: ''\nversion: ''\nbasename: ''\nfinetune: ''\nsize_label: ''\norganization: ''\n",
    "blank_fields": "name: '  a b/c  '\nversion: ' v 1 '\nfinetune: ' x y '\nsize_label: ' 7 B '\n",
    "basename_slash": "basename: ' org/base model '\n",
    "license_list": "license: [mit, apache-2.0]\n",
    "license_block_list": "license:\n- mit\n- other\nlicense_name: [a]\n",
    "license_list_bad": "license: [mit, 1]\n",
    "license_list_empty": "license: []\n",
    "license_map": "license: {a: b}\n",
    "license_dates": "license_link: 2024-01-01\n",
    "license_no": "license: no\n",
    "version_ints": "version: [49, 46, 48]\n",
    "version_ints_wide": "version: [256]\n",
    "version_bools": "version: [true, 1]\n",
    "size_zero": "size_label: 0\n",
    "size_false": "size_label: false\n",
    "size_float_zero": "size_label: -0.0\n",
    "size_list": "size_label: []\n",
    "size_map": "size_label: {}\n",
    "finetune_zero": "finetune: 0\n",
    "version_false": "version: false\n",
    "name_zero": "name: 0\n",
    "tags_none": "tags:\npipeline_tag: x\n",
    "tags_map": "tags: {a: b}\n",
    "tags_map_then": "tags: {a: b}\npipeline_tag: [p, q]\n",
    "tags_ints": "tags: [1, 2, -3]\n",
    "tags_floats": "tags: [1.5, -0.0, .inf, .nan]\n",
    "tags_bools": "tags: [yes, no]\n",
    "tags_mixed": "tags: [1, true]\n",
    "tags_mixed2": "tags: [a, 1]\n",
    "tags_mixed3": "tags: [1, 1.0]\n",
    "tags_null": "tags: [null]\n",
    "tags_a_null": "tags: [a, null]\n",
    "tags_maps": "tags: [{a: b}]\n",
    "tags_wide": "tags: [2147483648]\n",
    "tags_column_zero": "tags: [\n\"a\",\n'b',\nc\n]\nlicense: mit\n",
    "flow_map": "{license: mit, tags: [a, b,], \"name\":x, version: \"1\"}\n",
    "norway": "language:\n- no\n- en\n- nb\n",
    "norway_last": "language:\n- en\n- no",
    "norway_flow": "language: [no]\n",
    "norway_text": "description: |\n  yes - no\n  x\n",
    "tabs": "tags:\n\t- a\n\t- b\nname: a\tb\nauthor: \"a\tb\"\n",
    "quoted_lines": "description: \"one\ntwo\n\n three\\\n four\\n\"\nauthor: 'a\nb'\n",
    "plain_lines": "description: one\n two\n\n  three # comment\nname: x#y # z\n",
    "literal": "description: |\n  a\n   b\n\n  c\n\nname: x\n",
    "literal_keep": "description: |+\n  a\n\nname: >-\n  x\n  y\n\n  z\n",
    "literal_indent": "description: |2\n   a\n  b\nauthor: >1-\n  x\n y\n",
    "literal_end": "name: x\ndescription: |",
    "folded": "description: >\n  a\n  b\n\n    c\n    d\n\n  e\n",
    "duplicate": "name: a\nname: b\ntags: [x]\ntags: [y]\n",
    "duplicate_null": "name: a\nname:\n",
    "anchors": "name: &n Foo\nauthor: *n\ntags: &t [a, b]\nlanguage: *t\n",
    "anchor_twice": "name: &n a\nauthor: &n b\n",
    "anchor_missing": "name: *n\n",
    "anchor_number": "version: &v !!str 1.0\nfinetune: *v\n",
    "merge_key": "x: &x\n  name: merged\n  author: m\n<<: *x\nname: own\n",
    "merge_list": "x: &x {name: a, author: b}\ny: &y {name: c, version: v}\n<<: [*x, *y]\n",
    "merge_twice": "<<: {name: a, author: b}\n<<: {name: c}\n",
    "merge_quoted": "\"<<\": {name: a}\n",
    "merge_bad": "<<: 5\n",
    "merge_bad_list": "<<: [5]\n",
    "value_key": "=: x\nname: y\n",
    "odd_keys": "1: a\ntrue: b\n~: c\n2024-01-01: d\n1.5: e\nname: x\n",
    "list_key": "? [a]\n: b\n",
    "map_key": "{a: b}: c\n",
    "explicit_key": "? name\n: x\n? author\n",
    "tagged": "name: !!str 12\nversion: !!str 1.0\nauthor: !!null x\ntags: !!seq [a]\nx: !!map {a: b}\ny: !!set {a, b}\nz: !!omap [a: b]\nw: !!binary aGk=\n",
    "tagged_set": "version: !!set {a}\n",
    "tagged_unknown": "x: !foo bar\n",
    "tagged_python": "x: !!python/object/apply:os.system [\"true\"]\n",
    "tag_directive": "%TAG ! tag:yaml.org,2002:\n--- x\n",
    "not_a_map": "- a\n- b\n",
    "scalar_doc": "just text\n",
    "empty_doc": "",
    "only_comment": "# nothing\n",
    "null_doc": "~\n",
    "two_docs": "name: a\n--- \nname: b\n",
    "doc_end": "name: a\n...\n",
    "doc_end_more": "name: a\n...\nname: b\n",
    "bad_indent": "name: a\n author: b\n",
    "bad_colon": "name: a: b\n",
    "bad_bracket": "tags: [a, b\n",
    "bad_quote": "name: \"a\n",
    "bad_seq": "name: - a\n",
    "bad_tab_free": "name: x\n   - y\n",
    "bad_control": "name: a\x07b\n",
    "bad_c1": "name: a\u0080b\n",
    "bad_escape": "name: \"\\q\"\n",
    "bad_at": "name: @x\n",
    "bad_percent": "name: %x\n",
    "brace_text": "name: {{ x }}\n",
    "url_flow": "tags: [http://a.b/c, a:b, 'x: y', \"p\": q]\n",
    "colon_flow": "x: {a:b, c: d, \"e\":f, g}\n",
    "separators": "name: a\u2028author: b\u0085version: c\x0clicense: d\x1etags: e\n",
    "nel_in_quotes": "name: \"a\u0085b\"\n",
    "bom_inside": "name: \ufeffx\n",
    "non_ascii": "name: Модель 模型\nauthor: \"\\U0001F600\"\n",
    "long_key": "k" * 1100 + ": v\n",
    "nested": "model-index:\n- name: SFR\n  results:\n  - task:\n      type: Classification\n    dataset:\n      type: mteb/amazon\n      name: MTEB AmazonCounterfactual (en)\n      config: en\n      revision: e8379541af4e31359cca9fbcf4b00f2671dba205\n    metrics:\n    - type: accuracy\n      value: 77.92537313432835\n    - {type: ap, value: 40.9}\nname: kept\n",
    "deep": "a: " + "[" * 100 + "]" * 100 + "\nname: x\n",
    "indentless": "tags:\n- a\n-   b\n- - c\n",
    "comments": "# first\nname: x # c\n\n# mid\ntags: # why\n  # inside\n  - a # b\n  - 'c # d'\n",
    "spaces": "  name: x\n  author: y\n",
    "crlf_value": "name: x\r\nauthor: y\r",
    "template_mess": "license: {license}\nname: \"{ftype}\"\n",
    "hostile_name": "basename: ../../x\nfinetune: a/../../b\n",
    "hostile_size": "size_label: a/b\n",
    "hostile_nul": "basename: \"a\\0b\"\n",
}

JSON = r"""
{} [] null false 0 "" "x" [1] 7 {"a":1,} {"a" {'a':1} nope NaN {"x":NaN} {"x":[1e999,-Infinity]} {"x":"\ud800"} {"x":01} {"x":1.} {"x":"\x41"} {"a":1}x
""".split() + ["", " ", "{\"x\":\"a\tb\"}", "\ufeff{}", "[" * 2000 + "]" * 2000, '{"x":' + "1" * 4301 + "}", '{"x":' + "1" * 4300 + "}", "// c\n{}"]

GENERATION = [
    '{"top_k": 50, "top_p": 0.95, "temperature": 0.6, "repetition_penalty": 1.05, "do_sample": true}',
    '{"sequence": "kdt", "min_p": 0.05, "xtc_probability": 0.1, "xtc_threshold": 0.2, "penalty_last_n": 64, "penalty_repeat": 1.1, "repetition_penalty": 2, "mirostat": 2, "mirostat_tau": 5, "mirostat_eta": 0.1}',
    '{"penalty_repeat": null, "repetition_penalty": 1.5}', '{"temperature": 1, "top_p": true, "top_k": true}', '{"temperature": null}',
    '{"top_k": 50.0}', '{"top_k": "50"}', '{"top_k": 2147483647}', '{"top_k": 2147483648}', '{"top_k": -2147483648}', '{"top_k": []}',
    '{"temperature": "0.7"}', '{"temperature": []}', '{"temperature": NaN}', '{"temperature": -NaN}', '{"temperature": Infinity}', '{"temperature": -Infinity}',
    '{"temperature": 3.4028235677973366e38}', '{"temperature": 3.4028235677973362e38}', '{"temperature": 1e39}', '{"temperature": 1e999}', '{"temperature": -0.0}', '{"temperature": 1e-46}', '{"temperature": 16777217}',
    '{"temperature": 99999999999999999999999999999999999999999999999999}', '{"temperature": 123456789012345678901234567890}', '{"top_k": false}',
    '{"sequence": ""}', '{"sequence": 5}', '{"sequence": [1, 2, 255]}', '{"sequence": [256]}', '{"sequence": {}}', '{"sequence": {"a": 1}}', '{"sequence": [1.0]}',
    '{"top_k": 1, "top_k": 2}', '{"sequence": "\\ud83d\\ude00"}', '{"sequence": "\\ud83d"}',
]

OVERRIDE = [
    '{"general.name": "N", "general.author": "A", "general.version": "V", "general.license": "ignored", "general.license.name": "LN", "general.license.link": "LL", "general.url": "U", "general.doi": "D", "general.uuid": "I", "general.repo_url": "R", "general.source.url": "SU", "general.source.doi": "SD", "general.source.uuid": "SI", "general.source.repo_url": "SR", "general.quantized_by": "Q", "general.description": "DE", "general.organization": "O", "general.finetune": "F", "general.basename": "B", "general.size_label": "S", "general.tags": ["t"], "general.languages": ["l"]}',
    '{"general.sampling.sequence": "s", "general.sampling.top_k": 1, "general.sampling.top_p": 0.5, "general.sampling.min_p": 0, "general.sampling.xtc_probability": 0.25, "general.sampling.xtc_threshold": 0.1, "general.sampling.temp": 2, "general.sampling.penalty_last_n": -1, "general.sampling.penalty_repeat": 1, "general.sampling.mirostat": 0, "general.sampling.mirostat_tau": 1, "general.sampling.mirostat_eta": 1}',
    '{"general.name": null}', '{"general.name": null, "general.size_label": null, "general.version": null, "general.tags": null}', '{"general.name": ""}', '{"general.name": 5}', '{"general.name": 0}', '{"general.author": true}', '{"general.author": false}', '{"general.version": 1.0}', '{"general.version": [65]}',
    '{"name": "no"}', '{"general.type": "x", "general.architecture": "y"}',
    '{"general.base_models": [{"name": "n", "author": "a", "version": "v", "organization": "o", "description": "d", "url": "u", "doi": "x", "uuid": "i", "repo_url": "r", "zzz": 1}, {}]}',
    '{"general.base_models": []}', '{"general.base_models": "abc"}', '{"general.base_models": {"a": 1, "b": 2}}', '{"general.base_models": {"name": 1}}', '{"general.base_models": ["x", "y"]}', '{"general.base_models": ["my name"]}', '{"general.base_models": [[]]}', '{"general.base_models": [["x"]]}', '{"general.base_models": [["url"]]}', '{"general.base_models": [1]}', '{"general.base_models": [null]}', '{"general.base_models": 1}', '{"general.base_models": 0}', '{"general.base_models": ""}', '{"general.base_models": false}',
    '{"general.base_models": [{"name": 1}]}', '{"general.base_models": [{"name": ""}]}', '{"general.base_model.count": 3}',
    '{"general.datasets": [{"name": "n", "repo_url": "r"}, {"url": "u", "name": "m"}]}', '{"general.datasets": "xy"}', '{"general.datasets": [true]}',
    '{"general.tags": "abc"}', '{"general.tags": ""}', '{"general.tags": {}}', '{"general.tags": {"a": 1}}', '{"general.tags": 1}', '{"general.tags": 0}', '{"general.tags": false}', '{"general.tags": []}', '{"general.tags": [1, 2]}', '{"general.tags": [1.5, NaN, 1e999]}', '{"general.tags": [1e39]}', '{"general.tags": [true]}', '{"general.tags": [true, 1]}', '{"general.tags": [null]}', '{"general.tags": [{}]}', '{"general.tags": ["a", 1]}', '{"general.tags": ["é", "", "\\u0000"]}', '{"general.languages": ["\\ud800"]}', '{"\\ud800": 1, "general.name": "x"}',
    '{"general.name": "a", "general.name": "b"}',
]

CONFIG = ['"meta-llama/Llama-2-7b-hf"', '"./models/x-7B"', '"../x-7B-v2"', '"/home/me/x"', '"/x-7B"', '"x/y/z"', '"org/Name-7B-Instruct-v2"', '""', '"/"', '"a b/c"', "null", "5", "false", "{}", "[]", '["x"]',
          '"\\ud800"', '"bloom-7b1"', '"openai-community/gpt2"', '"."', '".."', '"a/"', '"Mistral-7B/"']

PARAMS = [0, 1, 500, 999, 1000, 9499, 9500, 10499, 99999, 999_499, 999_999, 1_000_000, 1_000_001, 1_049_999, 1_050_000, 1_450_000, 2_500_000, 9_499_999, 9_500_000, 9_949_999,
          9_950_000, 10_500_000, 11_500_000, 99_500_000, 134_515_008, 494_032_768, 999_999_999, 1_000_000_000, 1_000_000_001, 1_150_000_000, 1_235_814_400, 1_250_000_000, 1_350_000_000, 1_543_714_304,
          2_450_000_000, 3_212_749_824, 7_241_732_096, 8_030_261_248, 9_499_999_999, 9_500_000_000, 9_500_000_001, 70_553_706_496, 671_026_419_200, 999_999_999_999, 1_000_000_000_000,
          1_000_000_000_001, 1_026_000_000_000, 10_500_000_000_000, 9_007_199_254_740_993, 1_234_567_890_123_456_789]

TEMPLATES = ["plain.gguf", "m-{ftype}.gguf", "m-{FTYPE}.gguf", "{outtype}-{OUTTYPE}", "{}", "{}-{}", "{0}-{0}", "{0}{}", "{}{0}", "{1}", "{{x}}", "{{{ftype}}}", "{", "}", "{ftype", "ftype}", "{foo}", "{{", "}}", "}{", "{ }", "", "a}}b{{c", "{Ftype}", "{{}", "{}}", "é{ftype}é"]


# Cards of which only one of PyYAML and libyaml, its C sibling, makes something. Here libyaml's way was taken.
DEVIATIONS = [
    "tags: [what?]\n",
    "tags: [http://x.y/z?q=1, b]\n",
    "x: [?, b]\n",
    "x: [!, b]\n",
    "x: \"\\ud800\"\n",
    "x: [!!null, b]\n",
]


def front(card):
    return "---\n" + card + "\n---\n# Title\n\n---\nnot: yaml: here\n" if not card.endswith("\n") else "---\n" + card + "---\n# Title\n\n---\nnot: yaml: here\n"


def cases():
    for name in NAMES:
        yield {"dir": name}
        yield {"dir": name, "params": [8_030_261_248, 8_030_261_248, 0, 0]}
    for name, card in CARDS.items():
        yield {"dir": "Foo-7B-Instruct-v0.1", "card": front(card), "what": name}
    for name in ("qwen", "all_fields", "model_fields", "merge", "datasets", "empty_fields", "blank_fields", "thebloke"):
        yield {"dir": "some.model", "card": front(CARDS[name]), "params": [7_241_732_096, 7_241_732_096, 0, 0]}
        yield {"dir": "Foo-7B-Instruct-v0.1", "card": front(CARDS[name]), "override": OVERRIDE[0], "generation": GENERATION[0],
               "config": '{"_name_or_path": "o/Bar-3B-v9"}', "model_name": "Given Name"}
        yield {"dir": "Foo-7B-Instruct-v0.1", "card": front(CARDS[name]), "override": OVERRIDE[3]}
    for scalar in SCALARS:
        yield {"dir": "m", "card": front(f"version: {scalar}\n")}
        yield {"dir": "m", "card": front(f"tags:\n- {scalar}\n")}
        yield {"dir": "m", "card": front(f"x: [{scalar}, b]\nname: y\n")}
    for card in DEVIATIONS:
        yield {"dir": "m", "card": front(card), "deviates": True}
    for card in ["", "\n", "---", "---\n", "---\n---\n", "---\n---", "# T\n---\nname: x\n---\n", " ---\nname: x\n---\n", "--- \nname: x\n---\n", "---\nname: x\n--- \n", "---\nname: x\n", "---\nname: x",
                 "---\r\nname: x\r\n---\r\nbody: [\r\n", "---\rname: x\r---\rbody: [\r", "\ufeff---\nname: x\n---\n", "---\u2028name: x\u2028---\u2028body: [", "---\x0bname: x\x0c---\x1cbody: [",
                 "\n---\nname: x\n---\n", "----\nname: x\n----\n", "---\nname: x\n ---\nauthor: y\n---\n", "---\nname: x\n...\n---\nbody: [\n"]:
        yield {"dir": "m", "card": card}
    for hex_card in ["2d2d2d0a6e616d653a20ff0a2d2d2d0a", "2d2d2d0a6e616d653a20780a2d2d2d0a626f647920ff", "6e6f2066726f6e74206d617474657220c3", "2d2d2d0a6e616d653a20eda0800a2d2d2d0a"]:
        yield {"dir": "m", "card_hex": hex_card}
    for text in JSON:
        for file in ("config", "generation", "override"):
            yield {"dir": "m", file: text}
    for file in ("config", "generation", "override"):
        yield {"dir": "m", file + "_hex": "7b2261223a22ff227d"}
    for text in GENERATION:
        yield {"dir": "m", "generation": text}
    for text in OVERRIDE:
        yield {"dir": "Foo-7B-v1", "override": text}
    yield {"dir": "Foo-7B-v1", "override": '{"general.name": null, "general.size_label": null}', "params": [7_241_732_096, 7_241_732_096, 0, 0]}
    yield {"dir": "m", "override": '{"general.sampling.top_k": null, "general.sampling.temp": 1}', "generation": GENERATION[0]}
    yield {"dir": "m", "override": '{"general.version": "1"}', "card": front("version: 1.0\n")}
    for text in CONFIG:
        yield {"dir": "m", "config": '{"model_type": "llama", "_name_or_path": ' + text + "}"}
        yield {"dir": "Foo-7B-Instruct", "config": '{"_name_or_path": ' + text + "}", "card": front("name: x\n"), "params": [7_000_000_000, 7_000_000_000, 0, 0]}
    for name in ["", "X Y", "a/b", "é", "Foo-7B"]:
        yield {"dir": "Foo-7B-v1", "model_name": name}
    for total in PARAMS:
        yield {"dir": "m", "params": [total, total, 0, 0]}
        yield {"dir": "m", "params": [total, total // 3, total // 8, 8]}
        for name in ("x-7B", "x-1.5b", "x-128k", "x-8x7B", "x-270m", "x-1T", "x-7b1"):
            yield {"dir": name, "params": [total, total, 0, 0]}
    # It gets the name that the directory has (docs/compatibility.md).
    yield {"dir": "Foo-7B/sub/..", "card": front("author: a\n"), "deviates": True}
    for path in ["Foo-7B/.", "Foo-7B/", "Foo-7B//", "Foo-7B/./", "a/Foo-7B", "Foo-7B/../Foo-7B"]:
        yield {"dir": path, "card": front("author: a\n")}


def value(packed):
    """A packed value, type and all, as [type name, readable value]."""
    kind = gguf.GGUFValueType(struct.unpack_from("<I", packed)[0])
    payload = packed[4:]

    def one(kind, at):
        if kind == gguf.GGUFValueType.STRING:
            (length,) = struct.unpack_from("<Q", payload, at)
            return payload[at + 8:at + 8 + length].hex(), at + 8 + length
        fmt = {"INT32": "<i", "UINT32": "<I", "FLOAT32": "<I", "BOOL": "<?"}[kind.name]  # floats as their bits
        return struct.unpack_from(fmt, payload, at)[0], at + struct.calcsize(fmt)

    def readable(kind, v):
        if kind != gguf.GGUFValueType.STRING:
            return v
        try:
            return bytes.fromhex(v).decode()
        except UnicodeDecodeError:
            return {"hex": v}

    if kind != gguf.GGUFValueType.ARRAY:
        return [kind.name, readable(kind, one(kind, 0)[0])]
    item, count = struct.unpack_from("<IQ", payload)
    item, at, items = gguf.GGUFValueType(item), 12, []
    for _ in range(count):
        v, at = one(item, at)
        items.append(readable(item, v))
    return [item.name + "S", items]


def attempt(action):
    try:
        return action()
    except Exception as e:
        return {"raised": type(e).__name__}


def run(case, root):
    model = Path(f"{root}/{case['dir']}")
    model.mkdir(parents=True, exist_ok=True)
    override = None
    for file, path in {"card": model / "README.md", "config": model / "config.json", "generation": model / "generation_config.json", "override": root / "override.json"}.items():
        content = case[file].encode() if file in case else bytes.fromhex(case[file + "_hex"]) if file + "_hex" in case else None
        if content is not None:
            path.write_bytes(content)
            override = path if file == "override" else override
    total, shared, expert, experts = case.get("params", [0, 0, 0, 0])

    def load():
        metadata = gguf.Metadata.load(override, model, case.get("model_name"), total)
        if metadata.name is None:
            metadata.name = model.name
        if metadata.size_label is None and total > 0:
            metadata.size_label = gguf.size_label(total, shared, expert, experts)
        return metadata

    metadata = attempt(load)
    if isinstance(metadata, dict):
        return {"kv": metadata, "file": metadata, "vocab_file": metadata}

    def key_values():
        writer = gguf.GGUFWriter(None, "llama")
        writer.kv_data[0].clear()
        metadata.set_gguf_meta_model(writer)
        packed = [(k, writer._pack_val(v.value, v.type, add_vtype=True)) for k, v in writer.kv_data[0].items()]
        for k, _ in packed:
            k.encode()
        return [[k, *value(p)] for k, p in packed]

    def file_name(size, output_type, kind):
        name = gguf.naming_convention(metadata.name, metadata.basename, metadata.finetune, metadata.version, size, output_type, model_type=kind)
        return f"{name}.gguf".encode().decode()

    return {
        "kv": attempt(key_values),
        "file": attempt(lambda: file_name(metadata.size_label, "BF16", None)),
        "vocab_file": attempt(lambda: file_name(None, None, "vocab")),
    }


results = []
for case in cases():
    with tempfile.TemporaryDirectory() as root:
        results.append(case | run(case, Path(root)))
templates = [[t, attempt(lambda: gguf.fill_templated_filename(t, "Q8_0"))] for t in TEMPLATES]
lines = ",\n".join(json.dumps(r) for r in results)
output.write_text('{"templates": ' + json.dumps(templates) + ',\n"cases": [\n' + lines + "\n]}\n")
raised = sum(isinstance(r["kv"], dict) for r in results)
print(f"{len(results)} cases, of which the reference refuses {raised}: {output}")
