//! `cargo run --example serve_hub -- DIR ID [DELAY [SEED ONE_IN COUNT]]`: serves the directory DIR as the repository ID, or with
//! `OWNER/*` each directory in it as one, until standard input ends; for `scripts/hub`. Prints its address, and for each line of
//! input what it has sent since the last.

use std::io::BufRead as _;
use std::path::Path;

#[path = "hub/mod.rs"]
mod hub;

use hub::{Access, Hub};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, id, numbers @ ..] = &arguments[..] else {
        eprintln!("usage: serve_hub DIR ID [DELAY [SEED ONE_IN COUNT]]");
        std::process::exit(2);
    };
    let numbers: Vec<u64> = numbers.iter().map(|number| number.parse().expect("a number")).collect();
    let hub = Hub::start();
    match id.strip_suffix('*') {
        Some(owner) => {
            for entry in std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry")) {
                let name = entry.file_name().into_string().expect("a name");
                hub.add(&format!("{owner}{name}"), &entry.path(), Access::Public);
            }
        }
        None => hub.add(id, Path::new(dir), Access::Public),
    }
    hub.delay(numbers.first().copied().unwrap_or(0));
    if let [_, seed, one_in, count] = numbers[..] {
        hub.faults().at_random(seed, one_in, count);
    }
    println!("{}", hub.endpoint());
    for _ in std::io::stdin().lock().lines() {
        let asked = hub.asked();
        let files = asked.iter().filter(|asked| asked.cdn || asked.path.contains("/resolve/"));
        let (requests, bytes) = (asked.len(), files.map(|asked| asked.bytes).sum::<u64>());
        println!(
            "{{\"requests\": {requests}, \"bytes\": {bytes}, \"faults\": {}}}",
            hub.faults().happened().len()
        );
    }
}
