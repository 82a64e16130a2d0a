//! [`Strided`]: tensors joined to a larger one.

use smallvec::smallvec;

use super::strided::{Pieces, Strided, shape_error};
use crate::error::Result;

/// More parts than a tensor of experts has; each is a run of its own in the plan.
const MOST_JOINED: u64 = 1 << 16;

impl Strided {
    /// Joins tensors along `axis`; all other dimensions must agree.
    ///
    /// # Errors
    /// As [`Strided::concat`]; also if an inner axis would take more than `MOST_JOINED` parts.
    pub fn concat_along(axis: usize, parts: Vec<Self>) -> Result<Self> {
        if axis == 0 {
            return Self::concat(parts);
        }
        let Some(first) = parts.first().map(|p| p.shape.clone()).filter(|shape| axis < shape.len()) else {
            return Err(shape_error(format!("nothing to join along axis {axis}")));
        };
        let outer: u64 = first[..axis].iter().product();
        if outer.saturating_mul(parts.len() as u64) > MOST_JOINED {
            return Err(shape_error(format!("{outer} rows are too many to join along axis {axis}")));
        }
        let (mut shape, mut flat) = (first.clone(), Vec::with_capacity(parts.len()));
        shape[axis] = 0;
        for part in parts {
            let same = part.shape.len() == first.len()
                && part.shape.iter().zip(&first).enumerate().all(|(i, (a, b))| i == axis || a == b);
            let len = part.shape.get(axis).and_then(|len| shape[axis].checked_add(*len)).filter(|_| same);
            shape[axis] =
                len.ok_or_else(|| shape_error(format!("cannot join {first:?} and {:?}", part.shape)))?;
            let row = part.elements().checked_div(outer).unwrap_or(0);
            flat.push(part.reshape(&[outer, row])?.each_row()?.into_iter());
        }
        let mut rows = Vec::new();
        for _ in 0..outer {
            rows.extend(flat.iter_mut().filter_map(Iterator::next));
        }
        Self::concat(rows)?.reshape(&shape)
    }

    /// The rows of a matrix, each a vector.
    ///
    /// # Errors
    /// As [`Strided::rows`].
    fn each_row(self) -> Result<Vec<Self>> {
        let &[count, len] = self.shape.as_slice() else {
            return Err(shape_error(format!("{:?} is no matrix", self.shape)));
        };
        if let [_] = self.pieces.as_slice() {
            return (0..count).map(|row| self.clone().rows(row, row + 1)?.reshape(&[len])).collect();
        }
        // Joined parts are handed out one after the other: to look for each row among all of them would take their
        // number squared.
        let (mut rows, mut row, mut filled) = (Vec::new(), Pieces::new(), 0);
        for piece in self.pieces {
            filled += piece.elements();
            row.push(piece);
            if filled > len {
                return Err(shape_error(format!("rows of {:?} cut a joined part", self.shape)));
            }
            if filled == len {
                rows.push(Self { shape: smallvec![len], pieces: std::mem::take(&mut row) });
                filled = 0;
            }
        }
        Ok(rows)
    }

    /// Joins tensors along the outermost axis; all other dimensions must agree.
    ///
    /// # Errors
    /// If there are none, or shapes differ.
    pub fn concat(parts: Vec<Self>) -> Result<Self> {
        let Some(mut shape) = parts.first().map(|p| p.shape.clone()) else {
            return Err(shape_error("nothing to join".into()));
        };
        for part in &parts {
            if part.shape.is_empty() || part.shape[1..] != shape[1..] {
                return Err(shape_error(format!("cannot join {shape:?} and {:?}", part.shape)));
            }
        }
        shape[0] = parts
            .iter()
            .try_fold(0u64, |n, p| n.checked_add(p.shape[0]))
            .ok_or_else(|| shape_error("joined tensor is too large".into()))?;
        // As much room as it takes: there may be 200,000 of them.
        let mut pieces = Pieces::new();
        pieces.reserve_exact(parts.iter().map(|part| part.pieces.len()).sum());
        parts.into_iter().for_each(|part| pieces.extend(part.pieces));
        Ok(Self { shape, pieces })
    }

    /// Puts tensors of one shape under a new outermost axis.
    ///
    /// # Errors
    /// If there are none, or shapes differ.
    pub fn stack(parts: Vec<Self>) -> Result<Self> {
        let parts = parts.into_iter().map(|mut p| {
            p.shape.insert(0, 1);
            p
        });
        Self::concat(parts.collect())
    }
}
