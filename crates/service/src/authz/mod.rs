//! Authorization: one question, `may this actor do this action on this scope?`, answered from a
//! snapshot in memory that is swapped after every commit that touches roles.
//!
//! The service method that protects something asks itself; no front door can forget it.

pub mod builtin;
mod remedy;
mod snapshot;

pub use snapshot::{AccessSnapshot, Assignment, RoleDefinition};

use ferrohub_model::error::{Denial, Error, ErrorKind, Result};
use ferrohub_model::principal::{Principal, PrincipalKind};
use ferrohub_model::resource_id::ResourceId;

/// Who acts: an authenticated principal. Made only from a verified token or from the identity of a
/// resource that the directory knows, so nobody can invent one.
#[derive(Debug, Clone)]
pub struct Actor {
    principal: Principal,
}

impl Actor {
    /// The actor for a principal that was just authenticated or looked up. Crate-private on purpose.
    pub(crate) fn of(principal: Principal) -> Self {
        Self { principal }
    }

    /// Object id.
    pub fn id(&self) -> &str {
        &self.principal.id
    }

    /// What messages and `systemData` call the actor: the application id, as Azure does for applications.
    pub fn name(&self) -> &str {
        match self.principal.kind {
            PrincipalKind::User => &self.principal.display_name,
            PrincipalKind::ServicePrincipal | PrincipalKind::ManagedIdentity => &self.principal.app_id,
        }
    }

    /// The principal itself.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// `systemData`'s word for the kind of actor.
    pub fn kind_name(&self) -> &'static str {
        match self.principal.kind {
            PrincipalKind::User => "User",
            PrincipalKind::ServicePrincipal => "Application",
            PrincipalKind::ManagedIdentity => "ManagedIdentity",
        }
    }
}

/// Which side of a role an action belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// `actions`.
    Control,
    /// `dataActions`.
    Data,
}

/// Refuses unless the snapshot grants `action` on `scope` to `actor`.
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
    if snapshot.allows(actor.id(), plane, action, scope) {
        return Ok(());
    }
    Err(denied(snapshot, actor, plane, action, scope, scope))
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
    let grant = remedy::command(snapshot, actor, plane, action, grant_scope);
    let mut error = Error::new(
        ErrorKind::Forbidden,
        "AuthorizationFailed",
        format!(
            "The client '{}' with object id '{}' does not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. \
             If access was recently granted, please refresh your credentials. To grant it: {grant}",
            actor.name(),
            actor.id()
        ),
    )
    .with_iot_code(403_000);
    error.denial = Some(Box::new(Denial {
        principal: actor.principal.display_name.clone(),
        principal_id: actor.id().into(),
        action: action.into(),
        scope: scope.to_string(),
    }));
    error
}
