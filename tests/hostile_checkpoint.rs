//! Checkpoints that lie: each must be refused with the right exit code and a message that names the
//! problem, without panic, hang or large allocation.

mod handmade;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use ggraft::checkpoint::Checkpoint;
use ggraft::source::ModelDir;
use handmade::{index, put, safetensors};
use proptest::prelude::*;

const UNSUPPORTED: u8 = 3;
const INVALID: u8 = 4;
const INDEX: &str = "model.safetensors.index.json";

/// What is wrong, how to build it, the exit code, what the message must contain.
type Case = (&'static str, fn(&Path), u8, &'static str);

/// One file with this header and data.
fn model(dir: &Path, header: &str, data_len: usize) {
    put(dir, "model.safetensors", safetensors(header, data_len));
}

/// One file whose only tensor "t" is described by this JSON, with 8 bytes of data.
fn tensor(dir: &Path, description: &str) {
    model(dir, &format!(r#"{{"t":{description}}}"#), 8);
}

/// One file with a right tensor "t" of 8 bytes and this `__metadata__`.
fn metadata(dir: &Path, json: &str) {
    model(
        dir,
        &format!(r#"{{"__metadata__":{json},"t":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#),
        8,
    );
}

/// Two u8 tensors "a" and "b" of four bytes each at these places of 8 bytes of data.
fn two(dir: &Path, a: &str, b: &str) {
    let t = |name, range| format!(r#""{name}":{{"dtype":"U8","shape":[4],"data_offsets":[{range}]}}"#);
    model(dir, &format!("{{{},{}}}", t("a", a), t("b", b)), 8);
}

/// A right file with one one-byte tensor.
fn shard(dir: &Path, file: &str, tensor: &str) {
    let header = format!(r#"{{"{tensor}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
    put(dir, file, safetensors(header, 1));
}

#[rustfmt::skip]
const HEADERS: &[Case] = &[
    ("empty file", |d| put(d, "model.safetensors", ""), INVALID, "only 0 bytes"),
    ("seven bytes", |d| put(d, "model.safetensors", [0; 7]), INVALID, "only 7 bytes"),
    ("header length 0", |d| model(d, "", 0), INVALID, "EOF"),
    ("header cut off", |d| put(d, "model.safetensors", [9, 0, 0, 0, 0, 0, 0, 0, b'{', b'}']), INVALID,
        "header ends at byte 17, but the file has 10 bytes"),
    ("header length 2^64-1", |d| put(d, "model.safetensors", [255; 64]), INVALID, "expected at most 100000000"),
    ("header length just above the cap in a sparse file", |d| {
        put(d, "model.safetensors", 100_000_001u64.to_le_bytes());
        File::options().write(true).open(d.join("model.safetensors")).unwrap().set_len(1 << 40).unwrap();
    }, INVALID, "100000001 bytes, expected at most"),
    ("header of zero bytes in a sparse file", |d| {
        put(d, "model.safetensors", 99_999_999u64.to_le_bytes());
        File::options().write(true).open(d.join("model.safetensors")).unwrap().set_len(1 << 40).unwrap();
    }, INVALID, "line 1 column 1"),
    ("Git LFS pointer", |d| put(d, "model.safetensors",
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n"), INVALID, "git lfs pull"),
    ("not UTF-8", |d| put(d, "model.safetensors", safetensors(b"{\"\xff\":1}", 0)), INVALID, "not UTF-8 at byte 10"),
    ("not JSON", |d| model(d, "hello", 0), INVALID, "not a valid safetensors header"),
    ("JSON cut off", |d| model(d, r#"{"t":{"dtype":"F32","#, 0), INVALID, "EOF"),
    ("text after the JSON", |d| model(d, "{} {}", 0), INVALID, "trailing characters"),
    ("header is an array", |d| model(d, "[]", 0), INVALID, "expected an object"),
    ("header is a string", |d| model(d, "\"x\"", 0), INVALID, "expected an object"),
    ("deep nesting", |d| model(d, &format!(r#"{{"t":{}"#, "[".repeat(1_000_000)), 0), INVALID, "tensor \"t\""),
    ("deep nesting where fields are ignored", |d| tensor(d, &format!(r#"{{"x":{}"#, "[".repeat(1_000_000))),
        INVALID, "tensor \"t\""),
    ("lone surrogate in a name", |d| model(d, r#"{"\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, 0),
        INVALID, "header"),
    ("deep nesting that ends where fields are ignored", |d| tensor(d, &format!(
        r#"{{"x":{}{},"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#, "[".repeat(126), "]".repeat(126))),
        INVALID, "recursion limit"),
    ("control character in a name", |d| model(d, "{\"\t\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}", 8),
        INVALID, "control character"),
    ("control character behind an escape", |d| metadata(d, "{\"a\":\"\\\\\\\"\u{1f}\"}"), INVALID, "control character"),
    ("half a surrogate pair where fields are ignored", |d| tensor(d,
        r#"{"x":"\ud800","dtype":"U8","shape":[8],"data_offsets":[0,8]}"#), INVALID, "hex escape"),
    ("name twice", |d| model(d, r#"{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
        "t":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#, 8), INVALID, "tensor \"t\" appears twice"),
    ("name twice in the same place", |d| model(d, r#"{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
        "t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 4), INVALID, "tensor \"t\" appears twice"),
    ("name twice, once escaped", |d| model(d, r#"{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
        "\u0074":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#, 8), INVALID, "tensor \"t\" appears twice"),
    ("empty name", |d| model(d, r#"{"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, 0), INVALID, "empty name"),
    ("NUL in a name", |d| model(d, r#"{"a\u0000b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, 0),
        INVALID, "NUL in its name"),
    ("huge name", |d| model(d, &format!(r#"{{"{}":1}}"#, "n".repeat(70_000)), 0), INVALID, "70000 bytes"),
    ("terminal escape in a name", |d| model(d, r#"{"\u001b[31mred":{"dtype":"NO"}}"#, 0), INVALID, r"\u{1b}[31mred"),
    ("metadata with a number", |d| metadata(d, r#"{"format":1}"#), INVALID, "__metadata__: invalid type: integer"),
    ("metadata is an array", |d| metadata(d, "[]"), INVALID, "__metadata__: invalid type: sequence"),
    ("metadata key twice", |d| metadata(d, r#"{"a":"1","a":"2"}"#), INVALID, "key \"a\" appears twice"),
    ("metadata twice", |d| metadata(d, r#"{},"__metadata__":{}"#), INVALID, "__metadata__ appears twice"),
];

#[rustfmt::skip]
const TENSORS: &[Case] = &[
    ("tensor is a number", |d| tensor(d, "7"), INVALID, "tensor \"t\": invalid type: integer `7`"),
    ("tensor is an array", |d| tensor(d, r#"["F32",[2],[0,8]]"#), INVALID, "tensor \"t\": invalid type: sequence"),
    ("no dtype", |d| tensor(d, r#"{"shape":[2],"data_offsets":[0,8]}"#), INVALID, "missing field `dtype`"),
    ("no shape", |d| tensor(d, r#"{"dtype":"F32","data_offsets":[0,8]}"#), INVALID, "missing field `shape`"),
    ("no range", |d| tensor(d, r#"{"dtype":"F32","shape":[2]}"#), INVALID, "missing field `data_offsets`"),
    ("dtype twice", |d| tensor(d, r#"{"dtype":"F32","dtype":"U8","shape":[2],"data_offsets":[0,8]}"#), INVALID,
        "duplicate field `dtype`"),
    ("unknown dtype", |d| tensor(d, r#"{"dtype":"F33","shape":[2],"data_offsets":[0,8]}"#), INVALID,
        "tensor \"t\": unknown dtype \"F33\""),
    ("dtype in the wrong case", |d| tensor(d, r#"{"dtype":"f32","shape":[2],"data_offsets":[0,8]}"#), INVALID,
        "unknown dtype \"f32\""),
    ("dtype is a number", |d| tensor(d, r#"{"dtype":32,"shape":[2],"data_offsets":[0,8]}"#), INVALID, "integer `32`"),
    ("half a byte", |d| tensor(d, r#"{"dtype":"F4","shape":[15],"data_offsets":[0,8]}"#), INVALID, "no whole number"),
    ("too few bytes of F6", |d| tensor(d, r#"{"dtype":"F6_E2M3","shape":[8],"data_offsets":[0,5]}"#), INVALID,
        "needs 6 bytes"),
    ("too many bytes of F8_E8M0", |d| tensor(d, r#"{"dtype":"F8_E8M0","shape":[7],"data_offsets":[0,8]}"#), INVALID,
        "needs 7 bytes"),
    ("negative dimension", |d| tensor(d, r#"{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}"#), INVALID,
        "integer `-2`"),
    ("fractional dimension", |d| tensor(d, r#"{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}"#), INVALID,
        "floating point"),
    ("dimension of 2^64", |d| tensor(d, r#"{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]}"#),
        INVALID, "tensor \"t\": invalid"),
    ("dimensions overflow", |d| tensor(d, r#"{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,8]}"#),
        INVALID, "more bytes than a file can hold"),
    ("bytes overflow to the right length",
        |d| tensor(d, r#"{"dtype":"F64","shape":[2305843009213693953],"data_offsets":[0,8]}"#),
        INVALID, "more bytes than a file can hold"),
    ("a million dimensions", |d| tensor(d, &format!(r#"{{"dtype":"U8","shape":[{}1],"data_offsets":[0,1]}}"#,
        "1,".repeat(1_000_000))), INVALID, "more than 64 dimensions"),
    ("shape is a string", |d| tensor(d, r#"{"dtype":"U8","shape":"8","data_offsets":[0,8]}"#), INVALID,
        "expected an array of non-negative integers"),
    ("three offsets", |d| tensor(d, r#"{"dtype":"U8","shape":[8],"data_offsets":[0,4,8]}"#), INVALID,
        "holds 3 numbers, expected 2"),
    ("negative offset", |d| tensor(d, r#"{"dtype":"U8","shape":[8],"data_offsets":[-8,0]}"#), INVALID, "integer `-8`"),
    ("range ends before it begins", |d| tensor(d, r#"{"dtype":"U8","shape":[8],"data_offsets":[8,0]}"#), INVALID,
        "8..0 ends before it begins"),
    ("range too short for the shape", |d| tensor(d, r#"{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#), INVALID,
        "needs 12 bytes, but its range 0..8 has 8"),
    ("range too long for the shape", |d| tensor(d, r#"{"dtype":"F32","shape":[1],"data_offsets":[0,8]}"#), INVALID,
        "needs 4 bytes, but its range 0..8 has 8"),
    ("range behind the end of the file", |d| tensor(d, r#"{"dtype":"U8","shape":[9],"data_offsets":[0,9]}"#), INVALID,
        "ends behind the data, which has 8 bytes"),
    ("range at the end of the number line",
        |d| tensor(d, r#"{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551614,18446744073709551615]}"#),
        INVALID, "ends behind the data"),
    ("ranges overlap", |d| two(d, "0,4", "2,6"), INVALID, "tensor \"b\": data range 2..6 overlaps"),
    ("ranges are the same", |d| two(d, "0,4", "0,4"), INVALID, "data range 0..4 overlaps"),
    ("hole between ranges", |d| model(d, r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
        "b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#, 8), INVALID, "tensor \"b\": data range 4..8 leaves a hole"),
    ("hole before the first", |d| model(d, r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#, 8),
        INVALID, "leaves a hole"),
    ("empty tensor inside another", |d| model(d, r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},
        "z":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}}"#, 8), INVALID, "tensor \"z\": data range 4..4 overlaps"),
    ("bytes after the last tensor", |d| tensor(d, r#"{"dtype":"U8","shape":[7],"data_offsets":[0,7]}"#), INVALID,
        "1 bytes follow the last tensor"),
    ("data without tensors", |d| model(d, "{}", 8), INVALID, "8 bytes follow"),
];

#[rustfmt::skip]
const DIRECTORIES: &[Case] = &[
    ("empty directory", |_| (), INVALID, "expected model.safetensors"),
    ("only files of other names", |d| shard(d, "adapter_model.safetensors", "t"), INVALID, "expected model.safetensors"),
    ("Mistral's format", |d| shard(d, "consolidated.safetensors", "t"), UNSUPPORTED, "Mistral"),
    ("Mistral's format, sharded", |d| shard(d, "consolidated-00001-of-00002.safetensors", "t"), UNSUPPORTED, "Mistral"),
    ("PyTorch pickles", |d| put(d, "pytorch_model-00001-of-00002.bin", "PK"), UNSUPPORTED, "not a zip file"),
    ("a directory for a file", |d| fs::create_dir(d.join("model.safetensors")).unwrap(), INVALID, "found a directory"),
    ("a FIFO for a file", |d| {
        assert!(Command::new("mkfifo").arg(d.join("model.safetensors")).status().unwrap().success());
    }, INVALID, "found a FIFO"),
    ("a FIFO for an index", |d| {
        assert!(Command::new("mkfifo").arg(d.join(INDEX)).status().unwrap().success());
    }, INVALID, "found a FIFO"),
    ("a device", |d| symlink("/dev/zero", d.join("model.safetensors")).unwrap(), INVALID, "found a device"),
    ("symlink to itself", |d| symlink("model.safetensors", d.join("model.safetensors")).unwrap(), INVALID,
        "cannot be followed"),
    ("symlink to nothing", |d| symlink("../../blobs/0f", d.join("model.safetensors")).unwrap(), INVALID,
        "a symlink to \"../../blobs/0f\" that cannot be followed"),
    ("tensor in two files", |d| {
        shard(d, "model-00001-of-00002.safetensors", "t");
        shard(d, "model-00002-of-00002.safetensors", "t");
    }, INVALID, "model-00002-of-00002.safetensors"),
    ("stale shard beside shards", |d| {
        shard(d, "model-00001-of-00001.safetensors", "t");
        shard(d, "model-00001-of-00002.safetensors", "t");
    }, INVALID, "model-00001-of-00001.safetensors and again in"),
];

#[rustfmt::skip]
const INDEXES: &[Case] = &[
    ("not JSON", |d| put(d, INDEX, "weights"), INVALID, "not a valid index"),
    ("empty", |d| put(d, INDEX, ""), INVALID, "not valid JSON"),
    ("an array", |d| put(d, INDEX, "[]"), INVALID, "expected an object, found a list"),
    ("not UTF-8", |d| put(d, INDEX, b"{\"weight_map\":{\"\xff\":\"m\"}}"), INVALID, "expected UTF-8 text"),
    ("without a weight_map", |d| put(d, INDEX, "{}"), INVALID, "expected an object weight_map, found none"),
    ("weight_map is null", |d| put(d, INDEX, r#"{"weight_map":null}"#), INVALID, "weight_map: expected an object, found null"),
    ("weight_map is a list", |d| put(d, INDEX, r#"{"weight_map":["t"]}"#), INVALID, "weight_map: expected an object, found a list"),
    ("weight_map is empty", |d| put(d, INDEX, r#"{"weight_map":{}}"#), INVALID, "weight_map is empty"),
    ("weight_map twice, the last empty", |d| put(d, INDEX, r#"{"weight_map":{"t":"a"},"weight_map":{}}"#), INVALID,
        "weight_map is empty"),
    ("byte order mark", |d| put(d, INDEX, "\u{feff}{}"), INVALID, "byte order mark"),
    ("half a surrogate pair in a name", |d| put(d, INDEX, r#"{"weight_map":{"t":"\ud800"}}"#), INVALID, "surrogate"),
    ("file is a number", |d| put(d, INDEX, r#"{"weight_map":{"t":1}}"#), INVALID, "weight_map: expected a string, found 1"),
    ("deep nesting", |d| put(d, INDEX, "{\"a\":".repeat(1_000_000)), INVALID, "not a valid index"),
    ("larger than the cap", |d| {
        File::create(d.join(INDEX)).unwrap().set_len(1 << 40).unwrap();
    }, INVALID, "at most 100000000 bytes"),
    ("a directory", |d| fs::create_dir(d.join(INDEX)).unwrap(), INVALID, "found a directory"),
    ("leads up", |d| {
        shard(d, "inner/x", "t");
        put(d, INDEX, index(&[("t", "../model.safetensors")]));
    }, INVALID, "\"../model.safetensors\" leads out of the model directory"),
    ("leads down and up", |d| put(d, INDEX, index(&[("t", "a/../../m.safetensors")])), INVALID, "leads out"),
    ("absolute", |d| put(d, INDEX, index(&[("t", "/etc/passwd")])), INVALID, "\"/etc/passwd\" leads out"),
    ("empty file name", |d| put(d, INDEX, index(&[("t", "")])), INVALID, "is empty"),
    ("file name with NUL", |d| put(d, INDEX, r#"{"weight_map":{"t":"a\u0000b"}}"#), INVALID, "control characters"),
    ("the directory itself", |d| put(d, INDEX, index(&[("t", ".")])), INVALID, "found a directory"),
    ("overlong file name", |d| put(d, INDEX, index(&[("t", &"m".repeat(5000))])), INVALID, "1 of 1 files"),
    ("file below a file", |d| {
        shard(d, "a", "t");
        put(d, INDEX, index(&[("t", "a/b")]));
    }, INVALID, "1 of 1 files it names are missing: \"a/b\""),
    ("files are missing", |d| {
        shard(d, "m1", "a");
        put(d, INDEX, index(&[("a", "m1"), ("b", "m2"), ("c", "m3"), ("d", "m4"), ("e", "m5"), ("f", "m6")]));
    }, INVALID, "5 of 6 files it names are missing: \"m2\", \"m3\", \"m4\" and 2 more"),
    ("tensors are missing", |d| {
        shard(d, "m1", "a");
        put(d, INDEX, index(&[("a", "m1"), ("b", "m1")]));
    }, INVALID, "1 tensors it names are missing: \"b\"; expected them in \"m1\""),
    ("tensors are too many", |d| {
        put(d, "m1", safetensors(r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
            "x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2));
        put(d, INDEX, index(&[("a", "m1")]));
    }, INVALID, "hold 1 tensors it does not name: \"x\""),
    ("two spellings of one file", |d| {
        shard(d, "m1", "a");
        put(d, INDEX, index(&[("a", "m1"), ("b", "./m1")]));
    }, INVALID, "tensor \"a\" is in"),
];

/// Opens in a thread of its own, so that a hang is a failure of the case that hangs.
fn check(cases: &[Case]) {
    for (what, build, exit_code, says) in cases {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path());
        let (send, receive) = mpsc::channel();
        let path = dir.path().to_owned();
        std::thread::spawn(move || _ = send.send(Checkpoint::open(&handmade::model_at(&path))));
        let result = receive.recv_timeout(Duration::from_secs(60));
        let error = match result.unwrap_or_else(|e| panic!("{what}: panic or hang: {e}")) {
            Ok(_) => panic!("{what}: was accepted"),
            Err(error) => error,
        };
        let message = [error.to_string(), error.hints().join("; ")].join("; ");
        assert!(message.contains(says), "{what}: expected {says:?} in {message:?}");
        assert_eq!(error.exit_code(), *exit_code, "{what}: {message}");
        assert!(message.contains(dir.path().to_str().unwrap()), "{what}: no path in {message:?}");
        assert!(message.len() < 2000, "{what}: message of {} bytes", message.len());
        assert!(!message.contains(char::is_control), "{what}: control characters in {message:?}");
    }
}

#[test]
fn lying_headers_are_refused() {
    check(HEADERS);
}

#[test]
fn lying_tensors_are_refused() {
    check(TENSORS);
}

#[test]
fn directories_that_hold_no_checkpoint_are_refused() {
    check(DIRECTORIES);
}

#[test]
fn lying_indexes_are_refused() {
    check(INDEXES);
}

#[test]
fn a_directory_that_does_not_exist_is_an_error_of_usage() {
    let error = ModelDir::open(Path::new("/nonexistent/model")).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("/nonexistent/model"));
}

fn valid() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
        "b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"z":{"dtype":"U8","shape":[0],"data_offsets":[32,32]},
        "s":{"dtype":"I64","shape":[],"data_offsets":[32,40]}}  "#;
    safetensors(header, 40)
}

/// Whatever is accepted must lie in the file: the ranges, sorted, tile the data.
fn assert_tiles(checkpoint: &Checkpoint) {
    let file = &checkpoint.files[0];
    let mut ranges: Vec<_> = checkpoint.tensors.iter().map(|t| (t.offset, t.offset + t.len)).collect();
    ranges.sort_unstable();
    let end = ranges.iter().fold(file.data_start, |at, (begin, end)| {
        assert_eq!(*begin, at);
        *end
    });
    assert_eq!(end, file.len);
    for t in &checkpoint.tensors {
        assert_eq!(t.shape.iter().product::<u64>() * t.dtype.size(), t.len);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Replaced, removed and inserted bytes and a cut end never panic and never escape the file.
    #[test]
    fn mutations_parse_within_bounds_or_fail(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4), 0..4),
        digits in prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 0..3),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = valid();
        let digit_places: Vec<usize> = (8..bytes.len() - 40).filter(|i| bytes[*i].is_ascii_digit()).collect();
        for (place, digit) in digits {
            bytes[*place.get(&digit_places)] = digit;
        }
        for (place, byte, how) in edits {
            let at = place.index(bytes.len());
            match how {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, byte),
                _ => bytes[at] = byte,
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "model.safetensors", &bytes);
        match Checkpoint::open(&handmade::model_at(dir.path())) {
            Ok(checkpoint) => assert_tiles(&checkpoint),
            Err(error) => prop_assert!([3, 4].contains(&error.exit_code()), "{}", error),
        }
    }
}

#[test]
fn the_file_that_is_mutated_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "model.safetensors", valid());
    let checkpoint = Checkpoint::open(&handmade::model_at(dir.path())).unwrap();
    assert_eq!(checkpoint.tensors.len(), 4);
    assert_tiles(&checkpoint);
}
