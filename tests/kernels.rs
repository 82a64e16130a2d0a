//! Element conversions, bit for bit: every element of 8 and 16 bits and a large sample of wider ones must
//! become what the reference makes of them (`golden/kernels.json`, written by `scripts/goldens/kernels.py`),
//! whatever instructions the processor has.

use std::collections::BTreeMap;
use std::fs;

use ggraft::dtype::{Dtype, GgmlType};
use ggraft::kernels::{self, Cpu};
use serde::Deserialize;
use sha2::{Digest, Sha256};

const CPUS: [fn() -> Cpu; 2] = [|| Cpu::PORTABLE, Cpu::best];

#[derive(Deserialize)]
struct Golden {
    low_32: Vec<String>,
    low_64: Vec<String>,
    kernels: Vec<Kernel>,
}

#[derive(Deserialize)]
struct Kernel {
    from: String,
    to: String,
    /// Which elements go in.
    input: String,
    sha256: String,
    /// A few inputs and outputs in hexadecimal.
    samples: BTreeMap<String, String>,
    /// The start of the SHA-256 of each part of the output; all parts have the same length.
    blocks: String,
}

impl Kernel {
    fn from(&self) -> Dtype {
        Dtype::from_name(&self.from).expect("a dtype")
    }

    fn to(&self) -> GgmlType {
        use GgmlType::{BF16, F16, F32, Q8_0, TQ1_0, TQ2_0};
        [F32, F16, BF16, Q8_0, TQ1_0, TQ2_0].into_iter().find(|t| t.name() == self.to).expect("a type")
    }

    fn run(&self, cpu: Cpu, input: &[u8]) -> Vec<u8> {
        let elements = input.len() as u64 / self.from().size();
        let mut output = vec![0xa5; self.to().bytes(elements) as usize];
        cpu.convert(self.from(), self.to(), input, &mut output);
        output
    }
}

impl Golden {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/kernels.json");
        serde_json::from_slice(&fs::read(path).expect(path)).expect("what scripts/goldens/kernels.py writes")
    }

    /// What the script puts in.
    fn input(&self, kernel: &Kernel) -> Vec<u8> {
        let size = kernel.from().size() as usize;
        let mut elements = match kernel.input.as_str() {
            "blocks" => blocks(),
            _ => self.patterns(size),
        };
        if kernel.input == "reversed" {
            elements.reverse();
        }
        elements.iter().flat_map(|e| e.to_le_bytes().into_iter().take(size)).collect()
    }

    /// All patterns of elements of `size` bytes, or all upper 16 bits with some lower ones.
    fn patterns(&self, size: usize) -> Vec<u64> {
        let low = match size {
            1 => return (0..1 << 8).collect(),
            2 => return (0..1 << 16).collect(),
            4 => &self.low_32,
            _ => &self.low_64,
        };
        let low: Vec<u64> = low.iter().map(|h| number(h)).collect();
        (0..1 << 16).flat_map(|upper| low.iter().map(move |low| upper << (8 * size - 16) | low)).collect()
    }
}

/// F32 in blocks that put quantization to the test; the script says how.
fn blocks() -> Vec<u64> {
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut bits: Vec<u32> = Vec::new();
    for exponent in 0..256u32 {
        for _ in 0..256 {
            let lower = exponent.saturating_sub(random() % 8);
            let mantissa = match random() % (1 << 23) {
                m if lower == 255 => u32::from(m % 4 == 0) << 22,
                m => m,
            };
            bits.push((random() % 2) << 31 | lower << 23 | mantissa);
        }
    }
    for exponent in (1..225).step_by(7) {
        let unit = f32::from_bits(exponent << 23);
        let value = |i| if i % 32 == 0 { 127.0 } else { (i * 37 % 509 - 254) as f32 / 2.0 };
        bits.extend((0..256i32).map(|i| (value(i) * unit).to_bits()));
    }
    for exponent in (30..254u32).step_by(7) {
        let half = (exponent - 1) << 23;
        let values = [exponent << 23, half, half - 1, half + 1, 0];
        bits.extend((0..256).map(|i| (i as u32 / 5 % 2) << 31 | values[i % 5]));
    }
    bits.into_iter().map(u64::from).collect()
}

fn number(hexadecimal: &str) -> u64 {
    u64::from_str_radix(hexadecimal, 16).expect("a hexadecimal number")
}

fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn samples_convert_as_the_reference_does() {
    for kernel in Golden::read().kernels {
        for (input, expected) in &kernel.samples {
            let size = kernel.from().size() as usize;
            for cpu in CPUS {
                let output = kernel.run(cpu(), &number(input).to_le_bytes()[..size]);
                let found: String = output.iter().rev().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(&found, expected, "{} {input} to {}, {:?}", kernel.from, kernel.to, cpu());
            }
        }
    }
}

#[test]
fn all_inputs_convert_as_the_reference_does() {
    let golden = Golden::read();
    assert_eq!(golden.kernels.len(), 12 * 6 + 3, "12 dtypes to 6 types, and blocks of F32 to 3");
    for kernel in &golden.kernels {
        let input = golden.input(kernel);
        for cpu in CPUS.map(|cpu| cpu()) {
            let output = kernel.run(cpu, &input);
            let parts: Vec<&str> = kernel.blocks.split(' ').collect();
            let len = output.len() / parts.len();
            for (i, (part, expected)) in output.chunks(len).zip(&parts).enumerate() {
                let first = i * input.len() / parts.len();
                let first = &input[first..first + kernel.from().size() as usize];
                let (from, to, order) = (&kernel.from, &kernel.to, &kernel.input);
                let what = format!("{from} to {to}, {order}, part {i} starting with {first:02x?}, {cpu:?}");
                assert_eq!(&sha256(part)[..8], *expected, "{what}");
            }
            assert_eq!(sha256(&output), kernel.sha256, "{} to {}, {cpu:?}", kernel.from, kernel.to);
            if (kernel.from(), kernel.to()) == (Dtype::BF16, GgmlType::BF16) {
                let mut in_place = input.clone();
                cpu.quiet_bf16(&mut in_place);
                assert_eq!(sha256(&in_place), kernel.sha256, "in place, {cpu:?}");
            }
        }
    }
}

/// Buffers of a stream begin anywhere and have any length; no element may notice.
#[test]
fn results_do_not_depend_on_where_an_element_lies() {
    let golden = Golden::read();
    for kernel in &golden.kernels {
        let (from, block) = (kernel.from().size() as usize, kernel.to().block_size() as usize);
        let mut input = golden.input(kernel);
        input.truncate(100_000 * 8 / 2048 * 2048);
        let whole = kernel.run(Cpu::best(), &input);
        for elements in [7 * block, 1021 * block] {
            let parts = input.chunks(elements * from).flat_map(|part| kernel.run(Cpu::best(), part));
            assert!(
                parts.eq(whole.iter().copied()),
                "{} to {} in pieces of {elements}",
                kernel.from,
                kernel.to
            );
        }
        let misaligned = [&[0], &*input].concat();
        let mut output = vec![0; whole.len() + 1];
        kernels::convert(kernel.from(), kernel.to(), &misaligned[1..], &mut output[1..]);
        assert!(output[1..] == whole, "{} to {}, misaligned", kernel.from, kernel.to);
    }
}

/// What lies between the two halves of a conversion is F32.
#[test]
fn decoding_and_encoding_are_converting() {
    let golden = Golden::read();
    for kernel in &golden.kernels {
        let mut input = golden.input(kernel);
        input.truncate(1 << 16);
        let mut between = vec![0.0; input.len() / kernel.from().size() as usize];
        kernels::decode(kernel.from(), &input, &mut between);
        let mut output = vec![0; kernel.to().bytes(between.len() as u64) as usize];
        kernels::encode(kernel.to(), &between, &mut output);
        assert!(output == kernel.run(Cpu::best(), &input), "{} to {}", kernel.from, kernel.to);
    }
}

#[test]
fn infinities_are_found_wherever_they_are() {
    let finite: Vec<u8> =
        (0..=u16::MAX).filter(|half| half & 0x7fff != 0x7c00).flat_map(u16::to_le_bytes).collect();
    for cpu in CPUS {
        assert!(!cpu().has_infinite_f16(&finite), "{:?}", cpu());
        for (at, infinity) in [(0, 0x7c00u16), (70, 0xfc00), (finite.len() - 2, 0x7c00)] {
            let mut halves = finite.clone();
            halves[at..at + 2].copy_from_slice(&infinity.to_le_bytes());
            assert!(cpu().has_infinite_f16(&halves), "{:?} at {at}", cpu());
            assert!(cpu().has_infinite_f16(&halves[at..at + 2]), "{:?} alone", cpu());
        }
    }
}

/// The shortcut gives what its three steps give, which the goldens cover.
#[test]
fn scaling_f8_is_decoding_multiplying_and_encoding() {
    let bytes: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    let numbers: Vec<u8> = bytes.iter().copied().filter(|byte| byte & 0x7f != 0x7f).collect();
    let factors = [1.0, -0.0123, 3e38, -3e38, 1e-38, 1e-45, 0.0, f32::INFINITY, 1.0 / 3.0, 2f32.powi(120)];
    for (bytes, factor) in factors.into_iter().flat_map(|factor| [(&bytes, factor), (&numbers, factor)]) {
        let mut values = vec![0.0; bytes.len()];
        kernels::decode(Dtype::F8E4M3, bytes, &mut values);
        values.iter_mut().for_each(|x| *x *= factor);
        let mut expected = vec![0; 2 * bytes.len()];
        kernels::encode(GgmlType::BF16, &values, &mut expected);
        for cpu in CPUS {
            for len in [bytes.len(), 77] {
                let mut output = vec![0; 2 * len];
                cpu().scale_f8_e4m3(&bytes[..len], factor, &mut output);
                assert!(output == expected[..2 * len], "{factor}, {len} elements, {:?}", cpu());
            }
        }
    }
}

/// The largest F32 below one half is nearer to zero; adding a half to it gives one.
#[test]
fn what_is_just_below_a_tie_is_rounded_down() {
    let below = |tie: f32| f32::from_bits(tie.to_bits() - 1);
    let mut block = [0f32; 32];
    // The largest of a block decides its scale: here that is 1.
    block[0] = 127.0;
    let cases = [(below(0.5), 0i8), (0.5, 1), (below(1.5), 1), (2.5, 3), (below(126.5), 126)];
    for (i, (value, _)) in cases.iter().enumerate() {
        (block[1 + 2 * i], block[2 + 2 * i]) = (*value, -*value);
    }
    let src: Vec<u8> = block.iter().flat_map(|x| x.to_le_bytes()).collect();
    for cpu in CPUS {
        let mut out = [0; 34];
        cpu().convert(Dtype::F32, GgmlType::Q8_0, &src, &mut out);
        assert_eq!(out[..3], [0x00, 0x3c, 127], "{:?}", cpu());
        for (i, (value, expected)) in cases.iter().enumerate() {
            let found = [out[3 + 2 * i], out[4 + 2 * i]].map(|byte| byte as i8);
            assert_eq!(found, [*expected, -*expected], "{value} and {}, {:?}", -*value, cpu());
        }
    }
}
