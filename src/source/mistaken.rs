//! What to say of a path that is named as a model and is none, and of a file that only stands for another.

use std::ffi::OsString;
use std::path::Path;

use super::hub::is_repository;
use super::local::{is_dir, list, look};
use crate::error::{Error, Result};
use crate::input::shell_word;

/// Extensions of files that hold weights of a model.
const WEIGHTS: [&str; 4] = ["safetensors", "bin", "pt", "pth"];

/// What a model directory holds, whether it is read or not: no output replaces such a file by accident. Weights in other
/// formats may be the only copy there is.
pub(super) const SOURCE_EXTENSIONS: [&str; 14] = [
    "bin",
    "ckpt",
    "h5",
    "json",
    "jinja",
    "md",
    "model",
    "msgpack",
    "onnx",
    "pt",
    "pth",
    "py",
    "safetensors",
    "txt",
];

/// How a pointer begins that Git LFS leaves in place of a large file (its specification, version 1).
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// What to say where an adapter was expected at `path`, and there is no directory.
pub(crate) fn not_an_adapter(path: &Path) -> Error {
    if std::fs::symlink_metadata(path).is_err() {
        return absent(path, "an adapter", "hf download", "the adapter");
    }
    if path.ends_with("adapter_config.json") || WEIGHTS.contains(&extension(path)) {
        return one_of_its_files(path, "an adapter");
    }
    not_a_directory(path, "").hint("name the one that PEFT's save_pretrained has written")
}

/// What to say where a model was expected at `path`, and there is no directory.
pub(crate) fn not_a_model(path: &Path) -> Error {
    if std::fs::symlink_metadata(path).is_err() {
        return absent(path, "a repository", "ggraft pull", "a model");
    }
    if extension(path) == "gguf" {
        return not_a_directory(path, " but a GGUF file, which is what ggraft makes")
            .hint(format!("`ggraft inspect {}` shows what it holds", path.display()));
    }
    if WEIGHTS.contains(&extension(path)) || path.to_string_lossy().ends_with(".safetensors.index.json") {
        return one_of_its_files(path, "a model");
    }
    not_a_directory(path, "").hint("name one that holds a model")
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}

/// `path` is not a directory; `more` goes on with that sentence.
fn not_a_directory(path: &Path, more: &str) -> Error {
    Error::usage(format!("{} is not a directory{more}", path.display())).about(path)
}

/// There is nothing at `path`. If that is a name on a hub, `command` downloads what is there, which is called `published`.
fn absent(path: &Path, published: &str, command: &str, held: &str) -> Error {
    let error = not_a_directory(path, ": there is nothing of that name");
    match is_repository(path) {
        true => error.hint(format!(
            "{published} on the Hugging Face hub has to be downloaded for this: `{command} {}`",
            path.display()
        )),
        false => error.hint(format!("name the directory that holds {held}")),
    }
}

/// `path` is in the directory that was meant.
fn one_of_its_files(path: &Path, whose: &str) -> Error {
    let parent = ggraft_platform::parent(path);
    not_a_directory(path, &format!(" but one of {whose}'s files"))
        .hint(format!("name the directory it is in: {}", parent.display()))
}

/// Makes sure that there is something at `path`, which somebody has named.
///
/// # Errors
/// [`Error::Usage`] if not, and as [`look`].
pub(crate) fn must_exist(path: &Path) -> Result<()> {
    if look(path)?.is_some() {
        return Ok(());
    }
    let error = Error::usage(format!("there is no file {}", path.display())).about(path);
    Err(match path.to_string_lossy().contains(['*', '?', '[']) {
        true => error.hint(
            "no file fits this pattern, or it is in quotes; name one file, which for a split set can be any of its files",
        ),
        false => error,
    })
}

/// Makes sure that there is something at `path` that may be a GGUF file, which somebody has named.
///
/// # Errors
/// [`Error::Usage`] if there is nothing, or a directory; [`Error::Io`].
pub(crate) fn must_be_gguf(path: &Path) -> Result<()> {
    must_exist(path)?;
    if !is_dir(path)? {
        return Ok(());
    }
    let shown = shell_word(&path.to_string_lossy());
    let error = Error::usage(format!("{} is a directory: expected a GGUF file", path.display())).about(path);
    let names = list(path, "", &[])?;
    let is_gguf = |name: &&OsString| Path::new(name).extension().is_some_and(|e| e == "gguf");
    Err(match names.iter().find(is_gguf) {
        Some(name) => error.hint(format!("there is one in it: {}", path.join(name).display())),
        None if names.iter().any(|name| name == "config.json") => {
            error.hint(format!("this is a model: `ggraft convert {shown}` makes a GGUF file of it"))
        }
        None => error.hint("name the file"),
    })
}

/// What to say of a file that begins with `bytes`, if it is only a pointer to the real one.
pub(crate) fn lfs_pointer(path: &Path, bytes: &[u8]) -> Option<Error> {
    let problem = "this is a Git LFS pointer, not the file itself";
    bytes
        .starts_with(LFS_POINTER)
        .then(|| Error::invalid(path, problem).hint("run `git lfs pull` in the repository it is from"))
}
