//! Stored ARM resources, for every service that needs one: from an id to its row and back, children, writing.
//!
//! A row is known by its uid. An ARM id is looked up here, once, step by step; from there on everything points at uids.
//! The engine under the store keeps rows in memory, so a step costs no disk.

mod access;
mod find;
pub mod kind;
mod write;

pub use access::load_access;
pub(crate) use find::left_behind;
pub use find::{
    by_lookup, by_uid, children, children_page, count_children, every, get, id_of, ids_of, linked, listed_page, named,
    require, uid_of,
};
pub use kind::{Face, Kind, Kinds, Scope, tag};
pub use write::{Entry, Told, become_another, delete, put, relocate, rewrite};
pub(crate) use write::{delete_with, founding_row};

use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_store::Row;
use std::sync::Arc;
use uuid::Uuid;

/// A stored resource as it was read.
#[derive(Clone)]
pub struct Stored {
    /// Internal id: what other rows point at.
    pub uid: Uuid,
    /// Its type.
    pub kind: &'static Kind,
    /// Internal id of what it lies below.
    pub parent: Uuid,
    /// ARM id as it is now, with the case of its names that was used last.
    pub id: ResourceId,
    /// The document.
    pub resource: Arc<Resource>,
    /// Columns that do not follow from the rest.
    pub extra: RowExtra,
    /// Version of its row, which a writer must expect.
    pub version: u64,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").field("id", &self.id.to_string()).field("version", &self.version).finish()
    }
}

/// Columns of a resource row that do not follow from the resource itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowExtra {
    /// Name that must be unique beyond its scope, such as `iothubs/hub1`.
    pub unique_name: Option<String>,
    /// What this resource is linked to: [`uid_key`] of it, or `role/{guid}`.
    pub link: Option<String>,
    /// What the data planes search by.
    pub lookup: Option<String>,
}

impl Stored {
    /// Key of its row.
    pub fn key(&self) -> String {
        uid_key(self.uid)
    }

    /// Whether it is of the type with this tag.
    pub fn is(&self, tag: &str) -> bool {
        self.kind.tag == tag
    }

    /// Full type in canonical case.
    pub fn full_type(&self) -> String {
        self.id.resource_type()
    }

    /// Name with the case that was used last.
    pub fn name(&self) -> &str {
        &self.resource.name
    }

    /// Resource group in which it lies; empty outside of one.
    pub fn group(&self) -> &str {
        self.id.resource_group.as_deref().unwrap_or_default()
    }

    /// Whether it is marked as going away.
    pub fn is_going(&self) -> bool {
        self.resource.text(&["provisioningState"]) == Some(GOING)
    }
}

/// The provisioning state of what is being deleted.
pub const GOING: &str = "Deleting";

/// Where a row lies: `{uid of the parent}/{tag}/{lower-cased name}`.
pub(crate) fn place(parent: Uuid, tag: &str, name: &str) -> String {
    let mut place = uid_key(parent);
    place.reserve(tag.len() + name.len() + 2);
    place.push('/');
    place.push_str(tag);
    place.push('/');
    match name.is_ascii() {
        true => place.extend(name.chars().map(|c| c.to_ascii_lowercase())),
        false => place.push_str(&name.to_lowercase()),
    }
    place
}

/// Parent and tag of a row.
fn place_of(row: &Row) -> Result<(Uuid, &str)> {
    let text = row.columns.first().and_then(Option::as_deref).unwrap_or_default();
    let mut parts = text.splitn(3, '/');
    match (parts.next().and_then(parse_uid_key), parts.next()) {
        (Some(parent), Some(tag)) => Ok((parent, tag)),
        _ => Err(Error::internal(format!("resource row {} has no place", row.key))),
    }
}

/// The subscription's own uid, below which its groups lie; the tenant's for an id without subscription. `None` for a
/// subscription that is no GUID.
pub(crate) fn root_of(id: &ResourceId) -> Option<Uuid> {
    match &id.subscription {
        Some(subscription) => Uuid::parse_str(subscription).ok(),
        None => Some(Uuid::nil()),
    }
}

/// Azure's text for a resource that does not exist.
pub fn missing(id: &ResourceId) -> Error {
    match (&id.resource_group, id.providers.is_empty()) {
        (Some(group), true) => {
            Error::not_found(format!("Resource group '{group}' could not be found.")).with_code("ResourceGroupNotFound")
        }
        (group, _) => Error::not_found(format!(
            "The Resource '{}/{}' under resource group '{}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
            id.resource_type(),
            id.name(),
            group.as_deref().unwrap_or("<null>")
        )),
    }
}

/// Azure's text for a resource group that is on its way out.
pub(crate) fn group_going(id: &ResourceId) -> Error {
    Error::conflict(format!(
        "The resource group '{}' is in deprovisioning state and cannot perform this operation.",
        id.name()
    ))
    .with_code("ResourceGroupBeingDeleted")
}

/// The error for a resource that was changed by others at each of too many attempts.
pub(crate) fn contended(id: &ResourceId) -> Error {
    Error::conflict(format!("'{id}' is being changed by others at the same time; try again."))
        .with_code("AnotherOperationInProgress")
}
