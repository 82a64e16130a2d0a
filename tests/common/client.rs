//! ggraft, and the Hugging Face library, as clients of a hub of our own.

// Each test program uses a part of this.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::hub::Hub;

/// The smallest model there is.
pub const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");

/// Variables of the environment that must not reach a client.
const NOT_OURS: [&str; 22] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "HF_ENDPOINT",
    "XDG_CACHE_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "RUST_LOG",
];

/// Who asks a hub, at home in a directory of its own.
pub struct Client {
    pub home: tempfile::TempDir,
    pub variables: Vec<(String, String)>,
}

impl Client {
    /// One that asks `hub`, and does not wait for long.
    pub fn of(hub: &Hub) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut client = Self { home, variables: Vec::new() };
        client.set("HF_ENDPOINT", &hub.endpoint());
        client.set("HF_HUB_DOWNLOAD_TIMEOUT", "1");
        if let Some(authority) = &hub.authority {
            let file = client.home.path().join("authority.pem");
            fs::write(&file, authority).unwrap();
            client.set("SSL_CERT_FILE", file.to_str().unwrap());
        }
        client
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// A path in its home, which is also where it runs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A command in its environment.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        NOT_OURS.iter().for_each(|name| _ = command.env_remove(name));
        command.env("HOME", self.home.path()).envs(self.variables.iter().cloned());
        command.current_dir(self.home.path()).stdin(Stdio::null());
        command
    }

    pub fn ggraft(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_ggraft")).args(arguments).output().unwrap()
    }

    /// Runs ggraft, which must succeed; what it says on standard error.
    #[track_caller]
    pub fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.ggraft(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    /// Runs ggraft, which must fail with `code` and say all of `expected`; what it says.
    #[track_caller]
    pub fn fails(&self, arguments: &[&str], code: i32, expected: &[&str]) -> String {
        let output = self.ggraft(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        for text in expected {
            assert!(said.contains(text), "{arguments:?} does not say {text:?}:\n{said}");
        }
        said
    }
}

/// Copies the files of `from` to the new directory `to`.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// All files below `dir`, by their relative paths, with what is in them.
pub fn contents(dir: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let (mut found, mut dirs) = (std::collections::BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}
