//! As much of an HTTP/1.1 server as clients of a hub need: a thread a connection, GET and HEAD, ranges.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::faults::Fault;
use super::{Asked, State};

/// How long a stalled answer stalls.
const STALL: Duration = Duration::from_secs(30);

/// A certificate for both hosts, and who signed it.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    pub authority: String,
}

impl Tls {
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(parameters, key);
        let own_key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut own = rcgen::CertificateParams::new(names).unwrap();
        own.use_authority_key_identifier_extension = true;
        let own = own.signed_by(&own_key, &issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(vec![own.der().clone()], key).unwrap();
        Self { config: Arc::new(config), authority: authority.pem() }
    }
}

/// What is asked.
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn host(&self) -> &str {
        self.header("host").unwrap_or_default()
    }

    /// The last part of a path, as it was written.
    pub fn encoded_tail<'a>(&self, path: &'a str) -> &'a str {
        path.rsplit('/').next().unwrap_or_default()
    }
}

/// `text` with its `%xx` as what they stand for.
pub fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let hex = |at: usize| tail.get(at).and_then(|digit| (*digit as char).to_digit(16));
        match (*first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// What is answered.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    body: Body,
}

enum Body {
    Bytes(Vec<u8>),
    File { path: PathBuf, start: u64, len: u64 },
}

impl Answer {
    fn new(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Bytes(body) }
    }

    pub fn json(value: &Value) -> Self {
        let mut answer = Self::new(200, value.to_string().into_bytes());
        answer.headers.push(("Content-Type".into(), "application/json; charset=utf-8".into()));
        answer
    }

    pub fn redirect(status: u16, target: &str) -> Self {
        let mut answer = Self::new(status, format!("Redirecting to {target}").into_bytes());
        answer.headers.push(("Location".into(), target.to_owned()));
        answer
    }

    pub fn refusal(status: u16, code: &str, message: &str) -> Self {
        let mut answer = Self::new(status, message.as_bytes().to_vec());
        if !code.is_empty() {
            answer.headers.push(("X-Error-Code".into(), code.to_owned()));
        }
        answer.headers.push(("X-Error-Message".into(), message.to_owned()));
        answer
    }

    /// A file, or the range of it that is asked for.
    pub fn file(path: &Path, size: u64, etag: &str, request: &Request) -> Self {
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
        let range = range.and_then(|range| {
            let (first, last) = range.split_once('-')?;
            let last = last.parse::<u64>().unwrap_or(u64::MAX).min(size.saturating_sub(1));
            Some((first.parse::<u64>().ok()?, last))
        });
        let (status, start, len) = match range {
            None => (200, 0, size),
            Some((first, last)) if first <= last && first < size => (206, first, last - first + 1),
            Some(_) => return Self::refusal(416, "", "no such range"),
        };
        let mut headers =
            vec![("ETag".into(), format!("\"{etag}\"")), ("Accept-Ranges".into(), "bytes".into())];
        if status == 206 {
            headers.push(("Content-Range".into(), format!("bytes {start}-{}/{size}", start + len - 1)));
        }
        Self { status, headers, body: Body::File { path: path.to_owned(), start, len } }
    }

    pub fn len(&self) -> u64 {
        match &self.body {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File { len, .. } => *len,
        }
    }

    fn is_file(&self) -> bool {
        matches!(self.body, Body::File { .. })
    }
}

/// Answers whoever connects, for ever.
pub fn listen(listener: &TcpListener, tls: Option<&Tls>, is_cdn: bool, state: &Arc<State>) {
    for stream in listener.incoming().flatten() {
        // What waits in the system's buffer counts as sent, and the system would let it grow to megabytes.
        nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::SndBuf, &(64 << 10)).unwrap();
        let (state, tls) = (state.clone(), tls.cloned());
        thread::spawn(move || {
            _ = stream.set_nodelay(true);
            _ = match tls {
                Some(tls) => {
                    let connection = ServerConnection::new(tls.config).unwrap();
                    converse(StreamOwned::new(connection, stream), is_cdn, &state)
                }
                None => converse(stream, is_cdn, &state),
            };
        });
    }
}

/// Requests and answers until one side has enough.
fn converse<S: Read + Write>(stream: S, is_cdn: bool, state: &State) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream)? {
        if request.method == "CONNECT" {
            // A proxy that knows one way only: to itself.
            stream.get_mut().write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
            continue;
        }
        let mut answer = state.answer(&request, is_cdn);
        let host = if is_cdn { "cdn " } else { "hub " };
        let len = answer.len();
        let fault = state.faults.next(&format!("{host}{}", request.target), answer.is_file(), len);
        match &fault {
            Some(Fault::Status(status, wait)) => {
                answer = Answer::refusal(*status, "", "a fault");
                answer.headers.extend(wait.clone().map(|wait| ("Retry-After".into(), wait)));
            }
            Some(Fault::Redirect(target)) => answer = Answer::redirect(302, target),
            Some(Fault::Header(name, value)) => {
                answer.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
                answer.headers.push(((*name).to_owned(), value.clone()));
            }
            Some(Fault::Whole) => {
                if let Body::File { path, .. } = &answer.body {
                    let (path, size) = (path.clone(), path.metadata()?.len());
                    answer = Answer::new(200, Vec::new());
                    answer.body = Body::File { path, start: 0, len: size };
                }
            }
            Some(Fault::Changed) => {
                let is_etag = |name: &str| ["etag", "x-linked-etag"].contains(&name.to_lowercase().as_str());
                let etags = answer.headers.iter_mut().filter(|(name, _)| is_etag(name));
                etags.for_each(|(_, etag)| {
                    *etag = format!("\"{}\"", etag.trim_matches('"').replace(['a', 'b', 'c', '1'], "0"))
                });
            }
            _ => {}
        }
        let mut asked = Asked {
            cdn: is_cdn,
            method: request.method.clone(),
            path: decoded(&request.target),
            range: request.header("range").map(str::to_owned),
            authorization: request.header("authorization").map(str::to_owned),
            status: answer.status,
            bytes: 0,
        };
        let sent = if fault == Some(Fault::Drop) {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            send(stream.get_mut(), &request, &answer, fault.as_ref(), &mut asked.bytes)
        };
        state.log().push(asked);
        if matches!(fault, Some(Fault::Stall(_))) {
            thread::sleep(STALL);
        }
        sent?;
    }
    Ok(())
}

fn read(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default());
    // As a proxy gets it: with the host.
    let target = target.strip_prefix("http://").map_or(target, |rest| &rest[rest.find('/').unwrap_or(0)..]);
    let mut request = Request { method, target: target.to_owned(), headers: Vec::new() };
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => request.headers.push((name.to_owned(), value.trim().to_owned())),
            None => return Ok(Some(request)),
        }
    }
}

fn send(
    stream: &mut impl Write,
    request: &Request,
    answer: &Answer,
    fault: Option<&Fault>,
    sent: &mut u64,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
    answer.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    if fault != Some(&Fault::Endless) {
        head += &format!("Content-Length: {}\r\n", answer.len());
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    if request.method == "HEAD" {
        return stream.flush();
    }
    let limit = match fault {
        Some(Fault::Short(at) | Fault::Stall(at)) => *at,
        _ => u64::MAX,
    };
    let mut body: Box<dyn Read> = match &answer.body {
        Body::Bytes(bytes) => Box::new(&bytes[..]),
        Body::File { path, start, len } => {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(*start))?;
            Box::new(file.take(*len))
        }
    };
    let mut buffer = vec![0; 64 << 10];
    while *sent < limit {
        let room = buffer.len().min(usize::try_from(limit - *sent).unwrap_or(usize::MAX));
        let mut count = body.read(&mut buffer[..room])?;
        match fault {
            Some(Fault::Damaged) => buffer[..count].iter_mut().for_each(|byte| *byte ^= 1),
            Some(Fault::Endless) if count == 0 => {
                buffer.fill(b' ');
                count = buffer.len();
            }
            _ => {}
        }
        if count == 0 {
            break;
        }
        stream.write_all(&buffer[..count])?;
        *sent += count as u64;
    }
    stream.flush()?;
    match fault {
        Some(Fault::Short(_) | Fault::Stall(_)) => Err(io::ErrorKind::ConnectionAborted.into()),
        _ => Ok(()),
    }
}
