//! What a range of an output is made of, as far as that decides how to come by it.

use std::ops::Range;

use crate::plan::{Action, Output, Step, Walk};
use crate::tensor::Arithmetic;

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
        let first = output.steps.partition_point(|step| step.end() <= range.start);
        for step in output.steps[first..].iter().take_while(|step| step.start < range.end) {
            look.add(step);
        }
        look
    }

    fn add(&mut self, step: &Step) {
        match &step.action {
            Action::Clone { file, .. } => self.source(*file),
            Action::Copy { walk, .. } => self.walk(walk),
            Action::Encode { walk, to, .. } => {
                self.computed |= to.same_bits() != Some(walk.dtype) || !walk.arithmetic.is_empty();
                self.walk(walk);
            }
            Action::Bytes(_) | Action::Zero => {}
        }
    }

    fn walk(&mut self, walk: &Walk) {
        self.source(walk.file);
        for step in &walk.arithmetic {
            match step {
                Arithmetic::Scale(scale) | Arithmetic::Plus { other: scale, .. } => {
                    self.source(scale.source.file)
                }
                Arithmetic::Mxfp4 { scales } => self.source(scales.file),
                Arithmetic::Widen
                | Arithmetic::Add(_)
                | Arithmetic::Multiply(_)
                | Arithmetic::Exp
                | Arithmetic::NegExp
                | Arithmetic::Ternary(_) => {}
            }
        }
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
