//! The stages of `docs/architecture.md` as rules about the sources: no file imports in a circle or from a stage above its
//! own, and a model's files are opened in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

/// Parts of the library, each of which uses only those below it.
const FLOORS: [&[&str]; 16] = [
    &["cli"],
    &["mount"],
    &["conversion"],
    &["explain"],
    &["advice"],
    &["pull"],
    &["align", "surgery"],
    &["verify", "write"],
    &["compare"],
    &["describe", "evaluate"],
    &["arch", "inspect", "plan"],
    &["vocab", "metadata", "checkpoint"],
    &["config", "gguf", "batch"],
    &["tensor", "source", "kernels"],
    &["error", "dtype"],
    &["json", "input", "table", "hex", "ggml_types", "shape", "stage"],
];

/// Sources outside of `source` that open files or list directories, none of them a model's.
const OTHER_FILES: [(&str, &str); 13] = [
    ("align", "asks whether the output's directory is empty"),
    ("batch::fingerprint", "looks at lengths and times of what may be read"),
    ("batch::jobs", "reads lists of jobs"),
    ("batch::scan", "looks for models"),
    ("batch::schedule", "syncs outputs"),
    ("batch::state", "keeps the state of jobs"),
    ("cli::batch::listener", "appends events to a file"),
    ("pull", "asks whether the directory is empty, and names the model in it"),
    ("pull::part", "writes what comes"),
    ("pull::state", "keeps the state of downloads"),
    ("mount", "asks whether /dev/fuse may be opened"),
    ("mount::place", "asks whether the directory is empty"),
    ("mount::private", "removes mount points left over"),
];

/// The library's files by module path (`plan::steps`), each without comments and tests.
fn modules() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let comment = Regex::new(r"(?m)^\s*//.*$").unwrap();
    let mut found = BTreeMap::new();
    let mut dirs = vec![root.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                found.insert(
                    name(path.strip_prefix(&root).unwrap()),
                    comment.replace_all(code, "").into_owned(),
                );
            }
        }
    }
    found.retain(|name, _| !["lib", "main"].contains(&name.as_str()) && !name.ends_with("tests"));
    found
}

fn name(path: &Path) -> String {
    let path = if path.ends_with("mod.rs") { path.parent().unwrap().into() } else { path.with_extension("") };
    path.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("::")
}

/// The file in which `path` lies: that of its longest beginning which is a module.
fn owner(modules: &BTreeMap<String, String>, path: &str) -> Option<String> {
    let mut path = path;
    loop {
        if modules.contains_key(path) {
            return Some(path.to_owned());
        }
        path = path.rsplit_once("::")?.0;
    }
}

/// Writes `use a::{b, c::{d}};` out as `a::b`, `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let Some(open) = tree.find('{') else { return vec![tree.trim().to_owned()] };
    let (start, rest) = (tree[..open].trim(), &tree[open + 1..tree.rfind('}').unwrap()]);
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in rest.chars() {
        match c {
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    parts.iter().flat_map(|part| expand(part)).map(|part| format!("{start}{part}")).collect()
}

/// Which files each file takes something from. What a folder's files take from its `mod.rs`, which is made of them, is left
/// out.
fn imports(modules: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<String>> {
    let uses = Regex::new(r"(?ms)^\s*(?:pub(?:\([a-z]+\))? )?use ([^;]+);").unwrap();
    let inline = Regex::new(r"\b(?:crate|super)(?:::[A-Za-z_0-9]+)+").unwrap();
    let mut graph = BTreeMap::new();
    for (module, code) in modules {
        let mut paths: Vec<String> = uses.captures_iter(code).flat_map(|found| expand(&found[1])).collect();
        paths.extend(inline.find_iter(&uses.replace_all(code, "")).map(|found| found.as_str().to_owned()));
        let targets = paths.iter().filter_map(|path| {
            let mut here = module.as_str();
            let mut path = path.as_str();
            if let Some(rest) = path.strip_prefix("crate::") {
                return owner(modules, rest);
            }
            if !path.starts_with("super::") {
                return owner(modules, &format!("{module}::{path}")).filter(|target| target != module);
            }
            while let Some(rest) = path.strip_prefix("super::") {
                (here, path) = (here.rsplit_once("::").map_or("", |(parent, _)| parent), rest);
            }
            owner(modules, &format!("{here}::{path}"))
        });
        graph.insert(
            module.as_str(),
            targets
                .filter(|target| *target != *module && !module.starts_with(&format!("{target}::")))
                .collect(),
        );
    }
    graph
}

/// The modules of a circle, if there is one.
fn circle<'a>(
    graph: &'a BTreeMap<&str, BTreeSet<String>>,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> bool {
    let here = *way.last().unwrap();
    for next in &graph[here] {
        if let Some(start) = way.iter().position(|module| module == next) {
            way.drain(..start);
            return true;
        }
        if !done.contains(next.as_str()) {
            way.push(next);
            if circle(graph, way, done) {
                return true;
            }
            way.pop();
        }
    }
    done.insert(here);
    false
}

#[test]
fn no_file_imports_in_a_circle() {
    let modules = modules();
    let graph = imports(&modules);
    assert!(graph.values().map(BTreeSet::len).sum::<usize>() > 500, "imports are no longer found");
    let mut done = BTreeSet::new();
    for module in graph.keys() {
        let mut way = vec![*module];
        assert!(
            done.contains(module) || !circle(&graph, &mut way, &mut done),
            "a circle: {}",
            way.join(" → ")
        );
    }
}

#[test]
fn no_stage_uses_one_above_it() {
    let floor = |module: &str| {
        let part = module.split("::").next().unwrap();
        FLOORS
            .iter()
            .position(|parts| parts.contains(&part))
            .unwrap_or_else(|| panic!("{part} is on no floor"))
    };
    let modules = modules();
    for (module, targets) in imports(&modules) {
        for target in targets {
            let same = module.split("::").next() == target.split("::").next();
            assert!(same || floor(module) < floor(&target), "{module} uses {target}, which is not below it");
        }
    }
}

#[test]
fn a_models_files_are_opened_in_source_only() {
    let opens = Regex::new(r"\bfs::(read|write|copy|File::)|\bOpenOptions::|\.read_dir\(").unwrap();
    let std_file = Regex::new(r"use std::fs::(\{[^}]*)?\bFile\b").unwrap();
    let opens_std_file = Regex::new(r"\bFile::(open|create|options)").unwrap();
    let mut seen = BTreeSet::new();
    for (module, code) in modules() {
        let opening = opens.is_match(&code) || std_file.is_match(&code) && opens_std_file.is_match(&code);
        if opening && module.split("::").next() != Some("source") {
            seen.insert(module);
        }
    }
    let allowed = OTHER_FILES.iter().map(|(module, _)| module.to_string()).collect();
    assert_eq!(seen, allowed, "left: what opens files outside of `source`; right: what may");
}
