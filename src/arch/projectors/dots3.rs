//! What sees and hears in dots3-note (`Dots3NoteMmprojModel` of the reference). What sees has layers with experts, not the
//! same number in each.

use crate::arch::Keys;
use crate::arch::experts::ExpertNames;
use crate::arch::tensors::Tensor;
use crate::config::Config;
use crate::dtype::GgmlType;
use crate::error::Result;
use crate::gguf::Value;

use super::builder::Builder;
use super::{Input, Projector};
use super::{PLAIN, keys};

pub(super) const DOTS3_NOTE: Projector = Projector {
    names: &["Dots3NoteForCausalLM", "Dots3NoteForConditionalGeneration"],
    audio: true,
    prepare,
    keys: key_values,
    rename: |name| {
        let ours = ["vision_encoder.", "audio_encoder."].iter().any(|prefix| name.starts_with(prefix));
        ours.then(|| name.to_owned())
    },
    emit,
    ggml_type: |_, _, name| {
        let exact = [".ffn_gate_inp.", ".exp_probs_b.", ".conv2d", "a.conv_out"];
        exact.iter().any(|part| name.contains(part)).then_some(GgmlType::F32)
    },
    ..PLAIN
};

const EXPERTS: ExpertNames = ExpertNames {
    one: "vision_encoder.blocks.{bid}.mlp.experts.{xid}.{matrix}.weight",
    stack: "vision_encoder.blocks.{bid}.mlp.experts.{matrix}.weight",
    matrices: &["fc1", "fc2", "fc3"],
};

const WHISPER: &str = "whisper_config";

/// How many experts each layer has; negative numbers mean none.
fn experts(input: &Input) -> Result<Vec<i32>> {
    const KEY: &str = "pyramid_num_routed";
    let wrong = || input.vision.invalid(format!("{KEY}: expected a list of integers"));
    let numbers = input.vision.numbers(KEY)?.ok_or_else(wrong)?;
    let counts = numbers.iter().map(|n| i32::try_from(n.as_i64()?.max(0)).ok());
    counts.collect::<Option<_>>().ok_or_else(wrong)
}

fn prepare(input: &mut Input) -> Result<()> {
    let whisper = input.audio.section(WHISPER)?;
    for (to, from) in [
        ("hidden_size", "d_model"),
        ("intermediate_size", "encoder_ffn_dim"),
        ("num_attention_heads", "encoder_attention_heads"),
        ("num_hidden_layers", "encoder_layers"),
    ] {
        let value = whisper.require_u32(&[from])?;
        input.audio.set(to, value);
    }
    if input.preprocessor.map().contains_key("vision_config") {
        input.preprocessor = input.preprocessor.with_section("vision_config")?;
    }
    let vision = &mut input.vision;
    // `hidden_size` is that of what comes out.
    let width = vision.require_u32(&["embed_dim"])?;
    vision.set("hidden_size", width);
    // Images are of any size.
    vision.set("image_size", 0);
    refuse_variants(&input.vision, &input.audio, &whisper)
}

/// What llama.cpp has no code for, or takes for granted.
fn refuse_variants(vision: &Config, audio: &Config, whisper: &Config) -> Result<()> {
    let is = |config: &Config, key, expected: f64| config.f64(&[key]).map(|found| found == Some(expected));
    let on = |config: &Config, key: &str| config.map().get(key).is_some_and(crate::config::truthy);
    let or = |config: &Config, key: &'static str, expected: f64| match config.map().contains_key(key) {
        true => is(config, key, expected),
        false => Ok(true),
    };
    let rope = audio.optional_section("rope_parameters")?;
    let scoring = vision.map().get("router_scoring_func");
    let demands = [
        (
            vision,
            "adapter_type",
            "patch_merger",
            vision.map().get("adapter_type").is_some_and(|v| *v == "patch_merger"),
        ),
        (vision, "pre_pixel_shuffle", "true", on(vision, "pre_pixel_shuffle")),
        (vision, "router_scoring_func", "sigmoid", scoring.is_none_or(|v| *v == "sigmoid")),
        (vision, "router_scale", "1", or(vision, "router_scale", 1.0)?),
        (vision, "temporal_patch_size", "1", or(vision, "temporal_patch_size", 1.0)?),
        (vision, "use_bias", "false", !on(vision, "use_bias")),
        (vision, "use_qk_norm", "true", on(vision, "use_qk_norm")),
        (audio, "use_conv2d_stem", "true", on(audio, "use_conv2d_stem")),
        (audio, "use_rope", "true", on(audio, "use_rope")),
        (audio, "use_rms_norm", "true", on(audio, "use_rms_norm")),
        (audio, "use_causal", "false", !on(audio, "use_causal")),
        (audio, "merge_factor", "1", or(audio, "merge_factor", 1.0)?),
        (audio, "chunk_seconds", "60", is(audio, "chunk_seconds", 60.0)?),
        (
            whisper,
            "activation_function",
            "swiglu",
            whisper.map().get("activation_function").is_some_and(|v| *v == "swiglu"),
        ),
        (&rope, "partial_rotary_factor", "0.5", is(&rope, "partial_rotary_factor", 0.5)?),
        (&rope, "rope_theta", "10000", is(&rope, "rope_theta", 10000.0)?),
    ];
    match demands.iter().find(|(.., met)| !met) {
        None => Ok(()),
        Some((config, key, expected, _)) => {
            Err(config.unsupported(format!("{key}: expected {expected}; llama.cpp has nothing else")))
        }
    }
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let (vision, preprocessor) = (&input.vision, &input.preprocessor);
    keys.set("vision.projector_type", Value::String("dots3note_v".into()));
    keys.set_bool("use_silu", Some(true));
    keys.set_f32("vision.attention.layer_norm_epsilon", Some(vision.require_f32(&["rms_norm_eps"])?));
    keys.set_u32("vision.spatial_merge_size", Some(vision.require_u32(&["spatial_merge_size"])?));
    keys.set_u32("vision.image_min_pixels", Some(preprocessor.require_u32(&["min_pixels"])?));
    keys.set_u32("vision.image_max_pixels", Some(preprocessor.require_u32(&["max_pixels"])?));
    let experts = experts(input)?;
    if !experts.is_empty() {
        keys.set("vision.expert_count_per_layer", Value::I32s(experts));
    }
    let used = vision.require_f64(&["capacity_factor"])?.trunc();
    keys.set_u32("vision.expert_used_count", Some(keys::rounded(vision, "capacity_factor", used)?));
    keys.set("audio.projector_type", Value::String("dots3note_a".into()));
    let mel = input.audio.section(WHISPER)?.require_u32(&["num_mel_bins"])?;
    keys.set_u32("audio.num_mel_bins", Some(mel));
    keys.set_f32("audio.attention.layer_norm_epsilon", Some(1e-6));
    Ok(())
}

fn emit(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    if [".gate_weight", ".router_bias"].iter().any(|end| tensor.name.ends_with(end)) {
        tensor.name.push_str(".weight");
    }
    if tensor.name.contains(".speech_encoder.layers.") && tensor.name.contains(".fc1.") {
        let (gate, up) = tensor.expr.halves(0)?;
        builder.add_named(tensor.name.replace(".fc1.", ".fc1_gate."), tensor.layer, gate)?;
        return builder.add_named(tensor.name.replace(".fc1.", ".fc1_up."), tensor.layer, up);
    }
    if tensor.name.contains(".mlp.experts.") {
        let experts = experts(input)?;
        let layer = tensor.layer.and_then(|layer| usize::try_from(layer).ok());
        let count = layer.and_then(|layer| experts.get(layer)).and_then(|count| u32::try_from(*count).ok());
        return builder.add_expert(tensor, count.unwrap_or(0), &EXPERTS);
    }
    builder.add(tensor)
}
