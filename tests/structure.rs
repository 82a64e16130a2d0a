//! What llama.cpp's loader refuses, `ggraft verify` refuses without a model, and names the tensor or key.
//!
//! `scripts/structure.py` has the real llama.cpp judge the same files, and writes `tests/structure/verdicts.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ggraft::verify;

mod common;
#[path = "structure/damage.rs"]
mod damage;

use damage::{BASES, Damaged, File};

/// Files by name. Each fourth of what could be made: that is several hundred, and each takes time.
fn files() -> Vec<(String, Damaged)> {
    let of = |(family, id): (&str, &str)| {
        let damages = File::base(family, id).damages().into_iter();
        damages.map(|damaged| (format!("{id}: {}", damaged.what), damaged)).collect::<Vec<_>>()
    };
    let all = BASES.into_iter().flat_map(of).enumerate();
    let kept = all.filter(|(number, (name, damaged))| {
        number % 4 == 0 || damaged.what == "nothing" || name.starts_with("llama: container")
    });
    kept.map(|(_, file)| file).collect()
}

/// Why llama.cpp refuses it, by name; nothing if it loads.
fn verdicts() -> BTreeMap<String, Option<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/structure/verdicts.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn what_llama_cpp_refuses_is_refused() {
    let work = tempfile::tempdir().unwrap();
    if let Some(dir) = std::env::var_os("GGRAFT_WRITE_STRUCTURE") {
        for (number, (name, damaged)) in files().into_iter().enumerate() {
            let path = PathBuf::from(&dir).join(format!("{number:05}.gguf"));
            fs::write(path.with_extension("name"), name).unwrap();
            fs::write(path, damaged.bytes).unwrap();
        }
        return;
    }
    let (verdicts, path) = (verdicts(), work.path().join("x.gguf"));
    let (mut missed, mut strict, mut unnamed, mut unjudged) = (vec![], vec![], vec![], vec![]);
    let (mut refused, mut count) = (0, 0);
    for (name, damaged) in files() {
        fs::write(&path, &damaged.bytes).unwrap();
        let options = verify::Options { gguf: path.clone(), ..verify::Options::default() };
        let found = verify::verify(&options, &mut |_| {}, &mut |_| {}).map_err(|error| error.to_string());
        count += 1;
        let Some(verdict) = verdicts.get(&name) else {
            unjudged.push(name);
            continue;
        };
        match (verdict, found) {
            (Some(why), Ok(_)) => missed.push(format!("{name}: {why}")),
            (None, Err(error)) => strict.push(format!("{name}: {error}")),
            (Some(_), Err(error)) => {
                refused += 1;
                // What contradicts each other can be called by either name.
                let other = |about: &str| {
                    error.contains(&format!("{}.", about.split('.').next().unwrap_or_default()))
                };
                if damaged.about.is_some_and(|about| {
                    !error.contains(&about) && !error.contains("tensor \"") && !other(&about)
                }) {
                    unnamed.push(format!("{name}: {error}"));
                }
            }
            (None, Ok(_)) => {}
        }
    }
    let show = |list: &[String]| list.join("\n");
    assert!(
        [&missed, &strict, &unnamed, &unjudged].iter().all(|list: &&Vec<String>| list.is_empty())
            && refused >= 200,
        "{count} files, {refused} refused by both;\n{} refused by llama.cpp only:\n{}\n{} by ggraft only:\n{}\n\
         {} without saying what:\n{}\n{} that llama.cpp has not judged",
        missed.len(),
        show(&missed),
        strict.len(),
        show(&strict),
        unnamed.len(),
        show(&unnamed),
        unjudged.len()
    );
}
