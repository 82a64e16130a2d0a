//! Any range of a plan's output is what `write` puts there.
//!
//! What `write` puts there is compared with the reference by `golden.rs` and `conformance.rs`.

#[path = "common/model_dir.rs"]
mod model_dir;
#[path = "common/weights.rs"]
mod weights;

use std::fs;
use std::path::{Path, PathBuf};

use ggraft::arch::OutType;
use ggraft::conversion::{Conversion, Options, Reflink};
use ggraft::evaluate::Buffers;
use model_dir::ModelDir;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    model: ModelDir,
}

const TYPES: [OutType; 7] =
    [OutType::F32, OutType::F16, OutType::Bf16, OutType::Q8_0, OutType::Tq1_0, OutType::Tq2_0, OutType::Auto];

/// Pseudo-random numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn cases() -> Vec<Case> {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut paths: Vec<_> =
        fs::read_dir(tests.join("conformance")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        cases.extend(serde_json::from_slice::<Cases>(&fs::read(path).unwrap()).unwrap().cases);
    }
    let fp8: Vec<Case> = serde_json::from_slice(&fs::read(tests.join("golden/cases.json")).unwrap()).unwrap();
    cases.extend(fp8.into_iter().filter(|case| case.id.contains("fp8") || case.id.contains("mxfp4")));
    cases
}

#[test]
fn ranges_are_those_of_the_file_that_is_written() {
    let tokenizers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers");
    let (mut numbers, mut files) = (Numbers(0x9e37_79b9_7f4a_7c15), 0);
    for (n, case) in cases().into_iter().enumerate() {
        let work = tempfile::tempdir().unwrap();
        case.model.write(work.path(), &tokenizers).unwrap();
        let out = tempfile::tempdir().unwrap();
        let mut options = Options::new(work.path().join(&case.model.dir), out.path().join("m.gguf"));
        options.describe.arch.out = TYPES[n % TYPES.len()];
        options.describe.arch.fuse_qkv = n % 3 == 0;
        options.describe.allow_incomplete = true;
        options.splits.max_tensors = if n % 5 == 0 { 4 } else { 0 };
        options.reflink = if n % 2 == 0 { Reflink::Never } else { Reflink::Auto };
        options.fsync = false;
        // Cases that need flags of their own, and types that rows do not fit, are refused.
        let Ok(conversion) = Conversion::prepare(&options) else { continue };
        conversion.run(&mut |_| {}).unwrap();
        let (evaluator, mut buffers) = (conversion.evaluator(), Buffers::default());
        for (o, output) in conversion.plan.outputs.iter().enumerate() {
            let expected = fs::read(&output.path).unwrap();
            files += 1;
            let mut check = |start: u64, len: u64| {
                let mut got = vec![0xa5; len as usize];
                let read = evaluator.read_at(o, start, &mut got, &mut buffers).unwrap();
                let wanted = &expected[(start as usize).min(expected.len())..];
                let wanted = &wanted[..wanted.len().min(len as usize)];
                assert!(got[..read] == *wanted, "{}: {len} bytes from {start} of output {o}", case.id);
                assert!(got[read..].iter().all(|byte| *byte == 0xa5), "{}: written behind the end", case.id);
            };
            check(0, output.len + 7);
            check(output.len + 1, 5);
            for spot in output.spots() {
                let at = spot.start() + numbers.below(spot.step.len);
                check(at, 1);
                check(at, 1 + numbers.below(200));
                check(spot.start().saturating_sub(numbers.below(40)), 1 + numbers.below(90));
            }
            for _ in 0..20 {
                let start = numbers.below(output.len);
                check(start, numbers.below(output.len - start + 10));
            }
        }
    }
    assert!(files > 150, "only {files} files were looked at");
}
