//! Addresses on the web, as far as following a redirect needs them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Longest address that is followed, in bytes: signed ones have a kilobyte or two.
const LONGEST: usize = 16 << 10;

/// What stays as it is in a part of a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `text` as one part of a path.
pub fn part(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// `text` as a path of several parts.
pub fn path(text: &str) -> String {
    text.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Scheme and host: what a token is for, or is not.
pub fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

/// Where a redirect from `url` to `location` leads.
///
/// # Errors
/// In words, without the address: it may be as good as a password.
pub fn redirected(url: &str, location: &str) -> Result<String, &'static str> {
    if location.len() > LONGEST || !location.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a redirect to what is no address");
    }
    let scheme = url.split_once("://").map_or("https", |(scheme, _)| scheme);
    let target = match location {
        _ if location.starts_with("https://") || location.starts_with("http://") => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{}{location}", origin(url)),
        _ => return Err("a redirect to what is no address"),
    };
    if origin(&target).contains('@') {
        return Err("a redirect with a user's name in it");
    }
    if scheme == "https" && target.starts_with("http://") {
        return Err("a redirect that gives up encryption");
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say_or_nowhere() {
        let at = "https://hub.example:8443/api/models/a/b?x=/y";
        assert_eq!(origin(at), "https://hub.example:8443");
        assert_eq!(origin("http://h?x"), "http://h");
        assert_eq!(redirected(at, "/c/d?e").unwrap(), "https://hub.example:8443/c/d?e");
        assert_eq!(redirected(at, "//cdn.example/f").unwrap(), "https://cdn.example/f");
        assert_eq!(redirected(at, "https://cdn.example/f?s=1").unwrap(), "https://cdn.example/f?s=1");
        for bad in ["http://cdn.example/f", "https://me@cdn.example/", "file:///etc/passwd", "c/d", "/a b"] {
            assert!(redirected(at, bad).is_err(), "{bad}");
        }
        assert_eq!(path("a b/ü#?"), "a%20b/%C3%BC%23%3F");
        assert_eq!(part("refs/pr/1"), "refs%2Fpr%2F1");
    }
}
