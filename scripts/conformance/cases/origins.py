"""Language models of larger ones, which decide what becomes of the vocabulary, or add keys."""

import json
from pathlib import Path

from cases.wrapped import SMALL, attention, mlp
from checkpoint import case


def cases():
    ways = (("", "bf16", {}), ("-f16", "f16", {"num_key_value_heads": 4}), ("-f32", "f32", {"num_attention_heads": 2, "rms_norm_eps": 1e-5}))
    pictures = [("model.image_newline", [64]), ("model.layerwise_projectors.0.norm.weight", [8])]
    for suffix, dtype, config in ways:
        config = {**SMALL, "rms_norm_eps": 1e-5, **config}
        llama = attention("language_model.model.", config) + mlp("language_model.model.layers.{0-1}.mlp", 96)
        yield case(f"glm-asr-text{suffix}", {"architectures": ["GlmasrModel"], "model_type": "glmasr_of_old", "lm_config": {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 50304, **config}}, tensors=llama, dtype=dtype,
            tokenizer="gpt2-roles", vocab=False)
        config = {**config, "head_dim": 16 if config["num_attention_heads"] == 4 else 32}
        qwen = attention("model.language_model.", config, norms=True) + mlp("model.language_model.layers.{0-1}.mlp", 96)
        yield case(f"intern-s1{suffix}", {"architectures": ["InternS1ForConditionalGeneration"], "model_type": "interns1_of_old", "text_config": {
            "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", **config}}, tensors=qwen, dtype=dtype, tokenizer="qwen2-trimmed")
        vision = {"architectures": ["Granite4VisionForConditionalGeneration"], "model_type": "granite_vision_of_old", "vision_config": {
            "num_hidden_layers": 6}, "text_config": {"architectures": ["GraniteForCausalLM"], "model_type": "granite", **config}}
        vision |= {"bf16": {"deepstack_layer_map": [[-2, 1], [-4, 0]]}, "f16": {"spatial_target_layers": [1, 0], "spatial_vision_layer": -3},
                   "f32": {"deepstack_layer_map": [[5, 1]], "spatial_target_layers": [0, 1]}}[dtype]
        yield case(f"granite-vision-text{suffix}", vision, tensors=llama + pictures, dtype=dtype, tokenizer="gpt2-trimmed")
    path = Path(__file__).resolve().parents[3] / "tests/tokenizers/gpt2-trimmed/tokenizer.json"
    judges = json.loads(path.read_text())
    judges["model"]["vocab"] |= {"yes": 4001, "no": 4000}
    for suffix, dtype, tied in (("", "bf16", True), ("-f16", "f16", False), ("-f32", "f32", True)):
        config = {**SMALL, "head_dim": 16, "tie_word_embeddings": tied}
        tensors = attention("model.language_model.", config, norms=True) + mlp("model.language_model.layers.{0-1}.mlp", 96)
        tensors = [(name, [4100, 64] if "embed_tokens" in name else shape) for name, shape in tensors] + ([] if tied else [("lm_head.weight", [4100, 64])])
        yield case(f"qwen3-vl-reranker{suffix}", {"architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl_of_old", "tie_word_embeddings": tied,
                                                  "vision_config": {"deepstack_visual_indexes": [1, 2]}, "text_config": {**config, "model_type": "qwen3_vl_text"}},
                   tensors=tensors, dtype=dtype, tokenizer="gpt2-trimmed", files={"README.md": "# Qwen3-VL-Reranker\n", "tokenizer.json": judges})
