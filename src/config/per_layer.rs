//! Settings that hold for single layers only (`HeterogeneousConfigMixin` of transformers).

use crate::json::Value;

use super::values::{Object, Refusal, int};
use crate::input::quoted;

/// Settings of single layers, without those that are the same for all.
pub(super) fn apply(config: &mut Object, layers: Value) -> Result<(), Refusal> {
    let Value::Object(layers) = layers else {
        return Err("per_layer_config is not an object".into());
    };
    let count = int(config, "num_hidden_layers")?;
    let mut kept = Vec::new();
    for (layer, overrides) in layers {
        let index: i64 =
            layer.parse().map_err(|_| format!("per_layer_config: {} is no layer", quoted(&layer)))?;
        let Value::Object(mut overrides) = overrides else {
            return Err("per_layer_config holds something else than objects".into());
        };
        if !(0..count).contains(&index) {
            return Err(format!("per_layer_config: there is no layer {index}"));
        }
        if let Some(key) = overrides.keys().find(|key| !config.contains_key(*key)) {
            return Err(format!("per_layer_config: {} is no setting", quoted(key)));
        }
        overrides.retain(|key, value| config.get(key) != Some(value));
        if !overrides.is_empty() {
            kept.push((index, Value::Object(overrides)));
        }
    }
    let digits = kept.iter().map(|(index, _)| index.to_string().len()).max().unwrap_or(0);
    let named = kept.into_iter().map(|(index, overrides)| (format!("{index:0digits$}"), overrides));
    let named: Object = named.collect();
    config.insert("per_layer_config".into(), named.into());
    Ok(())
}
