//! Flags of `convert_hf_to_gguf.py` and `convert_lora_to_gguf.py` cut short: Python's argparse takes any beginning that
//! only one flag has, and scripts make use of that. Flags of our own must be spelled out, so that a new one never changes what a script means.

use std::ffi::OsString;

use clap::Command;

/// The long flags of `convert_hf_to_gguf.py`.
const FLAGS: [&str; 28] = [
    "bigendian",
    "disable-mistral-community-chat-template",
    "dry-run",
    "dspark",
    "fp8-as-q8",
    "fuse-gate-up-exps",
    "fuse-qkv",
    "help",
    "metadata",
    "mistral-format",
    "mmproj",
    "model-name",
    "mtp",
    "no-lazy",
    "no-mtp",
    "no-nextn",
    "no-tensor-first-split",
    "outfile",
    "outtype",
    "print-supported-models",
    "remote",
    "sentence-transformers-dense-modules",
    "split-max-size",
    "split-max-tensors",
    "target-model-dir",
    "use-temp-file",
    "verbose",
    "vocab-only",
];

/// The long flags of `convert_lora_to_gguf.py`.
const LORA_FLAGS: [&str; 10] = [
    "base",
    "base-model-id",
    "bigendian",
    "dry-run",
    "help",
    "no-lazy",
    "outfile",
    "outtype",
    "trust-remote-code",
    "verbose",
];

/// Subcommands that take the flags of a script, and which.
const COMMANDS: [(&str, &[&str]); 3] = [("convert", &FLAGS), ("lora", &LORA_FLAGS), ("plan", &FLAGS)];

/// The command line `args` of `cli`, flags of the reference in full length. A beginning of several flags stays as it is,
/// which clap refuses.
pub fn completed(cli: &Command, args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let command = args.get(1).and_then(|name| COMMANDS.iter().find(|(command, _)| name == *command));
    let Some((name, all)) = command else { return args };
    let Some(command) = cli.find_subcommand(name) else { return args };
    let known: Vec<&str> = (command.get_arguments())
        .flat_map(|arg| arg.get_long().into_iter().chain(arg.get_all_aliases().unwrap_or_default()))
        .collect();
    let flags = args.iter_mut().skip(2).take_while(|arg| *arg != "--");
    for arg in flags {
        let Some(flag) = arg.to_str().and_then(|arg| arg.strip_prefix("--")) else { continue };
        let (name, value) = flag.find('=').map_or((flag, ""), |at| flag.split_at(at));
        if let Some(whole) = whole(all, name).filter(|_| !known.contains(&name)) {
            *arg = format!("--{whole}{value}").into();
        }
    }
    args
}

/// The only one of `flags` that begins with `name`.
fn whole(flags: &[&'static str], name: &str) -> Option<&'static str> {
    let mut matching = flags.iter().copied().filter(|flag| flag.starts_with(name));
    matching.next().filter(|_| matching.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Vec<String> {
        let cli = Command::new("ggraft").subcommand(
            Command::new("convert")
                .arg(clap::Arg::new("fsync").long("fsync"))
                .arg(clap::Arg::new("outfile").long("outfile").alias("output")),
        );
        let args = ["ggraft"].iter().chain(args).map(OsString::from);
        completed(&cli, args).into_iter().skip(1).map(|arg| arg.into_string().unwrap()).collect()
    }

    #[test]
    fn only_what_one_flag_begins_with() {
        assert_eq!(of(&["convert", "m", "--target", "d"]), ["convert", "m", "--target-model-dir", "d"]);
        assert_eq!(of(&["convert", "--outt=f16", "--voc"]), ["convert", "--outtype=f16", "--vocab-only"]);
        for same in ["--fuse", "--out", "--output", "--fs", "--fsync", "--frob", "--", "-o", "m"] {
            assert_eq!(of(&["convert", same]), ["convert", same]);
        }
    }

    #[test]
    fn nothing_else_is_touched() {
        assert_eq!(of(&["convert", "--", "--voc"]), ["convert", "--", "--voc"]);
        assert_eq!(of(&["inspect", "--verb"]), ["inspect", "--verb"]);
    }
}
