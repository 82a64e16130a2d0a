//! A repository at one commit: what is in it, and its files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::address::Address;
use super::blocks::Blocks;
use super::client::{Client, Failure, header};
use super::listing::{Info, Listed, Listing};
use super::problem::refused;
use super::retries::{Reason, Retries};
use super::settings::Settings;
use super::url;
use crate::error::{Error, Result};
use crate::input::bounded;

/// Longest answer about a repository in bytes; a page of a thousand files has some 300 KB.
const ANSWER_MAX: u64 = 16 << 20;

/// Most pages of a list: with a thousand files each, twice what a repository may have.
const MOST_PAGES: usize = 400;

/// Small files that were read are kept, up to as many bytes altogether.
const KEPT_MAX: usize = 32 << 20;

/// A repository on a hub, at the commit that its revision was when it was opened.
#[derive(Debug)]
pub struct Repository {
    /// As it was asked for.
    pub address: Address,
    /// What the hub calls it now.
    pub id: String,
    /// Which state of it is read.
    pub commit: String,
    /// All its files.
    pub files: BTreeMap<PathBuf, Listed>,
    /// Who asks for them.
    pub client: Client,
    /// Parts of large files that were or will be needed.
    pub blocks: Blocks,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: BTreeMap<PathBuf, Arc<[u8]>>,
    bytes: usize,
    heads: BTreeMap<PathBuf, Arc<[u8]>>,
}

impl Repository {
    /// Asks the hub for the commit and the list of files.
    ///
    /// # Errors
    /// [`Error::Usage`] if the hub does not give it, [`Error::Invalid`] if what it says makes no sense, [`Error::Io`] if it
    /// does not answer.
    pub fn open(address: Address, settings: Settings) -> Result<Self> {
        let client = Client::new(settings)?;
        let of_hub = |reason| match reason {
            Reason::Refused(refusal) => refused(&refusal, &address, None, &client.settings),
            Reason::Error(error) => error,
        };
        let nonsense = |problem: String| {
            let problem = format!("the hub's answer makes no sense: {}", bounded(&problem));
            Error::invalid(address.to_string(), problem)
        };
        let api = format!("{}/api/models/{}", client.settings.endpoint, url::path(&address.id));
        let info = format!("{api}/revision/{}", url::part(address.revision()));
        let (json, _) = ask(&client, &info).map_err(of_hub)?;
        let info = Info::parse(&json).map_err(nonsense)?;
        let id = Address::new(&info.id, None)?.id;
        if !id.eq_ignore_ascii_case(&address.id) {
            tracing::warn!("{} is called {id} now", address.id);
        }
        let mut page = Some(format!(
            "{}/api/models/{}/tree/{}?recursive=true&expand=false&limit=1000",
            client.settings.endpoint,
            url::path(&id),
            info.sha
        ));
        let (mut listing, mut pages) = (Listing::default(), 0);
        while let Some(at) = page {
            let (json, next) = ask(&client, &at).map_err(of_hub)?;
            listing.add(&json).map_err(nonsense)?;
            pages += 1;
            if pages == MOST_PAGES {
                return Err(nonsense(format!("its list of files has more than {MOST_PAGES} pages")));
            }
            page = next;
        }
        let files = listing.finish().map_err(nonsense)?;
        tracing::debug!("{address}: commit {}, {} files", info.sha, files.len());
        let (blocks, kept) = (Blocks::default(), Mutex::default());
        Ok(Self { address, id, commit: info.sha, files, client, blocks, kept })
    }

    /// Where the hub gives the file `name`, or says where it is.
    pub fn url(&self, name: &Path) -> String {
        let name = url::path(&name.to_string_lossy());
        format!("{}/{}/resolve/{}/{name}", self.client.settings.endpoint, url::path(&self.id), self.commit)
    }

    /// What to call the file `name` in messages.
    pub fn path(&self, name: &Path) -> PathBuf {
        Path::new(&self.address.to_string()).join(name)
    }

    /// The bytes of a small file that were kept, if they were.
    pub fn kept(&self, name: &Path) -> Option<Arc<[u8]>> {
        self.lock().files.get(name).cloned()
    }

    /// Keeps all bytes of the file `name`, if there is room.
    pub fn keep(&self, name: &Path, bytes: &Arc<[u8]>) {
        let mut kept = self.lock();
        if kept.bytes + bytes.len() <= KEPT_MAX && !kept.files.contains_key(name) {
            kept.bytes += bytes.len();
            kept.files.insert(name.to_owned(), bytes.clone());
        }
    }

    /// The first bytes of the file `name`, if they were kept.
    pub fn head(&self, name: &Path) -> Option<Arc<[u8]>> {
        self.lock().heads.get(name).cloned()
    }

    /// Keeps the first bytes of files until those of others are kept.
    pub fn keep_heads(&self, heads: BTreeMap<PathBuf, Arc<[u8]>>) {
        self.lock().heads = heads;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gets `at`, a document of the hub, and where it goes on.
fn ask(client: &Client, at: &str) -> Result<(Vec<u8>, Option<String>), Reason> {
    let mut retries = Retries::default();
    loop {
        let answer = client.get(at, None, &mut |_, _| Ok(())).and_then(|answer| {
            let link = header(answer.response.headers(), "link").unwrap_or_default();
            let next = next_page(link).map(|next| url::redirected(at, next));
            let home = url::origin(&client.settings.endpoint);
            let elsewhere = || {
                let problem = io::Error::other("its list of files goes on at another host");
                Failure::Final(Error::io("cannot read", home, problem))
            };
            let next = match next {
                Some(Ok(next)) if url::origin(&next) == home => Some(next),
                Some(_) => return Err(elsewhere()),
                None => None,
            };
            Ok((answer.body(ANSWER_MAX)?, next))
        });
        match answer {
            Ok(answer) => return Ok(answer),
            Err(failure) => retries.wait(client, failure)?,
        }
    }
}

/// The address in a `Link` header that leads to the next page (RFC 8288).
fn next_page(link: &str) -> Option<&str> {
    link.split(',').find_map(|link| {
        let (target, parameters) = link.split_once(';')?;
        let is_next = parameters.split(';').any(|p| matches!(p.trim(), r#"rel="next""# | "rel=next"));
        target.trim().strip_prefix('<')?.strip_suffix('>').filter(|_| is_next)
    })
}

#[cfg(test)]
mod tests {
    use super::next_page;

    #[test]
    fn lists_say_where_they_go_on() {
        assert_eq!(next_page(r#"<https://h/a?cursor=x>; rel="next""#), Some("https://h/a?cursor=x"));
        assert_eq!(next_page(r#"<https://h/z>; rel="last", </a>; rel=next"#), Some("/a"));
        assert_eq!(next_page(r#"<https://h/z>; rel="last""#), None);
        assert_eq!(next_page(""), None);
    }
}
