//! What low-rank adaptation adds to a matrix. Like any arithmetic it refers to elements by their place in the source.

/// A product of two thin matrices, scaled: what low-rank adaptation adds to a matrix, whose element in row *i* and column
/// *j* becomes `x + scale · Σ left[i][k] · right[j][k]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Update<S> {
    /// A vector for each row of the matrix.
    pub left: Factor<S>,
    /// A vector for each of its columns.
    pub right: Factor<S>,
    /// Length of the vectors.
    pub rank: u64,
    /// Number of the matrix's columns.
    pub columns: u64,
    /// What the product is multiplied with.
    pub scale: f32,
}

/// One of the two matrices, as vectors. One of the steps is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor<S> {
    /// The tensor that holds it.
    pub source: S,
    /// Distance between the beginnings of two vectors, in elements.
    pub vector_step: u64,
    /// Distance between a vector's elements.
    pub step: u64,
}

impl<S> Factor<S> {
    /// The same with another name for the source.
    pub(super) fn at<T>(&self, source: T) -> Factor<T> {
        Factor { source, vector_step: self.vector_step, step: self.step }
    }

    /// The last element that `count` vectors of length `rank` have; none if that is absurd.
    pub fn last(&self, count: u64, rank: u64) -> Option<u64> {
        let [vectors, elements] = [(count, self.vector_step), (rank, self.step)]
            .map(|(count, step)| count.checked_sub(1)?.checked_mul(step));
        vectors?.checked_add(elements?)
    }
}
