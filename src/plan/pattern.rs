//! Steps at regular distances, kept as one, and going through them place by place.

use std::sync::Arc;

use super::{Action, NO_SOURCE, Output, Step};

/// Steps that come again and again, as when rows change their places: for each repetition, everything lies further on.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// How often.
    pub count: u64,
    /// Bytes of the output from one repetition to the next; the steps cover as many.
    pub stride: u64,
    /// Bytes of the source from one repetition to the next, for clones and copies. What is gathered goes on as its walk does.
    pub source_stride: u64,
    /// The first repetition: clones, copies, elements gathered and patterns, as they would be without the others.
    pub steps: Vec<Step>,
}

/// A step at one of its places.
#[derive(Clone, Copy, Debug)]
pub struct Spot<'a> {
    /// The step, as it is in the first repetition of all patterns around it; no pattern itself.
    pub step: &'a Step,
    /// How many bytes of the output further on it is here.
    pub shift: u64,
    /// And how many of the source, if it is a clone or a copy.
    pub source_shift: u64,
}

impl Spot<'_> {
    /// First byte, from the start of the file.
    pub fn start(&self) -> u64 {
        self.step.start + self.shift
    }

    /// First byte after it.
    pub fn end(&self) -> u64 {
        self.step.end() + self.shift
    }
}

impl Step {
    /// The same `shift` bytes of the output and `source_shift` bytes of the source further on.
    pub fn moved(&self, shift: u64, source_shift: u64) -> Self {
        let action = match &self.action {
            Action::Clone { file: NO_SOURCE, .. } => self.action.clone(),
            Action::Clone { file, offset } => Action::Clone { file: *file, offset: offset + source_shift },
            Action::Copy { file, offset } => Action::Copy { file: *file, offset: offset + source_shift },
            Action::Gather { walk, first, quiet } => {
                let first = first + shift / walk.dtype.size();
                Action::Gather { walk: walk.clone(), first, quiet: *quiet }
            }
            Action::Repeat(pattern) => {
                let steps = pattern.steps.iter().map(|step| step.moved(shift, source_shift)).collect();
                Action::Repeat(Pattern { steps, ..**pattern }.into())
            }
            other => other.clone(),
        };
        Self { start: self.start + shift, action, ..*self }
    }

    /// Whether both are the same clone or copy, or gather the same, or are patterns of the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let action = match (&self.action, &other.action) {
            (Action::Clone { file, offset }, Action::Clone { file: f, offset: o })
            | (Action::Copy { file, offset }, Action::Copy { file: f, offset: o }) => {
                (file, offset) == (f, o)
            }
            (Action::Gather { walk, first, quiet }, Action::Gather { walk: w, first: f, quiet: q }) => {
                Arc::ptr_eq(walk, w) && (first, quiet) == (f, q)
            }
            (Action::Repeat(one), Action::Repeat(other)) => {
                let strides = |pattern: &Pattern| [pattern.count, pattern.stride, pattern.source_stride];
                strides(one) == strides(other)
                    && one.steps.len() == other.steps.len()
                    && one.steps.iter().zip(&other.steps).all(|(a, b)| a.is_same(b))
            }
            _ => false,
        };
        action && (self.start, self.len) == (other.start, other.len)
    }
}

impl Output {
    /// Every step that is no pattern at all of its places, in file order.
    pub fn spots(&self) -> Spots<'_> {
        Spots::new(&self.steps)
    }

    /// The same, from the one that byte `at` is in.
    pub fn spots_from(&self, at: u64) -> Spots<'_> {
        let mut spots = Spots { levels: Vec::new() };
        let (mut steps, mut around, mut shifts) = (self.steps.as_slice(), None, (0, 0));
        loop {
            let next = steps.partition_point(|step| step.end() + shifts.0 <= at);
            let level = Level { steps, next, around, shifts };
            let Some(Step { start, action: Action::Repeat(pattern), .. }) = level.steps.get(next) else {
                spots.levels.push(level);
                return spots;
            };
            spots.levels.push(Level { next: next + 1, ..level });
            let gone = at.saturating_sub(start + shifts.0) / pattern.stride.max(1);
            shifts = (shifts.0 + gone * pattern.stride, shifts.1 + gone * pattern.source_stride);
            (steps, around) = (&pattern.steps, Some((&**pattern, pattern.count.saturating_sub(gone + 1))));
        }
    }

    /// Every step that is no pattern, and at how many places it is.
    pub fn counted(&self) -> impl Iterator<Item = (&Step, u64)> {
        self.steps.iter().flat_map(Step::counted)
    }
}

impl Step {
    /// The steps that are no patterns in this one, or it alone, and at how many places each is.
    pub fn counted(&self) -> impl Iterator<Item = (&Step, u64)> {
        let mut stack = vec![(std::slice::from_ref(self).iter(), 1)];
        std::iter::from_fn(move || {
            loop {
                let (steps, times) = stack.last_mut()?;
                let times = *times;
                match steps.next() {
                    None => _ = stack.pop(),
                    Some(Self { action: Action::Repeat(pattern), .. }) => {
                        stack.push((pattern.steps.iter(), times * pattern.count));
                    }
                    Some(step) => return Some((step, times)),
                }
            }
        })
    }
}

/// Goes through steps place by place.
#[derive(Clone, Debug, Default)]
pub struct Spots<'a> {
    levels: Vec<Level<'a>>,
}

/// The steps of an output, or of one pattern in another.
#[derive(Clone, Copy, Debug)]
struct Level<'a> {
    steps: &'a [Step],
    next: usize,
    /// The pattern that these are the steps of, and how many repetitions come after this one.
    around: Option<(&'a Pattern, u64)>,
    /// How far on in output and source this repetition is.
    shifts: (u64, u64),
}

impl<'a> Spots<'a> {
    fn new(steps: &'a [Step]) -> Self {
        Self { levels: vec![Level { steps, next: 0, around: None, shifts: (0, 0) }] }
    }
}

impl<'a> Iterator for Spots<'a> {
    type Item = Spot<'a>;

    fn next(&mut self) -> Option<Spot<'a>> {
        loop {
            let level = self.levels.last_mut()?;
            let Some(step) = level.steps.get(level.next) else {
                match &mut level.around {
                    Some((pattern, left)) if *left > 0 => {
                        *left -= 1;
                        level.shifts.0 += pattern.stride;
                        level.shifts.1 += pattern.source_stride;
                        level.next = 0;
                    }
                    _ => _ = self.levels.pop(),
                }
                continue;
            };
            level.next += 1;
            let shifts = level.shifts;
            match &step.action {
                Action::Repeat(pattern) if pattern.count > 0 => {
                    let around = Some((&**pattern, pattern.count - 1));
                    self.levels.push(Level { steps: &pattern.steps, next: 0, around, shifts });
                }
                Action::Repeat(_) => {}
                _ => return Some(Spot { step, shift: shifts.0, source_shift: shifts.1 }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(start: u64, len: u64, action: Action) -> Step {
        Step { start, len, action, reason: None }
    }

    fn copy(offset: u64) -> Action {
        Action::Copy { file: 0, offset }
    }

    /// Bytes 0 to 10, then three times 20 bytes of which the last 12 are twice 6, a pattern of nothing, and 5 more bytes.
    fn output() -> Output {
        let innermost = vec![step(18, 4, copy(200)), step(22, 2, Action::Zero)];
        let inner = Pattern { count: 2, stride: 6, source_stride: 50, steps: innermost };
        let steps = vec![step(10, 8, copy(100)), step(18, 12, Action::Repeat(inner.into()))];
        let outer = Pattern { count: 3, stride: 20, source_stride: 1000, steps };
        let never = Pattern { count: 0, stride: 7, source_stride: 7, steps: vec![step(70, 7, Action::Zero)] };
        let steps = vec![
            step(0, 10, copy(0)),
            step(10, 60, Action::Repeat(outer.into())),
            step(70, 0, Action::Repeat(never.into())),
            step(70, 5, copy(9)),
        ];
        let path = "".into();
        Output { path, len: 75, data_start: 0, alignment: 1, tensors: Vec::new(), steps, like: None }
    }

    /// Start, end and, if it is a copy, offset in the source of each place.
    fn places(spots: Spots) -> Vec<(u64, u64, Option<u64>)> {
        let place = |spot: Spot| match spot.step.action {
            Action::Copy { offset, .. } => (spot.start(), spot.end(), Some(offset + spot.source_shift)),
            _ => (spot.start(), spot.end(), None),
        };
        spots.map(place).collect()
    }

    const PLACES: [(u64, u64, Option<u64>); 17] = [
        (0, 10, Some(0)),
        (10, 18, Some(100)),
        (18, 22, Some(200)),
        (22, 24, None),
        (24, 28, Some(250)),
        (28, 30, None),
        (30, 38, Some(1100)),
        (38, 42, Some(1200)),
        (42, 44, None),
        (44, 48, Some(1250)),
        (48, 50, None),
        (50, 58, Some(2100)),
        (58, 62, Some(2200)),
        (62, 64, None),
        (64, 68, Some(2250)),
        (68, 70, None),
        (70, 75, Some(9)),
    ];

    #[test]
    fn steps_are_gone_through_place_by_place() {
        assert_eq!(places(output().spots()), PLACES);
    }

    #[test]
    fn any_byte_can_be_the_first() {
        let output = output();
        for at in 0..80 {
            let expected: Vec<_> = PLACES.into_iter().filter(|(_, end, _)| *end > at).collect();
            assert_eq!(places(output.spots_from(at)), expected, "from byte {at}");
        }
    }

    #[test]
    fn counts_are_products_of_what_is_around() {
        let output = output();
        let counted: Vec<_> = output.counted().map(|(step, times)| (step.start, step.len, times)).collect();
        assert_eq!(counted, [(0, 10, 1), (10, 8, 3), (18, 4, 6), (22, 2, 6), (70, 7, 0), (70, 5, 1)]);
    }

    fn walk() -> Arc<crate::plan::Walk> {
        let (dims, arithmetic) = ([crate::tensor::Dim { len: 100, stride: 3 }].into(), Vec::new());
        let dtype = crate::dtype::Dtype::BF16;
        Arc::new(crate::plan::Walk { file: 0, offset: 0, dtype, dims, first: 0, arithmetic, codes: None })
    }

    #[test]
    fn what_is_gathered_goes_on_by_elements() {
        let walk = walk();
        let gather = |first| Action::Gather { walk: walk.clone(), first, quiet: true };
        let moved = step(100, 8, gather(7)).moved(10, 999);
        assert!(moved.is_same(&step(110, 8, gather(12))), "{moved:?}");
        let moved = step(0, 4, Action::Clone { file: 1, offset: 50 }).moved(10, 20);
        assert!(moved.is_same(&step(10, 4, Action::Clone { file: 1, offset: 70 })), "{moved:?}");
        let unread = Action::Clone { file: NO_SOURCE, offset: 50 };
        let moved = step(0, 4, unread.clone()).moved(10, 20);
        assert!(moved.is_same(&step(10, 4, unread)), "{moved:?}");
    }

    #[test]
    fn patterns_are_the_same_if_all_of_them_is() {
        let pattern = |count, stride, source_stride, offset| Pattern {
            count,
            stride,
            source_stride,
            steps: vec![step(0, 4, copy(offset)), step(4, 4, copy(offset + 4))],
        };
        let repeat = |pattern: Pattern| step(0, 80, Action::Repeat(pattern.into()));
        let one = repeat(pattern(10, 8, 16, 0));
        assert!(one.is_same(&repeat(pattern(10, 8, 16, 0))));
        for other in
            [pattern(11, 8, 16, 0), pattern(10, 9, 16, 0), pattern(10, 8, 17, 0), pattern(10, 8, 16, 1)]
        {
            assert!(!one.is_same(&repeat(other.clone())), "{other:?}");
        }
        let mut shorter = pattern(10, 8, 16, 0);
        shorter.steps.pop();
        assert!(!one.is_same(&repeat(shorter)));
        assert!(!one.is_same(&step(0, 80, copy(0))));
        let (walk, other) = (walk(), walk());
        let gather =
            |walk: &Arc<_>, first, quiet| step(0, 8, Action::Gather { walk: Arc::clone(walk), first, quiet });
        let gathered = gather(&walk, 1, false);
        assert!(gathered.is_same(&gather(&walk, 1, false)));
        for changed in [gather(&other, 1, false), gather(&walk, 2, false), gather(&walk, 1, true)] {
            assert!(!gathered.is_same(&changed));
        }
        let start = step(1, 8, Action::Gather { walk: walk.clone(), first: 1, quiet: false });
        assert!(!gathered.is_same(&start) && !gathered.is_same(&Step { len: 7, ..gathered.clone() }));
    }
}
