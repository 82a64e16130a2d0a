//! Taking away mounts, whoever still uses them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Takes away what is mounted at `path`: the name at once, the rest when nobody uses it any more. A symbolic link is not
/// followed. Users other than root need `fusermount3` for that.
///
/// # Errors
/// If nothing is mounted there, or it is not this user's.
pub fn unmount(path: &Path) -> io::Result<()> {
    let refused = match crate::sys::detach(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
        Err(error) => error,
    };
    let mut command = Command::new("fusermount3");
    command.args(["-u", "-z", "-q", "--"]).arg(path).stdout(Stdio::null()).stderr(Stdio::null());
    if command.status()?.success() { Ok(()) } else { Err(refused) }
}

/// Has the kernel read up to `bytes` bytes ahead of those who read files in order on the file system that `path` is on, which must
/// have no disk (FUSE). Only root may, and only where /sys can be written to.
///
/// # Errors
/// What the operating system says.
pub fn set_read_ahead(path: &Path, bytes: u64) -> io::Result<()> {
    crate::sys::set_read_ahead(std::fs::metadata(path)?.dev(), bytes)
}

/// Whether this process may do what only root may.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// User and group of this process, by number.
pub fn owner() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}
