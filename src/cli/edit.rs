//! `ggraft edit`: other key-values in a GGUF file, the same tensors.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::stdout::is_stream;
use super::surgery::WritingArgs;
use crate::error::{Error, Result};
use crate::gguf::Value;
use crate::json;
use crate::source::File;
use crate::surgery::To;
use crate::surgery::edit::{self, Change};

/// Longest chat template or configuration that is read, in bytes.
const MOST_TEXT: u64 = 64 << 20;

/// Arguments of `ggraft edit`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("to").required(true))]
#[command(after_help = "Examples:
  ggraft edit model.gguf --chat-template chat.jinja -o new.gguf   another chat template
  ggraft edit model.gguf --name 'My model' --in-place             no second file
  ggraft edit model.gguf --set llama.context_length=8192 -o new.gguf
  ggraft edit model.gguf --set 'general.tags:[string]=[\"a\",\"b\"]' -o new.gguf
  ggraft edit model.gguf --special-token eos '<|im_end|>' -o new.gguf

On XFS and Btrfs the tensors of the new file are the blocks of the old one: no time, no space. Changes are made \
in this order: removed, renamed, tokenizer, templates, names, special tokens, set.")]
pub struct Args {
    /// The GGUF file; of a split set the first, which has the key-values of all
    file: PathBuf,

    /// File to write to, or - for standard output
    #[arg(long, short, value_name = "PATH", group = "to")]
    output: Option<PathBuf>,

    /// Replace the file by the edited one when that is complete and on the disk. Whoever has it open keeps the old one
    #[arg(long, group = "to")]
    in_place: bool,

    /// Set a key: a number, true or false, a text, or a JSON array. The type is that of the key; for a new key it is named: u8, i8, u16,
    /// i16, u32, i32, u64, i64, f32, f64, bool, string, and [u8] and so on for arrays
    #[arg(long, value_name = "KEY[:TYPE]=VALUE")]
    set: Vec<String>,

    /// Remove a key
    #[arg(long, alias = "remove-metadata", value_name = "KEY")]
    remove: Vec<String>,

    /// Give a key another name
    #[arg(long, value_name = "KEY=NEW")]
    rename: Vec<String>,

    /// Replace all chat templates by that in this file, or on standard input (-)
    #[arg(long, alias = "chat-template-file", value_name = "FILE", conflicts_with = "chat_template_config")]
    chat_template: Option<PathBuf>,

    /// Replace all chat templates by those of this tokenizer_config.json
    #[arg(long, value_name = "FILE")]
    chat_template_config: Option<PathBuf>,

    /// general.name
    #[arg(long, alias = "general-name", value_name = "TEXT")]
    name: Option<String>,

    /// general.description
    #[arg(long, alias = "general-description", value_name = "TEXT")]
    description: Option<String>,

    /// general.license
    #[arg(long, value_name = "TEXT")]
    license: Option<String>,

    /// general.author
    #[arg(long, value_name = "TEXT")]
    author: Option<String>,

    /// general.organization
    #[arg(long, value_name = "TEXT")]
    organization: Option<String>,

    /// general.url
    #[arg(long, value_name = "TEXT")]
    url: Option<String>,

    /// tokenizer.ggml.pre
    #[arg(long, value_name = "NAME")]
    pre_tokenizer: Option<String>,

    /// Make the token with this text the special one of this name: bos, eos, eot, eom, unknown, padding, mask, …
    #[arg(long, num_args = 2, value_names = ["NAME", "TOKEN"])]
    special_token: Vec<String>,

    /// The same by the token's number
    #[arg(long, num_args = 2, value_names = ["NAME", "ID"])]
    special_token_by_id: Vec<String>,

    /// Replace everything about the tokenizer (tokenizer.*) by what a conversion of this model directory would write
    #[arg(long, value_name = "MODEL_DIR")]
    tokenizer_from: Option<PathBuf>,

    /// Also make changes with which the file may not load any more, and replace an output that exists
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    pub(super) writing: WritingArgs,
}

/// Runs `ggraft edit`.
pub fn run(args: &Args) -> Result<()> {
    let mut how = args.writing.begin(args.force)?;
    let changes = args.changes()?;
    if changes.is_empty() {
        return Err(Error::usage("say what to change")
            .hint("for instance --name TEXT, --chat-template FILE or --set KEY=VALUE"));
    }
    let to = match &args.output {
        None => To::InPlace,
        Some(path) if is_stream(path) => To::Stream,
        Some(path) => To::File(path.clone()),
    };
    if to == To::Stream {
        how = args.writing.streaming(how)?;
        return args.writing.stream(&edit::prepare(&args.file, &changes, &to, how)?);
    }
    args.writing.write(&edit::prepare(&args.file, &changes, &to, how)?, |_| Ok(()))
}

impl Args {
    fn changes(&self) -> Result<Vec<Change>> {
        let mut changes: Vec<Change> = self.remove.iter().cloned().map(Change::Remove).collect();
        for rename in &self.rename {
            let (old, new) = rename
                .split_once('=')
                .filter(|(old, new)| !old.is_empty() && !new.is_empty())
                .ok_or_else(|| Error::usage(format!("--rename {rename}: expected KEY=NEW")))?;
            changes.push(Change::Rename(old.into(), new.into()));
        }
        changes.extend(self.tokenizer_from.clone().map(Change::TokenizerFrom));
        changes.extend(
            self.chat_template.as_deref().map(|path| read(path).map(Change::ChatTemplate)).transpose()?,
        );
        changes.extend(self.chat_template_config.as_deref().map(templates).transpose()?);
        for (key, text) in [
            ("general.name", &self.name),
            ("general.description", &self.description),
            ("general.license", &self.license),
            ("general.author", &self.author),
            ("general.organization", &self.organization),
            ("general.url", &self.url),
            ("tokenizer.ggml.pre", &self.pre_tokenizer),
        ] {
            changes.extend(
                text.as_ref().map(|text| Change::Set(key.into(), Value::String(text.clone().into_bytes()))),
            );
        }
        for pair in self.special_token.chunks_exact(2) {
            changes.push(Change::SpecialToken(pair[0].clone(), pair[1].clone()));
        }
        for pair in self.special_token_by_id.chunks_exact(2) {
            let id = pair[1].parse().map_err(|_| {
                Error::usage(format!("--special-token-by-id {} {}: expected a number", pair[0], pair[1]))
            })?;
            changes.push(Change::SpecialTokenId(pair[0].clone(), id));
        }
        let set = self.set.iter().map(|text| setting(text));
        set.collect::<Result<Vec<_>>>().map(|set| changes.into_iter().chain(set).collect())
    }
}

/// `KEY=VALUE` or `KEY:TYPE=VALUE`.
fn setting(text: &str) -> Result<Change> {
    let wrong = |problem: String| Error::usage(format!("--set {text}: {problem}"));
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| wrong("expected KEY=VALUE or KEY:TYPE=VALUE".into()))?;
    match key.rsplit_once(':') {
        Some((key, kind)) if Value::has_type(kind) && !key.is_empty() => {
            let value = Value::parse(kind, value).map_err(wrong)?;
            Ok(Change::Set(key.into(), value))
        }
        Some((_, kind)) => {
            Err(wrong(format!("there is no type {kind}")).hint("types are u32, string, [f32] and so on"))
        }
        None => Ok(Change::SetAs(key.into(), value.into())),
    }
}

/// A text as Python reads it: every line ends with a line feed.
fn read(path: &Path) -> Result<String> {
    let bytes = if is_stream(path) {
        let (mut bytes, cannot) = (Vec::new(), |e| Error::io("cannot read", "standard input", e));
        std::io::stdin().lock().take(MOST_TEXT + 1).read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.len() as u64 > MOST_TEXT {
            return Err(Error::invalid("standard input", format!("has more than {MOST_TEXT} bytes")));
        }
        bytes
    } else {
        File::open(path)?.read_all(MOST_TEXT)?
    };
    let text = String::from_utf8(bytes).map_err(|_| Error::invalid(path, "is not UTF-8"))?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// What a `tokenizer_config.json` says of chat templates.
fn templates(path: &Path) -> Result<Change> {
    let config = json::parse(read(path)?.as_bytes()).map_err(|e| Error::invalid(path, e.to_string()))?;
    let text = |value: &json::Value, key: &str| Some(value.get(key)?.as_str()?.to_owned());
    let named = config.get("chat_template").and_then(json::Value::as_array).map(|named| {
        named.iter().filter_map(|one| Some((text(one, "name")?, text(one, "template")?))).collect()
    });
    match (text(&config, "chat_template"), named) {
        (Some(template), _) => Ok(Change::ChatTemplate(template)),
        (None, Some(named)) => Ok(Change::ChatTemplates(named)),
        (None, None) => Err(Error::invalid(path, "has no chat_template that is a text or a list of them")),
    }
}
