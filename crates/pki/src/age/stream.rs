//! The payload: pieces, each sealed under its number and whether it is the last.

use super::{FileKey, Key, Lock, Unlock, cipher, derive, header};
use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::random::Random;
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// Bytes of a piece, as the format has it.
const PIECE: usize = 64 * 1024;
/// Bytes that sealing adds to a piece.
const TAG: usize = 16;

/// Encrypts what is written to it. Nothing is whole before [`Writer::finish`].
pub struct Writer<W: Write> {
    inner: W,
    key: LessSafeKey,
    piece: Zeroizing<Vec<u8>>,
    number: u64,
}

/// Decrypts what it reads, and gives out only what was checked.
pub struct Reader<R: Read> {
    inner: R,
    key: LessSafeKey,
    /// What was opened and not yet given out, and where that begins.
    piece: Zeroizing<Vec<u8>>,
    given: usize,
    /// Read ahead: whether a piece is the last shows in whether another follows.
    ahead: Vec<u8>,
    number: u64,
    ended: bool,
}

impl<W: Write> Writer<W> {
    /// Begins a file that `lock` says who can open.
    ///
    /// # Errors
    /// `Invalid` where `inner` takes nothing or there is nobody to encrypt for.
    pub fn new(mut inner: W, lock: &Lock, random: &dyn Random) -> Result<Self> {
        let mut file_key = FileKey::default();
        random.fill(file_key.as_mut_slice());
        header::write(&mut inner, lock, &file_key, random)?;
        let mut nonce = [0; 16];
        random.fill(&mut nonce);
        inner.write_all(&nonce).map_err(|error| Error::invalid(format!("Cannot write: {error}.")))?;
        let key = cipher(&payload_key(&file_key, &nonce)?)?;
        Ok(Self { inner, key, piece: Zeroizing::new(Vec::with_capacity(PIECE + TAG)), number: 0 })
    }

    /// Writes the last piece; gives back what was written to, which the caller syncs.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let nonce = nonce(self.number, last);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut *self.piece);
        sealed.map_err(|_| io::Error::other("encrypting failed"))?;
        self.inner.write_all(&self.piece)?;
        self.piece.clear();
        self.number += 1;
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full piece waits until more comes: it may be the last.
        if self.piece.len() == PIECE && !bytes.is_empty() {
            self.seal(false)?;
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // The piece under way cannot be sealed before it is known whether it is the last.
        self.inner.flush()
    }
}

impl<R: Read> Reader<R> {
    /// Opens a file. The header is checked; the payload piece by piece as it is read.
    ///
    /// # Errors
    /// `Invalid` where it is no age file or a damaged one; `Forbidden` where `unlock` does not open it.
    pub fn new(mut inner: R, unlock: &Unlock) -> Result<Self> {
        let file_key = header::read(&mut inner, unlock)?;
        let mut nonce = [0; 16];
        inner
            .read_exact(&mut nonce)
            .map_err(|_| Error::invalid("The encrypted file ends behind its header: it is cut."))?;
        let key = cipher(&payload_key(&file_key, &nonce)?)?;
        let mut reader = Self {
            inner,
            key,
            piece: Zeroizing::new(Vec::new()),
            given: 0,
            ahead: Vec::new(),
            number: 0,
            ended: false,
        };
        reader.ahead = reader.next_piece().map_err(|error| Error::invalid(format!("Cannot read: {error}.")))?;
        Ok(reader)
    }

    /// The next piece as it is stored; shorter, or empty, at the end.
    fn next_piece(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(PIECE + TAG);
        self.inner.by_ref().take((PIECE + TAG) as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn open_next(&mut self) -> io::Result<()> {
        let next = self.next_piece()?;
        let last = next.is_empty();
        self.piece = Zeroizing::new(std::mem::replace(&mut self.ahead, next));
        self.given = 0;
        // A full piece is read to its end, so a short one that others follow cannot be.
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the encrypted file is damaged, or cut");
        let nonce = nonce(self.number, last);
        let opened = self.key.open_in_place(nonce, Aad::empty(), &mut self.piece).map_err(|_| damaged())?.len();
        if opened == 0 && self.number > 0 {
            // Only an empty file has an empty piece.
            return Err(damaged());
        }
        self.piece.truncate(opened);
        self.number += 1;
        self.ended = last;
        Ok(())
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.piece.len() {
            if self.ended || buffer.is_empty() {
                return Ok(0);
            }
            if let Err(error) = self.open_next() {
                // Nothing of a piece that failed is given out, now or later.
                self.piece.clear();
                self.given = 0;
                return Err(error);
            }
        }
        let rest = &self.piece[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

fn payload_key(file_key: &FileKey, nonce: &[u8; 16]) -> Result<Key> {
    derive(file_key.as_slice(), nonce, b"payload")
}

/// Eleven bytes of the piece's number, and one that says whether it is the last.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    bytes[3..11].copy_from_slice(&number.to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}
