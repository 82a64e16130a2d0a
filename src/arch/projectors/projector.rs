//! What a projector consists of, and how it describes a model: the names and functions that projectors fill in, and the
//! order in which they are asked (`MmprojModel` of the reference).

use crate::arch::options::{FileType, Mtp, Options};
use crate::arch::tensors::{self, Tensor, Tensors};
use crate::arch::{Keys, names};
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::source::ModelDir;
use crate::tensor::{OutputTensor, TensorExpr};

use super::builder::Builder;
use super::keys;

/// The GGUF architecture of all projectors.
pub(super) const ARCH: &str = "clip";

/// Projectors that are converted alike. Most start from `PLAIN`.
pub struct Projector {
    /// Names of the Hugging Face classes, as `architectures` in `config.json`, or in its `vision_config`, gives them.
    pub names: &'static [&'static str],
    /// Whether it sees.
    pub(super) vision: bool,
    /// Whether it hears.
    pub(super) audio: bool,
    /// Where the settings of what sees are: keys, each in the section of the one before.
    pub(super) vision_config: &'static [&'static str],
    /// The same for what hears.
    pub(super) audio_config: &'static [&'static str],
    /// Corrects settings before anything else looks at them.
    pub(super) prepare: fn(&mut Input) -> Result<()>,
    /// Number of layers that tensors may belong to.
    pub(super) layers: fn(&Input) -> Result<u32>,
    /// Adds the key-values, in order.
    pub(super) keys: fn(&Input, &mut Keys) -> Result<()>,
    /// The name that the other functions know a tensor by; none leaves it out.
    pub(super) rename: fn(&str) -> Option<String>,
    /// Adds tensors that no checkpoint holds; they come first.
    pub(super) generate: fn(&Input, &mut Builder) -> Result<()>,
    /// Turns one tensor of the checkpoint into tensors of the GGUF.
    pub(super) emit: fn(&Input, &mut Builder, Tensor) -> Result<()>,
    /// The type of a matrix, by the names of its source and of itself, if it is not what was asked for.
    pub(super) ggml_type: fn(&Input, &str, &str) -> Option<GgmlType>,
    /// Called when all tensors of the checkpoint were converted.
    pub(super) finish: fn(&Input, &mut Builder) -> Result<()>,
}

/// What most projectors have in common: they see, and have nothing of their own.
pub(super) const PLAIN: Projector = Projector {
    names: &[],
    vision: true,
    audio: false,
    vision_config: &["vision_config"],
    audio_config: &["audio_config"],
    prepare: |_| Ok(()),
    layers: keys::layers,
    keys: keys::common,
    rename: |name| Some(name.to_owned()),
    generate: |_, _| Ok(()),
    emit: |_, builder, tensor| builder.add(tensor),
    ggml_type: |_, _, _| None,
    finish: |_, _| Ok(()),
};

/// What the GGUF of a projector must contain.
#[derive(Clone, Debug)]
pub struct Described {
    /// The hyperparameters, in the reference's order.
    pub hparams: KeyValues,
    /// The tensors, in the reference's order.
    pub tensors: Vec<OutputTensor>,
    /// The predominant element type.
    pub ftype: FileType,
}

/// What a projector's functions may look at.
pub(super) struct Input<'a> {
    pub(super) projector: &'static Projector,
    pub(super) dir: &'a ModelDir,
    pub(super) checkpoint: &'a Checkpoint,
    /// The settings of the whole model; those of its text model are in `text_config`.
    pub(super) global: Config,
    /// Those of the text model, and where it has none, of the whole.
    pub(super) text: Config,
    /// Those of what sees; empty if there are none.
    pub(super) vision: Config,
    /// Those of what hears; empty if there are none.
    pub(super) audio: Config,
    /// How images are to be prepared.
    pub(super) preprocessor: Config,
    /// Whether there is a part that hears; some models are published without it.
    pub(super) hears: bool,
    /// Whether the model is in Mistral's own format.
    pub(super) mistral_format: bool,
    pub(super) layers: u32,
    pub(super) ftype: FileType,
    /// The checkpoint's tensors, by the names that `projector.rename` gives them, in order.
    pub(super) tensors: Tensors,
}

impl Input<'_> {
    /// The settings of what sees, or else of what hears, or else of the whole.
    pub(super) fn encoder(&self) -> &Config {
        [&self.vision, &self.audio]
            .into_iter()
            .find(|config| !config.map().is_empty())
            .unwrap_or(&self.global)
    }

    /// How wide the text model is, which is what comes out of a projector.
    pub(super) fn text_width(&self) -> Result<u32> {
        let width = match self.mistral_format {
            true => self.global.require_u32(&["dim"])?,
            false => self.text.require_u32(&["hidden_size", "n_embd"])?,
        };
        if width == 0 {
            return Err(self.global.invalid("hidden_size of the text model: expected more than 0"));
        }
        Ok(width)
    }
}

impl Projector {
    /// Describes the GGUF for a model with this projector.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for variants that are not handled, [`Error::Invalid`] where the config is absurd or does
    /// not fit the tensors.
    pub fn build(
        &'static self,
        dir: &ModelDir,
        checkpoint: &Checkpoint,
        config: &Config,
        mistral_format: bool,
        options: &Options,
    ) -> Result<Described> {
        config.require_known_class()?;
        if options.mtp != Mtp::Keep {
            return Err(Error::unsupported(
                "--mtp and --no-nextn: a projector has no layers for multi-token prediction",
            ));
        }
        let whisper = self.audio_config == PLAIN.audio_config && config.map().contains_key("whisper_config");
        let whisper = whisper.then_some(&["whisper_config"][..]);
        let mut input = Input {
            projector: self,
            dir,
            checkpoint,
            text: config.with_section("text_config")?,
            vision: inner(config, self.vision_config)?,
            audio: inner(config, whisper.unwrap_or(self.audio_config))?,
            global: config.clone(),
            preprocessor: Config::load_preprocessor(dir)?,
            hears: self.audio,
            mistral_format,
            layers: 0,
            ftype: FileType::F32,
            tensors: Tensors::default(),
        };
        refuse_quantized(&input)?;
        input.text_width()?;
        (self.prepare)(&mut input)?;
        input.layers = (self.layers)(&input)?;
        input.tensors = index(&input);
        input.ftype = tensors::file_type(options.out, checkpoint, &input.tensors);
        let tensors = self.describe_tensors(&input)?;
        let mut keys = Keys { arch: ARCH, values: KeyValues::new() };
        (self.keys)(&input, &mut keys)?;
        Ok(Described { hparams: keys.values, tensors, ftype: input.ftype })
    }

    fn describe_tensors(&self, input: &Input) -> Result<Vec<OutputTensor>> {
        let mut builder = Builder::new(input, names::MMPROJ);
        (self.generate)(input, &mut builder)?;
        for (name, expr) in &input.tensors {
            if let Some(tensor) = tensors::load(input.checkpoint, name, expr)? {
                builder.begin(name);
                let converted = (self.emit)(input, &mut builder, tensor);
                converted.map_err(|error| tensors::place(input.checkpoint, name, expr, error))?;
            }
        }
        (self.finish)(input, &mut builder)?;
        builder.finish()
    }
}

/// The tensors that belong to the projector, in order, by the names it knows. Where two get one name, the second takes
/// the first's place.
fn index(input: &Input) -> Tensors {
    let named = input.checkpoint.own_tensors().iter().enumerate().filter_map(|(index, tensor)| {
        let name = (input.projector.rename)(&tensor.name)?;
        let text = name.contains("language_model.");
        (!text).then(|| (tensors::general_name(&name), TensorExpr::source(index, &tensor.shape)))
    });
    named.collect()
}

/// The section at the end of `path`; an empty one where there is none.
fn inner(config: &Config, path: &[&'static str]) -> Result<Config> {
    path.iter().try_fold(config.clone(), |config, key| config.optional_section(key))
}

/// The reference looks for the settings of quantized weights among those of the encoder, where no model has any.
fn refuse_quantized(input: &Input) -> Result<()> {
    if input.encoder().get(&["quantization_config"]).is_some()
        && !input.encoder().map().contains_key("text_config")
    {
        return Err(input.global.unsupported("a quantized vision or audio part is not supported yet"));
    }
    Ok(())
}
