//! What `inspect` shows of GGUF files, split sets and checkpoints.

mod handmade;

use std::num::NonZeroU64;
use std::path::Path;

use ggraft::inspect::{Hashed, Inspection, inspect};
use handmade::{Bytes, put, safetensors};
use serde_json::{Value, json};

fn text(inspection: &Inspection) -> String {
    let mut out = Vec::new();
    inspection.write_text(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Split `no` of `count` with one tensor of 32 bytes.
fn split(no: u16, count: u16) -> Bytes {
    let n = Bytes::start(3, 1, 4).key("split.tensors.count", 5, &i32::from(count).to_le_bytes()).key(
        "split.no",
        2,
        &no.to_le_bytes(),
    );
    let n = n.key("split.count", 2, &count.to_le_bytes()).key("only", 4, &[no as u8, 0, 0, 0]);
    n.tensor(&format!("t{no}"), &[8], 0, 0).data(32, 32)
}

fn json_of(inspection: &Inspection) -> Value {
    let mut json = Vec::new();
    inspection.write_json(&mut json).unwrap();
    serde_json::from_slice(&json).unwrap()
}

#[test]
fn a_gguf_file_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gguf");
    let file = Bytes::start(3, 2, 7)
        .key("small", 6, &1e-6f32.to_le_bytes())
        .key("nan", 6, &f32::NAN.to_le_bytes())
        .key("big", 10, &[255; 8])
        .string("text")
        .u32(8)
        .string("a\nb")
        .array("bytes", 8, 1, &[1, 0, 0, 0, 0, 0, 0, 0, 0xff])
        .array("floats", 6, 2, &[0, 0, 0, 0, 0, 0, 0x80, 0x3f])
        .key("general.alignment", 4, &[64, 0, 0, 0])
        .tensor("q", &[64, 3], 8, 0)
        .tensor("?", &[5], 77, 256)
        .data(64, 256);
    put(dir.path(), "x.gguf", &file.0);
    let mut inspection = inspect(&path).unwrap();
    inspection.block = NonZeroU64::new(100).unwrap();
    let (bytes, path) = (file.0.len(), path.to_str().unwrap());
    let start = bytes - 256;
    assert_eq!(start % 64, 0);
    let expected = json!({
        "format": "gguf",
        "block": 100,
        "files": [{"path": path, "bytes": bytes, "data_start": start, "alignment": 64}],
        "metadata": {
            "small": 1e-6, "nan": "NaN", "big": u64::MAX, "text": "a\nb", "bytes": ["\u{fffd}"],
            "floats": [0.0, 1.0], "general.alignment": 64,
        },
        "tensors": [
            {"name": "q", "type": "Q8_0", "shape": [3, 64], "file": path, "offset": start, "bytes": 204,
                "phase": start % 100},
            {"name": "?", "type": "type 77", "shape": [5], "file": path, "offset": start + 256, "bytes": null,
                "phase": (start + 256) % 100},
        ],
    });
    assert_eq!(json_of(&inspection), expected);
}

#[test]
fn a_checkpoint_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let header =
        r#"{"__metadata__":{"format":"pt"},"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}"#;
    put(dir.path(), "model-a.safetensors", safetensors(header, 12));
    put(
        dir.path(),
        "model-b.safetensors",
        safetensors(r#"{"scalar":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}"#, 8),
    );
    let expected = "\
safetensors: 2 files, 1 key-value, 2 tensors

BYTES  DATA START  ALIGNMENT  FILE
  109          97          -  model-a.safetensors
   74          66          -  model-b.safetensors

KEY     TYPE    VALUE
format  string  pt

TENSOR  TYPE  SHAPE  OFFSET  BYTES  PHASE  FILE
w       BF16  [2,3]      97     12     97  model-a.safetensors
scalar  F64   []         66      8     66  model-b.safetensors
";
    assert_eq!(text(&inspect(dir.path()).unwrap()), expected);
    let one = inspect(&dir.path().join("model-b.safetensors")).unwrap();
    assert!(text(&one).starts_with("safetensors: 1 file, 0 key-values, 1 tensor\n"));
}

#[test]
fn long_and_hostile_values_stay_on_one_short_line() {
    let dir = tempfile::tempdir().unwrap();
    let header =
        format!(r#"{{"__metadata__":{{"long":"{}","esc\u001b[2J":"a\nb\u202ec"}}}}"#, "é".repeat(500));
    put(dir.path(), "model.safetensors", safetensors(header, 0));
    put(dir.path(), "x.gguf", Bytes::start(3, 0, 1).array("many", 0, 1000, &[7; 1000]).0);
    let shown = text(&inspect(dir.path()).unwrap());
    assert!(shown.contains(&format!("{}… (1000 bytes)\n", "é".repeat(60))), "{shown}");
    assert!(shown.contains(r"esc\u{1b}[2J  string  a\nb\u{202e}c"), "{shown}");
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
    let shown = text(&inspect(&dir.path().join("x.gguf")).unwrap());
    let line = shown.lines().find(|line| line.starts_with("many")).unwrap();
    assert!(line.contains("[u8]") && line.contains("1000: 7, 7, ") && line.ends_with('…'), "{line}");
    assert!(line.chars().count() < 90);
}

#[test]
fn any_file_of_a_split_set_shows_all() {
    let dir = tempfile::tempdir().unwrap();
    for no in 0..3u16 {
        put(dir.path(), &format!("m-{:05}-of-00003.gguf", no + 1), split(no, 3).0);
    }
    for no in 1..=3 {
        let found = inspect(&dir.path().join(format!("m-{no:05}-of-00003.gguf"))).unwrap();
        let tensors: Vec<_> = found.tensors.iter().map(|t| (t.name.as_str(), t.file)).collect();
        assert_eq!(tensors, [("t0", 0), ("t1", 1), ("t2", 2)]);
        assert_eq!(found.files.len(), 3);
        assert_eq!(json_of(&found)["metadata"]["only"], 0);
    }
}

#[test]
fn broken_split_sets_are_refused() {
    let fails = |build: &dyn Fn(&Path), open: &str, says: &str| {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path());
        let error = inspect(&dir.path().join(open)).unwrap_err();
        assert_eq!(error.exit_code(), 4, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    let first = "m-00001-of-00002.gguf";
    fails(&|d| put(d, first, split(0, 2).0), first, "1 of 2 splits are missing: \"m-00002-of-00002.gguf\"");
    fails(&|d| put(d, first, split(0, 3).0), first, "split.count is 3, but the name says 2");
    let swapped = |d: &Path| {
        put(d, first, split(1, 2).0);
        put(d, "m-00002-of-00002.gguf", split(0, 2).0);
    };
    fails(&swapped, first, "split.no is U16(1), expected 0");
}

#[test]
fn a_split_that_was_renamed_stands_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "renamed.gguf", split(1, 2).0);
    assert_eq!(inspect(&dir.path().join("renamed.gguf")).unwrap().files.len(), 1);
}

#[test]
fn what_is_neither_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "notes.txt", "notes on the model");
    put(dir.path(), "x.gguf", "notes on the model");
    for (file, says) in [
        ("notes.txt", "found a text that begins with \"notes on the model\""),
        ("x.gguf", "expected a GGUF file"),
    ] {
        let error = inspect(&dir.path().join(file)).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// One file of a set of two, with a matrix and a norm of layer `no`; `keys` come on top.
fn layer(no: u16, kind: u32, tensors: i32, id: Option<&str>) -> Bytes {
    let n = Bytes::start(3, 3, 3 + u64::from(id.is_some()));
    let n = n.key("split.no", 2, &no.to_le_bytes()).key("split.count", 2, &2u16.to_le_bytes());
    let n = n.key("split.tensors.count", 5, &tensors.to_le_bytes());
    let n = id.into_iter().fold(n, |n, id| n.string("ggraft.split.set").u32(8).string(id));
    // F32, F16, Q8_0 and BF16 take this many bytes for 32 elements.
    let row = [(0, 128), (1, 64), (8, 34), (30, 64)].iter().find(|(id, _)| *id == kind).unwrap().1;
    let padded = |len: u64| len.next_multiple_of(32);
    let at = |name: &str| format!("blk.{no}.{name}.weight");
    let n = n.tensor(&at("attn_q"), &[32, 2], kind, 0).tensor(&at("ffn_up"), &[32, 2], kind, padded(2 * row));
    let n = n.tensor(&at("attn_norm"), &[32], 0, 2 * padded(2 * row));
    n.data(32, (2 * padded(2 * row) + 128) as usize)
}

#[test]
fn sets_put_together_from_two_are_refused() {
    let names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    let inspect = |first: Bytes, second: Bytes| {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), names[0], first.0);
        put(dir.path(), names[1], second.0);
        // Whichever is asked for.
        let results = names.map(|name| inspect(&dir.path().join(name)));
        results
            .map(|result| result.map(|found| found.tensors.len()).map_err(|e| (e.exit_code(), e.to_string())))
    };
    for id in [None, Some("x")] {
        assert_eq!(inspect(layer(0, 1, 6, id), layer(1, 1, 6, id)), [Ok(6), Ok(6)]);
    }
    let refused = |first: Bytes, second: Bytes, says: &str| {
        for result in inspect(first, second) {
            let (code, text) = result.unwrap_err();
            assert!(code == 4 && text.contains(says), "expected {says:?} in {text}");
        }
    };
    let id = |id| layer(1, 1, 6, id);
    refused(layer(0, 1, 6, Some("x")), id(Some("y")), "ggraft.split.set is \"y\", the first file has \"x\"");
    refused(layer(0, 1, 6, Some("x")), id(None), "ggraft.split.set is nothing");
    refused(layer(0, 1, 6, None), id(Some("x")), "the first file has nothing");
    refused(layer(0, 1, 6, None), layer(1, 1, 7, None), "split.tensors.count is \"I32(7)\"");
    refused(layer(0, 1, 7, None), layer(1, 1, 7, None), "is I32(7), the files of the set hold 6 tensors");
    let twice = layer(0, 1, 6, None).0;
    let at = twice.windows(8).position(|w| w == b"split.no").unwrap() + 12;
    let mut second = Bytes(twice);
    second.0[at] = 1;
    refused(layer(0, 1, 6, None), second, "tensor \"blk.0.attn_q.weight\" is in a file before it, too");
    // F16 beside Q8_0, and beside BF16, as after two conversions with other types.
    refused(layer(0, 1, 6, None), layer(1, 8, 6, None), "tensors like \"blk.N.attn_q.weight\" are Q8_0");
    refused(layer(0, 30, 6, None), layer(1, 1, 6, None), "are F16, in the file before BF16");
}

#[test]
fn digests_are_those_of_the_data_without_padding() {
    let dir = tempfile::tempdir().unwrap();
    let sums = |bytes: &[u8]| {
        use sha2::Digest as _;
        sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let (first, second): (Vec<u8>, Vec<u8>) = ((0..20).collect(), (100..132).collect());
    let data = [&first[..], &[0; 12], &second[..]].concat();
    let whole = sums(&[&first[..], &second[..]].concat());
    let mut file = Bytes::start(3, 2, 0).tensor("b", &[5], 0, 0).tensor("a", &[8], 0, 32).data(32, 0);
    file.0.extend(&data);
    put(dir.path(), "x.gguf", &file.0);
    let mut inspection = inspect(&dir.path().join("x.gguf")).unwrap();
    let mut told = Vec::new();
    let mut note = |of: Hashed, digest: &str| {
        told.push((format!("{of:?}"), digest.to_owned()));
        Ok(())
    };
    inspection.hash(&mut note).unwrap();
    let expected = [
        (r#"Tensor(0, "b")"#, sums(&first)),
        (r#"Tensor(0, "a")"#, sums(&second)),
        ("File(0)", whole.clone()),
    ];
    assert_eq!(told, expected.map(|(of, digest)| (of.to_owned(), digest)));
    let json = json_of(&inspection);
    assert_eq!(json["sha256"], whole);
    assert_eq!(json["files"][0]["sha256"], whole);
    assert_eq!(json["tensors"][1]["sha256"], sums(&second));

    for no in 0..2 {
        put(dir.path(), &format!("s-{:05}-of-00002.gguf", no + 1), &split(no, 2).0);
    }
    let mut set = inspect(&dir.path().join("s-00002-of-00002.gguf")).unwrap();
    let mut count = 0;
    set.hash(&mut |_, _| {
        count += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(count, 2 + 2 + 1);
    assert_eq!(json_of(&set)["files"][1]["sha256"], sums(&[0; 32]));
    assert_eq!(json_of(&set)["sha256"], sums(&[0; 64]));
}

/// Every line that llama-gguf-hash prints of a file, tensor data being what `convert_hf_to_gguf.py` writes.
#[test]
fn digests_are_printed_as_llama_gguf_hash_prints_them() {
    let dir = tempfile::tempdir().unwrap();
    let ggraft = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ggraft"));
        let run = command.args(arguments).current_dir(dir.path()).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    };
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");
    ggraft(&["convert", model, "--outfile", "tiny.gguf", "--outtype", "q8_0", "--no-reflink", "--no-fsync"]);
    let said = ggraft(&["inspect", "--hash", "tiny.gguf"]);
    let lines: Vec<&str> = said.lines().collect();
    let expected = [
        "sha256    a8f4b9c116e5c39575e232e8360a964b9199b930d7234169b3e75a3e308a6ae0  tiny.gguf:token_embd.weight",
        "sha256    a71dcad2689e3c3e0e6f4698a26fcf1d873fa154c5a9dfcab1e4ad7e26f8cb4a  tiny.gguf:blk.0.attn_norm.weight",
        "sha256    f1fa5a0b3e2aeda226ee21bd57acf23fcdd72ce3e57c6e408ba56a78d80c559b  tiny.gguf",
    ];
    assert_eq!([lines[0], lines[1], lines[lines.len() - 1]], expected);
}
