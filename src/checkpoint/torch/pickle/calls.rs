//! The few functions and types of PyTorch that a state dict names, and what becomes of calls to them: none is made, they only
//! say where a tensor lies.

use super::{Machine, Result, Value, invalid, unsupported};
use crate::dtype::Dtype;

/// Most dimensions of a tensor; PyTorch's own limit.
const MOST_DIMENSIONS: usize = 64;

/// What a pickle may name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// Of an element type that storages know nothing of: it is named with the tensor.
    RebuildTyped,
    Size,
    Storage(Dtype),
    ElementType(Dtype),
}

/// What `module.name` stands for.
pub(super) fn global(module: &str, name: &str) -> Result<Global> {
    let storage = match name {
        "DoubleStorage" => Some(Dtype::F64),
        "FloatStorage" => Some(Dtype::F32),
        "HalfStorage" => Some(Dtype::F16),
        "BFloat16Storage" => Some(Dtype::BF16),
        "LongStorage" => Some(Dtype::I64),
        "IntStorage" => Some(Dtype::I32),
        "ShortStorage" => Some(Dtype::I16),
        "CharStorage" => Some(Dtype::I8),
        "ByteStorage" => Some(Dtype::U8),
        "BoolStorage" => Some(Dtype::Bool),
        _ => None,
    };
    let element = match name {
        "float8_e4m3fn" => Some(Dtype::F8E4M3),
        "float8_e5m2" => Some(Dtype::F8E5M2),
        "float8_e8m0fnu" => Some(Dtype::F8E8M0),
        "uint16" => Some(Dtype::U16),
        "uint32" => Some(Dtype::U32),
        "uint64" => Some(Dtype::U64),
        _ => None,
    };
    match (module, name, storage.or(element)) {
        ("torch", _, Some(dtype)) if storage.is_some() => Ok(Global::Storage(dtype)),
        ("torch", _, Some(dtype)) => Ok(Global::ElementType(dtype)),
        ("torch.storage", "UntypedStorage", _) => Ok(Global::Storage(Dtype::U8)),
        ("torch._utils", "_rebuild_tensor_v3", _) => Ok(Global::RebuildTyped),
        ("torch", "Size", _) => Ok(Global::Size),
        ("collections", "OrderedDict", _) => Ok(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2", _) => Ok(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter", _) => Ok(Global::RebuildParameter),
        _ => {
            let name: String = format!("{module}.{name}").chars().take(80).collect();
            Err(unsupported(&format!(
                "it names {name:?}, which a state dict does not need and which is not loaded"
            )))
        }
    }
}

impl Machine {
    /// A call: of one of the few functions that there are.
    pub(super) fn reduce(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        // No function looks at more of them; copying all, again and again, could take for ever.
        let all = self.items(arguments)?;
        let mut arguments = [Value::None; 8];
        let count = all.len().min(arguments.len());
        arguments[..count].copy_from_slice(&all[..count]);
        let result = match (function, &arguments[..count]) {
            (Value::Global(Global::OrderedDict), []) => {
                self.dict();
                return Ok(());
            }
            (
                Value::Global(Global::RebuildTensor),
                [Value::Storage(storage), Value::Int(offset), shape, strides, ..],
            ) => {
                let dtype = self.storages.get(*storage).map_or(Dtype::U8, |(dtype, _)| *dtype);
                self.rebuild(*storage, dtype, *offset, *shape, *strides)?
            }
            (
                Value::Global(Global::RebuildTyped),
                [
                    Value::Storage(storage),
                    Value::Int(offset),
                    shape,
                    strides,
                    _,
                    _,
                    Value::Global(Global::ElementType(dtype)),
                    ..,
                ],
            ) => self.rebuild(*storage, *dtype, *offset, *shape, *strides)?,
            (Value::Global(Global::RebuildParameter), [tensor @ Value::Tensor(_), ..]) => *tensor,
            (Value::Global(Global::Size), [tuple @ Value::Tuple(_)]) => *tuple,
            _ => return Err(unsupported("it calls a function that state dicts do not need")),
        };
        self.stack.push(result);
        Ok(())
    }

    fn rebuild(
        &mut self,
        storage: usize,
        dtype: Dtype,
        offset: i64,
        shape: Value,
        strides: Value,
    ) -> Result<Value> {
        let (shape, strides) = (self.dimensions(shape)?, self.dimensions(strides)?);
        let offset = u64::try_from(offset).map_err(|_| invalid("a tensor starts before its storage"))?;
        let mut expected = Some(1u64);
        let mut contiguous = shape.len() == strides.len();
        for (len, stride) in shape.iter().zip(&strides).rev() {
            contiguous &= *len == 1 || expected == Some(*stride);
            expected = expected.and_then(|n| n.checked_mul(*len));
        }
        if !contiguous && !shape.contains(&0) {
            return Err(unsupported(&format!(
                "it holds a tensor of shape {shape:?} whose rows do not follow each other (strides {strides:?}); \
                 call .contiguous() on it before saving"
            )));
        }
        self.held += shape.len();
        self.tensors.push((storage, dtype, offset, shape));
        Ok(Value::Tensor(self.tensors.len() - 1))
    }

    /// A storage: `("storage", type, key, location, elements)`.
    pub(super) fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let (dtype, key) = match self.items(id)? {
            [Value::Text(kind), Value::Global(Global::Storage(dtype)), Value::Text(key), ..]
                if self.strings.get(*kind).is_some_and(|kind| kind == "storage") =>
            {
                (*dtype, *key)
            }
            _ => return Err(unsupported("it refers to something outside that is no storage")),
        };
        self.stack.push(Value::Storage(self.storages.len()));
        self.storages.push((dtype, key));
        Ok(())
    }

    fn dimensions(&self, value: Value) -> Result<Vec<u64>> {
        let number = |value: &Value| match value {
            Value::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        };
        let items = self.items(value)?;
        if items.len() > MOST_DIMENSIONS {
            let found = items.len();
            return Err(invalid(&format!(
                "a tensor has {found} dimensions, expected at most {MOST_DIMENSIONS}"
            )));
        }
        let items = items.iter().map(number).collect::<Option<Vec<_>>>();
        items.ok_or_else(|| invalid("a tensor's shape is not made of numbers"))
    }
}
