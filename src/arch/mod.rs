//! What a GGUF must contain: for each architecture, the key-values and the output tensors, each a lazy
//! [`TensorExpr`]. Knows nothing of file offsets, buffers or reflinks.
//!
//! A family of architectures is one file and one line in `FAMILIES`: a [`Family`] names the Hugging
//! Face classes it serves, the GGUF tensors it has, and a few functions. What families share lies in
//! `keys`, `experts`, `rope`, `tensors` and `pooling`.

mod apertus;
mod bert;
mod bloom;
mod builder;
mod chatglm;
mod command_r;
mod contents;
mod deepseek;
mod experts;
mod falcon;
mod fuse;
mod gemma;
mod gemma3n;
mod gemma4;
mod glm;
mod gpt2;
mod gpt_oss;
mod gptneox;
mod granite;
mod granite_hybrid;
mod internlm;
mod jamba;
mod keys;
mod llama;
mod llama4;
mod maincoder;
mod mamba;
mod mistral;
mod mistral3;
mod modern_bert;
mod mtp;
mod names;
mod nemotron;
mod nemotron_h;
mod nomic_bert;
mod olmo;
mod phi;
mod pooling;
mod powf;
mod quantile;
mod quantized;
mod qwen;
mod qwen_next;
mod qwen_vl;
mod rerank;
mod rope;
mod spelling;
mod stablelm;
mod starcoder;
mod t5;
mod tensors;

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::dtype::GgmlType;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value};
use crate::tensor::{OutputTensor, TensorExpr};
use crate::vocab::VocabRoute;

use builder::{Builder, Tensor};

/// Every family. Order matters to nobody.
static FAMILIES: &[Family] = &[
    apertus::APERTUS,
    bert::BERT,
    bert::DISTILBERT,
    bert::JINA_BERT_V2,
    bert::ROBERTA,
    bert::XLM_ROBERTA,
    bloom::BLOOM,
    chatglm::CHATGLM,
    command_r::COHERE2,
    command_r::COHERE2_MOE,
    command_r::COMMAND_R,
    deepseek::DEEPSEEK,
    deepseek::DEEPSEEK2,
    deepseek::DEEPSEEK32,
    falcon::FALCON,
    gemma3n::GEMMA3N,
    gemma4::GEMMA4,
    gemma4::GEMMA4_UNIFIED,
    gemma::GEMMA,
    gemma::GEMMA2,
    gemma::GEMMA3,
    gemma::GEMMA_EMBEDDING,
    glm::GLM4,
    glm::GLM4_MOE,
    glm::GLM4_MOE_LITE,
    glm::GLM_DSA,
    glm::GLM_OCR,
    glm::SOLAR_OPEN,
    gpt2::GPT2,
    gpt2::RU_GPT3_XL,
    gpt_oss::GPT_OSS,
    gptneox::GPTNEOX,
    granite::GRANITE,
    granite::GRANITE_MOE,
    granite::GRANITE_MOE_SWA,
    granite::GRANITE_SWA,
    granite_hybrid::GRANITE_HYBRID,
    internlm::INTERNLM2,
    internlm::INTERNLM3,
    jamba::JAMBA,
    llama4::LLAMA4,
    llama::ARCEE,
    llama::LLAMA,
    llama::LLAMA_EMBED,
    llama::SMOLLM3,
    maincoder::MAINCODER,
    mamba::MAMBA,
    mamba::MAMBA2,
    mistral3::MISTRAL3,
    modern_bert::EURO_BERT,
    modern_bert::MODERN_BERT,
    modern_bert::NEO_BERT,
    nemotron::NEMOTRON,
    nemotron_h::NEMOTRON_H,
    nemotron_h::NEMOTRON_H_PUZZLE,
    nomic_bert::NOMIC_BERT,
    olmo::OLMO,
    olmo::OLMO2,
    olmo::OLMOE,
    olmo::SEED_OSS,
    phi::PHI2,
    phi::PHI3,
    phi::PHI_MOE,
    qwen::QWEN,
    qwen::QWEN2,
    qwen::QWEN2_MOE,
    qwen::QWEN3,
    qwen::QWEN3_MOE,
    qwen::RND1,
    qwen_next::QWEN35,
    qwen_next::QWEN35_MOE,
    qwen_next::QWEN3_NEXT,
    qwen_vl::QWEN2_VL,
    qwen_vl::QWEN3_VL,
    qwen_vl::QWEN3_VL_MOE,
    stablelm::STABLELM,
    starcoder::STARCODER,
    starcoder::STARCODER2,
    t5::T5,
    t5::T5_ENCODER,
];

/// Architectures that are converted alike. Most start from `TEXT`.
pub struct Family {
    /// Names of the Hugging Face classes, as `architectures` in `config.json` gives them.
    pub names: &'static [&'static str],
    /// The GGUF architecture, `general.architecture`.
    pub arch: &'static str,
    /// How the vocabulary is read.
    vocab: VocabRoute,
    /// The GGUF tensors the architecture has, without `.weight`.
    tensors: &'static [&'static str],
    /// Quantization methods whose tensors the family reads itself; others are dequantized, or refused.
    packed: &'static [&'static str],
    /// Whether layers for multi-token prediction can be left out, or written alone.
    mtp: bool,
    /// Whether a file of such layers alone says so in its name.
    mtp_file_name: bool,
    /// Whether dense layers of sentence-transformers can follow the model ([`Checkpoint::modules`]).
    pub dense_modules: bool,
    /// Whether the configuration is read without the defaults of its class.
    bare_config: bool,
    /// Number of blocks of the model.
    blocks: fn(&Config, &Options, &Checkpoint) -> Result<u32>,
    /// The family to use instead for a model that differs in more than its class's name tells. Refuses
    /// variants that need more than is done here.
    variant: fn(&Input) -> Result<Option<&'static Family>>,
    /// Adds the key-values, in order.
    keys: fn(&Input, &mut Keys) -> Result<()>,
    /// Renames a tensor where its name depends on the family, before anything else looks at it; none leaves
    /// it out.
    rename: fn(&Input, &str) -> Option<String>,
    /// Adds tensors that no checkpoint holds; they come first.
    generate: fn(&Input, &mut Builder) -> Result<()>,
    /// Turns one tensor of the checkpoint into tensors of the GGUF.
    convert: fn(&Input, &mut Builder, Tensor) -> Result<()>,
    /// The type of a matrix, by the names of its source and of itself, if it is not what was asked for.
    ggml_type: fn(&Input, &str, &str) -> Option<GgmlType>,
    /// Called when all tensors of the checkpoint were converted.
    finish: fn(&Input, &mut Builder) -> Result<()>,
}

/// What most families have in common.
const TEXT: Family = Family {
    names: &[],
    arch: "",
    vocab: VocabRoute::Gpt2,
    tensors: &[],
    packed: &[],
    mtp: false,
    mtp_file_name: true,
    dense_modules: false,
    bare_config: false,
    blocks: |config, _, _| keys::block_count(config),
    variant: |_| Ok(None),
    keys: keys::common,
    rename: |_, name| Some(name.to_owned()),
    generate: |_, _| Ok(()),
    convert: |_, builder, tensor| builder.add(tensor),
    ggml_type: |_, _, _| None,
    finish: |_, _| Ok(()),
};

/// What to make of a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The element type.
    pub out: OutType,
    /// Q8_0 for matrices that are FP8 in the checkpoint.
    pub fp8_as_q8: bool,
    /// One matrix for query, key and value, where the architecture knows it.
    pub fuse_qkv: bool,
    /// One stack for the experts' gate and up matrices, where the architecture knows it.
    pub fuse_gate_up_exps: bool,
    /// Which layers.
    pub mtp: Mtp,
    /// The dense layers that sentence-transformers puts after the model, too.
    pub dense_modules: bool,
}

/// The element type asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum OutType {
    F32,
    F16,
    Bf16,
    Q8_0,
    Tq1_0,
    Tq2_0,
    /// That of the first matrix that is bf16 or f16; f16 if there is none.
    #[default]
    Auto,
}

/// What becomes of layers for multi-token prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mtp {
    /// They are layers like others.
    #[default]
    Keep,
    /// They are all that is written.
    Only,
    /// They are left out.
    Drop,
}

/// The predominant element type of a file; the discriminants are llama.cpp's (`enum llama_ftype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(u32)]
pub enum FileType {
    F32 = 0,
    F16 = 1,
    Q8_0 = 7,
    Bf16 = 32,
    Mxfp4Moe = 38,
    Tq1_0 = 36,
    Tq2_0 = 37,
}

impl FileType {
    /// The name the reference puts in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mxfp4Moe => "MXFP4_MOE",
            other => other.ggml_type().name(),
        }
    }

    fn ggml_type(self) -> GgmlType {
        match self {
            Self::F32 => GgmlType::F32,
            Self::F16 => GgmlType::F16,
            Self::Q8_0 => GgmlType::Q8_0,
            Self::Bf16 => GgmlType::BF16,
            Self::Mxfp4Moe => GgmlType::MXFP4,
            Self::Tq1_0 => GgmlType::TQ1_0,
            Self::Tq2_0 => GgmlType::TQ2_0,
        }
    }
}

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
    pub vocab: VocabRoute,
}

/// What a family's functions may look at.
struct Input<'a> {
    family: &'static Family,
    /// The Hugging Face class, one of `family.names`.
    architecture: &'a str,
    checkpoint: &'a Checkpoint,
    config: &'a Config,
    options: &'a Options,
    /// The rope settings in `config`.
    rope: Config,
    blocks: u32,
    ftype: FileType,
    /// The checkpoint's tensors, dequantized, by the names that `family.rename` gives them, in order. `rename`
    /// itself sees none.
    tensors: IndexMap<String, TensorExpr>,
    /// Which of `tensors` were FP8.
    fp8: HashSet<String>,
}

/// Key-values under the architecture's prefix.
struct Keys {
    arch: &'static str,
    values: KeyValues,
}

impl Keys {
    /// Sets `ARCH.key`.
    fn set(&mut self, key: &str, value: Value) {
        self.values.set(format!("{}.{key}", self.arch), value);
    }

    /// Sets `ARCH.key` if there is a value.
    fn u32(&mut self, key: &str, value: Option<u32>) {
        if let Some(value) = value {
            self.set(key, Value::U32(value));
        }
    }

    /// Sets `ARCH.key` if there is a value.
    fn f32(&mut self, key: &str, value: Option<f32>) {
        if let Some(value) = value {
            self.set(key, Value::F32(value));
        }
    }

    /// Sets `ARCH.key` if there is a value.
    fn bool(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.set(key, Value::Bool(value));
        }
    }

    /// Sets `ARCH.key`, unless the list is empty: the reference's writer leaves such out.
    fn bools(&mut self, key: &str, values: Vec<bool>) {
        if !values.is_empty() {
            self.set(key, Value::Bools(values));
        }
    }
}

impl Family {
    /// Describes the GGUF for a model of this family.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for variants that are not handled, [`Error::Invalid`] where the config is
    /// absurd or does not fit the tensors.
    pub fn build(
        &'static self,
        checkpoint: &Checkpoint,
        config: &Config,
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
            return Err(Error::Unsupported(format!(
                "--mtp and --no-nextn: {architecture} has no layers for multi-token prediction"
            )));
        }
        let mut input = Input {
            family: self,
            architecture: config.architecture()?,
            checkpoint,
            config,
            options,
            rope: config.rope()?,
            blocks: (self.blocks)(config, options, checkpoint)?,
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
        quantized::dequantize(&mut input)?;
        let mut builder = Builder::new(&input);
        (family.generate)(&input, &mut builder)?;
        for (name, expr) in &input.tensors {
            if let Some(tensor) = tensors::load(checkpoint, name, expr)? {
                builder.begin(name);
                (family.convert)(&input, &mut builder, tensor)?;
            }
        }
        (family.finish)(&input, &mut builder)?;
        let (tensors, early) = builder.finish()?;
        if quantized::is_mxfp4(&input)?
            && matches!(input.ftype, FileType::F32 | FileType::F16 | FileType::Bf16)
        {
            input.ftype = FileType::Mxfp4Moe;
        }
        let mut keys = Keys { arch: family.arch, values: KeyValues::new() };
        (family.keys)(&input, &mut keys)?;
        Ok(Model {
            arch: family.arch,
            hparams: keys.values,
            early: early.values,
            only_prediction: options.mtp == Mtp::Only && family.mtp_file_name,
            tensors,
            ftype: input.ftype,
            vocab: family.vocab,
        })
    }
}

/// The family that converts `architecture`.
///
/// # Errors
/// [`Error::Unsupported`] if there is none, with the nearest name there is.
pub fn lookup(architecture: &str) -> Result<&'static Family> {
    if let Some(family) = FAMILIES.iter().find(|f| f.names.contains(&architecture)) {
        return Ok(family);
    }
    let shown: String = architecture.chars().take(80).collect();
    let near = supported().map(|(name, _)| (strsim::damerau_levenshtein(name, &shown), name)).min();
    let near = match near {
        Some((distance, name)) if distance <= 4 => format!("; did you mean {name}?"),
        Some((_, name)) => format!("; the nearest that is: {name}"),
        None => String::new(),
    };
    let hint = "--print-supported-models lists all";
    Err(Error::Unsupported(if names::REFERENCE_ARCHITECTURES.contains(&architecture) {
        format!(
            "architecture {architecture} is not supported yet, though llama.cpp's convert_hf_to_gguf.py knows it{near} \
             ({hint}). If you need it, please report its name to ggraft"
        )
    } else {
        format!(
            "architecture \"{shown}\" is not supported{near} ({hint}). If llama.cpp's convert_hf_to_gguf.py converts \
             this model, please report the architecture's name to ggraft; if it does not, llama.cpp has to learn it first"
        )
    }))
}

/// The family of a model in Mistral's own format, by what [`Config::load_params`] read.
pub fn in_mistral_format(config: &Config) -> &'static Family {
    if config.has_experts() { &mistral::MISTRAL_MOE } else { &mistral::MISTRAL }
}

/// The Hugging Face names that can be converted, each with its GGUF architecture.
pub fn supported() -> impl Iterator<Item = (&'static str, &'static str)> {
    FAMILIES.iter().flat_map(|f| f.names.iter().map(|name| (*name, f.arch)))
}
