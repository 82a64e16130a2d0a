//! Links in the repository's pages lead to files that are there, and to headings that these have.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// All pages, without those of what was built or downloaded.
fn pages(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let built = ["target", "node_modules"].iter().any(|dir| name == *dir);
        if entry.file_type().unwrap().is_dir() && !built && !name.to_string_lossy().starts_with('.') {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The text of a page outside of its fenced blocks.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap();
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// The anchors that GitHub makes of headings: small letters, digits, hyphens, and spaces as hyphens.
fn anchors(page: &Path) -> BTreeSet<String> {
    let heading = |line: &str| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    prose(page).lines().filter(|line| line.starts_with('#')).map(heading).collect()
}

/// Links of `page` that lead nowhere.
fn broken(page: &Path, link: &Regex) -> Vec<String> {
    let is_broken = |target: &str| {
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let file = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
        !file.exists() || !(anchor.is_empty() || anchors(&file).contains(anchor))
    };
    let text = prose(page);
    let targets = link.captures_iter(&text).map(|found| found[1].to_owned());
    targets.filter(|target| !target.contains("://") && is_broken(target)).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut found = Vec::new();
    pages(Path::new(env!("CARGO_MANIFEST_DIR")), &mut found);
    assert!(found.len() > 15, "{found:?}");
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let broken: Vec<_> =
        found.iter().map(|page| (page, broken(page, &link))).filter(|(_, b)| !b.is_empty()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Files below `dir` in which there is `word`, whatever its case.
fn mentions(dir: &Path, word: &str, found: &mut BTreeSet<String>) {
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            mentions(&path, word, found);
        } else if fs::read(&path)
            .is_ok_and(|text| String::from_utf8_lossy(&text).to_lowercase().contains(word))
        {
            let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
            found.insert(path.to_str().unwrap().to_owned());
        }
    }
}

/// What `docs/add-a-model.md` shows of a model is all that there is.
#[test]
fn a_model_is_one_file_and_its_registration() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = "src/arch/models/maincoder.rs";
    let page = fs::read_to_string(root.join("docs/add-a-model.md")).unwrap();
    let code = fs::read_to_string(root.join(file)).unwrap();
    assert!(page.contains(&format!("```rust\n{code}```\n")), "docs/add-a-model.md shows another {file}");
    let mut found = BTreeSet::new();
    mentions(&root.join("src"), "maincoder", &mut found);
    let generated = ["src/arch/generated/names.rs", "src/verify/structure/architectures.txt"];
    assert!(found.iter().eq([generated[0], file, "src/arch/models/mod.rs", generated[1]]), "{found:?}");
    let registry = fs::read_to_string(root.join("src/arch/models/mod.rs")).unwrap();
    let lines: Vec<_> = registry.lines().filter(|line| line.to_lowercase().contains("maincoder")).collect();
    assert_eq!(lines, ["mod maincoder;", "    maincoder::MAINCODER,"]);
}

#[test]
fn broken_links_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("page.md");
    fs::write(
        &page,
        "# Its heading, twice\n[a](#its-heading-twice) [b](other.md) [c](#none) [d](https://x.y)\n",
    )
    .unwrap();
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    assert_eq!(broken(&page, &link), ["other.md", "#none"]);
}
