//! The disk as a seam: what the journal asks of a file system, and no more.
//!
//! [`RealDisk`] is the machine's. [`ForgetfulDisk`] lives in memory and forgets, at a crash, every
//! byte and name that was not synced: `kill -9` alone cannot show a missing fsync.

pub use crate::forgetful::ForgetfulDisk;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file system. Names become durable by [`Disk::sync_dir`], bytes by [`DiskFile::sync`].
pub trait Disk: Send + Sync + 'static {
    /// Makes a directory and those above it.
    ///
    /// # Errors
    /// Of the file system.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes a new, empty file.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, else of the file system.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that exists, for reading and appending.
    ///
    /// # Errors
    /// `NotFound` when there is none, else of the file system.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Names of the files in a directory, sorted.
    ///
    /// # Errors
    /// Of the file system.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Removes a file; those that have it open may go on reading.
    ///
    /// # Errors
    /// `NotFound` when there is none, else of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// Of the file system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file. Positions and lengths are bytes.
pub trait DiskFile: Send + Sync {
    /// Writes `bytes` at the end; on an error any first part of them may be there.
    ///
    /// # Errors
    /// Of the file system.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Writes the same `bytes` again that are at `position`, so that the next sync makes them durable
    /// even if an earlier one failed and the kernel forgot that they were not.
    ///
    /// # Errors
    /// Of the file system.
    fn rewrite(&self, position: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable (fdatasync). After an error nothing is known about bytes
    /// written since the last success, not even if a later call succeeds.
    ///
    /// # Errors
    /// Of the file system.
    fn sync(&self) -> io::Result<()>;

    /// Reads at `position` as much as there is, at most `buffer.len()`; gives the number of bytes.
    ///
    /// # Errors
    /// Of the file system.
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Cuts the file to `length`.
    ///
    /// # Errors
    /// Of the file system.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Length of the file.
    ///
    /// # Errors
    /// Of the file system.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    ///
    /// # Errors
    /// Of the file system.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// The machine's file system. Files and folders are made for their owner only (modes 0600 and 0700), whatever the mask of
/// the process is.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Arc::new(RealFile::new(file)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Arc::new(RealFile::new(file)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // A name that is no UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

/// The end is kept here, because Linux ignores the position of a write to a file opened for appending.
struct RealFile {
    file: File,
    end: Mutex<u64>,
}

impl RealFile {
    fn new(file: File) -> io::Result<Self> {
        let end = Mutex::new(file.metadata()?.len());
        Ok(Self { file, end })
    }

    fn end(&self) -> MutexGuard<'_, u64> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskFile for RealFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut end = self.end();
        self.file.write_all_at(bytes, *end)?;
        *end += bytes.len() as u64;
        Ok(())
    }

    fn rewrite(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, position)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], position + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut end = self.end();
        self.file.set_len(length)?;
        *end = length;
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_real_file_appends_rewrites_and_truncates() {
        let dir = std::env::temp_dir().join(format!("ferrohub-disk-{}", std::process::id()));
        RealDisk.create_dir(&dir).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        let path = dir.join("a");
        let file = RealDisk.create(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        let taken = RealDisk.create(&path).err().map(|error| error.kind());
        assert_eq!(taken, Some(io::ErrorKind::AlreadyExists));
        file.append(b"0123").unwrap();
        file.append(b"4567").unwrap();
        file.rewrite(2, b"23").unwrap();
        file.append(b"89").unwrap();
        file.truncate(9).unwrap();
        file.append(b"x").unwrap();
        file.sync().unwrap();
        RealDisk.sync_dir(&dir).unwrap();
        assert_eq!(RealDisk.list(&dir).unwrap(), ["a"]);
        let file = RealDisk.open(&path).unwrap();
        file.append(b"!").unwrap();
        let mut buffer = [0; 20];
        let count = file.read_at(1, &mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"12345678x!");
        assert_eq!(file.read_at(99, &mut buffer).unwrap(), 0);
        RealDisk.remove(&path).unwrap();
        let gone = RealDisk.open(&path).err().map(|error| error.kind());
        assert_eq!(gone, Some(io::ErrorKind::NotFound));
        fs::remove_dir(&dir).unwrap();
    }
}
