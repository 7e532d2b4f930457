//! Rows of one parent in the order of their uids, in chunks that queries share: a change copies a chunk only while a query
//! still reads it.

use std::sync::Arc;
use uuid::Uuid;

/// Rows of a full chunk: ours.
const CHUNK: usize = 1024;

/// A row.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) uid: Uuid,
    /// Its packed document.
    pub(super) doc: Arc<[u8]>,
    /// What stands beside it: with a device of a namespace the hub and the identity there, with a hub's identity the twin.
    pub(super) beside: Option<(Uuid, Arc<[u8]>)>,
}

pub(super) type Chunk = Vec<Slot>;

/// Bytes of a row beside its documents, with what finds it: ours, about.
const ROW_BYTES: usize = 160;

impl Slot {
    /// Bytes that it holds, about; a document that two rows share counts with both.
    fn bytes(&self) -> usize {
        ROW_BYTES + self.doc.len() + self.beside.as_ref().map_or(0, |(_, doc)| doc.len())
    }
}

/// The rows.
#[derive(Debug, Default)]
pub(super) struct Partition {
    chunks: Vec<Arc<Chunk>>,
    bytes: usize,
}

impl Partition {
    pub(super) fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    /// Bytes that its rows hold, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The chunk in which `uid` stands or would.
    fn chunk_of(&self, uid: Uuid) -> Option<usize> {
        let after = self.chunks.partition_point(|chunk| chunk.first().is_some_and(|slot| slot.uid <= uid));
        (!self.chunks.is_empty()).then(|| after.saturating_sub(1))
    }

    pub(super) fn get(&self, uid: Uuid) -> Option<&Slot> {
        let chunk = &self.chunks[self.chunk_of(uid)?];
        chunk.binary_search_by_key(&uid, |slot| slot.uid).ok().map(|at| &chunk[at])
    }

    /// Puts a document beside a row, if there is one.
    pub(super) fn set_beside(&mut self, uid: Uuid, beside: (Uuid, Arc<[u8]>)) {
        let Some(number) = self.chunk_of(uid) else { return };
        let Ok(at) = self.chunks[number].binary_search_by_key(&uid, |slot| slot.uid) else { return };
        let slot = &mut Arc::make_mut(&mut self.chunks[number])[at];
        self.bytes -= slot.bytes();
        slot.beside = Some(beside);
        self.bytes += slot.bytes();
    }

    pub(super) fn put(&mut self, slot: Slot) {
        self.bytes += slot.bytes();
        let Some(number) = self.chunk_of(slot.uid) else {
            self.chunks.push(Arc::new(vec![slot]));
            return;
        };
        let behind_all = number + 1 == self.chunks.len()
            && self.chunks[number].len() >= CHUNK
            && self.chunks[number].last().is_some_and(|last| last.uid < slot.uid);
        if behind_all {
            self.chunks.push(Arc::new(vec![slot]));
            return;
        }
        let chunk = Arc::make_mut(&mut self.chunks[number]);
        match chunk.binary_search_by_key(&slot.uid, |slot| slot.uid) {
            Ok(at) => {
                self.bytes -= chunk[at].bytes();
                chunk[at] = slot;
            }
            Err(at) => chunk.insert(at, slot),
        }
        if chunk.len() > CHUNK {
            let upper = chunk.split_off(CHUNK / 2);
            self.chunks.insert(number + 1, Arc::new(upper));
        }
    }

    pub(super) fn remove(&mut self, uid: Uuid) {
        let Some(number) = self.chunk_of(uid) else { return };
        let Ok(at) = self.chunks[number].binary_search_by_key(&uid, |slot| slot.uid) else { return };
        let chunk = Arc::make_mut(&mut self.chunks[number]);
        self.bytes -= chunk.remove(at).bytes();
        if chunk.is_empty() {
            self.chunks.remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn rows_stay_in_order_whatever_comes_and_goes() {
        let (mut partition, mut model) = (Partition::default(), BTreeMap::new());
        let mut seed = 5u64;
        for round in 0..20_000u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uid = Uuid::from_u128(u128::from(if round < 5000 { round * 3 } else { seed >> 50 }));
            if seed.is_multiple_of(3) && round >= 5000 {
                partition.remove(uid);
                model.remove(&uid);
            } else {
                let doc: Arc<[u8]> = round.to_le_bytes().into();
                partition.put(Slot { uid, doc: Arc::clone(&doc), beside: None });
                model.insert(uid, doc);
            }
        }
        let all: Vec<_> =
            partition.chunks().iter().flat_map(|chunk| chunk.iter().map(|slot| (slot.uid, slot.doc.clone()))).collect();
        assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
        assert!(partition.chunks().iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
        assert!(model.keys().all(|uid| partition.get(*uid).is_some()));
        assert_eq!(partition.bytes(), model.len() * (ROW_BYTES + 8));
        let (first, beside) = (*model.keys().next().unwrap(), Arc::from([1u8; 5]));
        partition.set_beside(first, (first, beside));
        assert_eq!(partition.bytes(), model.len() * (ROW_BYTES + 8) + 5);
        model.keys().for_each(|uid| partition.remove(*uid));
        assert_eq!((partition.bytes(), partition.chunks().len()), (0, 0));
    }
}
