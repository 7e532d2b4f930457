//! `ferrohub backup` and `ferrohub restore`: a whole installation in one encrypted file.
//!
//! The file is a tar archive inside the age format (`ferrohub_pki::age`), so that `age -d … | tar t` shows it where there
//! is no Ferrohub. First comes [`MANIFEST`], last [`SUMS`]; between them the store, the log, the owner's credential and,
//! where it lies in the data folder, the master key. What the configuration names elsewhere (TLS files, a master key file,
//! a PKCS#11 token) is not in it.

mod files;
mod lock;
mod restore;
mod save;

pub(crate) use lock::new_key;
pub(crate) use restore::run as restore;
pub(crate) use save::{clear, run as backup};

use crate::output::line;
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Read};

/// Format of the archive; a newer one is refused.
const FORMAT: u32 = 1;
/// First entry: what the archive is.
const MANIFEST: &str = "backup.json";
/// Last entry: length and SHA-256 of every other one.
const SUMS: &str = "sums.json";
/// Largest manifest and list of sums that a restore reads, bytes: ours (a segment of 64 MiB takes two entries of 100).
const MOST_JSON: u64 = 64 * 1024 * 1024;

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    format: u32,
    /// Version of the program that took it.
    program: String,
    /// When it was taken, RFC 3339.
    taken: String,
    master_key: MasterKeyNote,
    /// Certificate authorities whose keys are not in the archive, by the key store that has them.
    #[serde(default)]
    keys_elsewhere: BTreeMap<String, usize>,
}

impl Manifest {
    /// A sentence for whoever has to keep those keys; empty where there are none.
    fn elsewhere(&self) -> String {
        let list: Vec<String> =
            self.keys_elsewhere.iter().map(|(name, count)| format!("{count} in the key store '{name}'")).collect();
        match list.as_slice() {
            [] => String::new(),
            list => format!(" Keys of certificate authorities that are not in it: {}.", list.join(", ")),
        }
    }
}

/// Which master key the secrets in the archive are sealed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MasterKeyNote {
    fingerprint: String,
    /// Whether it is in the archive; else a restore asks for it.
    included: bool,
}

/// Length and SHA-256 (hex) of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sum {
    bytes: u64,
    sha256: String,
}

/// Bytes between two words of progress.
const STEP: u64 = 1_000_000_000;

type Sums = BTreeMap<String, Sum>;

/// Counts and hashes what is read through it.
struct Summing<R> {
    inner: R,
    bytes: u64,
    context: Context,
}

impl<R: Read> Summing<R> {
    fn new(inner: R) -> Self {
        Self { inner, bytes: 0, context: Context::new(&SHA256) }
    }

    fn sum(self) -> Sum {
        let digest = self.context.finish();
        let sha256 = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Sum { bytes: self.bytes, sha256 }
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.context.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Says every gigabyte that the work goes on.
fn progress(before: u64, now: u64) {
    if before / STEP != now / STEP {
        line(&format!("{} so far", size(now / STEP * STEP)));
    }
}

/// A number of bytes for a person.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_sha256sum() {
        let mut reader = Summing::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        let sum = reader.sum();
        assert_eq!(sum.bytes, 3);
        assert_eq!(sum.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([9_999, 10_000, 12_345_678].map(size), ["9999 bytes", "10 kB", "12 MB"]);
    }
}
