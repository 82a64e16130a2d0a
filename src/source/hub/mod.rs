//! Models on a Hugging Face hub: a repository at one commit, listed once, and ranges of its files over HTTP.
//!
//! Whatever a hub says is a stranger's word: names, sizes, lengths, redirects and answers are checked and bounded. Knows
//! nothing of what the files mean. `docs/hub.md` says what is asked of whom.

mod address;
mod blocks;
mod cache;
mod client;
mod listing;
mod problem;
mod remote;
mod repository;
mod retries;
mod settings;
mod url;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use address::{Address, is_repository};
pub use cache::is_wanted;
pub use listing::Listed;
pub use remote::{Remote, expect};
pub use repository::Repository;
pub use settings::Settings;

use crate::error::{Error, Result};

/// The snapshot of the repository `id` that this machine's cache has of its main branch; none if it has none.
///
/// # Errors
/// As [`Settings::from_env`].
pub fn cached(id: &str) -> Result<Option<PathBuf>> {
    if !is_repository(Path::new(id)) {
        return Ok(None);
    }
    let address = Address::new(id, None)?;
    Ok(cache::last_seen(&Settings::from_env()?.cache, &address))
}

/// Where the files of a repository are read.
#[derive(Debug)]
pub enum Found {
    /// In a snapshot that this machine has.
    Snapshot(PathBuf),
    /// From the hub.
    Repository(Arc<Repository>),
}

/// Finds the repository at `address`: what the Hugging Face cache has of that commit if it has all of it, else the hub.
///
/// # Errors
/// As [`Repository::open`]; [`Error::Usage`] where the hub must not be asked and the cache does not have it.
pub fn find(address: Address, settings: Settings) -> Result<Found> {
    let cache = settings.cache.clone();
    let seen = cache::last_seen(&cache, &address);
    if settings.offline {
        let missing = || {
            let problem = format!(
                "{address}: the hub must not be asked (HF_HUB_OFFLINE), and the cache does not have it"
            );
            Error::usage(problem)
                .about(address.to_string())
                .hint(format!("the cache is {}; unset HF_HUB_OFFLINE, or name a directory", cache.display()))
        };
        return seen.map(Found::Snapshot).ok_or_else(missing);
    }
    let repository = match (Repository::open(address.clone(), settings), seen) {
        (Ok(repository), _) => repository,
        (Err(error @ Error::Io { .. }), Some(snapshot)) => {
            tracing::warn!("{error}; what the cache has of {address} is taken for the newest");
            return Ok(Found::Snapshot(snapshot));
        }
        (Err(error), _) => return Err(error),
    };
    let snapshot = cache::snapshot(&cache, &address, &repository.commit);
    match snapshot.filter(|dir| cache::is_complete(dir, &repository.files)) {
        Some(snapshot) => Ok(Found::Snapshot(snapshot)),
        None => Ok(Found::Repository(Arc::new(repository))),
    }
}
