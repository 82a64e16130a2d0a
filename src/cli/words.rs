//! The command line's description, with the flags of `ggraft convert` in the words of other commands that take them.

use clap::{Command, CommandFactory as _};

use super::Cli;

/// Flags that decide what a file shares with the checkpoint, of which nothing is left where no file is written. Whoever goes from
/// `ggraft convert` to `ggraft mount` may leave them where they are.
const OF_FILES: [&str; 5] = ["reflink", "no_reflink", "layout", "alignment", "min_extent"];

/// All commands with their flags.
pub fn command() -> Command {
    Cli::command()
        .mut_subcommand("plan", planned)
        .mut_subcommand("mount", shown)
        .mut_subcommand("with", shown)
}

fn planned(command: Command) -> Command {
    let outfile = "File or directory that the GGUF would be written to, which decides what can be shared; {ftype} in a file \
                   name becomes the output type [default: a name made from the model's name, size and type, in the model's \
                   directory]";
    one_type(command).mut_arg("outfile", |flag| flag.help(outfile))
}

fn shown(command: Command) -> Command {
    let outfile = "What the file is called; {ftype} becomes the output type [default: a name made from the model's name, \
                   size and type]";
    let command = one_type(command).mut_arg("outfile", |flag| flag.help(outfile).value_name("NAME"));
    OF_FILES.iter().fold(command, |command, flag| command.mut_arg(flag, |flag| flag.hide(true)))
}

fn one_type(command: Command) -> Command {
    let outtype = "Type of the output's tensors; auto keeps the checkpoint's 16-bit type";
    command.mut_arg("outtype", |flag| flag.help(outtype))
}
