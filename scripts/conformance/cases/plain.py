"""Models with little of their own, most without code in transformers: their tensors are listed here."""

from checkpoint import ROWS, case, tokenizer_config

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 1024}
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}


def llama(config: dict, *, biases=(), tied=False, start="") -> list:
    """A model with Llama's tensors; `biases` names the parts that have one."""
    layers, width, inner = config["num_hidden_layers"], config["hidden_size"], config["intermediate_size"]
    size = config.get("head_dim") or width // config["num_attention_heads"]
    heads, keys = config["num_attention_heads"] * size, (config.get("num_key_value_heads") or config["num_attention_heads"]) * size
    at = f"{start}model.layers.{{0-{layers - 1}}}"
    parts = {"self_attn.q_proj": [heads, width], "self_attn.k_proj": [keys, width], "self_attn.v_proj": [keys, width],
             "self_attn.o_proj": [width, heads], "mlp.gate_proj": [inner, width], "mlp.up_proj": [inner, width],
             "mlp.down_proj": [width, inner], "input_layernorm": [width], "post_attention_layernorm": [width]}
    found = [(f"{start}model.embed_tokens.weight", [ROWS, width]), (f"{start}model.norm.weight", [width])]
    found += [(f"{at}.{part}.weight", shape) for part, shape in parts.items()]
    found += [(f"{at}.{part}.bias", shape[:1]) for part, shape in parts.items() if any(b in part for b in biases)]
    found += [(f"{start}model.norm.bias", [width])] if "layernorm" in biases else []
    return found if tied else found + [(f"{start}lm_head.weight", [ROWS, width])]


def gpt(config: dict, parts: dict, tied=False) -> list:
    """A model with GPT-2's names, each with a bias but for those that end with '!'."""
    at, width = f"transformer.h.{{0-{config['n_layer'] - 1}}}", config["n_embd"]
    found = [("transformer.wte.weight", [ROWS, width]), ("transformer.ln_f.weight", [width])]
    for part, shape in parts.items():
        name = part.removesuffix("!")
        found += [(f"{at}.{name}.weight", shape)] + ([] if part.endswith("!") else [(f"{at}.{name}.bias", shape[:1])])
    return found if tied else found + [("lm_head.weight", [ROWS, width])]


def cases():
    def plain(id, arch, model_type, config=None, *, base=SMALL, tensors=llama, biases=(), tied=False, **more):
        config = {**base, **(config or {})}
        file = {"architectures": [arch], "model_type": model_type, **config}
        return case(id, file, tensors=tensors(config, biases=biases, tied=tied), **more)

    def several(id, arch, model_type, variants, **common):
        """Three configurations: dtype, changes, and what else."""
        for suffix, (dtype, config, more) in zip(("", "-f16", "-f32"), variants):
            yield plain(id + suffix, arch, model_type, config, dtype=dtype, **common, **more)

    yield from several("orion", "OrionForCausalLM", "orion", (
        ("bf16", {"max_sequence_length": 4096}, {}), ("f16", {"num_key_value_heads": 4}, {}), ("f32", {}, {"tied": True})),
        biases=("layernorm",), tokenizer="spm")
    yield from several("nanbeige", "NanbeigeForCausalLM", "nanbeige_of_old", (
        ("bf16", {"num_loops": 2, "skip_loop_final_norm": True}, {}), ("f16", {"num_loops": 0}, {"tokenizer": "spm"}),
        ("f32", {"head_dim": 32}, {"tied": True})))
    yield from several("pangu", "PanguEmbeddedForCausalLM", "pangu", (
        ("bf16", {}, {"files": {"tokenizer_config.json": tokenizer_config("spm", add_prefix_space=False)}}),
        ("f16", {"head_dim": 32, "num_key_value_heads": 4}, {}), ("f32", {"tie_word_embeddings": True}, {"tied": True})),
        tokenizer="spm", biases=("self_attn",))
    scales = {"scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 32}
    yield from several("minicpm", "MiniCPMForCausalLM", "minicpm", (
        ("bf16", {}, {}), ("f16", {"num_key_value_heads": 4, "scale_depth": 1}, {}), ("f32", {"rope_theta": 5e5}, {"tied": True})),
        base={**SMALL, **scales}, tokenizer="spm")
    yield from several("deci", "DeciLMForCausalLM", "deci", (
        ("bf16", {"num_key_value_heads_per_layer": [2, 2], "head_dim": 16}, {"tokenizer": "llama-hf"}),
        ("f16", {"vocab_size": 128256, "num_key_value_heads": 4}, {"tokenizer": "llama3-trimmed"}),
        ("f32", {"vocab_size": 128256}, {"tokenizer": "llama3-trimmed", "tied": True})))
    yield plain("deci-blocks", "DeciLMForCausalLM", "nemotron-nas", {
        "vocab_size": 128256, "num_key_value_heads": None, "intermediate_size": 256, "block_configs": [
            {"attention": {"n_heads_in_group": 2, "replace_with_linear": False}, "ffn": {"ffn_mult": 5.25}},
            {"attention": {"n_heads_in_group": 2, "replace_with_linear": False}, "ffn": {"ffn_mult": 1.3125}}]},
        tokenizer="llama3-trimmed", tensors=lambda config, **_: llama({**config, "num_key_value_heads": 2}))
    yield from several("sarashina2-vision", "Sarashina2VisionForCausalLM", "sarashina2_vision", (
        ("bf16", {}, {}), ("f16", {"num_key_value_heads": 4}, {}), ("f32", {"head_dim": 32}, {})),
        tokenizer="spm", tensors=lambda config, **_: llama(config, start="llm.") + [
            ("norm.weight", [64]), ("visual.blocks.0.norm1.weight", [8])])
    rotary = {"kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16}

    def latent(config, tied=False, **_):
        at, heads = "model.layers.{0-1}", config["num_attention_heads"]
        own = [(f"{at}.self_attn.q_proj.weight", [heads * 24, 64]), (f"{at}.self_attn.kv_a_proj_with_mqa.weight", [40, 64]),
               (f"{at}.self_attn.kv_a_layernorm.weight", [32]), (f"{at}.self_attn.kv_b_proj.weight", [heads * 32, 32]),
               (f"{at}.self_attn.o_proj.weight", [64, heads * 16]), (f"{at}.mlp.up_proj.weight", [96, 64]),
               (f"{at}.mlp.down_proj.weight", [64, 96])]
        return own + [t for t in llama(config, tied=tied) if "proj" not in t[0]]

    yield from several("plm", "PLMForCausalLM", "plm", (
        ("bf16", {}, {}), ("f16", {"num_attention_heads": 2, "rope_theta": 1e5}, {}), ("f32", {}, {"tied": True})),
        base={**SMALL, **rotary, "q_lora_rank": None}, tensors=latent)

    yield from several("dots-ocr", "DotsOCRForCausalLM", "dots_ocr", (
        ("bf16", {}, {}), ("f16", {"num_key_value_heads": 4}, {"tokenizer": "spm"}), ("f32", {"rope_theta": 1e6}, {"tied": True})),
        biases=("q_proj", "k_proj", "v_proj"))

    def step_vl(config, **_):
        at = "model.layers.{0-1}.self_attn"
        return llama(config) + [(f"{at}.q_norm.weight", [16]), (f"{at}.k_norm.weight", [16]), ("vit_large_projector.weight", [8, 8])]

    for suffix, dtype, config in (("", "bf16", {}), ("-f16", "f16", {"num_key_value_heads": 4}), ("-f32", "f32", {"rope_theta": 1e6})):
        config = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "head_dim": 16, **SMALL, **config}
        yield case(f"step-vl{suffix}", {"architectures": ["StepVLForConditionalGeneration"], "model_type": "step_robotics",
                                        "text_config": config}, tensors=step_vl(config), dtype=dtype)

    def vision_experts(config, tied=False, **_):
        at, found = "model.layers.{0-1}", []
        for expert in ("language", "vision"):
            found += [(f"{at}.self_attn.{expert}_expert_query_key_value.weight", [128, 64]),
                      (f"{at}.self_attn.{expert}_expert_dense.weight", [64, 64])]
            found += [(f"{at}.mlp.{expert}_mlp.{name}_proj.weight", shape)
                      for name, shape in (("gate", [96, 64]), ("up", [96, 64]), ("down", [64, 96]))]
        return found + [t for t in llama(config, tied=tied) if "proj" not in t[0]] + [("model.vision.boi", [1, 1, 64])]

    yield from several("cogvlm", "CogVLMForCausalLM", "cogvlm", (
        ("bf16", {}, {"tokenizer": "spm"}), ("f16", {"rope_theta": 5e5}, {}), ("f32", {}, {"tied": True})), tensors=vision_experts)

    gpt_small = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 1024, "layer_norm_epsilon": 1e-5}
    for suffix, dtype, groups, tied in (("", "bf16", 2, False), ("-f16", "f16", 4, False), ("-f32", "f32", 1, True)):
        rows = 64 + 2 * groups * 16
        yield case(f"codeshell{suffix}", {"architectures": ["CodeShellForCausalLM"], "model_type": "codeshell", **gpt_small,
                                          "num_query_groups": groups}, dtype=dtype, tensors=gpt(gpt_small, {
            "ln_1": [64], "attn.c_attn": [rows, 64], "attn.c_proj": [64, 64], "ln_2": [64], "mlp.c_fc": [256, 64],
            "mlp.c_proj": [64, 256]}, tied) + [("transformer.ln_f.bias", [64])])
    for suffix, dtype, heads, tied in (("", "bf16", 4, False), ("-f16", "f16", 2, False), ("-f32", "f32", 8, True)):
        config, size = {**gpt_small, "n_head": heads}, 64 // heads
        yield case(f"refact{suffix}", {"architectures": ["GPTRefactForCausalLM"], "model_type": "gpt_refact", **config}, dtype=dtype,
                   tensors=gpt(config, {"ln_1!": [64], "attn.q!": [64, 64], "attn.kv!": [2 * size, 64], "attn.c_proj!": [64, 64],
                                        "ln_2!": [64], "mlp.gate_up_proj!": [512, 64], "mlp.c_proj!": [64, 256]}, tied))

    for suffix, dtype, multipliers in (("", "bf16", [0.5, 1.0]), ("-f16", "f16", [2, 4.0]), ("-f32", "f32", [1.3, 1.7])):
        config = {"model_dim": 64, "num_transformer_layers": 2, "head_dim": 16, "num_query_heads": [2, 4], "num_kv_heads": [1, 2],
                  "ffn_multipliers": multipliers, "ffn_dim_divisor": 16, "max_context_length": 2048, "rope_freq_constant": 10000}
        found = [("transformer.token_embeddings.weight", [ROWS, 64]), ("transformer.norm.weight", [64])]
        for at, (heads, kv_heads, multiplier) in enumerate(zip(config["num_query_heads"], config["num_kv_heads"], multipliers)):
            inner, start = max(16, int(multiplier * 64 + 8) // 16 * 16), f"transformer.layers.{at}"
            found += [(f"{start}.attn.qkv_proj.weight", [(heads + 2 * kv_heads) * 16, 64]), (f"{start}.attn.out_proj.weight", [64, heads * 16]),
                      (f"{start}.attn.q_norm.weight", [16]), (f"{start}.attn.k_norm.weight", [16]), (f"{start}.attn_norm.weight", [64]),
                      (f"{start}.ffn_norm.weight", [64]), (f"{start}.ffn.proj_1.weight", [2 * inner, 64]), (f"{start}.ffn.proj_2.weight", [64, inner])]
        yield case(f"openelm{suffix}", {"architectures": ["OpenELMForCausalLM"], "model_type": "openelm", **config}, tensors=found, dtype=dtype,
                   tokenizer="spm")

    # From here on transformers has the classes.
    def classed(id, arch, model_type, variants, base=SMALL, **common):
        for suffix, (dtype, config, more) in zip(("", "-f16", "-f32"), variants):
            file = {"architectures": [arch], "model_type": model_type, **base, **config}
            yield case(id + suffix, file, dtype=dtype, saved=suffix == "-f32", **{**common, **more})

    yield from classed("jais2", "Jais2ForCausalLM", "jais2", (
        ("bf16", {"num_key_value_heads": None}, {}), ("f16", {"head_dim": 32, "rope_theta": 5e5}, {}), ("f32", {"tie_word_embeddings": True}, {})))
    yield from classed("minicpm3", "MiniCPM3ForCausalLM", "minicpm3", (
        ("bf16", {}, {}), ("f16", {"v_head_dim": None, "tie_word_embeddings": False}, {}),
        ("f32", {"rope_scaling": {"type": "longrope", "long_factor": [1.0, 1.5] * 2, "short_factor": [1.0] * 4,
                                  "original_max_position_embeddings": 1024}}, {})),
        base={**SMALL, **rotary, "q_lora_rank": 24, "num_key_value_heads": 4}, tokenizer="spm")

    def wrapped(id, arch, model_type, kind, variants, top=None, **common):
        for suffix, (dtype, config, more) in zip(("", "-f16", "-f32"), variants):
            file = {"architectures": [arch], "model_type": model_type, **(top or {}), "text_config": {"model_type": kind, **SMALL, **config}}
            yield case(id + suffix, file, dtype=dtype, saved=suffix == "-f32", **{**common, **more})

    ways = (("bf16", {}, {}), ("f16", {"num_key_value_heads": 4}, {"tokenizer": "gpt2-trimmed"}), ("f32", {"rope_theta": 5e5}, {}))
    yield from wrapped("llava", "LlavaForConditionalGeneration", "llava", "llama", ways, tokenizer="spm",
                       top={"vision_config": {"model_type": "clip_vision_model", **VISION}})
    audio = {"d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 48, "hidden_size": 32,
             "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    yield from wrapped("voxtral", "VoxtralForConditionalGeneration", "voxtral", "llama", (
        ("bf16", {"head_dim": 16}, {}), ("f16", {"head_dim": 16, "num_key_value_heads": 4}, {}), ("f32", {"head_dim": 32}, {})),
        tokenizer="spm", top={"audio_config": audio})
    yield from wrapped("qwen2-audio", "Qwen2AudioForConditionalGeneration", "qwen2_audio", "qwen2", ways, top={"audio_config": audio})
    yield from wrapped("audio-flamingo3", "AudioFlamingo3ForConditionalGeneration", "audioflamingo3", "qwen2", ways, top={"audio_config": audio})
    yield from wrapped("janus", "JanusForConditionalGeneration", "janus", "llama", ways, tokenizer="spm",
                       top={"vision_config": {**VISION, "projection_dim": 64, "num_image_tokens": 4}, "vq_config": {
                           "embed_dim": 8, "num_embeddings": 8, "base_channels": 32, "channel_multiplier": [1], "num_res_blocks": 1,
                           "projection_dim": 64, "image_token_embed_dim": 64, "num_hidden_layers": 1, "hidden_size": 64}})
