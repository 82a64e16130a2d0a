//! [`LowRank`]: a matrix, or a stack of them, that is the product of two thin ones and is never multiplied out.
//!
//! What moves the elements of the product moves rows of one factor or columns of the other, as long as it keeps them
//! apart: the algebra of `LoraTorchTensor` in the reference's `convert_lora_to_gguf.py`. What does not has no pair of
//! factors for a result and is refused, as there.

use super::strided::{Strided, shape_error};
use crate::error::{Error, Result};

/// The product `b · a`, for each of the leading axes of `b`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LowRank {
    /// Shape `[…, rank, columns]`; leading axes are those of `b`, or 1 where all share a factor.
    pub a: Strided,
    /// Shape `[…, rows, rank]`.
    pub b: Strided,
    /// The product's shape, `[…, rows, columns]`.
    pub shape: Vec<u64>,
    /// What was asked for that no pair of factors can express. Not an error at once, since for plain tensors it is none.
    pub refused: Option<&'static str>,
}

impl LowRank {
    /// The product of `b` and `a`.
    ///
    /// # Errors
    /// If they have other shapes than those above, or no rank.
    pub fn new(a: Strided, b: Strided) -> Result<Self> {
        let problem =
            || shape_error(format!("{:?} times {:?} is no product of two factors", b.shape(), a.shape()));
        let (Some([.., rank, columns]), Some([rows @ .., inner])) = (Some(a.shape()), Some(b.shape())) else {
            return Err(problem());
        };
        let shape = [rows, &[*columns]].concat();
        let elements = shape.iter().try_fold(1u64, |n, len| n.checked_mul(*len));
        let leading = |factor: &Strided| factor.shape()[..factor.shape().len().saturating_sub(2)].to_vec();
        let together =
            leading(&a).iter().zip(leading(&b)).all(|(shared, own)| *shared == 1 || *shared == own);
        let same = a.shape().len() == b.shape().len() && together;
        let fits = same && rank == inner && *rank > 0 && elements.is_some();
        if fits { Ok(Self { a, b, shape, refused: None }) } else { Err(problem()) }
    }

    /// The same, of which `what` was asked.
    pub fn refuse(mut self, what: &'static str) -> Self {
        self.refused.get_or_insert(what);
        self
    }

    /// Every element times `constant`.
    pub fn times(mut self, constant: f32) -> Self {
        self.b = self.b.times(constant);
        self
    }

    /// Under another shape, which must have the same columns.
    pub fn reshape(self, shape: &[u64]) -> Result<Self> {
        let elements = shape.iter().try_fold(1u64, |n, len| n.checked_mul(*len));
        let [rows @ .., last] = shape else { return Err(unsupported("making it a number")) };
        if elements != Some(self.shape.iter().product()) {
            return Err(shape_error(format!("cannot reshape {:?} to {shape:?}", self.shape)));
        }
        if rows.is_empty() || Some(last) != self.shape.last() {
            return Err(unsupported("changing the length of its rows"));
        }
        let rank = self.rank();
        let leading = vec![1; rows.len() - 1];
        let a = self.a.reshape(&[&leading[..], &[rank, *last]].concat());
        let a = a.map_err(|_| unsupported("regrouping matrices that do not share a factor"))?;
        let b = self.b.reshape(&[rows, &[rank]].concat())?;
        self.refused.map_or(Ok(()), |what| Err(unsupported(what)))?;
        Self::new(a, b)
    }

    /// Exchanges two axes.
    pub fn swap_axes(mut self, x: usize, y: usize) -> Result<Self> {
        let last = self.shape.len() - 1;
        if x == y || x > last || y > last {
            return if x == y { Ok(self) } else { Err(shape_error(format!("no axes {x} and {y}"))) };
        }
        if x != last && y != last {
            if self.a.shape()[..last - 1].iter().any(|len| *len != 1) {
                return Err(unsupported("transposing matrices that do not share a factor"));
            }
            self.b = self.b.swap_axes(x, y)?;
            self.shape.swap(x, y);
            return Ok(self);
        }
        if last != 1 {
            return Err(unsupported("transposing the rows of a stack"));
        }
        let (a, b) = (self.b.swap_axes(0, 1)?, self.a.swap_axes(0, 1)?);
        self.shape.swap(x, y);
        Ok(Self { a, b, ..self })
    }

    /// Takes `axis` for groups of parts, and puts the first parts first, then the second.
    pub fn regroup(mut self, axis: usize, outer: u64, inner: u64) -> Result<Self> {
        let last = self.shape.len() - 1;
        if axis == last {
            self.a = self.a.regroup(axis, outer, inner)?;
        } else {
            if axis + 1 < last && self.a.shape()[axis] != 1 {
                self.a = self.a.regroup(axis, outer, inner)?;
            }
            self.b = self.b.regroup(axis, outer, inner)?;
        }
        Ok(self)
    }

    /// Every `step`-th of `start..end` along `axis`.
    pub fn slice(mut self, axis: usize, start: u64, end: u64, step: u64) -> Result<Self> {
        let last = self.shape.len() - 1;
        if axis == last {
            self.a = self.a.slice(axis, start, end, step)?;
        } else {
            if axis + 1 < last && self.a.shape()[axis] != 1 {
                self.a = self.a.slice(axis, start, end, step)?;
            }
            self.b = self.b.slice(axis, start, end, step)?;
        }
        let refused = self.refused;
        Ok(Self { refused, ..Self::new(self.a, self.b)? })
    }

    /// Joins products along the outermost axis: matrices only if they share the factor with the columns.
    pub fn concat(parts: Vec<Self>) -> Result<Self> {
        let refused = parts.iter().find_map(|part| part.refused);
        let matrices = parts.iter().all(|part| part.shape.len() == 2);
        let shared = parts.iter().all(|part| part.a == parts[0].a);
        let (mut a, b): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.a, part.b)).unzip();
        if matrices {
            if !shared {
                return Err(unsupported("joining matrices that do not share a factor"));
            }
            a.truncate(1);
        }
        let product = Self::new(Strided::concat(a)?, Strided::concat(b)?)?;
        Ok(Self { refused, ..product })
    }

    /// Puts products of one shape under a new outermost axis.
    pub fn stack(parts: Vec<Self>) -> Result<Self> {
        let refused = parts.iter().find_map(|part| part.refused);
        let (a, b) = parts.into_iter().map(|part| (part.a, part.b)).unzip();
        Ok(Self { refused, ..Self::new(Strided::stack(a)?, Strided::stack(b)?)? })
    }

    /// The factors, `a` first.
    pub fn factors(self) -> Result<(Strided, Strided)> {
        match self.refused {
            Some(what) => Err(unsupported(what)),
            None => Ok((self.a, self.b)),
        }
    }

    fn rank(&self) -> u64 {
        self.b.shape().last().copied().unwrap_or_default()
    }
}

/// What there is no pair of factors for.
fn unsupported(what: &str) -> Error {
    Error::unsupported(format!("a pair of low-rank factors cannot express {what}"))
}

#[cfg(test)]
mod tests {
    use crate::error::Result;
    use crate::tensor::TensorExpr;
    use crate::tensor::tests::walk;

    /// Elements of the product of 2-D factors whose elements are their own indices, and of whatever it became:
    /// leading axes of length 1 of the first factor are shared.
    fn multiplied(expr: &TensorExpr) -> Vec<u64> {
        let (a, b) = expr.factors().unwrap().unwrap();
        let (&[.., rank, columns], &[.., rows, _]) = (a.shape(), b.shape()) else { panic!("no matrices") };
        let (x, y) = (walk(&a), walk(&b));
        let (shared, all) = (a.elements() / (rank * columns), b.elements() / (rows * rank));
        assert!(shared == 1 || shared == all, "{:?} and {:?}", a.shape(), b.shape());
        let element = |n: u64, i: u64, j: u64| {
            let (p, q) = (n % shared * rank * columns, n * rows * rank);
            (0..rank).map(|k| x[(p + k * columns + j) as usize] * y[(q + i * rank + k) as usize]).sum()
        };
        let every = (0..all).flat_map(|n| (0..rows).flat_map(move |i| (0..columns).map(move |j| (n, i, j))));
        every.map(|(n, i, j)| element(n, i, j)).collect()
    }

    fn product(source: usize, rows: u64, columns: u64) -> TensorExpr {
        let (a, b) = (TensorExpr::source(source, &[3, columns]), TensorExpr::source(source + 1, &[rows, 3]));
        TensorExpr::product(a, b).unwrap()
    }

    /// Moves a product, and a matrix of its elements; both must stay the same.
    #[track_caller]
    fn alike(rows: u64, columns: u64, change: impl Fn(TensorExpr) -> Result<TensorExpr>) {
        let elements = multiplied(&product(0, rows, columns));
        let plain = change(TensorExpr::source(9, &[rows, columns])).unwrap();
        let moved = change(product(0, rows, columns)).unwrap();
        assert_eq!(moved.shape(), plain.shape());
        let expected: Vec<u64> = walk(&plain).iter().map(|at| elements[*at as usize]).collect();
        assert_eq!(multiplied(&moved), expected);
    }

    #[test]
    fn products_move_as_their_elements_do() {
        alike(8, 5, |w| w.reshape(&[2, 2, 2, 5])?.swap_axes(1, 2)?.reshape(&[8, 5]));
        alike(8, 5, |w| w.permute(&[1, 0]));
        alike(8, 5, |w| w.swap_axes(0, 1)?.rows(1, 3));
        alike(8, 5, |w| w.rows(2, 6));
        alike(8, 6, |w| w.slice(1, 1, 5, 2));
        alike(8, 6, |w| Ok(w.halves(1)?.1));
        alike(8, 6, |w| w.reshape(&[4, 2, 6])?.slice(1, 1, 2, 1)?.reshape(&[4, 6]));
        alike(8, 6, |w| w.reshape(&[2, 4, 6])?.rows(1, 2)?.reshape(&[4, 6]));
        alike(8, 5, |w| w.regroup(0, 2, 2));
        alike(3, 12, |w| w.regroup(1, 2, 3));
        alike(9, 4, |w| TensorExpr::concat(vec![w.clone().rows(6, 9)?, w.rows(0, 6)?]));
    }

    #[test]
    fn experts_are_stacked_and_taken_apart_again() {
        let stack = TensorExpr::stack(vec![product(0, 4, 5), product(2, 4, 5)]).unwrap();
        assert_eq!(stack.shape(), [2, 4, 5]);
        let one = multiplied(&product(0, 4, 5));
        assert_eq!(multiplied(&stack), [one.clone(), one.clone()].concat());
        let upper = stack.clone().halves(1).unwrap().0;
        assert_eq!(multiplied(&upper), [&one[..10], &one[..10]].concat());
        let second = stack.clone().rows(1, 2).unwrap().reshape(&[4, 5]).unwrap();
        assert_eq!(second, product(2, 4, 5));
        let four = TensorExpr::concat(vec![stack.clone(), stack.clone()]).unwrap();
        assert_eq!(four.factors().unwrap().unwrap().0.shape(), [4, 3, 5]);
        assert!(stack.clone().reshape(&[8, 5]).is_err());
        assert!(stack.clone().swap_axes(1, 2).is_err());
        assert!(stack.swap_axes(0, 1).is_err());
    }

    #[test]
    fn what_no_pair_of_factors_can_express_is_refused() {
        let refused = |expr: TensorExpr| expr.factors().unwrap_err().to_string();
        assert!(refused(product(0, 4, 4).plus(1.0)).contains("adding"));
        assert!(refused(product(0, 4, 4).exp().rows(0, 2).unwrap()).contains("powers"));
        assert!(refused(product(0, 4, 4).squeeze()).contains("axes"));
        let along = TensorExpr::concat_along(1, vec![product(0, 4, 4), product(0, 4, 4)]).unwrap();
        assert!(refused(along).contains("inner axis"));
        assert!(product(0, 4, 4).neg_exp().reshape(&[2, 2, 4]).is_err());
        for wrong in [&[16][..], &[2, 8], &[], &[3, 4]] {
            assert!(product(0, 4, 4).reshape(wrong).is_err(), "{wrong:?}");
        }
        assert!(TensorExpr::concat(vec![product(0, 4, 4), product(2, 4, 4)]).is_err());
        assert!(TensorExpr::stack(vec![product(0, 4, 4), product(0, 4, 5)]).is_err());
        assert!(TensorExpr::concat(vec![product(0, 4, 4), TensorExpr::source(4, &[4, 4])]).is_err());
        assert!(product(0, 4, 4).swap_axes(0, 2).is_err());
        assert!(product(0, 4, 4).regroup(0, 3, 1).is_err());
        assert!(product(0, 4, 4).regroup(0, 0, 0).is_err());
    }

    fn refused_shape(a: &[u64], b: &[u64]) -> String {
        TensorExpr::product(TensorExpr::source(0, a), TensorExpr::source(1, b)).unwrap_err().to_string()
    }

    #[test]
    fn factors_must_fit_each_other() {
        for (a, b) in [
            (&[3, 4][..], &[4, 2][..]),
            (&[4], &[4, 1]),
            (&[1, 3, 4], &[4, 3]),
            (&[2, 3, 4], &[3, 4, 3]),
            (&[0, 4], &[4, 0]),
            (&[], &[]),
        ] {
            assert!(refused_shape(a, b).contains("no product"), "{a:?} {b:?}");
        }
    }
}
