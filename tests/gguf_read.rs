//! Reading GGUF files built byte by byte from the format's description.

mod handmade;

use std::fs;

use ggraft::gguf::{self, StoredTensor, Value};
use ggraft::{Error, Result};
use handmade::Bytes;
use proptest::prelude::*;

fn read(bytes: &Bytes) -> Result<gguf::Gguf> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gguf");
    fs::write(&path, &bytes.0).unwrap();
    gguf::read(&path)
}

/// One key of each type, one array of each type, four tensors.
fn example(version: u32) -> Bytes {
    Bytes::start(version, 4, 23)
        .key("u8", 0, &[200])
        .key("i8", 1, &[200])
        .key("u16", 2, &[0, 1])
        .key("i16", 3, &[0xfe, 0xff])
        .key("u32", 4, &[1, 0, 0, 0x80])
        .key("i32", 5, &[0xff; 4])
        .key("f32", 6, &[0, 0, 0x80, 0xbf])
        .key("bool", 7, &[1])
        .string("string")
        .u32(8)
        .u64(3)
        .raw(&[b'a', 0xff, 0])
        .key("u64", 10, &[1, 0, 0, 0, 0, 0, 0, 0x80])
        .key("i64", 11, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
        .key("f64", 12, &[0, 0, 0, 0, 0, 0, 0xe0, 0x3f])
        .array("u8s", 0, 2, &[1, 255])
        .array("i8s", 1, 2, &[1, 255])
        .array("u16s", 2, 1, &[1, 2])
        .array("i16s", 3, 1, &[0xff, 0xff])
        .array("u32s", 4, 1, &[1, 0, 0, 0])
        .array("i32s", 5, 0, &[])
        .array("f32s", 6, 1, &[0, 0, 0x80, 0x3f])
        .array("bools", 7, 2, &[0, 1])
        .array("strings", 8, 2, &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'x'])
        .array("u64s", 10, 1, &[2, 0, 0, 0, 0, 0, 0, 0])
        .array("f64s", 12, 1, &[0; 8])
        .tensor("f32", &[3, 2], 0, 0)
        .tensor("q4_K", &[256, 2], 12, 32)
        .tensor("scalar", &[], 30, 32 + 288)
        .tensor("future", &[7], 99, 32 + 288 + 32)
        .data(32, 32 + 288 + 32)
}

#[test]
fn every_type_is_read() {
    for version in [2, 3] {
        let file = read(&example(version)).unwrap();
        let values: Vec<(&str, Value)> = file.metadata.iter().map(|(k, v)| (k, v.clone())).collect();
        let expected = [
            ("u8", Value::U8(200)),
            ("i8", Value::I8(-56)),
            ("u16", Value::U16(256)),
            ("i16", Value::I16(-2)),
            ("u32", Value::U32(0x8000_0001)),
            ("i32", Value::I32(-1)),
            ("f32", Value::F32(-1.0)),
            ("bool", Value::Bool(true)),
            ("string", Value::String(vec![b'a', 0xff, 0])),
            ("u64", Value::U64(0x8000_0000_0000_0001)),
            ("i64", Value::I64(-2)),
            ("f64", Value::F64(0.5)),
            ("u8s", Value::U8s(vec![1, 255])),
            ("i8s", Value::I8s(vec![1, -1])),
            ("u16s", Value::U16s(vec![513])),
            ("i16s", Value::I16s(vec![-1])),
            ("u32s", Value::U32s(vec![1])),
            ("i32s", Value::I32s(vec![])),
            ("f32s", Value::F32s(vec![1.0])),
            ("bools", Value::Bools(vec![false, true])),
            ("strings", Value::Strings(["", "x"].into_iter().collect())),
            ("u64s", Value::U64s(vec![2])),
            ("f64s", Value::F64s(vec![0.0])),
        ];
        assert_eq!(values, expected);
        assert_eq!((file.version, file.alignment, file.data_start % 32), (version, 32, 0));
        let tensor = |name: &str, shape: &[u64], type_id, offset, len| StoredTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            type_id,
            offset: file.data_start + offset,
            len,
        };
        let expected = [
            tensor("f32", &[2, 3], 0, 0, Some(24)),
            tensor("q4_K", &[2, 256], 12, 32, Some(288)),
            tensor("scalar", &[], 30, 320, Some(2)),
            tensor("future", &[7], 99, 352, None),
        ];
        assert_eq!(file.tensors, expected);
    }
}

/// The writer and the reader were written from the same description by different means.
#[test]
fn what_is_read_encodes_to_the_same_bytes() {
    let bytes = example(3).0;
    let file = read(&example(3)).unwrap();
    let keys = gguf::encode(&file.metadata, &[], 32);
    assert_eq!(keys[24..], bytes[24..keys.len()]);
}

#[test]
fn alignment_moves_the_data() {
    let file = Bytes::start(3, 1, 1)
        .key("general.alignment", 4, &[0, 1, 0, 0])
        .tensor("t", &[1], 24, 0)
        .data(256, 1);
    let file = read(&file).unwrap();
    assert_eq!((file.alignment, file.data_start, file.tensors[0].offset), (256, 256, 256));
}

#[test]
fn a_file_without_tensors_ends_with_its_header() {
    let file = read(&Bytes::start(3, 0, 1).key("k", 7, &[1])).unwrap();
    assert_eq!(file.data_start, file.len);
}

#[test]
fn hostile_files_are_refused() {
    let one = |dims: &[u64], kind, offset| Bytes::start(3, 1, 0).tensor("t", dims, kind, offset);
    let cases = [
        ("empty", Bytes::default(), 4, "expected a GGUF file"),
        ("other content", Bytes(vec![0; 64]), 4, "expected a GGUF file"),
        ("only the magic", Bytes(b"GGUF".to_vec()), 4, "may be incomplete"),
        ("version 1", Bytes::start(1, 0, 0), 4, "GGUF version 1"),
        ("big-endian", Bytes::start(3u32.swap_bytes(), 0, 0), 4, "big-endian"),
        (
            "tensor name of 64 bytes",
            Bytes::start(3, 1, 0).tensor(&"t".repeat(64), &[1], 0, 0).data(32, 32),
            4,
            "64 bytes, expected 1 to 63",
        ),
        ("2^60 tensors", Bytes::start(3, 1 << 60, 0), 4, "cannot fit"),
        (
            "more tensors than bytes",
            Bytes::start(3, 2, 0).data(32, 0),
            4,
            "\"tensors\" at byte 16 needs 48 bytes",
        ),
        ("2^64-1 keys", Bytes::start(3, 0, u64::MAX), 4, "cannot fit"),
        ("empty key", Bytes::start(3, 0, 1).key("", 7, &[1]).data(32, 64), 4, "has 0 bytes"),
        ("long key", Bytes::start(3, 0, 1).key(&"k".repeat(1 << 16), 7, &[1]), 4, "65536 bytes"),
        ("key is not UTF-8", Bytes::start(3, 0, 1).u64(1).raw(&[255; 9]), 4, "not UTF-8"),
        (
            "key twice",
            Bytes::start(3, 0, 2).key("k", 7, &[1]).key("k", 7, &[1]),
            4,
            "key \"k\" appears twice",
        ),
        ("value type 13", Bytes::start(3, 0, 1).key("k", 13, &[0; 8]), 4, "unknown value type 13"),
        ("nested array", Bytes::start(3, 0, 1).array("k", 9, 1, &[0; 20]), 4, "nested"),
        (
            "array longer than the file",
            Bytes::start(3, 0, 1).array("k", 12, 1000, &[0; 20]),
            4,
            "needs 8000 bytes",
        ),
        ("array length overflows", Bytes::start(3, 0, 1).array("k", 12, 1 << 61, &[]), 4, "cannot fit"),
        (
            "strings longer than the file",
            Bytes::start(3, 0, 1).array("k", 8, 9, &[0; 20]),
            4,
            "needs 72 bytes",
        ),
        (
            "string longer than the file",
            Bytes::start(3, 0, 1).string("k").u32(8).u64(1 << 40),
            4,
            "\"k\" at byte",
        ),
        ("alignment 0", Bytes::start(3, 0, 1).key("general.alignment", 4, &[0; 4]), 4, "power of two"),
        (
            "alignment 48",
            Bytes::start(3, 0, 1).key("general.alignment", 4, &[48, 0, 0, 0]),
            4,
            "power of two",
        ),
        ("alignment as u8", Bytes::start(3, 0, 1).key("general.alignment", 0, &[32]).data(1, 4), 4, "as u32"),
        ("five dimensions", one(&[1; 5], 0, 0).data(32, 4), 4, "5 dimensions"),
        (
            "2^32 dimensions",
            Bytes::start(3, 1, 0).string("t").u32(u32::MAX).data(32, 64),
            4,
            "4294967295 dimensions",
        ),
        ("shape overflows", one(&[1 << 32, 1 << 32], 0, 0).data(32, 4), 4, "overflows"),
        ("more elements than ggml can count", one(&[1 << 63], 24, 0).data(32, 4), 4, "overflows"),
        ("bytes overflow", one(&[1 << 62], 28, 0).data(32, 4), 4, "overflows"),
        ("half a block", one(&[48], 2, 0).data(32, 64), 4, "not whole blocks of 32"),
        ("offset off the grid", one(&[1], 0, 4).data(32, 64), 4, "has offset 4, expected 0"),
        ("offset far away", one(&[1], 99, u64::MAX - 31).data(32, 64), 4, "has offset"),
        (
            "unknown type, then off the grid",
            Bytes::start(3, 2, 0).tensor("a", &[1], 99, 0).tensor("b", &[1], 0, 33).data(32, 64),
            4,
            "expected a multiple of 32",
        ),
        (
            "unknown type, then far away",
            Bytes::start(3, 2, 0).tensor("a", &[1], 99, 0).tensor("b", &[1], 0, u64::MAX - 31).data(32, 64),
            4,
            "ends behind the end",
        ),
        (
            "gap",
            Bytes::start(3, 2, 0).tensor("a", &[1], 0, 0).tensor("b", &[1], 0, 64).data(32, 128),
            4,
            "\"b\" has offset 64, expected 32",
        ),
        (
            "tensor twice",
            Bytes::start(3, 2, 0).tensor("a", &[1], 0, 0).tensor("a", &[1], 0, 32).data(32, 64),
            4,
            "tensor \"a\" appears twice",
        ),
        ("data cut off", one(&[16], 0, 0).data(32, 63), 4, "ends behind the end"),
    ];
    for (what, bytes, exit_code, says) in cases {
        let error = read(&bytes).err().unwrap_or_else(|| panic!("{what}: was accepted"));
        let message = error.to_string();
        assert!(message.contains(says), "{what}: expected {says:?} in {message:?}");
        assert_eq!(error.exit_code(), exit_code, "{what}: {message}");
    }
}

/// A hole makes a file as long as a lie needs; the header still has a limit.
#[test]
fn a_huge_sparse_string_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gguf");
    fs::write(&path, Bytes::start(3, 0, 1).string("k").u32(8).u64(1 << 40).0).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 41).unwrap();
    let error = gguf::read(&path).unwrap_err();
    assert!(
        matches!(&error, Error::Invalid { problem, .. } if problem.contains("a header of more than")),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutations_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = example(3);
        for (place, byte) in edits {
            let at = place.index(bytes.0.len());
            bytes.0[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.0.truncate(cut.index(bytes.0.len()));
        }
        if let Ok(file) = read(&bytes) {
            for t in &file.tensors {
                prop_assert!(t.offset >= file.data_start && t.offset + t.len.unwrap_or(0) <= file.len);
            }
        }
    }
}
