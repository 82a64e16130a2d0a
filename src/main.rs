//! The `ggraft` command: everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ggraft::cli::main()
}
