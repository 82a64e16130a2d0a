//! Post-processor templates, which tell what is put around a text, and chat templates.

use std::collections::BTreeSet;

use crate::json::{Map, Value};
use indexmap::IndexMap;

use super::files::{LARGEST_TEMPLATE, MOST_TEMPLATES, TokenizerFiles, text_if_there};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::source::ModelDir;

/// Finds out from tokenizer.json's post-processor whether BOS, EOS and SEP are added, the way the
/// reference does: a crude reading of templates that is right for simple ones. Tokens that the template
/// names and the configuration does not are entered there.
pub fn read_post_processor(
    tokenizer: &Value,
    config: &mut Option<Map<String, Value>>,
    kinds: &mut Vec<String>,
    add: &mut IndexMap<&'static str, bool>,
) {
    let mut names = Names::new(config.as_mut().filter(|c| !c.is_empty()), kinds);
    let Some(post) = tokenizer.get("post_processor").filter(|p| p.as_object().is_some_and(|p| !p.is_empty()))
    else {
        return;
    };
    let single = std::slice::from_ref(post);
    let processors = post.get("processors").and_then(Value::as_array).map_or(single, Vec::as_slice);
    for processor in processors {
        match processor.get("type").and_then(Value::as_str) {
            Some("ByteLevel") => {
                add.entry("bos").or_insert(false);
                add.entry("eos").or_insert(false);
            }
            Some("RobertaProcessing") => {
                ["bos", "eos", "sep"].into_iter().for_each(|kind| _ = add.insert(kind, true));
                let first = |key: &str| processor.get(key).and_then(Value::first).cloned();
                if !truthy(names.cls.as_ref()) {
                    let value = first("cls").or_else(|| names.bos.clone());
                    names.set("cls", value);
                }
                if !truthy(names.sep.as_ref()) {
                    let value = first("sep").or_else(|| names.eos.clone());
                    names.set("sep", value);
                }
            }
            Some("TemplateProcessing") => read_template(processor, &mut names, add),
            _ => {}
        }
    }
}

/// The special tokens by name, as the configuration has them, kept up to date while templates are read.
struct Names<'a> {
    config: Option<&'a mut Map<String, Value>>,
    kinds: &'a mut Vec<String>,
    bos: Option<Value>,
    cls: Option<Value>,
    eos: Option<Value>,
    sep: Option<Value>,
}

impl<'a> Names<'a> {
    fn new(config: Option<&'a mut Map<String, Value>>, kinds: &'a mut Vec<String>) -> Self {
        let get = |kind: &str| config.as_ref().and_then(|c| c.get(&format!("{kind}_token"))).cloned();
        let (bos, cls, eos, sep) = (get("bos"), get("cls"), get("eos"), get("sep"));
        let mut names = Self { config, kinds, bos, cls, eos, sep };
        if !truthy(names.bos.as_ref()) && truthy(names.cls.as_ref()) {
            names.set("bos", names.cls.clone());
        }
        if !truthy(names.eos.as_ref()) && truthy(names.sep.as_ref()) {
            names.set("eos", names.sep.clone());
        }
        names
    }

    /// Names a token, in the configuration too. Without a configuration nothing is named.
    fn set(&mut self, kind: &str, value: Option<Value>) {
        let Some(config) = &mut self.config else { return };
        config.insert(format!("{kind}_token"), value.clone().unwrap_or(Value::Null));
        match kind {
            "bos" => self.bos = value,
            "cls" => self.cls = value,
            "eos" => self.eos = value,
            "sep" => self.sep = value,
            _ => {}
        }
    }
}

fn read_template(processor: &Value, names: &mut Names, add: &mut IndexMap<&'static str, bool>) {
    let (mut first, mut last) = (None, None);
    if let [head, .., tail] = list(processor, "single") {
        (first, last) = (special(head), special(tail));
    }
    if first.is_some() {
        if names.config.is_none() {
            names.bos.clone_from(&first);
        } else if first != names.bos && first != names.cls {
            if !truthy(names.bos.as_ref()) {
                names.set("bos", first.clone());
            }
            if !truthy(names.cls.as_ref()) {
                names.set("cls", first.clone());
            }
        }
        add.insert("bos", first == names.bos || first == names.cls);
    }
    if last.is_some() {
        if names.config.is_none() {
            names.eos.clone_from(&last);
        } else if last != names.eos {
            // The configuration's EOS becomes a token that ends a turn (or else a message).
            if let Some(kind) = ["eot", "eom"].into_iter().find(|kind| names.kinds.iter().all(|k| k != kind))
            {
                names.kinds.push(kind.into());
                names.set(kind, names.eos.clone());
            }
            names.set("eos", last.clone());
        }
        add.insert("eos", last == names.eos);
    }
    if let Some(add_sep) = separates(processor, &first, &last, names) {
        add.insert("sep", add_sep);
        if add_sep && !truthy(names.sep.as_ref()) && names.config.is_some() {
            // The reference names it in the configuration only.
            let (sep, eos) = (names.sep.clone(), names.eos.clone());
            names.set("sep", eos);
            names.sep = sep;
        }
    }
}

/// The items of a list in a processor.
fn list<'a>(processor: &'a Value, key: &str) -> &'a [Value] {
    processor.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text of an item that is a special token.
fn special(item: &Value) -> Option<Value> {
    item.get("SpecialToken")?.get("id").filter(|id| truthy(Some(id))).cloned()
}

/// Whether SEP stands between the texts of a pair, which is [first] A [sep] [eos] B [last]. None if there is no such pair.
fn separates(processor: &Value, first: &Option<Value>, last: &Option<Value>, names: &Names) -> Option<bool> {
    let sequence = |item: &Value| item.get("Sequence")?.get("id")?.as_str().map(str::to_owned);
    let mut pair = list(processor, "pair");
    if let [head, rest @ ..] = pair
        && first.is_some()
        && special(head) == *first
    {
        pair = rest;
    }
    if let [rest @ .., tail] = pair
        && last.is_some()
        && special(tail) == *last
    {
        pair = rest;
    }
    let [head, between @ .., tail] = pair else { return None };
    let next = between.first()?;
    if sequence(head).as_deref() != Some("A") || sequence(tail).as_deref() != Some("B") {
        return None;
    }
    let separates = |entry: &Option<Value>| entry.is_some() && (*entry == names.sep || *entry == names.eos);
    let mut add_sep = last.is_none() && separates(&special(next));
    if let [_, second] = between {
        add_sep |= separates(&special(second));
    }
    Some(add_sep)
}

/// Has `chat_template.jinja`, where it is there, take the place of every other template.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn own_template(kv: &mut KeyValues, files: &TokenizerFiles) -> Result<()> {
    if let Some(template) = text_if_there(&files.dir, "chat_template.jinja", LARGEST_TEMPLATE)? {
        kv.set_string("tokenizer.chat_template", template);
    }
    Ok(())
}

/// As [`own_template`], or `bundled` if there is no such file.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn template_or(kv: &mut KeyValues, files: &TokenizerFiles, bundled: &str) -> Result<()> {
    kv.set_string("tokenizer.chat_template", bundled);
    own_template(kv, files)
}

/// What Python takes for true.
fn truthy(value: Option<&Value>) -> bool {
    value.is_some_and(Value::is_truthy)
}

/// Writes one template, or several with names. The reference lists the names in the order of a Python
/// set, which changes from run to run; here they are sorted.
///
/// # Errors
/// If the list holds anything but named templates.
pub fn write_chat_template(kv: &mut KeyValues, template: &Value, dir: &ModelDir) -> Result<()> {
    let invalid =
        |what: &str| Error::invalid(dir.join("tokenizer_config.json"), format!("chat_template: {what}"));
    let list = match template {
        Value::String(text) => {
            kv.set_string("tokenizer.chat_template", text);
            return Ok(());
        }
        Value::Array(list) => list,
        _ => return Err(invalid("expected a string or a list")),
    };
    if list.len() > MOST_TEMPLATES {
        return Err(invalid(&format!("expected at most {MOST_TEMPLATES} templates, found {}", list.len())));
    }
    let (mut default, mut names) = (None, BTreeSet::new());
    for choice in list {
        let choice =
            choice.as_object().ok_or_else(|| invalid("expected a list of objects with name and template"))?;
        let name = match choice.get("name") {
            None => "",
            Some(name) => name.as_str().ok_or_else(|| invalid("expected names to be strings"))?,
        };
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let Some(text) = choice.get("template").filter(|t| !t.is_null() && !name.is_empty()) else {
            continue;
        };
        let text = text.as_str().ok_or_else(|| invalid("expected templates to be strings"))?;
        if name == "default" {
            default = Some(text);
        } else {
            kv.set_string(format!("tokenizer.chat_template.{name}"), text);
            names.insert(name);
        }
    }
    kv.set_strings("tokenizer.chat_templates", names);
    if let Some(text) = default {
        kv.set_string("tokenizer.chat_template", text);
    }
    Ok(())
}
