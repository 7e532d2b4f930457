//! The hubs linked to a provisioning service, and whether the stored connection string still opens them, or the identity
//! as which the service acts has its role there.

use super::{DpsRef, ProvisioningService};
use crate::authz::{self, Actor, Plane};
use crate::hub::HubRef;
use crate::platform::Platform;
use crate::registry;
use crate::resources::{self, Stored, tag};
use crate::shared_access::{self, KeyRefusal, Right, open_secret};
use ferrohub_model::enrollment::{AllocationPolicy, EnrollmentSettings};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_wire::connection_string::ConnectionString;
use serde_json::{Map, Value};

/// What a connection string must give at a hub that is linked.
pub(crate) const LINK_RIGHTS: &[Right] = &[Right::RegistryWrite, Right::ServiceConnect];

/// The same for an identity: the data actions that stand for those rights.
const LINK_ACTIONS: &[&str] = &["Microsoft.Devices/IotHubs/devices/write", "Microsoft.Devices/IotHubs/twins/write"];

/// The member of a link that says as what it acts, where it is not by a key.
pub(crate) const AUTHENTICATION: &str = "authenticationType";

/// The tag of a hub that says how far it is from its devices, in ms: the allocation policy `geoLatency` goes by it.
pub(crate) const LATENCY_TAG: &str = "allocationLatencyMs";

/// The latency that tags tell; one minute at most.
pub(crate) fn latency_of(tags: &Map<String, Value>) -> Option<u64> {
    let (_, value) = tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(LATENCY_TAG))?;
    value.as_str()?.parse().ok().filter(|latency| *latency <= 60_000)
}

/// The name under which a link's connection string is sealed, or its user-assigned identity is referred to.
pub(crate) fn link_field(host: &str) -> String {
    format!("{LINK_PREFIX}{}", host.to_lowercase())
}

/// Whether a secret or a reference of the service is that of a link.
pub(crate) fn is_link_field(field: &str) -> bool {
    field.starts_with(LINK_PREFIX)
}

const LINK_PREFIX: &str = "linkedHub/";

/// A linked hub as the provisioning service lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkedHub {
    /// Host name, which is its name in the list.
    pub(super) host: String,
    /// Relative weight, at least 1.
    pub(super) weight: u64,
    /// Whether the allocation policy may choose it.
    pub(super) allocates: bool,
    /// How the service gets in there.
    pub(super) entry: Entry,
}

/// How a provisioning service gets into a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// By a key of the hub, in a connection string.
    Key,
    /// As an identity of its own.
    Identity,
    /// As the identity of its namespace, which offers the hub as one of its endpoints.
    Namespace,
}

/// The hubs that `dps` lists, and those that its namespace offers.
pub(super) fn linked_hubs(dps: &DpsRef) -> Vec<LinkedHub> {
    let list = dps.stored.resource.value(&["iotHubs"]).and_then(Value::as_array);
    let mut all: Vec<LinkedHub> = list.into_iter().flatten().filter_map(linked_hub).collect();
    for offered in &dps.offered {
        if all.iter().all(|listed| !listed.host.eq_ignore_ascii_case(&offered.host)) {
            all.push(offered.clone());
        }
    }
    all
}

/// The hubs that a namespace offers to its provisioning services.
pub(super) async fn offered_hubs(platform: &Platform, namespace: &Stored) -> Result<Vec<LinkedHub>> {
    let offered = registry::endpoint::offered_hubs(platform, namespace).await?.into_iter();
    let hubs = offered.filter_map(|offered| {
        let host = offered.hub.resource.text(&["hostName"])?.to_owned();
        Some(LinkedHub { host, weight: offered.weight, allocates: true, entry: Entry::Namespace })
    });
    Ok(hubs.collect())
}

fn linked_hub(entry: &Value) -> Option<LinkedHub> {
    Some(LinkedHub {
        host: entry.get("name")?.as_str()?.to_owned(),
        weight: entry.get("allocationWeight").and_then(Value::as_u64).unwrap_or(1).max(1),
        allocates: entry.get("applyAllocationPolicy").and_then(Value::as_bool).unwrap_or(true),
        entry: if entry.get(AUTHENTICATION).is_some() { Entry::Identity } else { Entry::Key },
    })
}

impl ProvisioningService {
    /// The hub with this host name, if it exists.
    pub(super) async fn hub_by_host(&self, host: &str) -> Result<Option<Stored>> {
        let name = self.platform.settings.own_host(host);
        let found = resources::by_lookup(&self.platform, "lookup", &format!("host/{name}")).await?;
        Ok(found.filter(|found| found.is(tag::IOT_HUB)))
    }

    /// The latencies that tags of the linked hubs tell, for an enrollment that goes by them: host and ms.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn latencies(&self, dps: &DpsRef, settings: &EnrollmentSettings) -> Result<Vec<(String, u64)>> {
        let own = dps.stored.resource.text(&["allocationPolicy"]).unwrap_or_default();
        let by_latency = match settings.allocation_policy {
            Some(policy) => policy == AllocationPolicy::GeoLatency,
            None => own.eq_ignore_ascii_case("GeoLatency"),
        };
        let mut found = Vec::new();
        if by_latency {
            for linked in linked_hubs(dps) {
                let hub = self.hub_by_host(&linked.host).await?;
                let latency = hub.and_then(|hub| hub.resource.tags.as_ref().and_then(latency_of));
                found.extend(latency.map(|latency| (linked.host, latency)));
            }
        }
        Ok(found)
    }

    /// Opens a linked hub with the connection string that the provisioning service keeps: it must name a policy of
    /// the hub that may write devices, with one of its present keys. A link by identity is opened by the identity's role.
    ///
    /// # Errors
    /// `Invalid` (400209) saying what does not fit any more and how to link the hub again.
    pub(super) async fn open_hub(&self, dps: &DpsRef, host: &str) -> Result<HubRef> {
        let Some(hub) = self.hub_by_host(host).await? else {
            let unlink = unlink_command(dps, host);
            return Err(Error::invalid(format!(
                "The provisioning service '{}' cannot use its linked hub '{host}': the hub does not exist any more. Take the link away: {unlink}",
                dps.name
            ))
            .with_iot_code(400_209));
        };
        match linked_hubs(dps).iter().find(|link| link.host.eq_ignore_ascii_case(host)).map(|link| link.entry) {
            Some(Entry::Identity) => return self.open_as_identity(dps, host, HubRef::of(hub)).await,
            Some(Entry::Namespace) => return self.open_as_namespace(dps, host, HubRef::of(hub)).await,
            Some(Entry::Key) | None => {}
        }
        let field = link_field(host);
        let Some(text) = open_secret(&self.platform, &dps.stored, &field).await? else {
            return Err(unauthorized_hub(dps, host, "no connection string is stored for it"));
        };
        let text = std::str::from_utf8(&text)
            .map_err(|_| Error::internal(format!("connection string of {host} is no text")))?;
        let Ok(connection) = ConnectionString::parse(text) else {
            return Err(unauthorized_hub(dps, host, "its stored connection string is malformed"));
        };
        let (Some(policy), Some(key)) = (connection.policy(), connection.key()) else {
            return Err(unauthorized_hub(
                dps,
                host,
                "its stored connection string has no SharedAccessKeyName or SharedAccessKey",
            ));
        };
        let hub = HubRef::of(hub);
        let checked = shared_access::check_key(&self.platform, &hub.holder(), policy, key, LINK_RIGHTS).await?;
        checked.map(|()| hub).map_err(|refusal| unauthorized_hub(dps, host, &why(refusal, policy)))
    }

    /// The identity must be attached, must exist, and must be allowed to write devices and twins of the hub.
    async fn open_as_identity(&self, dps: &DpsRef, host: &str, hub: HubRef) -> Result<HubRef> {
        let resource = &dps.stored.resource;
        let identity = resource.identity.as_ref();
        let principal = match resource.links.get(&link_field(host)) {
            Some(user) => identity.and_then(|identity| identity.assigned(user.uid)).map(|user| &user.principal_id),
            None => identity.and_then(|identity| identity.system_principal_id.as_ref()),
        };
        let Some(principal) = principal else {
            return Err(identity_is_gone(dps, host, "it does not have any more"));
        };
        let actor = match self.platform.identity_actor(principal).await {
            Ok(actor) => actor,
            Err(error) if error.code == "PrincipalNotFound" => {
                return Err(identity_is_gone(dps, host, &format!("with object id '{principal}', which was deleted")));
            }
            Err(error) => return Err(error),
        };
        self.may_assign(&actor, &hub).map_err(|error| {
            refused(error, &format!("'{}' cannot use its linked hub '{host}' as its identity", dps.name))
        })?;
        Ok(hub)
    }

    /// The namespace's identity must be allowed to write devices and twins of a hub that the namespace offers.
    async fn open_as_namespace(&self, dps: &DpsRef, host: &str, hub: HubRef) -> Result<HubRef> {
        let what = format!(
            "'{}' cannot use the hub '{host}', which its namespace offers, as the namespace's identity",
            dps.name
        );
        let namespace = match dps.stored.resource.link(registry::NAMESPACE) {
            Some(uid) => resources::by_uid(&self.platform, uid).await?,
            None => None,
        };
        let namespace = namespace.ok_or_else(|| Error::invalid("The namespace was deleted.").with_iot_code(400_209))?;
        let actor = match registry::namespace_actor(&self.platform, &namespace).await {
            Ok(actor) => actor,
            Err(error) if error.kind == ErrorKind::Forbidden => return Err(refused(error, &what)),
            Err(error) => return Err(error),
        };
        self.may_assign(&actor, &hub).map_err(|error| refused(error, &what))?;
        Ok(hub)
    }

    /// Refuses an identity that may not write devices and twins of a hub.
    fn may_assign(&self, actor: &Actor, hub: &HubRef) -> Result<()> {
        let access = self.platform.access();
        let lacking = LINK_ACTIONS.iter().find(|action| !access.allows(actor.id(), Plane::Data, action, &hub.id));
        match lacking {
            None => Ok(()),
            Some(action) => Err(authz::denied(&access, actor, Plane::Data, action, &hub.id, &hub.id)),
        }
    }
}

/// The refusal of an identity as a registration tells it.
fn refused(mut error: Error, what: &str) -> Error {
    error.kind = ErrorKind::Invalid;
    error.message = format!("The provisioning service {what}. {}", error.message);
    error.with_iot_code(400_209)
}

/// What is wrong with a linked hub's key. A policy that is gone reads like a key that is: names of policies are not for strangers.
pub(crate) fn why(refusal: KeyRefusal, policy: &str) -> String {
    match refusal {
        KeyRefusal::LocalAuthOff => "the hub has local authentication switched off (disableLocalAuth)".to_owned(),
        KeyRefusal::WrongKey => format!("its key is none of the present keys of the policy '{policy}'"),
        KeyRefusal::NoRight(right) => format!("the policy '{policy}' has not the right {}", right.as_str()),
    }
}

/// The refusal with the commands that link the hub again with a key of now.
fn unauthorized_hub(dps: &DpsRef, host: &str, why: &str) -> Error {
    let group = dps.id.resource_group.as_deref().unwrap_or("<resource group>");
    let name = host.split('.').next().unwrap_or(host);
    Error::invalid(format!(
        "The provisioning service '{0}' cannot use its linked hub '{host}': {why}. Link it again: {1} && az iot dps linked-hub create --dps-name \"{0}\" --resource-group \"{group}\" --hub-name \"{name}\"",
        dps.name,
        unlink_command(dps, host)
    ))
    .with_iot_code(400_209)
}

/// The refusal of a link whose identity does not act any more.
fn identity_is_gone(dps: &DpsRef, host: &str, which: &str) -> Error {
    Error::invalid(format!(
        "The provisioning service '{}' is linked to the hub '{host}' as an identity {which}. Attach an identity again and name it in the link, or take the link away: {}",
        dps.name,
        unlink_command(dps, host)
    ))
    .with_iot_code(400_209)
}

fn unlink_command(dps: &DpsRef, host: &str) -> String {
    format!(
        "az iot dps linked-hub delete --dps-name \"{}\" --resource-group \"{}\" --linked-hub \"{host}\"",
        dps.name,
        dps.id.resource_group.as_deref().unwrap_or("<resource group>")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn entries_have_defaults_and_malformed_ones_are_left_out() {
        assert_eq!(
            linked_hub(&json!({"name": "h"})),
            Some(LinkedHub { host: "h".into(), weight: 1, allocates: true, entry: Entry::Key })
        );
        let entry = linked_hub(&json!({"name": "h", "allocationWeight": 0, "applyAllocationPolicy": false})).unwrap();
        assert_eq!((entry.weight, entry.allocates), (1, false));
        assert_eq!(linked_hub(&json!({"location": "x"})), None);
        let latency = |tags: Value| latency_of(tags.as_object().unwrap());
        assert_eq!(latency(json!({"a": "b", "AllocationLatencyMS": "25"})), Some(25));
        for wrong in
            [json!({}), json!({LATENCY_TAG: "-1"}), json!({LATENCY_TAG: "60001"}), json!({LATENCY_TAG: "near"})]
        {
            assert_eq!(latency(wrong), None);
        }
    }
}
