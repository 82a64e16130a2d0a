//! What conversions would share before and after aligning, according to the planner.

use std::path::Path;

use serde_json::{Value, json};

use crate::describe::{self, Target, describe};
use crate::error::{Error, Result};
use crate::plan::{Alignment, Layout, Plan, Request, Sharing, SplitRules};
use crate::source::ModelDir;
use crate::write::{Report, Shortfall};

use super::arrange::{Aligned, aligned};
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

/// What `ggraft convert` with its defaults shares where the file system can share, in bytes.
#[derive(Clone, Debug)]
pub struct Gain {
    /// The whole output.
    pub total: u64,
    /// Its tensors.
    pub tensors: u64,
    /// Shared with the checkpoint as it is, and in how many extents.
    pub today: (u64, u64),
    /// Shared with the aligned one, and in how many extents.
    pub aligned: (u64, u64),
    /// Bytes of the files that aligning rewrites.
    pub rewritten: u64,
    /// Why the rest is not shared with the aligned one.
    pub reasons: Vec<Shortfall>,
}

/// Plans a conversion of the checkpoint as it is, and as `job` would leave it.
///
/// # Errors
/// [`Error::Io`] and [`Error::Internal`]; a model that cannot be converted is no error here.
pub fn check(mut job: Job) -> Result<Check> {
    // Nothing is written, and the plans need the memory.
    job.arrangements = Vec::new();
    let dir = std::mem::take(&mut job.checkpoint).dir;
    let conversion = match gain(&job, &dir) {
        Ok(gain) => Ok(gain),
        Err(error @ (Error::Io { .. } | Error::Internal(_))) => return Err(error),
        Err(error) => Err(error.to_string()),
    };
    Ok(Check { block: job.block, shards: job.shards, conversion })
}

fn gain(job: &Job, dir: &ModelDir) -> Result<Gain> {
    let options = describe::Options { allow_incomplete: true, ..Default::default() };
    let model = describe(dir, Target::Text, &options)?;
    let checkpoint = &model.checkpoint;
    let sharing = Sharing { refusals: vec![None; checkpoint.files.len()], ..job.sharing() };
    let request = Request {
        checkpoint,
        offsets: None,
        metadata: &model.metadata,
        tensors: &model.tensors,
        path: Path::new("model.gguf"),
        layout: Layout::Single,
        alignment: Alignment::Strict,
        splits: SplitRules::default(),
        sharing: &sharing,
        stamp: &[],
    };
    let today = Plan::outlook(&request)?.shared;
    let Aligned { offsets, rewritten, .. } = aligned(checkpoint, job.block);
    let plan = Plan::new(&Request { offsets: Some(&offsets), ..request })?;
    let report = Report::of(&plan);
    let bytes = report.bytes;
    Ok(Gain {
        total: bytes.total,
        tensors: bytes.cloned + bytes.copied + bytes.converted,
        today,
        aligned: plan.shared(),
        rewritten,
        reasons: report.reasons,
    })
}

/// Whether sharing `gain` bytes more with every conversion makes up for rewriting `rewritten` bytes once.
pub fn is_worth(gain: u64, rewritten: u64) -> bool {
    rewritten > 0 && gain > rewritten / 100 * WORTH_REWRITING
}

/// What aligning must gain, in percent of what it rewrites.
const WORTH_REWRITING: u64 = 10;

impl Gain {
    /// Whether aligning is worth rewriting the files.
    pub fn is_worth_it(&self) -> bool {
        is_worth(self.aligned.0.saturating_sub(self.today.0), self.rewritten)
    }
}

impl Check {
    /// The findings for machines; the keys are a promise.
    pub fn to_json(&self) -> Value {
        let shared = |(bytes, extents): (u64, u64), total| json!({"shared": bytes, "percent": percent(bytes, total), "extents": extents});
        let conversion = match &self.conversion {
            Ok(gain) => json!({
                "supported": true, "output_bytes": gain.total, "tensor_bytes": gain.tensors,
                "today": shared(gain.today, gain.total), "aligned": shared(gain.aligned, gain.total),
                "rewritten": gain.rewritten, "worthwhile": gain.is_worth_it(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gain(today: u64, aligned: u64, rewritten: u64) -> Gain {
        let (today, aligned) = ((today, 3), (aligned, 1));
        Gain { total: 2000, tensors: 1900, today, aligned, rewritten, reasons: Vec::new() }
    }

    #[test]
    fn a_tenth_of_what_is_rewritten_is_too_little() {
        assert!(gain(500, 601, 1000).is_worth_it());
        assert!(!gain(500, 600, 1000).is_worth_it());
        assert!(!gain(600, 500, 1000).is_worth_it(), "less is shared");
        assert!(!gain(0, 2000, 0).is_worth_it(), "nothing would be rewritten");
    }

    #[test]
    fn figures_for_machines_are_these() {
        let check = Check { block: 4096, shards: Vec::new(), conversion: Ok(gain(500, 1500, 1000)) };
        let expected = json!({
            "block": 4096,
            "shards": [],
            "conversion": {
                "supported": true, "output_bytes": 2000, "tensor_bytes": 1900,
                "today": {"shared": 500, "percent": 25.0, "extents": 3},
                "aligned": {"shared": 1500, "percent": 75.0, "extents": 1},
                "rewritten": 1000, "worthwhile": true, "reasons": [],
            },
        });
        assert_eq!(check.to_json(), expected);
        let check = Check { block: 4096, shards: Vec::new(), conversion: Err("no family".into()) };
        assert_eq!(check.to_json()["conversion"], json!({"supported": false, "why": "no family"}));
        assert_eq!((percent(1, 8), percent(0, 0)), (12.5, 0.0));
    }
}
