"""What hears and sees in Granite."""

from checkpoint import projector

TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 2048}
ENCODER = {"input_dim": 16, "num_layers": 4, "hidden_dim": 32, "feedforward_mult": 2, "num_heads": 2, "dim_head": 16, "output_dim": 12,
           "context_size": 8, "max_pos_emb": 16, "conv_kernel_size": 5, "conv_expansion_factor": 2}
QFORMER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "encoder_hidden_size": 32,
           "model_type": "blip_2_qformer"}


def speech(id, encoder=None, qformer=None, config=None, kind="", **more):
    name = f"granite_speech{kind.lower() and '_' + kind.lower()}"
    return projector(f"{name}-{id}", {
        "architectures": [f"GraniteSpeech{kind}ForConditionalGeneration"], "model_type": name,
        "text_config": {"model_type": "granite", **TEXT}, "has_lora_adapter": False, "window_size": 6, "downsample_rate": 3,
        "encoder_config": {"model_type": f"{name}_encoder", **ENCODER, **(encoder or {})}, "projector_config": {**QFORMER, **(qformer or {})},
        **(config or {})}, images=None, **more)


def cases():
    yield speech("plain")
    yield speech("defaults", {"feedforward_mult": 4, "conv_kernel_size": 15}, config={"window_size": 15}, saved=True, dtype="f32")
    yield speech("halves", {"num_heads": 4, "dim_head": 8, "num_layers": 3}, dtype="f16")
    yield speech("mixed", dtypes=[("batch_norm.weight", "f16"), ("running_mean", "f16"), ("running_var", "f32")], dtype="f16")
    yield speech("plain", kind="Plus")
    yield speech("joined", {"cat_hidden_layers": [1, 2]}, {"encoder_hidden_size": 96}, dtype="f32", kind="Plus")
    yield speech("one", {"cat_hidden_layers": [3]}, {"encoder_hidden_size": 64}, dtype="f16", kind="Plus")
    right = speech("built", {"cat_hidden_layers": [3]}, {"encoder_hidden_size": 64}, kind="Plus")["config"]
    yield speech("mismatch", {"cat_hidden_layers": [3]}, kind="Plus", build=(right["architectures"][0], right), refused=True)
    yield from sights()


def sights():
    vision = {"hidden_size": 128, "intermediate_size": 48, "num_hidden_layers": 8, "num_attention_heads": 2, "vision_use_head": False, "image_size": 16, "patch_size": 4}

    def model(id, config=None, changes=None, kind="siglip_vision_model", **more):
        return projector(f"granite4_vision-{id}", {
            "architectures": ["Granite4VisionForConditionalGeneration"], "model_type": "granite4_vision",
            "text_config": {"model_type": "granite4_vision_text", **TEXT, "num_hidden_layers": 8},
            "vision_config": {"model_type": kind, **vision, **(changes or {})}, "downsample_rate": "2/4",
            "qformer_config": {**QFORMER, "hidden_size": 128, "num_hidden_layers": 1, "encoder_hidden_size": 128}, "spatial_target_layers": [1, 4, 2, 6],
            "deepstack_layer_map": [[-2, 3], [1, 0], [0, -1]], "image_grid_pinpoints": [[16, 32], [32, 16]], **(config or {})}, **more)

    yield model("plain")
    yield model("spatial", {"deepstack_layer_map": [], "spatial_vision_layer": 2, "spatial_target_layers": [3, 1, 0, 7]}, dtype="f32")
    yield model("deep", {"use_spatial_sampling": False, "spatial_target_layers": [], "deepstack_layer_map": [[0, 3], [-1, -3], [2, 0]], "downsample_rate": "4/8"},
                {"layer_norm_eps": 1e-5, "image_size": 32}, dtype="f16", drop=["spatial_projectors"])
    # The reference has no name for the class embedding of CLIP.
    yield model("clip", {"image_grid_pinpoints": None}, kind="clip_vision_model", refused=True)
    right = model("built")["config"]
    yield model("no-rate", {"downsample_rate": "2"}, build=(right["architectures"][0], right), refused=True)
