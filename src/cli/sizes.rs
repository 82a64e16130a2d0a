//! Sizes as they are given on the command line: a number, optionally followed by K, M or G, large or small.

/// A size as the reference reads it, in powers of 1000.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, 1000)
}

/// A size in bytes in powers of 1024, as file systems and memory are counted.
pub fn parse_extent(text: &str) -> Result<u64, String> {
    parse(text, 1024)
}

fn parse(text: &str, base: u64) -> Result<u64, String> {
    let power = match text.as_bytes().last().map(u8::to_ascii_uppercase) {
        Some(b'K') => 1,
        Some(b'M') => 2,
        Some(b'G') => 3,
        _ => 0,
    };
    let digits = &text[..text.len() - usize::from(power > 0)];
    let number: u64 = digits.parse().map_err(|_| "expected a number, optionally followed by K, M or G")?;
    number.checked_mul(base.pow(power)).ok_or_else(|| "too large".into())
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_the_references_in_any_case() {
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("300"), Ok(300));
        assert_eq!(parse_size("2G"), Ok(2_000_000_000));
        assert_eq!(parse_size("5M"), Ok(5_000_000));
        assert_eq!(parse_size("2k"), Ok(2_000));
        for bad in ["", "G", "-1", "1.5G", "99999999999G", "1KiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
