//! Taking one resource away, with everything its type hangs on it.

use super::context::DeleteContext;
use super::declaration::TypeDecl;
use crate::authz::Actor;
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored, tag};
use ferrohub_model::error::{Error, Result};
use ferrohub_store::StoreError;

/// Code of the private error that says: somebody else wrote in between, try again.
pub(super) const RACE: &str = "Race";

fn race() -> Error {
    Error::conflict("another write was faster").with_code(RACE)
}

/// Asks the type whether the resource may go, without doing anything.
pub(super) async fn check_delete(platform: &Platform, actor: &Actor, decl: &TypeDecl, stored: &Stored) -> Result<()> {
    let mut context = DeleteContext { platform, actor, id: &stored.id, stored, cascade: false, change: Change::new() };
    decl.behavior.before_delete(&mut context).await
}

/// Deletes one resource that owns no other stored resource, with everything its type hangs on it. What was made anew
/// under its name meanwhile is left alone. A worker acts where it goes with something above it.
pub(super) async fn delete_one(
    platform: &Platform,
    decl: &TypeDecl,
    seen: &Stored,
    actor: &Actor,
    change: Change,
) -> Result<()> {
    let Some(mut stored) = resources::by_uid(platform, seen.uid).await? else { return Ok(()) };
    stored.id = seen.id.clone();
    decl.behavior.purge(platform, &stored).await?;
    let mut context =
        DeleteContext { platform, actor, id: &stored.id, stored: &stored, cascade: actor.is_worker(), change };
    decl.behavior.before_delete(&mut context).await?;
    let DeleteContext { mut change, .. } = context;
    if let Some(principal) = stored.resource.identity.as_ref().and_then(|identity| identity.system_principal_id.clone())
    {
        change.unit.delete(&crate::tables::PRINCIPALS, principal);
    }
    remove_roles(platform, &stored).await?;
    resources::delete(&stored, &mut change);
    match platform.commit(change).await {
        Ok(_) => decl.behavior.after_delete(platform, &stored).await,
        Err(StoreError::Conflict { .. }) => Err(race()),
        Err(other) => Err(other.into()),
    }
}

/// Removes the role assignments and definitions that were made on a resource that is about to go, in a unit of their own.
async fn remove_roles(platform: &Platform, stored: &Stored) -> Result<()> {
    let mut change = Change::new();
    for child in resources::children(platform, stored.uid, &stored.id, None).await? {
        if child.is(tag::ROLE_ASSIGNMENT) || child.is(tag::ROLE_DEFINITION) {
            resources::delete(&child, &mut change);
            change.access = true;
        }
    }
    if change.access {
        match platform.commit(change).await {
            Ok(_) => {}
            Err(StoreError::Conflict { .. }) => return Err(race()),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}
