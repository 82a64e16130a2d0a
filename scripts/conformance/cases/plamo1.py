"""The first PLaMo, which transformers has not. Apart, since its models have to be large."""

from checkpoint import ROWS, case


def cases():
    # Queries are put in another order only at the size of the published models; there is one layer of little else.
    width, at = 5120, "model.layers.layers.0"
    tensors = [("model.embed_tokens.weight", [ROWS, width]), ("model.norm.weight", [width]), ("lm_head.weight", [ROWS, width]), (f"{at}.norm.weight", [width])]
    tensors += [(f"{at}.{n}_proj.weight", s) for n, s in (
        ("self_attn.q", [width, width]), ("self_attn.k", [128, width]), ("self_attn.v", [128, width]), ("self_attn.o", [width, width]),
        ("mlp.gate", [32, width]), ("mlp.up", [32, width]), ("mlp.down", [width, 32]))]
    config = {"architectures": ["PlamoForCausalLM"], "model_type": "plamo", "hidden_size": width, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 40, "num_key_value_heads": 40, "rms_norm_eps": 1e-6}
    ways = (("", "bf16", [(1, "--outtype auto"), (2, "--outtype auto")]), ("-f16", "f16", [(1, "--outtype bf16")]), ("-f32", "f32", [(1, "--outtype f16")]))
    for suffix, dtype, runs in ways:
        yield case(f"plamo{suffix}", config, tensors=tensors, dtype=dtype, tokenizer="spm", runs=runs)
    yield case("plamo-other-size", config, tensors=[(n, [64 if x == width else x for x in s]) for n, s in tensors], tokenizer="spm",
               refused=True)
