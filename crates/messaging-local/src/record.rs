//! What a record of the journal looks like.
//!
//! A header of 64 bytes, then the properties (as `ferrohub_messaging::Packed` has them), then the body. All
//! numbers little-endian:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | marker: `FHR1`, mixed with the segment's seed |
//! | 4 | 4 | length of the record, header included |
//! | 8 | 4 | CRC-32C of the record without these four bytes, begun with the seed |
//! | 12 | 2 | kind: 0 event, 1 heads |
//! | 14 | 2 | partition |
//! | 16 | 16 | stream |
//! | 32 | 8 | sequence number (heads: number of the segment) |
//! | 40 | 8 | offset in the partition (heads: format of the journal) |
//! | 48 | 8 | enqueued, milliseconds since the Unix epoch (heads: the segment's seed) |
//! | 56 | 4 | where in the file the record's batch starts: all before it was synced earlier |
//! | 60 | 4 | length of the properties |
//!
//! A segment starts with one or more heads records: what every partition had reached, so that
//! sequence numbers go on after retention took a partition's last event. The first of them tells the
//! seed and is therefore written without it; `seal.rs` says what it is for.

use crate::seal::Seal;
use ferrohub_messaging::NewEvent;
use ferrohub_model::limits;
use uuid::Uuid;

/// Length of a record's header.
pub(crate) const HEADER: usize = 64;
/// The format that this program writes and reads. Format 1 had no seed, format 2 had properties in JSON.
pub(crate) const FORMAT: u64 = 3;

/// A partition of a stream.
pub(crate) type Key = (Uuid, u16);

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event.
    Event,
    /// What partitions had reached when the segment began.
    Heads,
}

/// A record's header without magic, length and CRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) key: Key,
    pub(crate) sequence: u64,
    pub(crate) offset: u64,
    pub(crate) enqueued_ms: i64,
    pub(crate) batch_start: u32,
}

/// A record within a larger buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) header: Header,
    pub(crate) properties: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// How far a partition has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) next_sequence: u64,
    pub(crate) next_offset: u64,
    pub(crate) last_offset: u64,
    pub(crate) last_enqueued_ms: i64,
}

impl Head {
    /// A partition without events.
    pub(crate) const EMPTY: Self =
        Self { next_sequence: 0, next_offset: 0, last_offset: 0, last_enqueued_ms: i64::MIN };

    /// The head after an event of `length` bytes at `offset` was enqueued at `enqueued_ms`.
    pub(crate) fn after(header: &Header, length: usize) -> Self {
        Self {
            next_sequence: header.sequence + 1,
            next_offset: header.offset + length as u64,
            last_offset: header.offset,
            last_enqueued_ms: header.enqueued_ms,
        }
    }
}

impl Header {
    /// The seal that a heads record tells.
    pub(crate) fn seal(&self) -> Seal {
        Seal::of(self.enqueued_ms.cast_unsigned())
    }
}

impl Record<'_> {
    /// Length in the journal.
    pub(crate) fn length(&self) -> usize {
        HEADER + self.properties.len() + self.body.len()
    }

    /// Appends the record. The caller has checked the length against `limits::LOG_RECORD_BYTES`.
    pub(crate) fn encode(&self, seal: Seal, out: &mut Vec<u8>) {
        let head = &self.header;
        let kind: u16 = match head.kind {
            Kind::Event => 0,
            Kind::Heads => 1,
        };
        let mut header = [0; HEADER];
        header[0..4].copy_from_slice(&seal.marker());
        header[4..8].copy_from_slice(&(self.length() as u32).to_le_bytes());
        header[12..14].copy_from_slice(&kind.to_le_bytes());
        header[14..16].copy_from_slice(&head.key.1.to_le_bytes());
        header[16..32].copy_from_slice(head.key.0.as_bytes());
        header[32..40].copy_from_slice(&head.sequence.to_le_bytes());
        header[40..48].copy_from_slice(&head.offset.to_le_bytes());
        header[48..56].copy_from_slice(&head.enqueued_ms.to_le_bytes());
        header[56..60].copy_from_slice(&head.batch_start.to_le_bytes());
        header[60..64].copy_from_slice(&(self.properties.len() as u32).to_le_bytes());
        let crc = seal.checksum(&[&header[..8], &header[12..], self.properties, self.body]);
        header[8..12].copy_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(self.properties);
        out.extend_from_slice(self.body);
    }
}

/// Length of an event in the journal.
pub(crate) fn length_of(event: &NewEvent) -> usize {
    HEADER + event.properties.as_bytes().len() + event.body.len()
}

/// Length of the record whose header `bytes` starts with, not yet checked against its CRC.
pub(crate) fn length(seal: Seal, bytes: &[u8]) -> Result<usize, &'static str> {
    let mut fields = Fields(bytes);
    if fields.take::<4>()? != seal.marker() {
        return Err("no record starts here");
    }
    let length = u32::from_le_bytes(fields.take()?) as usize;
    if (HEADER..=limits::LOG_RECORD_BYTES).contains(&length) { Ok(length) } else { Err("the length is out of range") }
}

/// The record at the start of `bytes`, checked.
pub(crate) fn decode(seal: Seal, bytes: &[u8]) -> Result<Record<'_>, &'static str> {
    let length = length(seal, bytes)?;
    let bytes = bytes.get(..length).ok_or("the record is cut short")?;
    let (mut fields, payload) = (Fields(&bytes[8..]), &bytes[HEADER..]);
    let crc = u32::from_le_bytes(fields.take()?);
    if crc != seal.checksum(&[&bytes[..8], &bytes[12..]]) {
        return Err("the checksum does not match");
    }
    let kind = match u16::from_le_bytes(fields.take()?) {
        0 => Kind::Event,
        1 => Kind::Heads,
        _ => return Err("the kind of record is unknown"),
    };
    let partition = u16::from_le_bytes(fields.take()?);
    let header = Header {
        kind,
        key: (Uuid::from_bytes(fields.take()?), partition),
        sequence: u64::from_le_bytes(fields.take()?),
        offset: u64::from_le_bytes(fields.take()?),
        enqueued_ms: i64::from_le_bytes(fields.take()?),
        batch_start: u32::from_le_bytes(fields.take()?),
    };
    let properties_length = u32::from_le_bytes(fields.take()?) as usize;
    let (properties, body) =
        payload.split_at_checked(properties_length).ok_or("the properties are longer than the record")?;
    Ok(Record { header, properties, body })
}

/// Bytes of one partition in a heads record.
const HEAD_BYTES: usize = 16 + 2 + 4 * 8;
/// Partitions of one heads record, so that it stays below the limit of a record.
const HEADS: usize = 20_000;
const _: () = assert!(HEADER + HEADS * HEAD_BYTES <= limits::LOG_RECORD_BYTES);

/// Length of the start of a segment with the heads of this many partitions.
pub(crate) fn heads_length(partitions: usize) -> usize {
    HEADER * partitions.div_ceil(HEADS).max(1) + HEAD_BYTES * partitions
}

/// The start of segment `segment`: at least one heads record.
pub(crate) fn encode_heads(segment: u64, seal: Seal, heads: &[(Key, Head)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = heads;
    let mut seal_of_next = Seal::OPEN;
    loop {
        let (now, later) = rest.split_at(rest.len().min(HEADS));
        let mut body = Vec::with_capacity(now.len() * HEAD_BYTES);
        for ((stream, partition), head) in now {
            body.extend_from_slice(stream.as_bytes());
            body.extend_from_slice(&partition.to_le_bytes());
            body.extend_from_slice(&head.next_sequence.to_le_bytes());
            body.extend_from_slice(&head.next_offset.to_le_bytes());
            body.extend_from_slice(&head.last_offset.to_le_bytes());
            body.extend_from_slice(&head.last_enqueued_ms.to_le_bytes());
        }
        let record = Record {
            header: Header {
                kind: Kind::Heads,
                key: (Uuid::nil(), 0),
                sequence: segment,
                offset: FORMAT,
                enqueued_ms: seal.seed().cast_signed(),
                batch_start: 0,
            },
            properties: &[],
            body: &body,
        };
        record.encode(seal_of_next, &mut out);
        seal_of_next = seal;
        rest = later;
        if rest.is_empty() {
            return out;
        }
    }
}

/// The partitions of a heads record's body.
pub(crate) fn decode_heads(body: &[u8]) -> Result<Vec<(Key, Head)>, &'static str> {
    let mut fields = Fields(body);
    let mut heads = Vec::with_capacity(body.len() / HEAD_BYTES);
    while !fields.0.is_empty() {
        let stream = Uuid::from_bytes(fields.take()?);
        let partition = u16::from_le_bytes(fields.take()?);
        let head = Head {
            next_sequence: u64::from_le_bytes(fields.take()?),
            next_offset: u64::from_le_bytes(fields.take()?),
            last_offset: u64::from_le_bytes(fields.take()?),
            last_enqueued_ms: i64::from_le_bytes(fields.take()?),
        };
        heads.push(((stream, partition), head));
    }
    Ok(heads)
}

/// Reads fixed fields one after the other.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    /// The next `N` bytes.
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (now, later) = self.0.split_first_chunk::<N>().ok_or("a field is cut short")?;
        self.0 = later;
        Ok(*now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEAL: Seal = Seal::of(0x0123_4567_89ab_cdef);

    fn record<'a>(properties: &'a [u8], body: &'a [u8]) -> Record<'a> {
        Record {
            header: Header {
                kind: Kind::Event,
                key: (Uuid::from_u128(7), 31),
                sequence: u64::MAX - 1,
                offset: 1 << 40,
                enqueued_ms: -5,
                batch_start: 9,
            },
            properties,
            body,
        }
    }

    #[test]
    fn heads_of_many_partitions_take_several_records() {
        let heads: Vec<(Key, Head)> = (0..HEADS as u128 + 1)
            .map(|number| ((Uuid::from_u128(number), 3), Head { next_sequence: 1, ..Head::EMPTY }))
            .collect();
        let bytes = encode_heads(9, SEAL, &heads);
        let first = decode(Seal::OPEN, &bytes).unwrap();
        let second = decode(SEAL, &bytes[first.length()..]).unwrap();
        assert_eq!(first.length() + second.length(), bytes.len());
        assert_eq!(bytes.len(), heads_length(heads.len()));
        assert_eq!((first.header.seal(), second.header.seal()), (SEAL, SEAL));
        let mut found = decode_heads(first.body).unwrap();
        found.extend(decode_heads(second.body).unwrap());
        assert_eq!(found, heads);
        let empty = encode_heads(9, SEAL, &[]);
        assert_eq!((empty.len(), decode(Seal::OPEN, &empty).unwrap().header.sequence), (HEADER, 9));
        assert_eq!(heads_length(0), HEADER);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(properties in any::<Vec<u8>>(), body in any::<Vec<u8>>(), tail in any::<Vec<u8>>()) {
            let mut bytes = Vec::new();
            record(&properties, &body).encode(SEAL, &mut bytes);
            bytes.extend(&tail);
            prop_assert_eq!(decode(SEAL, &bytes), Ok(record(&properties, &body)));
        }

        #[test]
        fn another_segments_record_is_none(body in any::<Vec<u8>>(), flip in 1u64..) {
            let mut bytes = Vec::new();
            record(b"{}", &body).encode(SEAL, &mut bytes);
            prop_assert!(decode(Seal::of(SEAL.seed() ^ flip), &bytes).is_err());
        }

        #[test]
        fn a_changed_byte_is_noticed(body in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = Vec::new();
            record(b"{}", &body).encode(SEAL, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(decode(SEAL, &bytes).is_err());
        }

        #[test]
        fn any_bytes_are_decoded_without_panic(mut bytes in any::<Vec<u8>>()) {
            let _ = decode(SEAL, &bytes);
            let _ = decode_heads(&bytes);
            bytes.splice(0..0, SEAL.marker());
            let _ = decode(SEAL, &bytes);
        }
    }
}
