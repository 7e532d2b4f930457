//! A principal goes, or may not act any more: its role assignments and memberships go with it, and the last Owner does not.
//!
//! Every change of a role writes one row, the access generation. Whoever removes a principal or an Owner expects that row as
//! it was before the roles were read, so that two who each leave the other as the last Owner do not both get their way.

use crate::arm::activity::{self, Origin};
use crate::arm::types::ROLE_ASSIGNMENT;
use crate::authz::{Actor, builtin};
use crate::directory::{self, Relation};
use crate::platform::{ACCESS_GENERATION, Change, Platform};
use crate::resources::{self, Stored, tag};
use crate::tables::{MEMBERSHIPS, META, PASSWORD_GUESSES, PRINCIPALS};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::principal::PrincipalKind;
use ferrohub_model::resource_id::ResourceId;
use std::collections::HashSet;
use uuid::Uuid;

/// Role assignments, and memberships, that go in one unit of work with their activity rows: ours, well below `limits::UNIT_ROWS`.
pub(crate) const AT_ONCE: usize = 100;

/// Adds the removal of a principal, with every role assignment and membership of it, to `change`. More than [`AT_ONCE`] of either go
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
        let belongs = directory::memberships_with(platform.store.as_ref(), id).await?;
        if access.knows(id) || !belongs.is_empty() {
            require_owner(platform, &Without { principal: Some(id), ..Without::default() }, "The principal is").await?;
        }
        if held.len() <= AT_ONCE && belongs.len() <= AT_ONCE {
            expect_access(generation, change);
            change.unit.delete(&PRINCIPALS, id);
            change.unit.delete(&PASSWORD_GUESSES, id);
            remove_memberships(&belongs, change);
            return remove_assignments(platform, actor, correlation, &held, change);
        }
        for some in held.get(AT_ONCE..).unwrap_or_default().chunks(AT_ONCE) {
            let mut apart = Change::new();
            remove_assignments(platform, actor, correlation, some, &mut apart)?;
            platform.try_commit(apart).await?;
        }
        for some in belongs.get(AT_ONCE..).unwrap_or_default().chunks(AT_ONCE) {
            let mut apart = Change::new();
            remove_memberships(some, &mut apart);
            platform.try_commit(apart).await?;
        }
    }
}

fn remove_memberships(keys: &[String], change: &mut Change) {
    for key in keys {
        change.unit.delete(&MEMBERSHIPS, key.clone());
        change.access = true;
    }
}

/// Refuses that a principal is disabled, or leaves the group of `leaves`, when nobody else would be Owner. `change` counts as
/// one of roles from then on, so that of two who go at the same time one sees the other gone.
///
/// # Errors
/// `LastRbacAdmin`.
pub(crate) async fn check_principal(
    platform: &Platform,
    id: &str,
    leaves: Option<&str>,
    change: &mut Change,
) -> Result<()> {
    let (generation, _) = platform.access_at().await?;
    expect_access(generation, change);
    change.access = true;
    let without = match leaves {
        Some(group) => Without { membership: Some((group, id)), ..Without::default() },
        None => Without { principal: Some(id), ..Without::default() },
    };
    require_owner(platform, &without, "The principal is").await
}

/// Makes the unit hold only as long as no role changes.
pub(crate) fn expect_access(generation: u64, change: &mut Change) {
    change.unit.expect_version(&META, ACCESS_GENERATION, generation);
}

/// Adds the removal of role assignments, with their rows of the activity log, to `change`.
///
/// # Errors
/// Internal, when a row does not serialize.
pub(crate) fn remove_assignments(
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
    change.access = true;
    let without = Without { assignment: Some(assignment.uid), ..Without::default() };
    require_owner(platform, &without, "Its principal is").await
}

/// Refuses the removal of everything at and below `target` when nobody but identities of resources in it would be Owner.
///
/// # Errors
/// `LastRbacAdmin`.
pub(crate) async fn check_tree(platform: &Platform, target: &ResourceId) -> Result<()> {
    require_owner(platform, &Without { below: Some(target), ..Without::default() }, "An identity in it is").await
}

/// What is about to go, as far as Owners are concerned.
#[derive(Default)]
struct Without<'a> {
    principal: Option<&'a str>,
    assignment: Option<Uuid>,
    /// Group and member.
    membership: Option<(&'a str, &'a str)>,
    /// Identities of what lies here.
    below: Option<&'a ResourceId>,
}

/// With no Owner at all there is nothing to lose any more.
async fn require_owner(platform: &Platform, without: &Without<'_>, why: &str) -> Result<()> {
    if has_owner(platform, without).await? || !has_owner(platform, &Without::default()).await? {
        return Ok(());
    }
    Err(last_owner(why))
}

/// Whether somebody who exists and may sign in holds Owner over the whole subscription, itself or as a member of a group. Who has no
/// password gets in by a link only, which takes another Owner.
async fn has_owner(platform: &Platform, without: &Without<'_>) -> Result<bool> {
    for assignment in resources::linked(platform, &format!("role/{}", builtin::OWNER)).await? {
        if is_owner(platform, &assignment)
            && without.assignment != Some(assignment.uid)
            && somebody_is(platform, holder(&assignment).to_ascii_lowercase(), without).await?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether anybody stands behind `holder`, who may be a group.
async fn somebody_is(platform: &Platform, holder: String, without: &Without<'_>) -> Result<bool> {
    let store = platform.store.as_ref();
    let (mut seen, mut ahead) = (HashSet::new(), vec![holder]);
    while let Some(id) = ahead.pop() {
        if without.principal.is_some_and(|gone| gone.eq_ignore_ascii_case(&id)) || !seen.insert(id.clone()) {
            continue;
        }
        let Some(found) = directory::by_id(store, &id).await? else { continue };
        if found.kind == PrincipalKind::Group {
            let members = directory::targets_of(store, &id, Relation::Member).await?;
            ahead.extend(
                members.into_iter().filter(|member| without.membership != Some((id.as_str(), member.as_str()))),
            );
            continue;
        }
        let home = match (without.below, found.resource) {
            (Some(_), Some(uid)) => resources::id_of(platform, uid).await?,
            _ => None,
        };
        let goes = without.below.zip(home).is_some_and(|(target, home)| home.is_within(target));
        let signs_in = found.user.as_ref().is_none_or(|user| !user.password.is_empty());
        if !found.disabled && signs_in && !goes {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_owner(platform: &Platform, assignment: &Stored) -> bool {
    let whole = Uuid::parse_str(&platform.tenancy.subscription_id).is_ok_and(|id| id == assignment.parent);
    whole && gives_owner(assignment)
}

/// Whether an assignment is one of Owner, wherever it is.
pub(crate) fn gives_owner(assignment: &Stored) -> bool {
    let role = assignment.resource.text(&["roleDefinitionId"]).unwrap_or_default();
    role.rsplit('/').next().is_some_and(|guid| guid.eq_ignore_ascii_case(builtin::OWNER))
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
