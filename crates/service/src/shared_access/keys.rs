//! The opened keys of shared access policies.

use super::{PolicyGrant, Right};
use crate::platform::Platform;
use crate::resources::Stored;
use crate::tables::RESOURCES;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::OPEN_POLICIES;
use quick_cache::sync::Cache;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::OnceCell;
use uuid::Uuid;
use zeroize::Zeroizing;

/// A policy with its keys opened.
pub(super) struct PolicyKeys {
    name: String,
    rights: Vec<Right>,
    primary: Zeroizing<Vec<u8>>,
    secondary: Zeroizing<Vec<u8>>,
}

impl PolicyKeys {
    /// Both keys, decoded; an empty one verifies nothing.
    pub(super) fn keys(&self) -> [&[u8]; 2] {
        [&self.primary, &self.secondary]
    }

    /// What proving one of the keys gives.
    pub(super) fn grant(&self, owner: Uuid) -> PolicyGrant {
        PolicyGrant { owner, name: self.name.clone(), rights: self.rights.clone() }
    }
}

type Policies = Vec<Arc<PolicyKeys>>;

/// The version of a service's row, and the keys that were opened from it.
type Opened = (u64, Arc<OnceCell<Policies>>);

/// Opened keys, kept for as long as the service's row has the version they were read from. They are opened once for all
/// who ask at the same time.
pub(crate) struct PolicyCache(Cache<Uuid, Opened>);

impl Default for PolicyCache {
    fn default() -> Self {
        Self(Cache::new(OPEN_POLICIES))
    }
}

impl PolicyCache {
    /// The policy `name` of a hub or provisioning service: names of resources ignore case in Azure, and so do these.
    ///
    /// # Errors
    /// When a key cannot be opened.
    pub(super) async fn find(
        &self,
        platform: &Platform,
        stored: &Stored,
        name: &str,
    ) -> Result<Option<Arc<PolicyKeys>>> {
        let cell = self.cell(stored);
        let policies = cell.get_or_try_init(|| open(platform, stored)).await?;
        let exact = policies.iter().find(|policy| policy.name == name);
        Ok(exact.or_else(|| policies.iter().find(|policy| policy.name.eq_ignore_ascii_case(name))).cloned())
    }

    fn cell(&self, stored: &Stored) -> Arc<OnceCell<Policies>> {
        if let Some((_, cell)) = self.0.get(&stored.uid).filter(|(version, _)| *version == stored.version) {
            return cell;
        }
        let cell = Arc::<OnceCell<Policies>>::default();
        self.0.insert(stored.uid, (stored.version, Arc::clone(&cell)));
        cell
    }
}

async fn open(platform: &Platform, stored: &Stored) -> Result<Policies> {
    let mut policies = Policies::new();
    let declared = stored.resource.value(&["authorizationPolicies"]).and_then(Value::as_array);
    for policy in declared.into_iter().flatten() {
        let text = |name: &str| policy.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = text("keyName");
        policies.push(Arc::new(PolicyKeys {
            rights: Right::parse_list(text("rights")),
            primary: open_key(platform, stored, &format!("{name}/primary")).await?,
            secondary: open_key(platform, stored, &format!("{name}/secondary")).await?,
            name: name.to_owned(),
        }));
    }
    Ok(policies)
}

/// The decoded key; empty when there is none.
async fn open_key(platform: &Platform, stored: &Stored, field: &str) -> Result<Zeroizing<Vec<u8>>> {
    let Some(text) = open_secret(platform, stored, field).await? else { return Ok(Zeroizing::new(Vec::new())) };
    let key = STANDARD
        .decode(text.as_slice())
        .map_err(|_| Error::internal(format!("key {field} of {} is not base64", stored.id)))?;
    Ok(Zeroizing::new(key))
}

/// A sealed secret of an ARM resource, opened under the resource's own data key; `None` when there is none.
///
/// # Errors
/// Internal, when it does not open.
pub(crate) async fn open_secret(
    platform: &Platform,
    stored: &Stored,
    field: &str,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(sealed) = stored.resource.secrets.get(field) else { return Ok(None) };
    let row = stored.key();
    platform.keyring.open(platform.store.as_ref(), &row, RESOURCES.name, &row, field, sealed).await.map(Some)
}
