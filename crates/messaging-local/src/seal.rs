//! What ties a segment's records to it, so that bytes inside a record are never taken for one.
//!
//! Behind a torn tail recovery looks for records in bytes that devices chose: a body may hold
//! anything, a perfect record too. So each segment has a seed, drawn when it is begun and told in
//! its first record; all later records carry one half of it in their marker and the other half in
//! their checksum. Who does not know it hits it with one guess in 2^64, and a torn tail has room for
//! some hundred thousand guesses. The seed leaves the folder in no answer: readers get bodies and
//! properties, never framing.

use crc32c::crc32c_append;
use std::hash::{BuildHasher, RandomState};

/// The first four bytes of a segment's first record; of the others they are mixed with the seed.
const MAGIC: u32 = u32::from_le_bytes(*b"FHR1");

/// A segment's seed at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal(u64);

impl Seal {
    /// For the first record of a segment, which tells the seed: marker `FHR1`, plain CRC-32C.
    pub(crate) const OPEN: Self = Self(0);

    /// A seal that nobody can foresee.
    pub(crate) fn random() -> Self {
        // No key: nothing is encrypted or signed with it, and whoever can read the folder may know
        // it. It only has to be unknown to those outside, which a hash under keys drawn from the
        // operating system is. So the log needs no generator handed in, and nothing that a test
        // wants to repeat depends on the value.
        Self(RandomState::new().hash_one(MAGIC))
    }

    /// The seal of a seed from a segment's first record or its index.
    pub(crate) const fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed, to be kept with the segment.
    pub(crate) const fn seed(self) -> u64 {
        self.0
    }

    /// The first four bytes of a record.
    pub(crate) const fn marker(self) -> [u8; 4] {
        (MAGIC ^ (self.0 >> 32) as u32).to_le_bytes()
    }

    /// The checksum over the bytes of `parts`, one after the other: CRC-32C, begun with half of the seed.
    pub(crate) fn checksum(self, parts: &[&[u8]]) -> u32 {
        parts.iter().fold(self.0 as u32, |crc, part| crc32c_append(crc, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_is_plain_and_the_others_depend_on_the_whole_seed() {
        assert_eq!(Seal::OPEN.marker(), *b"FHR1");
        assert_eq!(Seal::OPEN.checksum(&[b"123456789"]), 0xE306_9283);
        for bit in 0..64 {
            let seal = Seal::of(1 << bit);
            let same_marker = seal.marker() == Seal::OPEN.marker();
            let same_checksum = seal.checksum(&[b"123456789"]) == Seal::OPEN.checksum(&[b"123456789"]);
            assert_eq!((same_marker, same_checksum), (bit < 32, bit >= 32), "bit {bit}");
        }
    }

    #[test]
    fn seals_differ() {
        let seals: std::collections::HashSet<u64> = (0..1000).map(|_| Seal::random().seed()).collect();
        assert_eq!(seals.len(), 1000);
    }
}
