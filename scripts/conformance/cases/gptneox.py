"""GPT-NeoX and Pythia.

transformers 5 moves `rotary_pct` out of the reference's sight, which then refuses the model. A `model_type` that
transformers does not know leaves the settings as they stand, as earlier versions did.
"""

from checkpoint import case

SMALL = {"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "hidden_size": 64, "intermediate_size": 96,
         "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 2048, "layer_norm_eps": 1e-5,
         "rotary_emb_base": 10000, "rotary_pct": 0.25, "use_parallel_residual": True, "tie_word_embeddings": False}
RAW = {"model_type": "gpt_neox_as_it_stands"}


def neox(id, config=None, **more):
    config = {**SMALL, **(config or {})}
    return case(id, {**config, **RAW}, build=("GPTNeoXForCausalLM", config), **more)


def cases():
    yield neox("gptneox")
    yield neox("gptneox-f16", {"num_attention_heads": 2, "rotary_pct": 1.0, "use_parallel_residual": False}, dtype="f16")
    yield neox("gptneox-f32", {"num_hidden_layers": 3, "attention_bias": False}, dtype="f32")
    buffers = [("gpt_neox.layers.{0-1}.attention.masked_bias", []), ("gpt_neox.layers.{0-1}.attention.rotary_emb.inv_freq", [2]),
               ("gpt_neox.layers.{0-1}.attention.bias", [1, 1, 8, 8], "u8")]
    yield neox("gptneox-buffers", extra=buffers)
    yield case("gptneox-heads", {**SMALL, "num_attention_heads": 3, **RAW}, tensors=[
        ("gpt_neox.embed_in.weight", [40, 64]), ("gpt_neox.layers.0.attention.query_key_value.weight", [192, 64])], refused=True)
