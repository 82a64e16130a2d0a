"""BERT and its relatives: encoders for embeddings and ranking."""

from checkpoint import case

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
    yield bert("bert-old-names", rename=[(r"LayerNorm\.weight", "LayerNorm.gamma"), (r"LayerNorm\.bias", "LayerNorm.beta")])
    yield bert("bert-ranks", "BertForSequenceClassification")
    yield bert("bert-labels", "BertForSequenceClassification", config=LABELS)

    distil = {"dim": 64, "hidden_dim": 96, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64}
    for id, arch, dtype in (("distilbert", "DistilBertModel", "f32"), ("distilbert-mlm", "DistilBertForMaskedLM", "bf16"),
                            ("distilbert-ranks", "DistilBertForSequenceClassification", "f16")):
        yield case(id, {"architectures": [arch], "model_type": "distilbert", **distil}, tokenizer="wordpiece", dtype=dtype)

    roberta = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
               "max_position_embeddings": 66}
    for id, arch, extra in (("roberta", "RobertaModel", {}), ("roberta-ranks", "RobertaForSequenceClassification", {}),
                            ("roberta-labels", "RobertaForSequenceClassification", LABELS)):
        yield bert(id, arch, "roberta", {**roberta, **extra}, tokenizer="gpt2-trimmed", shapes={"pad_token_id": 1})
    yield bert("camembert", "CamembertModel", "camembert", roberta, shapes={"pad_token_id": 1})
    for id, arch, extra in (("xlm-roberta", "XLMRobertaModel", {}),
                            ("xlm-roberta-ranks", "XLMRobertaForSequenceClassification", {"num_labels": 1}),
                            ("xlm-roberta-labels", "XLMRobertaForSequenceClassification", LABELS)):
        yield bert(id, arch, "xlm-roberta", {**roberta, **extra}, tokenizer="xlm-roberta", shapes={"pad_token_id": 1})
    yield bert("xlm-roberta-model", "XLMRobertaModel", "xlm-roberta", roberta, tokenizer="xlm-roberta-model",
               shapes={"pad_token_id": 1}, dtype="f16")

    modern = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
              "max_position_embeddings": 512, "local_attention": 32, "global_attn_every_n_layers": 3,
              "global_rope_theta": 160000.0, "local_rope_theta": 10000.0}
    for id, arch, extra in (("modernbert", "ModernBertModel", {}), ("modernbert-mlm", "ModernBertForMaskedLM", {}),
                            ("modernbert-ranks", "ModernBertForSequenceClassification", LABELS)):
        yield case(id, {"architectures": [arch], "model_type": "modernbert", **modern, **extra}, tokenizer="gpt2-trimmed")
    yield case("modernbert-f16", {"architectures": ["ModernBertModel"], "model_type": "modernbert", **modern}, dtype="f16",
               files=pooled("mean_tokens"))

    euro = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 250000.0}
    yield case("eurobert", {"architectures": ["EuroBertModel"], "model_type": "eurobert", **euro})
    yield case("eurobert-f16", {"architectures": ["EuroBertModel"], "model_type": "eurobert", **euro}, dtype="f16")
    yield case("eurobert-f32", {"architectures": ["EuroBertModel"], "model_type": "eurobert", **euro,
                                "num_key_value_heads": 4}, dtype="f32", files=pooled("mean_tokens"))
