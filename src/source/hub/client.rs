//! Asks a hub over HTTP: follows redirects, sends the token to nobody else, and tells what may pass from what will not.
//!
//! Knows nothing of repositories.

use std::fs;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use ggraft_platform::interrupt;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::settings::Settings;
use super::url;
use crate::error::{Error, Result};
use crate::input::{bounded, one_line};

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(15);

/// More redirects than this lead nowhere.
const REDIRECTS: usize = 8;

/// What comes with a redirect or a refusal is read up to this many bytes.
const ASIDE: u64 = 64 << 10;

/// Connections that are kept for the next request.
const KEPT: usize = 64;

/// How often to look for signals.
const TICK: Duration = Duration::from_millis(50);

/// Longest file of certificates in bytes.
const CERTIFICATES_MAX: u64 = 16 << 20;

/// Someone who asks a hub.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    /// Where the hub is, and who asks.
    pub settings: Arc<Settings>,
    /// Whether there ever was an answer.
    answered: Arc<AtomicBool>,
}

/// An answer that is what was asked for.
pub struct Answer {
    /// From where it came in the end.
    pub url: String,
    /// Status, headers and body.
    pub response: Response<Body>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// It may be there next time, after this long if the hub said so.
    Passing(String, Option<Duration>),
    /// The hub will not give it.
    Refused(Refusal),
    /// Something else is wrong.
    Final(Error),
}

/// What the hub says when it will not.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The hub's word for it, such as `GatedRepo`; may be empty.
    pub code: String,
    /// Its sentence, without the token and in one short line; may be empty.
    pub message: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Looks at every answer on the way, redirects included: from where it came, and its headers.
pub type Look<'a> = &'a mut dyn FnMut(&str, &HeaderMap) -> Result<(), Failure>;

impl Client {
    /// One that asks as `settings` say. Proxies are the environment's.
    ///
    /// # Errors
    /// If the certificates that it names cannot be read.
    pub fn new(settings: Settings) -> Result<Self> {
        let roots = match &settings.authorities {
            Some(path) => certificates(path)?,
            None => RootCerts::WebPki,
        };
        let patience = Some(settings.patience);
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("ggraft/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_connect(Some(CONNECT))
            .timeout_resolve(Some(CONNECT))
            .timeout_per_read(patience)
            .timeout_per_write(patience)
            .timeout_recv_response(patience)
            .max_idle_connections(KEPT)
            .max_idle_connections_per_host(KEPT)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build()
            .into();
        let answered = Arc::default();
        stop_at_signals(agent.clone(), Arc::downgrade(&answered));
        Ok(Self { agent, settings: Arc::new(settings), answered })
    }

    /// Gets `url`, or a `range` of bytes of it, showing each answer to `look`.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn get(&self, url: &str, range: Option<&Range<u64>>, look: Look) -> Result<Answer, Failure> {
        let mut url = url.to_owned();
        for _ in 0..REDIRECTS {
            let response = self.hop(&url, range)?;
            look(&url, response.headers())?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return self.judged(status, url, response);
            }
            let location = header(response.headers(), "location").map(str::to_owned);
            let next = url::redirected(&url, location.as_deref().unwrap_or_default());
            let next = next.map_err(|problem| dishonest(&url, &format!("sent {problem}")))?;
            // Read to the end, so that the connection can be used again.
            _ = response.into_body().with_config().limit(ASIDE).read_to_vec();
            url = next;
        }
        Err(dishonest(&url, "redirects in circles"))
    }

    fn hop(&self, url: &str, range: Option<&Range<u64>>) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.get(url);
        if let Some(range) = range {
            request = request.header("range", format!("bytes={}-{}", range.start, range.end - 1));
        }
        let at_home = url::origin(url) == url::origin(&self.settings.endpoint);
        if let Some(token) = self.settings.token.as_ref().filter(|_| at_home) {
            request = request.header("authorization", token.header());
        }
        let answer = request.call().map_err(|error| of_transport(url, &error))?;
        self.answered.store(true, Ordering::Relaxed);
        Ok(answer)
    }

    /// The answer, if it is one.
    fn judged(&self, status: u16, url: String, response: Response<Body>) -> Result<Answer, Failure> {
        if let 200 | 206 = status {
            let encoded = header(response.headers(), "content-encoding");
            return match encoded.filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
                Some(_) => Err(dishonest(&url, "sent it compressed, which it was not asked to")),
                None => Ok(Answer { url, response }),
            };
        }
        let text = |name| header(response.headers(), name).unwrap_or_default();
        let said = one_line(&bounded(&self.settings.without_token(text("x-error-message"))));
        if status == 408 || status == 425 || status == 429 || status >= 500 {
            let wait = retry_after(text("retry-after"), SystemTime::now());
            let what = format!("{} answered {status}{}", host(&url), reason(status));
            return Err(Failure::Passing(what, wait));
        }
        let code = text("x-error-code").chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        _ = response.into_body().with_config().limit(ASIDE).read_to_vec();
        Err(Failure::Refused(Refusal { status, code, message: said }))
    }

    /// Whether anybody ever answered.
    pub fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Answer {
    /// The whole body, of at most `limit` bytes.
    ///
    /// # Errors
    /// If it is longer, or does not come.
    pub fn body(self, limit: u64) -> Result<Vec<u8>, Failure> {
        let (url, mut bytes) = (self.url, Vec::new());
        let mut reader =
            self.response.into_body().into_with_config().limit(u64::MAX).reader().take(limit + 1);
        reader.read_to_end(&mut bytes).map_err(|error| of_body(&url, &error))?;
        match bytes.len() as u64 > limit {
            true => Err(dishonest(&url, &format!("sent more than {limit} bytes, which no honest hub does"))),
            false => Ok(bytes),
        }
    }
}

/// Interrupts the requests of `agent` when a signal comes, as long as `alive` is: a stalled answer would be waited for.
fn stop_at_signals(agent: Agent, alive: Weak<AtomicBool>) {
    let watch = move || {
        while alive.strong_count() > 0 {
            if interrupt::interrupted() {
                return agent.shutdown();
            }
            thread::sleep(TICK);
        }
    };
    // Without it, stopping takes as long as an answer may.
    _ = thread::Builder::new().name("signals".into()).spawn(watch);
}

/// How long to wait according to a `Retry-After` header: a number of seconds, or a date (RFC 9110).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let date = || httpdate::parse_http_date(text).ok().map(|at| at.duration_since(now).unwrap_or_default());
    text.parse().ok().map(Duration::from_secs).or_else(date)
}

/// The host of `url` does what it will do again.
fn dishonest(url: &str, what: &str) -> Failure {
    let problem = io::Error::other(format!("{} {what}", host(url)));
    Failure::Final(Error::io("cannot read", origin_path(url), problem))
}

/// A header's text, if there is one.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The host of `url`, for messages: the rest may be as good as a password.
pub fn host(url: &str) -> &str {
    let origin = url::origin(url);
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

/// What to call the host of `url` where a path is expected.
pub fn origin_path(url: &str) -> &Path {
    Path::new(url::origin(url))
}

/// Why the rest of a body did not come.
pub fn of_body(url: &str, error: &io::Error) -> Failure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    match inner {
        Some(error) => of_transport(url, error),
        None => {
            Failure::Passing(format!("the connection to {} broke off: {}", host(url), plain(error)), None)
        }
    }
}

fn of_transport(url: &str, error: &ureq::Error) -> Failure {
    let host = host(url);
    let what = match error {
        ureq::Error::LargeResponseHeader(..) => return dishonest(url, "sent a header without an end"),
        ureq::Error::HostNotFound => format!("there is no host {host}, or no network"),
        ureq::Error::Timeout(_) => format!("{host} does not go on"),
        ureq::Error::Io(error) => format!("no connection to {host}: {}", plain(error)),
        error => format!("no answer from {host}: {}", one_line(&bounded(&error.to_string()))),
    };
    // Trying again does not make a certificate a better one.
    match what.contains("certificate") {
        true => {
            let problem = Error::io("cannot trust", origin_path(url), io::Error::other(what));
            Failure::Final(problem)
        }
        false => Failure::Passing(what, None),
    }
}

fn plain(error: &io::Error) -> String {
    one_line(&bounded(&error.to_string()))
}

fn reason(status: u16) -> &'static str {
    match status {
        429 => " (too many requests)",
        503 => " (not at the moment)",
        _ => "",
    }
}

/// The certificates in the file `path`.
fn certificates(path: &Path) -> Result<RootCerts> {
    let cannot = |e| Error::io("cannot read certificates in", path, e);
    let bytes = match fs::metadata(path).map_err(cannot)?.len() {
        0..=CERTIFICATES_MAX => fs::read(path).map_err(cannot)?,
        _ => return Err(cannot(io::ErrorKind::FileTooLarge.into())),
    };
    let found = parse_pem(&bytes).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        true => Err(Error::usage(format!("{}: no certificates in it", path.display())).about(path).hint(
            "SSL_CERT_FILE, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names it; unset that for the usual ones",
        )),
        false => Ok(RootCerts::new_with_certs(&found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hubs_say_in_two_ways_how_long_to_wait() {
        // RFC 9110's example of a date: `date -u -d "Fri, 31 Dec 1999 23:59:59 GMT" +%s`.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_799 - 90);
        let after = |text| retry_after(text, now);
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(after("Fri, 31 Dec 1999 20:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["", "-1", "soon", "99999999999999999999", "Fri, 31 Feb 1999 23:59:59 GMT"] {
            assert_eq!(after(nonsense), None, "{nonsense}");
        }
    }
}
