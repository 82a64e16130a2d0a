//! What the Hugging Face cache has of a repository, aligned there: still what its name stands for.

use std::fs;
use std::path::Path;

#[path = "common/client.rs"]
mod client;
#[path = "common/hub/mod.rs"]
mod hub;
#[path = "common/mounts.rs"]
mod mounts;

use client::{Client, TINY, copy};
use hub::{Access, Hub};
use mounts::can_mount;

#[test]
fn a_snapshot_is_aligned_by_its_name_and_used_from_then_on() {
    let hub = Hub::start();
    hub.add("org/tiny-llama", Path::new(TINY), Access::Public);
    let client = Client::of(&hub);
    client.fails(&["align", "org/tiny-llama", "--check"], 2, &["`ggraft pull org/tiny-llama`"]);
    let cache = client.path(".cache/huggingface/hub/models--org--tiny-llama");
    let snapshot = cache.join("snapshots").join(hub.commit("org/tiny-llama"));
    copy(Path::new(TINY), &snapshot);
    fs::create_dir_all(cache.join("refs")).unwrap();
    fs::write(cache.join("refs/main"), hub.commit("org/tiny-llama")).unwrap();

    client.succeeds(&["align", "org/tiny-llama", "--check"]);
    let before = fs::metadata(snapshot.join("model.safetensors")).unwrap().len();
    client.succeeds(&["align", "org/tiny-llama", "--in-place"]);
    assert!(fs::metadata(snapshot.join("model.safetensors")).unwrap().len() > before);
    hub.asked();
    client.succeeds(&["convert", "org/tiny-llama", "--outfile", "out.gguf"]);
    assert!(!hub.asked().iter().any(|asked| asked.path.contains("/resolve/")), "it was read from the hub");

    // What was cut short is not all of it.
    let weights = fs::File::options().write(true).open(snapshot.join("model.safetensors")).unwrap();
    weights.set_len(before - 1).unwrap();
    client.succeeds(&["convert", "org/tiny-llama", "--outfile", "out.gguf"]);
    assert!(hub.asked().iter().any(|asked| asked.path.contains("/resolve/")));
}

/// Nothing of it is ever stored here.
#[test]
fn a_repository_can_be_shown_like_a_directory() {
    if !can_mount() {
        return;
    }
    let hub = Hub::start();
    hub.add("org/tiny-llama", Path::new(TINY), Access::Public);
    let client = Client::of(&hub);
    client.succeeds(&["convert", TINY, "--no-reflink", "--outtype", "q8_0", "--outfile", "expected.gguf"]);
    client.succeeds(&["with", "org/tiny-llama", "--outtype", "q8_0", "--", "cmp", "{}", "expected.gguf"]);
}
