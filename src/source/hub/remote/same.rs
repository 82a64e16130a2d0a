//! Whether an answer is what was asked for, of the file that was listed, and in the state that it was in before.

use std::ops::Range;

use ureq::http::HeaderMap;

use super::super::client::{Answer, Failure, header};
use super::super::url;
use super::Remote;
use crate::error::{Error, Result};

impl Remote {
    /// Makes sure that an answer is `range` of a file of the length that was listed.
    pub(super) fn check_range(&self, answer: &Answer, range: &Range<u64>) -> Result<(), Failure> {
        let headers = answer.response.headers();
        let total = if answer.response.status().as_u16() == 206 {
            let text = header(headers, "content-range").unwrap_or_default();
            let found = content_range(text);
            match found {
                Some((first, last, total)) if (first, last + 1) == (range.start, range.end) => total,
                _ => {
                    let problem = format!("asked for {range:?}, got {:?}", crate::input::bounded(text));
                    return Err(Failure::Passing(problem, None));
                }
            }
        } else {
            let whole = *range == (0..self.len());
            let len = header(headers, "content-length").and_then(|len| len.parse().ok());
            match whole {
                true => len.unwrap_or(self.len()),
                false => {
                    let problem = "the hub sends files whole only, and not parts of them";
                    return Err(Failure::Final(Error::unsupported(problem).at(self.path())));
                }
            }
        };
        match total == self.len() {
            true => Ok(()),
            false => Err(Failure::Final(
                self.changed(&format!("it was listed with {} bytes and has {total}", self.len())),
            )),
        }
    }

    /// Makes sure that an answer is about the same state of the file as ever.
    pub(super) fn look(&self, url: &str, headers: &HeaderMap) -> Result<(), Failure> {
        let repository = &self.0.repository;
        let changed = |what: &str| Err(Failure::Final(self.changed(what)));
        let etag = |name| header(headers, name).map(|etag| etag.trim_matches('"'));
        if url::origin(url) == url::origin(&repository.client.settings.endpoint) {
            // A hash of another kind cannot be compared.
            let id = &self.0.listed.id;
            let known = etag("x-linked-etag").or(etag("etag")).filter(|etag| etag.len() == id.len());
            let size = header(headers, "x-linked-size").and_then(|size| size.parse::<u64>().ok());
            return match (known, size, header(headers, "x-repo-commit")) {
                (Some(etag), ..) if etag != id => changed("the hub has another file there now"),
                (_, Some(size), _) if size != self.len() => changed("the hub has another file there now"),
                (_, _, Some(commit)) if commit != repository.commit => {
                    changed("the hub gives another commit")
                }
                _ => Ok(()),
            };
        }
        let Some(etag) = etag("etag").filter(|etag| !etag.is_empty() && !etag.starts_with("W/")) else {
            return Ok(());
        };
        let (mut place, host) = (self.place(), url::origin(url));
        match &place.etag {
            Some((known, at)) if at == host && known != etag => {
                drop(place);
                changed("where the hub keeps it, it is another file now")
            }
            Some((_, at)) if at == host => Ok(()),
            _ => {
                place.etag = Some((etag.to_owned(), host.to_owned()));
                Ok(())
            }
        }
    }

    pub(super) fn changed(&self, what: &str) -> Error {
        let problem = format!("was changed while it was being read: {what}; nothing was written");
        Error::invalid(self.path(), problem).hint("try again")
    }
}

/// `bytes first-last/total` (RFC 9110).
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total): (u64, u64, u64) =
        (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some((first, last, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_written() {
        assert_eq!(content_range("bytes 0-9/10"), Some((0, 9, 10)));
        for bad in ["bytes 0-9/*", "bytes 9-0/10", "bytes 0-10/10", "0-9/10", "", "bytes -1-9/10"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
