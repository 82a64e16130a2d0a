//! `ggraft batch`: what counts as done, and what has to be proven first.

#[path = "common/site.rs"]
mod site;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use site::{Site, TINY, batch, count, events, expected, said};

/// Runs the list with `flags`: how many jobs were finished, how many skipped, and what was warned of.
fn run(site: &Site, list: &Path, flags: &[&str]) -> (usize, usize, Vec<String>) {
    let log = site.path("log");
    _ = fs::remove_file(&log);
    let output = batch(list, &["--quiet", "--events"]).arg(&log).args(flags).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let events = events(&log);
    let warnings = events.iter().filter(|event| event["event"] == "warning");
    let warnings = warnings.map(|event| event["message"].as_str().unwrap().to_owned()).collect();
    (count(&events, "finished").len(), count(&events, "skipped").len(), warnings)
}

/// What `--dry-run` says of each job.
fn states(list: &Path) -> Vec<String> {
    let output = batch(list, &["--dry-run"]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line[..9].trim().to_owned()).collect()
}

/// The records of what was done.
fn records(site: &Site) -> Vec<PathBuf> {
    let dir = fs::read_dir(site.path("out/.ggraft-batch")).unwrap();
    dir.map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect()
}

/// Changes every record.
fn change_records(site: &Site, change: impl Fn(&mut Value)) {
    for path in records(site) {
        let mut record = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut record);
        fs::write(path, record.to_string()).unwrap();
    }
}

/// Other bytes of the same length, under the same time.
fn damage(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes.iter_mut().rev().take(4096).for_each(|byte| *byte = 0);
    fs::write(path, bytes).unwrap();
    set_modified(path, modified);
}

fn set_modified(path: &Path, time: SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn what_another_mode_or_name_did_to_inputs_is_compared_not_converted() {
    let site = Site::new();
    let list = site.list(2, &[]);
    assert_eq!(run(&site, &list, &[]).0, 2);
    thread::sleep(Duration::from_millis(20));
    let weights = |name: &str| site.path("models").join(name).join("model.safetensors");
    fs::set_permissions(weights("m000"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(weights("m001"), site.path("link")).unwrap();
    assert_eq!(states(&list), ["unproven", "unproven"]);
    let before =
        ["m000", "m001"].map(|name| fs::metadata(site.path(&format!("out/{name}.gguf"))).unwrap().ino());
    assert_eq!(run(&site, &list, &[]), (0, 2, vec![]));
    let after =
        ["m000", "m001"].map(|name| fs::metadata(site.path(&format!("out/{name}.gguf"))).unwrap().ino());
    assert_eq!(before, after);
    assert_eq!(states(&list), ["complete", "complete"], "that was found out once and for all");
}

#[test]
fn other_bytes_under_the_old_time_are_converted() {
    let site = Site::new();
    let list = site.list(1, &[]);
    run(&site, &list, &[]);
    thread::sleep(Duration::from_millis(20));
    damage(&site.path("models/m000/model.safetensors"));
    let (finished, _, warnings) = run(&site, &list, &[]);
    assert_eq!(finished, 1);
    assert!(warnings[0].contains("verification failed"), "{warnings:?}");
    assert_eq!(fs::read(site.path("out/m000.gguf")).unwrap(), expected(&site, "m000"));
}

#[test]
fn what_a_power_cut_may_have_taken_is_compared() {
    let site = Site::new();
    let list = site.list(2, &[]);
    let flags = ["--", "--no-fsync"];
    let states = || {
        let output = batch(&list, &["--dry-run"]).args(flags).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&site, &list, &flags).0, 2);
    assert_eq!(states(), "complete  m000\ncomplete  m001\n", "this run of the machine knows");
    let reboot = || change_records(&site, |record| record["written"]["boot"] = "another".into());
    reboot();
    assert_eq!(states(), "unproven  m000\nunproven  m001\n");
    damage(&site.path("out/m001.gguf"));
    let (finished, skipped, warnings) = run(&site, &list, &flags);
    assert_eq!((finished, skipped), (1, 1));
    assert!(warnings[0].contains("verification failed"), "{warnings:?}");
    for name in ["m000", "m001"] {
        assert_eq!(fs::read(site.path(&format!("out/{name}.gguf"))).unwrap(), expected(&site, name));
    }
    // What was compared is on the disk; what was written again may not be.
    reboot();
    assert_eq!(states(), "complete  m000\nunproven  m001\n");
}

#[test]
fn verify_proves_before_skipping() {
    let site = Site::new();
    let list = site.list(3, &[]);
    run(&site, &list, &[]);
    damage(&site.path("out/m001.gguf"));
    assert_eq!(run(&site, &list, &[]), (0, 3, vec![]), "nothing shows it");
    let (finished, skipped, warnings) = run(&site, &list, &["--verify"]);
    assert_eq!((finished, skipped), (1, 2));
    assert!(warnings[0].contains("exit status: 6"), "{warnings:?}");
    assert_eq!(fs::read(site.path("out/m001.gguf")).unwrap(), expected(&site, "m001"));
}

/// Started as a batch starts a conversion.
fn conversion(out: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
    command.args(["convert", "--events=-", "--hold", "--quiet", "--outfile"]).arg(out).arg(TINY);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn files_are_known_before_they_have_names() {
    let site = Site::new();
    for publish in [true, false] {
        let out = site.path("o.gguf");
        let mut child = conversion(&out);
        let mut events = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        let mut until = |event: &str| events.find(|told| told["event"] == event);
        assert!(until("planned").is_some());
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"go\n").unwrap();
        let ready = until("ready").unwrap();
        assert_eq!(ready["durable"], true);
        assert!(!out.exists(), "it did not wait");
        if publish {
            stdin.write_all(b"go\n").unwrap();
            assert!(until("finished").is_some());
            let (told, found) = (&ready["outputs"][0], fs::metadata(&out).unwrap());
            assert_eq!(told["path"], out.to_str().unwrap());
            assert_eq!(
                [&told["inode"], &told["device"], &told["bytes"]],
                [found.ino(), found.dev(), found.len()]
            );
            assert_eq!(told["modified"], serde_json::json!([found.mtime(), found.mtime_nsec()]));
            assert!(child.wait().unwrap().success());
            fs::remove_file(&out).unwrap();
        } else {
            drop(stdin);
            assert!(!child.wait().unwrap().success());
            assert_eq!(fs::read_dir(site.dir.path()).unwrap().count(), 0);
        }
    }
}

/// A batch was killed when its output was about to get its name; what has that name now is of the same length and time, and
/// somebody else's.
#[test]
fn a_file_of_somebody_else_is_not_taken_for_the_output() {
    let site = Site::new();
    let list = site.list(1, &[]);
    run(&site, &list, &[]);
    let out = site.path("out/m000.gguf");
    let written = fs::metadata(&out).unwrap();
    change_records(&site, |record| record["finished"] = false.into());
    assert_eq!(states(&list), ["complete"], "killed between the name and the note");
    let other = site.path("out/other");
    fs::write(&other, vec![0; written.len() as usize]).unwrap();
    set_modified(&other, written.modified().unwrap());
    fs::rename(other, &out).unwrap();
    assert_eq!(states(&list), ["to do"]);
    assert_eq!(run(&site, &list, &[]).0, 1);
    assert_eq!(fs::read(out).unwrap(), expected(&site, "m000"));
}

fn signal(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// The conversions of a batch.
fn children(batch: &Child) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{}/task", batch.id())).unwrap();
    let lists =
        tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

/// A killed batch's conversion may still be about to publish.
#[test]
fn a_job_is_locked_until_its_conversion_has_ended() {
    let site = Site::new();
    let list = site.list(1, &[]);
    let slow = ["--quiet", "--io-limit=10K", "--events"];
    let mut killed = batch(&list, &slow).arg(site.path("a")).spawn().unwrap();
    let child = loop {
        if let (Some(pid), true) = (children(&killed).first(), site.path("a").exists()) {
            let log = fs::read_to_string(site.path("a")).unwrap();
            if log.contains("started") {
                break *pid;
            }
        }
        thread::sleep(Duration::from_millis(5));
    };
    signal(child, "-STOP");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let mut next = batch(&list, &["--quiet", "--events"]).arg(site.path("b")).spawn().unwrap();
    thread::sleep(Duration::from_millis(700));
    let log = fs::read_to_string(site.path("b")).unwrap();
    signal(child, "-CONT");
    assert!(!log.contains("started"), "two conversions of one job: {log}");
    assert!(next.wait().unwrap().success());
    assert_eq!(fs::read(site.path("out/m000.gguf")).unwrap(), expected(&site, "m000"));
}

#[test]
fn signals_are_heard_while_nothing_can_be_read() {
    let site = Site::new();
    let list = site.list(1, &[]);
    let pipe = site.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let events = format!("--events={}", pipe.display());
    for (list, flag) in [(pipe.as_path(), "--quiet"), (Path::new("-"), "--quiet"), (&list, &events)] {
        let mut child = batch(list, &[flag]).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().unwrap().is_none(), "{list:?} {flag}: it did not wait");
        signal(child.id(), "-TERM");
        let asked = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if asked.elapsed() > Duration::from_secs(2) => {
                    child.kill().unwrap();
                    panic!("{list:?} {flag}: it does not hear");
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        assert_eq!(status.signal(), Some(15), "{list:?} {flag}");
        drop(stdin);
    }
}

/// An array job of ten thousand tasks must not look at ten thousand outputs ten thousand times.
#[test]
fn leftovers_are_looked_for_by_each_batch_but_not_by_each_task() {
    let site = Site::new();
    let list = site.list(4, &[]);
    let leftover = site.path("out/.m009.gguf.ggraft-1-0.tmp");
    for (flag, goes) in [("--index=0", true), ("--index=1", false), ("--only=3/4", true)] {
        fs::write(&leftover, "half").unwrap();
        run(&site, &list, &[flag]);
        assert_eq!(leftover.exists(), !goes, "{flag}");
    }
    let tidied = site.path("out/.ggraft-batch/tidied");
    set_modified(&tidied, SystemTime::now() - Duration::from_secs(2 * 3600));
    fs::write(&leftover, "half").unwrap();
    run(&site, &list, &["--index=3"]);
    assert!(!leftover.exists(), "that was long ago");
}
