//! A read-only file system that shows a conversion's outputs without writing them: bytes are computed as they are asked for.
//!
//! Knows plans and how to evaluate them; nothing of models. A source that changes under the mount makes reads fail, never
//! wrong.

mod filesystem;
mod look;
mod place;
mod private;
mod reading;
mod streams;
mod tiles;

use std::path::{Path, PathBuf};

use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use ggraft_platform::{is_root, set_read_ahead, unmount};

pub use place::Place;
pub use private::PrivateDir;

use crate::conversion::Conversion;
use crate::error::{Error, Result};
use filesystem::Outputs;
use reading::Reading;

/// Bytes the kernel reads ahead of whoever reads in order, in pieces of a megabyte that several threads compute.
const READ_AHEAD: u32 = 4 << 20;

/// Threads that answer the kernel, and as many at most compute ahead; each has buffers of two megabytes.
const MOST_THREADS: usize = 8;

/// A mounted conversion. Unmounted when dropped, whoever still has files open.
#[derive(Debug)]
pub struct Mounted {
    session: Option<BackgroundSession>,
    place: Place,
    files: Vec<PathBuf>,
}

impl Mounted {
    /// Shows the outputs of `conversion` at `place`, which is called `mountpoint`; keeps up to `cache` bytes of what was computed.
    ///
    /// # Errors
    /// [`Error::Io`] saying what is missing.
    pub fn new(conversion: Conversion, place: Place, mountpoint: &Path, cache: u64) -> Result<Self> {
        if !cfg!(target_os = "linux") {
            return Err(Error::unsupported("mounting takes Linux").hint("`ggraft convert` writes the file"));
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let outputs = Outputs::of(Reading::new(conversion, cache, threads)?);
        let files = outputs.names().map(|name| mountpoint.join(name)).collect();
        let mut config = Config::default();
        config.mount_options =
            vec![MountOption::RO, MountOption::FSName("ggraft".into()), MountOption::DefaultPermissions];
        // Root mounts for everybody; others may only if the machine's administrator lets them.
        config.acl = if is_root() { SessionACL::All } else { SessionACL::Owner };
        // One more than processors: who answers waits for the disk now and then.
        config.n_threads = Some(threads + 1);
        config.clone_fd = true;
        let session = fuser::spawn_mount(outputs, place.path(), &config);
        let session = session.map_err(|e| Error::io("cannot mount at", mountpoint, explained(e)))?;
        // Only root may, and it is only faster.
        _ = set_read_ahead(place.path(), READ_AHEAD.into());
        Ok(Self { session: Some(session), place, files })
    }

    /// Paths of the files there are, the first of a split set first.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether somebody else has unmounted it.
    pub fn is_over(&self) -> bool {
        self.session.as_ref().is_none_or(|session| session.guard.is_finished())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // It disappears at once; what is open can be read until this process ends.
        let gone = self.is_over() || unmount(self.place.path()).is_ok();
        if let Some(session) = self.session.take().filter(|_| gone) {
            // Its own way to unmount would wait, or complain that it is unmounted already.
            std::mem::forget(session);
        }
    }
}

/// What is missing, if `error` comes of that.
fn explained(error: std::io::Error) -> std::io::Error {
    let device = Path::new("/dev/fuse");
    let hint = if !device.exists() {
        "there is no /dev/fuse: load the kernel's module fuse or, in a container, pass --device /dev/fuse"
    } else if std::fs::File::options().read(true).write(true).open(device).is_err() {
        "/dev/fuse cannot be opened: the administrator (in a container, --device /dev/fuse) must allow it"
    } else if is_root() {
        "outside of containers root may mount; in one, pass --cap-add SYS_ADMIN"
    } else if !is_program("fusermount3") {
        "without root this takes fusermount3: install the package fuse3"
    } else {
        return error;
    };
    std::io::Error::new(error.kind(), format!("{}; {hint}", error.to_string().trim_end()))
}

/// Whether a program of this name can be found.
fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}
