//! Small integers packed into words, as quantized checkpoints store weights: how they lie there, and in which order they
//! are the elements of a tensor.

use super::piece::{Codes, Dim, Dims, Leaf, Piece, merged};
use super::strided::{Strided, shape_error};
use crate::dtype::Packing;
use crate::error::Result;

impl Strided {
    /// The same elements, which are integers packed into a source tensor by `packing`. Positions were counted in them in
    /// the order of the source; from here on, they are counted in the present order, which scales and the like refer to.
    ///
    /// # Errors
    /// If anything was joined or computed, or the first one is not the source's.
    pub fn codes(mut self, packing: Packing) -> Result<Self> {
        let [piece] = self.pieces.as_mut_slice() else {
            return Err(shape_error("packed integers come from one tensor".into()));
        };
        let Piece { leaf: Leaf::Source(source), offset: 0, arithmetic, dims } = piece else {
            return Err(shape_error("packed integers begin with the first one".into()));
        };
        if !arithmetic.is_empty() {
            return Err(shape_error("packed integers are not computed".into()));
        }
        let elements = dims.iter().map(|dim| dim.len).product();
        let view = std::mem::replace(dims, merged([Dim { len: elements, stride: 1 }]));
        piece.leaf = Leaf::Codes(Codes { source: *source, packing, view }.into());
        Ok(self)
    }
}

/// `dims` from `offset` on as loops over what `view` is over, where they step through `view`'s elements. None if that takes
/// more than loops.
pub fn compose(view: &[Dim], offset: u64, dims: &[Dim]) -> Option<(u64, Dims)> {
    if view.iter().any(|dim| dim.len == 0) {
        return None;
    }
    // What each loop of the view counts as, as in a number of mixed radix.
    let mut digits: Vec<(u64, Dim)> = Vec::with_capacity(view.len());
    let mut weight = 1u64;
    for dim in view.iter().rev() {
        digits.push((weight, *dim));
        weight = weight.checked_mul(dim.len)?;
    }
    let (mut start, mut rest) = (0u64, offset);
    let mut highest: Vec<u64> = Vec::with_capacity(digits.len());
    for (_, dim) in &digits {
        highest.push(rest % dim.len);
        start = start.checked_add((rest % dim.len).checked_mul(dim.stride)?)?;
        rest /= dim.len;
    }
    if rest > 0 {
        return None;
    }
    let mut composed = Vec::with_capacity(dims.len());
    for dim in dims.iter().rev() {
        let (mut len, mut stride) = (dim.len, dim.stride);
        while len > 1 {
            let at = digits.iter().rposition(|(weight, _)| *weight <= stride)?;
            let (weight, digit) = digits[at];
            if stride % weight != 0 {
                return None;
            }
            let step = stride / weight;
            let room = digit.len / step;
            // As far as this digit goes; what is left counts the next one.
            let here = if len <= room { len } else { room };
            if here == 0 || len % here != 0 || (here < len && digit.len % step != 0) {
                return None;
            }
            highest[at] += (here - 1) * step;
            composed.push(Dim { len: here, stride: step.checked_mul(digit.stride)? });
            len /= here;
            stride = stride.checked_mul(here)?;
        }
    }
    // A sum that carries from one digit to the next would be elsewhere.
    let carries = highest.iter().zip(&digits).any(|(highest, (_, dim))| *highest >= dim.len);
    composed.reverse();
    (!carries).then(|| (start, merged(composed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(offset: u64, dims: &[Dim]) -> Vec<u64> {
        let step = |at: Vec<u64>, dim: &Dim| {
            at.iter().flat_map(|o| (0..dim.len).map(move |i| o + i * dim.stride)).collect()
        };
        dims.iter().fold(vec![offset], step)
    }

    /// A matrix of 6 × 16, packed by four along its second axis, which lies transposed.
    fn transposed() -> Strided {
        let codes = Strided::source(0, &[4, 6, 4]);
        codes.swap_axes(0, 1).and_then(|codes| codes.reshape(&[6, 16])).unwrap()
    }

    #[test]
    fn loops_over_a_view_are_loops_over_what_it_shows() {
        let plain = transposed();
        let whole = walk(0, &plain.pieces()[0].dims);
        let moves: [fn(Strided) -> Strided; 6] = [
            |t| t,
            |t| t.reshape(&[2, 3, 16]).unwrap().swap_axes(0, 1).unwrap(),
            |t| t.slice(0, 2, 4, 1).unwrap(),
            |t| t.slice(1, 4, 12, 1).unwrap(),
            |t| t.swap_axes(0, 1).unwrap(),
            |t| t.slice(1, 5, 6, 1).unwrap(),
        ];
        for (number, moved) in moves.iter().enumerate() {
            let codes = moved(plain.clone().codes(Packing::words(8)).unwrap());
            let Leaf::Codes(leaf) = &codes.pieces()[0].leaf else { panic!("no codes") };
            let piece = &codes.pieces()[0];
            let (start, dims) = compose(&leaf.view, piece.offset, &piece.dims).unwrap();
            let expected: Vec<u64> =
                walk(piece.offset, &piece.dims).iter().map(|at| whole[*at as usize]).collect();
            assert_eq!(walk(start, &dims), expected, "move {number}");
        }
    }

    #[test]
    fn what_loops_cannot_express_is_refused() {
        let view = [Dim { len: 3, stride: 10 }, Dim { len: 4, stride: 1 }];
        // Steps over the view's rows that do not begin with a row.
        assert_eq!(compose(&view, 2, &[Dim { len: 4, stride: 1 }]), None);
        assert_eq!(compose(&view, 0, &[Dim { len: 2, stride: 6 }]), None);
        assert_eq!(compose(&view, 12, &[]), None);
        assert_eq!(compose(&view, 4, &[Dim { len: 8, stride: 1 }]).unwrap().0, 10);
    }
}
