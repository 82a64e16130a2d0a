//! The tensor types a GGUF file can name, among them those this program never writes. All that is known of a type is
//! here.

/// What ggml knows of one tensor type (`enum ggml_type` and `type_traits` in ggml): elements come
/// in blocks of `block` that take `bytes` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeInfo {
    /// ggml's number for it.
    pub id: u32,
    /// Name in the spelling of gguf-py.
    pub name: &'static str,
    /// Elements per block; a row is a whole number of blocks.
    pub block: u64,
    /// Bytes per block.
    pub bytes: u64,
}

const fn t(id: u32, name: &'static str, block: u64, bytes: u64) -> TypeInfo {
    TypeInfo { id, name, block, bytes }
}

/// Ids that are missing here belong to types that were removed, or to ggml's future.
const TYPES: [TypeInfo; 35] = [
    t(0, "F32", 1, 4),
    t(1, "F16", 1, 2),
    t(2, "Q4_0", 32, 18),
    t(3, "Q4_1", 32, 20),
    t(6, "Q5_0", 32, 22),
    t(7, "Q5_1", 32, 24),
    t(8, "Q8_0", 32, 34),
    t(9, "Q8_1", 32, 36),
    t(10, "Q2_K", 256, 84),
    t(11, "Q3_K", 256, 110),
    t(12, "Q4_K", 256, 144),
    t(13, "Q5_K", 256, 176),
    t(14, "Q6_K", 256, 210),
    t(15, "Q8_K", 256, 292),
    t(16, "IQ2_XXS", 256, 66),
    t(17, "IQ2_XS", 256, 74),
    t(18, "IQ3_XXS", 256, 98),
    t(19, "IQ1_S", 256, 50),
    t(20, "IQ4_NL", 32, 18),
    t(21, "IQ3_S", 256, 110),
    t(22, "IQ2_S", 256, 82),
    t(23, "IQ4_XS", 256, 136),
    t(24, "I8", 1, 1),
    t(25, "I16", 1, 2),
    t(26, "I32", 1, 4),
    t(27, "I64", 1, 8),
    t(28, "F64", 1, 8),
    t(29, "IQ1_M", 256, 56),
    t(30, "BF16", 1, 2),
    t(34, "TQ1_0", 256, 54),
    t(35, "TQ2_0", 256, 66),
    t(39, "MXFP4", 32, 17),
    t(40, "NVFP4", 64, 36),
    t(41, "Q1_0", 128, 18),
    t(42, "Q2_0", 64, 18),
];

impl TypeInfo {
    /// The type with this number, if ggml has it.
    pub fn of(id: u32) -> Option<&'static Self> {
        TYPES.iter().find(|t| t.id == id)
    }

    /// [`TypeInfo::of`] for what is compiled in: a number that is not in the table does not compile.
    pub(crate) const fn known(id: u32) -> &'static Self {
        let mut at = 0;
        while TYPES[at].id != id {
            at += 1;
        }
        &TYPES[at]
    }
}
