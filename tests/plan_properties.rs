//! Plans for checkpoints at random: what every reader and every clone relies on, and that the tensors come
//! out the same however they are arranged.
//!
//! Nothing here trusts `Plan::check`: headers are parsed and steps carried out by code of this file. On real file
//! systems (`GGRAFT_TEST_*`, see scripts/with-test-filesystems.sh) plans are carried out by `write` as well.

#[path = "common/filesystems.rs"]
mod filesystems;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use filesystems::directory;
use ggraft::checkpoint::{Checkpoint, SourceFile, SourceTensor};
use ggraft::dtype::{Dtype, GgmlType};
use ggraft::gguf::KeyValues;
use ggraft::kernels::convert;
use ggraft::plan::{Action, Alignment, Layout, Output, Plan, Request, Sharing, SplitRules, Step};
use ggraft::shape::Shape;
use ggraft::source::{File, ModelDir};
use ggraft::tensor::{OutputTensor, TensorExpr};
use ggraft::write::Settings;
use proptest::prelude::*;

/// How an output tensor comes about; sizes in elements.
#[derive(Clone, Debug)]
enum Kind {
    /// BF16 as it is.
    Kept(u64),
    /// BF16 to F32.
    Converted(u64),
    /// Rows put into llama.cpp's rotary order: heads, half of a head, row.
    Permuted(u64, u64, u64),
    /// Experts of one size, each from a place of its own.
    Stacked(u64, u64),
    /// Generated.
    Values(u64),
}

impl Kind {
    /// Elements of each tensor it takes from the checkpoint.
    fn sources(&self) -> Vec<u64> {
        match *self {
            Self::Kept(n) | Self::Converted(n) => vec![n],
            Self::Permuted(heads, half, row) => vec![heads * 2 * half * row],
            Self::Stacked(experts, n) => vec![n; experts as usize],
            Self::Values(_) => vec![],
        }
    }
}

/// A checkpoint and what to make of it.
#[derive(Clone, Debug)]
struct Model {
    /// Where data starts, by file.
    starts: Vec<u64>,
    /// Output tensors in the reference's order, with a number that places their sources.
    tensors: Vec<(Kind, u64)>,
}

/// What to ask for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    layout: Layout,
    alignment: Alignment,
    block: u64,
    min_extent: u64,
}

fn elements() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => 1u64..100,
        2 => 1u64..40_000,
        // Whole blocks, so that phases stay.
        3 => (1u64..24).prop_map(|n| n * 2048),
        // Norms of models whose width is no power of two.
        1 => prop_oneof![Just(576u64), Just(896), Just(1536)],
        // Enough for a file of its own.
        4 => (530_000u64..700_000).prop_map(|n| n / 32 * 32),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        5 => elements().prop_map(Kind::Kept),
        3 => prop_oneof![elements(), Just(576), Just(4096)].prop_map(Kind::Converted),
        2 => (1u64..4, 1u64..5, prop_oneof![Just(64u64), Just(2048), Just(4096), 1u64..300])
            .prop_map(|(heads, half, row)| Kind::Permuted(heads, half, row)),
        2 => (1u64..5, elements()).prop_map(|(experts, n)| Kind::Stacked(experts, n)),
        1 => (1u64..200).prop_map(Kind::Values),
    ]
}

fn model() -> impl Strategy<Value = Model> {
    let start = prop_oneof![
        2 => (1u64..700).prop_map(|n| 8 * n),
        2 => (1u64..200).prop_map(|n| 32 * n),
        1 => Just(4096u64),
        1 => 9u64..6000,
    ];
    (prop::collection::vec(start, 1..4), prop::collection::vec((kind(), any::<u64>()), 1..14))
        .prop_map(|(starts, tensors)| Model { starts, tensors })
}

/// Rows enough for patterns, of whole blocks and of parts of them.
fn rows() -> impl Strategy<Value = (Model, Wish)> {
    let row =
        prop_oneof![2 => Just(2048u64), 1 => Just(4096), 1 => Just(2560), 1 => Just(3584), 1 => Just(2047)];
    let permuted = (1u64..5, 1u64..12, row).prop_map(|(heads, half, row)| Kind::Permuted(heads, half, row));
    let kind = prop_oneof![3 => permuted, 1 => (1u64..5000).prop_map(Kind::Kept)];
    let start = prop_oneof![(1u64..700).prop_map(|n| 32 * n), Just(4096)];
    let tensors = prop::collection::vec((kind, any::<u64>()), 1..4);
    let model = (prop::collection::vec(start, 1..3), tensors);
    let wish = (prop_oneof![1 => Just(1024u64), 3 => Just(4096)], prop_oneof![Just(4096u64), Just(8192)]);
    (model, wish).prop_map(|((starts, tensors), (block, min_extent))| {
        let (layout, alignment) = (Layout::Single, Alignment::Strict);
        (Model { starts, tensors }, Wish { layout, alignment, block, min_extent })
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    let layout = prop_oneof![Just(Layout::Single), Just(Layout::Split)];
    let alignment = prop_oneof![Just(Alignment::Strict), Just(Alignment::Relaxed)];
    let block = prop_oneof![1 => Just(1024u64), 3 => Just(4096), 1 => Just(65536)];
    let min_extent = prop_oneof![Just(4u64 << 10), Just(64 << 10), Just(1 << 20)];
    (layout, alignment, block, min_extent).prop_map(|(layout, alignment, block, min_extent)| Wish {
        layout,
        alignment,
        block,
        min_extent,
    })
}

/// A checkpoint with its files' bytes, and the output tensors made from it.
struct Made {
    checkpoint: Checkpoint,
    files: Vec<Vec<u8>>,
    outputs: Vec<OutputTensor>,
}

/// Lays the sources out in an order that has nothing to do with that of the output.
fn make(model: &Model, dir: &Path) -> Made {
    let mut wanted: Vec<(u64, usize, usize, u64)> = Vec::new();
    for (t, (kind, place)) in model.tensors.iter().enumerate() {
        for (part, n) in kind.sources().into_iter().enumerate() {
            let place = place.rotate_left(7 * part as u32);
            wanted.push((place, t, part, n));
        }
    }
    wanted.sort_unstable();
    let mut files: Vec<Vec<u8>> = model.starts.iter().map(|start| vec![0xee; *start as usize]).collect();
    let mut indices: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut tensors = Vec::new();
    for (place, t, part, n) in wanted {
        let file = (place % model.starts.len() as u64) as usize;
        let offset = files[file].len() as u64;
        let mut state = place ^ (t as u64) << 32 ^ part as u64;
        files[file].extend((0..n).flat_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // No NaNs: with sharing, their bits are kept; without, they are made quiet.
            ((state >> 40) as u16 & 0xbfff).to_le_bytes()
        }));
        indices.insert((t, part), tensors.len());
        let name = format!("source.{t}.{part}");
        tensors.push(SourceTensor {
            name,
            dtype: Dtype::BF16,
            shape: Shape::from_slice(&[n]),
            file,
            offset,
            len: 2 * n,
        });
    }
    let outputs = model.tensors.iter().enumerate().map(|(t, (kind, _))| {
        let source = |part: usize, shape: &[u64]| TensorExpr::source(indices[&(t, part)], shape);
        let (expr, ggml_type) = match *kind {
            Kind::Kept(n) => (source(0, &[n]), GgmlType::BF16),
            Kind::Converted(n) => (source(0, &[n]), GgmlType::F32),
            Kind::Permuted(heads, half, row) => {
                let permuted = (source(0, &[heads, 2, half, row]).swap_axes(1, 2))
                    .and_then(|e| e.reshape(&[heads * half * 2, row]));
                (permuted.unwrap(), GgmlType::BF16)
            }
            Kind::Stacked(experts, n) => {
                let parts = (0..experts).map(|part| source(part as usize, &[n])).collect();
                (TensorExpr::stack(parts).unwrap(), GgmlType::BF16)
            }
            Kind::Values(n) => (TensorExpr::values((0..n).map(|i| i as f32).collect()), GgmlType::F32),
        };
        OutputTensor { name: format!("tensor.{t}"), expr, ggml_type }
    });
    let outputs = outputs.collect();
    let paths = (0..files.len()).map(|n| dir.join(format!("source-{n}")));
    let sources = paths.zip(&files).zip(&model.starts).map(|((path, bytes), start)| SourceFile {
        path,
        len: bytes.len() as u64,
        data_start: *start,
    });
    // Only its name is asked for.
    let none: [(&str, Vec<u8>); 0] = [];
    let dir = ModelDir::in_memory(dir, none);
    let checkpoint = Checkpoint { dir, files: sources.collect(), tensors, ..Default::default() };
    Made { checkpoint, files, outputs }
}

/// Every tensor's bytes, from its kind alone.
fn expected(model: &Model, made: &Made) -> BTreeMap<String, Vec<u8>> {
    let bytes_of = |t: usize, part: usize| {
        let name = format!("source.{t}.{part}");
        let source = made.checkpoint.tensors.iter().find(|s| s.name == name).unwrap();
        &made.files[source.file][source.offset as usize..(source.offset + source.len) as usize]
    };
    let tensor = |(t, (kind, _)): (usize, &(Kind, u64))| {
        let bytes = match *kind {
            Kind::Kept(_) => bytes_of(t, 0).to_vec(),
            // A BF16 is the upper half of an F32.
            Kind::Converted(_) => bytes_of(t, 0).chunks(2).flat_map(|b| [0, 0, b[0], b[1]]).collect(),
            Kind::Permuted(heads, half, row) => {
                let rows: Vec<&[u8]> = bytes_of(t, 0).chunks(2 * row as usize).collect();
                let order = (0..heads).flat_map(|h| {
                    (0..half).flat_map(move |i| (0..2).map(move |side| (h * 2 + side) * half + i))
                });
                order.flat_map(|r| rows[r as usize].to_vec()).collect()
            }
            Kind::Stacked(experts, _) => {
                (0..experts as usize).flat_map(|part| bytes_of(t, part).to_vec()).collect()
            }
            Kind::Values(n) => (0..n).flat_map(|i| (i as f32).to_le_bytes()).collect(),
        };
        (format!("tensor.{t}"), bytes)
    };
    model.tensors.iter().enumerate().map(tensor).collect()
}

fn metadata() -> KeyValues {
    let mut metadata = KeyValues::new();
    metadata.set_string("general.architecture", "test");
    metadata.set_u32("test.block_count", 1);
    metadata
}

fn plan(made: &Made, wish: Wish, sharing: &Sharing) -> Plan {
    Plan::new(&Request {
        checkpoint: &made.checkpoint,
        offsets: None,
        metadata: &metadata(),
        tensors: &made.outputs,
        path: &made.checkpoint.dir.join("out.gguf"),
        layout: wish.layout,
        alignment: wish.alignment,
        splits: SplitRules::default(),
        sharing,
        stamp: b"stamp",
    })
    .unwrap()
}

fn can_share(made: &Made, wish: Wish) -> Sharing {
    Sharing {
        block: wish.block,
        min_extent: wish.min_extent,
        refusals: vec![None; made.checkpoint.files.len()],
    }
}

/// A header, read back by the format's description.
struct Header {
    keys: BTreeMap<String, Vec<u8>>,
    /// Name, dimensions (innermost first), type, offset from the data's start.
    tensors: Vec<(String, Vec<u64>, u32, u64)>,
    len: u64,
}

fn parse(bytes: &[u8]) -> Header {
    struct Reader<'a>(&'a [u8], u64);
    impl Reader<'_> {
        fn take(&mut self, n: u64) -> Vec<u8> {
            self.1 += n;
            self.0[(self.1 - n) as usize..self.1 as usize].to_vec()
        }
        fn u32(&mut self) -> u32 {
            u32::from_le_bytes(self.take(4).try_into().unwrap())
        }
        fn u64(&mut self) -> u64 {
            u64::from_le_bytes(self.take(8).try_into().unwrap())
        }
        fn string(&mut self) -> String {
            let n = self.u64();
            String::from_utf8(self.take(n)).unwrap()
        }
    }
    let mut reader = Reader(bytes, 0);
    assert_eq!((reader.take(4), reader.u32()), (b"GGUF".to_vec(), 3));
    let (tensors, keys) = (reader.u64(), reader.u64());
    let keys = (0..keys).map(|_| {
        let key = reader.string();
        let value = match reader.u32() {
            2 => reader.take(2),
            4 | 5 => reader.take(4),
            8 => reader.string().into_bytes(),
            other => panic!("{key} has type {other}"),
        };
        (key, value)
    });
    let keys: Vec<_> = keys.collect();
    let count = keys.len();
    let keys: BTreeMap<_, _> = keys.into_iter().collect();
    assert_eq!(keys.len(), count, "no key occurs twice");
    let tensors = (0..tensors).map(|_| {
        let name = reader.string();
        let rank = reader.u32();
        let shape = (0..rank).map(|_| reader.u64()).collect();
        (name, shape, reader.u32(), reader.u64())
    });
    let tensors = tensors.collect();
    Header { keys, tensors, len: reader.1 }
}

/// Every step at every place, patterns written out.
fn flat(steps: &[Step]) -> Vec<Step> {
    let mut all = Vec::new();
    for step in steps {
        let Action::Repeat(pattern) = &step.action else {
            all.push(step.clone());
            continue;
        };
        for i in 0..pattern.count {
            for mut step in flat(&pattern.steps) {
                let shift = i * pattern.stride;
                step.start += shift;
                match &mut step.action {
                    Action::Clone { offset, .. } | Action::Copy { offset, .. } => {
                        *offset += i * pattern.source_stride;
                    }
                    Action::Gather { walk, first, .. } => *first += shift / walk.dtype.size(),
                    other => panic!("{other:?} in a pattern"),
                }
                all.push(step);
            }
        }
    }
    all
}

/// Carries out `plan` in memory; the bytes of each output file.
fn execute(plan: &Plan, files: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let output = |output: &Output| {
        let mut file: Vec<u8> = Vec::new();
        for step in &flat(&output.steps) {
            // In order and without gaps: every byte is written exactly once.
            assert_eq!(step.start, file.len() as u64);
            assert!(step.len > 0);
            let elements = |walk: &ggraft::plan::Walk, first: u64, count: u64| -> Vec<u8> {
                let size = walk.dtype.size();
                let read = |run: ggraft::plan::Run| {
                    let at = (walk.offset + run.at * size) as usize;
                    files[walk.file][at..at + (run.len * size) as usize].to_vec()
                };
                walk.runs(first, count).flat_map(read).collect()
            };
            match &step.action {
                Action::Clone { file: source, offset } | Action::Copy { file: source, offset } => {
                    file.extend(&files[*source][*offset as usize..(offset + step.len) as usize]);
                }
                Action::Gather { walk, first, .. } => {
                    file.extend(elements(walk, *first, step.len / walk.dtype.size()));
                }
                Action::Encode { walk, first, to } => {
                    let count = step.len / to.bytes(1);
                    let mut bytes = vec![0; step.len as usize];
                    convert(walk.dtype, *to, &elements(walk, *first, count), &mut bytes);
                    file.extend(bytes);
                }
                Action::Bytes(bytes) => file.extend(&bytes[..]),
                Action::Zero => file.resize(file.len() + step.len as usize, 0),
                Action::Repeat(_) => unreachable!("patterns are written out"),
            }
            assert_eq!(step.start + step.len, file.len() as u64);
        }
        assert_eq!(file.len() as u64, output.len);
        file
    };
    plan.outputs.iter().map(output).collect()
}

/// The tensors in the files of one model, after checking what llama.cpp's loader insists on.
fn load(
    files: &[Vec<u8>],
    paths: &[&Path],
    wish: Wish,
    outputs: &[OutputTensor],
) -> BTreeMap<String, Vec<u8>> {
    let mut tensors = BTreeMap::new();
    for (no, file) in files.iter().enumerate() {
        let header = parse(file);
        let key = |key: &str| header.keys.get(key).cloned();
        let model_keys = ["general.architecture", "test.block_count"];
        assert!(
            model_keys.iter().all(|k| key(k).is_some() == (no == 0)),
            "metadata is in the first file only"
        );
        if files.len() > 1 {
            assert_eq!(key("split.no"), Some((no as u16).to_le_bytes().to_vec()));
            assert_eq!(key("split.count"), Some((files.len() as u16).to_le_bytes().to_vec()));
            assert_eq!(key("split.tensors.count"), Some((outputs.len() as i32).to_le_bytes().to_vec()));
            let name = format!("out-{:05}-of-{:05}.gguf", no + 1, files.len());
            assert_eq!(paths[no].file_name().unwrap().to_str(), Some(&*name));
        } else {
            assert!(header.keys.keys().all(|k| !k.starts_with("split.")));
            assert_eq!(paths[no].file_name().unwrap(), "out.gguf");
        }
        let relaxed = wish.layout == Layout::Split && wish.alignment == Alignment::Relaxed && no > 0;
        let alignment = if relaxed { 8 } else { 32 };
        let stated = relaxed.then(|| 8u32.to_le_bytes().to_vec());
        assert_eq!(key("general.alignment"), stated, "only files 2.. of the relaxed layout have another");
        let start = header.len.next_multiple_of(alignment);
        assert!(file.len() as u64 >= start || header.tensors.is_empty());
        let mut at = 0;
        for (name, mut shape, type_id, offset) in header.tensors {
            assert_eq!(offset, at, "{name} follows the tensor before it");
            let wanted = outputs.iter().find(|o| o.name == name).expect("a tensor that was asked for");
            shape.reverse();
            assert_eq!((&*shape, type_id), (wanted.expr.shape(), wanted.ggml_type as u32));
            let len = wanted.ggml_type.bytes(shape.iter().product());
            let bytes = file[(start + at) as usize..(start + at + len) as usize].to_vec();
            assert!(tensors.insert(name, bytes).is_none(), "no tensor is there twice");
            at += len.next_multiple_of(alignment);
        }
        assert!(
            header.len == file.len() as u64 || start + at == file.len() as u64,
            "nothing else is in the file"
        );
    }
    assert_eq!(tensors.len(), outputs.len(), "all tensors are there");
    tensors
}

/// What must hold of clones; gives how many bytes they share.
fn check_clones(plan: &Plan, made: &Made, wish: Wish) -> u64 {
    let mut shared = 0;
    for step in plan.outputs.iter().flat_map(|o| flat(&o.steps)) {
        let Action::Clone { file, offset } = step.action else { continue };
        for n in [step.start, step.len, offset] {
            assert_eq!(n % wish.block, 0, "{step:?}");
        }
        assert!(step.len >= wish.min_extent, "{step:?}");
        assert!(offset + step.len <= made.files[file].len() as u64, "{step:?} reads beyond its file");
        // Only tensors that keep their values, and no header.
        let (mut at, end) = (offset, offset + step.len);
        while at < end {
            let of = made.checkpoint.tensors.iter();
            let found = of.clone().find(|t| t.file == file && t.offset <= at && at < t.offset + t.len);
            let source = found.unwrap_or_else(|| panic!("{step:?} shares something that is no tensor"));
            let t: usize = source.name.split('.').nth(1).unwrap().parse().unwrap();
            assert_eq!(made.outputs[t].ggml_type, GgmlType::BF16, "{step:?}");
            at = source.offset + source.len;
        }
        shared += step.len;
    }
    shared
}

/// First byte in the output, source file, first byte there, length.
type Extent = (u64, usize, u64, u64);

/// The clones an output should have for where its tensors are: runs one by one, joined where they go on in source and
/// output, whole blocks of them, unless that is too short.
fn clones_due(model: &Model, made: &Made, wish: Wish, output: &Output) -> Vec<Extent> {
    let mut runs: Vec<Extent> = Vec::new();
    for tensor in &output.tensors {
        let t: usize = tensor.name.split('.').nth(1).unwrap().parse().unwrap();
        let source = |part: usize| {
            let name = format!("source.{t}.{part}");
            made.checkpoint.tensors.iter().find(|s| s.name == name).unwrap()
        };
        let mut at = tensor.offset;
        let mut add = |source: &SourceTensor, from: u64, len: u64| {
            runs.push((at, source.file, source.offset + from, len));
            at += len;
        };
        match model.tensors[t].0 {
            Kind::Kept(_) => add(source(0), 0, tensor.len),
            Kind::Stacked(parts, n) => (0..parts).for_each(|part| add(source(part as usize), 0, 2 * n)),
            // Halves of one row each: nothing changes its place.
            Kind::Permuted(_, 1, _) => add(source(0), 0, tensor.len),
            Kind::Permuted(heads, half, row) if 2 * row >= wish.min_extent.max(wish.block) => {
                for (h, i) in (0..heads).flat_map(|h| (0..half).map(move |i| (h, i))) {
                    [0, 1]
                        .into_iter()
                        .for_each(|side| add(source(0), ((h * 2 + side) * half + i) * row * 2, 2 * row));
                }
            }
            Kind::Permuted(..) | Kind::Converted(_) | Kind::Values(_) => {}
        }
    }
    let mut joined: Vec<Extent> = Vec::new();
    for run in runs {
        match joined.last_mut() {
            Some((dst, file, src, len)) if (*dst + *len, *file, *src + *len) == (run.0, run.1, run.2) => {
                *len += run.3;
            }
            _ => joined.push(run),
        }
    }
    let whole_blocks = joined.into_iter().filter(|run| run.0 % wish.block == run.2 % wish.block);
    let cut = whole_blocks.filter_map(|(dst, file, src, len)| {
        let (start, end) = (dst.next_multiple_of(wish.block), (dst + len) / wish.block * wish.block);
        (end >= start + wish.min_extent).then(|| (start, file, src + (start - dst), end - start))
    });
    cut.collect()
}

fn clones(output: &Output) -> Vec<Extent> {
    let clone = |step: &Step| match step.action {
        Action::Clone { file, offset } => Some((step.start, file, offset, step.len)),
        _ => None,
    };
    flat(&output.steps).iter().filter_map(clone).collect()
}

/// What goes through an output's steps place by place sees what is written out here.
fn check_spots(output: &Output, at: u64) {
    let place = |step: &Step| (step.start, step.end());
    let all: Vec<_> = flat(&output.steps).iter().map(place).collect();
    assert_eq!(output.spots().map(|spot| (spot.start(), spot.end())).collect::<Vec<_>>(), all);
    let at = at % output.len;
    let rest: Vec<_> = all.into_iter().filter(|(_, end)| *end > at).collect();
    let found = output.spots_from(at).map(|spot| (spot.start(), spot.end()));
    assert_eq!(found.collect::<Vec<_>>(), rest, "from {at}");
}

fn paths(plan: &Plan) -> Vec<&Path> {
    plan.outputs.iter().map(|o| o.path.as_path()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn every_plan_gives_the_same_tensors(model in model(), wish in wish(), at in any::<u64>()) {
        check_plans(&model, wish, at);
    }

    #[test]
    fn rows_that_change_places_are_shared_as_if_one_by_one((model, wish) in rows(), at in any::<u64>()) {
        check_plans(&model, wish, at);
    }
}

fn check_plans(model: &Model, wish: Wish, at: u64) {
    let made = make(model, Path::new("/model"));
    let trivial = plan(&made, wish, &Sharing::none(&made.checkpoint, "not wanted"));
    check_clones(&trivial, &made, wish);
    let reference: Vec<&str> = made.outputs.iter().map(|o| o.name.as_str()).collect();
    let order = trivial.outputs.iter().flat_map(|o| &o.tensors).map(|t| t.name.as_str());
    assert_eq!(order.collect::<Vec<_>>(), reference, "without sharing the order is the reference's");
    let copied = load(&execute(&trivial, &made.files), &paths(&trivial), wish, &made.outputs);
    assert!(copied == expected(model, &made));

    let shared = plan(&made, wish, &can_share(&made, wish));
    let bytes = check_clones(&shared, &made, wish);
    let due: Vec<_> = shared.outputs.iter().map(|output| clones_due(model, &made, wish, output)).collect();
    assert_eq!(shared.outputs.iter().map(clones).collect::<Vec<_>>(), due);
    assert_eq!(shared.shared(), (bytes, due.iter().map(Vec::len).sum::<usize>() as u64));
    shared.outputs.iter().for_each(|output| check_spots(output, at));
    assert!(load(&execute(&shared, &made.files), &paths(&shared), wish, &made.outputs) == copied);
}

/// The properties above would hold of plans that share nothing.
#[test]
fn random_models_do_share() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut sharing, mut split, mut joined, mut patterns, mut nested) = (0, 0, 0, 0, 0);
    for _ in 0..100 {
        let model = model().new_tree(&mut runner).unwrap().current();
        let wish = wish().new_tree(&mut runner).unwrap().current();
        let made = make(&model, Path::new("/model"));
        let plan = plan(&made, wish, &can_share(&made, wish));
        sharing += usize::from(check_clones(&plan, &made, wish) > 0);
        split += usize::from(plan.outputs.len() > 2);
        joined += usize::from(wish.min_extent == 4096);
    }
    for _ in 0..100 {
        let (model, wish) = rows().new_tree(&mut runner).unwrap().current();
        let made = make(&model, Path::new("/model"));
        for step in plan(&made, wish, &can_share(&made, wish)).outputs.iter().flat_map(|output| &output.steps)
        {
            let Action::Repeat(pattern) = &step.action else { continue };
            patterns += 1;
            nested += usize::from(pattern.steps.iter().any(|step| matches!(step.action, Action::Repeat(_))));
        }
    }
    assert!(sharing >= 25 && split >= 2 && joined >= 10, "{sharing} share, {split} have several files");
    assert!(patterns >= 50 && nested >= 5, "{patterns} patterns, {nested} with patterns in them");
}

#[test]
fn carried_out_for_real() {
    for variable in ["GGRAFT_TEST_XFS", "GGRAFT_TEST_BTRFS"] {
        let Some(parent) = directory(variable) else { continue };
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) };
        let cloned = std::cell::Cell::new(0);
        proptest!(config, |(model in model(), wish in wish())| {
            let dir = tempfile::tempdir_in(&parent).unwrap();
            let wish = Wish { block: 4096, ..wish };
            let made = make(&model, dir.path());
            for (file, bytes) in made.checkpoint.files.iter().zip(&made.files) {
                fs::write(&file.path, bytes).unwrap();
                fs::File::open(&file.path).unwrap().sync_all().unwrap();
            }
            let expected = expected(&model, &made);
            for sharing in [can_share(&made, wish), Sharing::none(&made.checkpoint, "not wanted")] {
                let plan = plan(&made, wish, &sharing);
                let planned = check_clones(&plan, &made, wish);
                let threads = NonZeroUsize::new(1 + plan.outputs.len() % 3);
                let settings = Settings { must_share: true, threads, ..Settings::default() };
                let model = ModelDir::open(dir.path()).unwrap();
                let sources: Vec<File> = plan.sources.iter().map(|path| File::open(path).unwrap()).collect();
                let write = ggraft::write::write(&plan, &model, &sources, settings, &mut |_| ());
                let report = write.unwrap().report;
                let files: Vec<Vec<u8>> = paths(&plan).iter().map(|path| fs::read(path).unwrap()).collect();
                prop_assert!(load(&files, &paths(&plan), wish, &made.outputs) == expected);
                prop_assert_eq!(report.measured.unwrap().shared, planned, "what the extent map says");
                cloned.set(cloned.get() + planned);
                let written: Vec<PathBuf> = paths(&plan).into_iter().map(Path::to_owned).collect();
                written.iter().for_each(|path| fs::remove_file(path).unwrap());
            }
        });
        assert!(cloned.get() > 0, "nothing was shared in any case");
    }
}
