//! A file of lines that is put aside when it has grown: `FILE.1` is the last one, `FILE.2` that before it.

use ferrohub_model::error::{Error, Result};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file, open for its next line.
pub(super) struct RotatedFile {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    /// Size from which on it is put aside; `None`: never.
    most: Option<u64>,
    /// Files that were put aside and stay.
    keep: u32,
}

impl RotatedFile {
    /// Opens a file to go on at its end; nobody else may read it.
    ///
    /// # Errors
    /// `Invalid` naming the file.
    pub(super) fn open(path: &Path, most: Option<u64>, keep: u32) -> Result<Self> {
        let file = open(path)?;
        let bytes = file.metadata().map_err(|error| failed(path, &error))?.len();
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), bytes, most, keep })
    }

    /// Writes a line.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn write(&mut self, line: &str) -> Result<()> {
        if self.most.is_some_and(|most| self.bytes > 0 && self.bytes + line.len() as u64 >= most) {
            self.put_aside()?;
        }
        writeln!(self.file, "{line}").and_then(|()| self.file.flush()).map_err(|error| failed(&self.path, &error))?;
        self.bytes += line.len() as u64 + 1;
        Ok(())
    }

    /// Ends the file: it is on the disk.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn end(mut self) -> Result<()> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(|error| failed(&self.path, &error))
    }

    fn put_aside(&mut self) -> Result<()> {
        for number in (0..self.keep).rev() {
            let from = numbered(&self.path, number);
            if from.exists() {
                std::fs::rename(&from, numbered(&self.path, number + 1)).map_err(|error| failed(&from, &error))?;
            }
        }
        if self.keep == 0 {
            std::fs::remove_file(&self.path).map_err(|error| failed(&self.path, &error))?;
        }
        (self.file, self.bytes) = (BufWriter::new(open(&self.path)?), 0);
        Ok(())
    }
}

/// `FILE.2`; 0 is the file itself.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::invalid(format!("The file {} cannot be written: {error}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_grown_is_put_aside_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut file = RotatedFile::open(&path, Some(20), 2).unwrap();
        for number in 0..9 {
            file.write(&format!("line {number}")).unwrap();
        }
        file.end().unwrap();
        // Opened again it goes on.
        RotatedFile::open(&path, Some(20), 2).unwrap().write("more").unwrap();
        let read = |number| std::fs::read_to_string(numbered(&path, number)).unwrap();
        assert_eq!(
            (read(0).as_str(), read(1).as_str(), read(2).as_str()),
            ("line 8\nmore\n", "line 6\nline 7\n", "line 4\nline 5\n")
        );
        assert!(!numbered(&path, 3).exists());
    }
}
