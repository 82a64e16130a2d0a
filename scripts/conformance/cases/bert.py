"""BERT and its relatives: encoders for embeddings and ranking."""

from checkpoint import apart, case, tokenizer_config

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "max_position_embeddings": 64, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
MODULES = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
           {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
LABELS = {"id2label": {"0": "no", "1": "maybe", "2": "yes"}, "label2id": {"no": 0, "maybe": 1, "yes": 2}}


def pooled(mode):
    return {"modules.json": MODULES, "1_Pooling/config.json": {"word_embedding_dimension": 64, f"pooling_mode_{mode}": True}}


def bert(id, arch="BertModel", model_type="bert", config=None, **more):
    return case(id, {"architectures": [arch], "model_type": model_type, **SMALL, **(config or {})},
                **{"tokenizer": "wordpiece", **more})


def cases():
    yield bert("bert")
    yield bert("bert-pooled", files=pooled("mean_tokens"), dtype="f32",
               extra=[("embeddings.position_ids", [1, 64], "i64")])
    yield bert("bert-cls", files=pooled("cls_token"), dtype="f16", rename=[("^", "bert.")])
    yield bert("bert-mlm", "BertForMaskedLM", config={"type_vocab_size": 1})
    yield bert("bert-mlm-f16", "BertForMaskedLM", config={"num_attention_heads": 8, "layer_norm_eps": 1e-6}, dtype="f16",
               files=pooled("mean_tokens"))
    yield bert("bert-mlm-f32", "BertForMaskedLM", config={"num_hidden_layers": 3, "tie_word_embeddings": False}, dtype="f32")
    yield bert("bert-old-names", rename=[(r"LayerNorm\.weight", "LayerNorm.gamma"), (r"LayerNorm\.bias", "LayerNorm.beta")])
    yield bert("bert-ranks", "BertForSequenceClassification")
    yield bert("bert-labels", "BertForSequenceClassification", config=LABELS)
    yield bert("bert-one-label", "BertForSequenceClassification", config={"num_hidden_layers": 1, "id2label": {"0": "score"},
                                                                         "label2id": {"score": 0}}, dtype="f16")

    yield bert("bert-no-unknown", files={"tokenizer_config.json": tokenizer_config("wordpiece", unk_token=None)}, refused=True)
    yield bert("bert-apart", tokenizer=None, config={"vocab_size": 30522}, files=apart("wordpiece"))
    distil = {"dim": 64, "hidden_dim": 96, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64}
    heads = {"n_heads": 8, "n_layers": 3}
    for id, arch, more, dtype in (
            ("distilbert", "DistilBertModel", {}, "f32"), ("distilbert-heads", "DistilBertModel", heads, "bf16"),
            ("distilbert-f16", "DistilBertModel", {"max_position_embeddings": 32, "sinusoidal_pos_embds": False}, "f16"),
            ("distilbert-mlm", "DistilBertForMaskedLM", {}, "bf16"),
            ("distilbert-mlm-heads", "DistilBertForMaskedLM", heads, "f16"),
            ("distilbert-mlm-f32", "DistilBertForMaskedLM", {"hidden_dim": 128, "tie_word_embeddings": False}, "f32"),
            ("distilbert-labels", "DistilBertForSequenceClassification", LABELS, "bf16"),
            ("distilbert-labels-heads", "DistilBertForSequenceClassification", {**heads, **LABELS}, "f16"),
            ("distilbert-labels-f32", "DistilBertForSequenceClassification",
             {"id2label": {"0": "NEGATIVE", "1": "POSITIVE"}, "label2id": {"NEGATIVE": 0, "POSITIVE": 1}}, "f32"),
            ("distilbert-ranks", "DistilBertForSequenceClassification", {}, "f16")):
        # Without labels, two layers of the classifier get one name.
        yield case(id, {"architectures": [arch], "model_type": "distilbert", **distil, **more}, tokenizer="wordpiece",
                   dtype=dtype, refused="ranks" in id)

    roberta = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
               "max_position_embeddings": 66}
    for id, arch, extra in (("roberta", "RobertaModel", {}), ("roberta-ranks", "RobertaForSequenceClassification", {}),
                            ("roberta-labels", "RobertaForSequenceClassification", LABELS)):
        yield bert(id, arch, "roberta", {**roberta, **extra}, tokenizer="gpt2-trimmed", shapes={"pad_token_id": 1})
    for id, arch, more, dtype in (("roberta-heads", "RobertaModel", {"num_attention_heads": 8, "num_hidden_layers": 3}, "f16"),
                                  ("roberta-positions", "RobertaModel", {"pad_token_id": 3, "max_position_embeddings": 68}, "f32"),
                                  ("roberta-one-label", "RobertaForSequenceClassification", {"id2label": {"0": "score"}}, "f16")):
        yield bert(id, arch, "roberta", {**roberta, **more}, tokenizer="gpt2-trimmed", dtype=dtype,
                   shapes={"pad_token_id": more.get("pad_token_id", 1)},
                   files=pooled("cls_token") if id == "roberta-heads" else {})
    yield bert("camembert", "CamembertModel", "camembert", roberta, shapes={"pad_token_id": 1})
    yield bert("camembert-f16", "CamembertModel", "camembert", {**roberta, "num_attention_heads": 8}, dtype="f16",
               shapes={"pad_token_id": 1}, files=pooled("mean_tokens"))
    yield bert("camembert-f32", "CamembertModel", "camembert", {**roberta, "num_hidden_layers": 3}, dtype="f32",
               shapes={"pad_token_id": 1}, rename=[("^", "bert.")])
    for id, arch, extra in (("xlm-roberta", "XLMRobertaModel", {}),
                            ("xlm-roberta-ranks", "XLMRobertaForSequenceClassification", {"num_labels": 1}),
                            ("xlm-roberta-labels", "XLMRobertaForSequenceClassification", LABELS)):
        yield bert(id, arch, "xlm-roberta", {**roberta, **extra}, tokenizer="xlm-roberta", shapes={"pad_token_id": 1})
    yield bert("xlm-roberta-heads", "XLMRobertaModel", "xlm-roberta", {**roberta, "num_attention_heads": 8}, dtype="f32",
               tokenizer="xlm-roberta", shapes={"pad_token_id": 1}, files=pooled("cls_token"), rename=[("^", "roberta.")])
    yield bert("xlm-roberta-ranks-f16", "XLMRobertaForSequenceClassification", "xlm-roberta",
               {**roberta, "num_hidden_layers": 3, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}, dtype="f16",
               tokenizer="xlm-roberta-model", shapes={"pad_token_id": 1})
    yield bert("xlm-roberta-model", "XLMRobertaModel", "xlm-roberta", roberta, tokenizer="xlm-roberta-model",
               shapes={"pad_token_id": 1}, dtype="f16")

    modern = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
              "max_position_embeddings": 512, "local_attention": 32, "global_attn_every_n_layers": 3,
              "global_rope_theta": 160000.0, "local_rope_theta": 10000.0}
    for id, arch, extra in (("modernbert", "ModernBertModel", {}), ("modernbert-mlm", "ModernBertForMaskedLM", {}),
                            ("modernbert-ranks", "ModernBertForSequenceClassification", LABELS)):
        # The output's bias has no name in a GGUF.
        yield case(id, {"architectures": [arch], "model_type": "modernbert", **modern, **extra}, refused="mlm" in id)
    silu = {"hidden_activation": "silu", "num_attention_heads": 8, "global_attn_every_n_layers": 2}
    for id, arch, more, dtype in (
            ("modernbert-silu", "ModernBertModel", silu, "f32"),
            ("modernbert-labels-silu", "ModernBertForSequenceClassification", {**LABELS, **silu}, "f16"),
            ("modernbert-labels-f32", "ModernBertForSequenceClassification",
             {**LABELS, "classifier_pooling": "mean", "num_hidden_layers": 3}, "f32"),
            ("modernbert-mlm-no-bias", "ModernBertForMaskedLM", {}, "bf16"),
            ("modernbert-mlm-silu", "ModernBertForMaskedLM", silu, "f16"),
            ("modernbert-mlm-f32", "ModernBertForMaskedLM", {"norm_bias": True, "local_attention": 128}, "f32")):
        no_bias = {"decoder_bias": False} if "mlm" in id else {}
        yield case(id, {"architectures": [arch], "model_type": "modernbert", **modern, **more, **no_bias}, dtype=dtype)
    yield case("modernbert-f16", {"architectures": ["ModernBertModel"], "model_type": "modernbert", **modern}, dtype="f16",
               files=pooled("mean_tokens"))

    euro = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 250000.0,
            "classifier_pooling": "mean"}
    for id, arch in (("eurobert", "EuroBertModel"), ("jina-v5", "JinaEmbeddingsV5Model")):
        config = {"architectures": [arch], "model_type": "eurobert", **euro}
        more = {"build": "EuroBertModel"}
        yield case(id, config, **more)
        heads = {k: v for k, v in config.items() if k != "num_attention_heads"}
        yield case(f"{id}-no-heads", heads, build=("EuroBertModel", config), refused=True)
        yield case(f"{id}-f16", {**config, "num_hidden_layers": 3} if "jina" in id else config, dtype="f16",
                   rename=[("^", "model.")] if "jina" in id else [], **more)
        yield case(f"{id}-f32", {**config, "num_key_value_heads": 4}, dtype="f32", files=pooled("mean_tokens"), **more)
    yield from neo()
    yield from nomic()
    yield from jina()


def linear(name, rows, columns, bias=True):
    return [(f"{name}.weight", [rows, columns])] + ([(f"{name}.bias", [rows])] if bias else [])


def norms(*names, bias=True):
    return [(f"{name}.{kind}", [64]) for name in names for kind in (("weight", "bias") if bias else ("weight",))]


def neo():
    """NeoBERT, which transformers has no class for."""
    small = {"model_type": "neobert", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
             "intermediate_size": 144, "max_length": 4096, "norm_eps": 1e-5, "pad_token_id": 0}
    at = "transformer_encoder.{0-1}."

    def body(width):
        return [("encoder.weight", [40, 64]), *norms("layer_norm", at + "attention_norm", at + "ffn_norm", bias=False),
                (at + "qkv.weight", [192, 64]), (at + "wo.weight", [64, 64]), (at + "ffn.w12.weight", [2 * width, 64]),
                (at + "ffn.w3.weight", [64, width])]

    heads = {"NeoBERT": [], "NeoBERTLMHead": linear("decoder", 40, 64),
             "NeoBERTForSequenceClassification": linear("dense", 64, 64) + linear("classifier", 3, 64)}
    for id, arch in (("neobert", "NeoBERT"), ("neobert-mlm", "NeoBERTLMHead"),
                     ("neobert-labels", "NeoBERTForSequenceClassification")):
        prefix = "" if arch == "NeoBERT" else "model."
        for at_end, more, dtype in (("", {}, "bf16"), ("-f16", {"num_attention_heads": 8, "intermediate_size": 97}, "f16"),
                                    ("-f32", {"norm_eps": None, "intermediate_size": 192, "max_length": 1024}, "f32")):
            config = {"architectures": [arch], **small, **more, **(LABELS if "labels" in id else {})}
            config = {k: v for k, v in config.items() if v is not None}
            tensors = [(prefix + name, shape) for name, shape in body(config["intermediate_size"] * 2 // 3)] + heads[arch]
            yield case(id + at_end, config, tokenizer="wordpiece", dtype=dtype, tensors=tensors)


def nomic():
    """Nomic's, with the names of its own class: transformers' has others, which cannot be converted."""
    small = {"architectures": ["NomicBertModel"], "model_type": "nomic_bert", "activation_function": "swiglu", "causal": False,
             "layer_norm_epsilon": 1e-12, "max_trained_positions": 2048, "mlp_fc1_bias": False, "mlp_fc2_bias": False,
             "n_embd": 64, "n_head": 4, "n_inner": 96, "n_layer": 2, "n_positions": 8192, "prenorm": False,
             "qkv_proj_bias": False, "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False,
             "rotary_emb_scale_base": None, "type_vocab_size": 2}
    at = "encoder.layers.{0-1}."
    body = [("embeddings.word_embeddings.weight", [40, 64]), ("embeddings.token_type_embeddings.weight", [2, 64]),
            *norms("emb_ln", at + "norm1", at + "norm2")]
    dense = [*linear(at + "attn.Wqkv", 192, 64, False), *linear(at + "attn.out_proj", 64, 64, False),
             *linear(at + "mlp.fc11", 96, 64, False), *linear(at + "mlp.fc12", 96, 64, False),
             *linear(at + "mlp.fc2", 64, 96, False)]
    # transformers fills in sizes of its own class; published models have those.
    yield case("nomic-bert", small, tokenizer="wordpiece", tensors=body + dense)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8, "intermediate_size": 96}
    yield case("nomic-bert-sizes", {**small, **sizes}, tokenizer="wordpiece", tensors=body + dense, dtype="f32",
               files=pooled("mean_tokens"))
    yield case("nomic-bert-short", {**small, "n_positions": 2048, "rotary_emb_base": 10000}, tokenizer="wordpiece",
               tensors=body + dense, dtype="f16")
    # Every second layer has experts.
    moe = {**small, **sizes, "activation_function": "gelu", "mlp_fc1_bias": True, "mlp_fc2_bias": True, "qkv_proj_bias": True,
           "n_positions": 2048, "moe_every_n_layers": 2, "moe_top_k": 2, "num_experts": 4, "pad_token_id": 1,
           "rotary_emb_base": 10000, "type_vocab_size": 1}
    first, second = "encoder.layers.0.mlp.", "encoder.layers.1.mlp."
    experts = [*linear(at + "attn.Wqkv", 192, 64), *linear(at + "attn.out_proj", 64, 64), *linear(first + "fc1", 96, 64),
               *linear(first + "fc2", 64, 96), (second + "router.layer.weight", [4, 64]), (second + "experts.bias", [64]),
               (second + "experts.mlp.w1", [384, 64]), (second + "experts.mlp.w2", [384, 64])]
    for id, dtype, more in (("", "bf16", {}), ("-f16", "f16", {"moe_top_k": 1, "num_attention_heads": 4}),
                            ("-f32", "f32", {"max_position_embeddings": 512})):
        yield case(f"nomic-bert-moe{id}", {**moe, **more}, tokenizer="xlm-roberta", tensors=body + experts, dtype=dtype)
    for id, more in (("prenorm", {"prenorm": True}), ("length", {"n_positions": 4096}), ("bias", {"mlp_fc1_bias": True})):
        yield case(f"nomic-bert-{id}", {**small, **more}, tokenizer="wordpiece", tensors=body + dense, refused=True)


def jina():
    """Jina's second generation, published as BERT with a class of its own."""
    small = {"model_type": "bert", **SMALL, "feed_forward_type": "geglu", "emb_pooler": "mean",
             "position_embedding_type": "alibi", "max_position_embeddings": 8192}
    at = "encoder.layer.{0-1}."
    body = [("embeddings.word_embeddings.weight", [40, 64]), ("embeddings.token_type_embeddings.weight", [2, 64]),
            *norms("embeddings.LayerNorm", at + "attention.output.LayerNorm"),
            *(t for m in ("query", "key", "value") for t in linear(f"{at}attention.self.{m}", 64, 64)),
            *linear(at + "attention.output.dense", 64, 64)]
    english = [*linear(at + "mlp.gated_layers", 192, 64, False), *linear(at + "mlp.wo", 64, 96), *norms(at + "mlp.layernorm")]
    code = [*linear(at + "mlp.up_gated_layer", 192, 64, False), *linear(at + "mlp.down_layer", 64, 96),
            *norms(at + "attention.self.layer_norm_q", at + "attention.self.layer_norm_k", at + "layer_norm_1", at + "layer_norm_2")]
    head = [*linear("cls.predictions.transform.dense", 64, 64), ("cls.predictions.bias", [40])]
    for id, arch in (("jina-v2", "JinaBertModel"), ("jina-v2-mlm", "JinaBertForMaskedLM")):
        config, extra = {"architectures": [arch], **small}, [] if arch == "JinaBertModel" else head
        more = {"rename": [("^", "bert.")]} if extra else {}
        yield case(id, config, tokenizer="wordpiece", tensors=body + english + extra, **more)
        yield case(f"{id}-heads", {**config, "num_attention_heads": 8}, tokenizer="wordpiece", dtype="f16",
                   tensors=body + english + extra, files=pooled("mean_tokens"))
        yield case(f"{id}-code", config, tokenizer="wordpiece", dtype="f32", tensors=body + code + extra)
    yield case("jina-v2-class", {"architectures": ["JinaBertModel"], **small}, tensors=body + english, refused=True)
