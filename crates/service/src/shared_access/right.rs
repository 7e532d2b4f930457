//! Rights of shared access policies, and what an operation of a service API asks for.

use super::{Holder, Refusal, Rules};
use crate::authz::Plane;
use ferrohub_model::error::{Error, Result};
use uuid::Uuid;

/// A right of a shared access policy, of a hub or of a provisioning service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Hub: reading identities.
    RegistryRead,
    /// Hub: writing identities.
    RegistryWrite,
    /// Hub: twins, methods, events and the other service endpoints.
    ServiceConnect,
    /// Both: the device endpoints, registering.
    DeviceConnect,
    /// Provisioning: reading and changing the service's configuration.
    ServiceConfig,
    /// Provisioning: reading enrollments.
    EnrollmentRead,
    /// Provisioning: reading and writing enrollments.
    EnrollmentWrite,
    /// Provisioning: reading registrations.
    RegistrationStatusRead,
    /// Provisioning: deleting registrations.
    RegistrationStatusWrite,
}

impl Right {
    /// Every right.
    pub const ALL: &'static [Self] = &[
        Self::RegistryRead,
        Self::RegistryWrite,
        Self::ServiceConnect,
        Self::DeviceConnect,
        Self::ServiceConfig,
        Self::EnrollmentRead,
        Self::EnrollmentWrite,
        Self::RegistrationStatusRead,
        Self::RegistrationStatusWrite,
    ];

    /// Azure's word, as it stands in `rights`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RegistryRead => "RegistryRead",
            Self::RegistryWrite => "RegistryWrite",
            Self::ServiceConnect => "ServiceConnect",
            Self::DeviceConnect => "DeviceConnect",
            Self::ServiceConfig => "ServiceConfig",
            Self::EnrollmentRead => "EnrollmentRead",
            Self::EnrollmentWrite => "EnrollmentWrite",
            Self::RegistrationStatusRead => "RegistrationStatusRead",
            Self::RegistrationStatusWrite => "RegistrationStatusWrite",
        }
    }

    /// The rights in a text such as `ServiceConfig, EnrollmentWrite`; unknown words grant nothing.
    pub(crate) fn parse_list(text: &str) -> Vec<Self> {
        let known = |word: &str| Self::ALL.iter().copied().find(|right| right.as_str().eq_ignore_ascii_case(word));
        text.split(',').map(str::trim).filter_map(known).collect()
    }
}

/// What an operation of a service API asks of its caller: one of these rights of a policy, or one of these actions of roles.
#[derive(Debug)]
pub struct Need {
    /// Rights of which a shared access policy must have one; the first is what a refusal names.
    pub rights: &'static [Right],
    /// Actions of which a principal needs one; the first is what a refusal names.
    pub actions: &'static [(Plane, &'static str)],
}

/// A shared access policy whose key the caller proved to hold.
#[derive(Debug, Clone)]
pub(crate) struct PolicyGrant {
    /// Uid of the service whose policy it is: it opens no other.
    pub(crate) owner: Uuid,
    /// Its name.
    pub(crate) name: String,
    /// Its rights.
    pub(crate) rights: Vec<Right>,
}

impl PolicyGrant {
    /// Whether the policy has `right` or one that includes it.
    pub(crate) fn has(&self, right: Right, rules: &Rules) -> bool {
        (rules.enough)(right).iter().any(|enough| self.rights.contains(enough))
    }

    /// Refuses unless the policy has the right that is needed.
    ///
    /// # Errors
    /// The service's refusal, which names the right.
    pub(crate) fn require(&self, need: &Need, holder: &Holder<'_>) -> Result<()> {
        match need.rights.iter().find(|right| self.has(**right, holder.rules)).or(need.rights.first()) {
            Some(right) => self.require_right(*right, holder),
            None => Err(Error::internal("an operation that no right is enough for")),
        }
    }

    /// Refuses unless the policy has `right`.
    ///
    /// # Errors
    /// The service's refusal, which names the right.
    pub(crate) fn require_right(&self, right: Right, holder: &Holder<'_>) -> Result<()> {
        debug_assert_eq!(self.owner, holder.stored.uid, "a policy opens its own service only");
        if self.has(right, holder.rules) {
            return Ok(());
        }
        Err(holder.refuse(
            Refusal::NoRight,
            format!(
                "Authorization rule '{}' does not allow access for '{}'. Use a policy with the right {}.",
                self.name,
                holder.host,
                right.as_str()
            ),
        ))
    }
}
