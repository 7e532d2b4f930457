//! Who may use a provisioning service's API: what each operation needs, and the codes of the refusals.

use super::{DpsRef, ProvisioningService};
use crate::authn::Audience;
use crate::authz::{Actor, Plane};
use crate::shared_access::{self, Holder, Need, Refusal, Right, Rules};
use ferrohub_model::enrollment::EnrollmentKind;
use ferrohub_model::error::{Error, Result};

/// Shared access policies of provisioning services.
pub(crate) static RULES: Rules =
    Rules { word: "provisioning service", audience: Audience::Dps, enough: rights_enough_for, refuse };

/// Reading enrollment groups, without keys.
static READ_GROUP: Need = Need {
    rights: &[Right::EnrollmentRead],
    actions: &[(Plane::Data, "Microsoft.Devices/provisioningServices/enrollmentGroups/read")],
};
/// Making or changing an enrollment group.
static WRITE_GROUP: Need = Need {
    rights: &[Right::EnrollmentWrite],
    actions: &[(Plane::Data, "Microsoft.Devices/provisioningServices/enrollmentGroups/write")],
};
/// Deleting an enrollment group.
static DELETE_GROUP: Need = Need {
    rights: &[Right::EnrollmentWrite],
    actions: &[(Plane::Data, "Microsoft.Devices/provisioningServices/enrollmentGroups/delete")],
};
/// Reading the keys of an enrollment.
static READ_MECHANISM: Need = Need {
    rights: &[Right::EnrollmentWrite],
    actions: &[(Plane::Data, "Microsoft.Devices/provisioningServices/attestationmechanism/details/action")],
};
/// Reading individual enrollments, without keys.
static READ_ENROLLMENT: Need = Need {
    rights: &[Right::EnrollmentRead],
    actions: &[(Plane::Data, "Microsoft.Devices/provisioningServices/enrollments/read")],
};
/// Making or changing an individual enrollment.
static WRITE_ENROLLMENT: Need = Need {
    rights: &[Right::EnrollmentWrite],
    actions: &[(Plane::Data, "Microsoft.Devices/provisioningServices/enrollments/write")],
};
/// Deleting an individual enrollment.
static DELETE_ENROLLMENT: Need = Need {
    rights: &[Right::EnrollmentWrite],
    actions: &[(Plane::Data, "Microsoft.Devices/provisioningServices/enrollments/delete")],
};
/// Reading registrations.
pub(super) static READ_REGISTRATION: Need = Need {
    rights: &[Right::RegistrationStatusRead],
    actions: &[(Plane::Data, "Microsoft.Devices/provisioningServices/registrationStates/read")],
};
/// Deleting a registration.
pub(super) static DELETE_REGISTRATION: Need = Need {
    rights: &[Right::RegistrationStatusWrite],
    actions: &[(Plane::Data, "Microsoft.Devices/provisioningServices/registrationStates/delete")],
};

/// Every operation of the service API with what it needs.
pub static NEEDS: &[&Need] = &[
    &READ_GROUP,
    &WRITE_GROUP,
    &DELETE_GROUP,
    &READ_MECHANISM,
    &READ_ENROLLMENT,
    &WRITE_ENROLLMENT,
    &DELETE_ENROLLMENT,
    &READ_REGISTRATION,
    &DELETE_REGISTRATION,
];

/// What the operations on enrollments of a kind need.
pub(super) struct Needs {
    /// Reading, without keys.
    pub(super) read: &'static Need,
    /// Making and changing.
    pub(super) write: &'static Need,
    /// Deleting.
    pub(super) delete: &'static Need,
    /// Reading the keys.
    pub(super) mechanism: &'static Need,
}

impl Needs {
    /// Those of a kind.
    pub(super) fn of(kind: EnrollmentKind) -> Self {
        let (read, write, delete) = match kind {
            EnrollmentKind::Group => (&READ_GROUP, &WRITE_GROUP, &DELETE_GROUP),
            EnrollmentKind::Individual => (&READ_ENROLLMENT, &WRITE_ENROLLMENT, &DELETE_ENROLLMENT),
        };
        Self { read, write, delete, mechanism: &READ_MECHANISM }
    }
}

impl ProvisioningService {
    /// Who sends a request of the service API with this `Authorization` header: a shared access policy of the service,
    /// or the principal of a bearer token. What they may do each method asks itself.
    ///
    /// # Errors
    /// `Unauthenticated` (401002) for missing, malformed, expired or wrong credentials.
    pub async fn authenticate(&self, dps: &DpsRef, authorization: Option<&str>) -> Result<Actor> {
        shared_access::authenticate(&self.platform, &self.authenticator, &dps.holder(), authorization).await
    }

    /// Refuses unless `actor` may do what `need` says at `dps`.
    pub(super) async fn authorize(&self, actor: &Actor, dps: &DpsRef, need: &Need) -> Result<()> {
        self.platform.authorize_need(actor, need, &dps.holder()).await
    }
}

impl DpsRef {
    /// The service as the holder of its policies.
    pub(crate) fn holder(&self) -> Holder<'_> {
        let host = self.stored.resource.text(&["serviceOperationsHostName"]).unwrap_or_default();
        Holder { rules: &RULES, stored: &self.stored, id: &self.id, host }
    }
}

/// The rights of a policy of which any one is enough where `right` is asked for.
///
/// Writing includes reading; Azure's own default policy has ServiceConfig, DeviceConnect and EnrollmentWrite and lists
/// and deletes registrations with them.
pub fn rights_enough_for(right: Right) -> &'static [Right] {
    match right {
        Right::ServiceConfig => &[Right::ServiceConfig],
        Right::DeviceConnect => &[Right::DeviceConnect],
        Right::EnrollmentRead => &[Right::EnrollmentRead, Right::EnrollmentWrite],
        Right::EnrollmentWrite => &[Right::EnrollmentWrite],
        Right::RegistrationStatusRead => {
            &[Right::RegistrationStatusRead, Right::RegistrationStatusWrite, Right::EnrollmentWrite]
        }
        Right::RegistrationStatusWrite => &[Right::RegistrationStatusWrite, Right::EnrollmentWrite],
        // A hub's.
        Right::RegistryRead | Right::RegistryWrite | Right::ServiceConnect => &[],
    }
}

fn refuse(refusal: Refusal, text: String) -> Error {
    match refusal {
        Refusal::NoRight => Error::forbidden(text).with_iot_code(403_000),
        Refusal::Missing
        | Refusal::Malformed
        | Refusal::LocalAuthOff
        | Refusal::OtherResource
        | Refusal::NoPolicyName
        | Refusal::BadSignature
        | Refusal::Expired => unauthorized(text),
    }
}

/// DPS's refusal of credentials: 401002.
pub(super) fn unauthorized(message: impl Into<String>) -> Error {
    Error::unauthenticated(message).with_code("Unauthorized").with_iot_code(401_002)
}

/// At most 256 characters of something that a caller sent.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_access::PolicyGrant;
    use uuid::Uuid;

    fn grants(rights: &str, right: Right) -> bool {
        let grant = PolicyGrant { owner: Uuid::nil(), name: "p".into(), rights: Right::parse_list(rights) };
        grant.has(right, &RULES)
    }

    #[test]
    fn writing_includes_reading_and_not_the_other_way_round() {
        let owner = "ServiceConfig, DeviceConnect, EnrollmentWrite";
        for right in [
            Right::ServiceConfig,
            Right::EnrollmentRead,
            Right::EnrollmentWrite,
            Right::RegistrationStatusRead,
            Right::RegistrationStatusWrite,
        ] {
            assert!(grants(owner, right), "{right:?}");
        }
        assert!(grants("enrollmentread", Right::EnrollmentRead));
        assert!(!grants("EnrollmentRead, RegistrationStatusRead", Right::EnrollmentWrite));
        assert!(!grants("RegistrationStatusRead", Right::RegistrationStatusWrite));
        assert!(!grants("", Right::DeviceConnect) && !grants("Everything", Right::DeviceConnect));
        assert!(!grants("RegistryRead", Right::RegistryRead), "a hub's right means nothing here");
    }
}
