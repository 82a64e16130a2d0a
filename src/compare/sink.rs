//! A sink that compares what is computed with what a file has.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Mismatch, Part};
use crate::dtype::GgmlType;
use crate::error::Result;
use crate::evaluate::Sink;
use crate::kernels;
use crate::plan::Output;
use crate::source::File;

/// Zeros that are compared at a time.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Bytes of a difference that are shown.
const SHOWN: usize = 8;

thread_local! {
    /// What was read to be compared.
    static FOUND: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the first difference in each tensor, and in each stretch of what is none.
pub struct Compare<'a> {
    outputs: &'a [Output],
    files: &'a [File],
    quiet_nans: bool,
    /// By output and the offset of the tensor, or of what is behind it.
    first: Mutex<BTreeMap<(usize, u64), Mismatch>>,
}

impl<'a> Compare<'a> {
    /// With `files`, which should hold `outputs`, but for `quiet_nans`, perhaps.
    pub fn new(outputs: &'a [Output], files: &'a [File], quiet_nans: bool) -> Self {
        Self { outputs, files, quiet_nans, first: Mutex::default() }
    }

    /// What was found, in file order.
    pub fn mismatches(self) -> Vec<Mismatch> {
        self.first.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }

    fn compare(&self, output: usize, at: u64, expected: &[u8], found: &[u8]) {
        if expected == found {
            return;
        }
        let mut from = 0;
        while let Some(next) = expected[from..].iter().zip(&found[from..]).position(|(e, f)| e != f) {
            let differs = from + next;
            let place = self.place(output, at + differs as u64);
            let end = (place.end.saturating_sub(at)).min(expected.len() as u64) as usize;
            let begin = (place.start.saturating_sub(at) as usize).max(from);
            let quiet = self.quiet_nans && place.is_bf16 && {
                // Elements that are cut by the range's ends are compared as they are.
                let odd = ((at + begin as u64 - place.start) % 2) as usize;
                same_but_quiet(&expected[begin + odd..end], &found[begin + odd..end])
            };
            if !quiet {
                self.record(output, at, differs, end, &place, expected, found);
            }
            from = end;
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one caller, which has just found all of these")]
    fn record(
        &self,
        output: usize,
        at: u64,
        differs: usize,
        end: usize,
        place: &Place,
        expected: &[u8],
        found: &[u8],
    ) {
        let shown = differs..end.min(differs + SHOWN);
        let offset = at + differs as u64;
        let mismatch = Mismatch {
            file: self.outputs[output].path.clone(),
            part: place.part(self.outputs[output].data_start),
            offset,
            within: offset - place.start,
            expected: expected[shown.clone()].to_vec(),
            found: found[shown].to_vec(),
        };
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let known = first.entry((output, place.start)).or_insert_with(|| mismatch.clone());
        if offset < known.offset {
            *known = mismatch;
        }
    }

    /// What byte `at` of an output belongs to.
    fn place(&self, output: usize, at: u64) -> Place<'_> {
        let tensors = &self.outputs[output].tensors;
        let after = tensors.partition_point(|tensor| tensor.offset <= at);
        let next = tensors.get(after).map_or(u64::MAX, |tensor| tensor.offset);
        match after.checked_sub(1).map(|i| &tensors[i]) {
            Some(tensor) if at < tensor.offset + tensor.len => Place {
                name: Some(&tensor.name),
                start: tensor.offset,
                end: tensor.offset + tensor.len,
                is_bf16: tensor.dtype == GgmlType::BF16.name(),
            },
            Some(tensor) => {
                Place { name: None, start: tensor.offset + tensor.len, end: next, is_bf16: false }
            }
            None => {
                let data = self.outputs[output].data_start;
                let (start, end) = if at < data { (0, data) } else { (data, next) };
                Place { name: None, start, end, is_bf16: false }
            }
        }
    }
}

struct Place<'a> {
    name: Option<&'a str>,
    start: u64,
    end: u64,
    is_bf16: bool,
}

impl Place<'_> {
    /// For people, in a file whose data start at byte `data_start`.
    fn part(&self, data_start: u64) -> Part {
        match self.name {
            Some(name) => Part::Tensor(name.to_owned()),
            None if self.start < data_start => Part::Header,
            None => Part::Padding,
        }
    }
}

/// Whether BF16 elements differ only where a NaN was made quiet, as the reference does it when it copies.
fn same_but_quiet(expected: &[u8], found: &[u8]) -> bool {
    let mut quiet = expected.to_vec();
    kernels::quiet_bf16(&mut quiet);
    let (expected, quiet, found) = (expected.chunks(2), quiet.chunks(2), found.chunks(2));
    expected.zip(quiet).zip(found).all(|((expected, quiet), found)| found == expected || found == quiet)
}

impl Sink for Compare<'_> {
    fn put(&self, output: usize, at: u64, bytes: &[u8]) -> Result<()> {
        FOUND.with_borrow_mut(|found| {
            if found.len() < bytes.len() {
                found.resize(bytes.len(), 0);
            }
            let found = &mut found[..bytes.len()];
            self.files[output].read_exact_at(found, at)?;
            self.compare(output, at, bytes, found);
            Ok(())
        })
    }

    fn zeros(&self, output: usize, at: u64, len: u64) -> Result<()> {
        let mut done = 0;
        while done < len {
            let part = (len - done).min(ZEROS.len() as u64);
            self.put(output, at + done, &ZEROS[..part as usize])?;
            done += part;
        }
        Ok(())
    }
}
