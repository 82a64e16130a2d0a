//! `ggraft batch` with models on a hub: known by their commit, and tried again when the network fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

#[path = "common/client.rs"]
mod client;
#[path = "common/hub/mod.rs"]
mod hub;
#[path = "common/site.rs"]
mod site;

use client::{Client, copy};
use hub::{Access, Hub};
use site::{TINY, count, events, said};

const ENTRY: &str = r#"{"model": "org/tiny-llama", "outtype": ["bf16", "q8_0"]}"#;

/// A batch of one list, which writes to `out` and tells what happens in `events`.
struct Batch {
    hub: Hub,
    client: Client,
}

impl Batch {
    fn of(entry: &str) -> Self {
        let hub = Hub::start();
        hub.add("org/tiny-llama", Path::new(TINY), Access::Public);
        let client = Client::of(&hub);
        fs::write(client.path("list.jsonl"), entry).unwrap();
        Self { hub, client }
    }

    fn command(&self, flags: &[&str]) -> Command {
        _ = fs::remove_file(self.client.path("events"));
        let mut command = self.client.command(env!("CARGO_BIN_EXE_ggraft"));
        command.args(["batch", "list.jsonl", "--outdir", "out", "--events", "events"]).args(flags);
        command
    }

    fn run(&self, flags: &[&str]) -> Output {
        self.hub.asked();
        self.command(flags).output().unwrap()
    }

    /// How many jobs had this `event`.
    fn had(&self, event: &str) -> usize {
        count(&events(&self.client.path("events")), event).len()
    }

    fn output(&self, outtype: &str) -> PathBuf {
        self.client.path(&format!("out/Tiny-Llama-119K-{outtype}.gguf"))
    }

    /// Runs it: as many jobs have to be done, the others are complete.
    #[track_caller]
    fn finishes(&self, flags: &[&str], jobs: usize) {
        let output = self.run(flags);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!((self.had("finished"), self.had("skipped")), (jobs, 2 - jobs), "{}", said(&output));
    }
}

#[test]
fn a_repository_is_done_once_for_each_commit() {
    let batch = Batch::of(ENTRY);
    batch.finishes(&[], 2);
    let expected = batch.client.path("expected.gguf");
    let expected = expected.to_str().unwrap();
    batch.client.succeeds(&["convert", TINY, "--outtype", "q8_0", "--no-reflink", "--outfile", expected]);
    assert!(fs::read(expected).unwrap() == fs::read(batch.output("Q8_0")).unwrap());
    // Every conversion is of the commit that is written down, whatever the branch is at meanwhile.
    let commit = batch.hub.commit("org/tiny-llama");
    let of_branch = |asked: &hub::Asked| asked.path.contains("/resolve/main");
    batch.finishes(&[], 0);
    let asked = batch.hub.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| !asked.path.contains("/resolve/")), "{asked:?}");

    let output = batch.run(&["--dry-run"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches("complete").count(), 2, "{}", said(&output));
    let changed = batch.client.path("changed");
    copy(Path::new(TINY), &changed);
    fs::write(changed.join("README.md"), "---\nlicense: mit\n---\n").unwrap();
    batch.hub.add("org/tiny-llama", &changed, Access::Public);
    assert_ne!(batch.hub.commit("org/tiny-llama"), commit);
    batch.finishes(&[], 2);
    let asked = batch.hub.asked();
    assert!(!asked.iter().any(of_branch), "{asked:?}");
}

#[test]
fn verify_reads_it_again() {
    let batch = Batch::of(ENTRY);
    batch.finishes(&[], 2);
    batch.finishes(&["--verify"], 0);
    let (file, times) = (batch.output("BF16"), fs::metadata(batch.output("BF16")).unwrap());
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.len() - 1000;
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(times.modified().unwrap()).unwrap();
    batch.finishes(&["--verify"], 1);
}

/// A revision of the entry's, of a repository that is also a directory here, with a file of its own.
#[test]
fn flags_about_the_hub_count() {
    let entry =
        r#"{"model": "org/tiny-llama", "outtype": ["bf16", "q8_0"], "remote": true, "revision": "v1.0"}"#;
    let batch = Batch::of(entry);
    fs::create_dir_all(batch.client.path("org/tiny-llama")).unwrap();
    batch.finishes(&[], 2);
    fs::write(batch.client.path("list.jsonl"), entry.replace("v1.0", "v9.9")).unwrap();
    let output = batch.run(&[]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(batch.had("failed"), 2, "{}", said(&output));
    let mut command = batch.client.command(env!("CARGO_BIN_EXE_ggraft"));
    let output = command.args(["batch", "list.jsonl"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("with --remote, name an outfile or --outdir"), "{}", said(&output));
}

#[test]
fn what_the_network_does_is_tried_again_and_what_the_hub_refuses_is_not() {
    let mut batch = Batch::of(r#"{"model": "org/tiny-llama"}"#);
    // Nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    batch.client.set("HF_ENDPOINT", &format!("http://{closed}"));
    let output = batch.run(&["--retry", "1"]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    let log = events(&batch.client.path("events"));
    let failed: Vec<_> = log.iter().filter(|event| event["event"] == "failed").collect();
    assert_eq!(failed.iter().map(|event| event["retried"] == true).collect::<Vec<_>>(), [true, false]);
    let message = failed[0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("there is no org/tiny-llama here"), "{message}");

    batch.client.set("HF_ENDPOINT", &batch.hub.endpoint());
    fs::write(batch.client.path("list.jsonl"), r#"{"model": "org/nothing"}"#).unwrap();
    let output = batch.run(&["--retry", "5"]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    let log = events(&batch.client.path("events"));
    let failed: Vec<_> = log.iter().filter(|event| event["event"] == "failed").collect();
    assert!(failed.len() == 1 && failed[0]["retried"] == false, "{failed:?}");
}

#[test]
fn a_signal_is_heard_while_a_hub_takes_its_time() {
    let batch = Batch::of(ENTRY);
    batch.hub.delay(20_000);
    let mut child = batch.command(&[]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(800));
    let start = Instant::now();
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    child.wait().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!((batch.had("failed"), batch.had("skipped")), (0, 2));
}
