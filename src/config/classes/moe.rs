//! Mixtures of experts that no larger family goes with: AFMoE, Mellum.

use super::hooks::{Hooks, PLAIN};
use crate::config::layers::{self, FULL, SLIDING};
use crate::config::values::{Object, Refusal, int, null, truthy};
use crate::config::{class::Class, derive};
use crate::json::json;

pub(super) const AFMOE: Hooks = Hooks {
    layer_types: Some(|config, _| {
        let period = config.get("global_attn_every_n_layers").cloned().unwrap_or_default();
        layers::full_every(config, period, SLIDING, 1)
    }),
    ..PLAIN
};

pub(super) const MELLUM: Hooks = Hooks {
    before: &[rope_by_layer],
    layer_types: Some(|config, _| layers::uniform(config, FULL)),
    layered: &[all_sparse],
    rope: |_, _, _| Ok(None),
    after: prediction,
    validate: &[one_prediction_layer],
    ..PLAIN
};

const PREDICTS: &str = "num_nextn_predict_layers";

fn rope_by_layer(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    let rope = json!({
        "full_attention": {"rope_type": "default", "rope_theta": 500_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    });
    derive::default_rope(config, rope);
    Ok(())
}

fn all_sparse(_: &Class, config: &mut Object, _: &mut Object) -> Result<(), Refusal> {
    if null(config, "mlp_layer_types") {
        layers::set_mlp_types(config, layers::depth(config)?, 0);
    }
    Ok(())
}

fn prediction(config: &mut Object) -> Result<(), Refusal> {
    if !config.get(PREDICTS).is_some_and(truthy) {
        return Ok(());
    }
    let count = usize::try_from(int(config, PREDICTS)?).unwrap_or(0).min(2);
    for (key, kind) in [("mtp_layer_types", SLIDING), ("mtp_mlp_layer_types", "sparse")] {
        if null(config, key) {
            config.insert(key.into(), vec![kind; count].into());
        }
    }
    Ok(())
}

fn one_prediction_layer(config: &Object) -> Result<(), Refusal> {
    if !null(config, PREDICTS) && int(config, PREDICTS)? > 1 {
        return Err("there is more than one layer for prediction".into());
    }
    Ok(())
}
