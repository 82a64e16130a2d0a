//! Reads the pickle of a `torch.save`d state dict: names, types, shapes, places in storages.
//!
//! A pickle is a program. This machine runs only what builds tensors from storages; it calls nothing,
//! imports nothing, and refuses whatever it does not know. It knows nothing of the zip file around it.

mod calls;

use std::collections::HashMap;

use crate::dtype::Dtype;
use crate::shape::Shape;
use calls::{Global, global};

/// A tensor as the pickle describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct PickledTensor {
    /// Name in the state dict.
    pub name: String,
    /// Which storage holds its elements: the name of an entry of the zip file.
    pub storage: String,
    /// Element type.
    pub dtype: Dtype,
    /// First element, counted from the storage's start.
    pub offset: u64,
    /// Dimensions, outermost first.
    pub shape: Shape,
}

/// Why a pickle cannot be read.
#[derive(Debug, PartialEq)]
pub enum PickleError {
    /// It is damaged, or no state dict.
    Invalid(String),
    /// It is more than a state dict of plain tensors.
    Unsupported(String),
}

type Result<T, E = PickleError> = std::result::Result<T, E>;

/// More than a state dict of two hundred thousand tensors needs, which has some twelve for each.
const MOST_VALUES: usize = 1 << 22;

/// Longest name of a tensor or a storage, in bytes. Real ones stay under 200. A pickle can name one a million
/// times without repeating it.
const LONGEST_NAME: usize = 1024;

/// A value on the stack. Everything of variable size lies in the machine's arenas.
#[derive(Clone, Copy, Debug)]
enum Value {
    None,
    Bool,
    Int(i64),
    /// Index into `strings`.
    Text(usize),
    /// Index into `tuples`.
    Tuple(usize),
    /// Index into `dicts`.
    Dict(usize),
    /// Lists occur only where nobody looks.
    List,
    /// Index into `storages`.
    Storage(usize),
    /// Index into `tensors`.
    Tensor(usize),
    Global(Global),
}

#[derive(Default)]
struct Machine {
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    strings: Vec<String>,
    tuples: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    storages: Vec<(Dtype, usize)>,
    tensors: Vec<(usize, Dtype, u64, Vec<u64>)>,
    /// Values in tuples, dicts and shapes.
    held: usize,
}

/// The tensors of the state dict that `bytes` describe, in its order.
///
/// # Errors
/// If the bytes are no state dict of plain tensors.
pub fn state_dict(bytes: &[u8]) -> Result<Vec<PickledTensor>> {
    let mut machine = Machine::default();
    let root = machine.run(&mut Input { rest: bytes })?;
    let Value::Dict(root) = root else {
        return Err(unsupported("it holds no state dict but something else"));
    };
    let entries = machine.dicts.get(root).map(Vec::as_slice).unwrap_or_default();
    let mut tensors = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let name = machine.text(*key)?;
        let Value::Tensor(tensor) = value else {
            return Err(unsupported(&format!("entry {name:?} is no tensor; save the state dict alone")));
        };
        let Some((storage, dtype, offset, shape)) = machine.tensors.get(*tensor) else { continue };
        let Some(&(_, key)) = machine.storages.get(*storage) else { continue };
        let storage = machine.text(Value::Text(key))?;
        tensors.push(PickledTensor {
            name,
            storage,
            dtype: *dtype,
            offset: *offset,
            shape: Shape::from_slice(shape),
        });
    }
    Ok(tensors)
}

impl Machine {
    /// Runs until the end of the program, and gives what it leaves. Long, because it is a table: one arm an instruction.
    fn run(&mut self, input: &mut Input) -> Result<Value> {
        loop {
            if self.values() > MOST_VALUES {
                return Err(invalid("it has more values than any state dict"));
            }
            match input.byte()? {
                // PROTO, FRAME, MEMOIZE
                0x80 => drop(input.byte()?),
                0x95 => drop(input.bytes::<8>()?),
                0x94 => {
                    let next = u32::try_from(self.memo.len()).map_err(|_| invalid("its memo is too long"))?;
                    self.remember(next)?;
                }
                b'.' => return self.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'N' => self.stack.push(Value::None),
                0x88 | 0x89 => self.stack.push(Value::Bool),
                b'K' => self.int(input.byte()?.into()),
                b'M' => self.int(u16::from_le_bytes(input.bytes()?).into()),
                b'J' => self.int(i32::from_le_bytes(input.bytes()?).into()),
                0x8a => {
                    let len = input.byte()?;
                    let number = long(input.take(len.into())?)?;
                    self.int(number);
                }
                b'X' => {
                    let len = u32::from_le_bytes(input.bytes()?);
                    self.push_text(input.take(len as usize)?)?;
                }
                0x8c => {
                    let len = input.byte()?;
                    self.push_text(input.take(len.into())?)?;
                }
                b'c' => {
                    let (module, name) = (input.line()?, input.line()?);
                    self.stack.push(Value::Global(global(module, name)?));
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (module, name) = (self.text(module)?, self.text(name)?);
                    self.stack.push(Value::Global(global(&module, &name)?));
                }
                b'q' => self.remember(input.byte()?.into())?,
                b'r' => self.remember(u32::from_le_bytes(input.bytes()?))?,
                b'h' => self.recall(input.byte()?.into())?,
                b'j' => self.recall(u32::from_le_bytes(input.bytes()?))?,
                b')' => self.tuple(Vec::new()),
                0x85 => self.tuple_of(1)?,
                0x86 => self.tuple_of(2)?,
                0x87 => self.tuple_of(3)?,
                b't' => {
                    let items = self.since_mark()?;
                    self.tuple(items);
                }
                b'}' => self.dict(),
                b']' => self.stack.push(Value::List),
                b'a' => drop(self.pop()?),
                b'e' => drop(self.since_mark()?),
                b's' => {
                    let items = [self.pop()?, self.pop()?];
                    self.insert(&[items[1], items[0]])?;
                }
                b'u' => {
                    let items = self.since_mark()?;
                    self.insert(&items)?;
                }
                b'R' => self.reduce()?,
                // BUILD: attributes of an object, such as a state dict's versions.
                b'b' => drop(self.pop()?),
                b'Q' => self.persistent()?,
                other => {
                    return Err(unsupported(&format!(
                        "its instruction {other:#04x} is none that state dicts need"
                    )));
                }
            }
        }
    }

    /// Everything that takes memory, counted.
    fn values(&self) -> usize {
        let Self { stack, marks, memo, strings, tuples, dicts, storages, tensors, held } = self;
        // A memo takes twice as much as the others.
        let lists = [stack.len(), marks.len(), 2 * memo.len(), strings.len(), tuples.len(), dicts.len()];
        lists.iter().sum::<usize>() + storages.len() + tensors.len() + held
    }

    fn pop(&mut self) -> Result<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(value) if self.stack.len() >= floor => Ok(value),
            _ => Err(invalid("it takes a value that is not there")),
        }
    }

    fn since_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().ok_or_else(|| invalid("it goes back to a mark that is not there"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn int(&mut self, value: i64) {
        self.stack.push(Value::Int(value));
    }

    fn push_text(&mut self, bytes: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(bytes).map_err(|_| invalid("it has text that is not UTF-8"))?;
        self.stack.push(Value::Text(self.strings.len()));
        self.strings.push(text.to_owned());
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Result<()> {
        let value = *self.stack.last().ok_or_else(|| invalid("it remembers nothing"))?;
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<()> {
        let value = *self.memo.get(&place).ok_or_else(|| invalid("it recalls what it did not remember"))?;
        self.stack.push(value);
        Ok(())
    }

    fn tuple(&mut self, items: Vec<Value>) {
        self.held += items.len();
        self.stack.push(Value::Tuple(self.tuples.len()));
        self.tuples.push(items);
    }

    fn tuple_of(&mut self, len: usize) -> Result<()> {
        let mut items = (0..len).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        items.reverse();
        self.tuple(items);
        Ok(())
    }

    fn dict(&mut self) {
        self.stack.push(Value::Dict(self.dicts.len()));
        self.dicts.push(Vec::new());
    }

    /// Adds keys and values, in turn, to the dict on top of the stack.
    fn insert(&mut self, items: &[Value]) -> Result<()> {
        let (pairs, rest) = items.as_chunks::<2>();
        let dict = match self.stack.last() {
            Some(Value::Dict(dict)) => self.dicts.get_mut(*dict),
            _ => None,
        };
        let dict = dict.filter(|_| rest.is_empty()).ok_or_else(|| invalid("it adds entries to no dict"))?;
        dict.extend(pairs.iter().map(|[key, value]| (*key, *value)));
        self.held += items.len();
        Ok(())
    }

    fn items(&self, value: Value) -> Result<&[Value]> {
        match value {
            Value::Tuple(tuple) => Ok(self.tuples.get(tuple).map(Vec::as_slice).unwrap_or_default()),
            _ => Err(invalid("it has something else where a tuple should be")),
        }
    }

    fn text(&self, value: Value) -> Result<String> {
        match value {
            Value::Text(text) => {
                let text = self.strings.get(text).map(String::as_str).unwrap_or_default();
                if text.len() > LONGEST_NAME {
                    let found = text.len();
                    return Err(invalid(&format!(
                        "a name has {found} bytes, expected at most {LONGEST_NAME}"
                    )));
                }
                Ok(text.to_owned())
            }
            _ => Err(invalid("it has something else where text should be")),
        }
    }
}

/// A little-endian integer of up to eight bytes.
fn long(bytes: &[u8]) -> Result<i64> {
    let fill = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let mut number = [if fill { 0xff } else { 0 }; 8];
    let place =
        number.get_mut(..bytes.len()).ok_or_else(|| invalid("it has a number of more than 64 bits"))?;
    place.copy_from_slice(bytes);
    Ok(i64::from_le_bytes(number))
}

fn invalid(problem: &str) -> PickleError {
    PickleError::Invalid(problem.to_owned())
}

fn unsupported(problem: &str) -> PickleError {
    PickleError::Unsupported(problem.to_owned())
}

/// The rest of the program.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(|| invalid("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| invalid("it ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    /// Text up to the end of the line.
    fn line(&mut self) -> Result<&'a str> {
        let end = self.rest.iter().position(|b| *b == b'\n').ok_or_else(|| invalid("it ends too early"))?;
        let line = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| invalid("it has a name that is not UTF-8"))
    }
}
