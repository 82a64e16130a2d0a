//! Tells whoever waits for it that a server is ready: a service manager (`sd_notify`), or the reader of a pipe.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::net::{SocketAddr, UnixDatagram};

use ggraft_platform::inherited;

use crate::error::{Error, Result};

/// Where a service manager listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// The pipe that `--ready-fd` names.
#[derive(Debug)]
pub struct Pipe(File);

impl Pipe {
    /// Takes over the file descriptor `fd`.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is none.
    pub fn open(fd: i32) -> Result<Self> {
        let pipe = inherited(fd).map_err(|e| Error::usage(format!("--ready-fd {fd}: {e}")))?;
        Ok(Self(pipe))
    }

    /// Writes `lines` to it, and closes it.
    ///
    /// # Errors
    /// [`Error::Io`], but for a reader who has gone.
    pub fn tell(mut self, lines: &str) -> Result<()> {
        match self.0.write_all(lines.as_bytes()) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::io("cannot write to", "--ready-fd", e))
            }
            _ => Ok(()),
        }
    }
}

/// Tells the service manager, if there is one, `state`: lines such as `READY=1`.
pub fn notify(state: &str) {
    let Some(path) = std::env::var_os(SOCKET) else { return };
    let send = || -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.send_to_addr(state.as_bytes(), &address(path.as_encoded_bytes())?)?;
        Ok(())
    };
    if let Err(error) = send() {
        tracing::warn!("cannot tell the service manager at {}: {error}", path.display());
    }
}

/// A path, or after an `@` a name that is no file's.
fn address(path: &[u8]) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = path.strip_prefix(b"@") {
        return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
    }
    SocketAddr::from_pathname(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path))
}
