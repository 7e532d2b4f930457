//! Files that become whole or not at all.

use ferrohub_model::error::{Error, Result};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes that are written at once.
const BUFFER: usize = 256 * 1024;

/// A file that gets its name when it is whole; before, it lies beside it as `{name}.part`, and goes when it is dropped.
pub(super) struct Part {
    path: PathBuf,
    beside: PathBuf,
    kept: bool,
}

impl Part {
    /// Begins the file at `path`, which must not be there.
    pub(super) fn begin(path: &Path) -> Result<(Self, BufWriter<File>)> {
        if path.exists() {
            return Err(Error::invalid(format!("{} is there already; name another file.", path.display())));
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".part");
        let part = Self { path: path.to_owned(), beside: beside.into(), kept: false };
        // What a backup that was killed left.
        remove_if_there(&part.beside).map_err(|error| unwritable(&part.beside, &error))?;
        let file = create(&part.beside)?;
        Ok((part, BufWriter::with_capacity(BUFFER, file)))
    }

    /// Gives the file its name, durably.
    pub(super) fn finish(mut self, file: BufWriter<File>) -> Result<()> {
        let fail = |error: io::Error| unwritable(&self.path, &error);
        file.into_inner().map_err(|error| fail(error.into_error()))?.sync_all().map_err(fail)?;
        // Not over a file that came meanwhile.
        std::fs::hard_link(&self.beside, &self.path).map_err(fail)?;
        self.kept = true;
        remove_if_there(&self.beside).map_err(fail)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_folder(folder).map_err(fail)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            let _ = remove_if_there(&self.beside);
        }
    }
}

/// Files that SQLite keeps beside a database. A journal that a killed backup left would be played back into the copy of the next one.
const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

/// A file of one backup at a time, that goes with it. What a killed one left is used again.
pub(super) struct Scratch {
    path: PathBuf,
    _file: File,
}

impl Scratch {
    pub(super) fn take(path: PathBuf) -> Result<Self> {
        let fail = |error: io::Error| unwritable(&path, &error);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::conflict("Another backup of this data folder is under way; wait for its end."));
            }
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        // The one before may have removed its file between our opening and our locking it.
        let named = std::fs::metadata(&path).map_err(fail)?;
        if named.ino() != file.metadata().map_err(fail)?.ino() {
            return Err(Error::conflict("Another backup of this data folder just ended; try again."));
        }
        file.set_len(0).map_err(fail)?;
        for ending in BESIDE {
            remove_if_there(&beside(&path, ending)).map_err(fail)?;
        }
        Ok(Self { path, _file: file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether anything is left of one at `path`.
    pub(super) fn is_there(path: &Path) -> bool {
        BESIDE.into_iter().chain([""]).any(|ending| beside(path, ending).exists())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The file last: by it the others are found, should this be killed in between.
        for ending in BESIDE.into_iter().chain([""]) {
            let _ = remove_if_there(&beside(&self.path, ending));
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Writes all of `content` to a new file, durably.
pub(super) fn write(path: &Path, content: &mut dyn Read) -> Result<u64> {
    let file = create(path)?;
    let mut out = BufWriter::with_capacity(BUFFER, file);
    let fail = |error: io::Error| Error::invalid(format!("Cannot restore {}: {error}.", path.display()));
    let count = io::copy(content, &mut out).map_err(fail)?;
    out.flush().map_err(fail)?;
    out.into_inner().map_err(|error| fail(error.into_error()))?.sync_all().map_err(fail)?;
    Ok(count)
}

pub(super) fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(path).map_err(|error| unwritable(path, &error))
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn create(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::invalid(format!("Cannot write {}: {error}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(folder.path().join("a.part"), "of one that was killed").unwrap();
        let (part, mut file) = Part::begin(&path).unwrap();
        file.write_all(b"whole").unwrap();
        part.finish(file).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert!(Part::begin(&path).is_err(), "nothing is written over");
        let (part, _) = Part::begin(&folder.path().join("b")).unwrap();
        drop(part);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_backup_at_a_time_has_the_scratch_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy");
        std::fs::write(&path, "of one that was killed").unwrap();
        let first = Scratch::take(path.clone()).unwrap();
        assert_eq!(std::fs::metadata(first.path()).unwrap().len(), 0);
        assert!(Scratch::take(path.clone()).err().unwrap().message.contains("under way"));
        drop(first);
        assert!(!path.exists());
        drop(Scratch::take(path).unwrap());
    }

    #[test]
    fn what_sqlite_had_beside_a_copy_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy");
        let left = || std::fs::read_dir(folder.path()).unwrap().count();
        for ending in BESIDE {
            std::fs::write(beside(&path, ending), "of one that was killed").unwrap();
            assert!(Scratch::is_there(&path), "{ending}");
            let taken = Scratch::take(path.clone()).unwrap();
            assert_eq!(left(), 1, "{ending}");
            std::fs::write(beside(&path, ending), "of this one").unwrap();
            drop(taken);
            assert_eq!(left(), 0, "{ending}");
        }
        assert!(!Scratch::is_there(&path));
    }
}
