//! Hubs that lead astray, and hubs that do not go on: what they cannot do to us.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[path = "common/client.rs"]
mod client;
#[path = "common/hub/mod.rs"]
mod hub;

use client::{Client, TINY, contents};
use hub::faults::Fault;
use hub::{Access, Hub, TOKEN};
use serde_json::json;

const CONVERT: [&str; 5] = ["convert", "org/tiny-llama", "--no-reflink", "--outfile", "out.gguf"];
const PULL: [&str; 4] = ["pull", "org/tiny-llama", "got", "--plain"];

/// A hub with the tiny model, and its client, who shows a token.
fn tiny() -> (Hub, Client) {
    let hub = Hub::start();
    hub.add("org/tiny-llama", Path::new(TINY), Access::Public);
    let mut client = Client::of(&hub);
    client.set("HF_TOKEN", TOKEN);
    (hub, client)
}

/// Has the answers to what contains `part` be `fault` for ever; both commands must fail with `code`, say all of `expected`, not try
/// again what will be the same again, and leave nothing that looks like a file of the model.
#[track_caller]
fn refused(part: &str, fault: Fault, code: i32, expected: &[&str]) {
    let (hub, client) = tiny();
    hub.faults().always(part, fault);
    for arguments in [&CONVERT[..], &PULL] {
        let said = client.fails(arguments, code, expected);
        assert!(!said.contains(TOKEN) && !said.contains("Signature"), "{said}");
        let mut times = HashMap::new();
        for asked in hub.asked() {
            assert!(!asked.cdn || asked.authorization.is_none());
            *times.entry((asked.path, asked.range)).or_insert(0) += 1;
        }
        // As many redirects are followed.
        assert!(times.values().all(|times| *times <= 8), "{times:?}");
    }
    let got = if client.path("got").exists() { contents(&client.path("got")) } else { Default::default() };
    let weights = got.keys().filter(|name| !name.starts_with(".cache")).find(|name| name.contains("model"));
    assert!(!client.path("out.gguf").exists() && weights.is_none(), "{weights:?}");
}

#[test]
fn redirects_lead_to_nothing_but_hubs() {
    for target in ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "x", "http://me:pw@127.0.0.1/", ""] {
        refused("/revision/", Fault::Redirect(target.into()), 1, &["a redirect"]);
    }
    for part in ["/tree/", "hub /org/tiny-llama/resolve/", "cdn "] {
        refused(part, Fault::Redirect("file:///etc/passwd".into()), 1, &["a redirect"]);
    }
    // In circles: to itself, and between two names of one repository.
    refused(
        "/revision/",
        Fault::Redirect("/api/models/org/tiny-llama/revision/main".into()),
        1,
        &["in circles"],
    );
    let (hub, client) = tiny();
    hub.rename("org/a", "org/b");
    hub.rename("org/b", "org/a");
    client.fails(&["plan", "org/a"], 1, &["in circles"]);
}

#[test]
fn redirects_do_not_give_up_encryption() {
    let hub = Hub::start_tls();
    hub.add("org/tiny-llama", Path::new(TINY), Access::Public);
    let mut client = Client::of(&hub);
    client.set("HF_TOKEN", TOKEN);
    let plain = hub.endpoint().replace("https", "http") + "/api/models/org/tiny-llama/revision/main";
    hub.faults().always("/revision/", Fault::Redirect(plain));
    client.fails(&CONVERT, 1, &["gives up encryption"]);
}

#[test]
fn bodies_are_what_was_asked_for_or_nothing() {
    for (part, coding) in [("/revision/", "gzip"), ("tokenizer.json", "br"), ("cdn ", "zstd, gzip")] {
        refused(part, Fault::Header("Content-Encoding", coding.into()), 1, &["sent it compressed"]);
    }
    refused("/revision/", Fault::Header("X-Junk", "x".repeat(200 << 10)), 1, &["a header without an end"]);
    refused("cdn ", Fault::Header("X-Junk", "x".repeat(200 << 10)), 1, &["a header without an end"]);
    refused("/revision/", Fault::Endless, 1, &["no honest hub"]);
}

/// Where ranges are not served, what takes no more than one is read.
#[test]
fn files_that_come_whole_are_taken_when_they_were_asked_for_whole() {
    let (hub, client) = tiny();
    hub.faults().always("cdn ", Fault::Whole);
    client.fails(&CONVERT, 3, &["whole only"]);
    client.succeeds(&PULL);
    let name = "model.safetensors";
    assert!(
        fs::read(client.path("got").join(name)).unwrap() == fs::read(Path::new(TINY).join(name)).unwrap()
    );
}

/// A wrong range may be a slip; what comes with it is not taken.
#[test]
fn other_ranges_than_those_asked_for_are_not_taken() {
    let (hub, client) = tiny();
    client.succeeds(&CONVERT);
    let expected = fs::read(client.path("out.gguf")).unwrap();
    let size = fs::metadata(format!("{TINY}/model.safetensors")).unwrap().len();
    let ranges = [
        format!("bytes 1-{}/{size}", size - 1),
        format!("bytes 0-0/{size}"),
        "bytes 0-18446744073709551615/18446744073709551615".into(),
        "bytes 5-4/3".into(),
        "bytes */*".into(),
        String::new(),
    ];
    for range in ranges {
        for arguments in [&CONVERT[..], &PULL] {
            hub.faults().plan("cdn ", Fault::Header("Content-Range", range.clone()));
            client.succeeds(arguments);
        }
        assert_eq!(fs::read(client.path("out.gguf")).unwrap(), expected, "{range}");
        let mut got = contents(&client.path("got"));
        got.retain(|name, _| !name.starts_with(".cache") && name != "ggraft-name.txt");
        assert!(got == contents(Path::new(TINY)), "{range}");
        fs::remove_dir_all(client.path("got")).unwrap();
    }
    // Another length is another file.
    let other = format!("bytes 0-{}/{}", size - 1, size + 1);
    hub.faults().always("cdn ", Fault::Header("Content-Range", other));
    client.fails(&PULL, 4, &["was changed while it was being read"]);
}

#[test]
fn lists_end() {
    // The same page again, an empty page again and again, and a page of somebody else.
    let next = |at: &str| Fault::Header("Link", format!("<{at}>; rel=\"next\""));
    let again = "/api/models/org/tiny-llama/tree/main";
    refused("/tree/", next("http://127.0.0.1:1/list"), 1, &["goes on at another host"]);
    refused("/tree/", next("file:///etc/passwd"), 1, &["goes on at another host"]);
    refused("/tree/", next(again), 4, &["is there twice"]);
    let (hub, client) = tiny();
    hub.lie("org/tiny-llama", Vec::clear);
    hub.faults().always("/tree/", next(again));
    client.fails(&CONVERT, 4, &["more than 400 pages"]);
}

#[test]
fn nothing_is_written_outside() {
    let (hub, client) = tiny();
    fs::create_dir(client.path("in")).unwrap();
    let paths =
        ["../escaped", "/tmp/ggraft-escaped", "a/../../../escaped", "..", "a/./b", "\u{0}", "a\\..\\..\n"];
    for path in paths {
        hub.lie("org/tiny-llama", |entries| entries[0]["path"] = path.into());
        client.fails(&["pull", "org/tiny-llama", "in/got"], 4, &["the hub's answer makes no sense"]);
    }
    // A file that is a directory to others.
    hub.lie("org/tiny-llama", |entries| entries[0]["path"] = "config.json/x".into());
    client.fails(&["pull", "org/tiny-llama", "in/got"], 4, &["is a file and a directory"]);
    assert!(contents(&client.path("in")).is_empty());
    assert!(!client.path("escaped").exists() && !Path::new("/tmp/ggraft-escaped").exists());
    // Git's links are files here, with their target as text.
    let link = client.path("repository");
    fs::create_dir(&link).unwrap();
    fs::write(link.join("link.txt"), "/etc/passwd").unwrap();
    hub.add("org/links", &link, Access::Public);
    client.succeeds(&["pull", "org/links", "in/links"]);
    assert!(client.path("in/links/link.txt").symlink_metadata().unwrap().is_file());
    assert_eq!(fs::read(client.path("in/links/link.txt")).unwrap(), b"/etc/passwd");
}

#[test]
fn sizes_that_cannot_be_are_no_harm() {
    let (hub, client) = tiny();
    for size in [1 << 40, 1 << 62, u64::MAX] {
        hub.lie("org/tiny-llama", |entries| {
            entries.push(json!({"type": "file", "path": "x.txt", "oid": "a".repeat(40), "size": size}));
            entries.push(json!({"type": "file", "path": "y.txt", "oid": "a".repeat(40), "size": size}));
        });
        client.succeeds(&["pull", "org/tiny-llama", "got", "--gguf", "--dry-run"]);
        client.fails(&PULL, 1, &["too little space"]);
        client.succeeds(&["plan", "org/tiny-llama"]);
    }
    assert!(!client.path("got").exists());
}

/// A state that somebody else made, or that is damaged, is none.
#[test]
fn manifests_from_strangers_are_checked() {
    let (_hub, client) = tiny();
    client.succeeds(&PULL);
    let manifest = client.path("got/.cache/ggraft/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    for (old, new) in
        [("\"block\": 4096", "\"block\": 0"), ("\"block\": 4096", "\"block\": 5000"), ("{", "[")]
    {
        assert!(text.contains(old), "{text}");
        fs::write(&manifest, text.replacen(old, new, 1)).unwrap();
        client.fails(&PULL, 2, &["no download of ggraft"]);
    }
    let finished = client.path("got/.cache/ggraft/finished.jsonl");
    fs::write(&manifest, &text).unwrap();
    fs::write(
        &finished,
        "{\"path\": \"../../x\", \"id\": \"\", \"len\": 0, \"modified\": [0, 0]}\nnonsense\n",
    )
    .unwrap();
    client.succeeds(&PULL);
    let mut got = contents(&client.path("got"));
    got.retain(|name, _| !name.starts_with(".cache") && name != "ggraft-name.txt");
    assert!(got == contents(Path::new(TINY)));
}

/// Whoever waits for an answer that does not come can be stopped.
#[test]
fn signals_are_heard_while_a_hub_stalls() {
    let (hub, mut client) = tiny();
    client.set("HF_HUB_DOWNLOAD_TIMEOUT", "60");
    for (part, arguments) in [("cdn ", &CONVERT[..]), ("cdn ", &PULL), ("/tree/", &PULL)] {
        hub.faults().always(part, Fault::Stall(100));
        hub.asked();
        let mut child = client.command(env!("CARGO_BIN_EXE_ggraft"));
        let mut child = child.args(arguments).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        let stalls =
            |asked: &hub::Asked| asked.cdn == (part == "cdn ") && (asked.cdn || asked.path.contains(part));
        while !hub.asked().iter().any(stalls) {
            assert!(begun.elapsed() < Duration::from_secs(60));
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(Duration::from_millis(200));
        assert!(child.try_wait().unwrap().is_none(), "it did not wait");
        let start = Instant::now();
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        let status = child.wait().unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "it stopped after {:?}", start.elapsed());
        assert!(!status.success());
        hub.faults().none();
    }
    assert!(!client.path("out.gguf").exists());
}

/// How long to wait is the hub's to say, in seconds or as a date.
#[test]
fn hubs_are_given_the_time_they_ask_for() {
    let (hub, client) = tiny();
    let start = Instant::now();
    hub.faults().plan("/revision/", Fault::Status(429, Some("2".into())));
    client.succeeds(&["plan", "org/tiny-llama"]);
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());

    let date = Command::new("date").args(["-u", "-d", "+3 seconds", "+%a, %d %b %Y %H:%M:%S GMT"]).output();
    let date = String::from_utf8(date.unwrap().stdout).unwrap().trim().to_owned();
    let start = Instant::now();
    hub.faults().plan("/revision/", Fault::Status(503, Some(date)));
    client.succeeds(&["plan", "org/tiny-llama"]);
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}
