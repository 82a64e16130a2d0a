//! A Hugging Face hub of our own on loopback, with what can go wrong: lists, redirects to a second host, ranges, tokens,
//! TLS. `huggingface_hub` itself downloads from it, which is its test.
//!
//! Uses nothing of the library: what it says is the tests' input.

// Each test program uses a part of this.
#![allow(dead_code)]

pub mod faults;
pub mod http;
mod repository;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use faults::Faults;
use http::{Answer, Request, Tls};
use repository::Repository;
use serde_json::{Value, json};

/// The only token that opens anything.
pub const TOKEN: &str = "hf_TheTokenThatNobodyMaySee";

/// A running hub.
pub struct Hub {
    state: Arc<State>,
    scheme: &'static str,
    hub: SocketAddr,
    /// The authority that signed its certificate, in PEM.
    pub authority: Option<String>,
}

/// What a hub serves, and how.
#[derive(Default)]
pub struct State {
    repositories: Mutex<HashMap<String, Repository>>,
    renamed: Mutex<HashMap<String, String>>,
    /// What was asked, in order of the answers.
    log: Mutex<Vec<Asked>>,
    pub faults: Faults,
    /// Before every answer, in milliseconds.
    delay: AtomicU64,
    /// Entries on a page of a list.
    page: AtomicU64,
    cdn: Mutex<String>,
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whether the second host was asked.
    pub cdn: bool,
    pub method: String,
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    pub status: u16,
    /// Of the body, as far as it was sent.
    pub bytes: u64,
}

/// Who may read a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    #[default]
    Public,
    /// Nobody else even hears of it.
    Private,
    /// Who has agreed.
    Gated,
}

impl Hub {
    /// A hub without encryption.
    pub fn start() -> Self {
        Self::serve(None, 0)
    }

    /// One with encryption, and an authority of its own.
    pub fn start_tls() -> Self {
        Self::serve(Some(Tls::new()), 0)
    }

    /// One at `port`; 0 is any.
    pub fn serve(tls: Option<Tls>, port: u16) -> Self {
        let state = Arc::new(State::default());
        state.page.store(1000, Ordering::Relaxed);
        let [hub, cdn] = [port, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = hub.local_addr().unwrap();
        // Another name, and another port: nobody can take it for the hub.
        *state.cdn.lock().unwrap() = format!("{scheme}://localhost:{}", cdn.local_addr().unwrap().port());
        let authority = tls.as_ref().map(|tls| tls.authority.clone());
        for (listener, is_cdn) in [(hub, false), (cdn, true)] {
            let (state, tls) = (state.clone(), tls.clone());
            thread::spawn(move || http::listen(&listener, tls.as_ref(), is_cdn, &state));
        }
        Self { state, scheme, hub: address, authority }
    }

    /// For `HF_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.hub.port())
    }

    /// Serves the files in `dir` as the repository `id`.
    pub fn add(&self, id: &str, dir: &Path, access: Access) {
        self.state.repositories.lock().unwrap().insert(id.to_owned(), Repository::of(dir, access));
    }

    /// From now on `old` is called `new`.
    pub fn rename(&self, old: &str, new: &str) {
        self.state.renamed.lock().unwrap().insert(old.to_owned(), new.to_owned());
    }

    /// The commit of `id`.
    pub fn commit(&self, id: &str) -> String {
        self.state.repositories.lock().unwrap()[id].commit.clone()
    }

    /// The SHA-256 of a file of `id`.
    pub fn sha256(&self, id: &str, path: &str) -> String {
        self.state.repositories.lock().unwrap()[id].files[path].sha256.clone()
    }

    /// Changes what the list of `id` says, by `change`.
    pub fn lie(&self, id: &str, change: impl FnOnce(&mut Vec<Value>)) {
        let mut repositories = self.state.repositories.lock().unwrap();
        let repository = repositories.get_mut(id).unwrap();
        let mut entries = repository.entries();
        change(&mut entries);
        repository.lies = Some(entries);
    }

    /// Waits as many milliseconds before every answer.
    pub fn delay(&self, milliseconds: u64) {
        self.state.delay.store(milliseconds, Ordering::Relaxed);
    }

    /// Puts as many entries on a page of a list.
    pub fn page(&self, entries: u64) {
        self.state.page.store(entries, Ordering::Relaxed);
    }

    /// What will go wrong.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// What was asked so far, and forgets it.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.state.log())
    }
}

impl State {
    fn log(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.log.lock().unwrap()
    }

    /// What to answer `request`.
    fn answer(&self, request: &Request, is_cdn: bool) -> Answer {
        thread::sleep(Duration::from_millis(self.delay.load(Ordering::Relaxed)));
        if is_cdn {
            return self.cdn(request);
        }
        let path = request.path();
        if let Some(rest) = path.strip_prefix("/api/models/") {
            return self.api(request, rest);
        }
        match path.trim_start_matches('/').split_once("/resolve/") {
            Some((id, rest)) => self.resolve(request, id, rest),
            None => Answer::refusal(404, "", "not found"),
        }
    }

    /// The repository `id`, for who asks, or what to say instead.
    fn with<R>(&self, id: &str, request: &Request, then: impl FnOnce(&Repository) -> R) -> Result<R, Answer> {
        if let Some(new) = self.renamed.lock().unwrap().get(id) {
            return Err(Answer::redirect(307, &request.target.replacen(id, new, 1)));
        }
        let authorization = request.header("authorization");
        if authorization.is_some_and(|found| found != format!("Bearer {TOKEN}")) {
            // A careless one, which repeats what it was told.
            let said = format!("Invalid credentials: {}", authorization.unwrap_or_default());
            return Err(Answer::refusal(401, "", &said));
        }
        let repositories = self.repositories.lock().unwrap();
        match repositories.get(id) {
            Some(found) if found.access == Access::Gated && authorization.is_none() => {
                Err(Answer::refusal(401, "GatedRepo", "Access to model is restricted."))
            }
            Some(found) if found.access == Access::Public || authorization.is_some() => Ok(then(found)),
            _ => Err(Answer::refusal(401, "RepoNotFound", "Repository not found")),
        }
    }

    fn api(&self, request: &Request, rest: &str) -> Answer {
        let (id, verb, at) = match (rest.split_once("/revision/"), rest.split_once("/tree/")) {
            (Some((id, at)), _) => (id, "revision", at),
            (None, Some((id, at))) => (id, "tree", at),
            (None, None) => (rest, "revision", "main"),
        };
        let page = self.page.load(Ordering::Relaxed) as usize;
        let answer = self.with(id, request, |repository| {
            if !repository.has(&at.replace("%2F", "/")) {
                return Answer::refusal(404, "RevisionNotFound", "Invalid rev id");
            }
            if verb == "revision" {
                return Answer::json(&json!({
                    "id": id, "modelId": id, "sha": repository.commit, "private": false, "gated": false, "disabled": false,
                    "tags": [], "downloads": 0, "likes": 0, "author": "org", "lastModified": "2026-01-01T00:00:00.000Z",
                    "createdAt": "2026-01-01T00:00:00.000Z", "siblings": repository.siblings(),
                }));
            }
            let entries = repository.listed();
            let from: usize = request.query("cursor").and_then(|c| c.parse().ok()).unwrap_or(0);
            let to = (from + page).min(entries.len());
            let mut answer = Answer::json(&Value::Array(entries[from.min(to)..to].to_vec()));
            if to < entries.len() {
                let next = format!("<http://{}{}?recursive=true&cursor={to}>; rel=\"next\"", request.host(), request.path());
                answer.headers.push(("Link".into(), next));
            }
            answer
        });
        answer.unwrap_or_else(|refusal| refusal)
    }

    fn resolve(&self, request: &Request, id: &str, rest: &str) -> Answer {
        let Some((revision, path)) = rest.split_once('/') else { return Answer::refusal(404, "", "") };
        let path = http::decoded(path);
        let cdn = self.cdn.lock().unwrap().clone();
        let answer = self.with(id, request, |repository| {
            if !repository.has(revision) {
                return Answer::refusal(404, "RevisionNotFound", "Invalid rev id");
            }
            let Some(file) = repository.files.get(&path) else {
                return Answer::refusal(404, "EntryNotFound", "Entry not found");
            };
            let commit = ("X-Repo-Commit".to_owned(), repository.commit.clone());
            let mut answer = if file.is_lfs {
                let target = format!(
                    "{cdn}/repos/{id}/{}?path={}&Signature=secret",
                    file.sha256,
                    request.encoded_tail(rest)
                );
                let mut answer = Answer::redirect(302, &target);
                answer.headers.push(("X-Linked-Size".into(), file.size.to_string()));
                answer.headers.push(("X-Linked-ETag".into(), format!("\"{}\"", file.sha256)));
                answer
            } else {
                Answer::file(&file.path, file.size, &file.blob, request)
            };
            answer.headers.push(commit);
            answer
        });
        answer.unwrap_or_else(|refusal| refusal)
    }

    /// The second host: it knows hashes, and takes no tokens.
    fn cdn(&self, request: &Request) -> Answer {
        let sha = request.path().rsplit('/').next().unwrap_or_default().to_owned();
        let repositories = self.repositories.lock().unwrap();
        let files = repositories.values().flat_map(|repository| repository.files.values());
        match files.into_iter().find(|file| file.sha256 == sha) {
            _ if request.header("authorization").is_some() => Answer::refusal(400, "", "two ways to sign"),
            Some(file) => Answer::file(&file.path, file.size, &format!("cdn-{}", &sha[..16]), request),
            None => Answer::refusal(403, "", "expired"),
        }
    }
}
