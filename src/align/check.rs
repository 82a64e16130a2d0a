//! What conversions would share before and after aligning, according to the planner.

use std::path::Path;

use serde_json::{Value, json};

use crate::arch;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::plan::{Alignment, Layout, Plan, Request, Sharing, SplitRules};
use crate::write::{Report, Shortfall};

use super::{Job, Shard};

/// What aligning would change.
#[derive(Clone, Debug)]
pub struct Check {
    /// Block size in bytes.
    pub block: u64,
    /// The files that hold tensors.
    pub shards: Vec<Shard>,
    /// What conversions would share, or why there can be none.
    pub conversion: Result<Gain, String>,
}

/// What `ggraft convert` with its defaults shares where the file system can share. Bytes of tensors.
#[derive(Clone, Debug)]
pub struct Gain {
    /// All of them.
    pub total: u64,
    /// Shared with the checkpoint as it is.
    pub today: u64,
    /// Shared with the aligned one.
    pub aligned: u64,
    /// Why the rest is not shared with the aligned one.
    pub reasons: Vec<Shortfall>,
}

/// Plans a conversion of the checkpoint as it is, and as `job` would leave it.
///
/// # Errors
/// [`Error::Io`] and [`Error::Internal`]; a model that cannot be converted is no error here.
pub fn check(job: &Job) -> Result<Check> {
    let conversion = match gain(job) {
        Ok(gain) => Ok(gain),
        Err(error @ (Error::Io { .. } | Error::Internal(_))) => return Err(error),
        Err(error) => Err(error.to_string()),
    };
    Ok(Check { block: job.block, shards: job.shards.clone(), conversion })
}

fn gain(job: &Job) -> Result<Gain> {
    let checkpoint = &job.checkpoint;
    let config = Config::load(&checkpoint.dir)?;
    let model =
        arch::lookup(config.architecture()?)?.build(checkpoint, &config, &arch::Options::default())?;
    let sharing = Sharing { refusals: vec![None; checkpoint.files.len()], ..job.sharing() };
    // The planner moves the data to where it wants it whatever the length of the header, so the
    // metadata make no difference.
    let metadata = KeyValues::new();
    let report = |checkpoint: &Checkpoint| {
        let request = Request {
            checkpoint,
            metadata: &metadata,
            tensors: &model.tensors,
            path: Path::new("model.gguf"),
            layout: Layout::Single,
            alignment: Alignment::Strict,
            splits: SplitRules::default(),
            sharing: &sharing,
            stamp: &[],
        };
        Plan::new(&request).map(|plan| Report::of(&plan))
    };
    let (today, aligned) = (report(checkpoint)?, report(&job.aligned())?);
    let bytes = aligned.bytes;
    Ok(Gain {
        total: bytes.cloned + bytes.copied + bytes.converted,
        today: today.bytes.cloned,
        aligned: bytes.cloned,
        reasons: aligned.reasons,
    })
}

impl Check {
    /// The findings for machines; the keys are a promise.
    pub fn to_json(&self) -> Value {
        let conversion = match &self.conversion {
            Ok(gain) => json!({
                "supported": true, "tensor_bytes": gain.total,
                "today": {"shared": gain.today, "percent": percent(gain.today, gain.total)},
                "aligned": {"shared": gain.aligned, "percent": percent(gain.aligned, gain.total)},
                "reasons": gain.reasons.iter().map(|s| json!({
                    "reason": s.reason, "explanation": s.explanation, "bytes": s.bytes, "tensors": s.tensors,
                })).collect::<Vec<_>>(),
            }),
            Err(why) => json!({"supported": false, "why": why}),
        };
        json!({
            "block": self.block,
            "shards": self.shards.iter().map(Shard::to_json).collect::<Vec<_>>(),
            "conversion": conversion,
        })
    }
}

/// `part` in percent of `total`.
pub fn percent(part: u64, total: u64) -> f64 {
    100.0 * part as f64 / total.max(1) as f64
}
