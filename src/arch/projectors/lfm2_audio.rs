//! What hears in LFM2-Audio: a conformer (`LFM2AudioModel` of the reference). What speaks is left out.

use crate::error::Result;

use super::{Input, Projector};
use super::{PLAIN, conformer, keys};

pub(super) const LFM2_AUDIO: Projector = Projector {
    names: &["Lfm2AudioForConditionalGeneration"],
    vision: false,
    audio: true,
    audio_config: &["encoder"],
    prepare,
    keys: |input, keys| {
        keys::common(input, keys)?;
        keys::kind(keys, "lfm2a");
        keys.set_u32("audio.num_mel_bins", Some(input.audio.require_u32(&["feat_in"])?));
        keys.set_f32("audio.attention.layer_norm_epsilon", Some(1e-5));
        Ok(())
    },
    rename: |name| {
        let other = name.starts_with("lfm.") || OTHER_PARTS.iter().any(|part| name.contains(part));
        (!other).then(|| name.to_owned())
    },
    emit: conformer::emit,
    ggml_type: |_, source, _| conformer::ggml_type(source),
    ..PLAIN
};

/// What is for training, or speaks.
const OTHER_PARTS: [&str; 5] =
    ["audio_loss_weight", "codebook_offsets", "depth_embeddings", "depth_linear", "depthformer"];

/// Settings by their usual names.
fn prepare(input: &mut Input) -> Result<()> {
    let audio = &mut input.audio;
    for (to, from) in
        [("hidden_size", "d_model"), ("intermediate_size", "d_model"), ("num_attention_heads", "n_heads")]
    {
        let value = audio.require_u32(&[from])?;
        audio.set(to, value);
    }
    Ok(())
}
