//! What `linux.rs` does, as far as any Unix can: blocks are never shared, files always have names,
//! advice is not given.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::path::Path;

use nix::sys::statvfs::fstatvfs;

use crate::extents::Extent;

fn unsupported() -> io::Error {
    io::Error::from_raw_os_error(libc::EOPNOTSUPP)
}

pub fn clone_range(_: &File, _: u64, _: u64, _: &File, _: u64) -> io::Result<()> {
    Err(unsupported())
}

pub fn extents(_: &File, _: u64, _: u64, _: bool) -> io::Result<Vec<Extent>> {
    Err(unsupported())
}

pub fn open_unnamed(_: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

pub fn link_unnamed(_: &File, _: &Path) -> io::Result<()> {
    Err(unsupported())
}

pub fn open_to_look(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub fn name_and_block_size(file: &File) -> io::Result<(String, u64)> {
    // `c_ulong` is 32 bits wide on some systems.
    #[allow(clippy::useless_conversion)]
    let size = u64::from(fstatvfs(file)?.fragment_size());
    Ok(("this file system".into(), size))
}

pub fn available_memory() -> Option<u64> {
    None
}

pub fn give_back_large_buffers() {}

pub fn advise_huge_pages(_: &mut [MaybeUninit<u8>]) -> io::Result<()> {
    Err(unsupported())
}

pub fn copy_file_range(_: &File, _: u64, _: &File, _: u64, _: u64) -> io::Result<u64> {
    Err(unsupported())
}

pub fn next_data(_: &File, from: u64) -> io::Result<Option<Range<u64>>> {
    Ok(Some(from..u64::MAX))
}

pub fn preallocate(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(unsupported())
}

pub fn advise_sequential(_: &File) -> io::Result<()> {
    Ok(())
}

pub fn drop_cache(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

pub fn start_writeback(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

pub fn set_io_priority(_: (i32, u8)) -> io::Result<()> {
    Ok(())
}

pub fn detach(_: &Path) -> io::Result<()> {
    Err(io::ErrorKind::PermissionDenied.into())
}

pub fn set_read_ahead(_: u64, _: u64) -> io::Result<()> {
    Err(unsupported())
}
