//! A GGUF file, or all files of a set, as a source of bytes.

use std::path::Path;

use crate::error::{Error, Result};
use crate::gguf::{self, Gguf, KeyValues, TensorInfo, Value};
use crate::input::quoted;
use crate::inspect::open_set;
use crate::plan::Stored;
use crate::source::{File, ModelDir, must_be_gguf};

/// What names the others of a set.
pub const SPLIT_NAME: &str = "expected a name like model-00001-of-00003.gguf";

/// A shape without outermost dimensions of one element, which ggml does not tell from none.
pub fn without_ones(shape: &[u64]) -> &[u64] {
    let ones = shape.iter().take(shape.len().saturating_sub(1)).take_while(|dim| **dim == 1).count();
    &shape[ones..]
}

/// What was read of it.
#[derive(Debug)]
pub struct Input {
    /// Remembers which files were read, in which state.
    pub model: ModelDir,
    /// The files, in split order.
    pub sources: Vec<File>,
    /// Key-values of the first file, which are those of the model.
    pub metadata: KeyValues,
    /// What data of the first file are padded to, in bytes.
    pub alignment: u64,
    /// Tensors of all files in order.
    pub tensors: Vec<Stored>,
    /// The largest alignment of a file with tensors whose type, and so whose exact length, is not known.
    unknown: Option<u64>,
}

impl Input {
    /// The one file at `path`.
    ///
    /// # Errors
    /// As [`gguf::read`].
    pub fn file(path: &Path) -> Result<Self> {
        must_be_gguf(path)?;
        let model = ModelDir::default();
        let file = model.file_elsewhere(path)?;
        let gguf = gguf::read_file(&file)?;
        Self::new(model, vec![(file, gguf)])
    }

    /// The file at `path`, or the set that it belongs to.
    ///
    /// # Errors
    /// Those of [`gguf::read`], and what sets can be wrong in.
    pub fn set(path: &Path) -> Result<Self> {
        let model = ModelDir::default();
        let files = open_set(path, &mut |path| model.file_elsewhere(path))?;
        Self::new(model, files)
    }

    fn new(model: ModelDir, files: Vec<(File, Gguf)>) -> Result<Self> {
        let (mut sources, mut tensors, mut unknown) = (Vec::new(), Vec::new(), None);
        let mut first = None;
        for (number, (file, gguf)) in files.into_iter().enumerate() {
            let next = gguf.tensors.iter().skip(1).map(|tensor| tensor.offset).chain([gguf.len]);
            for (stored, end) in gguf.tensors.iter().zip(next) {
                if stored.len.is_none() {
                    unknown = unknown.max(Some(gguf.alignment));
                }
                // Of a type that is not known, padding may be part of what is taken for the tensor.
                let bytes = stored.len.unwrap_or(end - stored.offset);
                let (name, shape) = (stored.name.clone(), stored.shape.clone());
                let info = TensorInfo { name, shape, type_id: stored.type_id, bytes };
                tensors.push(Stored { info, file: number, offset: stored.offset });
            }
            first.get_or_insert((gguf.metadata, gguf.alignment));
            sources.push(file);
        }
        let (metadata, alignment) = first.ok_or_else(|| Error::Internal("a set without files".into()))?;
        Ok(Self { model, sources, metadata, alignment, tensors, unknown })
    }

    /// How many files the set has that it says to be part of; 0 if it is whole.
    pub fn split_count(&self) -> usize {
        match self.metadata.get("split.count") {
            Some(Value::U16(count)) => usize::from(*count),
            _ => 0,
        }
    }

    /// Refuses a part of a set without the others.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check_whole(&self) -> Result<()> {
        match self.split_count() {
            count if count <= self.sources.len() => Ok(()),
            count => {
                let problem =
                    format!("is one of {count} files, but its name does not say where the others are");
                Err(Error::invalid(self.path(), problem).hint(SPLIT_NAME))
            }
        }
    }

    /// Refuses an alignment to which tensors cannot be moved, since their exact length is not known.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    pub fn check_alignment(&self, alignment: u64) -> Result<()> {
        match self.unknown {
            Some(known) if alignment < known => {
                let unknown = |t: &&Stored| gguf::TypeInfo::of(t.info.type_id).is_none();
                let name = self.tensors.iter().find(unknown).map_or("", |t| &t.info.name);
                let problem = format!(
                    "tensor {} is of a type that is not known, so it cannot be moved from the {known}-byte grid to one of \
                     {alignment} bytes",
                    quoted(name)
                );
                Err(Error::unsupported(problem).at(self.path()).tensor(name))
            }
            _ => Ok(()),
        }
    }

    /// The first file.
    pub fn path(&self) -> &Path {
        self.sources.first().map_or(Path::new(""), |source| source.path())
    }
}
