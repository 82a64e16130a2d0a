//! `ggraft batch`: every job once, whatever fails, ends or runs beside it.

#[path = "common/site.rs"]
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use site::{Site, TINY, batch, count, events, expected, said};

#[test]
fn failures_stay_alone() {
    let site = Site::new();
    let failing = [3, 7, 8];
    let list = site.list(12, &failing);
    let log = site.path("events");
    let output = batch(&list, &["--jobs=2", "--events"]).arg(&log).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    let events = events(&log);
    let failed: Vec<String> = count(&events, "failed").into_keys().collect();
    assert_eq!(failed, ["m003", "m007", "m008"]);
    assert_eq!(count(&events, "finished").len(), 9);
    assert_eq!(site.outputs().len(), 9);
    assert_eq!(fs::read(site.path("out").join("m000.gguf")).unwrap(), expected(&site, "m000"));
    let summary = events.last().unwrap();
    assert_eq!([&summary["finished"], &summary["failed"], &summary["skipped"]], [9, 3, 0]);

    // Another run has nothing to do but what failed; mended, that is done as well.
    for n in failing {
        site.model(&format!("m{n:03}"), false);
    }
    fs::remove_file(&log).unwrap();
    let output = batch(&list, &["--events"]).arg(&log).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let events = self::events(&log);
    assert_eq!(count(&events, "finished").into_keys().collect::<Vec<_>>(), failed);
    assert_eq!(count(&events, "skipped").len(), 9);
}

#[test]
fn fail_fast_starts_nothing_more() {
    let site = Site::new();
    let list = site.list(6, &[1]);
    let log = site.path("events");
    let output = batch(&list, &["--fail-fast", "--events"]).arg(&log).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    let events = events(&log);
    assert_eq!(count(&events, "started").into_keys().collect::<Vec<_>>(), ["m000"]);
    assert_eq!(count(&events, "skipped").len(), 4);
}

#[test]
fn what_changed_is_done_again() {
    let site = Site::new();
    let list = site.list(3, &[]);
    assert!(batch(&list, &["--quiet"]).status().unwrap().success());
    let dry = || String::from_utf8(batch(&list, &["--dry-run"]).output().unwrap().stdout).unwrap();
    assert_eq!(dry(), "complete  m000\ncomplete  m001\ncomplete  m002\n");
    // An input, an output.
    fs::write(site.path("models/m001/generation_config.json"), "{\"temperature\": 0.5}").unwrap();
    fs::remove_file(site.path("out/m002.gguf")).unwrap();
    let told = dry();
    let output = batch(&list, &[]).output().unwrap();
    assert!(said(&output).contains("2 finished, 0 failed, 1 skipped"), "{}", said(&output));
    let size = |name: &str| {
        let len = fs::metadata(site.path("out").join(name)).unwrap().len();
        format!("{:>10}", format!("{:.2} kB", len as f64 / 1000.0))
    };
    let [m001, m002] = ["m001.gguf", "m002.gguf"].map(size);
    let expected =
        format!("complete  m000\nto do     {m001}, {m001} new  m001\nto do     {m002}, {m002} new  m002\n");
    assert_eq!(told, expected);
}

#[test]
fn two_batches_share_the_work() {
    let site = Site::new();
    let list = site.list(30, &[]);
    let logs = ["a", "b", "c"].map(|name| site.path(name));
    let children: Vec<Child> =
        logs.iter().map(|log| batch(&list, &["--quiet", "--events"]).arg(log).spawn().unwrap()).collect();
    children.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
    let events: Vec<Value> = logs.iter().flat_map(|log| self::events(log)).collect();
    let finished = count(&events, "finished");
    assert_eq!(finished.len(), 30);
    assert!(finished.values().all(|times| *times == 1), "{finished:?}");
    assert_eq!(site.outputs().len(), 30);
}

/// Short form of `scripts/faults/batch.py`.
#[test]
fn killed_and_started_again_no_job_is_done_twice() {
    let site = Site::new();
    let list = site.list(40, &[5, 17]);
    let mut finished = BTreeMap::new();
    for round in 0.. {
        let log = site.path(&format!("events{round}"));
        let start = Instant::now();
        let mut child = batch(&list, &["--jobs=2", "--quiet", "--events"])
            .arg(&log)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if round < 6 && start.elapsed() > Duration::from_millis(60 + 30 * round) => break None,
                None => thread::sleep(Duration::from_millis(2)),
            }
        };
        if ended.is_none() {
            let signal = if round % 2 == 0 { "-KILL" } else { "-TERM" };
            let kill = Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap();
            assert!(kill.success());
            let asked = Instant::now();
            child.wait().unwrap();
            assert!(asked.elapsed() < Duration::from_secs(2), "took {:?} to stop", asked.elapsed());
        }
        // The last line may have been cut off by the kill.
        let text = fs::read_to_string(&log).unwrap_or_default();
        let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
        fs::write(&log, whole).unwrap();
        for (job, times) in count(&events(&log), "finished") {
            *finished.entry(job).or_insert(0) += times;
        }
        if let Some(status) = ended {
            assert_eq!(status.code(), Some(7));
            break;
        }
    }
    assert!(finished.values().all(|times| *times == 1), "{finished:?}");
    assert_eq!(site.outputs().len(), 38);
    for n in [0, 39] {
        assert_eq!(
            fs::read(site.path("out").join(format!("m{n:03}.gguf"))).unwrap(),
            expected(&site, &format!("m{n:03}"))
        );
    }
    // Nothing is left but outputs and the notes of what is done.
    let hidden =
        fs::read_dir(site.path("out")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let hidden: Vec<String> = hidden.filter(|name| name.starts_with('.')).collect();
    assert_eq!(hidden, [".ggraft-batch"]);
}

#[test]
fn no_conversion_outlives_its_batch() {
    let site = Site::new();
    let list = site.list(1, &[]);
    // The conversion waits for a line that never comes, as it does if the batch is killed at the wrong moment.
    let mut child = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    child.args(["convert", "--events=-", "--hold", "--outfile"]).arg(site.path("out/held.gguf")).arg(TINY);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_millis(200));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    drop(child.stdin.take());
    assert!(!child.wait().unwrap().success());
    assert!(!site.path("out/held.gguf").exists());
    drop(list);
}

#[test]
fn the_directory_for_all_outputs_is_made_that_of_one_is_not() {
    let site = Site::new();
    let list = site.path("list");
    let model = site.model("a", false);
    let run = |line: &Value, flags: &[&str]| {
        fs::write(&list, line.to_string()).unwrap();
        batch(&list, flags).output().unwrap()
    };
    let outdir = site.path("new/out");
    let flag = format!("--outdir={}", outdir.display());
    let output = run(&json!({"model": model}), &["--dry-run", &flag]);
    assert!(output.status.success() && !outdir.exists(), "{}", said(&output));
    let output = run(&json!({"model": model}), &[&flag]);
    assert!(output.status.success(), "{}", said(&output));
    let names: Vec<_> = fs::read_dir(&outdir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "one output, and what is known of it: {names:?}");

    let absent = site.path("absent");
    for outfile in ["absent/a.gguf", "absent/"].map(|name| site.path(name)) {
        let output = run(&json!({"model": model, "outfile": outfile}), &[&flag]);
        assert_eq!(output.status.code(), Some(7));
        assert!(said(&output).contains("there is no directory"), "{}", said(&output));
        assert!(!absent.exists());
    }
}

#[test]
fn a_job_that_fails_leaves_nothing_where_it_would_have_written() {
    let site = Site::new();
    let list = site.list(2, &[0, 1]);
    let name = "n".repeat(300);
    let more = json!({"model": site.model("c", false), "outfile": site.path("out").join(name)});
    fs::write(&list, fs::read_to_string(&list).unwrap() + &more.to_string()).unwrap();
    let output = batch(&list, &["--jobs=2"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    let left: Vec<_> =
        fs::read_dir(site.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn no_two_jobs_write_one_file() {
    let site = Site::new();
    fs::create_dir_all(site.path("out")).unwrap();
    let list = site.path("list");
    let out = site.path("out/same.gguf");
    let line = |name: &str, outtype: &str| json!({"model": site.model(name, false), "outtype": outtype, "outfile": out});
    fs::write(&list, format!("{}\n{}\n", line("a", "f16"), line("b", "q8_0"))).unwrap();
    let output = batch(&list, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(said(&output).contains("another job of this list writes it"), "{}", said(&output));
}

#[test]
fn a_limit_holds_for_what_is_read_and_what_is_written() {
    let site = Site::new();
    fs::create_dir_all(site.path("out")).unwrap();
    // Of 240 kB in BF16 come as many or half of them.
    for outtype in ["bf16", "q8_0"] {
        let start = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
        command.args(["convert", "--quiet", "--no-reflink", "--io-limit=250K", TINY, "--outtype", outtype]);
        assert!(command.arg("--outfile").arg(site.path("out/slow.gguf")).status().unwrap().success());
        let elapsed = start.elapsed();
        assert!(elapsed > Duration::from_millis(850), "{outtype}: {elapsed:?}");
    }
}

/// `scripts/fleet/limits.sh` measures it with larger models.
#[test]
fn a_limit_is_shared_by_those_that_are_at_work() {
    const LIMIT: f64 = 200_000.0;
    for jobs in [1, 2] {
        let site = Site::new();
        let list = site.list(jobs, &[]);
        fs::write(&list, fs::read_to_string(&list).unwrap().replace("q8_0", "bf16")).unwrap();
        let log = site.path("log");
        let flags = ["--jobs=3", "--io-limit=200K", "--quiet", "--", "--no-reflink"];
        let output = batch(&list, &["--events"]).arg(&log).args(flags).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let events = events(&log);
        let time = |what: &str| {
            let these = events.iter().filter(|event| event["event"] == what);
            these.map(|event| event["time"].as_f64().unwrap()).collect::<Vec<_>>()
        };
        let start = time("started").into_iter().fold(f64::MAX, f64::min);
        let end = time("finished").into_iter().fold(0.0, f64::max);
        let bytes = events.last().unwrap()["bytes"].as_f64().unwrap();
        let rate = bytes / (end - start);
        // A third of it would be what each of three may have.
        assert!(rate < 1.1 * LIMIT && rate > 0.5 * LIMIT, "{jobs}: {rate} bytes a second");
    }
}

#[test]
fn what_was_decided_and_why_is_said_on_demand() {
    let site = Site::new();
    let list = site.list(1, &[]);
    let output = batch(&list, &["--verbose"]).output().unwrap();
    let text = said(&output);
    for part in [
        "ggraft: m000: to be done, since there is no record of it",
        "m000: ggraft:   0.",
        " of 1 file, 240288 bytes",
        "bytes written",
        "all of it on the disk",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let quiet = |filter: &str| {
        let output = batch(&list, &["--dry-run"]).env("RUST_LOG", filter).output().unwrap();
        assert!(output.status.success());
        said(&output)
    };
    // What is said in any case: the sums.
    assert_eq!(quiet("ggraft::write=debug").lines().count(), 1);
    assert!(quiet("ggraft=loud").contains("RUST_LOG is ignored"));
}

/// `docs/fleet/slurm.sh` as Slurm would run it.
#[test]
fn a_task_of_an_array_job_runs_its_entry() {
    let site = Site::new();
    site.list(3, &[]);
    fs::rename(site.path("list.jsonl"), site.path("jobs.jsonl")).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_ggraft")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut script = Command::new("sh");
    script.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fleet/slurm.sh")).current_dir(site.dir.path());
    let output = script.env("PATH", path).env("SLURM_ARRAY_TASK_ID", "1").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(site.outputs(), BTreeSet::from(["m001.gguf".to_owned()]));
    assert_eq!(count(&events(&site.path("events-1.jsonl")), "finished").len(), 1);
}
