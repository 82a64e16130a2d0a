//! Several conversions in one command: one after the other, whatever becomes of those before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::messages::{explain, forget_warnings};
use super::stdout::is_stream;
use crate::conversion::Options;
use crate::error::{Error, Result};
use crate::plan::Plan;

/// What the conversions of one command have written so far.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<PathBuf>);

impl Names {
    /// Notes what `plan` will write, as `options` say.
    ///
    /// # Errors
    /// [`Error::Usage`] if another conversion has written to such a path.
    pub fn claim(&mut self, options: &Options, plan: &Plan) -> Result<()> {
        for output in &plan.outputs {
            if !self.0.insert(output.path.clone()) {
                let (model, path) = (options.model.display(), output.path.display());
                let problem =
                    format!("--outfile: {model}: another of these conversions is written to {path}, too");
                return Err(Error::usage(problem)
                    .about(&output.path)
                    .hint("let each have a directory, or {ftype} in its name"));
            }
        }
        Ok(())
    }
}

/// Refuses `count` conversions that all go to standard output.
///
/// # Errors
/// [`Error::Usage`].
pub fn check(count: usize, outfile: Option<&Path>) -> Result<()> {
    if count > 1 && outfile.is_some_and(is_stream) {
        let problem = "--outfile -: several conversions take a file each, so not standard output";
        return Err(
            Error::usage(problem).hint("name one of them and one --outtype, or a directory with --outfile")
        );
    }
    Ok(())
}

/// Runs `one` for each of `several`. What fails does not keep the others from being done; the first failure gives the exit code.
///
/// # Errors
/// That of the only one, or that there was a signal.
pub fn run<T>(
    several: &[T],
    json: bool,
    mut one: impl FnMut(&T, &mut Names) -> Result<()>,
) -> Result<ExitCode> {
    let (mut names, mut code) = (Names::default(), None);
    for job in several {
        if several.len() > 1 {
            forget_warnings();
        }
        match one(job, &mut names) {
            Ok(()) => {}
            Err(error) if several.len() == 1 || matches!(error, Error::Interrupted) => return Err(error),
            Err(error) => {
                explain(&error, json);
                code.get_or_insert(error.exit_code());
            }
        }
    }
    Ok(code.map_or(ExitCode::SUCCESS, ExitCode::from))
}
