//! What a family of architectures consists of, and how it describes a model: the names and functions that families
//! fill in, and the order in which they are asked.

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value};
use crate::tensor::{OutputTensor, TensorExpr};
use crate::vocab::{self, Route, TokenizerFile};

use super::builder::Builder;
use super::options::{FileType, Mtp, Options};
use super::tensors::{self, Tensor};
use super::{keys, quantized};

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
    /// Whether dense layers of sentence-transformers can follow the model ([`Checkpoint::modules`]).
    pub dense_modules: bool,
    /// Whether the configuration is read without the defaults of its class.
    pub(super) bare_config: bool,
    /// Number of layers of the model.
    pub(super) layers: fn(&Config, &Options, &Checkpoint) -> Result<u32>,
    /// The family to use instead for a model that differs in more than its class's name tells. Refuses
    /// variants that need more than is done here.
    pub(super) variant: fn(&Input) -> Result<Option<&'static Family>>,
    /// Adds the key-values, in order.
    pub(super) keys: fn(&Input, &mut Keys) -> Result<()>,
    /// Renames a tensor where its name depends on the family, before anything else looks at it; none leaves
    /// it out.
    pub(super) rename: fn(&Input, &str) -> Option<String>,
    /// Adds tensors that no checkpoint holds; they come first.
    pub(super) generate: fn(&Input, &mut Builder) -> Result<()>,
    /// Turns one tensor of the checkpoint into tensors of the GGUF.
    pub(super) emit: fn(&Input, &mut Builder, Tensor) -> Result<()>,
    /// The type of a matrix, by the names of its source and of itself, if it is not what was asked for.
    pub(super) ggml_type: fn(&Input, &str, &str) -> Option<GgmlType>,
    /// Called when all tensors of the checkpoint were converted.
    pub(super) finish: fn(&Input, &mut Builder) -> Result<()>,
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
    dense_modules: false,
    bare_config: false,
    layers: |config, _, _| keys::layer_count(config),
    variant: |_| Ok(None),
    keys: keys::common,
    rename: |_, name| Some(name.to_owned()),
    generate: |_, _| Ok(()),
    emit: |_, builder, tensor| builder.add(tensor),
    ggml_type: |_, _, _| None,
    finish: |_, _| Ok(()),
};

/// What a GGUF must contain.
#[derive(Clone, Debug)]
pub struct Model {
    /// `general.architecture`.
    pub arch: &'static str,
    /// The hyperparameters, `general.file_type` among them, in the reference's order.
    pub hparams: KeyValues,
    /// Key-values that the reference finds out while it goes through the tensors; they come before all that
    /// describe the model.
    pub early: KeyValues,
    /// The tensors, in the reference's order.
    pub tensors: Vec<OutputTensor>,
    /// Whether these are only layers for multi-token prediction, and the file's name has to say so.
    pub only_prediction: bool,
    /// The predominant element type.
    pub ftype: FileType,
    /// How the vocabulary is read.
    pub vocab: Route,
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
    /// The rope settings in `config`.
    pub(super) rope: Config,
    pub(super) layers: u32,
    pub(super) ftype: FileType,
    /// The checkpoint's tensors, dequantized, by the names that `family.rename` gives them, in order. `rename`
    /// itself sees none.
    pub(super) tensors: IndexMap<String, TensorExpr>,
    /// Which of `tensors` were FP8.
    pub(super) fp8: HashSet<String>,
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
    ) -> Result<Model> {
        let bare;
        let config = if self.bare_config {
            bare = config.bare()?;
            &bare
        } else {
            config.require_known_class()?;
            config
        };
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
            rope: config.rope()?,
            layers: (self.layers)(config, options, checkpoint)?,
            ftype: FileType::F32,
            tensors: IndexMap::new(),
            fp8: HashSet::new(),
        };
        if let Some(family) = (self.variant)(&input)? {
            input.family = family;
        }
        let family = input.family;
        input.tensors = tensors::index(&input);
        input.ftype = tensors::file_type(options.out, checkpoint, &input.tensors);
        let (tensors, early) = match options.vocab_only {
            true => (Vec::new(), KeyValues::new()),
            false => family.describe_tensors(&mut input)?,
        };
        let mut keys = Keys { arch: family.arch, values: KeyValues::new() };
        (family.keys)(&input, &mut keys)?;
        Ok(Model {
            arch: family.arch,
            hparams: keys.values,
            early,
            only_prediction: options.mtp == Mtp::Only && family.mtp_file_name,
            tensors,
            ftype: input.ftype,
            vocab: family.vocab,
        })
    }

    /// The tensors of `input`, and [`Model::early`]. What they are stored as may change the type of the file.
    fn describe_tensors(&self, input: &mut Input) -> Result<(Vec<OutputTensor>, KeyValues)> {
        quantized::dequantize(input)?;
        let mut builder = Builder::new(input);
        (self.generate)(input, &mut builder)?;
        tensors::each(input.checkpoint, &input.tensors, |name, tensor| {
            builder.begin(name);
            (self.emit)(input, &mut builder, tensor)
        })?;
        (self.finish)(input, &mut builder)?;
        let (tensors, early) = builder.finish()?;
        if quantized::is_mxfp4(input)?
            && matches!(input.ftype, FileType::F32 | FileType::F16 | FileType::Bf16)
        {
            input.ftype = FileType::Mxfp4Moe;
        }
        Ok((tensors, early.values))
    }
}
