//! Taking away mounts, whoever still uses them.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Takes away what is mounted at `path`: the name at once, the rest when nobody uses it any more. Users other than root need
/// `fusermount3` for that.
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

/// Whether this process may do what only root may.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// User and group of this process, by number.
pub fn owner() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}
