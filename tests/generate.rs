//! What packages install beside the program: completions that shells accept, a man page for each command, help that fits.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

fn ggraft(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ggraft")).args(arguments).env("COLUMNS", "300").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that `ggraft --help` lists.
fn commands() -> Vec<String> {
    let help = ggraft(&["--help"]);
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Deeper lines go on with a description.
    let names =
        listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The long flags in a text.
fn flags(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
    let mut flags: Vec<String> =
        words.filter(|word| word.len() > 3 && word.starts_with("--")).map(str::to_owned).collect();
    flags.sort_unstable();
    flags.dedup();
    flags
}

#[test]
fn help_fits_a_hundred_columns() {
    let mut pages = vec![ggraft(&["--help"])];
    pages.extend(commands().iter().map(|command| ggraft(&[command, "--help"])));
    assert!(pages.len() > 10);
    let long: Vec<&str> =
        pages.iter().flat_map(|page| page.lines()).filter(|line| line.chars().count() > 100).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn bash_reads_its_completions_and_completes_with_them() {
    let script = ggraft(&["completions", "bash"]);
    let asked = format!(
        "{script}\nCOMP_WORDS=(ggraft convert --outty); COMP_CWORD=2; _ggraft ggraft --outty convert; echo \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "--outtype");
}

#[test]
fn other_shells_get_theirs() {
    for (shell, says) in [("zsh", "#compdef ggraft"), ("fish", "complete -c ggraft")] {
        assert!(ggraft(&["completions", shell]).contains(says), "{shell}");
    }
}

#[test]
fn every_command_has_a_man_page_with_all_its_flags() {
    let dir = tempfile::tempdir().unwrap();
    ggraft(&["man", dir.path().to_str().unwrap()]);
    assert!(fs::read_to_string(dir.path().join("ggraft.1")).unwrap().contains(".TH ggraft 1"));
    for command in commands() {
        let page =
            fs::read_to_string(dir.path().join(format!("ggraft-{command}.1"))).unwrap().replace("\\-", "-");
        let help = ggraft(&[&command, "--help"]);
        let options = help.lines().filter(|line| line.trim_start().starts_with('-'));
        let missing: Vec<String> =
            options.flat_map(flags).filter(|flag| !page.contains(flag.as_str())).collect();
        assert!(missing.is_empty(), "{command}: {missing:?}");
    }
}
