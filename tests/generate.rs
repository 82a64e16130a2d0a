//! What packages install beside the program: completions that shells accept, a man page for each command, help that fits.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

fn ggraft(arguments: &[&str]) -> String {
    ggraft_on("300", arguments)
}

/// What it prints on a terminal of so many `columns`.
fn ggraft_on(columns: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ggraft")).args(arguments).env("COLUMNS", columns).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
    let mut asked = vec![vec!["--help".to_owned()], vec!["-h".into()], vec!["help".into()]];
    for command in commands() {
        for how in ["--help", "-h"] {
            asked.push(vec![command.clone(), how.into()]);
        }
        asked.push(vec!["help".into(), command]);
    }
    assert!(asked.len() > 40);
    for words in asked {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // Wide, and of a width that is not known.
        for columns in ["300", "0"] {
            let page = ggraft_on(columns, &words);
            let long: Vec<&str> = page.lines().filter(|line| line.chars().count() > 100).collect();
            assert!(page.lines().count() > 5 && long.is_empty(), "{words:?}: {long:#?}");
        }
    }
}

#[test]
fn examples_are_lines_to_paste() {
    let mut count = 0;
    for command in commands() {
        let help = ggraft(&[&command, "--help"]);
        let examples = help.lines().skip_while(|line| !line.starts_with("Example"));
        for line in examples.skip(1).take_while(|line| !line.is_empty()) {
            assert!(line.starts_with("  ggraft "), "{command}: {line}");
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

/// Of what `ggraft convert` takes, other commands say what it means there.
#[test]
fn flags_are_described_as_the_command_uses_them() {
    for (command, writes, takes_several) in [
        ("convert", true, true),
        ("lora", true, true),
        ("plan", false, false),
        ("mount", false, false),
        ("with", false, false),
    ] {
        let help = in_one_line(&ggraft(&[command, "--help"]));
        assert_eq!(help.contains("or - for standard output;"), writes, "{command}");
        assert_eq!(help.contains("Several with commas between"), takes_several, "{command}");
        assert!(help.contains("--outtype <TYPE> Type of the output's"), "{command}");
    }
    for command in ["mount", "with"] {
        let help = ggraft(&[command, "--help"]);
        let of_files =
            ["--reflink", "--no-reflink ", "--layout", "--alignment", "--min-extent", "Sharing blocks"];
        assert!(of_files.iter().all(|flag| !help.contains(flag)), "{help}");
        assert!(help.contains("--outfile <NAME>"), "{help}");
    }
}

#[test]
fn help_explains_the_words_that_reports_use() {
    let inspect = in_one_line(&ggraft(&["inspect", "--help"]));
    assert!(inspect.contains("PHASE how many bytes that is into a block of the file system"), "{inspect}");
    let plan = in_one_line(&ggraft(&["plan", "--help"]));
    assert!(plan.contains("how far that is into a block (PHASE)"), "{plan}");
    for page in [ggraft(&["--help"])].into_iter().chain(commands().iter().map(|c| ggraft(&[c, "--help"]))) {
        // Who reads help does not know that this is llama.cpp's converter.
        assert!(!page.contains("the reference"), "{page}");
    }
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
