//! Flags that decide what is written: those of `ggraft convert`, and of `ggraft plan`, which shows it.

mod told;

use std::path::{Path, PathBuf};

use clap::{ArgAction, ValueEnum};

use super::reference::ReferenceOnly;
use super::sizes::{parse_extent, parse_size};
use super::stdout::is_stream;
use crate::arch::{self, Mtp, OutType};
use crate::conversion::{Options, Reflink};
use crate::describe;
use crate::error::{Error, Result};
use crate::plan::{Alignment, Layout, SplitRules};
use crate::source::OnHub;

const SPLITTING: &str = "Splitting";
const TENSORS: &str = "Tensors";
const HUB: &str = "Models on the hub";
const SHARING: &str = "Sharing blocks";
/// Help heading of the flags that decide what is reported.
pub const REPORTS: &str = "Reports";

/// What to write, and where.
#[derive(Debug, clap::Args)]
pub struct OptionArgs {
    /// File or directory to write to, or - for standard output; {ftype} in a file name becomes the output type [default: a
    /// name made from the model's name, size and type, in the model's directory]
    #[arg(long, short, alias = "output", value_name = "PATH")]
    outfile: Option<PathBuf>,

    /// Type of the output's tensors; auto keeps the checkpoint's 16-bit type, which is also what can be shared. Several
    /// with commas between make a file of each
    #[arg(long, value_name = "TYPE", value_enum, ignore_case = true, default_value = "auto", action = ArgAction::Set,
          value_delimiter = ',')]
    outtype: Vec<OutTypeArg>,

    /// Write only the tokenizer and the metadata, no tensors
    #[arg(long)]
    vocab_only: bool,

    /// Write the model's projector instead of the model: the vision and audio part, a file of its own for llama.cpp
    #[arg(long, conflicts_with = "vocab_only")]
    mmproj: bool,

    /// Merge the LoRA adapter in this directory into the model: every matrix it is for becomes W + scale · B · A
    #[arg(long, value_name = "ADAPTER_DIR", conflicts_with_all = ["mmproj", "vocab_only", "mistral_format"])]
    lora: Option<PathBuf>,

    /// Write the model's projector, too, to a second file whose name begins with mmproj-. Neither appears without the other
    #[arg(long, conflicts_with_all = ["mmproj", "vocab_only", "mtp"])]
    with_mmproj: bool,

    /// Convert a model that lacks files, layers or embeddings, or contradicts config.json about their shape;
    /// llama.cpp does not load what comes of it
    #[arg(long)]
    allow_incomplete: bool,

    /// Read the model in Mistral's own format: params.json, consolidated*.safetensors, and tekken.json or
    /// tokenizer.model.v…
    #[arg(long)]
    mistral_format: bool,

    /// With --mistral-format: write no chat template but the model's own chat_template.jinja
    #[arg(long)]
    disable_mistral_community_chat_template: bool,

    /// Name of the model [default: from the model card, the configuration or the directory]
    #[arg(long, value_name = "NAME")]
    model_name: Option<String>,

    /// JSON file whose general.* keys override what the model card and the directory's name say
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,

    /// Directory of the model that this one drafts for, from which a draft (EAGLE-3, DFlash, DSpark) has its vocabulary
    #[arg(long, value_name = "DIR")]
    target_model_dir: Option<PathBuf>,

    /// Start another file beyond this many bytes of tensors (K, M and G are powers of 1000); 0 is no limit
    #[arg(long, value_name = "N[K|M|G]", value_parser = parse_size, default_value = "0", help_heading = SPLITTING)]
    split_max_size: u64,

    /// Start another file after this many tensors; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = SPLITTING)]
    split_max_tensors: u64,

    /// Put only the metadata into the first file
    #[arg(long, help_heading = SPLITTING)]
    no_tensor_first_split: bool,

    #[command(flatten)]
    reflink: ReflinkArgs,

    #[command(flatten)]
    sharing: SharingArgs,

    #[command(flatten)]
    arch: ArchArgs,

    /// The model is a repository on the hub, even if there is something here of that name, and gets the name that
    /// convert_hf_to_gguf.py --remote gives it
    #[arg(long, help_heading = HUB)]
    remote: bool,

    #[command(flatten)]
    hub: HubArgs,

    #[command(flatten)]
    reference: ReferenceOnly,
}

/// What to read from a hub.
#[derive(Debug, clap::Args)]
pub struct HubArgs {
    /// Branch, tag or commit of a repository on the hub [default: main]
    #[arg(long, value_name = "REV", help_heading = HUB)]
    pub revision: Option<String>,
}

impl HubArgs {
    /// As the library wants it.
    pub fn on_hub(&self) -> OnHub {
        OnHub { remote: false, revision: self.revision.clone() }
    }
}

impl OptionArgs {
    /// The options for the model in `model`.
    ///
    /// # Errors
    /// [`Error::Usage`] for flags that contradict each other, and for several types; [`Error::Unsupported`] for flags that
    /// only the reference has.
    pub fn options(&self, model: &Path) -> Result<Options> {
        if self.outfile.as_deref().is_some_and(is_stream) {
            let problem = "--outfile -: only `ggraft convert` and `ggraft lora` write to standard output";
            return Err(Error::usage(problem));
        }
        let mut options = self.for_each_type(model)?;
        match (options.pop(), options.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(Error::usage("--outtype: one at a time; only `ggraft convert` takes several")),
        }
    }

    /// The same for each of the types, each once.
    ///
    /// # Errors
    /// As [`OptionArgs::options`].
    pub fn for_each_type(&self, model: &Path) -> Result<Vec<Options>> {
        self.reference.check()?;
        each_once(&self.outtype).into_iter().map(|kind| self.for_type(model, kind)).collect()
    }

    /// How the files are laid out.
    ///
    /// # Errors
    /// [`Error::Usage`] for flags that contradict each other.
    pub fn grid(&self) -> Result<(Layout, Alignment)> {
        Ok((self.sharing.layout()?, self.sharing.alignment()))
    }

    fn for_type(&self, model: &Path, kind: OutTypeArg) -> Result<Options> {
        let (layout, alignment) = self.grid()?;
        Ok(Options {
            model: model.to_owned(),
            on_hub: self.on_hub(),
            outfile: self.outfile.clone(),
            describe: describe::Options {
                arch: self.arch.options(kind.into(), self.vocab_only),
                mistral_format: self.mistral_format,
                own_template_only: self.disable_mistral_community_chat_template,
                model_name: self.model_name.clone(),
                metadata: self.metadata.clone(),
                target_model: self.target_model_dir.clone(),
                allow_incomplete: self.allow_incomplete,
                adapter: self.lora.clone(),
                ..describe::Options::default()
            },
            projector: self.mmproj,
            adapter: false,
            with_projector: self.with_mmproj,
            splits: SplitRules {
                max_tensors: self.split_max_tensors,
                max_bytes: self.split_max_size,
                no_tensor_first_split: self.no_tensor_first_split,
            },
            layout,
            alignment,
            min_extent: self.sharing.min_extent,
            reflink: self.reflink.reflink(),
            fsync: true,
            verify: false,
            threads: None,
            rate: None,
        })
    }
}

/// Whether blocks are shared.
#[derive(Debug, clap::Args)]
pub struct ReflinkArgs {
    /// Whether the output shares disk blocks with what it is made of instead of holding copies, which takes Btrfs or XFS:
    /// auto does so where possible, always fails where nothing can be shared, never writes byte for byte what
    /// llama.cpp's own tool does
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ReflinkArg::Auto, help_heading = SHARING)]
    reflink: ReflinkArg,

    /// Same as --reflink never
    #[arg(long, conflicts_with = "reflink", help_heading = SHARING)]
    no_reflink: bool,
}

impl ReflinkArgs {
    /// The same in one word.
    pub fn reflink(&self) -> Reflink {
        match self.reflink {
            _ if self.no_reflink => Reflink::Never,
            ReflinkArg::Auto => Reflink::Auto,
            ReflinkArg::Always => Reflink::Always,
            ReflinkArg::Never => Reflink::Never,
        }
    }
}

/// Which tensors are written, and how they are put together.
#[derive(Debug, clap::Args)]
struct ArchArgs {
    /// Store matrices that are FP8 in the checkpoint as Q8_0 instead of the output's type
    #[arg(long, help_heading = TENSORS)]
    fp8_as_q8: bool,

    /// Join the query, key and value matrices of each layer, where the architecture knows them joined
    #[arg(long, help_heading = TENSORS)]
    fuse_qkv: bool,

    /// Join the gate and up matrices of the experts, where the architecture knows them joined
    #[arg(long, help_heading = TENSORS)]
    fuse_gate_up_exps: bool,

    /// Write only the layers for multi-token prediction, as a draft model
    #[arg(long, conflicts_with = "no_nextn", help_heading = TENSORS)]
    mtp: bool,

    /// Leave out the layers for multi-token prediction
    #[arg(long, alias = "no-mtp", help_heading = TENSORS)]
    no_nextn: bool,

    /// Write only the DSpark draft that is part of a DeepSeek V4 model
    #[arg(long, conflicts_with_all = ["mtp", "no_nextn", "mistral_format"], help_heading = TENSORS)]
    dspark: bool,

    /// Also write the dense layers that sentence-transformers puts after the model (EmbeddingGemma)
    #[arg(long, help_heading = TENSORS)]
    sentence_transformers_dense_modules: bool,
}

impl ArchArgs {
    fn options(&self, out: OutType, vocab_only: bool) -> arch::Options {
        arch::Options {
            out,
            fp8_as_q8: self.fp8_as_q8,
            fuse_qkv: self.fuse_qkv,
            fuse_gate_up_exps: self.fuse_gate_up_exps,
            mtp: match (self.mtp, self.no_nextn) {
                (true, _) => Mtp::Only,
                (_, true) => Mtp::Drop,
                _ => Mtp::Keep,
            },
            vocab_only,
            dspark: self.dspark,
            dense_modules: self.sentence_transformers_dense_modules,
        }
    }
}

/// How the output is laid out to share more.
#[derive(Debug, clap::Args)]
struct SharingArgs {
    /// One file, or as many as sharing needs (llama.cpp loads them by the name of the first)
    #[arg(long, help_heading = SHARING, value_name = "LAYOUT", value_enum, default_value_t = LayoutArg::Single,
          conflicts_with_all = ["split_max_size", "split_max_tensors", "no_tensor_first_split"])]
    layout: LayoutArg,

    /// With --layout split: relaxed puts tensors on the 8-byte grid that checkpoints use, so that more can be shared.
    /// Such files are meant for llama-quantize and llama-gguf-split --merge. llama.cpp itself loads them with
    /// --load-mode none only; memory-mapped on the CPU it aborts
    #[arg(long, help_heading = SHARING, value_name = "GRID", value_enum, default_value_t = AlignmentArg::Strict)]
    alignment: AlignmentArg,

    /// Copy runs shorter than this instead of sharing them, to bound fragmentation (K, M and G are powers of 1024)
    #[arg(long, help_heading = SHARING, value_name = "SIZE", value_parser = parse_extent, default_value = "64K")]
    min_extent: u64,
}

impl SharingArgs {
    fn layout(&self) -> Result<Layout> {
        match (self.layout, self.alignment) {
            (LayoutArg::Single, AlignmentArg::Relaxed) => Err(Error::usage(
                "--alignment relaxed needs --layout split: a single file keeps the 32-byte grid",
            )),
            (LayoutArg::Single, _) => Ok(Layout::Single),
            (LayoutArg::Split, _) => Ok(Layout::Split),
        }
    }

    fn alignment(&self) -> Alignment {
        match self.alignment {
            AlignmentArg::Strict => Alignment::Strict,
            AlignmentArg::Relaxed => Alignment::Relaxed,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LayoutArg {
    Single,
    Split,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AlignmentArg {
    Strict,
    Relaxed,
}

/// `--outtype`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
#[value(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum OutTypeArg {
    Auto,
    F32,
    F16,
    Bf16,
    Q8_0,
    Tq1_0,
    Tq2_0,
}

impl From<OutTypeArg> for OutType {
    fn from(arg: OutTypeArg) -> Self {
        match arg {
            OutTypeArg::Auto => Self::Auto,
            OutTypeArg::F32 => Self::F32,
            OutTypeArg::F16 => Self::F16,
            OutTypeArg::Bf16 => Self::Bf16,
            OutTypeArg::Q8_0 => Self::Q8_0,
            OutTypeArg::Tq1_0 => Self::Tq1_0,
            OutTypeArg::Tq2_0 => Self::Tq2_0,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReflinkArg {
    Auto,
    Always,
    Never,
}

/// The types of a list, each where it is first.
pub fn each_once(types: &[OutTypeArg]) -> Vec<OutTypeArg> {
    let mut each = Vec::new();
    types.iter().for_each(|&kind| each.extend((!each.contains(&kind)).then_some(kind)));
    each
}
