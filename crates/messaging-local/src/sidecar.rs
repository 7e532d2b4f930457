//! The index file beside a sealed segment: where each partition's records are, so that opening the
//! log does not read sealed segments. It can always be rebuilt.
//!
//! Little-endian: magic `FHX2`, CRC-32C of all that follows, length of this file (8), length of the
//! segment (8), seed of the segment (8), number of runs (4), then for each run: stream (16),
//! partition (2), first sequence (8), count (4), next offset (8), last offset (8), last enqueued (8);
//! then for each run its positions in the segment, 4 bytes each.

use crate::index::{Positions, Run};
use crate::record::{Fields, Head, Key};
use crate::seal::Seal;
use crc32c::crc32c;
use std::collections::BTreeMap;
use uuid::Uuid;

const MAGIC: [u8; 4] = *b"FHX2";
const HEADER: usize = 4 + 4 + 8 + 8 + 8 + 4;
const RUN: usize = 16 + 2 + 8 + 4 + 3 * 8;

/// The file for a segment of `segment_length` bytes with this seal and these runs. A run whose positions are in
/// a file already has been sealed before and is left out.
pub(crate) fn encode<'a>(segment_length: u64, seal: Seal, runs: impl Iterator<Item = (&'a Key, &'a Run)>) -> Vec<u8> {
    let mut count = 0u32;
    let mut table = Vec::new();
    let mut places = Vec::new();
    for ((stream, partition), run) in runs {
        let Positions::Memory(positions) = &run.positions else {
            continue;
        };
        count += 1;
        table.extend_from_slice(stream.as_bytes());
        table.extend_from_slice(&partition.to_le_bytes());
        table.extend_from_slice(&run.first_sequence.to_le_bytes());
        table.extend_from_slice(&run.count.to_le_bytes());
        table.extend_from_slice(&run.head.next_offset.to_le_bytes());
        table.extend_from_slice(&run.head.last_offset.to_le_bytes());
        table.extend_from_slice(&run.head.last_enqueued_ms.to_le_bytes());
        for position in positions {
            places.extend_from_slice(&position.to_le_bytes());
        }
    }
    let total = HEADER + table.len() + places.len();
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(total as u64).to_le_bytes());
    out.extend_from_slice(&segment_length.to_le_bytes());
    out.extend_from_slice(&seal.seed().to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.append(&mut table);
    out.append(&mut places);
    let crc = crc32c(&out[8..]);
    out[4..8].copy_from_slice(&crc.to_le_bytes());
    out
}

/// A segment's seal, and its runs with their positions left in the file.
pub(crate) type Sealed = (Seal, BTreeMap<Key, Run>);

/// What the index of segment `segment` says, whose length must be `segment_length`.
pub(crate) fn decode(segment: u64, segment_length: u64, bytes: &[u8]) -> Result<Sealed, &'static str> {
    let mut fields = Fields(bytes);
    if fields.take::<4>()? != MAGIC {
        return Err("no index starts here");
    }
    let crc = u32::from_le_bytes(fields.take()?);
    if u64::from_le_bytes(fields.take()?) != bytes.len() as u64 {
        return Err("the file is not as long as it says");
    }
    if crc != crc32c(&bytes[8..]) {
        return Err("the checksum does not match");
    }
    if u64::from_le_bytes(fields.take()?) != segment_length {
        return Err("the segment is not as long as it was");
    }
    let seal = Seal::of(u64::from_le_bytes(fields.take()?));
    let count = u32::from_le_bytes(fields.take()?);
    let mut at = HEADER as u64 + u64::from(count) * RUN as u64;
    let mut runs = BTreeMap::new();
    for _ in 0..count {
        let stream = Uuid::from_bytes(fields.take()?);
        let partition = u16::from_le_bytes(fields.take()?);
        let first_sequence = u64::from_le_bytes(fields.take()?);
        let count = u32::from_le_bytes(fields.take()?);
        let head = Head {
            next_sequence: first_sequence + u64::from(count),
            next_offset: u64::from_le_bytes(fields.take()?),
            last_offset: u64::from_le_bytes(fields.take()?),
            last_enqueued_ms: i64::from_le_bytes(fields.take()?),
        };
        let run = Run { segment, first_sequence, count, head, positions: Positions::Sidecar(at) };
        runs.insert((stream, partition), run);
        at += u64::from(count) * 4;
    }
    if at == bytes.len() as u64 { Ok((seal, runs)) } else { Err("the positions do not fill the file") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_or_stale_index_is_noticed() {
        let head = Head { next_sequence: 7, next_offset: 300, last_offset: 200, last_enqueued_ms: -1 };
        let run = |positions| Run { segment: 4, first_sequence: 5, count: 2, head, positions };
        let key = (Uuid::from_u128(1), 2);
        let source = run(Positions::Memory(vec![64, 128]));
        let bytes = encode(1000, Seal::of(u64::MAX - 5), std::iter::once((&key, &source)));
        let wanted = run(Positions::Sidecar((HEADER + RUN) as u64));
        assert_eq!(decode(4, 1000, &bytes), Ok((Seal::of(u64::MAX - 5), BTreeMap::from([(key, wanted)]))));
        assert!(decode(4, 1001, &bytes).is_err());
        for at in 0..bytes.len() {
            assert!(decode(4, 1000, &bytes[..at]).is_err(), "cut at {at}");
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(4, 1000, &damaged).is_err(), "damaged at {at}");
        }
    }
}
