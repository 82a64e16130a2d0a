//! Memory to compute in.

/// Memory that is used again and again, by one thread.
#[derive(Default)]
pub struct Buffers {
    /// What is written.
    pub out: Vec<u8>,
    /// What was read.
    pub raw: Vec<u8>,
    /// What was read together with gaps.
    pub scratch: Vec<u8>,
    /// What was read, in the output's order.
    pub rearranged: Vec<u8>,
    /// What was computed.
    pub values: Vec<f32>,
    /// What was computed, in the output's order.
    pub rearranged_values: Vec<f32>,
}

/// The first `len` elements of a buffer, which grows if it must.
pub fn part_of<T: Clone + Default>(buffer: &mut Vec<T>, len: u64) -> &mut [T] {
    let len = len as usize;
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}
