//! Authorization: one question, `may this actor do this action on this scope?`, answered from a
//! snapshot in memory that is compared with the store before each request asks, or from the rights of the
//! shared access policy that the actor proved to hold.
//!
//! The service method that protects something asks itself; no front door can forget it.

mod actor;
pub mod builtin;
mod remedy;
mod snapshot;

pub use actor::Actor;
pub(crate) use actor::{DeviceProof, Who};
pub(crate) use snapshot::covers;
pub use snapshot::{AccessSnapshot, Assignment, Membership, RoleDefinition};

use crate::shared_access::{Holder, Need};
use ferrohub_model::error::{Denial, Error, ErrorKind, Result};
use ferrohub_model::resource_id::ResourceId;

/// Which side of a role an action belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// `actions`.
    Control,
    /// `dataActions`.
    Data,
}

/// Refuses unless a role of `actor` grants `action` on `scope`. Policies and devices have no roles.
///
/// # Errors
/// `AuthorizationFailed` naming principal, action and scope, and the command that grants it.
pub fn authorize(
    snapshot: &AccessSnapshot,
    actor: &Actor,
    plane: Plane,
    action: &str,
    scope: &ResourceId,
) -> Result<()> {
    if allows(snapshot, actor, plane, action, scope) {
        return Ok(());
    }
    Err(denied(snapshot, actor, plane, action, scope, scope))
}

/// Refuses unless `actor` may do what `need` says at the hub or provisioning service `holder`: a principal by one of the
/// actions, a shared access policy of this very service by its right, a device never.
///
/// # Errors
/// The service's refusal of a policy without the right; `AuthorizationFailed` for everybody else.
pub(crate) fn authorize_need(snapshot: &AccessSnapshot, actor: &Actor, need: &Need, holder: &Holder<'_>) -> Result<()> {
    if let Who::Policy(grant) = actor.who()
        && grant.owner == holder.stored.uid
    {
        return grant.require(need, holder);
    }
    let (plane, action) = need.actions[0];
    if need.actions.iter().any(|(plane, action)| allows(snapshot, actor, *plane, action, holder.id)) {
        return Ok(());
    }
    Err(denied(snapshot, actor, plane, action, holder.id, holder.id))
}

fn allows(snapshot: &AccessSnapshot, actor: &Actor, plane: Plane, action: &str, scope: &ResourceId) -> bool {
    actor.principal().is_some_and(|principal| snapshot.allows(&principal.id, plane, action, scope))
}

/// A refusal on what a request links to or reaches beyond its own resource, under Azure's code for that.
pub fn linked(mut refusal: Error) -> Error {
    refusal.code = "LinkedAuthorizationFailed";
    refusal
}

/// The refusal itself, for callers that accept more than one right and name the plainest. The command that it prints
/// grants on `grant_scope`, which differs from `scope` where that does not exist yet.
pub fn denied(
    snapshot: &AccessSnapshot,
    actor: &Actor,
    plane: Plane,
    action: &str,
    scope: &ResourceId,
    grant_scope: &ResourceId,
) -> Error {
    let grant = actor.principal().map_or_else(
        || "Roles are granted to principals only: use a token of one.".to_owned(),
        |principal| format!("To grant it: {}", remedy::command(snapshot, principal, plane, action, grant_scope)),
    );
    let mut error = Error::new(
        ErrorKind::Forbidden,
        "AuthorizationFailed",
        format!(
            "The client '{}' with object id '{}' does not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. \
             If access was recently granted, please refresh your credentials. {grant}",
            actor.name(),
            actor.id()
        ),
    )
    .with_iot_code(403_000);
    error.denial = Some(Box::new(Denial {
        principal: actor.principal().map_or_else(|| actor.id().to_owned(), |principal| principal.display_name.clone()),
        principal_id: actor.id().into(),
        action: action.into(),
        scope: scope.to_string(),
    }));
    error
}
