//! Model directories that are repositories on a hub: how one is named, found, and told from a directory of this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hub::{self, Address, Found, Repository, Settings, is_repository};
use super::{Kind, ModelDir, local};
use crate::error::{Error, Result};

/// What flags say about a model on a hub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnHub {
    /// It is on a hub, whatever may be here under that name, and is called what the reference calls it with `--remote`.
    pub remote: bool,
    /// A branch, a tag or a commit.
    pub revision: Option<String>,
}

impl ModelDir {
    /// The model that `model` names: a directory if there is one; otherwise a repository on a hub, if it looks like one.
    ///
    /// # Errors
    /// As [`ModelDir::open`]; [`Error::Usage`] saying why the hub does not give it, [`Error::Invalid`] for nonsense from the hub.
    pub fn find(model: &Path, on_hub: &OnHub) -> Result<Self> {
        let Some(address) = address(model, on_hub)? else {
            return match &on_hub.revision {
                Some(_) => {
                    Err(Error::usage("--revision is for repositories on a hub, and not for directories"))
                }
                None => Self::open(model),
            };
        };
        let mut dir = match found(model, on_hub, address)? {
            Found::Snapshot(snapshot) => {
                tracing::debug!("{}: read from the cache, {}", model.display(), snapshot.display());
                Self::open(&snapshot)?
            }
            Found::Repository(repository) => {
                Self::new(repository.address.to_string().into(), Kind::Hub(repository), Arc::default())
            }
        };
        if on_hub.remote
            && let Some(inner) = Arc::get_mut(&mut dir.0)
        {
            // The reference reads a snapshot, and takes the directory's name for the model's.
            inner.name = match &inner.kind {
                Kind::Hub(repository) => Some(repository.commit.clone()),
                _ => inner.root.file_name().map(|name| name.to_string_lossy().into_owned()),
            };
        }
        Ok(dir)
    }

    /// The repository that `model` names, whatever may be here under that name.
    ///
    /// # Errors
    /// [`Error::Usage`] if that is no name of one.
    pub(crate) fn address(model: &Path, on_hub: &OnHub) -> Result<Address> {
        let address = address(model, &OnHub { remote: true, ..on_hub.clone() })?;
        address.ok_or_else(|| Error::usage(format!("{} is not the name of a repository", model.display())))
    }

    /// The state that the repository `model` on a hub is in now, by a name that it keeps: `hf://org/name@commit`.
    ///
    /// # Errors
    /// As [`ModelDir::find`].
    pub(crate) fn state_on_hub(model: &Path, on_hub: &OnHub) -> Result<String> {
        let address = Self::address(model, on_hub)?;
        let commit = match found(model, on_hub, address.clone())? {
            Found::Snapshot(snapshot) => {
                snapshot.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
            Found::Repository(repository) => repository.commit.clone(),
        };
        Ok(format!("{address}@{commit}"))
    }

    /// The repository at `address`, read from the hub even if this machine has a snapshot of it.
    ///
    /// # Errors
    /// As [`ModelDir::find`].
    pub(crate) fn on_hub(address: Address) -> Result<(Self, Arc<Repository>)> {
        let settings = Settings::from_env()?;
        if settings.offline {
            return Err(Error::usage(format!("{address}: the hub must not be asked (HF_HUB_OFFLINE)")));
        }
        let repository = Arc::new(Repository::open(address, settings)?);
        Ok((
            Self::new(repository.address.to_string().into(), Kind::Hub(repository.clone()), Arc::default()),
            repository,
        ))
    }

    /// Whether `model` names a repository on a hub and not something of this machine.
    ///
    /// # Errors
    /// [`Error::Usage`] for what begins like one and is none.
    pub fn is_on_hub(model: &Path, on_hub: &OnHub) -> Result<bool> {
        address(model, on_hub).map(|address| address.is_some())
    }

    /// Tells that the beginnings of the files `names` will be read, at about the same time.
    pub fn expect(&self, names: &[PathBuf]) {
        if let Kind::Hub(repository) = &self.0.kind {
            hub::expect(repository, names);
        }
    }
}

/// Where the repository at `address` is read, which `model` named.
fn found(model: &Path, on_hub: &OnHub, address: Address) -> Result<Found> {
    let id = address.id.clone();
    hub::find(address, Settings::from_env()?).map_err(|error| match error {
        // Who meant a directory has to hear of that.
        Error::Io { action, path, source } if model.as_os_str() == id.as_str() && !on_hub.remote => {
            let source = std::io::Error::new(source.kind(), format!("{source}; and there is no {id} here"));
            Error::Io { action, path, source }
        }
        error => error,
    })
}

/// The repository on a hub that `model` names, if it does.
fn address(model: &Path, on_hub: &OnHub) -> Result<Option<Address>> {
    let text = model.to_str().unwrap_or_default();
    let explicit = if text.contains("://") {
        let settings = Settings::from_env()?;
        Address::explicit(text, &settings.endpoint)?
    } else {
        None
    };
    let revision = on_hub.revision.clone();
    match explicit {
        Some(Address { revision: Some(_), .. }) if revision.is_some() => {
            Err(Error::usage("the revision is named twice: by --revision, and after the @"))
        }
        Some(address) => Address::new(&address.id, address.revision.or(revision)).map(Some),
        None if on_hub.remote => Address::new(text, revision).map(Some),
        // What cannot be looked at is there.
        None if is_repository(model) && local::is_absent(model) => Address::new(text, revision).map(Some),
        None => Ok(None),
    }
}
