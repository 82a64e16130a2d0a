//! Models on a hub: read over HTTP, from a hub of our own that does what the real one does, and what it should not.

use std::fs;
use std::path::Path;

use serde::Deserialize;

#[path = "common/client.rs"]
mod client;
mod common;
#[path = "common/hub/mod.rs"]
mod hub;

use client::{Client, TINY, contents, copy};
use common::model_dir::ModelDir;
use hub::faults::Fault;
use hub::{Access, Hub, TOKEN};

#[derive(Deserialize)]
struct Family {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    model: ModelDir,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    convert: String,
    raises: Option<String>,
}

/// A hub with the tiny model, and its client.
fn tiny() -> (Hub, Client) {
    let hub = Hub::start();
    hub.add("org/tiny-llama", Path::new(TINY), Access::Public);
    let client = Client::of(&hub);
    (hub, client)
}

/// The tiny model's GGUF as it is made from its directory.
fn expected(client: &Client) -> Vec<u8> {
    let out = client.path("expected.gguf");
    client.succeeds(&["convert", TINY, "--no-reflink", "--outfile", out.to_str().unwrap()]);
    fs::read(out).unwrap()
}

/// A model of every family, downloaded and converted, or converted from the hub: the same bytes.
#[test]
fn a_repository_becomes_what_its_directory_becomes() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let (hub, models) = (Hub::start(), tempfile::tempdir().unwrap());
    let client = Client::of(&hub);
    let mut done = 0;
    for entry in fs::read_dir(tests.join("conformance")).unwrap() {
        let text = fs::read(entry.unwrap().path()).unwrap();
        let family: Family = serde_json::from_slice(&text).unwrap();
        let plain = |run: &&Run| run.raises.is_none() && run.convert.matches('@').count() == 1;
        let Some((case, flags)) = family.cases.iter().find_map(|case| {
            let run = case.runs.iter().find(plain)?;
            Some((case, run.convert.replace("--outfile @out/m.gguf", "")))
        }) else {
            continue;
        };
        let home = models.path().join(done.to_string());
        case.model.write(&home, &tests.join("tokenizers")).unwrap();
        let dir = home.join(&case.model.dir);
        let id = format!("org/{}", case.model.dir);
        hub.add(&id, &dir, Access::Public);
        let flags: Vec<&str> =
            flags.split_whitespace().chain(["--no-reflink", "--quiet", "--outfile"]).collect();
        let convert = |model: &str, out: &str| {
            client.succeeds(&[&["convert", model], &*flags, &[out]].concat());
            fs::read(client.path(out)).unwrap()
        };
        assert!(convert(dir.to_str().unwrap(), "here.gguf") == convert(&id, "hub.gguf"), "{id} {flags:?}");
        done += 1;
    }
    assert!(done >= 40, "only {done} families were converted");
}

#[test]
fn what_is_said_of_a_repository_is_said_of_its_directory() {
    let (hub, client) = tiny();
    let text = |arguments: &[&str]| {
        let output = client.ggraft(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let flags = ["--no-reflink", "--outfile", "out.gguf"];
    let here = text(&[&["plan", TINY], &flags[..]].concat()).replace(TINY, "hf://org/tiny-llama");
    hub.asked();
    let there = text(&[&["plan", "org/tiny-llama"], &flags[..]].concat());
    // Why nothing is shared differs, and what could be.
    let tensors = |text: &str| text.lines().filter(|line| line.contains("out.gguf")).count();
    assert_eq!(tensors(&here), tensors(&there), "{there}");
    let asked = hub.asked();
    let bytes: u64 =
        asked.iter().filter(|asked| asked.path.contains("safetensors")).map(|asked| asked.bytes).sum();
    assert!(bytes < 140_000, "{bytes} bytes of weights were fetched for a plan");

    assert_eq!(
        text(&["inspect", "org/tiny-llama", "--json"]).replace("hf://org/tiny-llama", TINY),
        text(&["inspect", TINY, "--json"])
    );
    client.fails(&["inspect", "--hash", "org/tiny-llama"], 2, &["is on a hub"]);

    fs::write(client.path("tiny.gguf"), expected(&client)).unwrap();
    assert!(text(&["verify", "tiny.gguf", "org/tiny-llama"]).contains("bytes were not compared"));
    assert!(
        text(&["verify", "tiny.gguf", "org/tiny-llama", "--read-all"])
            .contains("equal: this is what becomes")
    );
    let mut damaged = expected(&client);
    let last = damaged.len() - 100;
    damaged[last] ^= 1;
    fs::write(client.path("tiny.gguf"), &damaged).unwrap();
    client.fails(&["verify", "tiny.gguf", "org/tiny-llama", "--read-all"], 6, &["differs"]);
    client.fails(&["verify", "tiny.gguf", "org/tiny-llama", "--model-name", "other"], 6, &["differs"]);
}

#[test]
fn files_are_fetched_once_from_one_commit() {
    let (hub, client) = tiny();
    client.succeeds(&["convert", "hf://org/tiny-llama@v1.0", "--outfile", "out.gguf"]);
    let (asked, commit) = (hub.asked(), hub.commit("org/tiny-llama"));
    let revisions = asked.iter().filter(|asked| asked.path.contains("/revision/")).count();
    assert_eq!(revisions, 1, "the revision is resolved once");
    for asked in asked.iter().filter(|asked| asked.path.contains("/resolve/")) {
        assert!(asked.path.contains(&commit), "{asked:?}");
    }
    for name in ["/config.json", "/tokenizer.json"] {
        let count = asked.iter().filter(|asked| asked.path.ends_with(name)).count();
        assert_eq!(count, 1, "{name} was asked for {count} times");
    }
    let sent: u64 =
        asked.iter().filter(|asked| asked.path.contains("model.safetensors")).map(|a| a.bytes).sum();
    let len = fs::metadata(format!("{TINY}/model.safetensors")).unwrap().len();
    assert!(sent <= len + (130 << 10), "{sent} bytes were sent of a file of {len}");
}

#[test]
fn names_of_repositories_and_of_what_is_made_of_them() {
    let (hub, client) = tiny();
    let expected = expected(&client);
    let default = ["--no-reflink", "--quiet"];
    // In the directory where it runs, by the name that the directory would have given it.
    client.succeeds(&[&["convert", "org/tiny-llama"], &default[..]].concat());
    let here = client.path("models/tiny-llama");
    copy(Path::new(TINY), &here);
    client.succeeds(&[&["convert", here.to_str().unwrap()], &default[..]].concat());
    let name = |dir: &Path| {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".gguf") && name != "expected.gguf").collect::<Vec<_>>()
    };
    assert_eq!(name(client.home.path()), name(&here));
    assert_eq!(fs::read(client.path(&name(&here)[0])).unwrap(), expected);

    // What is here comes first.
    hub.asked();
    client.succeeds(&["plan", "models/tiny-llama"]);
    assert!(hub.asked().is_empty());
    client.fails(
        &["plan", "models/tiny-llama", "--revision", "main"],
        2,
        &["--revision is for repositories"],
    );
    client.fails(&["plan", "hf://org/tiny-llama@v9"], 2, &["has no revision \"v9\""]);
    client.fails(&["plan", "hf://org/tiny-llama@main", "--revision", "main"], 2, &["named twice"]);
    client.fails(&["plan", "hf://org/tiny/llama"], 2, &["not the name of a repository"]);
    client.succeeds(&["plan", &format!("{}/org/tiny-llama", hub.endpoint())]);
    client.succeeds(&["plan", "org/tiny-llama", "--revision", "refs/pr/1"]);
    client.fails(&["align", "org/tiny-llama", "--check"], 2, &["`ggraft pull org/tiny-llama`"]);
    // A file that is not there is none of the hub's.
    hub.asked();
    client.fails(&["inspect", "out/model.gguf"], 2, &["model.gguf"]);
    assert!(hub.asked().is_empty());
}

#[test]
fn refusals_come_with_what_helps() {
    let (hub, mut client) = tiny();
    hub.add("org/gated", Path::new(TINY), Access::Gated);
    hub.add("org/private", Path::new(TINY), Access::Private);
    hub.rename("org/old", "org/tiny-llama");
    client.fails(&["plan", "org/gated"], 2, &["org/gated is gated", "agree to them at", "HF_TOKEN"]);
    client.fails(&["plan", "org/private"], 2, &["no such repository, or it is private", "log in"]);
    client.fails(
        &["plan", "org/missing"],
        2,
        &["no such repository", "nothing of that name here", "spelling"],
    );
    let said = client.succeeds(&["plan", "org/old"]);
    assert!(said.contains("org/old is called org/tiny-llama now"), "{said}");
    client.set("HF_TOKEN", TOKEN);
    client.succeeds(&["plan", "org/gated"]);
    client.succeeds(&["plan", "org/private"]);
    client.fails(&["plan", "org/missing"], 2, &["the token that was sent may not read it"]);
    client.set("HF_TOKEN", "hf_wrong");
    let said = client.fails(&["plan", "org/gated"], 2, &["does not accept the token"]);
    assert!(!said.contains("hf_wrong"), "{said}");
    client.set("HF_TOKEN", "two words");
    let said = client.fails(&["plan", "org/gated"], 2, &["HF_TOKEN does not hold a token"]);
    assert!(!said.contains("two words"), "{said}");
}

#[test]
fn a_token_is_for_the_hub_alone() {
    let (hub, mut client) = tiny();
    hub.add("org/private", Path::new(TINY), Access::Private);
    // As `hf auth login` stores it.
    fs::create_dir_all(client.path(".cache/huggingface")).unwrap();
    fs::write(client.path(".cache/huggingface/token"), format!("{TOKEN}\n")).unwrap();
    client.set("RUST_LOG", "trace");
    let output = client.ggraft(&["convert", "org/private", "--outfile", "out.gguf", "--json", "--verbose"]);
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&all));
    let refused = client.ggraft(&["convert", "org/missing", "--json", "--verbose"]);
    let made = fs::read(client.path("out.gguf")).unwrap();
    for bytes in [&all, &[&refused.stdout[..], &refused.stderr[..]].concat(), &made] {
        assert!(!String::from_utf8_lossy(bytes).contains(TOKEN));
        assert!(
            !String::from_utf8_lossy(bytes).contains("Signature"),
            "an address that is as good as a password"
        );
    }
    let asked = hub.asked();
    assert!(asked.iter().any(|asked| asked.cdn && asked.status == 206));
    for asked in &asked {
        assert_eq!(asked.authorization.is_some(), !asked.cdn, "{asked:?}");
    }
}

#[test]
fn what_fails_on_the_way_is_tried_again() {
    let (hub, client) = tiny();
    let expected = expected(&client);
    let size = fs::metadata(format!("{TINY}/model.safetensors")).unwrap().len();
    let faults = [
        ("hub /api/models", Fault::Status(503, None)),
        ("hub /api/models", Fault::Drop),
        ("/tree/", Fault::Short(10)),
        ("config.json", Fault::Status(429, Some("1".into()))),
        ("tokenizer.json", Fault::Short(500)),
        ("tokenizer.json", Fault::Stall(700)),
        ("resolve", Fault::Status(500, None)),
        ("cdn", Fault::Status(403, None)),
        ("cdn", Fault::Short(size / 3)),
        ("cdn", Fault::Drop),
        ("cdn", Fault::Stall(size / 4)),
        ("cdn", Fault::Status(502, None)),
    ];
    faults.iter().for_each(|(part, fault)| hub.faults().plan(part, fault.clone()));
    client.succeeds(&["convert", "org/tiny-llama", "--no-reflink", "--outfile", "out.gguf"]);
    assert_eq!(fs::read(client.path("out.gguf")).unwrap(), expected);
}

#[test]
fn what_fails_for_good_is_an_error_and_no_file() {
    let (hub, client) = tiny();
    let convert = ["convert", "org/tiny-llama", "--outfile", "out.gguf"];
    hub.faults().plan("cdn", Fault::Changed);
    hub.faults().plan("resolve/", Fault::Changed);
    client.fails(&convert, 4, &["was changed while it was being read"]);
    hub.faults().plan("tokenizer.json", Fault::Damaged);
    client.fails(&convert, 4, &["tokenizer.json", "whose hash is"]);
    hub.faults().plan("/api/", Fault::Endless);
    client.fails(&convert, 1, &["no honest hub"]);
    assert!(!client.path("out.gguf").exists());
    let mut nobody = Client::of(&hub);
    nobody.set("HF_ENDPOINT", "http://127.0.0.1:9");
    nobody.fails(&convert, 1, &["no connection to 127.0.0.1:9", "tried"]);
    nobody.set("HF_ENDPOINT", "ftp://me:secret@hub");
    let said = nobody.fails(&convert, 2, &["HF_ENDPOINT is not an address"]);
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn a_hub_that_lies_is_not_believed() {
    let (hub, client) = tiny();
    let convert = ["convert", "org/tiny-llama", "--outfile", "out.gguf"];
    for path in ["../../etc/passwd", "/etc/passwd", "a/../../b", "a\u{1b}[31m"] {
        hub.lie("org/tiny-llama", |entries| entries[0]["path"] = path.into());
        let said = client.fails(&convert, 4, &["the hub's answer makes no sense"]);
        assert!(!said.contains('\u{1b}'), "{said}");
    }
    let find = |entries: &mut Vec<serde_json::Value>, name: &str| {
        entries.iter().position(|entry| entry["path"] == name).unwrap()
    };
    for size in [0, 7, 10_000_000, u64::MAX] {
        for name in ["model.safetensors", "config.json"] {
            hub.lie("org/tiny-llama", |entries| {
                let at = find(entries, name);
                entries[at]["size"] = size.into();
                if entries[at].get("lfs").is_some() {
                    entries[at]["lfs"]["size"] = size.into();
                }
            });
            client.fails(&convert, 4, &[name]);
        }
    }
    hub.lie("org/tiny-llama", |entries| {
        let entry = entries[0].clone();
        entries.push(entry);
    });
    client.fails(&convert, 4, &["is there twice"]);
    hub.lie("org/tiny-llama", Vec::clear);
    client.fails(&convert, 4, &["hf://org/tiny-llama"]);
    assert!(!client.path("out.gguf").exists());
}

#[test]
fn long_lists_come_in_pages() {
    let (hub, client) = tiny();
    hub.page(2);
    client.succeeds(&["plan", "org/tiny-llama"]);
    let pages = hub.asked().iter().filter(|asked| asked.path.contains("/tree/")).count();
    assert!(pages >= 3, "{pages}");
}

#[test]
fn encryption_is_asked_for_and_checked() {
    let hub = Hub::start_tls();
    hub.add("org/tiny-llama", Path::new(TINY), Access::Public);
    let mut client = Client::of(&hub);
    let expected = expected(&client);
    let convert = ["convert", "org/tiny-llama", "--no-reflink", "--outfile", "out.gguf"];
    client.succeeds(&convert);
    assert_eq!(fs::read(client.path("out.gguf")).unwrap(), expected);
    client.variables.retain(|(name, _)| name != "SSL_CERT_FILE");
    client.fails(&convert, 1, &["cannot trust", "certificate"]);
}

#[test]
fn snapshots_in_the_cache_come_first() {
    let (hub, mut client) = tiny();
    let commit = hub.commit("org/tiny-llama");
    let cache = client.path(".cache/huggingface/hub/models--org--tiny-llama");
    let snapshot = cache.join("snapshots").join(&commit);
    copy(Path::new(TINY), &snapshot);
    fs::create_dir_all(cache.join("refs")).unwrap();
    fs::write(cache.join("refs/main"), &commit).unwrap();
    let expected = expected(&client);
    let convert = ["convert", "org/tiny-llama", "--no-reflink", "--outfile", "out.gguf"];
    client.succeeds(&convert);
    assert_eq!(fs::read(client.path("out.gguf")).unwrap(), expected);
    assert!(!hub.asked().iter().any(|asked| asked.path.contains("/resolve/")), "all of it was here");

    // Part of it is not enough.
    fs::remove_file(snapshot.join("tokenizer.json")).unwrap();
    client.succeeds(&convert);
    assert_eq!(fs::read(client.path("out.gguf")).unwrap(), expected);
    assert!(hub.asked().iter().any(|asked| asked.path.contains("/resolve/")));
    copy(Path::new(TINY), &snapshot);

    client.set("HF_HUB_OFFLINE", "1");
    client.succeeds(&convert);
    client.fails(&["convert", "org/other"], 2, &["HF_HUB_OFFLINE", "the cache does not have it"]);
    assert!(hub.asked().is_empty());
    client.set("HF_HUB_OFFLINE", "0");
    client.set("HF_ENDPOINT", "http://127.0.0.1:9");
    let said = client.succeeds(&convert);
    assert!(said.contains("is taken for the newest"), "{said}");
}

#[test]
fn proxies_are_the_environments() {
    let (hub, mut client) = tiny();
    // The hub answers what a proxy is asked, too; there is nobody at the address itself.
    client.set("HTTP_PROXY", &hub.endpoint());
    client.set("HF_ENDPOINT", "http://hub.invalid");
    client.set("NO_PROXY", "localhost");
    client.succeeds(&["plan", "org/tiny-llama"]);
    client.set("NO_PROXY", "hub.invalid");
    client.fails(&["plan", "org/tiny-llama"], 1, &["hub.invalid"]);
}

/// The library that everybody uses downloads the same files from our hub: so it is one.
#[test]
fn the_hugging_face_library_downloads_from_our_hub() {
    let Ok(python) = std::env::var("GGRAFT_TEST_PYTHON") else {
        eprintln!("SKIPPED: GGRAFT_TEST_PYTHON is not set");
        return;
    };
    for hub in [Hub::start(), Hub::start_tls()] {
        hub.add("org/tiny-llama", Path::new(TINY), Access::Gated);
        let mut client = Client::of(&hub);
        client.set("HF_HUB_DOWNLOAD_TIMEOUT", "10");
        client.set("HF_HUB_DISABLE_PROGRESS_BARS", "1");
        let script = "import huggingface_hub, sys; huggingface_hub.snapshot_download('org/tiny-llama', local_dir=sys.argv[1])";
        let download =
            |client: &Client, to: &str| client.command(&python).args(["-c", script, to]).output().unwrap();
        let refused = download(&client, "refused");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("GatedRepoError"), "{said}");
        client.set("HF_TOKEN", TOKEN);
        let output = download(&client, "got");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut got = contents(&client.path("got"));
        got.retain(|name, _| !name.starts_with(".cache"));
        assert!(got == contents(Path::new(TINY)), "{:?}", got.keys());
    }
}
