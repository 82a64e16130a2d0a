//! What packages install beside the program, made of the command line's own description: completions and man pages.

use std::io::Write as _;
use std::path::PathBuf;

use clap_complete::Shell;

use super::{publish, stdout, words};
use crate::error::Result;

/// Arguments of `ggraft completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ggraft completions bash > /usr/share/bash-completion/completions/ggraft
  ggraft completions zsh > /usr/share/zsh/vendor-completions/_ggraft
  ggraft completions fish > ~/.config/fish/completions/ggraft.fish")]
pub struct CompletionsArgs {
    /// The shell that completes
    shell: Shell,
}

/// Arguments of `ggraft man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ggraft man ~/.local/share/man/man1 && man ggraft-convert")]
pub struct ManArgs {
    /// Directory to write ggraft.1 and a page for each command to
    dir: PathBuf,
}

/// Runs `ggraft completions`.
///
/// # Errors
/// [`Error::Io`].
pub fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut words::command(), "ggraft", &mut script);
    stdout::text(|out| out.write_all(&script))
}

/// Runs `ggraft man`.
///
/// # Errors
/// [`Error::Io`].
pub fn man(args: &ManArgs) -> Result<()> {
    let mut cli = words::command();
    cli.build();
    let commands =
        cli.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    for command in [&cli].into_iter().chain(commands) {
        let name = command.get_display_name().unwrap_or("ggraft");
        let path = args.dir.join(format!("{name}.1"));
        let page = clap_mangen::Man::new(command.clone());
        publish::file(&path, |out| page.render(out))?;
    }
    Ok(())
}
