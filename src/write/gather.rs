//! Reads the elements of a walk in output order, in bounded memory.

use std::fs::File;
use std::io;

use ggraft_platform::read_exact_at;

use crate::plan::{Run, Walk};

/// Elements per chunk that [`chunk`] aims for: 4 MiB of F32.
const CHUNK_ELEMENTS: u64 = 1 << 20;

/// Elements in the largest block of a quantized type.
const LARGEST_BLOCK: u64 = 256;

/// How many elements of `walk` to handle at a time: about a million, and a multiple of the
/// largest block of loops that fits, because such a block tends to lie compact in the source.
pub fn chunk(walk: &Walk) -> u64 {
    let mut chunk = CHUNK_ELEMENTS;
    let mut block = 1;
    for dim in walk.dims.iter().rev() {
        block *= dim.len;
        if block * LARGEST_BLOCK > CHUNK_ELEMENTS {
            break;
        }
        chunk = CHUNK_ELEMENTS / (block * LARGEST_BLOCK) * (block * LARGEST_BLOCK);
    }
    chunk
}

/// Reads `count` elements of `walk` from element `first` on into `out` (resized to fit), in output order.
/// `scratch` is a buffer to reuse between calls.
///
/// # Errors
/// What the operating system says; `UnexpectedEof` if the file has become shorter.
pub fn gather(
    file: &File,
    walk: &Walk,
    first: u64,
    count: u64,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) -> io::Result<()> {
    let size = walk.dtype.size();
    out.resize((count * size) as usize, 0);
    if walk.is_contiguous() {
        return read_exact_at(file, out, walk.offset + first * size);
    }
    let runs = || walk.runs(first, count);
    let (low, high) =
        runs().fold((u64::MAX, 0), |(low, high), run| (low.min(run.at), high.max(run.at + run.len)));
    // Where the elements lie close together, one read of the whole window beats one per run.
    if high - low <= 2 * count {
        scratch.resize(((high - low) * size) as usize, 0);
        read_exact_at(file, scratch, walk.offset + low * size)?;
        let mut rest = out.as_mut_slice();
        for Run { at, len } in runs() {
            let (run, tail) = rest.split_at_mut((len * size) as usize);
            let from = ((at - low) * size) as usize;
            run.copy_from_slice(&scratch[from..from + run.len()]);
            rest = tail;
        }
    } else {
        let mut rest = out.as_mut_slice();
        for Run { at, len } in runs() {
            let (run, tail) = rest.split_at_mut((len * size) as usize);
            read_exact_at(file, run, walk.offset + at * size)?;
            rest = tail;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::dtype::Dtype;
    use crate::tensor::Dim;

    /// Every split of the walk into chunks gives the elements that following its loops gives.
    #[test]
    fn gathers_any_part_of_any_walk() {
        let mut file = tempfile::tempfile().unwrap();
        let elements: Vec<u16> = (0..400).collect();
        let bytes: Vec<u8> = elements.iter().flat_map(|e| e.to_le_bytes()).collect();
        file.write_all(b"odd").unwrap();
        file.write_all(&bytes).unwrap();
        let dims =
            |list: &[(u64, u64)]| list.iter().map(|&(len, stride)| Dim { len, stride }).collect::<Vec<_>>();
        let walks = [
            dims(&[(400, 1)]),
            dims(&[(2, 48), (3, 8), (2, 24), (8, 1)]),
            dims(&[(20, 1), (20, 20)]),
            dims(&[(3, 130), (10, 13), (5, 1)]),
            dims(&[]),
        ];
        for dims in walks {
            let walk =
                Walk { file: 0, offset: 3, dtype: Dtype::BF16, dims, first: 0, arithmetic: Vec::new() };
            let mut expected = vec![0u64];
            for dim in &walk.dims {
                expected =
                    expected.iter().flat_map(|o| (0..dim.len).map(move |i| o + i * dim.stride)).collect();
            }
            let expected: Vec<u8> = expected.iter().flat_map(|e| (*e as u16).to_le_bytes()).collect();
            for step in [1, 7, 48, 400] {
                let (mut got, mut out, mut scratch) = (Vec::new(), Vec::new(), Vec::new());
                let mut first = 0;
                while first < walk.elements() {
                    let count = step.min(walk.elements() - first);
                    gather(&file, &walk, first, count, &mut out, &mut scratch).unwrap();
                    got.extend_from_slice(&out);
                    first += count;
                }
                assert_eq!(got, expected, "{:?} in steps of {step}", walk.dims);
            }
        }
    }

    #[test]
    fn a_shorter_file_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        let walk = Walk {
            file: 0,
            offset: 0,
            dtype: Dtype::F32,
            dims: vec![Dim { len: 4, stride: 1 }],
            first: 0,
            arithmetic: Vec::new(),
        };
        let error = gather(&file, &walk, 0, 4, &mut Vec::new(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
