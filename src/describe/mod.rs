//! What a GGUF must hold, from a model's files: key-values, tensors as lazy expressions, what its name is made of, and
//! notes on what was left out.
//!
//! The only place that sees `config`, `checkpoint`, `arch`, `metadata` and `vocab` together. Knows nothing of offsets,
//! reflinks, or where the GGUF goes.

mod adapter;
mod base;
mod completeness;
mod head;
mod layers;
mod notes;
mod parameters;
mod projector;

use std::path::{Path, PathBuf};

use crate::arch::{self, Family, Modules, TargetModel};
use crate::checkpoint::Checkpoint;
use crate::config::{AdapterConfig, Config};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::metadata::Metadata;
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
    /// An adapter, which is added to a model when that is loaded. The directory is the adapter's, and
    /// [`Options::base`] the model.
    Adapter,
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
    /// Of a text model: the directory of an adapter to merge into it.
    pub adapter: Option<PathBuf>,
    /// Of an adapter: the directory of the model it is for.
    pub base: Option<PathBuf>,
    /// Of an adapter: the id of that model, which becomes its name.
    pub base_model_id: Option<String>,
    /// The directory of the model that this one drafts for.
    pub target_model: Option<PathBuf>,
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
            Target::Adapter if self.general.is_of_adapter() => {
                self.general.adapter_file_name(self.output_type)
            }
            Target::Adapter => self.general.default_file_name(self.output_type, false),
            Target::Text | Target::Vocabulary if self.only_prediction => {
                self.general.prediction_file_name(self.output_type)
            }
            Target::Text => self.general.default_file_name(self.output_type, false),
            Target::Vocabulary => self.general.default_file_name(self.output_type, true),
        }
    }
}

/// The directory of the model that the adapter in `adapter` is for, as `options` or the adapter say.
///
/// # Errors
/// If none is named, or the one named is not on this machine.
pub fn base_of(adapter: &Path, options: &Options) -> Result<PathBuf> {
    let dir = ModelDir::open_adapter(adapter)?;
    base::find(&dir, &AdapterConfig::load(&dir)?, options).map(|base| base.path().to_owned())
}

/// Describes the GGUF that `target` is of the model in `dir`. Reads everything but weights.
///
/// # Errors
/// See [`Error`]; most say what is wrong with the model.
pub fn describe(dir: &ModelDir, target: Target, options: &Options) -> Result<Description> {
    match target {
        Target::Projector => projector::describe(dir, options),
        Target::Adapter => adapter::describe(dir, options),
        Target::Text | Target::Vocabulary => Opened::new(dir, target, options)?.describe(options),
    }
}

/// Whether the model in `dir` has a draft of its own ([`arch::Options::dspark`]).
///
/// # Errors
/// If its configuration cannot be read.
pub fn has_draft(dir: &ModelDir) -> Result<bool> {
    Ok(dir.exists("config.json")? && arch::lookup_draft(Config::load(dir)?.architecture()?).is_ok())
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
    /// The name of the adapter that is merged into it.
    merged: Option<String>,
    target_model: Option<TargetModel>,
}

impl<'a> Opened<'a> {
    /// Opens it as `options` say.
    ///
    /// # Errors
    /// As [`describe`].
    pub fn new(dir: &'a ModelDir, target: Target, options: &Options) -> Result<Self> {
        let (config, family, mut checkpoint) = open(dir, target, options)?;
        match family.modules {
            Modules::Dense if options.arch.dense_modules => checkpoint.add_modules("Dense")?,
            Modules::At(path) => checkpoint.add_module(path.into())?,
            Modules::None | Modules::Dense => {}
        }
        let mut merged = None;
        if let Some(adapter) = &options.adapter {
            let adapter = dir.open_adapter_beside(adapter)?;
            checkpoint.add_adapter(&adapter, AdapterConfig::load(&adapter)?)?;
            merged = Some(adapter.name()?);
        }
        let target_model = options.target_model.as_deref().map(TargetModel::open).transpose()?;
        let tokenizer = TokenizerFile::new(dir);
        Ok(Self { dir, target, config, family, checkpoint, tokenizer, merged, target_model })
    }

    /// What `options` make of its tensors and settings.
    ///
    /// # Errors
    /// As [`describe`].
    pub fn build(&self, options: &arch::Options) -> Result<arch::Model> {
        let options = arch::Options { vocab_only: self.target == Target::Vocabulary, ..*options };
        let drafts_for = self.target_model.as_ref();
        let model = self.family.build(&self.checkpoint, &self.config, &self.tokenizer, &options, drafts_for);
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
            Target::Vocabulary | Target::Projector | Target::Adapter => Ok(()),
        }
    }

    /// Describes it, given what [`Opened::build`] made of it with the same `options`.
    ///
    /// # Errors
    /// As [`describe`].
    pub fn finish(self, model: arch::Model, options: &Options) -> Result<Description> {
        let strict = !options.allow_incomplete;
        let Self { dir, target, config, checkpoint, tokenizer, merged, target_model, .. } = self;
        let tensors = model.tensors;
        let mut general = head::general(dir, options, None, &tensors)?;
        if let Some(adapter) = merged {
            general.merged(&adapter);
        }
        let mut keys = head::begin(model.arch, model.early, "model");
        general.write(&mut keys)?;
        keys.extend(model.hparams);
        keys.set_u32("general.quantization_version", 2);
        keys.extend(model.extra);
        let mut files = match target_model.filter(|_| model.drafts) {
            Some(target) => TokenizerFiles::read(&target.dir, TokenizerFile::new(&target.dir))?,
            None => TokenizerFiles::read(dir, tokenizer)?,
        };
        files.own_template_only = options.own_template_only;
        (model.vocab)(&mut keys, &files, model.settings.map())?;
        drop(files);
        keys.extend(model.late);

        if target == Target::Text {
            let only_prediction = options.arch.mtp == arch::Mtp::Only;
            let (tensors, key_values, config, drafts) = (&tensors, &keys, &config, model.drafts);
            completeness::Model { tensors, key_values, config, only_prediction, drafts }
                .check(dir.path(), strict)?;
        }
        let notes = match target {
            Target::Text => notes::left_out(&checkpoint, &tensors, &config),
            Target::Vocabulary | Target::Projector | Target::Adapter => Vec::new(),
        };
        let (output_type, only_prediction) = (model.ftype.name(), model.only_prediction);
        let name = NameParts { general, target, output_type, only_prediction };
        Ok(Description { checkpoint, metadata: keys, tensors, name, notes })
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
        let find = if options.arch.dspark { arch::lookup_draft } else { arch::lookup };
        let family = find(config.architecture()?).map_err(|error| error.about(dir.join("config.json")))?;
        (config, family, Checkpoint::open(dir))
    };
    let checkpoint = match checkpoint {
        // A tokenizer can be exported from a directory without weights.
        Err(Error::NoWeights { .. }) if target == Target::Vocabulary => {
            Checkpoint { dir: dir.clone(), ..Checkpoint::default() }
        }
        other => other?,
    };
    let mut checkpoint = checkpoint;
    for (prefix, who) in checkpoint.unwrap_names() {
        tracing::warn!("all tensors are called {prefix}…, as {who} has them: converted without that");
    }
    Ok((config, family, checkpoint))
}
