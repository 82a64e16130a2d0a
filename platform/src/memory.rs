//! Memory of this process and this machine.

use std::io;
use std::mem::MaybeUninit;

use crate::sys;

/// Bytes of memory that this process may use and that are free or can be freed without harm, the page cache among
/// them; none if nobody knows. A container's limit counts like the machine's.
pub fn available_memory() -> Option<u64> {
    sys::available_memory()
}

/// Asks for large pages for a buffer that is about to be filled for the first time: one fault for 2 MiB instead
/// of 512. Only a hint.
///
/// # Errors
/// What the operating system says, and `Unsupported` if it has no such pages.
pub fn advise_huge_pages(buffer: &mut [MaybeUninit<u8>]) -> io::Result<()> {
    sys::advise_huge_pages(buffer)
}

/// Has large buffers given back to the system whenever they are freed. Otherwise the C library keeps what is as large as any
/// that was freed before, and fills only some of it again. Only a hint, and to be given before there are threads.
pub fn give_back_large_buffers() {
    sys::give_back_large_buffers();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    fn there_is_memory_and_no_more_than_all() {
        let known = std::fs::read_to_string("/proc/meminfo").unwrap();
        let total = known.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
        let total: u64 = total.trim().trim_end_matches(" kB").parse().unwrap();
        let available = available_memory().unwrap();
        // Whoever runs this has a MiB left.
        assert!((1 << 20..=total << 10).contains(&available), "{available} of {total} KiB");
    }

    #[test]
    fn advice_leaves_buffers_usable() {
        for len in [0, 1, 5 << 20] {
            let mut buffer = Vec::<u8>::with_capacity(len);
            // Kernels without such pages refuse.
            _ = advise_huge_pages(buffer.spare_capacity_mut());
            buffer.resize(len, 7);
            assert!(buffer.iter().all(|byte| *byte == 7));
        }
    }
}
