//! Taking one resource away, with everything its type hangs on it.

use super::call::Call;
use super::context::DeleteContext;
use super::declaration::TypeDecl;
use crate::authz::Actor;
use crate::departure::remove_principal;
use crate::extensions;
use crate::platform::{Change, Platform};
use crate::resources::{self, Stored, tag};
use crate::tables::{META, REVOCATION_GENERATIONS, REVOCATION_LISTS};
use ferrohub_model::error::{Error, Result};
use ferrohub_store::{StoreError, Table};

/// Code of the private error that says: somebody else wrote in between, try again.
pub(super) const RACE: &str = "Race";

fn race() -> Error {
    Error::conflict("another write was faster").with_code(RACE)
}

/// Asks the type whether the resource may go, without doing anything.
pub(super) async fn check_delete(platform: &Platform, actor: &Actor, decl: &TypeDecl, stored: &Stored) -> Result<()> {
    let (id, cascade) = (&stored.id, actor.is_worker());
    let mut context = DeleteContext { platform, actor, id, stored, cascade, owned: Vec::new(), change: Change::new() };
    decl.behavior.before_delete(&mut context).await
}

/// Deletes one resource that owns no other stored resource, with everything its type hangs on it. What was made anew
/// under its name meanwhile is left alone. `asked` is the request that it goes by, whose conditions hold when it goes; a worker
/// acts where it goes with something above it.
pub(super) async fn delete_one(
    platform: &Platform,
    decl: &TypeDecl,
    seen: &Stored,
    actor: &Actor,
    asked: Option<&Call<'_>>,
    change: Change,
) -> Result<()> {
    let mut attempts = platform.attempts();
    loop {
        attempts.begin(race).await?;
        if try_delete(platform, decl, seen, actor, asked, change.clone()).await? {
            return Ok(());
        }
    }
}

/// Tables of which a change says nothing about the resource that goes: of roles and locks, and of what its authority revoked.
const BESIDE: [&Table; 3] = [&META, &REVOCATION_GENERATIONS, &REVOCATION_LISTS];

/// One try; `false` when somebody changed something of [`BESIDE`] meanwhile.
async fn try_delete(
    platform: &Platform,
    decl: &TypeDecl,
    seen: &Stored,
    actor: &Actor,
    asked: Option<&Call<'_>>,
    mut change: Change,
) -> Result<bool> {
    let Some(mut stored) = resources::by_uid(platform, seen.uid).await? else { return Ok(true) };
    stored.id = seen.id.clone();
    if let Some(asked) = asked {
        asked.may_delete(&stored, &mut change).await?;
    }
    decl.behavior.purge(platform, actor, &stored).await?;
    let (id, cascade) = (&stored.id, actor.is_worker());
    let mut context = DeleteContext { platform, actor, id, stored: &stored, cascade, owned: Vec::new(), change };
    decl.behavior.before_delete(&mut context).await?;
    let DeleteContext { mut change, owned, .. } = context;
    if let Some(principal) = stored.resource.identity.as_ref().and_then(|identity| identity.system_principal_id.clone())
    {
        remove_principal(platform, actor, &principal, &mut change).await?;
    }
    // Roles that were made on it go along; locks keep it.
    extensions::remove_owning(platform, actor, &stored, &owned, &[tag::ROLE_ASSIGNMENT], &mut change).await?;
    match platform.commit(change).await {
        Ok(_) => decl.behavior.after_delete(platform, &stored).await.map(|()| true),
        Err(StoreError::Conflict { table, .. }) if BESIDE.iter().any(|beside| beside.name == table) => Ok(false),
        Err(StoreError::Conflict { .. }) => Err(race()),
        Err(other) => Err(other.into()),
    }
}
