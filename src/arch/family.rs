//! What a family of architectures consists of, and how it describes a model: the names and functions that families
//! fill in, and the order in which they are asked.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value};
use crate::tensor::{OutputTensor, TensorExpr};
use crate::vocab::{self, Route, TokenizerFile};

use super::adapter;
use super::builder::Builder;
use super::draft::{self, TargetModel};
use super::options::{FileType, Mtp, Options};
use super::tensors::{self, Tensor, Tensors};
use super::{keys, merge, quantized};

/// Architectures that are converted alike. Most start from `TEXT`.
pub struct Family {
    /// Names of the Hugging Face classes, as `architectures` in `config.json` gives them.
    pub names: &'static [&'static str],
    /// The GGUF architecture, `general.architecture`.
    pub arch: &'static str,
    /// How the vocabulary is read.
    pub(super) vocab: Route,
    /// The GGUF tensors the architecture has, without `.weight`.
    pub(super) tensors: &'static [&'static str],
    /// Quantization methods whose tensors the family reads itself; others are dequantized, or refused.
    pub(super) packed: &'static [&'static str],
    /// Whether layers for multi-token prediction can be left out, or written alone.
    pub(super) mtp: bool,
    /// Whether a file of such layers alone says so in its name.
    pub(super) mtp_file_name: bool,
    /// What of sentence-transformers can follow the model ([`Checkpoint::modules`]).
    pub modules: Modules,
    /// The settings to go by, where those of the model's configuration are not as the family has them.
    pub(super) settings: fn(&Config) -> Result<Cow<'_, Config>>,
    /// How a draft finds the way to read a vocabulary, which is that of the model it drafts for.
    pub(super) draft: Option<fn(&TargetModel) -> Result<Route>>,
    /// Number of layers of the model.
    pub(super) layers: fn(&Config, &Options, &Checkpoint) -> Result<u32>,
    /// The family to use instead for a model that differs in more than its class's name tells. Refuses
    /// variants that need more than is done here.
    pub(super) variant: fn(&Input) -> Result<Option<&'static Family>>,
    /// Adds key-values that come before all others ([`Model::early`]).
    pub(super) early: fn(&Input, &mut Keys) -> Result<()>,
    /// Adds the key-values, in order.
    pub(super) keys: fn(&Input, &mut Keys) -> Result<()>,
    /// Adds key-values that come after those of the vocabulary, in whose place they go if they are there already.
    pub(super) late: fn(&Input, &mut Keys) -> Result<()>,
    /// Renames a tensor where its name depends on the family, before anything else looks at it; none leaves
    /// it out.
    pub(super) rename: fn(&Input, &str) -> Option<String>,
    /// Replaces what is quantized in a way of the family's own, and says whether that is all there is.
    pub(super) dequantize: fn(&mut Input) -> Result<bool>,
    /// The type of the file, if that does not depend on what is asked for.
    pub(super) file_type: fn(&Input) -> Result<Option<FileType>>,
    /// Moves the codes of a matrix in NVFP4, two to a byte, as `emit` moves weights; asked with the matrix's name.
    pub(super) nvfp4: fn(&Input, &str, TensorExpr) -> Result<TensorExpr>,
    /// Adds tensors that no checkpoint holds; they come first.
    pub(super) generate: fn(&Input, &mut Builder) -> Result<()>,
    /// Turns one tensor of the checkpoint into tensors of the GGUF.
    pub(super) emit: fn(&Input, &mut Builder, Tensor) -> Result<()>,
    /// The type of a matrix, by the names of its source and of itself, if it is not what was asked for.
    pub(super) ggml_type: fn(&Input, &str, &str) -> Option<GgmlType>,
    /// Called when all tensors of the checkpoint were converted.
    pub(super) finish: fn(&Input, &mut Builder) -> Result<()>,
}

/// Layers of sentence-transformers that follow a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modules {
    /// There are none.
    None,
    /// Dense ones, if that is asked for.
    Dense,
    /// The one in this directory, if it has weights.
    At(&'static str),
}

/// What most families have in common.
pub(super) const TEXT: Family = Family {
    names: &[],
    arch: "",
    vocab: vocab::gpt2,
    tensors: &[],
    packed: &[],
    mtp: false,
    mtp_file_name: true,
    modules: Modules::None,
    settings: |config| {
        config.require_known_class()?;
        Ok(Cow::Borrowed(config))
    },
    draft: None,
    early: |_, _| Ok(()),
    layers: |config, _, _| keys::layer_count(config),
    variant: |_| Ok(None),
    keys: keys::common,
    late: |_, _| Ok(()),
    rename: |_, name| Some(name.to_owned()),
    dequantize: |_| Ok(false),
    file_type: |_| Ok(None),
    nvfp4: |_, _, codes| Ok(codes),
    generate: |_, _| Ok(()),
    emit: |_, builder, tensor| builder.add(tensor),
    ggml_type: |_, _, _| None,
    finish: |_, _| Ok(()),
};

/// [`Family::settings`] of a family whose configuration is read without the defaults of its class.
pub(super) fn bare(config: &Config) -> Result<Cow<'_, Config>> {
    config.bare().map(Cow::Owned)
}

/// What a GGUF must contain.
#[derive(Clone, Debug)]
pub struct Model {
    /// `general.architecture`.
    pub arch: &'static str,
    /// The hyperparameters, `general.file_type` among them, in the reference's order.
    pub hparams: KeyValues,
    /// Key-values that the reference finds out before it describes the model; they come before all that do.
    pub early: KeyValues,
    /// Key-values that come after those of the vocabulary.
    pub late: KeyValues,
    /// Key-values about single tensors; they come before those of the vocabulary.
    pub extra: KeyValues,
    /// The tensors, in the reference's order.
    pub tensors: Vec<OutputTensor>,
    /// Whether these are only layers for multi-token prediction, and the file's name has to say so.
    pub only_prediction: bool,
    /// The predominant element type.
    pub ftype: FileType,
    /// How the vocabulary is read.
    pub vocab: Route,
    /// Whether that is the vocabulary of the model that this one drafts for.
    pub drafts: bool,
    /// The settings that were gone by.
    pub settings: Config,
}

/// The tensors of a model, and key-values that come of looking at them.
#[derive(Default)]
struct Described {
    tensors: Vec<OutputTensor>,
    early: KeyValues,
    extra: KeyValues,
}

/// Says of tensors that they must not be multiplied by activations of four bits.
fn extra(mut wide: Vec<String>) -> KeyValues {
    let mut extra = KeyValues::new();
    if !wide.is_empty() {
        wide.sort_unstable();
        let count = wide.len();
        extra.set_strings("general.tensor_extra.name", wide);
        extra.set("general.tensor_extra.prec_a4", Value::Bools(vec![false; count]));
    }
    extra
}

/// What a family's functions may look at.
pub(super) struct Input<'a> {
    pub(super) family: &'static Family,
    /// The Hugging Face class, one of `family.names`.
    pub(super) architecture: &'a str,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) config: &'a Config,
    /// The few families that ask it would else read it again.
    pub(super) tokenizer: &'a TokenizerFile,
    pub(super) options: &'a Options,
    /// What this model drafts for. There if the family drafts.
    pub(super) target: Option<&'a TargetModel>,
    /// The rope settings in `config`.
    pub(super) rope: Config,
    pub(super) layers: u32,
    pub(super) ftype: FileType,
    /// The checkpoint's tensors, dequantized, by the names that `family.rename` gives them, in order. `rename`
    /// itself sees none.
    pub(super) tensors: Tensors,
    /// Which of `tensors` were FP8.
    pub(super) fp8: HashSet<String>,
    /// Whether `tensors` are an adapter's.
    pub(super) adapter: bool,
}

/// Key-values under the architecture's prefix.
pub(super) struct Keys {
    pub(super) arch: &'static str,
    pub(super) values: KeyValues,
}

impl Keys {
    /// Sets `ARCH.key`.
    pub(super) fn set(&mut self, key: &str, value: Value) {
        self.values.set(format!("{}.{key}", self.arch), value);
    }

    /// Sets `ARCH.key` if there is a value.
    pub(super) fn set_u32(&mut self, key: &str, value: Option<u32>) {
        if let Some(value) = value {
            self.set(key, Value::U32(value));
        }
    }

    /// Sets `ARCH.key` if there is a value.
    pub(super) fn set_f32(&mut self, key: &str, value: Option<f32>) {
        if let Some(value) = value {
            self.set(key, Value::F32(value));
        }
    }

    /// Sets `ARCH.key` if there is a value.
    pub(super) fn set_bool(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.set(key, Value::Bool(value));
        }
    }

    /// Sets `ARCH.key`, unless the list is empty: the reference's writer leaves such out.
    pub(super) fn set_bools(&mut self, key: &str, values: Vec<bool>) {
        if !values.is_empty() {
            self.set(key, Value::Bools(values));
        }
    }
}

impl Family {
    /// How the vocabulary is read.
    pub fn vocabulary(&self) -> Route {
        self.vocab
    }

    /// Describes the GGUF for a model of this family.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for variants that are not handled, [`Error::Invalid`] where the config is
    /// absurd or does not fit the tensors.
    pub fn build(
        &'static self,
        checkpoint: &Checkpoint,
        config: &Config,
        tokenizer: &TokenizerFile,
        options: &Options,
        target: Option<&TargetModel>,
    ) -> Result<Model> {
        let settings = (self.settings)(config)?;
        let mut input = self.input(checkpoint, settings.as_ref(), tokenizer, options, target)?;
        let family = input.family;
        let vocab = match family.draft {
            None => family.vocab,
            Some(route) => route(draft::target(&input)?)?,
        };
        input.tensors = tensors::index(&input);
        input.ftype = tensors::file_type(options.out, checkpoint, &input.tensors);
        let keys = || Keys { arch: family.arch, values: KeyValues::new() };
        let (mut early, mut hparams, mut late) = (keys(), keys(), keys());
        (family.early)(&input, &mut early)?;
        let described = match options.vocab_only {
            true => Described::default(),
            false => family.describe_tensors(&mut input)?,
        };
        early.values.extend(described.early);
        (family.keys)(&input, &mut hparams)?;
        (family.late)(&input, &mut late)?;
        let (ftype, only_prediction) = (input.ftype, options.mtp == Mtp::Only && family.mtp_file_name);
        Ok(Model {
            arch: family.arch,
            hparams: hparams.values,
            early: early.values,
            late: late.values,
            extra: described.extra,
            only_prediction,
            tensors: described.tensors,
            ftype,
            vocab,
            drafts: family.draft.is_some(),
            settings: settings.into_owned(),
        })
    }

    /// Describes the GGUF for the adapter in `checkpoint` of a model of this family; it has no hyperparameters.
    ///
    /// # Errors
    /// As [`Family::build`]; also if factors are missing or do not fit each other, or the adapter has more than those.
    pub fn build_adapter(
        &'static self,
        checkpoint: &Checkpoint,
        config: &Config,
        tokenizer: &TokenizerFile,
        options: &Options,
    ) -> Result<Model> {
        // The reference reads it for adapters in one way whatever the family.
        config.require_known_class()?;
        let mut input = self.input(checkpoint, config, tokenizer, options, None)?;
        input.adapter = true;
        input.tensors = adapter::tensors(&input)?;
        input.ftype = tensors::file_type(options.out, checkpoint, &input.tensors);
        let family = input.family;
        let described = family.describe_tensors(&mut input)?;
        Ok(Model {
            arch: family.arch,
            hparams: KeyValues::new(),
            early: described.early,
            late: KeyValues::new(),
            extra: KeyValues::new(),
            only_prediction: false,
            tensors: described.tensors,
            ftype: input.ftype,
            vocab: family.vocab,
            drafts: false,
            settings: config.clone(),
        })
    }

    /// What the functions of the family, or the variant of it that the model is, may look at; no tensors yet.
    fn input<'a>(
        &'static self,
        checkpoint: &'a Checkpoint,
        config: &'a Config,
        tokenizer: &'a TokenizerFile,
        options: &'a Options,
        target: Option<&'a TargetModel>,
    ) -> Result<Input<'a>> {
        if options.mtp != Mtp::Keep && !self.mtp {
            let architecture = config.architecture()?;
            return Err(Error::unsupported(format!(
                "--mtp and --no-nextn: {architecture} has no layers for multi-token prediction"
            )));
        }
        let mut input = Input {
            family: self,
            architecture: config.architecture()?,
            checkpoint,
            config,
            tokenizer,
            options,
            target,
            rope: config.rope()?,
            layers: (self.layers)(config, options, checkpoint)?,
            ftype: FileType::F32,
            tensors: Tensors::default(),
            fp8: HashSet::new(),
            adapter: false,
        };
        if let Some(family) = (self.variant)(&input)? {
            input.family = family;
        }
        Ok(input)
    }

    /// The tensors of `input` and what is found out on the way. What they are stored as may change the type of the file.
    fn describe_tensors(&self, input: &mut Input) -> Result<Described> {
        let mut quantized = match input.adapter {
            true => None,
            false => {
                let quantized = quantized::dequantize(input)?;
                merge::apply(input)?;
                Some(quantized)
            }
        };
        let mut builder = Builder::new(input);
        let mut wide = Vec::new();
        if let Some(quantized) = &mut quantized {
            wide = quantized.add(input, &mut builder)?;
            (self.generate)(input, &mut builder)?;
        }
        for (name, expr) in &input.tensors {
            if let Some(tensor) = tensors::load(input.checkpoint, name, expr)? {
                builder.begin(name);
                let before = builder.count();
                let mut converted = (self.emit)(input, &mut builder, tensor);
                if input.adapter && builder.count() == before && name == "lm_head.weight" {
                    converted = converted.and_then(|()| Err(adapter::ignored_output(&input.checkpoint.dir)));
                }
                converted.map_err(|error| match input.adapter {
                    true => adapter::place(input, name, expr, error),
                    false => tensors::place(input.checkpoint, name, expr, error),
                })?;
            }
        }
        (self.finish)(input, &mut builder)?;
        let (tensors, early) = builder.finish()?;
        if let Some(ftype) = quantized.and_then(|quantized| quantized.file_type())
            && matches!(input.ftype, FileType::F32 | FileType::F16 | FileType::Bf16)
        {
            input.ftype = ftype;
        }
        if let Some(ftype) = (self.file_type)(input)? {
            input.ftype = ftype;
        }
        Ok(Described { tensors, early: early.values, extra: extra(wide) })
    }
}
