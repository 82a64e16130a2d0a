//! The model card: `README.md`, whose front matter says who made the model, of what, under which licence.

use std::sync::LazyLock;

use regex::Regex;

use super::model_id::{self, to_title};
use super::object::{Map, Object};
use super::python::{pattern, split_lines};
use super::{Metadata, ParameterCount, Source, yaml};

/// Longest front matter, in bytes. That of cards with thousands of benchmark results has 300,000.
const LONGEST: usize = 1 << 20;

/// Most base models or data sets of one card.
const MOST_ORIGINS: usize = 4096;

/// GGUF key ← front matter key. The first that is there wins.
const FIELDS: [(&str, &str); 29] = [
    ("general.name", "name"),
    ("general.author", "author"),
    ("general.version", "version"),
    ("general.organization", "organization"),
    ("general.description", "description"),
    ("general.finetune", "finetune"),
    ("general.basename", "basename"),
    ("general.size_label", "size_label"),
    ("general.source.url", "url"),
    ("general.source.doi", "doi"),
    ("general.source.uuid", "uuid"),
    ("general.source.repo_url", "repo_url"),
    ("general.name", "model_name"),
    ("general.author", "model_author"),
    ("general.version", "model_version"),
    ("general.organization", "model_organization"),
    ("general.description", "model_description"),
    ("general.finetune", "model_finetune"),
    ("general.basename", "model_basename"),
    ("general.size_label", "model_size_label"),
    ("general.source.url", "model_url"),
    ("general.source.doi", "model_doi"),
    ("general.source.uuid", "model_uuid"),
    ("general.source.repo_url", "model_repo_url"),
    ("general.author", "model_creator"),
    ("general.basename", "model_type"),
    ("general.license", "license"),
    ("general.license.name", "license_name"),
    ("general.license.link", "license_link"),
];

/// GGUF key ← front matter keys, of which the first that is there holds models or data sets.
const ORIGINS: [(&str, [&str; 3]); 2] = [
    ("general.base_models", ["base_model", "base_models", "base_model_sources"]),
    ("general.datasets", ["datasets", "dataset", "dataset_sources"]),
];

/// GGUF key ← front matter key. All that are there are joined.
const LISTS: [(&str, &str); 4] = [
    ("general.tags", "tags"),
    ("general.tags", "pipeline_tag"),
    ("general.languages", "languages"),
    ("general.languages", "language"),
];

/// The front matter of a card: the YAML between a first line `---` and the next, or the end. No mapping
/// where there is none.
pub(super) fn front_matter(card: &str) -> Result<Map, String> {
    // Text is read with universal newlines, so that "\r\n" never reaches the YAML parser.
    let mut lines = split_lines(card);
    if lines.next() != Some("---") {
        return Ok(Map::default());
    }
    // An empty line in place of the first keeps line numbers in messages those of the file.
    let lines = std::iter::once("").chain(lines.take_while(|line| *line != "---"));
    let text = lines.flat_map(|line| [line, "\n"]).collect::<String>();
    if text.len() > LONGEST {
        let found = text.len();
        return Err(format!("expected at most {LONGEST} bytes of front matter, found {found}"));
    }
    // Norwegian is not a truth value. And cards are indented with tabs, which YAML forbids.
    let text = text.replace("- no\n", "- \"no\"\n").replace('\t', "  ");
    match yaml::parse(&text)? {
        Object::Map(map) => Ok(map),
        other => {
            tracing::warn!("the model card's front matter is {}, not a mapping: ignored", other.kind());
            Ok(Map::default())
        }
    }
}

/// Takes over what the card says.
pub(super) fn apply(metadata: &mut Metadata, card: &Map, params: &ParameterCount) {
    for (key, name) in FIELDS {
        if let Some(value) = card.get(name) {
            metadata.set_default(key, value.clone(), Source::Card);
        }
    }
    for (key, names) in ORIGINS {
        // A key that is there counts even if it is empty: the count is written then.
        let Some(value) = names.iter().find_map(|name| card.entries.get(*name)) else { continue };
        let origins = match value {
            Object::Text(_) => vec![origin(value, params)],
            Object::List(ids) => {
                if ids.len() > MOST_ORIGINS {
                    tracing::warn!(
                        "the model card names {} models or data sets, only the first {MOST_ORIGINS} are used",
                        ids.len()
                    );
                }
                ids.iter().take(MOST_ORIGINS).map(|id| origin(id, params)).collect()
            }
            _ => Vec::new(),
        };
        metadata.set(key, Object::List(origins), Source::Card);
    }
    for (key, name) in LISTS {
        let Some(value) = card.get(name) else { continue };
        let mut items = match metadata.get(key) {
            Some(Object::List(items)) => items.clone(),
            _ => Vec::new(),
        };
        match value {
            Object::Text(_) => items.push(value.clone()),
            Object::List(values) => items.extend_from_slice(values),
            _ => {}
        }
        metadata.set(key, Object::List(items), Source::Card);
    }
}

/// What is known of a base model or data set: an id such as `org/name` or a URL is taken apart, a mapping
/// taken as it is.
fn origin(id: &Object, params: &ParameterCount) -> Object {
    static HUB: LazyLock<Regex> = LazyLock::new(|| pattern(r"^https?://huggingface[^\n]co/([^/]+/[^/]+)\z"));
    let id = match id {
        Object::Text(id) => id,
        Object::Map(_) => return id.clone(),
        other => {
            tracing::warn!("the model card has {} for a base model or data set: left empty", other.kind());
            return Object::Map(Map::default());
        }
    };
    let mut known = Map::default();
    let mut set = |key: &str, value: String| drop(known.entries.insert(key.to_owned(), value.into()));
    let is_url = ["http://", "https://", "ssh://"].iter().any(|scheme| id.starts_with(scheme));
    let path = if is_url {
        set("repo_url", id.clone());
        if id.contains("huggingface.co") { HUB.captures(id).and_then(|c| c.get(1)) } else { None }
    } else {
        None
    };
    if let Some(id) = path.map(|m| m.as_str()).or((!is_url).then_some(id)) {
        let parts = model_id::parse(id, params);
        set("name", to_title(&parts.name));
        if let Some(version) = parts.version {
            set("version", version);
        }
        if let Some(organization) = parts.organization {
            set("organization", to_title(&organization));
            if !is_url {
                set("repo_url", format!("https://huggingface.co/{organization}/{}", parts.name));
            }
        }
    }
    Object::Map(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_needs_a_bare_first_line() {
        for card in [
            "",
            "# Title\n---\na: b\n---\n",
            " ---\na: b\n",
            "---a\n",
            "\u{feff}---\na: b\n---\n",
            "---\n- a\n",
        ] {
            assert_eq!(front_matter(card), Ok(Map::default()), "{card:?}");
        }
        let card = front_matter("---\r\na: b\r\n---\r\n# Title").unwrap();
        assert_eq!(card.get("a"), Some(&"b".into()));
    }
}
