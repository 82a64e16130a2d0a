"""Cases of vocab.py for vocabulary routes, each with the reference's model class that takes it.

`set_vocab` of the class is run on a model directory without the rest of a conversion, so that a route can be checked
before any family takes it.
"""

import importlib
from pathlib import Path

# Names as in tests/golden/routes.rs.
ROUTES = {
    "llama": ("llama", "LlamaModel"),
    "mistral": ("llama", "LlamaModel"),
    "gpt2": ("gpt2", "GPT2Model"),
    "sentencepiece": ("baichuan", "BaichuanModel"),
    "stablelm": ("stablelm", "StableLMModel"),
    "gemma": ("gemma", "GemmaModel"),
    "gemma2": ("gemma", "Gemma2Model"),
    "gemma3": ("gemma", "Gemma3Model"),
    "gemma3n": ("gemma", "Gemma3NModel"),
    "gemma4": ("gemma", "Gemma4Model"),
    "phi3": ("phi", "Phi3MiniModel"),
    "nemotron": ("nemotron", "NemotronModel"),
    "nemotron-h": ("nemotron", "NemotronHModel"),
    "deepseek2": ("deepseek", "DeepseekV2Model"),
    "glm4": ("glm", "Glm4Model"),
    "glm4-moe": ("glm", "Glm4MoeModel"),
    "chatglm": ("chatglm", "ChatGLMModel"),
    "internlm2": ("internlm", "InternLM2Model"),
    "internlm3": ("internlm", "InternLM3Model"),
    "jamba": ("jamba", "JambaModel"),
    "mamba": ("mamba", "MambaModel"),
    "mamba2": ("mamba", "Mamba2Model"),
    "bert": ("bert", "BertModel"),
    "roberta": ("bert", "RobertaModel"),
    "xlm-roberta": ("bert", "XLMRobertaModel"),
    "nomic-bert": ("bert", "NomicBertModel"),
    "jina-bert-v2": ("bert", "JinaBertV2Model"),
    "modern-bert": ("bert", "ModernBertModel"),
    "euro-bert": ("bert", "EuroBertModel"),
    "t5": ("t5", "T5Model"),
}


def convert(route: str, dir: Path, out: Path) -> None:
    """Writes the vocabulary as the reference's class does."""
    import gguf
    from conversion.base import ModelBase

    module, name = ROUTES[route]
    cls = getattr(importlib.import_module(f"conversion.{module}"), name)
    model = object.__new__(cls)
    model.dir_model = dir
    model.hparams = ModelBase.load_hparams(dir, False)
    model.gguf_writer = gguf.GGUFWriter(None, "llama")
    model.origin_hf_arch = None
    model.is_mistral_format = route == "mistral"
    model.disable_mistral_community_chat_template = False
    if route == "nomic-bert":
        model._tokenizer_is_xlmroberta = model._is_tokenizer_xlmroberta()
        if model.hparams.get("moe_every_n_layers"):
            model.model_arch = gguf.MODEL_ARCH.NOMIC_BERT_MOE
    model.set_vocab()
    model.gguf_writer.write_header_to_file(path=out)
    model.gguf_writer.write_kv_data_to_file()
    model.gguf_writer.close()


def model_type(name: str) -> dict:
    return {"/model_type": name, "/architectures": ["X"]}


def add(case, token, template) -> None:
    spm, hf, gpt2, qwen2, smol = "spm", "llama-hf", "gpt2-trimmed", "qwen2-trimmed", "smollm-trimmed"
    bert, tekken, unigram, xlmr = "wordpiece", "tekken", "t5", "xlm-roberta"
    tc = "tokenizer_config.json"
    special = lambda **ids: {f"/{k}_token_id": v for k, v in ids.items()}  # noqa: E731

    # WordPiece.
    for route in ("bert", "jina-bert-v2", "nomic-bert"):
        case(bert, "as it is", route=route)
    case(bert, "no type_vocab_size, no vocab_size", "config.json#/vocab_size", "config.json#/type_vocab_size", c=model_type("x"), route="bert")
    case(bert, "type_vocab_size", c={"/type_vocab_size": 3}, route="bert")
    case(bert, "type_vocab_size text", c={"/type_vocab_size": "2"}, route="bert")
    case(bert, "vocab_size bigger", c={"/vocab_size": 30528}, route="bert")
    case(bert, "vocab_size smaller", c={"/vocab_size": 30000}, route="bert")
    case(bert, "cased", tc={"/do_lower_case": False}, route="bert")
    case(bert, "strips accents", tc={"/strip_accents": True, "/do_lower_case": False}, route="bert")
    case(bert, "keeps Chinese words", tc={"/tokenize_chinese_chars": False}, route="bert")
    case(bert, "do_lower_case text", tc={"/do_lower_case": "yes"}, route="bert")
    case(bert, "normalizer of tokenizer.json", t={"/normalizer": {"type": "Lowercase"}}, route="bert")
    case(bert, "DistilBert", c=model_type("distilbert"), tc={"/tokenizer_class": "DistilBertTokenizer"}, route="bert")
    case(bert, "Fast", tc={"/tokenizer_class": "BertTokenizerFast"}, route="bert")
    case(bert, "no class", f"{tc}#/tokenizer_class", route="bert")
    case(bert, "backend", tc={"/tokenizer_class": "PreTrainedTokenizerFast"}, route="bert")
    case(bert, "no tokenizer_config", tc, route="bert")
    case(bert, "other class", tc={"/tokenizer_class": "AlbertTokenizer"}, route="bert", unsupported=True)
    case(bert, "BPE class", tc={"/tokenizer_class": "GPT2Tokenizer"}, route="bert", unsupported=True)
    case(bert, "other tokens", tc={"/cls_token": "[MASK]", "/sep_token": "[PAD]"}, route="bert")
    case(bert, "tokens with flags", tc={"/cls_token": {"__type": "AddedToken", **token("[CLS]", lstrip=True)}}, route="bert")
    case(bert, "added tokens", t={"/added_tokens/-": {"id": 30522, **token("##new", special=False)}}, c={"/vocab_size": 30530}, route="bert")
    case(bert, "added special", t={"/added_tokens/-": {"id": 30522, **token("<new>")}}, tc={"/additional_special_tokens": ["<extra>"]}, c={"/vocab_size": 30530}, route="bert")
    case(bert, "ids of config", c=special(bos=101, eos=102, cls=101, sep=102, pad=0, mask=103), route="bert")
    case(bert, "chat template", tc={"/chat_template": "T"}, route="bert")
    case(bert, "nomic, BPE", t={"/model/type": "BPE"}, route="nomic-bert")
    case(bert, "jina, other class", tc={"/tokenizer_class": "BertTokenizerFast"}, route="jina-bert-v2")

    # BPE of encoders.
    case(gpt2, "RobertaTokenizer", c={**model_type("roberta"), "/vocab_size": 50260, "/type_vocab_size": 1}, tc={"/tokenizer_class": "RobertaTokenizer"}, route="roberta")
    case(gpt2, "no class", f"{tc}#/tokenizer_class", c={**model_type("roberta"), "/vocab_size": 50260, "/type_vocab_size": 1}, route="roberta")
    case(gpt2, "GPT2Tokenizer", c={**model_type("roberta"), "/type_vocab_size": 1}, route="roberta")
    case(gpt2, "no tokenizer.json", "tokenizer.json", c=model_type("roberta"), route="roberta", unsupported=True)
    case(gpt2, "RobertaTokenizer", c={**model_type("x"), "/vocab_size": 50260}, tc={"/tokenizer_class": "RobertaTokenizer"}, route="jina-bert-v2")
    case(gpt2, "Whitespace", c={**model_type("x"), "/vocab_size": 50260}, t={"/pre_tokenizer": {"type": "Whitespace"}}, tc={"/tokenizer_class": "RobertaTokenizer"}, route="jina-bert-v2")
    case(gpt2, "as it is", c=model_type("modernbert"), route="modern-bert")
    case(gpt2, "with a template", c=model_type("modernbert"), t={"/post_processor": template(["<|endoftext|>", "$A"], tokens={"<|endoftext|>": 50256})}, route="modern-bert")
    case(smol, "as it is", c=model_type("eurobert"), route="euro-bert")

    # Unigram.
    for route in ("t5",):
        case(unigram, "as it is", route=route)
        case(unigram, "no vocab_size", "config.json#/vocab_size", c=model_type("x"), route=route)
        case(unigram, "vocab_size smaller", c={"/vocab_size": 299}, route=route)
        case(unigram, "added_tokens.json", files={"added_tokens.json": {"<a>": 3, "<b>": 305, "<beyond>": 320}}, route=route)
        case(unigram, "added_tokens.json of texts", files={"added_tokens.json": {"<a>": "3"}}, route=route)
        case(unigram, "decoder is ignored", tc={"/added_tokens_decoder": {"4": token("<new>")}}, route=route)
        case(unigram, "ids of config", c=special(eos=2, pad=0, decoder_start=0, bos=400), route=route)
        case(unigram, "no model", "spiece.model", route=route)
        case(unigram, "broken", files={"spiece.model": "x"}, route=route)
        case(unigram, "tokenizer.model counts more", files={"tokenizer.model": "x"}, route=route)
    case(spm, "BPE", route="t5")
    case(unigram, "xlm-roberta without its file", route="xlm-roberta")

    case(xlmr, "as it is", route="xlm-roberta")
    case("xlm-roberta-model", "model", route="xlm-roberta")
    case("xlm-roberta-model", "model, vocab_size bigger", c={"/vocab_size": 310}, route="xlm-roberta")
    case("xlm-roberta-model", "model, vocab_size absent", "config.json#/vocab_size", c=model_type("x"), route="xlm-roberta")
    case("xlm-roberta-model", "model broken", files={"sentencepiece.bpe.model": "x"}, route="xlm-roberta")
    case(spm, "BPE", files={"sentencepiece.bpe.model": ""}, route="xlm-roberta")
    case(xlmr, "nomic", c=model_type("nomic_bert"), route="nomic-bert")
    case(xlmr, "no vocab_size", "config.json#/vocab_size", c=model_type("x"), route="xlm-roberta")
    case(xlmr, "vocab_size smaller", c={"/vocab_size": 17}, route="xlm-roberta")
    case(xlmr, "type_vocab_size", c={"/type_vocab_size": 2}, route="xlm-roberta")
    for clean_up in (True, False):
        case(xlmr, f"clean_up {clean_up}", tc={"/clean_up_tokenization_spaces": clean_up}, route="xlm-roberta")
    case(xlmr, "no prefix", tc={"/add_prefix_space": False}, route="xlm-roberta")
    case(xlmr, "backend", tc={"/tokenizer_class": "PreTrainedTokenizerFast"}, c=model_type("x"), route="xlm-roberta")
    case(xlmr, "backend with prefix", tc={"/tokenizer_class": "PreTrainedTokenizerFast", "/add_prefix_space": True}, c=model_type("x"), route="xlm-roberta")
    case(xlmr, "no tokenizer_config", tc, route="xlm-roberta")
    case(xlmr, "unk_token absent", f"{tc}#/unk_token", route="xlm-roberta")
    case(xlmr, "unk_token other", tc={"/unk_token": "<pad>"}, route="xlm-roberta")
    case(xlmr, "unk_token object", tc={"/unk_token": {"__type": "AddedToken", **token("<unk>")}}, route="xlm-roberta")
    case(xlmr, "unk_id absent", "tokenizer.json#/model/unk_id", f"{tc}#/unk_token", route="xlm-roberta")
    case(xlmr, "charsmap absent", "tokenizer.json#/normalizer/precompiled_charsmap", route="xlm-roberta")
    case(xlmr, "charsmap broken", t={"/normalizer/precompiled_charsmap": "????"}, route="xlm-roberta")
    case(xlmr, "charsmap empty", t={"/normalizer/precompiled_charsmap": ""}, route="xlm-roberta")
    case(xlmr, "normalizer null", t={"/normalizer": None}, route="xlm-roberta")
    case(xlmr, "normalizers", t={"/normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]}}, route="xlm-roberta")
    case(xlmr, "added user-defined", t={"/added_tokens/-": {"id": 10, **token("▁of", special=False)}}, route="xlm-roberta")
    case(xlmr, "added in the middle", t={"/model/vocab/20": ["<here>", -3.5], "/added_tokens/-": {"id": 20, **token("<here>", special=False)}}, route="xlm-roberta")
    case(xlmr, "added behind", t={"/added_tokens/-": {"id": 302, **token("<behind>", special=False)}}, route="xlm-roberta")
    case(xlmr, "decoder", tc={"/added_tokens_decoder": {"30": token("<new>", special=False)}}, route="xlm-roberta")
    case(xlmr, "score text", t={"/model/vocab/20": ["<here>", "-3"]}, route="xlm-roberta")

    # tekken.
    for route in ("llama", "mistral"):
        case(tekken, "as it is", route=route)
    case(tekken, "own template", files={"chat_template.jinja": "a\r\nb"}, route="mistral")
    case(tekken, "own template ignored", files={"chat_template.jinja": "a\r\nb"}, route="llama")
    for version in ("v1", "v2", "v3", "v7", "v11", "v13", "v15", "v4", "3", ""):
        case(tekken, f"version {version}", files={}, route="llama", tk={"/config/version": version})
    texts = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
             "[TOOL_CALLS]", "[PREFIX]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]", "[ARGS]", "[CALL_ID]", "<pad>"]
    special_tokens = [{"rank": i, "token_str": text, "is_control": True} for i, text in enumerate(texts)]
    for version in ("v1", "v3", "v11", "v13", "v15"):
        case(tekken, f"special tokens listed, {version}", tk={"/special_tokens": special_tokens, "/config/version": version}, route="llama")
    for missing in ("[PREFIX]", "[TOOL_CONTENT]", "[CALL_ID]", "<pad>", "</s>"):
        without = [{**token, "token_str": "[X]" if token["token_str"] == missing else token["token_str"]} for token in special_tokens]
        for version in ("v3", "v7", "v13"):
            case(tekken, f"{missing} missing, {version}", tk={"/special_tokens": without, "/config/version": version}, route="llama")
    case(tekken, "special tokens twice", tk={"/special_tokens": special_tokens[:4] + special_tokens[:1]}, route="llama")
    case(tekken, "special token missing", tk={"/special_tokens": special_tokens[:3]}, route="llama")
    case(tekken, "special tokens too many", tk={"/config/default_num_special_tokens": 4, "/special_tokens": special_tokens}, route="llama")
    case(tekken, "more special tokens", tk={"/config/default_num_special_tokens": 30, "/config/default_vocab_size": 420}, route="llama")
    case(tekken, "vocabulary too big", tk={"/config/default_vocab_size": 421}, route="llama")
    case(tekken, "vocabulary just right", tk={"/config/default_vocab_size": 420}, route="llama")
    case(tekken, "vocabulary of bytes", tk={"/config/default_vocab_size": 276}, route="llama")
    case(tekken, "rank wrong", tk={"/vocab/300/rank": 301}, route="llama")
    case(tekken, "bytes wrong", tk={"/vocab/65/token_bytes": "QQ=="}, route="llama")
    case(tekken, "token twice", tk={"/vocab/300/token_bytes": "QUI=", "/vocab/301/token_bytes": "QUI="}, route="llama")
    case(tekken, "token that nothing makes up", tk={"/vocab/300/token_bytes": "QUJDREVG"}, route="llama")
    case(tekken, "vocab_size of CodeLlama", c={"/vocab_size": 32016}, route="llama")

    # SentencePiece.
    for route in ("sentencepiece", "gemma", "gemma2", "gemma3", "nemotron", "jamba", "mamba", "mamba2", "phi3"):
        case(spm, "spm", c={**model_type("x"), "/bos_token_id": 1}, route=route)
        if route in ("sentencepiece", "gemma", "gemma2", "nemotron", "phi3"):
            case(spm, "no model", "tokenizer.model", route=route)
    case(spm, "per layer", c={"/vocab_size_per_layer_input": 505}, route="gemma3")
    case(spm, "per layer", c={"/vocab_size_per_layer_input": 505}, route="gemma3n")
    case(spm, "chat template", tc={"/chat_template": "T", "/eot_token": "</s>"}, route="gemma")
    case(spm, "pad and unk", c=special(pad=5, unk=6), route="nemotron")
    case(spm, "multiple", c={"/vocab_size": 501, "/pad_vocab_size_multiple": 10}, route="mamba")
    case(spm, "multiple", c={"/vocab_size": 501, "/pad_vocab_size_multiple": 10}, route="mamba2")
    case(spm, "multiple 0", c={"/vocab_size": 501, "/pad_vocab_size_multiple": 0}, route="mamba2")
    case(spm, "default multiple", c={"/vocab_size": 501}, route="mamba2")
    case(spm, "no vocab_size", "config.json#/vocab_size", route="mamba2")
    case(spm, "codestral", "tokenizer.model", files={"tokenizer.model.v3": "x"}, route="mamba2")
    case(spm, "added beyond", files={"added_tokens.json": {"<x>": 600}}, tc={"/added_tokens_decoder": {"500": token("<y>")}}, route="phi3")
    case(spm, "decoder beyond", "added_tokens.json", tc={"/added_tokens_decoder": {"512": token("<y>")}}, route="phi3")
    decoder = {"3": token("<a>"), "500": token("<b>", special=False), "505": token("<|im_end|>")}
    listed = {"tokenizer.json": {"added_tokens": [{"id": 4, **token("<c>")}, {"id": 500, **token("<d>", special=False)}]}}
    for route in ("phi3", "internlm3"):
        case(spm, "decoder", tc={"/added_tokens_decoder": decoder}, c=special(eos=2), route=route)
    case(spm, "decoder and tokenizer.json", tc={"/added_tokens_decoder": decoder}, files=listed, route="phi3")
    case(spm, "vocab_size smaller", c={"/vocab_size": 400}, route="phi3")
    case(spm, "no class", f"{tc}#/tokenizer_class", route="phi3")
    case(spm, "no tokenizer_config", tc, route="phi3")
    decoder = {"3": token("<a>"), "400": token("<|im_end|>")}
    base = {"/vocab_size": 500, **special(eos=2)}
    case(spm, "spm", tc={"/added_tokens_decoder": decoder}, c=base, route="internlm2")
    case(spm, "no tokenizer_config", tc, c=base, route="internlm2")
    case(spm, "no eos", f"{tc}#/eos_token", tc={"/added_tokens_decoder": decoder}, c={"/vocab_size": 500}, route="internlm2")
    case(spm, "vocab_size smaller", "added_tokens.json", tc={"/added_tokens_decoder": decoder}, c={**base, "/vocab_size": 450}, route="internlm2")
    case(spm, "vocab_size bigger", tc={"/added_tokens_decoder": decoder}, c={**base, "/vocab_size": 501}, route="internlm2")
    case(spm, "decoder beyond", tc={"/added_tokens_decoder": {"505": token("<b>")}}, c=base, route="internlm2")
    case(spm, "tokenizer.json", tc={"/added_tokens_decoder": {}}, files={"tokenizer.json": {"added_tokens": [{"id": 7, **token("<|im_end|>")}]}}, c=base, route="internlm2")
    case(spm, "no eos", f"{tc}#/eos_token", route="internlm3")
    case(spm, "prefix", tc={"/add_prefix_space": False}, c=special(eos=2), route="internlm3")
    case(spm, "prefix null", c=special(eos=2), route="internlm3")
    case(spm, "prefix absent", f"{tc}#/add_prefix_space", c=special(eos=2), route="internlm3")

    # SentencePiece in tokenizer.json.
    for route in ("gemma4", "jamba"):
        case(hf, "as it is", route=route)
        case(hf, "no tokenizer.json", "tokenizer.json", route=route)
        case(gpt2, "byte level", route=route)
        for name, kind in (("GemmaTokenizer", "gemma3"), ("GemmaTokenizerFast", "x"), ("CodeLlamaTokenizer", "x")):
            case(hf, f"{name} {kind}", c={**model_type(kind), "/vocab_size": 490}, tc={"/tokenizer_class": name}, route=route, unsupported=name.startswith("Code"))
    visible = {"/added_tokens/-": {"id": 482, **token("<|tool_call>")}}
    case(hf, "tool calls", t=visible, tc={"/added_tokens_decoder/482": token("<|tool_call>")}, c={"/vocab_size": 483}, route="gemma4")
    case(hf, "Gemma", c={**model_type("gemma"), "/vocab_size": 490}, tc={"/tokenizer_class": "GemmaTokenizer"}, route="llama")

    # BPE.
    for name, kind in (("CohereTokenizer", "cohere"), ("CohereTokenizerFast", "x"), ("GPTNeoXTokenizer", "gpt_neox"), ("GPTNeoXTokenizerFast", "x"),
                       ("BloomTokenizerFast", "bloom"), ("GemmaTokenizer", "gemma"), ("Qwen3_5Tokenizer", "qwen3_5_text"), ("PreTrainedTokenizerFast", "olmo2"),
                       ("XLMRobertaTokenizer", "x"), ("BertTokenizer", "x")):
        case(gpt2, f"{name} {kind}", c={**model_type(kind), "/vocab_size": 50270}, tc={"/tokenizer_class": name}, route="gpt2", unsupported=name == "BertTokenizer")
    for kind in ("cohere2", "gpt_neox", "phi", "starcoder2", "olmo", "olmo2", "stablelm", "glm4_moe", "gpt_bigcode", "granite", "jamba", "phimoe", "nemotron", "qwen3_next", "qwen3_5", "falcon"):
        case(gpt2, f"no class, {kind}", f"{tc}#/tokenizer_class", c={**model_type(kind), "/vocab_size": 50270}, route="gpt2")
        case(gpt2, f"LlamaTokenizer, {kind}", c={**model_type(kind), "/vocab_size": 50270}, tc={"/tokenizer_class": "LlamaTokenizer"}, route="gpt2")
    case(gpt2, "Cohere with prefix", c={**model_type("cohere"), "/vocab_size": 50270}, tc={"/tokenizer_class": "CohereTokenizer", "/add_prefix_space": True}, route="gpt2")
    case(gpt2, "Cohere tokens with flags", c={**model_type("cohere"), "/vocab_size": 50270}, tc={"/tokenizer_class": "CohereTokenizer", "/bos_token": {"__type": "AddedToken", **token("<bos>", normalized=True, special=False)}}, route="gpt2")
    case(gpt2, "NeoX with a template", c={**model_type("gpt_neox"), "/vocab_size": 50270}, tc={"/tokenizer_class": "GPTNeoXTokenizer"}, t={"/post_processor": template(["<|endoftext|>", "$A"], tokens={"<|endoftext|>": 50256})}, route="gpt2")
    for route in ("deepseek2", "stablelm", "phi3", "mamba", "mamba2", "nemotron-h"):
        case(gpt2, "BPE", c={**model_type("x"), "/vocab_size": 50258}, route=route)
    case(gpt2, "nothing", "tokenizer.json", c={**model_type("x"), "/vocab_size": 50258}, route="mamba", unsupported=True)
    case(gpt2, "other class", c={**model_type("x"), "/vocab_size": 50258}, tc={"/tokenizer_class": "X"}, route="phi3")
    glm = [{"id": 50257 + i, **token(text)} for i, text in enumerate(["[gMASK]", "<|user|>", "<|observation|>"])]
    end = {"id": 50256, **token("<|endoftext|>")}
    for route in ("glm4", "glm4-moe", "chatglm"):
        config = {**model_type({"glm4": "glm4", "glm4-moe": "glm4_moe"}.get(route, "glm")), "/vocab_size": 50264}
        case(gpt2, "as it is", t={"/added_tokens": [end, *glm]}, c=config, route=route)
        case(gpt2, "ids of config", t={"/added_tokens": [end, *glm]}, c={**config, **special(eos=50256, eot=5, unk=6, bos=7, pad=8)}, route=route)
        case(gpt2, "token missing", t={"/added_tokens": [end, *glm[:1]]}, c=config, route=route)
    case(qwen2, "Qwen3_5", c={**model_type("qwen3_5_text"), "/vocab_size": 151936}, route="gpt2")
    case(qwen2, "no class, Qwen3_5", f"{tc}#/tokenizer_class", c={**model_type("qwen3_5_text"), "/vocab_size": 151936}, route="gpt2")
