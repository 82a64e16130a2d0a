"""Muse Glimmer."""

from checkpoint import case

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 5, "num_attention_heads": 4, "num_key_value_heads": 2,
         "head_dim": 16, "max_position_embeddings": 2048, "sliding_window": 64}
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 14}


def muse(id, text=None, **more):
    config = {"architectures": ["MuseGlimmerForConditionalGeneration"], "model_type": "muse_glimmer", "vision_config": VISION,
              "projector_hidden_size": 16, "out_hidden_size": 16, "text_config": {"model_type": "muse_glimmer_text", **SMALL, **(text or {})}}
    return case(id, config, **more)


def cases():
    yield muse("muse-glimmer")
    yield muse("muse-glimmer-f16", {"num_key_value_heads": 4, "qk_scale_factor": 2.5, "tie_word_embeddings": True, "rms_norm_eps": 1e-6},
               dtype="f16", saved=True)
    yield muse("muse-glimmer-f32", {"head_dim": 32, "layer_types": ["full_attention"] * 2 + ["sliding_attention"] * 3, "rope_theta": 5e5,
                                    "final_logit_softcapping": 30.0}, dtype="f32")
    yield muse("muse-glimmer-no-window", {"sliding_window": None}, refused=True)
