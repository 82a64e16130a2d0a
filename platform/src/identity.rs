//! What tells one state of a file from another.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

/// Which file it is, and when its contents last changed. Two equal identities taken at two times mean that nothing
/// was written in between, as far as the file system's clock can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Device number.
    pub device: u64,
    /// Inode number on that device.
    pub inode: u64,
    /// Length in bytes.
    pub len: u64,
    /// Last change of the contents, in seconds and nanoseconds.
    pub modified: (i64, i64),
    /// Last change of contents or inode (name, owner, mode), in seconds and nanoseconds.
    pub changed: (i64, i64),
}

impl Identity {
    /// Of an open file.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from_metadata(&file.metadata()?))
    }

    /// Of what `path` leads to, through symbolic links.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::from_metadata(&fs::metadata(path)?))
    }

    /// Whether it is the same file, in whatever state.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Of what `metadata` was taken of.
    pub fn from_metadata(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Sets the time at which the contents of the file at `path` last changed, in seconds and nanoseconds.
///
/// # Errors
/// What the operating system says.
pub fn set_modified(path: &Path, time: (i64, i64)) -> io::Result<()> {
    let time = TimeSpec::new(time.0, time.1);
    Ok(utimensat(AT_FDCWD, path, &TimeSpec::UTIME_OMIT, &time, UtimensatFlags::FollowSymlink)?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_stays_the_same_while_its_state_changes() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| dir.path().join(name));
        let mut file = File::create(&one).unwrap();
        fs::write(&other, "").unwrap();
        let before = Identity::at(&one).unwrap();
        assert_eq!(before, Identity::of(&file).unwrap());
        assert!(!before.is_same_file(&Identity::at(&other).unwrap()));
        file.write_all(b"x").unwrap();
        let after = Identity::at(&one).unwrap();
        assert!(before != after && before.is_same_file(&after) && after.len == 1, "{after:?}");
        let elsewhere = Identity { device: after.device + 1, ..after };
        assert!(!after.is_same_file(&elsewhere), "an inode number of another device");
    }

    #[test]
    fn times_are_set_to_the_nanosecond() {
        let file = tempfile::NamedTempFile::new().unwrap();
        set_modified(file.path(), (1_000_000_007, 123_456_789)).unwrap();
        assert_eq!(Identity::at(file.path()).unwrap().modified, (1_000_000_007, 123_456_789));
    }
}
