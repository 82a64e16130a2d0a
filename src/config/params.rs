//! `params.json`: the settings of a model in Mistral's own format. The reference takes them as they are, and
//! gives those of models with experts the names that DeepSeek's settings have (`MistralModel` and
//! `MistralMoeModel`).

use crate::json::{Map, Value, json};

use super::{Config, read_json, shown};
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::source::ModelDir;

/// What families are told the model's class is; the format itself names none.
const CLASS: &str = "MistralModel";

/// Names of settings here and in DeepSeek's `config.json`.
const RENAMED: [(&str, &str); 6] = [
    ("dim", "hidden_size"),
    ("norm_eps", "rms_norm_eps"),
    ("n_kv_heads", "num_key_value_heads"),
    ("n_layers", "num_hidden_layers"),
    ("n_heads", "num_attention_heads"),
    ("hidden_dim", "intermediate_size"),
];

/// The same for those in `moe`.
const EXPERTS: [(&str, &str); 9] = [
    ("route_every_n", "moe_layer_freq"),
    ("first_k_dense_replace", "first_k_dense_replace"),
    ("num_experts_per_tok", "num_experts_per_tok"),
    ("num_experts", "n_routed_experts"),
    ("expert_hidden_dim", "moe_intermediate_size"),
    ("routed_scale", "routed_scaling_factor"),
    ("num_shared_experts", "n_shared_experts"),
    ("num_expert_groups", "n_group"),
    ("num_expert_groups_per_tok", "topk_group"),
];

/// The context of a model with experts that does not say.
const CONTEXT: u32 = 128_000;

impl Config {
    /// Reads `params.json` in `dir`.
    ///
    /// # Errors
    /// If the file cannot be read or is not a JSON object, or the weights are quantized in an unknown way.
    pub fn load_params(dir: &ModelDir) -> Result<Self> {
        let path = dir.join("params.json");
        let json = match read_json(dir, "params.json")? {
            Value::Object(map) => map,
            other => {
                return Err(Error::invalid(
                    &path,
                    format!("expected a JSON object, found {}", shown(&other)),
                ));
            }
        };
        let mut config = Self::from_map(path, json.clone(), json, None)?;
        config.architecture = Some(CLASS.into());
        config.origin = None;
        if config.has_experts() {
            config.rename_settings()?;
        } else {
            config.describe_quantization()?;
        }
        Ok(config)
    }

    /// Whether this is the `params.json` of a model with experts.
    pub fn has_experts(&self) -> bool {
        self.get(&["moe"]).is_some()
    }

    /// Gives settings the names that DeepSeek's have, and adds what those always say.
    fn rename_settings(&mut self) -> Result<()> {
        let experts = self.section("moe")?.map;
        rename(&self.map.clone(), &mut self.map, &RENAMED);
        rename(&experts, &mut self.map, &EXPERTS);
        let map = &mut self.map;
        let tied = map.get("tied_embeddings").cloned().unwrap_or(false.into());
        map.insert("tie_word_embeddings".into(), tied);
        map.entry("max_position_embeddings".into()).or_insert_with(|| CONTEXT.into());
        map.insert("norm_topk_prob".into(), true.into());
        map.insert("scoring_func".into(), "softmax".into());
        Ok(())
    }

    /// Says what `quantization` does as `config.json` would.
    fn describe_quantization(&mut self) -> Result<()> {
        if self.get(&["quantization"]).is_none() {
            return Ok(());
        }
        let section = self.section("quantization")?;
        match section.str(&["qformat_weight"])? {
            Some("fp8_e4m3") => {
                self.map.insert("quantization_config".into(), json!({"quant_method": "fp8"}));
                Ok(())
            }
            other => {
                let problem = format!(
                    "quantization.qformat_weight: the weights are quantized as {}, and only \"fp8_e4m3\" can be read",
                    other.map_or_else(|| "nothing".to_owned(), quoted)
                );
                Err(self.unsupported(problem).hint("convert the original checkpoint instead"))
            }
        }
    }
}

fn rename(from: &Map<String, Value>, to: &mut Map<String, Value>, names: &[(&str, &str)]) {
    for (here, there) in names {
        if let Some(value) = from.get(*here) {
            to.insert((*there).to_owned(), value.clone());
        }
    }
}
