//! Element conversions, bit for bit: every F16, every BF16 and a large sample of F32 must become what the
//! reference makes of them (`golden/kernels.json`, written by `scripts/goldens/kernels.py`).

use std::collections::BTreeMap;
use std::fs;

use ggraft::convert::convert;
use ggraft::dtype::{Dtype, GgmlType};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Golden {
    f32_low_halves: Vec<String>,
    kernels: Vec<Kernel>,
}

#[derive(Deserialize)]
struct Kernel {
    from: String,
    to: String,
    sha256: String,
    /// A few inputs and outputs in hexadecimal.
    samples: BTreeMap<String, String>,
    /// The start of the SHA-256 of each 256th of the output.
    blocks: String,
}

impl Kernel {
    fn from(&self) -> Dtype {
        Dtype::from_name(&self.from).expect("a dtype")
    }

    fn to(&self) -> GgmlType {
        [GgmlType::F32, GgmlType::F16, GgmlType::BF16]
            .into_iter()
            .find(|t| t.name() == self.to)
            .expect("a type")
    }

    fn run(&self, input: &[u8]) -> Vec<u8> {
        let elements = input.len() as u64 / self.from().size();
        let mut output = vec![0xa5; self.to().bytes(elements) as usize];
        convert(self.from(), self.to(), input, &mut output);
        output
    }
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/kernels.json");
    serde_json::from_slice(&fs::read(path).expect(path)).expect("what scripts/goldens/kernels.py writes")
}

/// The inputs in the script's order: all 16-bit patterns, or all upper halves with some lower ones.
fn inputs(golden: &Golden, from: Dtype) -> Vec<u8> {
    let halves = 0..=u16::MAX;
    if from != Dtype::F32 {
        return halves.flat_map(u16::to_le_bytes).collect();
    }
    let low: Vec<u32> = golden.f32_low_halves.iter().map(|h| number(h)).collect();
    halves
        .flat_map(|upper| low.iter().flat_map(move |low| (u32::from(upper) << 16 | low).to_le_bytes()))
        .collect()
}

fn number(hexadecimal: &str) -> u32 {
    u32::from_str_radix(hexadecimal, 16).expect("a hexadecimal number")
}

fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn samples_convert_as_the_reference_does() {
    for kernel in golden().kernels {
        for (input, expected) in &kernel.samples {
            let size = kernel.from().size() as usize;
            let output = kernel.run(&number(input).to_le_bytes()[..size]);
            let found: String = output.iter().rev().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(&found, expected, "{} {input} to {}", kernel.from, kernel.to);
        }
    }
}

#[test]
fn all_inputs_convert_as_the_reference_does() {
    let golden = golden();
    assert_eq!(golden.kernels.len(), 9, "three source dtypes to three types");
    for kernel in &golden.kernels {
        let input = inputs(&golden, kernel.from());
        let output = kernel.run(&input);
        let blocks: Vec<&str> = kernel.blocks.split(' ').collect();
        let block = output.len() / blocks.len();
        for (i, (part, expected)) in output.chunks(block).zip(&blocks).enumerate() {
            let first = i * input.len() / blocks.len();
            let first = &input[first..first + kernel.from().size() as usize];
            let what = format!("{} to {}, block {i} starting with {first:02x?}", kernel.from, kernel.to);
            assert_eq!(&sha256(part)[..8], *expected, "{what}");
        }
        assert_eq!(sha256(&output), kernel.sha256, "{} to {}", kernel.from, kernel.to);
    }
}

/// Buffers of a stream begin anywhere and have any length; no element may notice.
#[test]
fn results_do_not_depend_on_where_an_element_lies() {
    let golden = golden();
    for kernel in &golden.kernels {
        let from = kernel.from().size() as usize;
        let input = inputs(&golden, kernel.from());
        let whole = kernel.run(&input);
        for elements in [7, 1021] {
            let parts: Vec<u8> = input.chunks(elements * from).flat_map(|part| kernel.run(part)).collect();
            assert!(parts == whole, "{} to {} in pieces of {elements}", kernel.from, kernel.to);
        }
        let misaligned = [&[0], &*input].concat();
        let mut output = vec![0; whole.len() + 1];
        convert(kernel.from(), kernel.to(), &misaligned[1..], &mut output[1..]);
        assert!(output[1..] == whole, "{} to {}, misaligned", kernel.from, kernel.to);
    }
}
