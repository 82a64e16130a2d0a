//! What `ggraft batch` takes for changed, for complete, and for told.

#[path = "common/site.rs"]
mod site;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use site::{Site, batch, said};

/// Runs the list, of which `jobs` are done and the others complete.
#[track_caller]
fn finishes(list: &Path, flags: &[&str], jobs: usize) -> String {
    let output = batch(list, flags).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let summary = format!("{jobs} finished, 0 failed");
    assert!(said(&output).contains(&summary), "not {summary}: {}", said(&output));
    said(&output)
}

#[test]
fn a_file_that_a_flag_names_is_an_input_however_the_flag_is_written() {
    let site = Site::new();
    let (list, metadata) = (site.list(1, &[]), site.path("metadata.json"));
    let name = metadata.to_str().unwrap();
    for flags in [&["--", "--metadata", name][..], &["--", &format!("--metadata={name}")]] {
        fs::write(&metadata, r#"{"general.description": "one"}"#).unwrap();
        finishes(&list, flags, 1);
        finishes(&list, flags, 0);
        fs::write(&metadata, r#"{"general.description": "another"}"#).unwrap();
        finishes(&list, flags, 1);
    }
}

#[test]
fn what_is_complete_needs_no_lock() {
    let site = Site::new();
    let list = site.list(1, &[]);
    finishes(&list, &[], 1);
    let records = site.path("out/.ggraft-batch");
    let record = fs::read_dir(&records).unwrap().map(|entry| entry.unwrap().path());
    let record = record.into_iter().find(|path| path.extension().is_some_and(|e| e == "json")).unwrap();
    // As if it were in use; where nothing can be written, there can be none at all.
    let held = fs::File::create(record.with_extension("lock")).unwrap();
    held.lock().unwrap();
    let start = Instant::now();
    finishes(&list, &[], 0);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn that_events_are_lost_is_said_once() {
    let site = Site::new();
    let list = site.list(2, &[]);
    let told = finishes(&list, &["--events", "/dev/full"], 2);
    assert_eq!(told.matches("events are missing from here on").count(), 1, "{told}");
}
