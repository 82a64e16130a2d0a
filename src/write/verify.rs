//! Whether files that are complete hold what the plan says, before they get their names.

use ggraft_platform::Flushed;

use super::Settings;
use crate::compare::{self, Comparison, How};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::source::File;

/// Reads `flushed`, the outputs of `plan`, and its `sources` again, and compares.
///
/// # Errors
/// [`Error::Differs`] if an output holds anything else than planned; what reading says.
pub fn verify(
    plan: &Plan,
    flushed: &Flushed,
    sources: &[File],
    settings: Settings,
    forget: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Comparison> {
    let open = |(file, path)| File::opened(path, file);
    let paths = plan.outputs.iter().map(|output| output.path.as_path());
    let files = flushed.files().cloned().zip(paths).map(open).collect::<Result<Vec<_>>>()?;
    let how = How { forget, threads: settings.threads, ..How::default() };
    let mut outputs = plan.outputs.clone();
    let compared = compare::compare(&mut outputs, &files, sources, how, &mut |_| {}, progress)?;
    let Some(first) = compared.mismatches.first() else { return Ok(compared) };
    let more = match compared.mismatches.len() - 1 {
        0 => String::new(),
        1 => "; 1 more place differs".into(),
        n => format!("; {n} more places differ"),
    };
    let error = Error::differs(&first.file, format!("was not written as planned: {first}{more}"));
    let error = error.hint("memory or disk may be failing: nothing was put in place, try again elsewhere");
    Err(match first.tensor() {
        Some(name) => error.tensor(name),
        None => error,
    })
}
