//! An inspection as tables for people and grep: one line per thing, headings in capitals, no colours.
//!
//! Names and values come from strangers and go to a terminal: whatever does not print is escaped.

use std::fmt::Debug;
use std::io::{self, Write};
use std::path::Path;

use super::{InspectedTensor, Inspection};
use crate::gguf::Value;
use crate::input::counted;
use crate::table::{long_table, printable, table};

/// Longest value shown, in characters.
const VALUE_MAX: usize = 60;

impl Inspection {
    /// Writes a summary and tables of files, key-values and tensors. Long values are cut.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let names = self.file_names();
        writeln!(
            out,
            "{}: {}, {}, {}",
            self.format.name(),
            counted(self.files.len(), "file"),
            counted(self.metadata.len(), "key-value"),
            counted(self.tensors.len(), "tensor"),
        )?;

        writeln!(out)?;
        let rows = self.files.iter().zip(&names).map(|(f, name)| {
            let alignment = f.alignment.map_or_else(|| "-".to_owned(), |n| n.to_string());
            [f.bytes.to_string(), f.data_start.to_string(), alignment, name.clone()]
        });
        table(out, None, [">BYTES", ">DATA START", ">ALIGNMENT", "<FILE"], rows.collect())?;

        for (f, name) in self.files.iter().zip(&names).filter(|(f, _)| f.missing_padding > 0) {
            writeln!(
                out,
                "{name}: the last {} bytes, padding behind the last tensor, are missing",
                f.missing_padding
            )?;
        }

        if !self.metadata.is_empty() {
            writeln!(out)?;
            let row = |(key, value): (&str, &Value)| {
                let (kind, value) = value_text(value);
                [printable(key), kind, value]
            };
            long_table(out, ["<KEY", "<TYPE", "<VALUE"], || self.metadata.iter().map(row))?;
        }

        if !self.tensors.is_empty() {
            writeln!(out)?;
            let row = |t: &InspectedTensor| {
                let dims: Vec<String> = t.shape.iter().map(u64::to_string).collect();
                [
                    printable(&t.name),
                    t.kind.replace(' ', "-"),
                    format!("[{}]", dims.join(",")),
                    t.offset.to_string(),
                    t.bytes.map_or_else(|| "?".to_owned(), |n| n.to_string()),
                    (t.offset % self.block).to_string(),
                    names.get(t.file).cloned().unwrap_or_default(),
                ]
            };
            let header = ["<TENSOR", "<TYPE", "<SHAPE", ">OFFSET", ">BYTES", ">PHASE", "<FILE"];
            long_table(out, header, || self.tensors.iter().map(row))?;
        }
        Ok(())
    }

    /// The files' names as short as they can be: without the directory they share.
    fn file_names(&self) -> Vec<String> {
        let mut shared = self.files.first().and_then(|f| f.path.parent()).unwrap_or(Path::new(""));
        while !self.files.iter().all(|f| f.path.starts_with(shared)) {
            shared = shared.parent().unwrap_or(Path::new(""));
        }
        let name = |path: &Path| printable(&path.strip_prefix(shared).unwrap_or(path).to_string_lossy());
        self.files.iter().map(|f| name(&f.path)).collect()
    }
}

/// Type and value of a key.
pub(crate) fn value_text(value: &Value) -> (String, String) {
    let text = match value {
        Value::U8(v) => v.to_string(),
        Value::I8(v) => v.to_string(),
        Value::U16(v) => v.to_string(),
        Value::I16(v) => v.to_string(),
        Value::U32(v) => v.to_string(),
        Value::I32(v) => v.to_string(),
        Value::U64(v) => v.to_string(),
        Value::I64(v) => v.to_string(),
        Value::F32(v) => format!("{v:?}"),
        Value::F64(v) => format!("{v:?}"),
        Value::Bool(v) => v.to_string(),
        Value::String(v) => string_text(v),
        Value::U8s(v) => numbers(v),
        Value::I8s(v) => numbers(v),
        Value::U16s(v) => numbers(v),
        Value::I16s(v) => numbers(v),
        Value::U32s(v) => numbers(v),
        Value::I32s(v) => numbers(v),
        Value::U64s(v) => numbers(v),
        Value::I64s(v) => numbers(v),
        Value::F32s(v) => numbers(v),
        Value::F64s(v) => numbers(v),
        Value::Bools(v) => numbers(v),
        Value::Strings(v) => list(v.len(), v.iter(), |v| format!("\"{}\"", string_text(v))),
    };
    (value.type_name().to_owned(), text)
}

fn numbers<T: Debug>(values: &[T]) -> String {
    list(values.len(), values.iter(), |v| format!("{v:?}"))
}

/// How many items there are, and the first of them.
fn list<T>(count: usize, values: impl Iterator<Item = T>, show: impl Fn(T) -> String) -> String {
    let mut text = format!("{count}:");
    for (i, value) in values.enumerate() {
        let item = show(value);
        if text.chars().count() + item.chars().count() > VALUE_MAX {
            text.push_str(" …");
            break;
        }
        text.push_str(if i == 0 { " " } else { ", " });
        text.push_str(&item);
    }
    text
}

/// The start of a string, and how long it is if that is not all.
fn string_text(bytes: &[u8]) -> String {
    // A character takes at most four bytes, so this is enough to find where to cut.
    let start = bytes.get(..VALUE_MAX * 4 + 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    match text.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => {
            format!("{}… ({} bytes)", printable(text.get(..end).unwrap_or_default()), bytes.len())
        }
        None => printable(&text),
    }
}
