//! One conversion from start to finish: the stages in order, each handing plain data to the next.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use ggraft_platform::{Links, parent};

use crate::advice::{Advice, Alternative};
use crate::checkpoint::Checkpoint;
use crate::describe::{self, Description, NameParts, Note, Target, describe};
use crate::error::{Error, Result};
use crate::evaluate::Evaluator;
use crate::explain::Explanation;
use crate::gguf::KeyValues;
use crate::metadata;
use crate::plan::{Alignment, Layout, Plan, Request, Sharing, SplitRules};
use crate::source::{File, ModelDir, is_dir};
use crate::stage::Stage;
use crate::tensor::OutputTensor;
pub use crate::write::Reflink;
use crate::write::{self, Control, Report, Settings, check_target, probe, stamp};

/// What to convert, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The model directory.
    pub model: PathBuf,
    /// Output file, directory, or file name template; the model directory if absent.
    pub outfile: Option<PathBuf>,
    /// What the GGUF holds.
    pub describe: describe::Options,
    /// Whether that is the model's projector, and not the model itself.
    pub projector: bool,
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
            outfile: Some(outfile.into()),
            describe: describe::Options::default(),
            projector: false,
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
            Target::Text | Target::Projector => Plan::new(&self.request())?,
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
        let mut stage = Stage::begin();
        let dir = &ModelDir::open(&options.model)?;
        let description = describe(dir, options.target(), &options.describe)?;
        let Description { checkpoint, metadata, tensors, name, notes } = description;
        let read: u64 = checkpoint.sources.iter().map(File::len).sum();
        let (files, count) = (checkpoint.sources.len(), tensors.len());
        stage.end(format_args!(
            "{}: {count} tensors of {files} file(s), {read} bytes",
            options.model.display()
        ));
        let path = output_path(options, &name)?;
        if !is_dir(parent(&path))? {
            let missing = parent(&path).display();
            return Err(Error::usage(format!("--outfile: there is no directory {missing}")));
        }
        check_target("--outfile", &path, dir)?;
        let sharing = match options.target() {
            Target::Vocabulary => Sharing::none(&checkpoint, "there are no tensors"),
            Target::Text | Target::Projector => {
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
        let plan = inputs.plan(options.target())?;
        stage.end(format_args!("a plan for {} output(s)", plan.outputs.len()));
        plan.outputs.iter().try_for_each(|output| check_target("--outfile", &output.path, dir))?;
        let settings = Settings {
            must_share: options.reflink == Reflink::Always,
            sync: options.fsync,
            links: Links::Follow,
            threads: options.threads,
            verify: options.verify,
            rate: options.rate,
        };
        let conversion = Self { plan, notes, inputs, settings, reflink: options.reflink };
        if options.reflink == Reflink::Always
            && !conversion.inputs.tensors.is_empty()
            && conversion.expected().bytes.cloned == 0
        {
            return Err(Error::cannot_share(conversion.nothing_shared()));
        }
        Ok(conversion)
    }

    /// What other layouts, or an aligned checkpoint, would share.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn advice(&self) -> Result<Advice> {
        Advice::new(&self.inputs.request(), &self.plan)
    }

    /// [`Conversion::advice`], if a look at the plan says that there may be much to gain.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn brief_advice(&self) -> Result<Option<Alternative>> {
        Advice::brief(&self.inputs.request(), &self.plan)
    }

    /// Whether sharing was wanted, and there is something to share.
    pub fn may_share(&self) -> bool {
        self.reflink != Reflink::Never && !self.inputs.tensors.is_empty()
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

    /// How many bytes [`Conversion::run`] tells of: each once when it is written, and once when it is verified.
    pub fn work(&self) -> u64 {
        self.plan.bytes() * if self.settings.verify { 2 } else { 1 }
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

/// Where to write: a directory gets the default name, anything else is a template.
fn output_path(options: &Options, name: &NameParts) -> Result<PathBuf> {
    let target = options.outfile.as_deref().unwrap_or(&options.model);
    if is_dir(target)? {
        return Ok(target.join(name.default_file_name()?));
    }
    if target.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(
            Error::usage(format!("--outfile: there is no directory {}", target.display())).about(target)
        );
    }
    let template = target.file_name().and_then(|n| n.to_str());
    let template = template.ok_or_else(|| {
        Error::usage(format!("--outfile {}: not a file name", target.display())).about(target)
    })?;
    Ok(target.with_file_name(metadata::fill_file_name_template(template, name.output_type)?))
}
