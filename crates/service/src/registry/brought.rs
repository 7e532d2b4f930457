//! The devices that a hub had before it was linked to a namespace: the link brings them there, and what it brought goes with it.

use super::edge::NamespaceEdge;
use super::link::hold_link;
use super::mirror::{self, Written};
use super::naming::free_name;
use crate::extensions;
use crate::hub::identity;
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored};
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Resource;
use ferrohub_model::uid::uid_key;
use ferrohub_store::Row;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// The member of the row of an ADR device that a link brought; no api-version shows it.
pub(super) const BROUGHT: &str = "broughtByLink";

/// What became of some devices of a hub.
#[derive(Default)]
pub struct Batch {
    /// How many of the rows are dealt with, from the first on.
    pub taken: usize,
    /// Why the first of those was not brought, or not let go, that cannot be.
    pub refused: Option<Error>,
    /// Whether anything is written.
    pub writes: bool,
}

/// Adds to `change` the ADR devices that the first of these rows of identities lack, in the namespace at the far end of the `edge` of `hub`,
/// which must still be as it was read. Those that would take each other's names are left for another unit. The identities get another
/// version: whoever read one to delete it reads again.
///
/// # Errors
/// `AuthorizationFailed` (403000) unless the hub's identity may write devices on the namespace; Unavailable while another
/// namespace, which the hub was linked to before, still has them; when the store cannot be read.
pub async fn bring(
    platform: &Platform,
    hub: &Stored,
    edge: &NamespaceEdge,
    rows: &[Arc<Row>],
    change: &mut Change,
) -> Result<Batch> {
    let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
    let mirrored = platform.store.get_many(&RESOURCES, &keys).await?;
    let (mut batch, mut names, mut more) = (Batch::default(), BTreeSet::new(), false);
    for (row, mirrored) in rows.iter().zip(mirrored) {
        let found = identity::device_from_row(row)?;
        match mirrored {
            Some(mirrored) if lies_in(&mirrored, edge.namespace.uid) => {}
            Some(_) => return Err(elsewhere(&found.device.device_id)),
            None => match free_name(platform, &edge.namespace, found.device.hub, &found.device.device_id).await {
                Ok(name) if !names.insert(name.to_lowercase()) => break,
                Ok(name) => {
                    let policy = policy_of(platform, edge, found.device.policy).await?;
                    let written = Written { name, was: None, policy, brought: true };
                    mirror::write(platform, &edge.actor, &edge.namespace, &found.device, &written, change)?;
                    identity::add_touch(&found, change)?;
                    (batch.writes, more) = (true, more || policy.is_some());
                }
                Err(error) => batch.refused = batch.refused.or(Some(error)),
            },
        }
        batch.taken += 1;
    }
    match more {
        // A device with a policy holds the link.
        true => hold_link(hub, change)?,
        // The others go with it, so whoever unlinks meanwhile wins.
        false => drop(change.unit.expect_version(&RESOURCES, hub.key(), hub.version)),
    }
    Ok(batch)
}

/// The certificate policy of an identity, where it is one of the namespace: the hub may have been another one's when the device got it.
async fn policy_of(platform: &Platform, edge: &NamespaceEdge, policy: Option<Uuid>) -> Result<Option<Uuid>> {
    let Some(policy) = policy else { return Ok(None) };
    let found = resources::by_uid(platform, policy).await?;
    Ok(found.filter(|found| found.id.is_within(&edge.namespace.id)).map(|found| found.uid))
}

/// Adds to `change` the removal of the ADR devices that `namespace` has of these rows of identities of `hub`, which must still be as it was
/// read. One that is more than what the link brought, or on which somebody made a role or a lock, stays: unlinking should have been refused,
/// or it came afterwards, and it goes by hand only.
///
/// # Errors
/// When the store cannot be read.
pub async fn release(
    platform: &Platform,
    hub: &Stored,
    namespace: Uuid,
    rows: &[Arc<Row>],
    change: &mut Change,
) -> Result<Batch> {
    let mut batch = Batch { taken: rows.len(), ..Batch::default() };
    change.unit.expect_version(&RESOURCES, hub.key(), hub.version);
    for row in rows {
        let found = identity::device_from_row(row)?;
        if let Some(stored) = resources::by_uid(platform, found.device.uid).await?
            && stored.parent == namespace
        {
            if !is_only_brought(&stored.resource) || extensions::has_any(platform, &stored).await? {
                batch.refused = batch.refused.or_else(|| Some(kept(&stored, hub)));
                continue;
            }
            resources::delete(&stored, change);
            identity::add_touch(&found, change)?;
            batch.writes = true;
        }
    }
    Ok(batch)
}

/// What becomes of a device on which somebody wrote or made something, and whose hub was unlinked.
fn kept(stored: &Stored, hub: &Stored) -> Error {
    Error::conflict(format!(
        "The device '{}' is more than what the link of the hub '{}' brought, so it was not let go with that. Delete it, or link the hub again.",
        stored.name(),
        hub.name()
    ))
    .with_code("DeviceUnlinked")
}

/// Whether an ADR device is what a link brought and nothing more: nobody wrote anything on it, and it has no policy.
pub(super) fn is_only_brought(resource: &Resource) -> bool {
    let own = ["enabled", "version", BROUGHT];
    resource.value(&[BROUGHT]).and_then(Value::as_bool) == Some(true)
        && resource.tags.as_ref().is_none_or(serde_json::Map::is_empty)
        && resource.links.is_empty()
        && resource.properties.keys().all(|name| own.contains(&name.as_str()))
}

/// The refusal of a device that another namespace still has, to which its hub was linked before.
pub(super) fn elsewhere(device_id: &str) -> Error {
    Error::unavailable(
        format!(
            "The device '{device_id}' is still one of the namespace that its hub was linked to before, which lets it go; try again in a moment. If it stays, delete it there."
        ),
        1,
    )
}

fn lies_in(row: &Row, namespace: Uuid) -> bool {
    let place = row.columns.first().and_then(Option::as_deref).unwrap_or_default();
    place.starts_with(&format!("{}/", uid_key(namespace)))
}
