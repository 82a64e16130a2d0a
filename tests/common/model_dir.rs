//! Writes a Hugging Face model directory from a short description.
//!
//! The tensors follow from the dimensions in `config.json`; their layout in the file is that of the
//! Hugging Face writer, or one of the legal ones other writers choose.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::weights::{self, Dtype};

/// A model directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelDir {
    /// The directory's name; `general.name` and more is guessed from it.
    pub dir: String,
    /// `config.json`; none is written if absent.
    pub config: Option<Map<String, Value>>,
    /// A directory under `tests/tokenizers` whose files are copied.
    pub tokenizer: Option<String>,
    /// Further files: text as a string or a list of lines, anything else as JSON.
    #[serde(default)]
    pub files: BTreeMap<String, Value>,
    /// The tensors.
    pub weights: Weights,
    /// Those of further modules, each in a directory of its own.
    #[serde(default)]
    pub modules: BTreeMap<String, Weights>,
    /// The model that this one drafts for, in its subdirectory `target`.
    pub target: Option<Target>,
}

/// A model of which only settings and tokenizer count.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub config: Map<String, Value>,
    pub tokenizer: String,
}

/// The tensors of a decoder of the Llama kind, and how they lie in files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    pub seed: u64,
    pub dtype: Dtype,
    /// Other dtypes by part of a tensor's name; the last match counts.
    #[serde(default)]
    pub dtypes: Vec<(String, Dtype)>,
    /// No subnormals, infinities, NaNs and the like.
    #[serde(default)]
    pub ordinary: bool,
    /// Nothing beyond 8, infinite or no number.
    #[serde(default)]
    pub bounded: bool,
    /// Tensors of integers that never fall.
    #[serde(default)]
    pub ascending: Vec<String>,
    /// All tensors, instead of those that would follow from the dimensions. `{0-3}` in a name stands for
    /// each of the numbers.
    pub tensors: Option<Vec<Listed>>,
    /// Dimensions that `config.json` leaves to the class's defaults.
    #[serde(default)]
    pub dims: Map<String, Value>,
    /// What the names of all tensors but `lm_head.weight` start with.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// The linear layers that have a bias, such as `q_proj`.
    #[serde(default)]
    pub bias: Vec<String>,
    /// Whether Q and K are normalized per head.
    #[serde(default)]
    pub qk_norm: bool,
    /// How experts are stored, if there are any.
    pub experts: Option<Experts>,
    /// Layers without experts in a model that has them.
    #[serde(default)]
    pub dense_layers: Vec<usize>,
    /// Overrides `lm_head.weight`'s presence, which follows from `tie_word_embeddings`.
    pub lm_head: Option<bool>,
    /// Tensors on top, by name and shape.
    #[serde(default)]
    pub extra: Vec<(String, Vec<usize>)>,
    /// Tensors left out (of those that are not extra), by part of their name.
    #[serde(default)]
    pub omit: Vec<String>,
    /// Tensors in the index that no file holds.
    #[serde(default)]
    pub only_in_index: Vec<String>,
    #[serde(default = "one")]
    pub shards: usize,
    /// Overrides the presence of the index, which only several shards have.
    pub index: Option<bool>,
    /// Names of files start with `consolidated`, as in Mistral's own format, which has no index.
    #[serde(default)]
    pub consolidated: bool,
    /// Or with this.
    pub stem: Option<String>,
    #[serde(default)]
    pub header: Header,
}

/// Names and shape of tensors, and their dtype if it is not that of most.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Listed {
    Plain(String, Vec<usize>),
    Typed(String, Vec<usize>, Dtype),
    /// And its values, over and over.
    Given(String, Vec<usize>, Dtype, Vec<f64>),
}

/// How experts are named and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Experts {
    /// `block_sparse_moe.experts.0.w1`, as in Mixtral.
    Mixtral,
    /// `mlp.experts.0.gate_proj`, as in Qwen.
    Qwen,
    /// `mlp.experts.gate_up_proj`: all experts in two tensors.
    Fused,
}

/// What follows the JSON of a safetensors header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// Spaces up to a multiple of 8: the Hugging Face writer.
    #[default]
    Padded,
    /// Nothing, and an odd length: data starts at an odd offset.
    Odd,
    /// Spaces until data starts on the 32-byte grid.
    Aligned,
}

struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    given: Vec<f64>,
}

impl Tensor {
    fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    fn len(&self) -> usize {
        self.elements() * self.dtype.size()
    }
}

fn default_prefix() -> String {
    "model.".into()
}

fn one() -> usize {
    1
}

impl ModelDir {
    /// Writes the directory below `parent`; `tokenizers` holds the tokenizers to copy.
    pub fn write(&self, parent: &Path, tokenizers: &Path) -> io::Result<()> {
        let dir = parent.join(&self.dir);
        fs::create_dir_all(&dir)?;
        if let Some(config) = &self.config {
            fs::write(dir.join("config.json"), serde_json::to_string_pretty(config)?)?;
        }
        if let Some(name) = &self.tokenizer {
            copy_tokenizer(&tokenizers.join(name), &dir)?;
        }
        if let Some(target) = &self.target {
            let dir = dir.join("target");
            fs::create_dir_all(&dir)?;
            fs::write(dir.join("config.json"), serde_json::to_string_pretty(&target.config)?)?;
            copy_tokenizer(&tokenizers.join(&target.tokenizer), &dir)?;
        }
        for (name, content) in &self.files {
            let text = match content {
                Value::String(text) => text.clone(),
                Value::Array(lines) if lines.iter().all(Value::is_string) => {
                    lines.iter().filter_map(Value::as_str).map(|l| format!("{l}\n")).collect()
                }
                json => serde_json::to_string_pretty(json)?,
            };
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&dir))?;
            fs::write(path, text)?;
        }
        for (path, weights) in &self.modules {
            fs::create_dir_all(dir.join(path))?;
            weights.write(&dir.join(path), &Map::new())?;
        }
        self.weights.write(&dir, self.config.as_ref().unwrap_or(&Map::new()))
    }
}

fn copy_tokenizer(from: &Path, dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // What the tokenizer's own test expects, and no part of a model.
        if entry.file_name() != "expected.json" {
            fs::copy(entry.path(), dir.join(entry.file_name()))?;
        }
    }
    Ok(())
}

impl Weights {
    fn write(&self, dir: &Path, config: &Map<String, Value>) -> io::Result<()> {
        let tensors = self.tensors(config);
        let shards = self.shards;
        let usual = if self.consolidated { "consolidated" } else { "model" };
        let stem = self.stem.as_deref().unwrap_or(usual);
        let mut weight_map = Map::new();
        for (i, part) in tensors.chunks(tensors.len().div_ceil(shards).max(1)).enumerate() {
            let file = match shards {
                1 => format!("{stem}.safetensors"),
                _ => format!("{stem}-{:05}-of-{shards:05}.safetensors", i + 1),
            };
            weight_map.extend(part.iter().map(|t| (t.name.clone(), json!(file))));
            weight_map.extend(self.only_in_index.iter().map(|name| (name.clone(), json!(file))));
            fs::write(dir.join(file), safetensors(part, self))?;
        }
        if self.index.unwrap_or(shards > 1 && !self.consolidated) {
            let total_size: usize = tensors.iter().map(Tensor::len).sum();
            let index = json!({"metadata": {"total_size": total_size}, "weight_map": weight_map});
            fs::write(dir.join("model.safetensors.index.json"), serde_json::to_string_pretty(&index)?)?;
        }
        Ok(())
    }

    /// The tensors in the order a model is written down, which is how shards are cut.
    fn tensors(&self, config: &Map<String, Value>) -> Vec<Tensor> {
        if let Some(listed) = &self.tensors {
            return listed.iter().flat_map(|tensors| self.listed(tensors)).collect();
        }
        let dim =
            |key: &str| config.get(key).or(self.dims.get(key)).and_then(Value::as_u64).map(|n| n as usize);
        let need = |key: &str| dim(key).unwrap_or_else(|| panic!("`{key}` is needed to make the tensors"));
        let hidden = need("hidden_size");
        let heads = need("num_attention_heads");
        let kv_heads = dim("num_key_value_heads").unwrap_or(heads);
        let head = dim("head_dim").unwrap_or(hidden / heads);
        let vocab = need("vocab_size");
        let tied = config.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false);

        let mut shapes: Vec<(String, Vec<usize>)> = vec![];
        let mut add = |name: String, shape: &[usize]| shapes.push((name, shape.into()));
        add("embed_tokens.weight".into(), &[vocab, hidden]);
        for layer in 0..need("num_hidden_layers") {
            let at = |name: &str| format!("layers.{layer}.{name}");
            let mut linear = |block: &str, name: &str, rows: usize, columns: usize| {
                add(at(&format!("{block}.{name}.weight")), &[rows, columns]);
                if self.bias.iter().any(|b| b == name) {
                    add(at(&format!("{block}.{name}.bias")), &[rows]);
                }
            };
            linear("self_attn", "q_proj", heads * head, hidden);
            linear("self_attn", "k_proj", kv_heads * head, hidden);
            linear("self_attn", "v_proj", kv_heads * head, hidden);
            linear("self_attn", "o_proj", hidden, heads * head);
            match self.experts.filter(|_| !self.dense_layers.contains(&layer)) {
                None => {
                    let ff = need("intermediate_size");
                    linear("mlp", "gate_proj", ff, hidden);
                    linear("mlp", "up_proj", ff, hidden);
                    linear("mlp", "down_proj", hidden, ff);
                }
                Some(Experts::Mixtral) => {
                    let (ff, experts) = (need("intermediate_size"), need("num_local_experts"));
                    linear("block_sparse_moe", "gate", experts, hidden);
                    for x in 0..experts {
                        linear(&format!("block_sparse_moe.experts.{x}"), "w1", ff, hidden);
                        linear(&format!("block_sparse_moe.experts.{x}"), "w2", hidden, ff);
                        linear(&format!("block_sparse_moe.experts.{x}"), "w3", ff, hidden);
                    }
                }
                Some(form) => {
                    let (ff, experts) = (need("moe_intermediate_size"), need("num_experts"));
                    linear("mlp", "gate", experts, hidden);
                    if form == Experts::Fused {
                        add(at("mlp.experts.gate_up_proj"), &[experts, 2 * ff, hidden]);
                        add(at("mlp.experts.down_proj"), &[experts, hidden, ff]);
                    } else {
                        for x in 0..experts {
                            linear(&format!("mlp.experts.{x}"), "gate_proj", ff, hidden);
                            linear(&format!("mlp.experts.{x}"), "up_proj", ff, hidden);
                            linear(&format!("mlp.experts.{x}"), "down_proj", hidden, ff);
                        }
                    }
                }
            }
            if self.qk_norm {
                add(at("self_attn.q_norm.weight"), &[head]);
                add(at("self_attn.k_norm.weight"), &[head]);
            }
            add(at("input_layernorm.weight"), &[hidden]);
            add(at("post_attention_layernorm.weight"), &[hidden]);
        }
        add("norm.weight".into(), &[hidden]);

        let mut named: Vec<_> = shapes.into_iter().map(|(n, s)| (format!("{}{n}", self.prefix), s)).collect();
        if self.lm_head.unwrap_or(!tied) {
            named.push(("lm_head.weight".into(), vec![vocab, hidden]));
        }
        named.retain(|(name, _)| !self.omit.iter().any(|part| name.contains(part)));
        named.extend(self.extra.iter().cloned());
        named
            .into_iter()
            .map(|(name, shape)| Tensor { dtype: self.dtype_of(&name), name, shape, given: Vec::new() })
            .collect()
    }

    fn listed(&self, tensors: &Listed) -> Vec<Tensor> {
        let (pattern, shape, dtype) = match tensors {
            Listed::Plain(pattern, shape) => (pattern, shape, None),
            Listed::Typed(pattern, shape, dtype) | Listed::Given(pattern, shape, dtype, _) => {
                (pattern, shape, Some(*dtype))
            }
        };
        let named = expand(pattern).into_iter().map(|name| {
            let dtype = dtype.unwrap_or_else(|| self.dtype_of(&name));
            let given = if let Listed::Given(.., given) = tensors { given.clone() } else { Vec::new() };
            Tensor { name, dtype, shape: shape.clone(), given }
        });
        named.collect()
    }

    fn dtype_of(&self, name: &str) -> Dtype {
        self.dtypes.iter().rev().find(|(part, _)| name.contains(part)).map_or(self.dtype, |(_, dtype)| *dtype)
    }
}

/// The names a pattern stands for.
fn expand(pattern: &str) -> Vec<String> {
    let Some((head, rest)) = pattern.split_once('{') else {
        return vec![pattern.to_owned()];
    };
    let (range, tail) = rest.split_once('}').expect("a closing brace");
    let (from, to) = range.split_once('-').expect("a range");
    let (from, to): (usize, usize) = (from.parse().expect("a number"), to.parse().expect("a number"));
    let tails = expand(tail);
    (from..=to).flat_map(|n| tails.iter().map(move |tail| format!("{head}{n}{tail}"))).collect()
}

/// A safetensors file: tensors packed by dtype (as the writer ranks them), then by name.
fn safetensors(tensors: &[Tensor], weights: &Weights) -> Vec<u8> {
    let mut sorted: Vec<&Tensor> = tensors.iter().collect();
    sorted.sort_by(|a, b| (a.dtype as u8, &a.name).cmp(&(b.dtype as u8, &b.name)));

    let mut header = Map::from_iter([("__metadata__".into(), json!({"format": "pt"}))]);
    let mut data = vec![];
    for t in sorted {
        let start = data.len();
        if !t.given.is_empty() {
            data.extend(weights::given(t.dtype, &t.given, t.elements()));
        } else {
            data.extend(weights::bytes(weights.seed, &t.name, t.dtype, t.elements(), weights.ordinary));
        }
        if weights.bounded && t.given.is_empty() {
            weights::bound(t.dtype, &mut data[start..]);
        }
        if weights.ascending.contains(&t.name) {
            weights::ascend(t.dtype, &mut data[start..]);
        }
        if t.name.ends_with("running_var") {
            weights::make_positive(t.dtype, &mut data[start..]);
        }
        let entry = json!({"dtype": t.dtype.name(), "shape": t.shape, "data_offsets": [start, data.len()]});
        header.insert(t.name.clone(), entry);
    }
    let mut json = Value::Object(header).to_string().into_bytes();
    let (unit, rest) = match weights.header {
        Header::Padded => (8, 0),
        Header::Odd => (2, 1),
        Header::Aligned => (32, 0),
    };
    while (8 + json.len()) % unit != rest {
        json.push(b' ');
    }
    [&(json.len() as u64).to_le_bytes(), &*json, &*data].concat()
}
