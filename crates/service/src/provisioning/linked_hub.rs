//! The hubs linked to a provisioning service, and whether the stored connection string still opens them.

use super::{DpsRef, ProvisioningService};
use crate::hub::HubRef;
use crate::resources::{self, Stored, tag};
use crate::shared_access::{self, KeyRefusal, Right, open_secret};
use ferrohub_model::error::{Error, Result};
use ferrohub_wire::connection_string::ConnectionString;
use serde_json::Value;

/// What a connection string must give at a hub that is linked.
pub(crate) const LINK_RIGHTS: &[Right] = &[Right::RegistryWrite, Right::ServiceConnect];

/// A linked hub as the provisioning service lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkedHub {
    /// Host name, which is its name in the list.
    pub(super) host: String,
    /// Relative weight, at least 1.
    pub(super) weight: u64,
    /// Whether the allocation policy may choose it.
    pub(super) allocates: bool,
}

/// The hubs that `dps` lists.
pub(super) fn linked_hubs(dps: &DpsRef) -> Vec<LinkedHub> {
    let list = dps.stored.resource.value(&["iotHubs"]).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(linked_hub).collect()
}

fn linked_hub(entry: &Value) -> Option<LinkedHub> {
    Some(LinkedHub {
        host: entry.get("name")?.as_str()?.to_owned(),
        weight: entry.get("allocationWeight").and_then(Value::as_u64).unwrap_or(1).max(1),
        allocates: entry.get("applyAllocationPolicy").and_then(Value::as_bool).unwrap_or(true),
    })
}

impl ProvisioningService {
    /// The hub with this host name, if it exists.
    pub(super) async fn hub_by_host(&self, host: &str) -> Result<Option<Stored>> {
        let found = resources::by_lookup(&self.platform, "lookup", &format!("host/{}", host.to_lowercase())).await?;
        Ok(found.filter(|found| found.is(tag::IOT_HUB)))
    }

    /// Opens a linked hub with the connection string that the provisioning service keeps: it must name a policy of
    /// the hub that may write devices, with one of its present keys.
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
        let field = format!("linkedHub/{}", host.to_lowercase());
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
        assert_eq!(linked_hub(&json!({"name": "h"})), Some(LinkedHub { host: "h".into(), weight: 1, allocates: true }));
        let entry = linked_hub(&json!({"name": "h", "allocationWeight": 0, "applyAllocationPolicy": false})).unwrap();
        assert_eq!((entry.weight, entry.allocates), (1, false));
        assert_eq!(linked_hub(&json!({"location": "x"})), None);
    }
}
