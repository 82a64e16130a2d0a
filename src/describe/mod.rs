//! What a GGUF must hold, from a model's files: key-values, tensors as lazy expressions, what its name is made of, and
//! notes on what was left out.
//!
//! The only place that sees `config`, `checkpoint`, `arch`, `metadata` and `vocab` together. Knows nothing of offsets,
//! reflinks, or where the GGUF goes.

mod completeness;
mod notes;
mod parameters;
mod projector;

use std::path::PathBuf;

use crate::arch::{self, Family};
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::metadata::{self, Metadata};
use crate::source::ModelDir;
use crate::tensor::OutputTensor;
use crate::vocab::{TokenizerFile, TokenizerFiles};

pub use notes::{LeftOut, Note};

/// What is made of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The model, for text.
    #[default]
    Text,
    /// Its tokenizer and metadata alone.
    Vocabulary,
    /// What turns images and sound into what the model reads.
    Projector,
}

/// How to describe it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What to make of the model's tensors.
    pub arch: arch::Options,
    /// The model is in Mistral's own format.
    pub mistral_format: bool,
    /// In that format: no chat template but the model's own.
    pub own_template_only: bool,
    /// Describes models that llama.cpp would not load for what they lack, with warnings instead of an error.
    pub allow_incomplete: bool,
    /// Overrides `general.name`.
    pub model_name: Option<String>,
    /// JSON file that overrides `general.*`.
    pub metadata: Option<PathBuf>,
}

/// What a GGUF must hold.
#[derive(Clone, Debug)]
pub struct Description {
    /// Where the bytes lie that `tensors` are made of.
    pub checkpoint: Checkpoint,
    /// Every key-value in the reference's order, except those about splits and padding.
    pub metadata: KeyValues,
    /// Tensors in the reference's order; none of a vocabulary.
    pub tensors: Vec<OutputTensor>,
    /// What the file's name is made of.
    pub name: NameParts,
    /// What is not in it, on purpose.
    pub notes: Vec<Note>,
}

/// What the name of a GGUF is made of.
#[derive(Clone, Debug)]
pub struct NameParts {
    general: Metadata,
    target: Target,
    /// The predominant element type.
    pub output_type: &'static str,
    /// Whether it holds layers for multi-token prediction and no others, and its name says so.
    only_prediction: bool,
}

impl NameParts {
    /// The name that the reference would give the file.
    ///
    /// # Errors
    /// If the metadata it is made of are not of the expected type.
    pub fn default_file_name(&self) -> Result<String> {
        match self.target {
            Target::Projector => self.general.projector_file_name(self.output_type),
            Target::Text if self.only_prediction => self.general.prediction_file_name(self.output_type),
            Target::Text => self.general.default_file_name(self.output_type, false),
            Target::Vocabulary => self.general.default_file_name(self.output_type, true),
        }
    }
}

/// Describes the GGUF that `target` is of the model in `dir`. Reads everything but weights.
///
/// # Errors
/// See [`Error`]; most say what is wrong with the model.
pub fn describe(dir: &ModelDir, target: Target, options: &Options) -> Result<Description> {
    match target {
        Target::Projector => projector::describe(dir, options),
        Target::Text | Target::Vocabulary => Opened::new(dir, target, options)?.describe(options),
    }
}

/// Describes the model in `dir` for text, and its projector beside it; none if it neither sees nor hears.
///
/// # Errors
/// As [`describe()`]; also if it is known to have a projector that cannot be converted.
pub fn describe_both(dir: &ModelDir, options: &Options) -> Result<(Description, Option<Description>)> {
    let mut text = describe(dir, Target::Text, options)?;
    if !projector::exists(dir, options)? {
        return Ok((text, None));
    }
    // Layers for multi-token prediction are the text model's.
    let arch = arch::Options { mtp: arch::Mtp::Keep, ..options.arch };
    let projector = projector::describe(dir, &Options { arch, ..options.clone() })?;
    if !text.notes.is_empty() {
        let config = if options.mistral_format { Config::load_params(dir) } else { Config::load(dir) }?;
        let written = text.tensors.iter().chain(&projector.tensors);
        text.notes = notes::left_out(&text.checkpoint, written, &config);
        text.notes.iter_mut().for_each(|note| note.projected = false);
    }
    Ok((text, Some(projector)))
}

/// A model whose configuration and checkpoint were read, to be described in one way or another.
pub(crate) struct Opened<'a> {
    dir: &'a ModelDir,
    target: Target,
    config: Config,
    family: &'static Family,
    checkpoint: Checkpoint,
    tokenizer: TokenizerFile,
}

impl<'a> Opened<'a> {
    /// Opens it as `options` say.
    ///
    /// # Errors
    /// As [`describe`].
    pub fn new(dir: &'a ModelDir, target: Target, options: &Options) -> Result<Self> {
        let (config, family, mut checkpoint) = open(dir, target, options)?;
        if options.arch.dense_modules && family.dense_modules {
            checkpoint.add_modules("Dense")?;
        }
        Ok(Self { dir, target, config, family, checkpoint, tokenizer: TokenizerFile::new(dir) })
    }

    /// What `options` make of its tensors and settings.
    ///
    /// # Errors
    /// As [`describe`].
    pub fn build(&self, options: &arch::Options) -> Result<arch::Model> {
        let options = arch::Options { vocab_only: self.target == Target::Vocabulary, ..*options };
        let model = self.family.build(&self.checkpoint, &self.config, &self.tokenizer, &options);
        model.map_err(|error| error.of_model(self.dir.path()))
    }

    /// Describes it. `options` may differ from those it was opened with in what they make of its tensors.
    ///
    /// # Errors
    /// As [`describe`].
    pub fn describe(self, options: &Options) -> Result<Description> {
        self.report(options)?;
        let model = self.build(&options.arch)?;
        self.finish(model, options)
    }

    /// Says which of the files that belong to it are missing.
    ///
    /// # Errors
    /// If some are, unless `options` allow that.
    pub fn report(&self, options: &Options) -> Result<()> {
        match self.target {
            Target::Text => {
                let missing = self.checkpoint.incomplete.as_slice();
                completeness::report(self.dir.path(), missing, !options.allow_incomplete)
            }
            Target::Vocabulary | Target::Projector => Ok(()),
        }
    }

    /// Describes it, given what [`Opened::build`] made of it with the same `options`.
    ///
    /// # Errors
    /// As [`describe`].
    pub fn finish(self, model: arch::Model, options: &Options) -> Result<Description> {
        let strict = !options.allow_incomplete;
        let Self { dir, target, config, checkpoint, tokenizer, .. } = self;
        let tensors = model.tensors;
        let head = Head { arch: model.arch, early: model.early, kind: "model", hparams: model.hparams };
        let (general, mut keys) = head.key_values(dir, options, &tensors)?;
        let mut files = TokenizerFiles::read(dir, tokenizer)?;
        files.own_template_only = options.own_template_only;
        (model.vocab)(&mut keys, &files, config.map())?;
        drop(files);

        if target == Target::Text {
            let only_prediction = options.arch.mtp == arch::Mtp::Only;
            let (tensors, key_values, config) = (&tensors, &keys, &config);
            completeness::Model { tensors, key_values, config, only_prediction }.check(dir.path(), strict)?;
        }
        let notes = match target {
            Target::Text => notes::left_out(&checkpoint, &tensors, &config),
            Target::Vocabulary | Target::Projector => Vec::new(),
        };
        let (output_type, only_prediction) = (model.ftype.name(), model.only_prediction);
        let name = NameParts { general, target, output_type, only_prediction };
        Ok(Description { checkpoint, metadata: keys, tensors, name, notes })
    }
}

/// What the key-values of every GGUF begin with.
struct Head {
    /// `general.architecture`.
    arch: &'static str,
    /// What comes before the rest.
    early: KeyValues,
    /// `general.type`.
    kind: &'static str,
    /// What describes the architecture.
    hparams: KeyValues,
}

impl Head {
    /// The model's metadata, and the key-values so far.
    fn key_values(
        self,
        dir: &ModelDir,
        options: &Options,
        tensors: &[OutputTensor],
    ) -> Result<(Metadata, KeyValues)> {
        let general = Metadata::load(&metadata::Inputs {
            dir,
            metadata_override: options.metadata.as_deref(),
            model_name: options.model_name.as_deref(),
            params: parameters::count(tensors),
        })?;
        let mut keys = KeyValues::new();
        keys.set_string("general.architecture", self.arch);
        keys.extend(self.early);
        keys.set_string("general.type", self.kind);
        general.write(&mut keys)?;
        keys.extend(self.hparams);
        keys.set_u32("general.quantization_version", 2);
        Ok((general, keys))
    }
}

/// The model's configuration, its family, and its tensors.
fn open(dir: &ModelDir, target: Target, options: &Options) -> Result<(Config, &'static Family, Checkpoint)> {
    let (config, family, checkpoint) = if options.mistral_format {
        let config = Config::load_params(dir)?;
        let family = arch::in_mistral_format(&config);
        (config, family, Checkpoint::open_consolidated(dir))
    } else {
        let config = Config::load(dir)?;
        let family =
            arch::lookup(config.architecture()?).map_err(|error| error.about(dir.join("config.json")))?;
        (config, family, Checkpoint::open(dir))
    };
    let checkpoint = match checkpoint {
        // A tokenizer can be exported from a directory without weights.
        Err(Error::NoWeights { .. }) if target == Target::Vocabulary => {
            Checkpoint { dir: dir.clone(), ..Checkpoint::default() }
        }
        other => other?,
    };
    Ok((config, family, checkpoint))
}
