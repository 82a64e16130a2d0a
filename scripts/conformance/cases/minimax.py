"""MiniMax."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6,
         "num_local_experts": 4, "num_experts_per_tok": 2}


def cases():
    def m2(id, config, **more):
        return case(id, {"architectures": ["MiniMaxM2ForCausalLM"], "model_type": "minimax_m2", **SMALL, **config}, **more)

    yield m2("minimax-m2", {"rotary_dim": 8, "scoring_func": "sigmoid", "use_routing_bias": True})
    yield m2("minimax-m2-f16", {"rotary_dim": 16, "num_local_experts": 2, "num_key_value_heads": 4, "rope_theta": 1e6}, dtype="f16",
             saved=True)
    yield m2("minimax-m2-f32", {"rotary_dim": 8, "head_dim": 32, "tie_word_embeddings": True, "num_hidden_layers": 3}, dtype="f32")
    yield m2("minimax-m2-no-rotary-dim", {}, refused=True)
    quantized = {"quant_method": "fp8", "fmt": "float8_e4m3fn", "weight_block_size": [32, 32], "activation_scheme": "dynamic"}
    scales = [("model.layers.{0-1}.block_sparse_moe.experts.{0-3}.w1.weight_scale_inv", [3, 2], "f32"),
              ("model.layers.{0-1}.block_sparse_moe.experts.{0-3}.w3.weight_scale_inv", [3, 2], "f32"),
              ("model.layers.{0-1}.block_sparse_moe.experts.{0-3}.w2.weight_scale_inv", [2, 3], "f32")]
    yield m2("minimax-m2-fp8", {"rotary_dim": 8, "quantization_config": quantized},
             build=("MiniMaxM2ForCausalLM", {"model_type": "minimax_m2", **SMALL, "rotary_dim": 8}),
             dtypes=[(".experts.", "f8_e4m3")], extra=scales, also=["--outtype bf16 --fp8-as-q8"])
