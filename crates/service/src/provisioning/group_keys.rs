//! The keys of enrollment groups, opened, in memory: where a device that never registered is looked for. A derived key does not name its group,
//! so that groups must be tried (ADR 0031). The groups in which devices were found of late come first, so that a fleet that
//! is rolled out costs one try; a search through many is one of few at a time.

use super::enrollment::Enrollment;
use super::{DpsRef, ProvisioningService};
use crate::platform::Change;
use crate::tables::{ENROLLMENT_GROUPS, GROUP_GENERATIONS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::enrollment::{Attestation, EnrollmentKind};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_store::{Pages, Put, Row};
use ferrohub_wire::sas_token::{SasFailure, SasToken, derive_device_key};
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Rows that are read at once.
const PAGE: usize = 1000;
/// Groups that are tried before others get their turn at the processor: ours, well under a millisecond.
const TRIED_AT_ONCE: usize = 128;
/// Groups of one service that are remembered as those in which devices were found of late: ours.
const RECENT: usize = 8;

/// The decoded keys of a group.
pub(super) struct GroupKeys {
    primary: Zeroizing<Vec<u8>>,
    secondary: Zeroizing<Vec<u8>>,
}

/// The two keys of one device.
pub(super) struct DeviceKeys {
    primary: Zeroizing<Vec<u8>>,
    secondary: Zeroizing<Vec<u8>>,
}

/// The groups of one service that attest by key, at one moment, and in which of them devices were found of late.
pub(super) struct GroupIndex {
    generation: u64,
    groups: Vec<Known>,
    /// Places in `groups`, the newest first.
    recent: Mutex<Vec<usize>>,
}

/// A group of an index.
struct Known {
    row_key: String,
    version: u64,
    keys: Arc<GroupKeys>,
}

/// What is remembered of enrollment groups.
pub(super) struct GroupCache {
    /// Opened keys by row key, valid for one version of the row.
    keys: Cache<String, (u64, Arc<GroupKeys>)>,
    /// By service: a change of any group begins another generation, of which the unchanged ones are taken over.
    indexes: Cache<Uuid, Arc<GroupIndex>>,
    /// Turns at reading an index anew, and at searching a long one.
    reading: tokio::sync::Mutex<()>,
    searching: Semaphore,
    turns: Semaphore,
}

impl Default for GroupCache {
    fn default() -> Self {
        Self {
            keys: Cache::new(limits::OPEN_GROUPS),
            indexes: Cache::new(limits::GROUP_INDEXES),
            reading: tokio::sync::Mutex::default(),
            searching: Semaphore::new(limits::WAITING_GROUP_SEARCHES),
            turns: Semaphore::new(limits::GROUP_SEARCHES),
        }
    }
}

impl GroupKeys {
    pub(super) fn derive(&self, registration_id: &str) -> DeviceKeys {
        let derive = |key: &[u8]| Zeroizing::new(derive_device_key(key, registration_id).to_vec());
        DeviceKeys { primary: derive(&self.primary), secondary: derive(&self.secondary) }
    }
}

impl DeviceKeys {
    /// The decoded keys of a device.
    pub(super) fn new(primary: Zeroizing<Vec<u8>>, secondary: Zeroizing<Vec<u8>>) -> Self {
        Self { primary, secondary }
    }

    /// Whether one of the keys signed the token, and the token is still good.
    pub(super) fn verify(&self, token: &SasToken, now_unix: i64) -> std::result::Result<(), SasFailure> {
        token.verify_any(&[self.primary.as_slice(), self.secondary.as_slice()], now_unix)
    }

    /// The primary key.
    pub(super) fn primary(&self) -> &[u8] {
        &self.primary
    }

    /// Both keys as a hub identity takes them: base64.
    pub(super) fn to_base64(&self) -> (Zeroizing<String>, Zeroizing<String>) {
        let text = |key: &[u8]| Zeroizing::new(STANDARD.encode(key));
        (text(&self.primary), text(&self.secondary))
    }
}

impl GroupIndex {
    fn fits(&self, place: usize, registration_id: &str, token: &SasToken, now_unix: i64) -> bool {
        self.groups.get(place).is_some_and(|known| {
            known.keys.derive(registration_id).verify(token, now_unix) != Err(SasFailure::BadSignature)
        })
    }

    fn recent(&self) -> Vec<usize> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a group in front; its row's key.
    fn found(&self, place: usize) -> Option<String> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|other| *other != place);
        recent.insert(0, place);
        recent.truncate(RECENT);
        self.groups.get(place).map(|known| known.row_key.clone())
    }
}

impl ProvisioningService {
    /// The key of the row of the group from whose key the one that signed the token was derived.
    ///
    /// # Errors
    /// `TooManyRequests` (429001) while too many others are searched for.
    pub(super) async fn search(
        &self,
        dps: &DpsRef,
        index: &GroupIndex,
        registration_id: &str,
        token: &SasToken,
        now_unix: i64,
    ) -> Result<Option<String>> {
        let recent = index.recent();
        if let Some(place) = recent.iter().copied().find(|place| index.fits(*place, registration_id, token, now_unix)) {
            return Ok(index.found(place));
        }
        let _turn = if index.groups.len() > TRIED_AT_ONCE {
            let waiting = self.groups.searching.try_acquire().map_err(|_| busy(dps))?;
            Some((waiting, self.groups.turns.acquire().await))
        } else {
            None
        };
        for start in (0..index.groups.len()).step_by(TRIED_AT_ONCE) {
            if start > 0 {
                tokio::task::yield_now().await;
            }
            let end = (start + TRIED_AT_ONCE).min(index.groups.len());
            if let Some(place) = (start..end).find(|place| index.fits(*place, registration_id, token, now_unix)) {
                return Ok(index.found(place));
            }
        }
        Ok(None)
    }

    /// All groups of the service that attest by key, as they are now: one row is read, and the groups only when one of them has changed.
    pub(super) async fn group_index(&self, dps: &DpsRef) -> Result<Arc<GroupIndex>> {
        // Read before the groups: a change in between begins another generation.
        let generation = self.generation(dps).await?.map_or(0, |row| row.version);
        let current = |known: &Arc<GroupIndex>| known.generation >= generation;
        if let Some(known) = self.groups.indexes.get(&dps.uid).filter(current) {
            return Ok(known);
        }
        let _turn = self.groups.reading.lock().await;
        let former = self.groups.indexes.get(&dps.uid);
        if let Some(known) = former.clone().filter(current) {
            return Ok(known);
        }
        let fresh = Arc::new(self.read_index(dps, generation, former.as_deref()).await?);
        self.groups.indexes.insert(dps.uid, Arc::clone(&fresh));
        Ok(fresh)
    }

    async fn read_index(&self, dps: &DpsRef, generation: u64, former: Option<&GroupIndex>) -> Result<GroupIndex> {
        let former_groups = former.map(|former| former.groups.as_slice()).unwrap_or_default();
        let known: HashMap<&str, &Known> = former_groups.iter().map(|known| (known.row_key.as_str(), known)).collect();
        let prefix = dps.row_key("");
        let mut pages = Pages::scan(self.platform.store.as_ref(), &ENROLLMENT_GROUPS, &prefix, PAGE);
        let mut groups = Vec::new();
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let keys = match known.get(row.key.as_str()).filter(|known| known.version == row.version) {
                    Some(known) => Some(Arc::clone(&known.keys)),
                    None => self.opened(&row).await?,
                };
                if let Some(keys) = keys {
                    groups.push(Known { row_key: row.key.clone(), version: row.version, keys });
                }
            }
        }
        let places: HashMap<&str, usize> =
            groups.iter().enumerate().map(|(place, known)| (known.row_key.as_str(), place)).collect();
        let recent = former.map(GroupIndex::recent).unwrap_or_default();
        let recent = recent.iter().filter_map(|place| places.get(former_groups.get(*place)?.row_key.as_str()).copied());
        let recent = Mutex::new(recent.collect());
        Ok(GroupIndex { generation, groups, recent })
    }

    /// The opened keys of a stored group; `None` where it does not attest by key.
    pub(super) async fn group_keys(&self, row: &Row) -> Result<Option<Arc<GroupKeys>>> {
        if let Some((version, keys)) = self.groups.keys.get(&row.key)
            && version == row.version
        {
            return Ok(Some(keys));
        }
        let keys = self.opened(row).await?;
        if let Some(keys) = &keys {
            self.groups.keys.insert(row.key.clone(), (row.version, Arc::clone(keys)));
        }
        Ok(keys)
    }

    async fn opened(&self, row: &Row) -> Result<Option<Arc<GroupKeys>>> {
        let group = Enrollment::of_row(EnrollmentKind::Group, row)?;
        let Attestation::SymmetricKey(keys) = group.attestation() else { return Ok(None) };
        let (primary, secondary) = self.open_keys(EnrollmentKind::Group, &row.key, keys).await?;
        let decode = |text: &str| {
            let bytes = STANDARD
                .decode(text)
                .map_err(|_| Error::internal(format!("enrollment group {}: its key is not base64", row.key)));
            bytes.map(Zeroizing::new)
        };
        Ok(Some(Arc::new(GroupKeys { primary: decode(&primary)?, secondary: decode(&secondary)? })))
    }

    /// Adds to `change` that the groups of the service are others than before.
    ///
    /// # Errors
    /// Never: the row has no content.
    pub(super) fn next_generation(dps: &DpsRef, change: &mut Change) -> Result<()> {
        change.unit.put(Put::new(&GROUP_GENERATIONS, dps.stored.key(), Vec::new(), &())?);
        Ok(())
    }

    async fn generation(&self, dps: &DpsRef) -> Result<Option<Arc<Row>>> {
        Ok(self.platform.store.get(&GROUP_GENERATIONS, &dps.stored.key()).await?)
    }
}

fn busy(dps: &DpsRef) -> Error {
    Error::unavailable(
        format!("The provisioning service '{}' looks for the groups of too many unknown devices; try again.", dps.name),
        2,
    )
    .with_iot_code(429_001)
}
