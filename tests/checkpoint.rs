//! Checkpoints as they are found in the wild, and where their tensors are.

mod handmade;

use std::os::unix::fs::symlink;
use std::path::Path;

use ggraft::checkpoint::Checkpoint;
use ggraft::dtype::Dtype;
use handmade::{index, put, safetensors};

const INDEX: &str = "model.safetensors.index.json";

/// A file of one-byte tensors.
fn bytes(names: &[&str]) -> Vec<u8> {
    let entry = |(i, name): (usize, &&str)| {
        let end = i + 1;
        format!(r#""{name}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{end}]}}"#)
    };
    let entries: Vec<String> = names.iter().enumerate().map(entry).collect();
    safetensors(format!("{{{}}}", entries.join(",")), names.len())
}

fn names(dir: &Path) -> Vec<String> {
    Checkpoint::open(&handmade::model_at(dir)).unwrap().tensors.into_iter().map(|t| t.name).collect()
}

#[test]
fn offsets_count_from_the_start_of_the_file_and_may_be_odd() {
    let dir = tempfile::tempdir().unwrap();
    let header = r#"{"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},"n":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"s":{"dtype":"F64","shape":[],"data_offsets":[16,24]}}"#;
    assert_eq!(header.len() % 2, 1);
    put(dir.path(), "model.safetensors", safetensors(header, 24));
    let checkpoint = Checkpoint::open(&handmade::model_at(dir.path())).unwrap();

    let start = 8 + header.len() as u64;
    assert_eq!(checkpoint.files.len(), 1);
    assert_eq!(checkpoint.files[0].path, dir.path().join("model.safetensors"));
    assert_eq!((checkpoint.files[0].data_start, checkpoint.files[0].len), (start, start + 24));
    let found: Vec<_> = checkpoint
        .tensors
        .iter()
        .map(|t| (t.name.as_str(), t.dtype, t.shape.to_vec(), t.file, t.offset - start, t.len))
        .collect();
    let expected = [
        ("n", Dtype::F32, vec![1], 0, 0, 4),
        ("s", Dtype::F64, vec![], 0, 16, 8),
        ("w", Dtype::BF16, vec![2, 3], 0, 4, 12),
    ];
    assert_eq!(found, expected);
}

/// Python sorts by code point: "." before "0" before "A" before "a" before "é" before "😀".
#[test]
fn tensors_are_ordered_by_file_then_by_code_point() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "model-b.safetensors", bytes(&["😀", "a10", "a2", "é", "\u{ffee}"]));
    put(dir.path(), "model-a.safetensors", bytes(&["z", "Z", "0"]));
    put(dir.path(), "other.safetensors", bytes(&["ignored"]));
    put(dir.path(), "consolidated.safetensors", bytes(&["ignored"]));
    assert_eq!(names(dir.path()), ["0", "Z", "z", "a10", "a2", "é", "\u{ffee}", "😀"]);
}

#[test]
fn the_index_decides_which_files_count() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "model-2.safetensors", bytes(&["a"]));
    put(dir.path(), "weights/part-1", bytes(&["b"]));
    put(dir.path(), "model-stale.safetensors", bytes(&["a"]));
    put(dir.path(), INDEX, index(&[("b", "weights/part-1"), ("a", "model-2.safetensors")]));
    assert_eq!(names(dir.path()), ["a", "b"]);
}

/// Python reads it.
#[test]
fn the_index_may_hold_what_python_reads() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "m1", bytes(&["a"]));
    let nested = "[".repeat(200) + &"]".repeat(200);
    let unread =
        format!(r#""metadata": {{"total_size": NaN, "\ud800": [-Infinity, 1e999], "nested": {nested}}}"#);
    let map = r#""weight_map": {"b": "gone"}, "weight_map": {"a": "gone", "a": "m1"}"#;
    put(dir.path(), INDEX, format!("{{{unread}, {map}}}"));
    assert_eq!(names(dir.path()), ["a"]);
}

/// The reference looks a tensor up where it is, not where the index says.
#[test]
fn a_tensor_may_be_in_another_file_than_the_index_says() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "m1", bytes(&["a", "x"]));
    put(dir.path(), "m2", bytes(&["b"]));
    put(dir.path(), INDEX, index(&[("a", "m1"), ("b", "m2"), ("x", "m2")]));
    let checkpoint = Checkpoint::open(&handmade::model_at(dir.path())).unwrap();
    let files: Vec<_> = checkpoint.tensors.iter().map(|t| (t.name.as_str(), t.file)).collect();
    assert_eq!(files, [("a", 0), ("x", 0), ("b", 1)]);
}

#[test]
fn a_hugging_face_cache_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "blobs/6a5b", bytes(&["t"]));
    put(dir.path(), "blobs/77aa", index(&[("t", "model-00001-of-00001.safetensors")]));
    let snapshot = dir.path().join("snapshots/main");
    std::fs::create_dir_all(&snapshot).unwrap();
    symlink("../../blobs/6a5b", snapshot.join("model-00001-of-00001.safetensors")).unwrap();
    symlink("../../blobs/77aa", snapshot.join(INDEX)).unwrap();
    let checkpoint = Checkpoint::open(&handmade::model_at(&snapshot)).unwrap();
    assert_eq!(checkpoint.files[0].path, snapshot.join("model-00001-of-00001.safetensors"));
}

#[test]
fn the_format_s_liberties_are_accepted() {
    let accepted = [
        ("spaces behind the header", r#"{"t":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}      "#),
        (
            "unknown fields",
            r#"{"t":{"dtype":"U8","shape":[8],"x":[{"a":[1,-1,1e9,true,null]}],"data_offsets":[0,8]}}"#,
        ),
        ("space", "{\t\"t\":\r\n{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}"),
        ("controls, escaped", r#"{"\\\"\u0001\t":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#),
        (
            "empty tensors in between",
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
            "e":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]},"f":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},
            "z":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
        ),
        (
            "metadata",
            r#"{"__metadata__":{"format":"pt"},"t":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}"#,
        ),
        ("escapes in keys", r#"{"t":{"d\u0074ype":"U\u0038","shape":[8],"data_offsets":[0,8]}}"#),
    ];
    for (what, header) in accepted {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "model.safetensors", safetensors(header, 8));
        let result = Checkpoint::open(&handmade::model_at(dir.path()));
        assert!(result.is_ok(), "{what}: {}", result.unwrap_err());
    }
}
