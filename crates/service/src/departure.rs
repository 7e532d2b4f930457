//! A principal goes: its role assignments go with it, and the last Owner does not.
//!
//! Every change of a role writes one row, the access generation. Whoever removes a principal or an Owner expects that row as
//! it was before the roles were read, so that two who each leave the other as the last Owner do not both get their way.

use crate::arm::activity::{self, Origin};
use crate::arm::types::ROLE_ASSIGNMENT;
use crate::authz::{Actor, builtin};
use crate::directory;
use crate::platform::{ACCESS_GENERATION, Change, Platform};
use crate::resources::{self, Stored, tag};
use crate::tables::{META, PRINCIPALS};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::Principal;
use ferrohub_model::resource_id::ResourceId;
use std::sync::Arc;
use uuid::Uuid;

/// Role assignments that go in one unit of work with their activity rows: ours, well below `limits::UNIT_ROWS`.
const AT_ONCE: usize = 100;

/// Adds the removal of a principal, with every role assignment of it, to `change`. More than [`AT_ONCE`] assignments go
/// before, in units of their own: a principal that is cut off half-way has less rights, not more, and goes with the next try.
///
/// # Errors
/// `LastRbacAdmin` when nobody else would be Owner; when the store fails.
pub(crate) async fn remove_principal(platform: &Platform, actor: &Actor, id: &str, change: &mut Change) -> Result<()> {
    let correlation = platform.new_id();
    let mut attempts = platform.attempts();
    loop {
        attempts
            .begin(|| {
                Error::conflict("The roles of the principal are being changed by others at the same time; try again.")
            })
            .await?;
        let (generation, access) = platform.access_at().await?;
        let mut held = Vec::new();
        if access.knows(id) {
            held = resources::every(platform, tag::ROLE_ASSIGNMENT).await?;
            held.retain(|assignment| holder(assignment).eq_ignore_ascii_case(id));
        }
        if held.iter().any(|assignment| is_owner(platform, assignment)) {
            require_owner(platform, &|owner| !owner.id.eq_ignore_ascii_case(id), "The principal is").await?;
        }
        if held.len() <= AT_ONCE {
            expect_access(generation, change);
            change.unit.delete(&PRINCIPALS, id);
            return remove_assignments(platform, actor, correlation, &held, change);
        }
        for some in held[AT_ONCE..].chunks(AT_ONCE) {
            let mut apart = Change::new();
            remove_assignments(platform, actor, correlation, some, &mut apart)?;
            platform.try_commit(apart).await?;
        }
    }
}

/// Makes the unit hold only as long as no role changes.
fn expect_access(generation: u64, change: &mut Change) {
    change.unit.expect_version(&META, ACCESS_GENERATION, generation);
}

fn remove_assignments(
    platform: &Platform,
    actor: &Actor,
    correlation: Uuid,
    assignments: &[Stored],
    change: &mut Change,
) -> Result<()> {
    let origin = Origin::service(actor, correlation, correlation);
    for assignment in assignments {
        let action = format!("{}/delete", ROLE_ASSIGNMENT.full());
        change.unit.put(activity::of_service(platform, &origin, &assignment.id, &action)?);
        resources::delete(assignment, change);
        change.access = true;
    }
    Ok(())
}

/// Refuses the removal of an Owner's assignment when nobody else would be Owner. One whose principal is gone counts for
/// nothing, and may go at any time.
///
/// # Errors
/// `LastRbacAdmin`.
pub(crate) async fn check_assignment(platform: &Platform, assignment: &Stored, change: &mut Change) -> Result<()> {
    if !is_owner(platform, assignment) {
        return Ok(());
    }
    let (generation, _) = platform.access_at().await?;
    expect_access(generation, change);
    let id = holder(assignment);
    if directory::by_id(platform.store.as_ref(), id).await?.is_none() {
        return Ok(());
    }
    require_owner(platform, &|principal| !principal.id.eq_ignore_ascii_case(id), "Its principal is").await
}

/// Refuses the removal of everything at and below `target` when nobody but identities of resources in it would be Owner.
///
/// # Errors
/// `LastRbacAdmin`.
pub(crate) async fn check_tree(platform: &Platform, target: &ResourceId) -> Result<()> {
    let owners = owners(platform).await?;
    for owner in &owners {
        let home = match owner.resource {
            Some(uid) => resources::id_of(platform, uid).await?,
            None => None,
        };
        if !home.is_some_and(|id| id.is_within(target)) {
            return Ok(());
        }
    }
    // With no Owner at all there is nothing to lose any more.
    if owners.is_empty() { Ok(()) } else { Err(last_owner("An identity in it is")) }
}

async fn require_owner(platform: &Platform, counts: &(dyn Fn(&Principal) -> bool + Sync), why: &str) -> Result<()> {
    let owners = owners(platform).await?;
    if owners.iter().any(|owner| counts(owner)) { Ok(()) } else { Err(last_owner(why)) }
}

/// The principals that exist and hold Owner over the whole subscription.
async fn owners(platform: &Platform) -> Result<Vec<Arc<Principal>>> {
    let mut owners = Vec::new();
    for assignment in resources::linked(platform, &format!("role/{}", builtin::OWNER)).await? {
        if is_owner(platform, &assignment) {
            owners.extend(directory::by_id(platform.store.as_ref(), holder(&assignment)).await?);
        }
    }
    Ok(owners)
}

fn is_owner(platform: &Platform, assignment: &Stored) -> bool {
    let role = assignment.resource.text(&["roleDefinitionId"]).unwrap_or_default();
    let whole = Uuid::parse_str(&platform.tenancy.subscription_id).is_ok_and(|id| id == assignment.parent);
    whole && role.rsplit('/').next().is_some_and(|guid| guid.eq_ignore_ascii_case(builtin::OWNER))
}

fn holder(assignment: &Stored) -> &str {
    assignment.resource.text(&["principalId"]).unwrap_or_default()
}

fn last_owner(why: &str) -> Error {
    Error::conflict(format!(
        "Cannot delete the last RBAC admin assignment. {why} the only Owner of the subscription: assign Owner there to somebody else first."
    ))
    .with_code("LastRbacAdmin")
}
