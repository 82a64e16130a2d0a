//! A small plan, and what is said of it: every figure below was worked out by hand.

use serde_json::{Value, json};

use super::*;
use crate::advice::{Alternative, Extents, Way};
use crate::checkpoint::SourceFile;
use crate::describe::LeftOut;
use crate::dtype::{Dtype, GgmlType};
use crate::plan::{Action, Pattern, Placed, Walk};
use crate::source::ModelDir;
use crate::tensor::Dim;

fn walk(dims: &[(u64, u64)]) -> Walk {
    let dims = dims.iter().map(|&(len, stride)| Dim { len, stride }).collect();
    let (arithmetic, codes) = (Vec::new(), None);
    Walk { file: 0, offset: 9000, dtype: Dtype::BF16, dims, first: 0, arithmetic, codes }
}

/// 100,000 bytes: a header of 4,000 and 96 of padding; `shared` with an edge; `rows`, of which three blocks are shared and three
/// copied in turn; `converted` in two steps; `made`.
fn plan() -> Plan {
    let step = |start, len, action, reason| Step { start, len, action, reason };
    let copy = |dims: &[(u64, u64)], first| Action::Gather { walk: walk(dims).into(), first, quiet: false };
    let rows = vec![
        step(20480, 4096, Action::Clone { file: 0, offset: 28672 }, None),
        step(24576, 4096, copy(&[(3, 6144), (4096, 1)], 2048), Some(Reason::Edge)),
    ];
    let pattern = Pattern { count: 3, stride: 8192, source_stride: 12288, steps: rows };
    let encode = |first| Action::Encode { walk: walk(&[(1736, 1)]).into(), first, to: GgmlType::F32 };
    let steps = vec![
        step(0, 4000, Action::Bytes(vec![1; 4000].into()), None),
        step(4000, 96, Action::Zero, None),
        step(4096, 12288, Action::Clone { file: 0, offset: 4096 }, None),
        step(16384, 4096, copy(&[(2048, 1)], 0), Some(Reason::Edge)),
        step(20480, 24576, Action::Repeat(pattern.into()), None),
        step(45056, 3472, encode(0), Some(Reason::Converted)),
        step(48528, 3472, encode(868), Some(Reason::Converted)),
        step(52000, 48000, Action::Bytes(vec![2; 48000].into()), Some(Reason::Generated)),
    ];
    let placed = |name: &str, dtype, offset, len| Placed {
        name: name.to_owned(),
        shape: vec![len / 2],
        dtype,
        offset,
        len,
    };
    let tensors = vec![
        placed("shared", "BF16", 4096, 16384),
        placed("rows", "BF16", 20480, 24576),
        placed("converted", "F32", 45056, 6944),
        placed("made", "F32", 52000, 48000),
    ];
    let output = Output {
        path: "out.gguf".into(),
        len: 100_000,
        data_start: 4096,
        alignment: 32,
        tensors,
        steps,
        like: None,
    };
    Plan { sources: vec!["source".into()], block: 4096, refusal: None, outputs: vec![output] }
}

fn checkpoint() -> Checkpoint {
    let file = SourceFile { path: "source".into(), len: 90_000, data_start: 4096 };
    let none: [(&str, Vec<u8>); 0] = [];
    Checkpoint { dir: ModelDir::in_memory("Llama", none), files: vec![file], ..Checkpoint::default() }
}

fn advice() -> Advice {
    let alternative = |way, shared, extents, files| Alternative {
        way,
        total: 100_000,
        shared,
        extents,
        files,
        rewritten: 90_000,
        staying: 0,
    };
    Advice {
        better: vec![alternative(Way::Split, 50_000, 7, 2)],
        not_worth: Some(alternative(Way::Align, 25_000, 3, 1)),
        extents: vec![Extents { min_extent: 4096, shared: 24_576, extents: 4 }],
    }
}

fn notes() -> Vec<Note> {
    let what = LeftOut::Unused;
    vec![Note { what, tensors: 1, bytes: 8, example: "extra".into(), projected: false }]
}

#[test]
fn tables_have_the_plans_figures() {
    let (checkpoint, plan) = (checkpoint(), plan());
    let mut text = Vec::new();
    let explanation = Explanation::new(&checkpoint, &plan, advice(), &[]);
    explanation.write_text(&mut text, true).unwrap();
    let expected = "\
    BYTES             SHARED             COPIED          CONVERTED         METADATA  FILE
100.00 kB  24.58 kB   24.6 %  16.38 kB   16.4 %  54.94 kB   54.9 %  4.10 kB   4.1 %  out.gguf

NOT SHARED          TENSORS  REASON     BECAUSE
  48.00 kB  48.0 %        1  generated  computed, not in the checkpoint
  16.38 kB  16.4 %        2  edge       ends of shared ranges that do not fill a whole block
   6.94 kB   6.9 %        1  converted  stored in another type than in the checkpoint

Not worth rewriting 90.00 kB: after `ggraft align Llama --in-place`, 25.00 kB would be shared instead of 24.58 kB (25.0 % instead of 24.6 %)

COULD SHARE          EXTENTS  FILES  HOW
   50.00 kB  50.0 %        7      2  with `--layout split` (several files; llama.cpp loads them by the name of the first)

--min-extent    SHARED       NEW  EXTENTS
          4K  24.58 kB  75.42 kB        4

out.gguf
OFFSET  BYTES  PHASE  SOURCE PHASE  ACTION                              TENSOR
  4096  16384      0             0  shared 75.0 %, copied 25.0 % (edge)  shared
 20480  24576      0             0  shared 50.0 %, copied 50.0 % (edge)  rows
 45056   6944      0           808  converted                            converted
 52000  48000   2848             -  generated                            made
";
    // Columns may be wider or narrower.
    let words = |text: &str| {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(words(&String::from_utf8(text).unwrap()), words(expected));
}

#[test]
fn the_document_has_them_under_these_keys() {
    let (checkpoint, plan, notes) = (checkpoint(), plan(), notes());
    let mut text = Vec::new();
    Explanation::new(&checkpoint, &plan, advice(), &notes).write_json(&mut text).unwrap();
    let mut document: Value = serde_json::from_slice(&text).unwrap();
    let bytes = json!({
        "total": 100_000, "cloned": 24_576, "copied": 16_384, "converted": 54_944, "header": 4000, "padding": 96,
    });
    assert_eq!(document["bytes"].take(), bytes);
    let reason = |reason: &str, explanation: &str, bytes: u64, tensors: u64| json!({"reason": reason, "explanation": explanation, "bytes": bytes, "tensors": tensors});
    let reasons = [
        reason("generated", "computed, not in the checkpoint", 48_000, 1),
        reason("edge", "ends of shared ranges that do not fill a whole block", 16_384, 2),
        reason("converted", "stored in another type than in the checkpoint", 6944, 1),
    ];
    assert_eq!(document["reasons"].take(), Value::from(reasons.to_vec()));
    let left_out = document["left_out"].take();
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(keys(&left_out[0]), ["bytes", "example", "explanation", "tensors", "what"]);
    assert_eq!((&left_out[0]["tensors"], &left_out[0]["bytes"]), (&1.into(), &8.into()));
    assert_eq!(document["min_extents"].take(), json!([{"min_extent": 4096, "shared": 24_576, "extents": 4}]));
    assert_eq!(document["advice"].take().as_array().unwrap().len(), 2);
    assert_eq!(document["sources"].take(), json!([{"path": "source", "bytes": 90_000, "data_start": 4096}]));
    let output = &mut document["outputs"][0];
    assert_eq!(output["totals"].take(), bytes);
    let tensor = |name: &str, kind: &str, offset: u64, bytes: u64| json!({"name": name, "type": kind, "shape": [bytes / 2], "offset": offset, "bytes": bytes});
    let tensors = [
        tensor("shared", "BF16", 4096, 16384),
        tensor("rows", "BF16", 20480, 24576),
        tensor("converted", "F32", 45056, 6944),
        tensor("made", "F32", 52000, 48000),
    ];
    assert_eq!(output["tensors"].take(), Value::from(tensors.to_vec()));
    let step = |start: u64,
                len: u64,
                action: &str,
                source: Option<u64>,
                reason: Option<&str>,
                tensor: Option<u64>| {
        json!({
            "start": start, "len": len, "action": action, "file": source.map(|_| 0), "source_offset": source,
            "reason": reason, "tensor": tensor, "last_tensor": tensor, "pattern": null,
        })
    };
    let mut rows = step(20480, 24576, "pattern", Some(28672), None, Some(1));
    rows["pattern"] = json!({
        "count": 3, "stride": 8192, "source_stride": 12288, "steps": [
            step(20480, 4096, "shared", Some(28672), None, Some(1)),
            step(24576, 4096, "copied", Some(9000 + 4096), Some("edge"), Some(1)),
        ],
    });
    let steps = [
        step(0, 4000, "header", None, None, None),
        step(4000, 96, "padding", None, None, None),
        step(4096, 12288, "shared", Some(4096), None, Some(0)),
        step(16384, 4096, "copied", Some(9000), Some("edge"), Some(0)),
        rows,
        step(45056, 3472, "converted", Some(9000), Some("converted"), Some(2)),
        step(48528, 3472, "converted", Some(9000 + 2 * 868), Some("converted"), Some(2)),
        step(52000, 48000, "generated", None, Some("generated"), Some(3)),
    ];
    assert_eq!(output["steps"].take(), Value::from(steps.to_vec()));
    assert_eq!(
        (
            output["path"].take(),
            output["bytes"].take(),
            output["data_start"].take(),
            output["alignment"].take()
        ),
        ("out.gguf".into(), 100_000.into(), 4096.into(), 32.into())
    );
    assert_eq!(document["block"], 4096);
    assert_eq!(
        keys(&document),
        ["advice", "block", "bytes", "left_out", "min_extents", "model", "outputs", "reasons", "sources"]
    );
}

/// The page says "file.gguf" and not where that is; what could turn the text around it is shown as an escape.
#[test]
fn the_page_has_names_without_their_directories() {
    let (mut plan, checkpoint) = (plan(), checkpoint());
    plan.sources = vec!["/models/some/m\u{202e}odel.safetensors".into()];
    plan.outputs[0].path = "/elsewhere/out.gguf".into();
    let explanation = Explanation::new(&checkpoint, &plan, advice(), &[]);
    let mut page = Vec::new();
    explanation.write_html(&mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains(r#""sources":["m\\u{202e}odel.safetensors"]"#), "{page}");
    assert!(page.contains(r#""path":"out.gguf""#) && !page.contains("/elsewhere"), "{page}");
}

/// Two ranges of one tensor, of which the longer one's reason is told, and a range over two tensors.
#[test]
fn a_tensors_fate_is_that_of_its_longest_range() {
    let copy = |start, len, offset, reason| Step {
        start,
        len,
        action: Action::Copy { file: 0, offset },
        reason: Some(reason),
    };
    let steps = vec![
        copy(100, 30, 7, Reason::Edge),
        copy(130, 50, 37, Reason::OffPhase),
        copy(180, 50, 87, Reason::TooShort),
        copy(230, 90, 500, Reason::OffGrid),
    ];
    let placed = |offset, len| Placed { name: String::new(), shape: vec![len], dtype: "I8", offset, len };
    let tensors = vec![placed(100, 130), placed(230, 60), placed(290, 30)];
    let output = Output { tensors, steps, ..plan().outputs.remove(0) };
    let found: Vec<_> = fates(&output)
        .iter()
        .map(|fate| (fate.bytes[Kind::Copied as usize], fate.reason, fate.source))
        .collect();
    let expected = [
        (130, Some((Reason::OffPhase, 50)), Some((0, 7))),
        (60, Some((Reason::OffGrid, 60)), Some((0, 500))),
        (30, Some((Reason::OffGrid, 30)), Some((0, 560))),
    ];
    assert_eq!(found, expected, "of two that are as long the first one's");
}

#[test]
fn percentages_tell_little_from_nothing() {
    let cases = [
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (0, 0, "0 %"),
        (1, 3, "33.3 %"),
        (2, 3, "66.7 %"),
        (1, 100, "1.0 %"),
        (1, 10_000, "0.01 %"),
        (9999, 10_000, "99.99 %"),
        (99, 100, "99.0 %"),
        (1, 1000, "0.10 %"),
        (997, 1000, "99.70 %"),
        (1, 100_000, "<0.01 %"),
        (99_999, 100_000, ">99.99 %"),
    ];
    for (part, whole, expected) in cases {
        assert_eq!(percent(part, whole), expected, "{part} of {whole}");
    }
}
