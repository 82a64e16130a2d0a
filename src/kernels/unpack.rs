//! Integers of few bits, unpacked from words. Without branches per integer, so that compilers vectorize.

use crate::dtype::Packing;

/// [`super::unpack`] for whatever instructions its caller is compiled for.
#[inline(always)]
pub fn unpack_here(packing: Packing, src: &[u8], skip: usize, dst: &mut [u8]) {
    let Packing { bits, word, high_first } = packing;
    let per_word = packing.per_word() as usize;
    if 8 % bits != 0 {
        return words(packing, src, skip, dst);
    }
    // Where none are left over, a word in little-endian order is its bytes, one after the other.
    debug_assert!(!high_first || word == 1);
    debug_assert_eq!(per_word * bits as usize, 8 * word as usize);
    match (bits, high_first) {
        (8, _) => dst.copy_from_slice(&src[skip..skip + dst.len()]),
        (4, true) => bytes::<2>(src, skip, dst, |byte| [byte >> 4, byte & 15]),
        (4, false) => bytes::<2>(src, skip, dst, |byte| [byte & 15, byte >> 4]),
        (2, true) => bytes::<4>(src, skip, dst, |b| [b >> 6, b >> 4 & 3, b >> 2 & 3, b & 3]),
        (2, false) => bytes::<4>(src, skip, dst, |b| [b & 3, b >> 2 & 3, b >> 4 & 3, b >> 6]),
        _ => words(packing, src, skip, dst),
    }
}

/// `N` to a byte, as `split` has them.
#[inline(always)]
fn bytes<const N: usize>(src: &[u8], skip: usize, dst: &mut [u8], split: impl Fn(u8) -> [u8; N]) {
    let (mut src, mut dst) = (&src[skip / N..], dst);
    if !skip.is_multiple_of(N) {
        let (head, tail) = dst.split_at_mut((N - skip % N).min(dst.len()));
        head.copy_from_slice(&split(src[0])[skip % N..][..head.len()]);
        (src, dst) = (&src[1..], tail);
    }
    let (whole, rest) = dst.as_chunks_mut::<N>();
    for (to, byte) in whole.iter_mut().zip(src) {
        *to = split(*byte);
    }
    if !rest.is_empty() {
        rest.copy_from_slice(&split(src[whole.len()])[..rest.len()]);
    }
}

/// Any packing, one integer at a time.
#[inline(always)]
fn words(packing: Packing, src: &[u8], skip: usize, dst: &mut [u8]) {
    let Packing { bits, word, high_first } = packing;
    let (per_word, mask) = (packing.per_word() as usize, (1u32 << bits) - 1);
    for (at, to) in (skip..).zip(dst) {
        let start = at / per_word * word as usize;
        let bytes = src[start..start + word as usize].iter().rev();
        let value = bytes.fold(0u32, |value, byte| value << 8 | u32::from(*byte));
        let place = if high_first { per_word - 1 - at % per_word } else { at % per_word };
        *to = (value >> (place as u32 * bits) & mask) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All ways to pack are compared with shifting each integer out of its word.
    #[test]
    fn any_part_of_any_packing() {
        let src: Vec<u8> = (0..64u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        let packings = (1..=8).flat_map(|bits| {
            let bytes = [false, true].map(|high_first| Packing { bits, word: 1, high_first });
            bytes.into_iter().filter(move |_| 8 % bits == 0).chain([Packing::words(bits)])
        });
        for packing in packings {
            let count = src.len() / packing.word as usize * packing.per_word() as usize;
            let mut all = vec![0; count];
            words(packing, &src, 0, &mut all);
            assert_eq!(
                all[0],
                if packing.high_first {
                    src[0] >> (8 - packing.bits)
                } else {
                    src[0] & ((1u16 << packing.bits) - 1) as u8
                }
            );
            for (skip, len) in [(0, count), (1, 17), (2, 2), (3, 1), (5, 0), (7, 30), (count - 9, 9)] {
                let mut got = vec![0; len];
                unpack_here(packing, &src, skip, &mut got);
                assert_eq!(got, all[skip..skip + len], "{packing:?} {skip} {len}");
            }
        }
    }
}
