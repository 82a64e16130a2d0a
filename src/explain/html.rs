//! A plan as one page that needs nothing but a browser: no other file, no network.
//!
//! Everything about the model travels as JSON in a script element that is never run, and the page's
//! script shows it as text, never as markup. So a name cannot become part of the page, whatever it says.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::tiles::{Tile, tiles};
use super::{Explanation, Fate, fates};
use crate::advice::aligning;
use crate::input::{shell_word, steers_a_terminal};
use crate::plan::{Kind, Output};
use crate::write::{Bytes, Shortfall};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// What the page shows; `page.js` reads it.
#[derive(Serialize)]
struct Data<'a> {
    /// What it is called.
    title: String,
    /// Where it is.
    model: Cow<'a, str>,
    /// The same as a word for a shell, for commands to copy.
    word: String,
    block: u64,
    /// Ids of [`Kind`]; tiles refer to them by index.
    kinds: [&'static str; Kind::ALL.len()],
    /// The command that aligns the checkpoint.
    align: String,
    sources: Vec<Cow<'a, str>>,
    bytes: Value,
    /// In how many extents what is shared lies.
    extents: u64,
    reasons: Vec<Value>,
    /// Whether any source can share blocks with the output.
    refusal: Option<&'a str>,
    advice: Vec<Value>,
    outputs: Vec<File<'a>>,
}

#[derive(Serialize)]
struct File<'a> {
    path: Cow<'a, str>,
    bytes: u64,
    data_start: u64,
    alignment: u64,
    totals: Value,
    tensors: Vec<Tensor<'a>>,
    tiles: Vec<Drawn>,
}

/// Name, type, shape, offset, bytes, main reason why it is not shared.
#[derive(Serialize)]
struct Tensor<'a>(&'a str, &'static str, &'a [u64], u64, u64, Option<&'static str>);

/// A tile; where it starts follows from those before it.
#[derive(Serialize)]
#[serde(untagged)]
enum Drawn {
    /// Length, kind, source file, offset in it, reason.
    One(u64, usize, Option<usize>, Option<u64>, Option<&'static str>),
    /// Bytes by kind, source file of the first step, number of steps.
    Many([u64; Kind::ALL.len()], Option<usize>, u64),
}

impl Explanation<'_> {
    /// Writes the page.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_html(&self, out: &mut impl Write) -> io::Result<()> {
        let outputs = self.plan.outputs.iter().zip(tiles(self.plan));
        let dir = &self.checkpoint.dir;
        let model = dir.path().to_string_lossy();
        let word = shell_word(&model);
        let data = Data {
            // A name that is not Unicode keeps nobody from looking at the page.
            title: dir.name().unwrap_or_else(|_| model.clone().into_owned()),
            block: self.plan.block,
            kinds: Kind::ALL.map(Kind::id),
            align: aligning(&word),
            word,
            model,
            sources: self.plan.sources.iter().map(|path| file_name(path)).collect(),
            bytes: self.report.bytes.to_json(),
            extents: self.plan.shared().1,
            reasons: self.report.reasons.iter().map(Shortfall::to_json).collect(),
            refusal: self.plan.refusal.as_deref(),
            advice: self.advice.to_json(),
            outputs: outputs.map(|(output, tiles)| file(output, &tiles)).collect(),
        };
        let data = serde_json::to_string(&data)?;
        // The template has each mark once, in this order; what replaces one is not searched for the next.
        let mut rest = PAGE;
        let parts =
            [("/*STYLE*/", Cow::from(STYLE)), ("/*DATA*/", inert(&data)), ("/*SCRIPT*/", SCRIPT.into())];
        for (mark, text) in parts {
            let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
            out.write_all(before.as_bytes())?;
            out.write_all(text.as_bytes())?;
            rest = after;
        }
        out.write_all(rest.as_bytes())
    }
}

fn file<'a>(output: &'a Output, tiles: &[Tile]) -> File<'a> {
    let reason = |fate: Fate| fate.reason.map(|(reason, _)| reason.id());
    let fates = fates(output).into_iter().map(reason);
    let tensors = output.tensors.iter().zip(fates);
    let tensors = tensors.map(|(t, why)| Tensor(&t.name, t.dtype, &t.shape, t.offset, t.len, why));
    let tiles = tiles.iter().map(|tile| match tile {
        Tile::One(step, kind) => {
            let (file, offset) = step.source().unzip();
            Drawn::One(step.len, *kind as usize, file, offset, step.reason.map(|r| r.id()))
        }
        Tile::Many { steps, bytes, first } => {
            Drawn::Many(*bytes, first.source().map(|(file, _)| file), *steps)
        }
    });
    File {
        path: file_name(&output.path),
        bytes: output.len,
        data_start: output.data_start,
        alignment: output.alignment,
        totals: Bytes::of(output).to_json(),
        tensors: tensors.collect(),
        tiles: tiles.collect(),
    }
}

fn file_name(path: &std::path::Path) -> Cow<'_, str> {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy()
}

/// JSON that stays data inside a script element: nothing in it can end the element or begin a comment.
/// The characters it escapes occur in JSON only within strings.
fn inert(json: &str) -> Cow<'_, str> {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            // Shown as an escape: a name must not turn the text around it.
            _ if steers_a_terminal(c) => out.push_str(&format!("\\\\u{{{:x}}}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.into()
}
