//! What a model directory holds and where each tensor's bytes lie.
//!
//! Knows nothing of GGUF or architectures. Everything here is validated before anything trusts it.

mod adapter;
mod budget;
mod files;
mod header;
mod index;
pub(crate) mod modules;
mod numbering;
mod safetensors;
mod torch;
mod wrappers;

use std::path::{Path, PathBuf};

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet};

use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::input::{listed, quoted};
use crate::shape::Shape;
use crate::source::{File, ModelDir};
pub use adapter::Adapter;
use budget::Budget;
use files::Parts;
use index::Index;
pub use modules::Module;
pub(crate) use safetensors::{HEADER_MAX, SafetensorsFile, may_begin, read as read_file};

/// A model directory, indexed: every tensor with its dtype, shape, file and byte range.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// The model directory.
    pub dir: ModelDir,
    /// The files that hold tensors, in the order they were indexed.
    pub files: Vec<SourceFile>,
    /// The same files, open; none of a checkpoint that exists only as numbers.
    pub sources: Vec<File>,
    /// Tensors in the reference's order: by file, then by name (bytewise), or as saved in [`Format::Torch`].
    pub tensors: Vec<SourceTensor>,
    /// What kind of files they are.
    pub format: Format,
    /// What follows the model; the tensors of these come last. Only there after [`Checkpoint::add_modules`].
    pub modules: Vec<Module>,
    /// An adapter of the model. Only there after [`Checkpoint::add_adapter`].
    pub adapter: Option<Adapter>,
    /// What the numbers in the files' names say against there being all of them. Where an index names the files,
    /// that counts instead.
    pub incomplete: Option<String>,
}

/// The kinds of files tensors come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `model*.safetensors`.
    #[default]
    Safetensors,
    /// `pytorch_model*.bin`: zip files with a pickle.
    Torch,
}

/// One file of a checkpoint.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path to open; may be a symlink into a Hugging Face cache.
    pub path: PathBuf,
    /// Its length in bytes when it was indexed.
    pub len: u64,
    /// Where tensor data starts, in bytes from the start of the file.
    pub data_start: u64,
}

/// One tensor: `shape` elements of `dtype` in row-major order at `offset` of file `file`.
#[derive(Clone, Debug)]
pub struct SourceTensor {
    /// Name as the checkpoint spells it.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Shape,
    /// Index into [`Checkpoint::files`].
    pub file: usize,
    /// First byte, from the start of the file. Need not be aligned to anything.
    pub offset: u64,
    /// Length in bytes: product of `shape` × size of `dtype`.
    pub len: u64,
}

/// Headers that are fetched at the same time where that takes a while.
const TOGETHER: usize = 16;

impl Checkpoint {
    /// Indexes the model directory `dir`: reads and checks every header, no tensor data.
    ///
    /// # Errors
    /// [`Error::Invalid`] if anything contradicts anything else, [`Error::Unsupported`] for formats and
    /// dtypes that are known and not supported, [`Error::Io`].
    pub fn open(dir: &ModelDir) -> Result<Self> {
        Self::open_with(dir, |_| ())
    }

    /// [`Checkpoint::open`] of a directory in Mistral's own format, `consolidated*.safetensors`.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_consolidated(dir: &ModelDir) -> Result<Self> {
        Self::of_parts(dir, files::consolidated(dir)?, |_| ())
    }

    /// [`Checkpoint::open`], showing every safetensors file's header to `seen` in the order of
    /// [`Checkpoint::files`].
    pub(crate) fn open_with(dir: &ModelDir, seen: impl FnMut(&SafetensorsFile)) -> Result<Self> {
        Self::of_parts(dir, files::parts(dir)?, seen)
    }

    fn of_parts(dir: &ModelDir, parts: Parts, mut seen: impl FnMut(&SafetensorsFile)) -> Result<Self> {
        let (dir, format, incomplete) = (dir.clone(), parts.format, parts.incomplete);
        let mut checkpoint = Self { dir, format, incomplete, ..Self::default() };
        let mut budget = Budget::default();
        let mut files = Vec::with_capacity(parts.names.len());
        for (i, name) in parts.names.iter().enumerate() {
            if i % TOGETHER == 0 {
                checkpoint.dir.expect(&parts.names[i..parts.names.len().min(i + TOGETHER)]);
            }
            let source = checkpoint.dir.file(name)?;
            let part = match parts.format {
                Format::Safetensors => Part::Safetensors(safetensors::read(&source)?),
                Format::Torch => Part::Torch(torch::read(&source)?),
            };
            let mut tensors = part.tensors().iter();
            let taken = tensors.try_for_each(|t| budget.take(&t.name, t.shape.len()));
            taken.map_err(|problem| Error::invalid(&checkpoint.dir, problem))?;
            files.push((source, part));
        }
        if parts.index.is_none() {
            leave_out_copies(&mut files);
        }
        checkpoint.tensors.reserve_exact(files.iter().map(|(_, part)| part.tensors().len()).sum());
        for (source, part) in files {
            match part {
                Part::Safetensors(file) => {
                    seen(&file);
                    checkpoint.add(source, file.data_start, file.data_start, file.tensors);
                }
                Part::Torch(file) => checkpoint.add_torch(source, file),
            }
        }
        checkpoint.check_names(parts.index.as_ref())?;
        Ok(checkpoint)
    }

    /// Adds the modules of sentence-transformers whose class's name ends with `kind` and that have weights.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; also if one leads out of the model directory.
    pub fn add_modules(&mut self, kind: &str) -> Result<()> {
        modules::listed(&self.dir, kind)?.into_iter().try_for_each(|path| self.add_module(path))
    }

    /// Adds the module of sentence-transformers in directory `path`, if it has weights.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; also if it leads out of the model directory.
    pub fn add_module(&mut self, path: String) -> Result<()> {
        let Some(weights) = modules::weights(&self.dir, &path)? else { return Ok(()) };
        let file = safetensors::read(&weights)?;
        let start = self.tensors.len();
        self.add(weights, file.data_start, file.data_start, file.tensors);
        self.modules.push(Module { path, tensors: start..self.tensors.len() });
        Ok(())
    }

    /// The tensors of the model itself.
    pub fn own_tensors(&self) -> &[SourceTensor] {
        let others = self
            .modules
            .iter()
            .map(|module| &module.tensors)
            .chain(self.adapter.as_ref().map(|adapter| &adapter.tensors));
        let end = others.map(|tensors| tensors.start).min().unwrap_or(self.tensors.len());
        self.tensors.get(..end).unwrap_or_default()
    }

    /// Adds a file whose tensors' ranges count from byte `base`.
    fn add(&mut self, source: File, data_start: u64, base: u64, tensors: Vec<header::Entry>) {
        let file = self.files.len();
        self.tensors.extend(tensors.into_iter().map(|t| SourceTensor {
            name: t.name,
            dtype: t.dtype,
            shape: t.shape,
            file,
            offset: base + t.begin,
            len: t.end - t.begin,
        }));
        let (path, len) = (source.path().to_owned(), source.len());
        self.files.push(SourceFile { path, len, data_start });
        self.sources.push(source);
    }

    fn add_torch(&mut self, source: File, file: torch::TorchFile) {
        let data_start = file.tensors.iter().map(|t| t.begin).min().unwrap_or(file.len);
        self.add(source, data_start, 0, file.tensors);
    }

    /// No name may be there twice, and an index has to name what there is.
    fn check_names(&self, index: Option<&(PathBuf, Index)>) -> Result<()> {
        let places = self.places()?;
        index.map_or(Ok(()), |(path, index)| check_index(path, index, &places))
    }

    /// Every tensor's file by the tensor's name, which no two may share.
    fn places(&self) -> Result<HashMap<&str, usize>> {
        let mut places = HashMap::with_capacity(self.tensors.len());
        for t in &self.tensors {
            match places.entry(t.name.as_str()) {
                Entry::Vacant(place) => drop(place.insert(t.file)),
                Entry::Occupied(place) => {
                    let [first, second] = [*place.get(), t.file].map(|file| self.files[file].path.display());
                    let problem = format!("tensor {} is in {first} and again in {second}", quoted(&t.name));
                    return Err(Error::invalid(&self.dir, problem)
                        .tensor(&t.name)
                        .hint("move the file that is not part of the model out of the directory"));
                }
            }
        }
        Ok(places)
    }
}

/// A file that holds tensors, as it was read.
enum Part {
    Safetensors(SafetensorsFile),
    Torch(torch::TorchFile),
}

impl Part {
    fn tensors(&self) -> &[header::Entry] {
        match self {
            Self::Safetensors(file) => &file.tensors,
            Self::Torch(file) => &file.tensors,
        }
    }
}

/// Names of files that hold a whole model by themselves.
const WHOLE: [&str; 3] = ["model.safetensors", "pytorch_model.bin", "consolidated.safetensors"];

/// Where there is no index, all files count whose names begin like the model's. Those beside `model.safetensors` that
/// only repeat what is in it, such as `model.fp16.safetensors`, are other forms of the same model.
fn leave_out_copies(files: &mut Vec<(File, Part)>) {
    let is_whole =
        |path: &Path| path.file_name().is_some_and(|name| WHOLE.iter().any(|whole| name == *whole));
    let Some((_, whole)) = files.iter().find(|(file, _)| is_whole(file.path())).filter(|_| files.len() > 1)
    else {
        return;
    };
    let names: HashSet<String> = whole.tensors().iter().map(|t| t.name.clone()).collect();
    files.retain(|(file, part)| {
        let path = file.path();
        let repeats = |t: &header::Entry| names.contains(&t.name);
        let copy = !is_whole(path) && !part.tensors().is_empty() && part.tensors().iter().all(repeats);
        if copy {
            tracing::warn!("{} repeats tensors of the model beside it and is left out", path.display());
        }
        !copy
    });
}

/// Bytes of a tensor; none if it has more than can be counted, or no whole number of them. The same goes for one without elements whose other
/// dimensions are absurd, so that nobody who multiplies only some of them has to check again.
fn byte_size(shape: &[u64], dtype: Dtype) -> Option<u64> {
    let most = shape.iter().try_fold(dtype.bits(), |n, dim| n.checked_mul((*dim).max(1)))?;
    if shape.contains(&0) {
        return Some(0);
    }
    most.is_multiple_of(8).then_some(most / 8)
}

/// The index and the files must name the same tensors. Where a file holds a tensor that the index
/// places in another, the file is right; the reference does not look.
fn check_index(path: &Path, index: &Index, places: &HashMap<&str, usize>) -> Result<()> {
    let mut missing = Vec::new();
    for (name, file) in index.tensors.iter().map(|(name, file)| (name.as_str(), *file)) {
        match places.get(name) {
            None => missing.push((name, file)),
            Some(found) if *found != file => {
                tracing::debug!(tensor = name, file = index.files[file], "not in the file the index says");
            }
            Some(_) => {}
        }
    }
    if !missing.is_empty() {
        let (count, names) = (missing.len(), listed(missing.iter().map(|(name, _)| *name)));
        let mut files: Vec<_> = missing.iter().map(|(_, file)| index.files[*file].as_str()).collect();
        files.dedup();
        let files = listed(files);
        return Err(Error::invalid(
            path,
            format!("{count} tensors it names are missing: {names}; expected them in {files}"),
        ));
    }
    if index.tensors.len() != places.len() {
        let known = |name: &str| index.tensors.binary_search_by(|(n, _)| n.as_str().cmp(name)).is_ok();
        let mut extra: Vec<&str> = places.keys().copied().filter(|name| !known(name)).collect();
        extra.sort_unstable();
        let (count, names) = (extra.len(), listed(extra));
        return Err(Error::invalid(
            path,
            format!("the files hold {count} tensors it does not name: {names}"),
        ));
    }
    Ok(())
}
