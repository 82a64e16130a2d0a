//! What `config.json` and `hf_quant_config.json` say of how weights are quantized.

use indexmap::IndexMap;

use crate::arch::{Input, tensors};
use crate::config::{Config, read_json, truthy};
use crate::error::{Error, Result};
use crate::input::quoted;
use crate::json::Value as Json;

/// How a model's weights are quantized.
pub(super) struct Method {
    /// `quant_method`, or who made the checkpoint, if only ModelOpt's file tells.
    pub name: Option<String>,
    /// The section `quantization_config`; empty if there is none.
    pub config: Config,
    /// Whether there are matrices in NVFP4.
    pub nvfp4: bool,
    /// Whether these are in the form of compressed-tensors.
    pub nvfp4_compressed: bool,
    /// What most weights are quantized by, as ModelOpt says it.
    pub algorithm: Option<String>,
    /// The same of modules that differ, by name.
    pub layers: IndexMap<String, Option<String>>,
}

/// Whether weights that compressed-tensors stores in `format`, by `groups`, are NVFP4 throughout.
fn all_nvfp4(format: Option<&str>, groups: Option<&Json>) -> bool {
    const NVFP4: &str = "nvfp4-pack-quantized";
    let groups: Vec<&Json> = groups.and_then(Json::as_object).into_iter().flat_map(|g| g.values()).collect();
    let of_group = |group: &&Json| group.get("format").and_then(Json::as_str) == Some(NVFP4);
    let mixed = !groups.is_empty() && groups.iter().filter(|g| g.as_object().is_some()).all(of_group);
    format == Some(NVFP4) || format == Some("mixed-precision") && mixed
}

impl Method {
    /// Reads it.
    ///
    /// # Errors
    /// If either file cannot be read, or names modules that the checkpoint has not.
    pub fn read(input: &Input) -> Result<Self> {
        let config = input.config.optional_section("quantization_config")?;
        let of = |key: &str| config.get(&[key]).map(|(_, value)| value.clone());
        let mut name = config.str(&["quant_method"])?.map(str::to_owned);
        let mut algorithm = of("quant_algo");
        let mut format = of("format");
        let (mut groups, mut layers) = (of("config_groups"), of("quantized_layers"));
        let (dir, file) = (&input.checkpoint.dir, "hf_quant_config.json");
        let mut inner = name.clone();
        if !(algorithm.as_ref().is_some_and(truthy) && layers.as_ref().is_some_and(truthy))
            && dir.exists(file)?
        {
            let file = read_json(dir, file)?;
            let producer = file.get("producer").and_then(|p| p.get("name")).and_then(Json::as_str);
            name = name.or_else(|| Some(producer.unwrap_or_default().to_lowercase()));
            let stated = file.get("quantization");
            let stated = |key: &str| stated.and_then(|s| s.get(key)).cloned();
            inner = stated("quant_method").and_then(|m| m.as_str().map(str::to_owned)).or(name.clone());
            algorithm = stated("quant_algo").or(algorithm);
            format = stated("format").or(format);
            groups = stated("config_groups").or(groups);
            layers = stated("quantized_layers").or(layers);
        }
        let nvfp4_compressed = inner.as_deref() == Some("compressed-tensors")
            && all_nvfp4(format.as_ref().and_then(Json::as_str), groups.as_ref());
        let algorithm = algorithm.as_ref().and_then(Json::as_str).map(str::to_owned);
        let stated = layers.as_ref().and_then(Json::as_object);
        let layers: IndexMap<String, Option<String>> = stated
            .into_iter()
            .flatten()
            .filter(|(_, entry)| entry.as_object().is_some())
            .map(|(name, entry)| {
                (name.to_string(), entry.get("quant_algo").and_then(Json::as_str).map(str::to_owned))
            })
            .collect();
        let mixed = layers.values().flatten().any(|algorithm| algorithm.ends_with("NVFP4"));
        let nvfp4 =
            nvfp4_compressed || mixed || matches!(algorithm.as_deref(), Some("NVFP4" | "W4A16_NVFP4"));
        let layers = own_names(input, layers)?;
        Ok(Self { name, config, nvfp4, nvfp4_compressed, algorithm, layers })
    }

    /// What the module that has tensor `name` is quantized by.
    pub fn algorithm_of(&self, name: &str) -> Option<&str> {
        let name = name.strip_suffix(".weight").unwrap_or(name);
        let mut module = Some(name.strip_suffix(".bias").unwrap_or(name));
        while let Some(name) = module {
            if let Some(algorithm) = self.layers.get(name) {
                return algorithm.as_deref();
            }
            module = name.rsplit_once('.').map(|(outer, _)| outer);
        }
        self.algorithm.as_deref()
    }
}

/// `layers` by the names that tensors have here.
fn own_names(
    input: &Input,
    layers: IndexMap<String, Option<String>>,
) -> Result<IndexMap<String, Option<String>>> {
    let mut renamed = IndexMap::with_capacity(layers.len());
    for (name, algorithm) in layers {
        let Some(own) = tensors::own_name(input, &name) else { continue };
        renamed.insert(own, (name, algorithm));
    }
    let mut missing: std::collections::HashSet<&str> = renamed.keys().map(String::as_str).collect();
    for tensor in input.tensors.keys().filter(|_| !renamed.is_empty()) {
        let mut module = tensor.as_str();
        while let Some((outer, _)) = module.rsplit_once('.') {
            module = outer;
            missing.remove(module);
        }
    }
    if let Some(name) =
        renamed.iter().find_map(|(own, (name, _))| missing.contains(own.as_str()).then_some(name))
    {
        let problem = format!("quantized_layers has {}, of which there is no tensor", quoted(name));
        return Err(Error::invalid(&input.checkpoint.dir, problem));
    }
    Ok(renamed.into_iter().map(|(own, (_, algorithm))| (own, algorithm)).collect())
}
