//! Names of output files: the default one, and the template of `--outfile`.

use super::Metadata;
use super::object::Object;
use super::python::strip;
use crate::error::{Error, Result};
use crate::input::steers_a_terminal;

/// What the reference calls a model without a name.
const UNNAMED: &str = "ggml-model";

impl Metadata {
    /// The name of the output file when only its directory is given: base name (or name), size, finetune,
    /// version, `output_type` (`BF16`). A vocabulary's name has neither size nor type.
    ///
    /// It is the reference's, but made from a stranger's words: slashes and what steers a terminal become `-`,
    /// and it never begins with one, like a flag.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if one of these is not text.
    pub fn default_file_name(&self, output_type: &str, vocab_only: bool) -> Result<String> {
        match vocab_only {
            true => self.file_name(false, "vocab"),
            false => self.file_name(true, &output_type.to_uppercase()),
        }
    }

    /// The name of a file that has only a model's layers for multi-token prediction.
    ///
    /// # Errors
    /// As [`Metadata::default_file_name`].
    pub fn prediction_file_name(&self, output_type: &str) -> Result<String> {
        Ok(format!("mtp-{}", self.file_name(false, &output_type.to_uppercase())?))
    }

    /// The name of a file that has only a model's projector.
    ///
    /// # Errors
    /// As [`Metadata::default_file_name`].
    pub fn projector_file_name(&self, output_type: &str) -> Result<String> {
        Ok(format!("mmproj-{}", self.file_name(false, &output_type.to_uppercase())?))
    }

    /// The name of a file that has an adapter of rank-decomposed matrices.
    ///
    /// # Errors
    /// As [`Metadata::default_file_name`].
    pub fn adapter_file_name(&self, output_type: &str) -> Result<String> {
        self.file_name(true, &format!("{}-LoRA", output_type.to_uppercase()))
    }

    fn file_name(&self, with_size: bool, last: &str) -> Result<String> {
        let key = if self.get("general.basename").is_some() { "general.basename" } else { "general.name" };
        let mut name = match self.text_for_file_name(key)? {
            Some(name) => strip(name).replace(' ', "-"),
            None => UNNAMED.to_owned(),
        };
        if with_size && let Some(size) = self.get("general.size_label") {
            name = name + "-" + &self.formatted("general.size_label", size)?;
        }
        for key in ["general.finetune", "general.version"] {
            if let Some(text) = self.text_for_file_name(key)? {
                name = name + "-" + &strip(text).replace(' ', "-");
            }
        }
        name.push('-');
        name.push_str(last);
        name.push_str(".gguf");
        Ok(tame(&name))
    }

    fn text_for_file_name(&self, key: &'static str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Object::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "text, for the output's name", other)),
        }
    }

    /// What Python's formatting makes of a size label that need not be text.
    fn formatted(&self, key: &'static str, value: &Object) -> Result<String> {
        match value {
            Object::Text(text) => Ok(text.clone()),
            Object::Bool(false) => Ok("False".to_owned()),
            Object::Int(0) => Ok("0".to_owned()),
            Object::Float(f) if *f == 0.0 => Ok(format!("{f:?}")),
            Object::List(items) if items.is_empty() => Ok("[]".to_owned()),
            Object::Map(_) if !value.is_truthy() => Ok("{}".to_owned()),
            other => Err(self.wrong(key, "text, for the output's name", other)),
        }
    }
}

/// What may be a file's name wherever it is seen or used: one that neither leads out of its directory, nor steers a
/// terminal, nor looks like a flag.
fn tame(name: &str) -> String {
    let name = name.replace(|c| c == '/' || steers_a_terminal(c), "-");
    match name.strip_prefix('-') {
        Some(rest) => format!("{UNNAMED}-{}", rest.trim_start_matches('-')),
        None => name,
    }
}

/// Fills in the output type: `{ftype}` and `{outtype}` in small letters, `{FTYPE}` and `{OUTTYPE}` in
/// capitals, one `{}` or any number of `{0}` in small letters; `{{` and `}}` stand for braces.
///
/// # Errors
///
/// [`Error::Usage`] for any other use of braces.
pub fn fill_file_name_template(template: &str, output_type: &str) -> Result<String> {
    let wrong = |problem: &str| {
        Error::usage(format!(
            "output file name {template:?}: {problem}; fields are {{ftype}}, {{outtype}}, {{FTYPE}}, \
             {{OUTTYPE}} and {{}}, and a brace is written twice"
        ))
    };
    let (mut automatic, mut numbered) = (0, 0);
    let mut name = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once(['{', '}']) {
        name.push_str(before);
        let opens = rest[before.len()..].starts_with('{');
        let brace = if opens { '{' } else { '}' };
        if let Some(after) = after.strip_prefix(brace) {
            name.push(brace);
            rest = after;
            continue;
        }
        if !opens {
            return Err(wrong("'}' without '{'"));
        }
        let Some((field, after)) = after.split_once('}') else {
            return Err(wrong("'{' without '}'"));
        };
        match field {
            "ftype" | "outtype" => name.push_str(&output_type.to_lowercase()),
            "FTYPE" | "OUTTYPE" => name.push_str(&output_type.to_uppercase()),
            "" | "0" => {
                *if field.is_empty() { &mut automatic } else { &mut numbered } += 1;
                if automatic > 1 || (automatic > 0 && numbered > 0) {
                    return Err(wrong("only one field can be without a name"));
                }
                name.push_str(&output_type.to_lowercase());
            }
            _ => return Err(wrong(&format!("unknown field {{{field}}}"))),
        }
        rest = after;
    }
    name.push_str(rest);
    Ok(name)
}
