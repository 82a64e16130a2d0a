//! One file of a repository: ranges of it, from where they are, the same file all the time.

mod same;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::blocks::BLOCK;
use super::client::{Answer, Failure, of_body};
use super::listing::Listed;
use super::problem::refused;
use super::repository::Repository;
use super::retries::{Reason, Retries};
use super::url;
use crate::error::{Error, Result};
use crate::hex::hex;

/// Bytes that are taken from a connection at a time.
const PIECE: usize = 128 << 10;

/// What reading the first bytes of a file fetches: most headers of safetensors are shorter.
const HEAD: u64 = 128 << 10;

/// Files that are read whole are kept if they are no longer than this.
const SMALL: u64 = 2 << 20;

/// Longer ranges are fetched in several parts at once, each of this many bytes.
const PART: u64 = 4 << 20;

/// Requests at once for one range, or for the first bytes of many files.
const TOGETHER: usize = 16;

/// A file on a hub. Clones are the same file.
#[derive(Clone, Debug)]
pub struct Remote(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    repository: Arc<Repository>,
    name: PathBuf,
    number: usize,
    listed: Listed,
    place: Mutex<Place>,
}

/// Where the file is, as far as that is known.
#[derive(Debug, Default)]
struct Place {
    /// Where the hub said it is.
    url: Option<String>,
    /// What another host calls its state, and that host.
    etag: Option<(String, String)>,
}

impl Remote {
    /// The file `name` of `repository`, if there is one.
    pub fn new(repository: &Arc<Repository>, name: &Path) -> Option<Self> {
        let (number, (name, listed)) =
            repository.files.iter().enumerate().find(|(_, (path, _))| *path == name)?;
        let (name, listed, place) = (name.clone(), listed.clone(), Mutex::default());
        Some(Self(Arc::new(Inner { repository: repository.clone(), name, number, listed, place })))
    }

    /// Its length in bytes, according to the hub.
    pub fn len(&self) -> u64 {
        self.0.listed.size
    }

    /// Fills `out` from byte `offset` on.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it has become another file, [`Error::Io`], and what the hub has against it.
    pub fn read_at(&self, out: &mut [u8], offset: u64) -> Result<()> {
        let range = self.range(offset, out.len() as u64)?;
        let mut done = 0;
        self.read(range, &mut |bytes| {
            out[done..done + bytes.len()].copy_from_slice(bytes);
            done += bytes.len();
            Ok(())
        })
    }

    /// As [`Remote::read_at`], where what lies around will be needed soon.
    ///
    /// # Errors
    /// As [`Remote::read_at`].
    pub fn read_nearby(&self, out: &mut [u8], offset: u64) -> Result<()> {
        let range = self.range(offset, out.len() as u64)?;
        let mut at = range.start;
        while at < range.end {
            let number = at / BLOCK;
            let block = number * BLOCK..((number + 1) * BLOCK).min(self.len());
            let bytes = self.0.repository.blocks.get((self.0.number, number), || {
                let mut bytes = Vec::with_capacity((block.end - block.start) as usize);
                self.stream(block.clone(), &mut |piece| {
                    bytes.extend_from_slice(piece);
                    Ok(())
                })?;
                Ok(bytes)
            })?;
            let end = range.end.min(block.end);
            let part = &bytes[(at - block.start) as usize..(end - block.start) as usize];
            out[(at - range.start) as usize..(end - range.start) as usize].copy_from_slice(part);
            at = end;
        }
        Ok(())
    }

    /// `len` bytes from `offset` on, which are allocated.
    ///
    /// # Errors
    /// As [`Remote::read_at`].
    pub fn read_range(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        if len <= PART {
            self.read_at(&mut bytes, offset)?;
            return Ok(bytes);
        }
        let parts: Vec<_> = bytes.chunks_mut(PART as usize).zip((offset..).step_by(PART as usize)).collect();
        let parts = Mutex::new(parts.into_iter());
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        together(TOGETHER, &|| {
            while let Some((part, offset)) = next() {
                self.read_at(part, offset)?;
            }
            Ok(())
        })?;
        Ok(bytes)
    }

    /// All of it, which is found to be what the hub says it is. Bound its length before.
    ///
    /// # Errors
    /// As [`Remote::read_at`].
    pub fn read_all(&self) -> Result<Vec<u8>> {
        let Inner { repository, name, listed, .. } = &*self.0;
        if let Some(bytes) = repository.kept(name) {
            return Ok(bytes.to_vec());
        }
        let bytes = self.read_range(0, self.len())?;
        let found = match listed.sha256() {
            Some(_) => hex(&Sha256::digest(&bytes)),
            None => git_blob(&bytes),
        };
        if found != listed.id {
            let problem = format!("expected {}, found a file whose hash is {found}", listed.id);
            return Err(Error::invalid(self.path(), problem).hint("try again; the hub may be at fault"));
        }
        if self.len() <= SMALL {
            repository.keep(name, &bytes.as_slice().into());
        }
        Ok(bytes)
    }

    /// What to call it in messages.
    fn path(&self) -> PathBuf {
        self.0.repository.path(&self.0.name)
    }

    fn range(&self, offset: u64, len: u64) -> Result<Range<u64>> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len());
        end.map(|end| offset..end).ok_or_else(|| {
            let problem =
                format!("expected bytes up to {}, but it has {}", offset.saturating_add(len), self.len());
            Error::invalid(self.path(), problem)
        })
    }

    /// Gives `range` to `sink`; the beginning of a file comes with a little more, which is kept.
    fn read(&self, range: Range<u64>, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let Inner { repository, name, .. } = &*self.0;
        if range.start == 0 && range.end < HEAD.min(self.len()) && repository.head(name).is_none() {
            let head = self.fetch_head()?;
            repository.keep_heads(BTreeMap::from([(name.clone(), head)]));
        }
        let head = repository.head(name).unwrap_or_default();
        let start = range.start.min(head.len() as u64);
        let known = &head[start as usize..range.end.min(head.len() as u64).max(start) as usize];
        if !known.is_empty() {
            sink(known)?;
        }
        self.stream(range.start + known.len() as u64..range.end, sink)
    }

    fn fetch_head(&self) -> Result<Arc<[u8]>> {
        let mut head = Vec::new();
        self.stream(0..HEAD.min(self.len()), &mut |bytes| {
            head.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(head.into())
    }

    /// Gives the bytes of `range` to `sink` as they come, in order, each once; what fails is tried again from there.
    ///
    /// # Errors
    /// As [`Remote::read_at`], and those of `sink`.
    pub fn stream(&self, range: Range<u64>, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let client = &self.0.repository.client;
        let (mut at, mut retries, mut moved) = (range.start, Retries::default(), false);
        while at < range.end {
            let before = at;
            let shortcut = self.place().url.clone();
            let result = self.attempt(shortcut.as_deref(), at..range.end, &mut |bytes| {
                sink(bytes)?;
                at += bytes.len() as u64;
                Ok(())
            });
            let Err(failure) = result else { continue };
            if at > before {
                retries.succeeded();
                moved = false;
            }
            if shortcut.is_some() {
                // Addresses that a hub gives out are good for a while only.
                self.place().url = None;
                if matches!(failure, Failure::Refused(_)) && !std::mem::replace(&mut moved, true) {
                    continue;
                }
            }
            retries.wait(client, failure).map_err(|reason| match reason {
                Reason::Refused(refusal) if refusal.status == 416 => self.changed("it has become shorter"),
                Reason::Refused(refusal) => {
                    let (address, settings) = (&self.0.repository.address, &client.settings);
                    refused(&refusal, address, Some(&self.0.name), settings)
                }
                Reason::Error(error) => error,
            })?;
        }
        Ok(())
    }

    /// Asks once for `range`.
    fn attempt(
        &self,
        shortcut: Option<&str>,
        range: Range<u64>,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<(), Failure> {
        let repository = &self.0.repository;
        let home = repository.url(&self.0.name);
        let url = shortcut.unwrap_or(&home);
        let answer = repository.client.get(url, Some(&range), &mut |url, headers| self.look(url, headers))?;
        self.check_range(&answer, &range)?;
        if url::origin(&answer.url) != url::origin(&home) {
            self.place().url = Some(answer.url.clone());
        }
        let len = range.end - range.start;
        let Answer { url, response } = answer;
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let (mut piece, mut done) = (vec![0; PIECE.min(len as usize)], 0);
        while done < len {
            if ggraft_platform::interrupt::interrupted() {
                return Err(Failure::Final(Error::Interrupted));
            }
            let room = (len - done).min(piece.len() as u64) as usize;
            let got = std::io::Read::read(&mut body, &mut piece[..room]).map_err(|e| of_body(&url, &e))?;
            if got == 0 {
                let problem = format!("{done} of {len} bytes came");
                return Err(Failure::Passing(problem, None));
            }
            sink(&piece[..got])?;
            done += got as u64;
        }
        // The end of the body, so that the connection can be used again.
        _ = std::io::Read::read(&mut body, &mut piece[..1]);
        Ok(())
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Place> {
        self.0.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches the first bytes of the files `names` at the same time, because all of them will be read. Failures are left to who
/// reads them.
pub fn expect(repository: &Arc<Repository>, names: &[PathBuf]) {
    let files = names.iter().filter_map(|name| Some((name, Remote::new(repository, name)?)));
    let (files, heads) = (Mutex::new(files.collect::<Vec<_>>()), Mutex::new(BTreeMap::new()));
    let next = || files.lock().unwrap_or_else(PoisonError::into_inner).pop();
    // As said, failures are left to others.
    _ = together(names.len().min(TOGETHER), &|| {
        while let Some((name, file)) = next() {
            let head = file.fetch_head()?;
            heads.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), head);
        }
        Ok(())
    });
    repository.keep_heads(heads.into_inner().unwrap_or_else(PoisonError::into_inner));
}

/// Has `count` threads do `work`, and answers with the first error of any.
fn together(count: usize, work: &(dyn Fn() -> Result<()> + Sync)) -> Result<()> {
    thread::scope(|scope| {
        let workers: Vec<_> = (1..count).map(|_| scope.spawn(work)).collect();
        let own = work();
        let ended = workers.into_iter().map(|worker| {
            worker.join().unwrap_or_else(|_| Err(Error::Internal("a reader of the hub panicked".into())))
        });
        ended.fold(own, Result::and)
    })
}

/// What Git calls a file with these bytes.
fn git_blob(bytes: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_what_git_calls_them() {
        // `printf 'hello\n' | git hash-object --stdin`
        assert_eq!(git_blob(b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
