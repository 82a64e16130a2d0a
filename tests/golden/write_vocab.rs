//! Writes the vocabulary of a model directory as one route reads it: `write_vocab ROUTE DIR OUT`.
//! `scripts/compare_vocab.py` compares it with the reference's.

use std::path::Path;
use std::{env, fs};

mod routes;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let [route, dir, out] = args.as_slice() else { panic!("expected ROUTE DIR OUT") };
    match routes::convert(route, Path::new(dir)) {
        Ok(bytes) => fs::write(out, bytes).expect("OUT can be written"),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(i32::from(error.exit_code()));
        }
    }
}
