//! Room that is kept for the day on which the disk is full. Retention says in a small file what it takes before it removes
//! segments, so without a little room nothing would ever free the rest: a file of zeros stands for it, and gives way.

use crate::segment::remove_if_there;
use ferrohub_messaging::disk::Disk;
use std::io;
use std::path::{Path, PathBuf};

/// Size of the file: lines for some four thousand partitions, and the beginning of a segment. Ours.
const BYTES: usize = 128 * 1024;
const NAME: &str = "reserve";

/// Makes the file where it is missing or short.
///
/// # Errors
/// Of the file system; a disk that has no room for it now may have it later.
pub(crate) fn keep(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let there = match disk.open(&path(dir)) {
        Ok(file) => file.len()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if there == BYTES as u64 {
        return Ok(());
    }
    remove_if_there(disk, &path(dir))?;
    let file = disk.create(&path(dir))?;
    let made = file.append(&vec![0; BYTES]).and_then(|()| file.sync());
    if made.is_err() {
        // Half of it would only take what others need.
        remove_if_there(disk, &path(dir))?;
    }
    made
}

/// Gives the room back to the disk.
///
/// # Errors
/// Of the file system; `NotFound` where it was given back already.
pub(crate) fn give(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    disk.remove(&path(dir))?;
    disk.sync_dir(dir)
}

fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}
