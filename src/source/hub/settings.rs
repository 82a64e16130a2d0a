//! What the environment says about the hub: the variables of the Hugging Face library, by the same names.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};

/// The hub that is meant where nobody names another.
const ENDPOINT: &str = "https://huggingface.co";

/// How long to wait for the next bytes of an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest token in bytes.
const TOKEN_MAX: u64 = 4096;

/// Where the hub is, and who asks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its address, without a slash at the end.
    pub endpoint: String,
    /// Who asks, if that is anybody in particular.
    pub token: Option<Token>,
    /// Whether nothing may be asked.
    pub offline: bool,
    /// Where the Hugging Face library keeps what it has downloaded.
    pub cache: PathBuf,
    /// How long to wait for the next bytes of an answer.
    pub patience: Duration,
    /// Certificates to trust, in PEM, instead of the usual.
    pub authorities: Option<PathBuf>,
}

/// What tells the hub who asks. It is shown to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// `text`, if it may be a token.
    fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// What the hub wants to hear.
    pub fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// `text`, should it repeat the token, without it.
    pub fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.0, "***")
    }
}

impl Settings {
    /// What the environment of this process says.
    ///
    /// # Errors
    /// [`Error::Usage`] for an `HF_ENDPOINT` that is no address or a token that is none; [`Error::Io`].
    pub fn from_env() -> Result<Self> {
        let path = |name: &str| variable(name).map(PathBuf::from);
        let offline = text("HF_HUB_OFFLINE").or_else(|| text("TRANSFORMERS_OFFLINE"));
        let anonymous = text("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|v| is_true(&v));
        let user_cache = || path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")));
        let home = path("HF_HOME").or_else(|| Some(user_cache()?.join("huggingface"))).unwrap_or_default();
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let patience = text("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|text| text.parse().ok());
        let authorities = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];
        Ok(Self {
            endpoint: endpoint()?,
            token: match anonymous {
                true => None,
                false => token(path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token")))?,
            },
            offline: offline.is_some_and(|v| is_true(&v)),
            cache: cache.unwrap_or_else(|| home.join("hub")),
            patience: patience.map_or(PATIENCE, |seconds: u64| Duration::from_secs(seconds.clamp(1, 3600))),
            authorities: authorities.iter().find_map(|name| path(name)),
        })
    }

    /// `text` from a stranger, without the token.
    pub fn without_token(&self, text: &str) -> String {
        self.token.as_ref().map_or_else(|| text.to_owned(), |token| token.hidden_in(text))
    }
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn text(name: &str) -> Option<String> {
    variable(name)?.into_string().ok()
}

fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
}

fn endpoint() -> Result<String> {
    let Some(given) = variable("HF_ENDPOINT") else { return Ok(ENDPOINT.to_owned()) };
    let address = given.to_str().unwrap_or_default().trim_end_matches('/');
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%".contains(c);
    match rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain)) {
        true => Ok(address.to_owned()),
        // It may hold a password.
        false => Err(Error::usage("HF_ENDPOINT is not an address of a hub")
            .hint(format!("they look like {ENDPOINT}, without a user's name; leave it unset for that one"))),
    }
}

fn token(path: PathBuf) -> Result<Option<Token>> {
    for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        let Some(value) = variable(name) else { continue };
        return match value.to_str().and_then(Token::new) {
            Some(token) => Ok(Some(token)),
            None => {
                Err(Error::usage(format!("{name} does not hold a token")).hint("set it anew, or unset it"))
            }
        };
    }
    match fs::metadata(&path) {
        Ok(found) if found.is_file() && found.len() <= TOKEN_MAX => {}
        _ => return Ok(None),
    }
    // What cannot be read belongs to somebody else.
    let stored = fs::read_to_string(&path).ok();
    Ok(stored.as_deref().and_then(Token::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_shown() {
        let token = Token::new(" hf_secret\n").unwrap();
        assert_eq!(format!("{token:?}"), "Token");
        assert_eq!(token.header(), "Bearer hf_secret");
        assert_eq!(token.hidden_in("no user has hf_secret"), "no user has ***");
        assert!(
            Token::new("two words").is_none() && Token::new("a\nb").is_none() && Token::new(" ").is_none()
        );
    }
}
