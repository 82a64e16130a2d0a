//! Plans of every kind of step, carried out by one and by many threads: the files must hold what following
//! the plan element by element gives, and nothing must be left when something goes wrong.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ggraft::Error;
use ggraft::dtype::{Dtype, GgmlType};
use ggraft::kernels;
use ggraft::plan::{Action, Output, Place, Plan, Step, Walk};
use ggraft::source::{File, ModelDir};
use ggraft::tensor::{Arithmetic, Dim, GridAxis, Scale};
use ggraft::write::{Settings, write};

/// Bytes of the source file; data starts at an odd place.
const SOURCE: usize = 9_000_001;

fn source() -> Vec<u8> {
    let mut state = 1u32;
    let random = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 17) as u8
    });
    random.take(SOURCE).collect()
}

fn walk(offset: u64, dtype: Dtype, dims: &[(u64, u64)]) -> Walk {
    let dims = dims.iter().map(|&(len, stride)| Dim { len, stride }).collect();
    Walk { file: 0, offset, dtype, dims, first: 0, arithmetic: Vec::new(), codes: None }
}

/// What `walk` amounts to, one element after the other.
fn evaluate(source: &[u8], walk: &Walk, to: Option<GgmlType>) -> Vec<u8> {
    let mut places = vec![0u64];
    for dim in &walk.dims {
        places = places.iter().flat_map(|at| (0..dim.len).map(move |i| at + i * dim.stride)).collect();
    }
    let size = walk.dtype.size() as usize;
    let element = |at: u64| &source[walk.offset as usize + at as usize * size..][..size];
    let raw: Vec<u8> = places.iter().flat_map(|at| element(*at)).copied().collect();
    let Some(to) = to else { return raw };
    let mut out = vec![0; to.bytes(places.len() as u64) as usize];
    if walk.arithmetic.is_empty() {
        kernels::convert(walk.dtype, to, &raw, &mut out);
        return out;
    }
    let mut values = vec![0.0; places.len()];
    kernels::decode(walk.dtype, &raw, &mut values);
    for step in &walk.arithmetic {
        for (value, at) in values.iter_mut().zip(&places) {
            match step {
                Arithmetic::Add(constant) => *value += constant,
                Arithmetic::Scale(scale) => {
                    let index = scale.index(walk.first + at) as usize;
                    let from = scale.source.offset as usize + 4 * index;
                    *value *= f32::from_le_bytes(source[from..from + 4].try_into().unwrap());
                }
                _ => unreachable!(),
            }
        }
    }
    kernels::encode(to, &values, &mut out);
    out
}

/// A plan in the making, with what its file must hold.
#[derive(Default)]
struct Draft {
    steps: Vec<Step>,
    expected: Vec<u8>,
}

impl Draft {
    fn add(&mut self, action: Action, bytes: &[u8]) {
        let (start, len) = (self.expected.len() as u64, bytes.len() as u64);
        self.steps.push(Step { start, len, action, reason: None });
        self.expected.extend(bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.add(Action::Bytes(bytes.to_vec().into()), bytes);
    }

    fn zeros(&mut self, len: usize) {
        self.add(Action::Zero, &vec![0; len]);
    }

    fn walk(&mut self, source: &[u8], walk: Walk, to: Option<GgmlType>) {
        let bytes = evaluate(source, &walk, to);
        let walk = Arc::new(walk);
        self.add(
            match to {
                Some(to) => Action::Encode { walk, first: 0, to },
                None if walk.is_contiguous() => Action::Copy { file: walk.file, offset: walk.offset },
                None => Action::Gather { walk, first: 0, quiet: false },
            },
            &bytes,
        );
    }
}

/// All kinds of steps, short and long.
fn draft(source: &[u8]) -> Draft {
    use GgmlType::{BF16, F16, F32, Q8_0, TQ1_0, TQ2_0};
    let mut draft = Draft::default();
    draft.bytes(b"header");
    draft.zeros(26);
    let dtypes = [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::F8E4M3, Dtype::I8];
    for (i, dtype) in dtypes.into_iter().enumerate() {
        for to in [F32, F16, BF16, Q8_0, TQ1_0, TQ2_0] {
            for elements in [256, 768 + 256 * i as u64, 132_096] {
                draft.walk(source, walk(3 + i as u64, dtype, &[(elements, 1)]), Some(to));
            }
            draft.zeros(5 + i);
        }
    }
    draft.zeros(1_000_000);
    draft.bytes(&source[..700_000]);
    draft.walk(source, walk(1, Dtype::U8, &[(6_000_000, 1)]), None);
    draft.walk(source, walk(draft.expected.len() as u64 % 512, Dtype::U8, &[(3_000_000, 1)]), None);
    // Rotary order, expert-like slices, transposes of all proportions.
    let rearranged: [&[(u64, u64)]; 7] = [
        &[(8, 64 * 512), (32, 512), (2, 32 * 512), (512, 1)],
        &[(4, 64 * 96), (32, 96), (2, 32 * 96), (96, 1)],
        &[(1024, 1), (768, 1024)],
        &[(3, 1), (131_072, 3)],
        &[(131_072, 1), (4, 131_072)],
        &[(512, 2048), (256, 2)],
        &[(6, 256), (256, 1), (256, 1536)],
    ];
    for (i, dims) in rearranged.into_iter().enumerate() {
        let mut scaled = walk(4096, Dtype::F8E4M3, dims);
        scaled.first = 4096;
        let grid = vec![
            GridAxis { len: 16384, block: 128, stride: 8 },
            GridAxis { len: 1024, block: 128, stride: 1 },
        ];
        let place = Place { file: 0, offset: 40, dtype: Dtype::F32, elements: 1024 };
        scaled.arithmetic = vec![Arithmetic::Scale(Arc::new(Scale::of(place, grid))), Arithmetic::Add(1.0)];
        for to in [BF16, Q8_0] {
            draft.walk(source, walk(7, Dtype::BF16, dims), Some(to));
            draft.walk(source, scaled.clone(), Some(to));
        }
        draft.walk(source, walk(i as u64, Dtype::F32, dims), None);
        draft.zeros(i + 1);
    }
    // More boxes than there are threads, and than a few: eight bits become two million numbers of four bytes on the way.
    let mut many = walk(4096, Dtype::F8E4M3, &[(2048, 1), (1000, 2048)]);
    many.arithmetic = vec![Arithmetic::Add(1.0)];
    draft.walk(source, many, Some(BF16));
    draft
}

fn plan(dir: &Path, draft: &Draft) -> Plan {
    let len = draft.expected.len() as u64;
    let output = |name: &str, steps| Output {
        path: dir.join(name),
        len,
        data_start: len,
        alignment: 1,
        tensors: Vec::new(),
        steps,
        like: None,
    };
    let outputs = vec![output("a", draft.steps.clone()), output("b", draft.steps.clone())];
    Plan { sources: vec![dir.join("source")], block: 4096, refusal: None, outputs }
}

fn settings(threads: usize) -> Settings {
    Settings { threads: NonZeroUsize::new(threads), sync: threads == 2, ..Settings::default() }
}

/// The model in `dir`, and the one file it has.
fn opened(dir: &Path) -> (ModelDir, [File; 1]) {
    let model = ModelDir::open(dir).unwrap();
    let source = model.file("source").unwrap();
    (model, [source])
}

fn names(dir: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

#[test]
fn files_hold_what_was_planned_whatever_the_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let source = source();
    fs::write(dir.path().join("source"), &source).unwrap();
    let draft = draft(&source);
    let plan = plan(dir.path(), &draft);
    plan.check().unwrap();
    let (model, sources) = opened(dir.path());
    for threads in [1, 2, 7] {
        let mut progress = 0;
        let finished =
            write(&plan, &model, &sources, settings(threads), &mut |bytes| progress += bytes).unwrap();
        let bytes = finished.report.bytes;
        assert_eq!(progress, bytes.total - bytes.cloned);
        for output in &plan.outputs {
            let found = fs::read(&output.path).unwrap();
            assert_eq!(found.len(), draft.expected.len());
            for step in &draft.steps {
                let range = step.start as usize..step.end() as usize;
                assert!(
                    found[range.clone()] == draft.expected[range],
                    "{threads} threads, {:?}",
                    step.action
                );
            }
            fs::remove_file(&output.path).unwrap();
        }
    }
}

#[test]
fn whatever_goes_wrong_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let source = source();
    let draft = draft(&source);
    let plan = plan(dir.path(), &draft);
    for (len, threads) in [(0, 3), (100_000, 1), (SOURCE / 2, 4)] {
        fs::write(dir.path().join("source"), &source[..len]).unwrap();
        let (model, sources) = opened(dir.path());
        let error = write(&plan, &model, &sources, settings(threads), &mut |_| ()).unwrap_err();
        assert!(
            matches!(&error, Error::Invalid(problem) if problem.file.as_ref().is_some_and(|file| file.ends_with("source"))),
            "{error}"
        );
        assert_eq!(names(dir.path()), [dir.path().join("source")]);
    }
}
