use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use serde_json::{Value, json};

use super::model::{ModelProto, NormalizerSpec, Piece, TrainerSpec};
use super::{Pieces, kind, load, looks_special};
use crate::source::ModelDir;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers/spm")
}

/// `expected.json` is what the reference makes of the same files; see scripts/make_test_tokenizers.py.
#[test]
fn equals_the_reference() {
    let cases: Vec<Value> =
        serde_json::from_slice(&fs::read(fixture().join("expected.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 3);
    for case in &cases {
        let pieces =
            load(&ModelDir::open(&fixture()).unwrap(), case["vocab_size"].as_u64()).unwrap().unwrap();
        let expected = case["tokens"].as_array().unwrap();
        assert_eq!(pieces.tokens.len(), expected.len());
        assert_eq!(pieces.scores.len(), expected.len());
        assert_eq!(pieces.types.len(), expected.len());
        for (id, expected) in expected.iter().enumerate() {
            let [kind, score, text] =
                expected.as_str().unwrap().splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
            assert_eq!(String::from_utf8_lossy(&pieces.tokens[id]), text, "token {id}");
            assert_eq!(pieces.types[id].to_string(), kind, "type of token {id}, {text}");
            let score: f64 = score.parse().unwrap();
            assert_eq!(pieces.scores[id].to_bits(), (score as f32).to_bits(), "score of token {id}, {text}");
        }
    }
}

#[test]
fn zero_tokens_means_as_many_as_pieces() {
    assert_eq!(
        load(&ModelDir::open(&fixture()).unwrap(), Some(0)).unwrap(),
        load(&ModelDir::open(&fixture()).unwrap(), None).unwrap()
    );
}

#[test]
fn no_model_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(load(&ModelDir::open(dir.path()).unwrap(), None).unwrap(), None);
    assert_eq!(load(&ModelDir::default(), None).unwrap(), None);
    fs::create_dir(dir.path().join("tokenizer.model")).unwrap();
    assert_refused(
        load(&ModelDir::open(dir.path()).unwrap(), None).map(Option::unwrap),
        "tokenizer.model",
        "found a directory",
    );
}

#[test]
fn special_by_the_look() {
    for token in ["<pad>", "<mask>", "<2mass>", "[@BOS@]", "<|im_end|>", "<|>", "<｜tool｜>", "<unused7>"] {
        assert!(looks_special(token), "{token}");
    }
    for token in ["", "<s>", "<|", "|>", "<|a", "a|>", "<unused", "unused>", "[PAD]", "<｜a|>"] {
        assert!(!looks_special(token), "{token}");
    }
}

const UNIGRAM: i32 = 1;
const BPE: i32 = 2;

fn piece(text: &str, kind: i32) -> Piece {
    Piece { text: text.to_owned(), score: -1.0, raw_kind: Some(kind) }
}

/// `<unk>`, `<s>`, `a`, `b`; with `byte_fallback` also the byte pieces.
fn model(model_type: i32, byte_fallback: bool) -> ModelProto {
    let mut pieces =
        vec![piece("<unk>", kind::UNKNOWN), piece("<s>", kind::CONTROL), piece("a", 1), piece("b", 1)];
    if byte_fallback {
        pieces.extend((0..=255).map(|byte| piece(&format!("<0x{byte:02X}>"), kind::BYTE)));
    }
    let trainer_spec =
        Some(TrainerSpec { model_type: Some(model_type), byte_fallback, ..Default::default() });
    ModelProto { pieces, trainer_spec, ..Default::default() }
}

fn load_bytes(model: &[u8], files: &[(&str, &[u8])]) -> crate::Result<Pieces> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tokenizer.model"), model).unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    load(&ModelDir::open(dir.path()).unwrap(), None).map(Option::unwrap)
}

#[track_caller]
fn assert_refused(result: crate::Result<Pieces>, file: &str, problem: &str) {
    let error = result.expect_err(problem);
    let message = error.to_string();
    assert_eq!(error.exit_code(), 4, "{message}");
    assert!(message.contains(&format!("{file}: ")) && message.contains(problem), "{message}");
    assert!(message.len() < 500, "{message}");
}

/// Each of these was loaded with sentencepiece 0.2.3, which refuses them too.
#[test]
fn refuses_what_the_library_refuses() {
    type Change = fn(&mut ModelProto);
    fn charsmap(model: &mut ModelProto, blob: &[u8]) {
        model.normalizer_spec =
            Some(NormalizerSpec { precompiled_charsmap: blob.to_vec(), ..Default::default() });
    }
    let cases: [(i32, bool, Change, &str); 26] = [
        (BPE, false, |m| m.pieces.clear(), "no piece of type UNKNOWN"),
        (BPE, false, |m| m.pieces[0].raw_kind = None, "no piece of type UNKNOWN"),
        (BPE, false, |m| m.pieces[0].raw_kind = Some(99), "no piece of type UNKNOWN"),
        (UNIGRAM, false, |m| m.pieces[3].raw_kind = Some(2), "pieces 0 and 3 are both of type UNKNOWN"),
        (UNIGRAM, false, |m| m.pieces[3].text = "a".into(), "piece 3, \"a\", is already defined"),
        (BPE, false, |m| m.pieces[3].text = "<s>".into(), "piece 3, \"<s>\", is already defined"),
        (UNIGRAM, false, |m| m.pieces[0].text = "<s>".into(), "piece 1, \"<s>\", is already defined"),
        (BPE, false, |m| m.pieces[3].text.clear(), "piece 3 has 0 bytes"),
        (BPE, false, |m| m.pieces[3].text = "x".repeat(8000), "piece 3 has 8000 bytes"),
        (BPE, false, |m| m.pieces[3].text = "\0".into(), "piece 3 contains a NUL"),
        (BPE, true, |m| m.pieces[3].text = "a\0".into(), "piece 3 contains a NUL"),
        (UNIGRAM, false, |m| m.pieces[3].score = f32::NAN, "piece 3 has the score NaN"),
        (UNIGRAM, false, |m| m.pieces[1].score = f32::INFINITY, "piece 1 has the score inf"),
        (UNIGRAM, false, |m| m.pieces.truncate(2), "no pieces that text could yield"),
        (BPE, false, |m| m.pieces.push(piece("<0x41>", kind::BYTE)), "byte_fallback is off"),
        (BPE, true, |m| m.trainer_spec = None, "byte_fallback is off"),
        (BPE, true, |m| m.pieces[4].text = "<0xab>".into(), "found \"<0xab>\""),
        (BPE, true, |m| m.pieces[4].text = "<0x+A>".into(), "found \"<0x+A>\""),
        (BPE, true, |m| m.pieces[4].text = "<0x041>".into(), "found \"<0x041>\""),
        (BPE, true, |m| m.pieces[4 + 0x41].raw_kind = Some(1), "no piece <0x41> of type BYTE"),
        (BPE, false, |m| charsmap(m, b"\0\0\0"), "charsmap has no length"),
        (BPE, false, |m| charsmap(m, b"\xff\xff\xff\xff\0"), "charsmap is cut short"),
        (BPE, false, |m| charsmap(m, &[0; 5]), "not a multiple of 1024"),
        (BPE, false, |m| charsmap(m, &[&[0, 4, 0, 0], &[1; 1025][..]].concat()), "does not end in NUL"),
        (BPE, false, |m| charsmap(m, &[&[0, 4, 0, 0], &[0; 1025][..]].concat()), "points outside"),
        (BPE, false, |m| charsmap(m, &sound_charsmap_with(9, 1 << 31 | 1)), "points outside"),
    ];
    for (model_type, byte_fallback, change, problem) in cases {
        let mut model = model(model_type, byte_fallback);
        change(&mut model);
        assert_refused(load_bytes(&model.encode_to_vec(), &[]), "tokenizer.model", problem);
    }
}

/// A trie of one root whose children lie in the same block, and one unit replaced.
fn sound_charsmap_with(at: usize, unit: u32) -> Vec<u8> {
    let mut units = [0u32; 256];
    units[0] = 1 << 10;
    units[at] = unit;
    let trie = units.iter().flat_map(|unit| unit.to_le_bytes());
    1024u32.to_le_bytes().into_iter().chain(trie).chain([0]).collect()
}

/// Each of these was loaded with sentencepiece 0.2.3, which accepts them too.
#[test]
fn accepts_what_the_library_accepts() {
    type Change = fn(&mut ModelProto);
    let cases: [(i32, bool, Change, usize, i32); 9] = [
        // Without byte_fallback there must be an unknown piece, with it there need not.
        (BPE, true, |m| m.pieces[0].raw_kind = Some(1), 0, kind::NORMAL),
        // Only BPE keeps control and normal pieces in one table.
        (UNIGRAM, false, |m| m.pieces[3].text = "<s>".into(), 3, kind::NORMAL),
        (BPE, false, |m| m.pieces[3].text = "x".repeat(7999), 3, kind::NORMAL),
        (BPE, false, |m| m.pieces[3].score = f32::INFINITY, 3, kind::NORMAL),
        // A NUL beside <0x00>, which some converters add, is disabled.
        (BPE, true, |m| m.pieces[3].text = "\0".into(), 3, kind::UNUSED),
        (BPE, false, |m| m.pieces[3].raw_kind = Some(kind::USER_DEFINED), 3, kind::NORMAL),
        (BPE, false, |m| m.pieces[3].raw_kind = Some(7), 3, kind::NORMAL),
        // An unknown type of model is a unigram model, the default.
        (99, false, |m| m.pieces[3].text = "<s>".into(), 3, kind::NORMAL),
        (
            BPE,
            false,
            |m| {
                let precompiled_charsmap = sound_charsmap_with(9, 1 << 31);
                m.denormalizer_spec = Some(NormalizerSpec { precompiled_charsmap, ..Default::default() });
            },
            3,
            kind::NORMAL,
        ),
    ];
    for (case, (model_type, byte_fallback, change, id, kind)) in cases.into_iter().enumerate() {
        let mut model = model(model_type, byte_fallback);
        change(&mut model);
        let pieces = load_bytes(&model.encode_to_vec(), &[]).unwrap_or_else(|e| panic!("case {case}: {e}"));
        assert_eq!(pieces.types[id], kind, "case {case}");
        assert_eq!(pieces.tokens[id], model.pieces[id].text.as_bytes(), "case {case}");
    }
}

#[test]
fn refuses_files_that_are_no_model() {
    let mut non_utf8 = model(BPE, false).encode_to_vec();
    non_utf8.extend(b"\x0a\x05\x0a\x03a\xff\xfe");
    let whole = model(BPE, false).encode_to_vec();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 123\n";
    assert_refused(load_bytes(pointer, &[]), "tokenizer.model", "is a Git LFS pointer");
    let files: [&[u8]; 4] = [
        b"<!doctype html>",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        &whole[..whole.len() - 1],
        &non_utf8,
    ];
    for bytes in files {
        assert_refused(load_bytes(bytes, &[]), "tokenizer.model", "not a SentencePiece model");
    }
    assert_refused(load_bytes(b"", &[]), "tokenizer.model", "no piece of type UNKNOWN");
}

#[test]
fn refuses_files_beyond_the_caps() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.model");
    fs::File::create(&path).unwrap().set_len(super::MODEL_CAP + 1).unwrap();
    assert_refused(
        load(&ModelDir::open(dir.path()).unwrap(), None).map(Option::unwrap),
        "tokenizer.model",
        "at most 33554432 bytes",
    );
    fs::write(&path, model(BPE, false).encode_to_vec()).unwrap();
    for size in [super::VOCAB_CAP + 1, u64::MAX] {
        assert_refused(
            load(&ModelDir::open(dir.path()).unwrap(), Some(size)).map(Option::unwrap),
            "config.json",
            "vocab_size is",
        );
    }
}

#[test]
fn refuses_malformed_added_tokens() {
    let model = model(BPE, false).encode_to_vec();
    let added: [(&[u8], &str); 11] = [
        (b"{\"x\": -1}", "id of token \"x\": expected a whole number from 0, found \"-1\""),
        (b"{\"x\": 1.5}", "found \"1.5\""),
        (b"{\"x\": 100000000000000000000}", "expected a whole number"),
        (b"{\"x\": \"1\"}", "expected a whole number"),
        (b"{\"x\": true}", "expected a whole number"),
        (b"{\"x\": null}", "expected a whole number"),
        (b"[\"x\"]", "expected a JSON object"),
        (b"", "not valid JSON"),
        (b"{\"x\": 1", "not valid JSON"),
        (b"{\"\xff\": 1}", "expected UTF-8"),
        (&b"{\"x\":".repeat(100_000), "nested more than"),
    ];
    for (bytes, problem) in added {
        assert_refused(load_bytes(&model, &[("added_tokens.json", bytes)]), "added_tokens.json", problem);
    }
    let long = json!({ "x".repeat(10_000): ["y".repeat(10_000)] }).to_string();
    assert_refused(
        load_bytes(&model, &[("added_tokens.json", long.as_bytes())]),
        "added_tokens.json",
        "expected a whole number",
    );

    let decoders = [
        (json!([]), "expected an object"),
        (json!(null), "expected an object"),
        (json!({ "-1": { "content": "x" } }), "key \"-1\": expected a token id"),
        (json!({ "x": { "content": "x" } }), "key \"x\": expected a token id"),
        (json!({ "99999999999999999999": { "content": "x" } }), "expected a token id"),
        (json!({ "3": {} }), "key \"3\": expected an object with a string \"content\""),
        (json!({ "3": "x" }), "a string \"content\""),
        (json!({ "3": { "content": 3 } }), "a string \"content\""),
        (json!({ "3": { "content": "x", "special": "no" } }), "\"special\" to be true or false"),
    ];
    for (decoder, problem) in decoders {
        let config = json!({ "added_tokens_decoder": decoder }).to_string();
        assert_refused(
            load_bytes(&model, &[("tokenizer_config.json", config.as_bytes())]),
            "tokenizer_config.json",
            problem,
        );
    }
}

/// As a Python dict has it: a repeated key keeps its place and takes the last value.
#[test]
fn repeated_keys() {
    let added = br#"{"x": 2, "y": 2, "x": 3}"#;
    let pieces = load_bytes(&model(BPE, false).encode_to_vec(), &[("added_tokens.json", added)]).unwrap();
    assert_eq!(pieces.tokens, [&b"<unk>"[..], b"<s>", b"y", b"x"]);
    assert_eq!(pieces.types, [kind::UNKNOWN, kind::CONTROL, kind::USER_DEFINED, kind::USER_DEFINED]);
}
