//! `ggraft batch`: lists of jobs, and parts of them.

#[path = "common/site.rs"]
mod site;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use site::{Site, batch, said};

#[test]
fn lists_of_both_kinds_parts_and_scans() {
    let site = Site::new();
    let models = ["a", "b", "c"].map(|name| site.model(name, false));
    fs::create_dir_all(site.path("out")).unwrap();
    let list = site.path("list.toml");
    let text = format!(
        "[defaults]\noutfile = {out:?}\n[[job]]\nmodel = {:?}\nouttype = [\"f16\", \"q8_0\"]\n[[job]]\nmodel = {:?}\nvocab_only = true\n",
        models[0],
        models[1],
        out = site.path("out").join("x-{ftype}.gguf"),
    );
    fs::write(&list, text).unwrap();
    let names = |flags: &[&str]| {
        let output = batch(&list, flags).arg("--dry-run").output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| line.rsplit('/').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["a f16", "a q8_0", "b"]);
    assert_eq!(names(&["--index=1"]), ["b"]);
    assert_eq!(names(&["--only=1/2"]), ["a f16", "a q8_0"]);
    assert!(batch(&list, &["--quiet"]).status().unwrap().success());
    assert_eq!(site.outputs().len(), 3);

    let mut scan = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    scan.args(["batch", "--dry-run", "--outtype=f16", "--outtype=bf16", "--scan"]).arg(site.path("models"));
    let output = scan.output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 6);
}

#[test]
fn standard_input_is_a_list() {
    let site = Site::new();
    let model = site.model("a", false);
    fs::create_dir_all(site.path("out")).unwrap();
    let mut child = batch(Path::new("-"), &["--events=-", "--outdir"])
        .arg(site.path("out"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "# a comment\n\n{}", json!({"model": model})).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // How often progress is told depends on how long it takes.
    let told: Vec<_> =
        told.iter().map(|event| &event["event"]).filter(|event| *event != "progress").collect();
    assert_eq!(told, ["queued", "started", "finished", "summary"]);
    assert_eq!(site.outputs().len(), 1);
}

#[test]
fn lists_that_make_no_sense_are_refused_before_anything_runs() {
    let site = Site::new();
    let list = site.path("list");
    for (text, problem) in [
        ("{\"outtype\": \"f16\"}", "line 1: expected \"model\", a directory or org/name"),
        ("{\"model\": \"m\"}\n{\"model\": \"m\", \"outtype\": \"q4_k_m\"}", "m: invalid value 'q4_k_m'"),
        ("{\"model\": \"m\", \"frobnicate\": true}", "m: unexpected argument '--frobnicate'"),
        (
            "{\"model\": \"m\", \"json\": true}",
            "line 1: \"json\" is for the whole list, not for one job of it",
        ),
        ("{\"model\": \"m\", \"outputs\": []}", "line 1: outputs: expected a list of tables"),
        ("[job]\nmodel = \"m\"", "the list: expected a table [[job]] for each model"),
        ("[[jobs]]\nmodel = \"m\"", "the list: expected [defaults] and [[job]], found \"jobs\""),
        ("{\"model\": \"m\", \"\": true}", "line 1: \"\": expected the name of a flag, without dashes"),
        ("{\"model\": \"m\", \"--\": true}", "line 1: \"--\": expected the name of a flag, without dashes"),
        ("{\"model\": \"m\", \"events=-\": true}", "line 1: \"events=-\": expected the name of a flag"),
        (
            "{\"model\": \"m\", \"model-name\": \"a\\u0000b\"}",
            "line 1: model-name: no argument can have a NUL",
        ),
        ("{\"model\": \"m\", \"outfile\": \"-\"}", "m: not in a batch: --outfile -: outputs are files"),
        ("{\"model\": \"m\", \"output\": \"-\"}", "m: not in a batch: --outfile -: outputs are files"),
        ("nonsense", "line 1: expected"),
        ("[nonsense", "not TOML"),
        ("", "the list: it is empty"),
        ("# nothing\n\n", "the list: it is empty"),
    ] {
        fs::write(&list, text).unwrap();
        let output = batch(&list, &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}: {}", said(&output));
        assert!(said(&output).contains(problem), "{text}: {}", said(&output));
    }
}

#[test]
fn flags_for_all_jobs_that_make_no_sense_are_refused() {
    let site = Site::new();
    let list = site.list(1, &[]);
    for (flags, problem) in [
        (&["--frobnicate"][..], "unexpected argument '--frobnicate'"),
        (&["--outfile", "x.gguf"], "--outfile is for one job"),
        (&["--dry-run"], "--dry-run: it is for the whole list"),
        (&["--json"], "--json: --events tells what happens"),
        (&["--outtype=f16,q8_0"], "several types"),
        (&["another-model"], "a second model"),
        (&["--", "another-model"], "a second model"),
    ] {
        let output = batch(&list, &["--"]).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", said(&output));
        let all = said(&output);
        assert!(all.contains("flags after --: ") && all.contains(problem), "{flags:?}: {all}");
    }
    assert!(site.outputs().is_empty());
}

/// `output` is another word for `outfile`, and types may have commas between, as for `ggraft convert`.
#[test]
fn what_convert_understands_a_list_may_say() {
    let site = Site::new();
    let (model, out) = (site.model("m", false), site.path("out"));
    fs::create_dir(&out).unwrap();
    let list = site.path("list");
    let entry = json!({"model": model, "output": out.join("{ftype}.gguf"), "outtype": "f16,q8_0"});
    fs::write(&list, entry.to_string()).unwrap();
    let output = batch(&list, &[]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(site.outputs().into_iter().collect::<Vec<_>>(), ["f16.gguf", "q8_0.gguf"]);
    assert!(out.join(".ggraft-batch").is_dir() && !model.join(".ggraft-batch").exists());
}

#[test]
fn lists_that_are_not_text_are_refused() {
    let site = Site::new();
    for name in ["list", "list.toml"] {
        let list = site.path(name);
        fs::write(&list, b"{\"model\": \"\xff\"}").unwrap();
        let output = batch(&list, &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(
            said(&output).contains("expected UTF-8, found something else at byte 11"),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn an_entry_that_is_not_there_is_an_error_but_a_part_may_be_empty() {
    let site = Site::new();
    let list = site.list(2, &[]);
    let output = batch(&list, &["--index=2"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let problem = "no entry 2, counted from 0: expected at least 3 entries, found 2 entries";
    assert!(said(&output).contains(problem), "{}", said(&output));
    let output = batch(&list, &["--only=3/3"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("0 finished, 0 failed, 0 skipped"), "{}", said(&output));
}

#[test]
fn a_directory_has_a_list_for_each_index() {
    let site = Site::new();
    let dir = site.path("jobs.d");
    fs::create_dir(&dir).unwrap();
    for n in [0, 2, 10] {
        let (name, model) = (format!("m{n}"), site.model(&format!("m{n}"), false));
        fs::write(dir.join(format!("{n}.jsonl")), json!({"name": name, "model": model}).to_string()).unwrap();
    }
    fs::write(dir.join("2.toml"), format!("[[job]]\nname = \"t2\"\nmodel = {:?}", site.model("t2", false)))
        .unwrap();
    // None of them is a list.
    ["README", "x.jsonl", "3.json.bak"].iter().for_each(|name| fs::write(dir.join(name), "?").unwrap());
    // Nor are these, which lead back to where they are.
    ["4.jsonl", "5.jsonl"].iter().for_each(|name| std::os::unix::fs::symlink(".", dir.join(name)).unwrap());
    let names = |flags: &[&str]| {
        let output = batch(&dir, flags).arg("--dry-run").output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["m0", "m2", "t2", "m10"], "in the order of their numbers");
    assert_eq!(names(&["--only=1/2"]), ["m0", "m2", "t2", "m10"]);
    assert_eq!(names(&["--only=3/5"]), ["m2", "t2"]);
    assert_eq!(names(&["--index=10"]), ["m10"]);
    let output = batch(&dir, &["--index=1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("expected 1.jsonl or 1.toml there"), "{}", said(&output));
}

#[test]
fn a_dry_run_tells_sizes_and_space_and_writes_nothing() {
    let site = Site::new();
    let list = site.list(3, &[1]);
    let output = batch(&list, &["--dry-run"]).output().unwrap();
    let (lines, told) = (String::from_utf8(output.stdout.clone()).unwrap(), said(&output));
    assert!(output.status.success() && site.path("out").read_dir().unwrap().next().is_none(), "{told}");
    let states: Vec<_> = lines.lines().map(|line| (&line[..5], line.rsplit(' ').next().unwrap())).collect();
    assert_eq!(states, [("to do", "m000"), ("fails", "m001"), ("to do", "m002")]);
    assert!(told.contains("m001: ") && told.contains("no weights here"), "{told}");
    assert_eq!(batch(&list, &["--quiet"]).status().unwrap().code(), Some(7));
    let len = std::fs::metadata(site.path("out/m000.gguf")).unwrap().len() as f64 / 1000.0;
    let sizes = format!(
        "2 to do ({:.2} kB, {:.2} kB of it new), 0 complete, 0 to be verified, 1 would fail",
        2.0 * len,
        2.0 * len
    );
    assert!(told.contains(&sizes), "{told} does not say {sizes}");
    assert!(told.contains(&format!("out: {:.2} kB of new space, ", 2.0 * len)), "{told}");
}
