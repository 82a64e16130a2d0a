//! One conversion from start to finish: the stages in order, each handing plain data to the next.

mod place;

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use ggraft_platform::{Links, parent};

use crate::advice::{self, Advice, Alternative};
use crate::checkpoint::Checkpoint;
use crate::describe::{self, Description, Note, Target, describe, describe_both};
use crate::error::{Error, Result};
use crate::evaluate::Evaluator;
use crate::explain::Explanation;
use crate::gguf::KeyValues;
use crate::input::counted;
use crate::plan::{Alignment, Layout, Outlook, Output, Plan, Request, Sharing, SplitRules};
use crate::source::{File, ModelDir, OnHub, is_dir};
use crate::stage::Stage;
use crate::tensor::OutputTensor;
pub use crate::write::Reflink;
use crate::write::{self, Control, Report, Settings, check_target, probe, stamp};
use place::{output_path, projector_path};

/// What to convert, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The model directory, or a repository on a hub.
    pub model: PathBuf,
    /// What else is said about the repository.
    pub on_hub: OnHub,
    /// Output file, directory, or file name template; the model directory if absent.
    pub outfile: Option<PathBuf>,
    /// What the GGUF holds.
    pub describe: describe::Options,
    /// Whether that is the model's projector, and not the model itself.
    pub projector: bool,
    /// Whether `model` is an adapter of another model.
    pub adapter: bool,
    /// Whether the projector is written, too, to a file beside the model's. Both are published together.
    pub with_projector: bool,
    /// How many files, and what decides where one ends.
    pub layout: Layout,
    /// Alignment of the files that [`Layout::Split`] adds.
    pub alignment: Alignment,
    /// When to start another file, with [`Layout::Single`].
    pub splits: SplitRules,
    /// Shared runs shorter than this many bytes are copied instead.
    pub min_extent: u64,
    /// Whether to share blocks.
    pub reflink: Reflink,
    /// Makes sure that the output is on the disk before it gets its name, and the name before it is said to be done.
    /// Without, a power failure within the next half minute can leave zeros under that name, and nothing of what had
    /// it before.
    pub fsync: bool,
    /// Compares outputs with what they are made of before they get their names.
    pub verify: bool,
    /// How many threads to use; as many as there are processors by default.
    pub threads: Option<NonZeroUsize>,
    /// How many bytes to read a second, and how many to write, at most.
    pub rate: Option<NonZeroU64>,
}

impl Options {
    /// What `ggraft convert MODEL --outfile OUTFILE` does.
    pub fn new(model: impl Into<PathBuf>, outfile: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            on_hub: OnHub::default(),
            outfile: Some(outfile.into()),
            describe: describe::Options::default(),
            projector: false,
            adapter: false,
            with_projector: false,
            layout: Layout::default(),
            alignment: Alignment::default(),
            splits: SplitRules::default(),
            min_extent: Sharing::DEFAULT_MIN_EXTENT,
            reflink: Reflink::Auto,
            fsync: true,
            verify: false,
            threads: None,
            rate: None,
        }
    }

    fn target(&self) -> Target {
        match self.projector {
            true => Target::Projector,
            false if self.adapter => Target::Adapter,
            false if self.describe.arch.vocab_only => Target::Vocabulary,
            false => Target::Text,
        }
    }
}

/// A conversion that is ready to be carried out.
#[derive(Debug)]
pub struct Conversion {
    /// What will be written.
    pub plan: Plan,
    /// What of the checkpoint will not.
    pub notes: Vec<Note>,
    /// What the plan was made from. Empty but for the directory where only the vocabulary is wanted.
    inputs: Inputs,
    /// How many outputs are made of `inputs`; one more is a projector's.
    own_outputs: usize,
    settings: Settings,
    reflink: Reflink,
}

/// Everything a plan depends on, so that others can be made for comparison.
#[derive(Debug)]
struct Inputs {
    checkpoint: Checkpoint,
    metadata: KeyValues,
    tensors: Vec<OutputTensor>,
    path: PathBuf,
    sharing: Sharing,
    stamp: Vec<u8>,
    layout: Layout,
    alignment: Alignment,
    splits: SplitRules,
}

impl Inputs {
    /// What to write.
    fn plan(&self, target: Target) -> Result<Plan> {
        if target == Target::Vocabulary && self.splits.no_tensor_first_split {
            let problem = "a vocabulary cannot be split";
            return Err(Error::usage(problem).hint("leave --no-tensor-first-split out"));
        }
        let plan = match target {
            Target::Vocabulary => Plan::metadata_only(&self.path, &self.metadata),
            Target::Text | Target::Projector | Target::Adapter => Plan::new(&self.request())?,
        };
        for output in &plan.outputs {
            let (path, len, start) = (output.path.display(), output.len, output.data_start);
            tracing::debug!("{path}: {len} bytes, {} tensors from byte {start} on", output.tensors.len());
        }
        Ok(plan)
    }

    fn request(&self) -> Request<'_> {
        Request {
            checkpoint: &self.checkpoint,
            offsets: None,
            metadata: &self.metadata,
            tensors: &self.tensors,
            path: &self.path,
            layout: self.layout,
            alignment: self.alignment,
            splits: self.splits,
            sharing: &self.sharing,
            stamp: &self.stamp,
        }
    }
}

impl Conversion {
    /// Reads everything but the weights and plans the output. Writes nothing.
    ///
    /// # Errors
    /// See [`Error`]; most say what is wrong with the checkpoint.
    pub fn prepare(options: &Options) -> Result<Self> {
        let dir = &match options.adapter && !ModelDir::is_on_hub(&options.model, &options.on_hub)? {
            true => ModelDir::open_adapter(&options.model)?,
            false => ModelDir::find(&options.model, &options.on_hub)?,
        };
        let mut how = options.describe.clone();
        if options.on_hub.remote {
            // As the reference does, and in spite of all other names.
            how.model_name = Some(options.model.to_string_lossy().into_owned());
        }
        let (mut description, projector) = match options.with_projector {
            true => describe_both(dir, &how)?,
            false => (describe(dir, options.target(), &how)?, None),
        };
        if options.with_projector && projector.is_none() {
            tracing::warn!(
                "{}: this model has no projector; only the language model is converted",
                dir.path().display()
            );
        }
        let notes = std::mem::take(&mut description.notes);
        let path = output_path(options, dir, &description.name)?;
        let (inputs, mut plan) = planned(dir, options, options.target(), description, path)?;
        let own_outputs = plan.outputs.len();
        if let Some(projector) = projector {
            let path = projector_path(options, dir, &projector.name)?;
            let (layout, alignment, splits) = Default::default();
            let single = Options { layout, alignment, splits, ..options.clone() };
            let (_, beside) = planned(dir, &single, Target::Projector, projector, path)?;
            add(&mut plan, beside)?;
        }
        let settings = Settings {
            must_share: options.reflink == Reflink::Always,
            sync: options.fsync,
            links: Links::Follow,
            threads: options.threads,
            verify: options.verify,
            rate: options.rate,
        };
        let conversion = Self { plan, notes, inputs, own_outputs, settings, reflink: options.reflink };
        if options.reflink == Reflink::Always
            && !conversion.inputs.tensors.is_empty()
            && conversion.expected().bytes.cloned == 0
        {
            return Err(Error::cannot_share(conversion.nothing_shared()));
        }
        Ok(conversion)
    }

    /// The files of [`Inputs`], without a projector's that is written beside them.
    fn own(&self) -> &[Output] {
        &self.plan.outputs[..self.own_outputs]
    }

    /// What other layouts, or an aligned checkpoint, would share.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn advice(&self) -> Result<Advice> {
        Advice::new(&self.inputs.request(), self.own())
    }

    /// [`Conversion::advice`], if a look at the plan says that there may be much to gain.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn brief_advice(&self) -> Result<Option<Alternative>> {
        Advice::brief(&self.inputs.request(), self.own())
    }

    /// What would come of it beside a copy of the model, on a file system that shares blocks; `aligned` is what
    /// `ggraft align` makes of it.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn beside(&self, aligned: bool) -> Result<Outlook> {
        advice::beside(&self.inputs.request(), aligned)
    }

    /// Whether sharing was wanted, and there is something here to share.
    pub fn may_share(&self) -> bool {
        self.inputs.checkpoint.dir.is_local()
            && self.reflink != Reflink::Never
            && !self.inputs.tensors.is_empty()
    }

    /// The plan as a document to show.
    pub fn explain(&self) -> Result<Explanation<'_>> {
        Ok(Explanation::new(&self.inputs.checkpoint, &self.plan, self.advice()?, &self.notes))
    }

    /// Refuses to write to `path` if that is one of the files of the model, under whatever name.
    ///
    /// # Errors
    /// [`Error::Usage`] saying so.
    pub fn check_not_a_source(&self, flag: &str, path: &Path) -> Result<()> {
        check_target(flag, path, &self.inputs.checkpoint.dir)
    }

    /// The report as planned; its `measured` figures mean nothing yet.
    pub fn expected(&self) -> Report {
        Report::of(&self.plan)
    }

    /// How many bytes [`Conversion::run`] tells of (see [`write::work`]).
    pub fn work(&self) -> u64 {
        write::work(&self.plan, &self.settings)
    }

    /// Carries the plan out, telling `progress` of bytes as they are done.
    ///
    /// # Errors
    /// See [`write::write`]; also [`Error::Io`] if there is too little space, before writing anything.
    pub fn run(&self, progress: &mut dyn FnMut(u64)) -> Result<Report> {
        write::tidy(&self.plan, self.settings.links);
        let rate = self.settings.rate;
        self.run_controlled(progress, Control { ready: &mut |_| Ok(()), rate: &|| rate })
    }

    /// The same under `control`, but leftovers of killed processes stay: that takes a look at everything beside the outputs.
    ///
    /// # Errors
    /// As [`Conversion::run`], and those of `control`.
    pub fn run_controlled(&self, progress: &mut dyn FnMut(u64), control: Control) -> Result<Report> {
        write::check_space([&self.plan], self.settings.links)?;
        let Checkpoint { dir, sources, .. } = &self.inputs.checkpoint;
        let finished = write::write_and_tell(&self.plan, dir, sources, self.settings, progress, control)?;
        Ok(finished.report)
    }

    /// Reads the outputs as if they had been written.
    pub fn evaluator(&self) -> Evaluator<'_> {
        Evaluator::new(&self.plan, &self.inputs.checkpoint.sources)
    }

    /// Makes sure that what the plan was made from is as it was.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the file that is not.
    pub fn check_sources(&self) -> Result<()> {
        self.inputs.checkpoint.dir.check_unchanged()
    }

    /// [`Conversion::check_sources`] for one of [`Plan::sources`].
    ///
    /// # Errors
    /// As [`Conversion::check_sources`].
    pub fn check_source(&self, file: usize) -> Result<()> {
        self.inputs.checkpoint.sources[file].check_unchanged()
    }

    fn nothing_shared(&self) -> String {
        let report = self.expected();
        let why = report.reasons.first().map_or("there is nothing to share", |s| s.explanation.as_str());
        format!("--reflink always: no block of the weights can be shared: {why}")
    }
}

/// Plans what `description` says, to be written to `path`.
fn planned(
    dir: &ModelDir,
    options: &Options,
    target: Target,
    description: Description,
    path: PathBuf,
) -> Result<(Inputs, Plan)> {
    let mut stage = Stage::begin();
    let Description { checkpoint, metadata, tensors, .. } = description;
    let read: u64 = checkpoint.sources.iter().map(File::len).sum();
    let (files, tensors_of) = (counted(checkpoint.sources.len(), "file"), counted(tensors.len(), "tensor"));
    stage.end(format_args!("{}: {tensors_of} of {files}, {read} bytes", options.model.display()));
    if !is_dir(parent(&path))? {
        let missing = parent(&path).display();
        return Err(Error::usage(format!("--outfile: there is no directory {missing}")));
    }
    check_target("--outfile", &path, dir)?;
    let sharing = match target {
        Target::Vocabulary => Sharing::none(&checkpoint, "there are no tensors"),
        Target::Adapter if options.reflink == Reflink::Never => {
            Sharing::none(&checkpoint, "adapters are written as convert_lora_to_gguf.py writes them")
        }
        Target::Text | Target::Projector | Target::Adapter => {
            probe(&checkpoint.sources, &path, options.reflink, options.min_extent)?
        }
    };
    for (source, refusal) in checkpoint.sources.iter().zip(&sharing.refusals) {
        let why = refusal.as_deref().unwrap_or("can be shared");
        tracing::debug!("{}: {why}", source.path().display());
    }
    stage.end(format_args!("what can be shared, in blocks of {} bytes", sharing.block));
    let inputs = Inputs {
        stamp: stamp(&checkpoint.sources),
        checkpoint,
        metadata,
        tensors,
        path,
        sharing,
        layout: options.layout,
        alignment: options.alignment,
        splits: options.splits,
    };
    let plan = inputs.plan(target)?;
    stage.end(format_args!("a plan for {}", counted(plan.outputs.len(), "file")));
    plan.outputs.iter().try_for_each(|output| check_target("--outfile", &output.path, dir))?;
    Ok((inputs, plan))
}

/// Adds what `beside` writes to `plan`, which is of the same model and so reads the same files, and perhaps more of them.
fn add(plan: &mut Plan, beside: Plan) -> Result<()> {
    if !plan.sources.starts_with(&beside.sources) || plan.block != beside.block {
        return Err(Error::Internal("a model and its projector are read from different files".into()));
    }
    for output in &beside.outputs {
        if plan.outputs.iter().any(|other| other.path == output.path) {
            let path = output.path.display();
            return Err(Error::usage(format!("--with-mmproj: model and projector would both be {path}"))
                .hint("choose another name with --outfile"));
        }
    }
    plan.outputs.extend(beside.outputs);
    Ok(())
}
