//! Carries out what was arranged, so that whatever goes wrong, a complete model is left.
//!
//! Knows nothing of where tensors lie in the files.

use std::path::PathBuf;

use ggraft_platform::{Links, interrupt, parent};
use serde_json::{Value, json};

use super::created::Created;
use super::{Job, Part, Shard, Target, cached};
use crate::compare::Comparison;
use crate::error::{Error, Result};
use crate::write::{self, Bytes, Settings};

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Bytes of all files written.
    pub bytes: Bytes,
    /// How they were compared with the original, if they were.
    pub verified: Option<Comparison>,
    /// The files, shards and others.
    pub written: Vec<PathBuf>,
}

impl Job {
    /// How many bytes [`Job::run`] tells of when it carries out `parts` (see [`write::work`]).
    pub fn work(&self, parts: &[Part]) -> u64 {
        parts.iter().map(|part| write::work(&part.plan, &self.settings())).sum()
    }

    /// How plans are carried out. A symbolic link into a cache is no reason to change the cache. Synced, since this may
    /// replace the only copy.
    fn settings(&self) -> Settings {
        Settings { sync: true, links: Links::Replace, verify: self.verify, ..Settings::default() }
    }

    /// Carries out [`parts`](Self::parts), telling `progress` of bytes as they are done.
    ///
    /// # Errors
    /// See [`write::write`]. Whatever goes wrong, the model that was there is still there and complete:
    /// every file of it is the old one or the aligned one. A new directory is taken away again.
    pub fn run(&self, parts: &[Part], progress: &mut dyn FnMut(u64)) -> Result<Outcome> {
        let mut created = Created::default();
        let result = self.carry_out(parts, &mut created, progress);
        if result.is_err() {
            created.take_away();
        }
        result
    }

    fn carry_out(
        &self,
        parts: &[Part],
        created: &mut Created,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Outcome> {
        if let Target::Directory(to) = &self.target {
            for output in parts.iter().flat_map(|part| &part.plan.outputs) {
                created.dirs(to, parent(&output.path))?;
            }
        }
        let settings = self.settings();
        // In place every plan by itself: what the one before replaces is free again, unless something else still
        // refers to it, which is found out in time, too.
        let together = if matches!(self.target, Target::InPlace { .. }) { 1 } else { parts.len().max(1) };
        for parts in parts.chunks(together) {
            parts.iter().for_each(|part| write::tidy(&part.plan, settings.links));
            write::check_space(parts.iter().map(|part| &part.plan), settings.links)?;
        }
        let mut outcome = Outcome::default();
        for Part { plan, sources } in parts {
            if interrupt::interrupted() {
                return Err(Error::Interrupted);
            }
            write::check_space([plan], settings.links)?;
            let model = &self.checkpoint.dir;
            let finished = write::write(plan, model, sources, settings, progress)?;
            if matches!(self.target, Target::Directory(_)) {
                created.add(finished.published);
            }
            outcome.bytes += finished.report.bytes;
            if matches!(self.target, Target::InPlace { .. }) {
                sources.iter().for_each(|source| model.forget(source.path()));
                cached::keep_times(model, sources);
            }
            if let Some(verified) = finished.report.verified {
                *outcome.verified.get_or_insert_default() += verified;
            }
            for output in finished.report.outputs {
                model.forget(&output.path);
                outcome.written.push(output.path);
            }
        }
        created.sync()?;
        Ok(outcome)
    }
}

impl Outcome {
    /// What was done to `job`, for machines; the keys are a promise.
    pub fn to_json(&self, job: &Job) -> Value {
        let Bytes { total, cloned, copied, header, .. } = self.bytes;
        json!({
            "block": job.block,
            "shards": job.shards.iter().map(Shard::to_json).collect::<Vec<_>>(),
            "written": self.written.iter().map(|p| p.to_string_lossy()).collect::<Vec<_>>(),
            "left_out": job.others.left_out.iter()
                .map(|(path, why)| json!({"path": path.to_string_lossy(), "why": why})).collect::<Vec<_>>(),
            "bytes": {"total": total, "cloned": cloned, "copied": copied, "header": header},
            "verified": self.verified.as_ref().map(Comparison::to_json),
        })
    }
}
