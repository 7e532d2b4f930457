//! A copy of the journal as it is at one moment, for a backup. The log may be open and written to meanwhile, by another
//! process too.
//!
//! The moment is when the lengths are taken: which segments there are is read first, then how long the last one is. All
//! that was acknowledged before lies below that. What the copy holds beyond the last whole record is the beginning of a
//! batch that nobody was told of; an opening cuts it off, as after a crash. Retention may remove segments from the front
//! while they are copied: those are not in the copy, whose own lines say where it begins.

use crate::fault;
use crate::horizon::{self, Horizons};
use crate::segment::{self, records_path, sidecar_path};
use ferrohub_messaging::disk::{Disk, DiskFile};
use ferrohub_model::error::Result;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Tries to read lines that another process replaces meanwhile: ours.
const TRIES: usize = 100;

/// What belongs to the copy.
pub struct Snapshot {
    dir: PathBuf,
    horizons: Horizons,
    first: u64,
    last: u64,
    last_length: u64,
}

/// Takes a file of the copy: its name, its length, its content.
pub type Sink<'a> = dyn FnMut(&str, u64, &mut dyn Read) -> Result<()> + 'a;

impl Snapshot {
    /// Fixes the moment. Blocks on the disk.
    ///
    /// # Errors
    /// Internal when the disk fails or the journal has no segment.
    pub fn take(disk: &dyn Disk, dir: &Path) -> Result<Self> {
        let at = |error: io::Error| fault::open(format!("{}: {error}", dir.display()));
        let (horizons, names) = lines(disk, dir).map_err(at)?;
        let listed: BTreeSet<u64> = names.iter().filter_map(|name| segment::number(name, ".log")).collect();
        let ends = horizons.segments().or_else(|| Some((*listed.first()?, *listed.last()?)));
        let (first, last) = ends.ok_or_else(|| fault::open(format!("{} has no segment", dir.display())))?;
        let last_length = disk.open(&records_path(dir, last)).and_then(|file| file.len()).map_err(at)?;
        Ok(Self { dir: dir.to_owned(), horizons, first, last, last_length })
    }

    /// Bytes of the records that the copy will have, about.
    ///
    /// # Errors
    /// Internal when the disk fails.
    pub fn bytes(&self, disk: &dyn Disk) -> Result<u64> {
        let mut sum = self.last_length;
        for number in self.first..self.last {
            sum += self.open(disk, number)?.map_or(Ok(0), |file| file.len()).map_err(|error| self.failed(&error))?;
        }
        Ok(sum)
    }

    /// Gives every file of the copy to `sink`, oldest segment first. Memory stays bounded. Blocks on the disk.
    ///
    /// # Errors
    /// Those of `sink`; Internal when the disk fails or a segment is missing.
    pub fn copy(&self, disk: &dyn Disk, sink: &mut Sink<'_>) -> Result<()> {
        let mut first = None;
        for number in self.first..=self.last {
            let Some(file) = self.open(disk, number)? else {
                if first.is_some() {
                    return Err(fault::open(format!("{} is missing", records_path(&self.dir, number).display())));
                }
                // Retention took it meanwhile.
                continue;
            };
            first = first.or(Some(number));
            let length =
                if number == self.last { self.last_length } else { file.len().map_err(|e| self.failed(&e))? };
            sink(&name(&records_path(&self.dir, number)), length, &mut Part { file: &*file, position: 0, length })?;
            if number < self.last {
                self.copy_sidecar(disk, number, sink)?;
            }
        }
        let first = first.ok_or_else(|| fault::open(format!("{} lost its segments", self.dir.display())))?;
        let (file, bytes) = self.horizons.copy(first, self.last);
        sink(&file, bytes.len() as u64, &mut bytes.as_slice())
    }

    /// A segment's index spares the first start of a restored log reading the segment; it can be made again.
    fn copy_sidecar(&self, disk: &dyn Disk, number: u64, sink: &mut Sink<'_>) -> Result<()> {
        let path = sidecar_path(&self.dir, number);
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.failed(&error)),
        };
        let length = file.len().map_err(|error| self.failed(&error))?;
        sink(&name(&path), length, &mut Part { file: &*file, position: 0, length })
    }

    /// A segment's file, which goes on to be read when its name is removed.
    fn open(&self, disk: &dyn Disk, number: u64) -> Result<Option<Arc<dyn DiskFile>>> {
        match disk.open(&records_path(&self.dir, number)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &io::Error) -> ferrohub_model::error::Error {
        fault::open(format!("{}: {error}", self.dir.display()))
    }
}

/// Whether a file of this name may stand in a copy.
pub fn is_part(name: &str) -> bool {
    let number = [".log", ".idx", horizon::ENDING].iter().find_map(|ending| name.strip_suffix(ending));
    number.is_some_and(|number| number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The newest lines and the names of the folder. A file that is named may be gone before it is opened: there is a newer one.
fn lines(disk: &dyn Disk, dir: &Path) -> io::Result<(Horizons, Vec<String>)> {
    let mut tries = 0;
    loop {
        let names = disk.list(dir)?;
        match Horizons::newest(disk, dir, &names) {
            Ok((horizons, _)) => return Ok((horizons, names)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The first `length` bytes of a file.
struct Part<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    length: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.length - self.position).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(self.position, &mut buffer[..rest])?;
        if count == 0 && rest > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a segment of the event log became shorter"));
        }
        self.position += count as u64;
        Ok(count)
    }
}
