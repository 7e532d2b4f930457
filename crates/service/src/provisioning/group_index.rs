//! The enrollment groups of a provisioning service with their opened keys, in memory: where a device that never
//! registered is looked for. A derived key does not name its group, so every group must be tried; here that costs
//! hashing and no reading, and [`ENROLLMENT_GROUPS`](ferrohub_model::limits::ENROLLMENT_GROUPS) bounds it.

use super::{DpsRef, ProvisioningService};
use crate::platform::Change;
use crate::tables::{ENROLLMENT_GROUPS, GROUP_GENERATIONS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_store::{Page, Put, Row};
use ferrohub_wire::sas_token::{SasFailure, SasToken, derive_device_key};
use quick_cache::sync::Cache;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The decoded keys of a group.
pub(super) struct GroupKeys {
    primary: Zeroizing<Vec<u8>>,
    secondary: Zeroizing<Vec<u8>>,
}

/// The two keys of one device of a group.
pub(super) struct DeviceKeys {
    primary: Zeroizing<[u8; 32]>,
    secondary: Zeroizing<[u8; 32]>,
}

/// All groups of one service at one moment: the keys of their rows, and their own.
pub(super) type GroupIndex = Vec<(String, Arc<GroupKeys>)>;

/// What is remembered of enrollment groups.
pub(super) struct GroupCache {
    /// Opened keys by row key, valid for one version of the row.
    keys: Cache<String, (u64, Arc<GroupKeys>)>,
    /// By service and generation: a change of any group begins another one.
    indexes: Cache<(Uuid, u64), Arc<GroupIndex>>,
}

impl Default for GroupCache {
    fn default() -> Self {
        Self { keys: Cache::new(limits::OPEN_GROUPS), indexes: Cache::new(limits::GROUP_INDEXES) }
    }
}

impl GroupKeys {
    pub(super) fn derive(&self, registration_id: &str) -> DeviceKeys {
        DeviceKeys {
            primary: Zeroizing::new(derive_device_key(&self.primary, registration_id)),
            secondary: Zeroizing::new(derive_device_key(&self.secondary, registration_id)),
        }
    }
}

impl DeviceKeys {
    /// Whether one of the keys signed the token, and the token is still good.
    pub(super) fn verify(&self, token: &SasToken, now_unix: i64) -> std::result::Result<(), SasFailure> {
        token.verify_any(&[self.primary.as_slice(), self.secondary.as_slice()], now_unix)
    }

    /// Both keys as a hub identity takes them: base64.
    pub(super) fn to_base64(&self) -> (Zeroizing<String>, Zeroizing<String>) {
        (Zeroizing::new(STANDARD.encode(*self.primary)), Zeroizing::new(STANDARD.encode(*self.secondary)))
    }
}

impl ProvisioningService {
    /// All groups of the service as they are now: one row is read, and the groups only when one of them has changed.
    pub(super) async fn group_index(&self, dps: &DpsRef) -> Result<Arc<GroupIndex>> {
        // Read before the groups: a change in between begins another generation.
        let generation = self.generation(dps).await?.map_or(0, |row| row.version);
        self.groups.indexes.get_or_insert_async(&(dps.uid, generation), self.read_index(dps)).await
    }

    async fn read_index(&self, dps: &DpsRef) -> Result<Arc<GroupIndex>> {
        let page = Page::first(limits::ENROLLMENT_GROUPS);
        let rows = self.platform.store.scan(&ENROLLMENT_GROUPS, &dps.row_key(""), page).await?;
        let mut index = Vec::with_capacity(rows.len());
        for row in rows {
            let keys = self.group_keys(&row).await?;
            index.push((row.key.clone(), keys));
        }
        Ok(Arc::new(index))
    }

    /// The opened keys of a stored group.
    pub(super) async fn group_keys(&self, row: &Row) -> Result<Arc<GroupKeys>> {
        if let Some((version, keys)) = self.groups.keys.get(&row.key)
            && version == row.version
        {
            return Ok(keys);
        }
        let group = super::groups::from_row(row)?;
        let (primary, secondary) = self.open_group_keys(&row.key, &group).await?;
        let decode = |text: &str| {
            let bytes = STANDARD
                .decode(text)
                .map_err(|_| Error::internal(format!("enrollment group {}: its key is not base64", row.key)));
            bytes.map(Zeroizing::new)
        };
        let keys = Arc::new(GroupKeys { primary: decode(&primary)?, secondary: decode(&secondary)? });
        self.groups.keys.insert(row.key.clone(), (row.version, Arc::clone(&keys)));
        Ok(keys)
    }

    /// Adds to `change` that the groups of the service are others than before.
    ///
    /// # Errors
    /// Never: the row has no content.
    pub(super) fn next_generation(dps: &DpsRef, change: &mut Change) -> Result<()> {
        change.unit.put(Put::new(&GROUP_GENERATIONS, dps.stored.key(), Vec::new(), &())?);
        Ok(())
    }

    /// Adds to `change`, which makes a group, that the service has room for it.
    ///
    /// # Errors
    /// `Conflict` (`QuotaExceeded`) where it has not.
    pub(super) async fn take_room(&self, dps: &DpsRef, change: &mut Change) -> Result<()> {
        let (key, generation) = (dps.stored.key(), self.generation(dps).await?);
        let page = Page::first(limits::ENROLLMENT_GROUPS);
        let count = self.platform.store.scan(&ENROLLMENT_GROUPS, &dps.row_key(""), page).await?.len();
        if count >= limits::ENROLLMENT_GROUPS {
            return Err(Error::conflict(format!(
                "The provisioning service '{}' has {count} enrollment groups, which is the most; delete one first, or use another service.",
                dps.name
            ))
            .with_code("QuotaExceeded"));
        }
        // What was counted must still hold when the group is made.
        match generation {
            Some(row) => change.unit.expect_version(&GROUP_GENERATIONS, key, row.version),
            None => change.unit.expect_absent(&GROUP_GENERATIONS, key),
        };
        Ok(())
    }

    async fn generation(&self, dps: &DpsRef) -> Result<Option<Arc<Row>>> {
        Ok(self.platform.store.get(&GROUP_GENERATIONS, &dps.stored.key()).await?)
    }
}
