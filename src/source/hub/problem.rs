//! What to say where a hub does not give what was asked for.

use std::path::Path;

use super::address::Address;
use super::client::{Refusal, host};
use super::settings::Settings;
use crate::error::Error;

/// What to say of a `refusal` of the repository at `address`, or of its file `name`.
pub fn refused(refusal: &Refusal, address: &Address, name: Option<&Path>, settings: &Settings) -> Error {
    let (id, hub) = (&address.id, host(&settings.endpoint));
    let place = Path::new(&address.to_string()).join(name.unwrap_or(Path::new("")));
    let error = |problem: String| Error::usage(problem).about(&place);
    let has_token = settings.token.is_some();
    match (refusal.code.as_str(), refusal.status) {
        ("GatedRepo", _) => {
            let page = format!("{}/{id}", settings.endpoint);
            let error = error(format!("{id} is gated: who reads it has to agree to its conditions first"))
                .hint(format!("agree to them at {page}, and wait until you are let in"));
            match has_token {
                true => error.hint("the token that was sent must be of the account that agreed"),
                false => error.hint(LOG_IN),
            }
        }
        ("RevisionNotFound", _) => error(format!("{id} has no revision {:?}", address.revision()))
            .hint("name a branch, a tag or a commit that it has, or leave the revision out"),
        ("EntryNotFound", _) => Error::invalid(&place, "is listed, but the hub does not have it"),
        ("DisabledRepo", _) => error(format!("{id} was disabled by {hub}")),
        ("RepoNotFound", _) | ("", 404) => not_found(error, id, hub, has_token),
        (_, 401) if has_token => {
            error(format!("{hub} does not accept the token that was sent{}", said(refusal)))
                .hint("HF_TOKEN or `hf auth login` sets another one; unset it for what is public")
        }
        (_, 401) => not_found(error, id, hub, false),
        (_, 403) => {
            error(format!("{hub} does not let you read {id}{}", said(refusal))).hint(match has_token {
                true => "the token that was sent may not read it",
                false => LOG_IN,
            })
        }
        (_, status) => error(format!("{hub} answered {status} for {id}{}", said(refusal))),
    }
}

/// What helps where the hub does not know who asks.
const LOG_IN: &str = "log in with `hf auth login`, or set HF_TOKEN";

fn not_found(error: impl Fn(String) -> Error, id: &str, hub: &str, has_token: bool) -> Error {
    let error = error(format!(
        "{id}: {hub} has no such repository, or it is private; and there is nothing of that name here"
    ))
    .hint("mind its spelling: organization/name for a repository, or a path for a directory");
    error.hint(match has_token {
        true => "if it is private, the token that was sent may not read it",
        false => "if it is private: log in with `hf auth login`, or set HF_TOKEN",
    })
}

fn said(refusal: &Refusal) -> String {
    match refusal.message.as_str() {
        "" => String::new(),
        message => format!(": {message}"),
    }
}
