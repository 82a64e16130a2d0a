"""GPT-2."""

from checkpoint import apart, case, tokenizer_config

SMALL = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128, "n_ctx": 128}


def gpt2(id, arch="GPT2LMHeadModel", config=None, **more):
    return case(id, {"architectures": [arch], "model_type": "gpt2", **SMALL, **(config or {})}, **more)


def cases():
    yield gpt2("gpt2")
    yield gpt2("gpt2-f16", dtype="f16", config={"n_head": 8, "layer_norm_epsilon": 1e-6})
    yield gpt2("gpt2-f32-untied", dtype="f32", config={"tie_word_embeddings": False, "n_layer": 3})
    yield gpt2("gpt2-without-prefix", rename=[(r"^transformer\.", "")], saved=True)
    yield gpt2("gpt2-no-length", config={"n_ctx": None}, refused=True)

    yield gpt2("gpt2-apart", tokenizer=None, config={"vocab_size": 50257}, files=apart("gpt2-trimmed"))
    yield gpt2("gpt2-apart-no-merges", tokenizer=None, config={"vocab_size": 50257}, refused=True,
               files={k: v for k, v in apart("gpt2-trimmed").items() if k != "merges.txt"})
    yield gpt2("gpt2-templates", files={
        "tokenizer_config.json": {k: v for k, v in tokenizer_config("gpt2-trimmed").items() if k != "chat_template"},
        "chat_template.jinja": "{{ messages }}", "additional_chat_templates/rag.jinja": "{{ rag }}"})

    xl = {"architectures": ["RuGPT3XLForCausalLM"], "model_type": "rugpt3xl", "hidden_size": 64, "num_hidden_layers": 2,
          "num_attention_heads": 4, "intermediate_size": 256, "max_position_embeddings": 128, "layer_norm_eps": 1e-5}
    layer = "model.layers.{0-1}."
    parts = [(f"{layer}self_attn.{m}_proj", [64, 64]) for m in "qkvo"] + [
        (f"{layer}mlp.up_proj", [256, 64]), (f"{layer}mlp.down_proj", [64, 256])]
    norms = [f"{layer}input_layernorm", f"{layer}post_attention_layernorm", "model.norm"]
    tensors = [(f"{name}.{kind}", shape if kind == "weight" else shape[:1]) for name, shape in parts
               for kind in ("weight", "bias")]
    tensors += [(f"{name}.{kind}", [64]) for name in norms for kind in ("weight", "bias")]
    tensors += [("model.embed_tokens.weight", [40, 64]), ("model.embed_positions.weight", [128, 64])]
    for id, dtype, extra in (("rugpt3xl", "bf16", []), ("rugpt3xl-f16", "f16", [("lm_head.weight", [40, 64])]),
                             ("rugpt3xl-f32", "f32", [])):
        yield case(id, xl, dtype=dtype, tensors=tensors + extra)
    yield case("rugpt3xl-incomplete", xl, tensors=[t for t in tensors if "k_proj.bias" not in t[0]], refused=True)
