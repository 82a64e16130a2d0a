//! What a range of an output is made of, as far as that decides how to come by it.

use std::ops::Range;

use crate::plan::{Action, Output, Step, Walk};

/// Runs in a source shorter than this many bytes are read together with what lies between them.
const SHORT_RUN: u64 = 4096;

/// What a range is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The source files whose bytes enter into it.
    pub sources: Vec<usize>,
    /// Whether any of it is computed, not only copied.
    pub computed: bool,
    /// Whether a small part of it costs nearly what a large one does.
    pub scattered: bool,
}

impl Look {
    /// At `range` of `output`.
    pub fn at(output: &Output, range: &Range<u64>) -> Self {
        let mut look = Self::default();
        for spot in output.spots_from(range.start).take_while(|spot| spot.start() < range.end) {
            look.add(spot.step);
        }
        look
    }

    fn add(&mut self, step: &Step) {
        match &step.action {
            Action::Clone { file, .. } | Action::Copy { file, .. } => self.source(*file),
            Action::Gather { walk, .. } => self.walk(walk),
            Action::Encode { walk, .. } => {
                self.computed = true;
                self.walk(walk);
            }
            Action::Bytes(_) | Action::Zero | Action::Repeat(_) => {}
        }
    }

    fn walk(&mut self, walk: &Walk) {
        self.source(walk.file);
        walk.arithmetic.iter().for_each(|step| step.sources(&mut |place| self.source(place.file)));
        if !walk.is_contiguous() && walk.run_bytes() < SHORT_RUN {
            self.computed = true;
            self.scattered = true;
        }
    }

    fn source(&mut self, file: usize) {
        if !self.sources.contains(&file) {
            self.sources.push(file);
        }
    }
}
