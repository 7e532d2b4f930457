//! Who acts, and how that was proven. An actor is made inside this crate only, after the proof: from a verified token,
//! from a token under a shared access policy, from a device's session or attestation, from an identity that the
//! directory knows, or from an operation that somebody was allowed to start. A front door asks for one and cannot invent one.

use crate::shared_access::PolicyGrant;
use ferrohub_model::principal::{Principal, PrincipalKind};
use std::sync::Arc;
use uuid::Uuid;

/// Who acts.
#[derive(Debug, Clone)]
pub struct Actor {
    who: Who,
    /// What identifies an actor that is no principal in logs and activity; never a GUID.
    id: String,
}

/// What was proven.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// A principal of the directory: the bearer of a token, or the identity as which a service acts. Its rights are roles.
    Principal(Arc<Principal>),
    /// A caller that signed with a key of a shared access policy. Its rights are the policy's, on the policy's service.
    Policy(PolicyGrant),
    /// A device. It may do what a device may, as itself.
    Device(DeviceProof),
    /// The worker, carrying out what somebody was allowed to start. It asks for no right of its own: an operation was
    /// checked when it was accepted, and the rights of its initiator may be gone by now.
    Worker,
}

/// A device that proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceProof {
    /// Uid of the hub at which it has an identity, or of the provisioning service that attested it.
    pub(crate) home: Uuid,
    /// Device id, or registration id.
    pub(crate) id: String,
}

impl Actor {
    /// The actor for a principal that was just authenticated or looked up.
    pub(crate) fn of(principal: Arc<Principal>) -> Self {
        Self { id: String::new(), who: Who::Principal(principal) }
    }

    /// The actor for a caller whose token a key of the policy signed.
    pub(crate) fn policy(grant: PolicyGrant) -> Self {
        Self { id: format!("policy:{}", grant.name), who: Who::Policy(grant) }
    }

    /// The actor for a device that was let in.
    pub(crate) fn device(proof: DeviceProof) -> Self {
        Self { id: format!("device:{}", proof.id), who: Who::Device(proof) }
    }

    /// The worker, on behalf of the actor with this id.
    pub(crate) fn worker_for(initiator: &str) -> Self {
        Self { id: format!("worker:{initiator}"), who: Who::Worker }
    }

    /// Nobody: who is named where something came about by itself.
    pub(crate) fn nobody() -> Self {
        Self { id: "Ferrohub".into(), who: Who::Worker }
    }

    /// Whether the worker acts.
    pub(crate) fn is_worker(&self) -> bool {
        matches!(self.who, Who::Worker)
    }

    pub(crate) fn who(&self) -> &Who {
        &self.who
    }

    /// The principal, unless a policy or a device acts.
    pub(crate) fn principal(&self) -> Option<&Principal> {
        match &self.who {
            Who::Principal(principal) => Some(principal),
            Who::Policy(_) | Who::Device(_) | Who::Worker => None,
        }
    }

    /// Object id of a principal; `policy:{name}`, `device:{id}` and `worker:{initiator}` for the others.
    pub fn id(&self) -> &str {
        self.principal().map_or(&self.id, |principal| &principal.id)
    }

    /// What messages and `systemData` call the actor: a person's sign-in name, the application id of an application, as Azure does.
    pub fn name(&self) -> &str {
        match &self.who {
            Who::Principal(principal) => principal.name(),
            Who::Policy(grant) => &grant.name,
            Who::Device(proof) => &proof.id,
            Who::Worker => &self.id,
        }
    }

    /// `systemData`'s word for the kind of actor (`createdByType`: User, Application, ManagedIdentity, Key).
    pub fn kind_name(&self) -> &'static str {
        match &self.who {
            Who::Principal(principal) => match principal.kind {
                PrincipalKind::User | PrincipalKind::Group => "User",
                PrincipalKind::ServicePrincipal | PrincipalKind::Application => "Application",
                PrincipalKind::ManagedIdentity => "ManagedIdentity",
            },
            Who::Policy(_) | Who::Device(_) => "Key",
            Who::Worker => "Application",
        }
    }
}
