//! Everything of ggraft that reads what strangers write, fed by libFuzzer. `scripts/fuzz.sh` builds and runs it.
//!
//! `GGRAFT_FUZZ_TARGET` says which of the [targets](targets::TARGETS). A crash is a panic, more than 256 MiB at once, or
//! more than five seconds.

#![no_main]

mod memory;
mod mutate;
mod plans;
mod targets;

use std::panic;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use targets::Target;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    // libFuzzer's own hook ends the process at any panic, also at those of a tokenizer library that are caught and
    // become errors.
    panic::set_hook(Box::new(|_| {}));
    let name = std::env::var("GGRAFT_FUZZ_TARGET").expect("GGRAFT_FUZZ_TARGET");
    targets::TARGETS.iter().find(|target| target.name == name).expect("a target's name")
});

fuzz_target!(|data: &[u8]| {
    let target = *TARGET;
    memory::start();
    if let Err(panic) = panic::catch_unwind(|| (target.run)(data)) {
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        eprintln!("panic: {}", said.unwrap_or("?"));
        std::process::abort();
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Every other time at random, or nothing but JSON would ever be tried.
    let changed = if TARGET.is_json && seed % 2 == 0 { mutate::json(&data[..size], seed) } else { None };
    match changed.filter(|bytes| bytes.len() <= max_size) {
        Some(bytes) => {
            data[..bytes.len()].copy_from_slice(&bytes);
            bytes.len()
        }
        None => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    }
});
