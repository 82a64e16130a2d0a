//! Movement, compared with walking the indices by hand.

use super::{Leaf, TensorExpr};

/// Source indices in output order, by walking the loops.
pub fn walk(expr: &TensorExpr) -> Vec<u64> {
    let mut out = Vec::new();
    for piece in &*expr.pieces() {
        let mut at = vec![piece.offset];
        for dim in &piece.dims {
            at = at.iter().flat_map(|o| (0..dim.len).map(move |i| o + i * dim.stride)).collect();
        }
        out.extend(at);
    }
    out
}

#[test]
fn rotary_permutation_interleaves_the_halves_of_each_head() {
    let (heads, half, cols) = (2, 3, 2);
    let expr = TensorExpr::source(0, &[heads * 2 * half, cols])
        .reshape(&[heads, 2, half, cols])
        .and_then(|e| e.swap_axes(1, 2))
        .and_then(|e| e.reshape(&[heads * 2 * half, cols]))
        .unwrap();
    let mut expected = Vec::new();
    for h in 0..heads {
        for i in 0..half {
            for part in 0..2 {
                expected.extend((0..cols).map(|c| ((h * 2 + part) * half + i) * cols + c));
            }
        }
    }
    assert_eq!(walk(&expr), expected);
}

#[test]
fn swapping_twice_is_contiguous_again() {
    let expr = TensorExpr::source(0, &[4, 6, 5]).swap_axes(0, 1).unwrap();
    assert!(!expr.pieces()[0].is_contiguous());
    let back = expr.swap_axes(0, 1).unwrap();
    assert!(back.pieces()[0].is_contiguous());
    assert_eq!(back, TensorExpr::source(0, &[4, 6, 5]));
}

#[test]
fn rows_of_a_transposed_tensor() {
    let expr = TensorExpr::source(0, &[3, 4]).swap_axes(0, 1).unwrap().rows(1, 3).unwrap();
    assert_eq!(expr.shape(), [2, 3]);
    assert_eq!(walk(&expr), [1, 5, 9, 2, 6, 10]);
}

#[test]
fn stacking_keeps_order_and_rows_selects_whole_parts() {
    let stacked = TensorExpr::stack((0..3).map(|i| TensorExpr::source(i, &[2, 2])).collect()).unwrap();
    assert_eq!(stacked.shape(), [3, 2, 2]);
    let tail = stacked.clone().rows(1, 3).unwrap();
    assert_eq!(
        tail.pieces().iter().map(|p| p.leaf.clone()).collect::<Vec<_>>(),
        [Leaf::Source(1), Leaf::Source(2)]
    );
    assert!(stacked.reshape(&[6, 2]).unwrap().rows(1, 4).is_err());
}

/// The indices that torch's `arange(…).reshape(shape)` has, after `f` picked from their positions.
fn picked(shape: &[u64], positions: impl IntoIterator<Item = Vec<u64>>) -> Vec<u64> {
    positions.into_iter().map(|at| at.iter().zip(shape).fold(0, |n, (i, len)| n * len + i)).collect()
}

#[test]
fn slices_step_along_any_axis() {
    let t = || TensorExpr::source(0, &[2, 6, 3]);
    let odd = t().slice(1, 1, 5, 2).unwrap();
    assert_eq!(odd.shape(), [2, 2, 3]);
    let expected =
        (0..2).flat_map(|a| [1, 3].into_iter().flat_map(move |b| (0..3).map(move |c| vec![a, b, c])));
    assert_eq!(walk(&odd), picked(&[2, 6, 3], expected));
    let (low, high) = t().halves(1).unwrap();
    assert_eq!(TensorExpr::concat_along(1, vec![low, high]).map(|e| walk(&e)).unwrap(), walk(&t()));
    assert!(t().halves(2).is_err());
    assert!(t().slice(1, 0, 5, 2).is_err());
    assert!(t().slice(1, 4, 8, 2).is_err());
    assert!(t().slice(3, 0, 0, 1).is_err());
}

#[test]
fn permuting_is_what_torch_does() {
    let t = TensorExpr::source(0, &[2, 3, 4]).permute(&[2, 0, 1]).unwrap();
    assert_eq!(t.shape(), [4, 2, 3]);
    let expected = (0..4).flat_map(|c| (0..2).flat_map(move |a| (0..3).map(move |b| vec![a, b, c])));
    assert_eq!(walk(&t), picked(&[2, 3, 4], expected));
    assert!(TensorExpr::source(0, &[2, 3]).permute(&[0, 0]).is_err());
    assert!(TensorExpr::source(0, &[2, 3]).permute(&[1]).is_err());
}

#[test]
fn parts_of_a_stack_are_transposed_and_cut_alike() {
    let stack = TensorExpr::stack((0..2).map(|i| TensorExpr::source(i, &[2, 3])).collect()).unwrap();
    let turned = stack.clone().swap_axes(1, 2).unwrap();
    assert_eq!(turned.shape(), [2, 3, 2]);
    assert_eq!(walk(&turned), [0, 3, 1, 4, 2, 5].repeat(2));
    assert_eq!(walk(&stack.clone().slice(2, 1, 3, 1).unwrap()), [1, 2, 4, 5].repeat(2));
    assert!(stack.swap_axes(0, 1).is_err());
}

#[test]
fn joining_along_an_inner_axis_takes_turns() {
    let parts = vec![TensorExpr::source(0, &[2, 1, 2]), TensorExpr::source(1, &[2, 2, 2])];
    let joined = TensorExpr::concat_along(1, parts).unwrap();
    assert_eq!(joined.shape(), [2, 3, 2]);
    assert_eq!(walk(&joined), [0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 6, 7]);
    let stack =
        |first| TensorExpr::stack((first..first + 3).map(|i| TensorExpr::source(i, &[2, 2])).collect());
    let stacks = TensorExpr::concat_along(1, vec![stack(0).unwrap(), stack(3).unwrap()]).unwrap();
    assert_eq!(stacks.shape(), [3, 4, 2]);
    let order: Vec<_> = stacks.pieces().iter().map(|p| p.leaf.clone()).collect();
    assert_eq!(order, [0, 3, 1, 4, 2, 5].map(Leaf::Source));
    let differ = vec![TensorExpr::source(0, &[2, 2]), TensorExpr::source(1, &[3, 2])];
    assert!(TensorExpr::concat_along(1, differ).is_err());
    let many = vec![TensorExpr::source(0, &[1 << 40, 2]), TensorExpr::source(1, &[1 << 40, 2])];
    assert!(TensorExpr::concat_along(1, many).is_err());
}

#[test]
fn impossible_requests_are_errors() {
    let t = || TensorExpr::source(0, &[6, 4]);
    assert!(t().reshape(&[5, 5]).is_err());
    assert!(t().reshape(&[u64::MAX, 2]).is_err());
    assert!(t().swap_axes(0, 2).is_err());
    assert!(t().rows(3, 7).is_err());
    assert!(TensorExpr::stack(vec![t(), TensorExpr::source(1, &[4, 6])]).is_err());
    assert!(TensorExpr::concat(vec![]).is_err());
    assert!(TensorExpr::source(0, &[0, 4]).swap_axes(0, 1).is_err());
}
