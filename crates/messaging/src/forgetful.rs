//! A disk in memory that forgets what was not synced.

use crate::disk::{Disk, DiskFile};
use ferrohub_model::random::{Random, SeededRandom};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that a crash keeps or loses together.
const SECTOR: usize = 512;

/// A disk in memory for tests. [`ForgetfulDisk::crash`] gives the disk as the machine would find
/// it after a power cut; the old one answers every call with an error from then on.
///
/// A failed sync behaves as Linux does: the bytes written since the last success stay readable but
/// are never made durable, even if a later sync succeeds. A failed directory sync makes new names
/// durable, but removals not.
#[derive(Debug, Clone, Default)]
pub struct ForgetfulDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    operations: u64,
    fail_at: Option<u64>,
    die_at: Option<u64>,
    dead: bool,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    dropped: Vec<Range<usize>>,
}

/// What the disk does with one operation.
enum Fate {
    Works,
    Fails,
}

impl ForgetfulDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Operations so far that write or sync (create, append, rewrite, truncate, sync, remove, sync_dir).
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Makes the `n`-th (from 1) writing or syncing operation from now fail once. An append that
    /// fails leaves half of its bytes.
    pub fn fail_at(&self, n: u64) {
        let mut state = self.state();
        state.fail_at = Some(state.operations + n);
    }

    /// Makes the `n`-th (from 1) writing or syncing operation from now fail, and every one after it,
    /// reads included: the power goes off there.
    pub fn die_at(&self, n: u64) {
        let mut state = self.state();
        state.die_at = Some(state.operations + n);
    }

    /// The disk after a power cut. Everything synced is there; of unsynced bytes `seed` chooses a torn
    /// part: none, some first bytes, or all with sectors of zeros among them; of unsynced names and
    /// removals it chooses each by a coin. Without a seed everything unsynced is gone.
    pub fn crash(&self, seed: Option<u64>) -> Self {
        let mut state = self.state();
        state.dead = true;
        let random = seed.map(SeededRandom::new);
        let mut after = State::default();
        let paths: Vec<&PathBuf> = state.names.keys().chain(state.durable_names.keys()).collect();
        for path in paths {
            let durable = state.durable_names.get(path);
            let inode = match (durable, state.names.get(path), random.as_ref()) {
                (durable, current, Some(random)) if durable != current => {
                    if below(random, 2) == 0 {
                        durable
                    } else {
                        current
                    }
                }
                (durable, _, _) => durable,
            };
            if let Some(inode) = inode
                && !after.names.contains_key(path)
            {
                let bytes = survive(&state.files[*inode], random.as_ref());
                after.names.insert(path.clone(), after.files.len());
                after.files.push(Inode { durable: bytes.clone(), bytes, dropped: Vec::new() });
            }
        }
        after.durable_names = after.names.clone();
        Self(Arc::new(Mutex::new(after)))
    }

    /// Another disk with the same files, all of them synced.
    pub fn copy(&self) -> Self {
        let mut after = State::default();
        let state = self.state();
        for (path, index) in &state.names {
            let bytes = state.files[*index].bytes.clone();
            after.names.insert(path.clone(), after.files.len());
            after.files.push(Inode { durable: bytes.clone(), bytes, dropped: Vec::new() });
        }
        after.durable_names = after.names.clone();
        Self(Arc::new(Mutex::new(after)))
    }

    /// Changes one byte of a file, as a bad sector would.
    ///
    /// # Errors
    /// `NotFound` when there is no such file or byte.
    pub fn damage(&self, path: &Path, position: usize) -> io::Result<()> {
        let mut state = self.state();
        let index = state.lookup(path)?;
        let inode = &mut state.files[index];
        for bytes in [&mut inode.bytes, &mut inode.durable] {
            let byte = bytes.get_mut(position).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            *byte ^= 0x5a;
        }
        Ok(())
    }

    /// The bytes of a file as a reader sees them.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn contents(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        let index = state.lookup(path)?;
        Ok(state.files[index].bytes.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of a file outlives a power cut.
fn survive(inode: &Inode, random: Option<&SeededRandom>) -> Vec<u8> {
    let Some(random) = random else {
        return inode.durable.clone();
    };
    if !inode.bytes.starts_with(&inode.durable) || !inode.dropped.is_empty() {
        // Truncated and not synced, or a failed sync: the old or the new length, no mixture.
        return if below(random, 2) == 0 || !inode.dropped.is_empty() {
            inode.durable.clone()
        } else {
            inode.bytes.clone()
        };
    }
    let synced = inode.durable.len();
    let unsynced = inode.bytes.len() - synced;
    match below(random, 3) {
        0 => inode.durable.clone(),
        1 => inode.bytes[..synced + below(random, unsynced + 1)].to_vec(),
        _ => {
            let mut bytes = inode.bytes.clone();
            let mut start = synced;
            while start < bytes.len() {
                let end = bytes.len().min((start / SECTOR + 1) * SECTOR);
                if below(random, 2) == 0 {
                    bytes[start..end].fill(0);
                }
                start = end;
            }
            bytes
        }
    }
}

fn below(random: &SeededRandom, limit: usize) -> usize {
    let mut bytes = [0u8; 8];
    random.fill(&mut bytes);
    usize::try_from(u64::from_le_bytes(bytes) % (limit.max(1) as u64)).unwrap_or(0)
}

fn off() -> io::Error {
    io::Error::other("the disk's power is off")
}

fn injected() -> io::Error {
    io::Error::other("injected I/O error")
}

impl State {
    /// Counts an operation that writes or syncs.
    fn operate(&mut self) -> io::Result<Fate> {
        if self.dead {
            return Err(off());
        }
        self.operations += 1;
        if self.die_at == Some(self.operations) {
            self.dead = true;
            return Ok(Fate::Fails);
        }
        if self.fail_at == Some(self.operations) {
            self.fail_at = None;
            return Ok(Fate::Fails);
        }
        Ok(Fate::Works)
    }

    fn lookup(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Disk for ForgetfulDisk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        if self.state().dead { Err(off()) } else { Ok(()) }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        if let Fate::Fails = state.operate()? {
            return Err(injected());
        }
        if state.names.contains_key(path) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let index = state.files.len();
        state.files.push(Inode::default());
        state.names.insert(path.to_owned(), index);
        Ok(Arc::new(ForgetfulFile { disk: self.clone(), index }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state();
        if state.dead {
            return Err(off());
        }
        let index = state.lookup(path)?;
        Ok(Arc::new(ForgetfulFile { disk: self.clone(), index }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        if state.dead {
            return Err(off());
        }
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        if let Fate::Fails = state.operate()? {
            return Err(injected());
        }
        state.lookup(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        let fate = state.operate()?;
        let State { names, durable_names, .. } = &mut *state;
        if let Fate::Works = fate {
            durable_names.retain(|path, _| path.parent() != Some(dir));
        }
        // A sync that fails may have done part of its work: here, new names are durable all the same.
        let here = names.iter().filter(|(path, _)| path.parent() == Some(dir));
        durable_names.extend(here.map(|(path, index)| (path.clone(), *index)));
        match fate {
            Fate::Works => Ok(()),
            Fate::Fails => Err(injected()),
        }
    }
}

struct ForgetfulFile {
    disk: ForgetfulDisk,
    index: usize,
}

impl DiskFile for ForgetfulFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let fate = state.operate()?;
        let file = &mut state.files[self.index].bytes;
        match fate {
            Fate::Works => {
                file.extend_from_slice(bytes);
                Ok(())
            }
            Fate::Fails => {
                file.extend_from_slice(&bytes[..bytes.len() / 2]);
                Err(injected())
            }
        }
    }

    fn rewrite(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        if let Fate::Fails = state.operate()? {
            return Err(injected());
        }
        let inode = &mut state.files[self.index];
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        let range = start..start.saturating_add(bytes.len());
        if inode.bytes.get(range.clone()) != Some(bytes) {
            return Err(io::Error::other("a rewrite that changes something"));
        }
        inode.dropped.retain(|lost| lost.start < range.start || lost.end > range.end);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let fate = state.operate()?;
        let inode = &mut state.files[self.index];
        match fate {
            Fate::Works => {
                inode.durable = inode.bytes.clone();
                for range in &inode.dropped {
                    let end = range.end.min(inode.durable.len());
                    if range.start < end {
                        inode.durable[range.start..end].fill(0);
                    }
                }
                Ok(())
            }
            Fate::Fails => {
                let range = inode.durable.len().min(inode.bytes.len())..inode.bytes.len();
                inode.dropped.push(range);
                Err(injected())
            }
        }
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        if state.dead {
            return Err(off());
        }
        let bytes = &state.files[self.index].bytes;
        let start = usize::try_from(position).map_or(bytes.len(), |start| start.min(bytes.len()));
        let count = buffer.len().min(bytes.len() - start);
        buffer[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        if let Fate::Fails = state.operate()? {
            return Err(injected());
        }
        let inode = &mut state.files[self.index];
        if let Ok(length) = usize::try_from(length) {
            inode.bytes.resize(length, 0);
            for range in &mut inode.dropped {
                range.end = range.end.min(length);
            }
            inode.dropped.retain(|range| range.start < range.end);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        if state.dead {
            return Err(off());
        }
        Ok(state.files[self.index].bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &ForgetfulDisk, path: &Path) -> Vec<u8> {
        disk.contents(path).unwrap()
    }

    #[test]
    fn unsynced_bytes_and_names_are_forgotten() {
        let disk = ForgetfulDisk::new();
        let (dir, path, other) = (Path::new("d"), Path::new("d/a"), Path::new("d/b"));
        let file = disk.create(path).unwrap();
        file.append(b"kept").unwrap();
        file.sync().unwrap();
        disk.sync_dir(dir).unwrap();
        file.append(b" lost").unwrap();
        disk.create(other).unwrap().sync().unwrap();
        let after = disk.crash(None);
        assert_eq!(read(&after, path), b"kept");
        assert_eq!(after.list(dir).unwrap(), ["a"]);
        assert!(file.append(b"x").is_err(), "the old disk is dead");
    }

    #[test]
    fn a_failed_sync_drops_its_bytes_for_ever() {
        let disk = ForgetfulDisk::new();
        let path = Path::new("d/a");
        let file = disk.create(path).unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        file.append(b"lost").unwrap();
        disk.fail_at(1);
        assert!(file.sync().is_err());
        file.append(b"kept").unwrap();
        file.sync().unwrap();
        assert_eq!(read(&disk, path), b"lostkept");
        assert_eq!(read(&disk.crash(None), path), b"\0\0\0\0kept");
    }

    #[test]
    fn what_was_rewritten_is_synced_after_all() {
        let disk = ForgetfulDisk::new();
        let path = Path::new("d/a");
        let file = disk.create(path).unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        file.append(b"kept").unwrap();
        disk.fail_at(1);
        assert!(file.sync().is_err());
        file.rewrite(0, b"kept").unwrap();
        file.sync().unwrap();
        assert!(file.rewrite(0, b"KEPT").is_err());
        assert_eq!(read(&disk.crash(None), path), b"kept");
    }

    #[test]
    fn a_seeded_crash_keeps_synced_bytes_and_tears_the_rest() {
        let path = Path::new("d/a");
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let disk = ForgetfulDisk::new();
            let file = disk.create(path).unwrap();
            disk.sync_dir(Path::new("d")).unwrap();
            file.append(&[1; 700]).unwrap();
            file.sync().unwrap();
            file.append(&[2; 2000]).unwrap();
            let after = read(&disk.crash(Some(seed)), path);
            assert_eq!(after[..700], [1; 700], "seed {seed}");
            seen.insert((after.len(), after.contains(&0)));
        }
        assert!(seen.contains(&(700, false)) && seen.contains(&(2700, true)) && seen.len() > 10);
    }

    #[test]
    fn an_operation_fails_where_it_is_told_to() {
        let disk = ForgetfulDisk::new();
        let path = Path::new("d/a");
        disk.fail_at(2);
        let file = disk.create(path).unwrap();
        assert!(file.append(b"1234").is_err());
        assert_eq!(read(&disk, path), b"12");
        file.append(b"56").unwrap();
        disk.die_at(1);
        assert!(file.sync().is_err());
        assert!(file.sync().is_err());
        assert!(disk.open(path).is_err());
    }
}
