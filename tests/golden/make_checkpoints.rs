//! `cargo run --example golden_checkpoints -- OUT`: writes every model directory of
//! `tests/golden/cases.json` to `OUT/ID/NAME`, for the script that runs the reference on them.

use std::path::Path;

#[path = "case.rs"]
mod case;
#[path = "../common/mod.rs"]
mod common;

fn main() {
    let out = std::env::args_os().nth(1).expect("usage: golden_checkpoints OUT");
    for case in case::load() {
        let parent = Path::new(&out).join(&case.id);
        case.model
            .write(&parent, &case::tests_dir().join("tokenizers"))
            .unwrap_or_else(|e| panic!("{}: {e}", case.id));
    }
}
