"""EmbeddingGemma with the dense layers that sentence-transformers puts after it. Without them it is in gemma.py."""

from checkpoint import case

CONFIG = {"architectures": ["Gemma3TextModel"], "model_type": "gemma3_text", "hidden_size": 64, "intermediate_size": 96,
          "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
          "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "sliding_window": 512,
          "use_bidirectional_attention": True}
SIZES = {"2_Dense/config.json": {"in_features": 64, "out_features": 96, "bias": False},
         "3_Dense/config.json": {"in_features": 96, "out_features": 64, "bias": False}}
FLAG = "--sentence-transformers-dense-modules"


def files(*dense: str) -> dict:
    """Pooling, and dense layers at these paths."""
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), *((path, "Dense") for path in dense)]
    listed = [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
              for i, (path, kind) in enumerate(modules)]
    return {"modules.json": listed, "1_Pooling/config.json": {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True}}


def cases():
    def embedding(id, dense, **more):
        return case(f"embedding-gemma-{id}", CONFIG, tokenizer="spm", modules=dense, **more)

    both = {"2_Dense": [("linear.weight", [96, 64])], "3_Dense": [("linear.weight", [64, 96])]}
    first = {"2_Dense": both["2_Dense"]}
    yield embedding("both", both, files={**files(*both), **SIZES}, also=[FLAG, f"{FLAG} --outtype q8_0", f"{FLAG} --vocab-only"])
    yield embedding("other-places", {"2_Dense": [("linear.weight", [96, 64], "bf16"), ("linear.bias", [96])],
                                     "sub/dense": [("linear.weight", [64, 96], "f16")]}, flags=FLAG, dtype="f32",
                    files={**files("2_Dense", "sub/dense", "absent"), "2_Dense/config.json": {"in_features": None, "out_features": 96}})
    yield embedding("no-modules", {}, flags=FLAG, dtype="f16")
    yield embedding("name", {"2_Dense": [("lineal.weight", [96, 64])]}, flags=FLAG, files=files("2_Dense"), refused=True)
    yield embedding("sizes", first, flags=FLAG, files={**files("2_Dense"), "2_Dense/config.json": {"in_features": 64}}, refused=True)
