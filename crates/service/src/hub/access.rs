//! Who may use a hub's service API: what each operation needs, and the codes of the refusals.

use super::{HubRef, HubService};
use crate::authn::Audience;
use crate::authz::{Actor, Plane};
use crate::shared_access::{self, Holder, Need, Refusal, Right, Rules};
use ferrohub_model::error::{Error, Result};

/// Shared access policies of hubs. No right includes another one.
pub(crate) static RULES: Rules = Rules { word: "hub", audience: Audience::Hub, enough: rights_enough_for, refuse };

/// Reading an identity, keys included.
pub(super) static READ_DEVICE: Need =
    Need { rights: &[Right::RegistryRead], actions: &[(Plane::Data, "Microsoft.Devices/IotHubs/devices/read")] };
/// Making or changing an identity.
pub(super) static WRITE_DEVICE: Need =
    Need { rights: &[Right::RegistryWrite], actions: &[(Plane::Data, "Microsoft.Devices/IotHubs/devices/write")] };
/// Deleting an identity.
pub(super) static DELETE_DEVICE: Need =
    Need { rights: &[Right::RegistryWrite], actions: &[(Plane::Data, "Microsoft.Devices/IotHubs/devices/delete")] };
/// Reading a twin.
pub(super) static READ_TWIN: Need =
    Need { rights: &[Right::ServiceConnect], actions: &[(Plane::Data, "Microsoft.Devices/IotHubs/twins/read")] };
/// Changing a twin.
pub(super) static WRITE_TWIN: Need =
    Need { rights: &[Right::ServiceConnect], actions: &[(Plane::Data, "Microsoft.Devices/IotHubs/twins/write")] };
/// Changing twins beside identities, in one request about many devices: for a shared access policy the right to write
/// identities is enough there (reference: iot-hub-and-dps.md C.1), a role says what each action is.
pub(super) static WRITE_TWIN_IN_BULK: Need =
    Need { rights: &[Right::RegistryWrite], actions: &[(Plane::Data, "Microsoft.Devices/IotHubs/twins/write")] };
/// Querying devices, modules and their twins. Azure's pages name the one right and the other.
pub(super) static QUERY: Need = Need {
    rights: &[Right::ServiceConnect, Right::RegistryRead],
    actions: &[(Plane::Data, "Microsoft.Devices/IotHubs/twins/read")],
};
/// Reading events. Azure has no role for it; ours is the ARM action.
pub(super) static READ_EVENTS: Need = Need {
    rights: &[Right::ServiceConnect],
    actions: &[(Plane::Control, "Microsoft.Devices/IotHubs/readEvents/action")],
};
/// Counting devices, by ARM's action or by the data plane's.
pub(super) static READ_STATISTICS: Need = Need {
    rights: &[Right::RegistryRead],
    actions: &[
        (Plane::Control, "Microsoft.Devices/IotHubs/IotHubStats/read"),
        (Plane::Data, "Microsoft.Devices/IotHubs/statistics/read"),
    ],
};

/// Every operation of a hub's service API with what it needs.
pub static NEEDS: &[&Need] = &[
    &READ_DEVICE,
    &WRITE_DEVICE,
    &DELETE_DEVICE,
    &READ_TWIN,
    &WRITE_TWIN,
    &WRITE_TWIN_IN_BULK,
    &QUERY,
    &READ_EVENTS,
    &READ_STATISTICS,
];

impl HubService {
    /// Who sends a request of the service API with this `Authorization` header: a shared access policy of the hub, or
    /// the principal of a bearer token. What they may do each method asks itself.
    ///
    /// # Errors
    /// 401002 without, or with malformed, credentials, or for another hub; 401003 for a wrong key or an expired token.
    pub async fn authenticate(&self, hub: &HubRef, authorization: Option<&str>) -> Result<Actor> {
        shared_access::authenticate(&self.platform, &self.authenticator, &hub.holder(), authorization).await
    }

    /// Refuses unless `actor` may do what `need` says at `hub`.
    pub(super) async fn authorize(&self, actor: &Actor, hub: &HubRef, need: &Need) -> Result<()> {
        self.platform.authorize_need(actor, need, &hub.holder()).await
    }
}

impl HubRef {
    /// The hub as the holder of its policies.
    pub(crate) fn holder(&self) -> Holder<'_> {
        Holder { rules: &RULES, stored: &self.stored, id: &self.id, host: &self.host }
    }
}

/// The rights of a policy of which any one is enough where `right` is asked for.
pub fn rights_enough_for(right: Right) -> &'static [Right] {
    match right {
        Right::RegistryRead => &[Right::RegistryRead],
        Right::RegistryWrite => &[Right::RegistryWrite],
        Right::ServiceConnect => &[Right::ServiceConnect],
        Right::DeviceConnect => &[Right::DeviceConnect],
        // Not a hub's.
        Right::ServiceConfig
        | Right::EnrollmentRead
        | Right::EnrollmentWrite
        | Right::RegistrationStatusRead
        | Right::RegistrationStatusWrite => &[],
    }
}

fn refuse(refusal: Refusal, text: String) -> Error {
    match refusal {
        Refusal::BadSignature | Refusal::Expired => unauthorized(text),
        Refusal::Missing
        | Refusal::Malformed
        | Refusal::LocalAuthOff
        | Refusal::OtherResource
        | Refusal::NoPolicyName
        | Refusal::NoRight => unauthorized_access(text),
    }
}

/// 401002: the credentials are not for this.
pub(super) fn unauthorized_access(message: impl Into<String>) -> Error {
    Error::unauthenticated(message).with_code("IotHubUnauthorizedAccess").with_iot_code(401_002)
}

/// 401003: the credentials are wrong.
pub(super) fn unauthorized(message: impl Into<String>) -> Error {
    Error::unauthenticated(message).with_code("IotHubUnauthorized").with_iot_code(401_003)
}
