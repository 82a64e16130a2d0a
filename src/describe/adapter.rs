//! What the GGUF of an adapter must hold: its factors, and what llama.cpp scales them by. It has no tokenizer, and of
//! the base model's settings only what the names and shapes of its tensors follow from.

use super::{Description, NameParts, Options, Target, base, head, notes};
use crate::arch;
use crate::checkpoint::Checkpoint;
use crate::config::{AdapterConfig, Config};
use crate::error::{Error, Result};
use crate::gguf::Value;
use crate::source::ModelDir;
use crate::vocab::{self, TokenizerFile};

/// Longest text that tokens are asked for, in bytes.
const LONGEST_INVOCATION: usize = 1 << 16;

/// Describes the GGUF of the adapter in `dir`.
///
/// # Errors
/// As [`super::describe`].
pub fn describe(dir: &ModelDir, options: &Options) -> Result<Description> {
    let adapter = AdapterConfig::load(dir)?;
    let base = base::find(dir, &adapter, options)?;
    let config = Config::load(&base)?;
    let family = arch::lookup(config.architecture()?).map_err(|e| e.about(base.join("config.json")))?;
    let tokenizer = TokenizerFile::new(&base);
    let mut checkpoint = Checkpoint { dir: base.clone(), ..Checkpoint::default() };
    checkpoint.add_adapter(dir, adapter.clone())?;
    let model = family.build_adapter(&checkpoint, &config, &tokenizer, &options.arch);
    let model = model.map_err(|error| error.of_model(dir.path()))?;
    if model.tensors.is_empty() {
        return Err(Error::invalid(dir.path(), "no tensor of the adapter belongs to the text model"));
    }
    let tensors = model.tensors;
    let general = head::general(dir, options, options.base_model_id.as_deref(), &tensors)?;
    let mut keys = head::begin(model.arch, model.early, "adapter");
    keys.set_string("adapter.type", "lora");
    general.write(&mut keys)?;
    #[allow(clippy::cast_possible_truncation, reason = "the key is a 32-bit float")]
    keys.set_f32("adapter.lora.alpha", adapter.alpha as f32);
    let invocation = invocation(&adapter, &base, &config)?;
    if !invocation.is_empty() {
        keys.set("adapter.alora.invocation_tokens", Value::U32s(invocation));
    }
    keys.set_u32("general.quantization_version", 2);

    warn_of_limits(&adapter)?;
    let notes = notes::left_out(&checkpoint, &tensors, &config);
    let output_type = model.ftype.name();
    let name = NameParts { general, target: Target::Adapter, output_type, only_prediction: false };
    Ok(Description { checkpoint, metadata: keys, tensors, name, notes })
}

/// The tokens after which the adapter begins to work, if it waits for some. Of a text, all but the first: such adapters
/// were trained to begin after it, says the reference.
fn invocation(adapter: &AdapterConfig, base: &ModelDir, config: &Config) -> Result<Vec<u32>> {
    let tokens = adapter.invocation_tokens()?;
    let text = adapter.invocation_text()?;
    let Some(text) = text.filter(|_| tokens.is_empty()) else { return Ok(tokens) };
    if text.len() > LONGEST_INVOCATION {
        let found = text.len();
        let problem =
            format!("invocation_string: expected at most {LONGEST_INVOCATION} bytes, found {found}");
        return Err(adapter.settings().invalid(problem));
    }
    Ok(vocab::encode(base, config.map(), text)?.into_iter().skip(1).collect())
}

/// llama.cpp scales every product by alpha over its rank, whatever PEFT does. The reference turns the factors of layers that have
/// their inputs as rows, as it turns these layers, and llama.cpp wants them as they were.
fn warn_of_limits(adapter: &AdapterConfig) -> Result<()> {
    let merge = "; ggraft lora --merge scales as PEFT does";
    if adapter.by_root_of_rank()? {
        tracing::warn!("use_rslora: llama.cpp scales by alpha/rank, this adapter by alpha/√rank{merge}");
    }
    if !adapter.exceptions("alpha_pattern")?.is_empty() {
        tracing::warn!(
            "alpha_pattern: llama.cpp scales all matrices by one alpha, this adapter does not{merge}"
        );
    }
    if adapter.inputs_are_rows()? {
        tracing::warn!(
            "fan_in_fan_out: llama.cpp does not load adapters for such layers (Conv1D, as GPT-2 has them); ggraft lora --merge \
             merges them"
        );
    }
    Ok(())
}
