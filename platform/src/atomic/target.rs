//! Where an output's name leads, and whether something may be put there.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::{identity, parent};

/// Symbolic links that the kernel follows before it takes them for a circle.
const MOST_LINKS: usize = 40;

/// What becomes of a symbolic link that has the name of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// It stays; the file that it leads to is replaced, or created if there is none. As `cp` does.
    #[default]
    Follow,
    /// A file takes its place; what it leads to stays as it is.
    Replace,
}

/// The name that a file written to `path` gets in the end.
///
/// # Errors
/// `InvalidInput` if `path` names no file or leads to something that is not a regular one; what the operating
/// system says of links that cannot be followed.
pub fn output_target(path: &Path, links: Links) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    if links == Links::Follow {
        for n in 0.. {
            match fs::read_link(&target) {
                Ok(_) if n == MOST_LINKS => return Err(Errno::ELOOP.into()),
                Ok(next) => target = parent(&target).join(next),
                // No link, or nothing, or something that the checks below have words for.
                Err(_) => break,
            }
        }
    }
    // Links of /proc lead to files that may have no name any more.
    if existing(path)?.map(|m| identity(&m)) != existing(&target)?.map(|m| identity(&m)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is a link that leads to no name"));
    }
    Ok(target)
}

/// The file that is at `path`, links followed. Refuses to replace a directory, or a device: root could, and would
/// lose /dev/null.
///
/// # Errors
/// `InvalidInput` if it is not a regular file; what the operating system says, for instance of names that are
/// too long.
pub fn existing(path: &Path) -> io::Result<Option<Metadata>> {
    let problem = match fs::metadata(path) {
        _ if path.file_name().is_none() => "not the name of a file",
        Ok(existing) if !existing.is_file() => "exists and is not a regular file",
        Ok(existing) => return Ok(Some(existing)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}
