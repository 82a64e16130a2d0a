//! Which run of the kernel this is: what was not written to the disk ends with it.

/// A text that is another one after each start of the machine; none if nobody knows.
pub fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn stays_the_same_until_the_next_start() {
        let id = super::boot_id().unwrap();
        assert_eq!(id.len(), 36, "{id}");
        assert_eq!(super::boot_id(), Some(id));
    }
}
