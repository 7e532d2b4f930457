//! The directory: principals by object id or application id.

use crate::authz::Actor;
use crate::tables::PRINCIPALS;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_store::{Put, Row, Store};
use std::sync::Arc;
use uuid::Uuid;

/// Azure's first-party application "IoT Hub"; scripts assign roles to it (reference: cli.md section 5, line 8).
pub const IOT_HUB_APP_ID: &str = "89d10474-74af-4874-99a7-c23c2f643083";

/// The row that stores a principal.
pub fn put(principal: &Principal) -> Result<Put> {
    Ok(Put::new(&PRINCIPALS, principal.id.clone(), vec![Some(principal.app_id.clone())], principal)?)
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
