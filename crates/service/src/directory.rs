//! The directory: principals by object id, application id or sign-in name, and who belongs to which group.

use crate::authz::Actor;
use crate::platform::Platform;
use crate::tables::{MEMBERSHIPS, PRINCIPALS};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::READ_ROWS;
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_store::{Pages, Put, Row, Store};
use std::sync::Arc;
use uuid::Uuid;

/// Azure's first-party application "IoT Hub"; scripts assign roles to it (reference: cli.md section 5, line 8).
pub const IOT_HUB_APP_ID: &str = "89d10474-74af-4874-99a7-c23c2f643083";

/// The row that stores a principal.
pub fn put(principal: &Principal) -> Result<Put> {
    let app_id = Some(principal.app_id.clone()).filter(|id| !id.is_empty());
    let name = principal.user.as_ref().map(|user| user.name.to_lowercase());
    Ok(Put::new(&PRINCIPALS, principal.id.clone(), vec![app_id, name], principal)?)
}

/// The principal of a new managed identity of the resource `uid`.
pub(crate) fn new_identity(platform: &Platform, uid: Uuid, name: &str) -> Principal {
    let new_id = || platform.random.uuid_v4().to_string();
    Principal {
        resource: Some(uid),
        made: platform.clock.unix_seconds(),
        ..Principal::new(PrincipalKind::ManagedIdentity, new_id(), new_id(), name.to_owned())
    }
}

/// Reads a stored principal.
pub fn from_row(row: &Row) -> Result<Arc<Principal>> {
    Ok(row.parse::<Principal>()?)
}

/// A principal by object id; a text that is no GUID names none.
pub async fn by_id(store: &dyn Store, id: &str) -> Result<Option<Arc<Principal>>> {
    let Ok(id) = Uuid::parse_str(id) else { return Ok(None) };
    let found = store.get(&PRINCIPALS, &id.to_string()).await?.as_deref().map(from_row).transpose()?;
    Ok(found.filter(|found| found.kind != PrincipalKind::Application))
}

/// A principal by application id, or the application that has none any more; a text that is no GUID names none.
pub async fn by_app_id(store: &dyn Store, app_id: &str) -> Result<Option<Arc<Principal>>> {
    match Uuid::parse_str(app_id) {
        Ok(id) => store.find_one(&PRINCIPALS, "app_id", &id.to_string()).await?.as_deref().map(from_row).transpose(),
        Err(_) => Ok(None),
    }
}

/// A person by the name that it signs in with, ignoring case.
///
/// # Errors
/// When the store cannot be read.
pub async fn by_user_name(store: &dyn Store, name: &str) -> Result<Option<Arc<Principal>>> {
    store.find_one(&PRINCIPALS, "name", &name.to_lowercase()).await?.as_deref().map(from_row).transpose()
}

/// How one object of the directory belongs to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// A member of a group: it has the group's roles.
    Member,
    /// An owner of a group or an application: it may change it.
    Owner,
}

impl Relation {
    /// What keys of rows, and paths of Graph, call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Member => "members",
            Self::Owner => "owners",
        }
    }
}

/// Key of the row that says that `target` belongs to `object`.
pub(crate) fn membership_key(object: &str, relation: Relation, target: &str) -> String {
    format!("{object}/{}/{target}", relation.word())
}

/// The row that says that `target` belongs to `object`.
pub(crate) fn membership(object: &str, relation: Relation, target: &str) -> Result<Put> {
    let column = Some(format!("{target}/{}", relation.word()));
    Ok(Put::new(&MEMBERSHIPS, membership_key(object, relation, target), vec![column], &())?)
}

/// Object and target of a row of [`MEMBERSHIPS`], where it is of this relation.
pub(crate) fn membership_of(row: &Row, relation: Relation) -> Option<(&str, &str)> {
    let (object, rest) = row.key.split_once('/')?;
    let (word, target) = rest.split_once('/')?;
    (word == relation.word()).then_some((object, target))
}

/// Object ids of what belongs to `object`.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn targets_of(store: &dyn Store, object: &str, relation: Relation) -> Result<Vec<String>> {
    let prefix = format!("{object}/{}/", relation.word());
    let mut found = Vec::new();
    let mut pages = Pages::scan(store, &MEMBERSHIPS, &prefix, READ_ROWS);
    while let Some(rows) = pages.next().await? {
        found.extend(rows.iter().filter_map(|row| membership_of(row, relation)).map(|(_, target)| target.to_owned()));
    }
    Ok(found)
}

/// Object ids of what `target` belongs to, directly.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn objects_of(store: &dyn Store, target: &str, relation: Relation) -> Result<Vec<String>> {
    let value = format!("{target}/{}", relation.word());
    let mut found = Vec::new();
    let mut pages = Pages::find(store, &MEMBERSHIPS, "target", &value, READ_ROWS);
    while let Some(rows) = pages.next().await? {
        found.extend(rows.iter().filter_map(|row| membership_of(row, relation)).map(|(object, _)| object.to_owned()));
    }
    Ok(found)
}

/// Keys of every row of [`MEMBERSHIPS`] in which `id` stands, on either side.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn memberships_with(store: &dyn Store, id: &str) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for relation in [Relation::Member, Relation::Owner] {
        let objects = objects_of(store, id, relation).await?;
        keys.extend(objects.iter().map(|object| membership_key(object, relation, id)));
        let targets = targets_of(store, id, relation).await?;
        keys.extend(targets.iter().map(|target| membership_key(id, relation, target)));
    }
    Ok(keys)
}

/// The actor of a managed identity.
///
/// # Errors
/// `PrincipalNotFound` when there is no such identity.
pub async fn identity_actor(store: &dyn Store, principal_id: &str) -> Result<Actor> {
    match by_id(store, principal_id).await? {
        Some(principal) if principal.kind == PrincipalKind::ManagedIdentity => Ok(Actor::of(principal)),
        _ => Err(Error::forbidden(format!(
            "The managed identity with object id '{principal_id}' does not exist any more. Assign an existing identity to the resource."
        ))
        .with_code("PrincipalNotFound")
        .with_iot_code(403_000)),
    }
}
