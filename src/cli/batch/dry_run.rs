//! `ggraft batch --dry-run`: a line for each job, and what room all of them take where.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use ggraft_platform::FileSystem;
use indicatif::DecimalBytes;

use super::super::messages::say;
use super::super::stdout;
use crate::batch::forecast::{Forecast, existing, forecast};
use crate::batch::{Job, Settings};
use crate::error::Result;
use crate::input::one_line;

/// Tells what of `jobs` is complete, and what the others would write.
///
/// # Errors
/// [`crate::error::Error::Interrupted`], and what standard output has against it.
pub fn run(jobs: &[Job], settings: &Settings, quiet: bool) -> Result<()> {
    let found = forecast(jobs, settings)?;
    stdout::text(|out| {
        for (job, forecast) in jobs.iter().zip(&found) {
            let name = one_line(&job.name);
            match forecast {
                Forecast::Complete => writeln!(out, "complete  {name}")?,
                Forecast::Unproven => writeln!(out, "unproven  {name}")?,
                Forecast::Fails(_) => writeln!(out, "fails     {name}")?,
                Forecast::ToDo { bytes, new_bytes } => {
                    let [bytes, new] = [*bytes, *new_bytes].map(|n| DecimalBytes(n).to_string());
                    writeln!(out, "to do     {bytes:>10}, {new:>10} new  {name}")?;
                }
            }
        }
        Ok(())
    })?;
    for (job, forecast) in jobs.iter().zip(&found) {
        if let Forecast::Fails(why) = forecast {
            tracing::warn!("{}: {why}", job.name);
        }
    }
    let rooms = rooms(jobs, &found);
    for room in rooms.values().filter(|room| room.needed > room.free) {
        let (dir, needed, free) = (room.dir.display(), DecimalBytes(room.needed), DecimalBytes(room.free));
        tracing::warn!("too little space in {dir}: all jobs together take {needed} there, {free} are free");
    }
    if !quiet {
        summary(&found);
        for Room { dir, needed, free } in rooms.values() {
            let (needed, free) = (DecimalBytes(*needed), DecimalBytes(*free));
            say(format_args!("{}: {needed} of new space, {free} free", dir.display()));
        }
    }
    Ok(())
}

/// What jobs take of a file system.
struct Room {
    /// A directory on it.
    dir: PathBuf,
    needed: u64,
    free: u64,
}

/// The file systems that jobs would write to, by their devices.
fn rooms(jobs: &[Job], found: &[Forecast]) -> BTreeMap<u64, Room> {
    let mut rooms = BTreeMap::new();
    for (job, forecast) in jobs.iter().zip(found) {
        let Forecast::ToDo { new_bytes, .. } = forecast else { continue };
        let dir = existing(&job.outdir);
        // What cannot be looked at cannot be told.
        let (Ok(metadata), Ok(found)) = (dir.metadata(), FileSystem::of(dir)) else { continue };
        let new = || Room { dir: dir.to_owned(), needed: 0, free: found.free_bytes };
        let room = rooms.entry(metadata.dev()).or_insert_with(new);
        room.needed = room.needed.saturating_add(*new_bytes);
    }
    rooms
}

fn summary(found: &[Forecast]) {
    let count = |is: &dyn Fn(&Forecast) -> bool| found.iter().filter(|forecast| is(forecast)).count();
    let (complete, unproven) = (count(&|f| *f == Forecast::Complete), count(&|f| *f == Forecast::Unproven));
    let fails = count(&|f| matches!(f, Forecast::Fails(_)));
    let to_do = found.len() - complete - unproven - fails;
    let sizes = found.iter().filter_map(|forecast| match forecast {
        Forecast::ToDo { bytes, new_bytes } => Some((*bytes, *new_bytes)),
        _ => None,
    });
    let add = |(a, b): (u64, u64), (c, d): (u64, u64)| (a.saturating_add(c), b.saturating_add(d));
    let (bytes, new) = sizes.fold((0, 0), add);
    let (bytes, new) = (DecimalBytes(bytes), DecimalBytes(new));
    say(format_args!(
        "{to_do} to do ({bytes}, {new} of it new), {complete} complete, {unproven} to be verified, {fails} would fail"
    ));
}
