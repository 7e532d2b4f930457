//! The hubs that a provisioning service is linked to (`iotHubs`): by a key of the hub in a connection string, or by the
//! service's identity, which then needs its role on the hub (ADR 0026).

use super::iot_hub::attached;
use crate::arm::context::PutContext;
use crate::arm::schema::{Check, acted, read_only};
use crate::arm::{region, render};
use crate::authz;
use crate::hub::HubRef;
use crate::platform::Platform;
use crate::provisioning::linked_hub::{self, AUTHENTICATION, link_field};
use crate::resources::{self, Stored};
use crate::shared_access;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::uid::uid_key;
use ferrohub_wire::connection_string::ConnectionString;
use serde_json::{Map, Value, json};

/// What an entry of `iotHubs` may say.
pub(super) const LINKED_HUB: Check = Check::Members(&[
    acted(CONNECTION, Check::Text(CONNECTION_STRING_CHARS)),
    acted(HOST, Check::Text(255)),
    acted(AUTHENTICATION, Check::OneOf(KINDS)),
    acted(SELECTED, Check::Text(1024)),
    acted("location", Check::Text(100)),
    read_only("name"),
    acted("applyAllocationPolicy", Check::Bool),
    acted("allocationWeight", Check::Own),
]);
/// Longest connection string of a linked hub: ours.
const CONNECTION_STRING_CHARS: usize = 2048;

const KINDS: &[&str] = &[KEY_BASED, SYSTEM, USER];
const KEY_BASED: &str = "KeyBased";
const SYSTEM: &str = "SystemAssigned";
const USER: &str = "UserAssigned";
const SELECTED: &str = "selectedUserAssignedIdentityResourceId";
const HOST: &str = "hostName";
const CONNECTION: &str = "connectionString";

/// Members of the connection string with which api-versions before 2026-03-01-preview show a link by identity: they have
/// no other place for it, and what a client reads there it must be able to write back.
const AS_TYPE: &str = "AuthenticationType";
const AS_USER: &str = "UserAssignedIdentity";

fn entries(doc: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let list = doc.pointer_mut("/properties/iotHubs").and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// From the newest shape to that before 2026-03-01-preview: a connection string says all.
pub(super) fn to_connection_strings(doc: &mut Value) {
    for entry in entries(doc) {
        let mut take = |name: &str| match entry.shift_remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let (host, kind, user) = (take(HOST), take(AUTHENTICATION), take(SELECTED));
        let text = match kind.as_str() {
            SYSTEM => format!("HostName={host};{AS_TYPE}={SYSTEM}"),
            USER => format!("HostName={host};{AS_TYPE}={USER};{AS_USER}={user}"),
            _ => continue,
        };
        entry.insert(CONNECTION.into(), text.into());
    }
}

/// The way back. What is no connection string stays, to be refused.
pub(super) fn from_connection_strings(doc: &mut Value) {
    for entry in entries(doc) {
        let Some(Ok(text)) = entry.get(CONNECTION).and_then(Value::as_str).map(ConnectionString::parse) else {
            continue;
        };
        let host = text.host_name().unwrap_or_default().to_lowercase();
        entry.entry(HOST).or_insert_with(|| host.into());
        if entry.contains_key(AUTHENTICATION) {
            continue;
        }
        let Some(kind) = text.get(AS_TYPE) else {
            entry.insert(AUTHENTICATION.into(), KEY_BASED.into());
            continue;
        };
        entry.insert(AUTHENTICATION.into(), kind.into());
        if let Some(user) = text.get(AS_USER) {
            entry.insert(SELECTED.into(), user.into());
        }
        entry.shift_remove(CONNECTION);
    }
}

/// Shows the links in the newest shape, keys masked.
pub(super) async fn decorate(platform: &Platform, stored: &Stored, view: &mut Value) -> Result<()> {
    for entry in entries(view) {
        let host = entry.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let policy = entry.shift_remove("keyName");
        let policy = policy.as_ref().and_then(Value::as_str).unwrap_or("iothubowner");
        if !entry.contains_key(AUTHENTICATION) {
            let masked = format!("HostName={host};SharedAccessKeyName={policy};SharedAccessKey=****");
            entry.insert(CONNECTION.into(), masked.into());
            entry.insert(AUTHENTICATION.into(), KEY_BASED.into());
        }
        if let Some(user) = stored.resource.links.get(&link_field(&host)) {
            entry.insert(SELECTED.into(), render::reference_id(platform, user).await?.into());
        }
        entry.insert(HOST.into(), host.into());
    }
    Ok(())
}

/// Takes the links that are sent: each is checked against the hub, keys are sealed, a masked one keeps the stored key.
pub(super) async fn link(cx: &mut PutContext<'_>) -> Result<()> {
    let sent = match cx.resource.properties.get("iotHubs") {
        Some(Value::Array(list)) => list.clone(),
        _ => Vec::new(),
    };
    let mut linked: Vec<Value> = Vec::new();
    let (mut keys, mut users) = (Vec::new(), Vec::new());
    for entry in &sent {
        let link = link_one(cx, entry).await?;
        let text = |name: &str| link.get(name).and_then(Value::as_str).unwrap_or_default();
        let (host, kind) = (text("name").to_lowercase(), text(AUTHENTICATION));
        let same =
            |other: &Value| other.get("name").and_then(Value::as_str).is_some_and(|o| o.eq_ignore_ascii_case(&host));
        if linked.iter().any(same) {
            return Err(Error::invalid_property(
                "properties.iotHubs",
                format!("The hub '{host}' is linked twice (IH400303 duplicate iot hubs)."),
            ));
        }
        match kind {
            SYSTEM => {}
            USER => users.push(link_field(&host)),
            _ => keys.push(link_field(&host)),
        }
        linked.push(link);
    }
    cx.resource.secrets.retain(|field, _| !linked_hub::is_link_field(field) || keys.contains(field));
    cx.resource.links.retain(|field, _| !linked_hub::is_link_field(field) || users.contains(field));
    cx.resource.properties.insert("iotHubs".into(), Value::Array(linked));
    Ok(())
}

async fn link_one(cx: &mut PutContext<'_>, entry: &Value) -> Result<Value> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let given = text(AUTHENTICATION).unwrap_or(KEY_BASED);
    let kind = KINDS.iter().copied().find(|kind| kind.eq_ignore_ascii_case(given)).unwrap_or(KEY_BASED);
    let mut link = match kind {
        KEY_BASED => by_key(cx, entry).await?,
        kind => by_identity(cx, entry, kind).await?,
    };
    if let Some(location) = text("location") {
        link["location"] = region::normalize(location, "Microsoft.Devices/IotHubs")?.into();
    }
    let weight = entry.get("allocationWeight").filter(|v| !v.is_null()).map_or(Ok(1), |v| {
        let rule = "'allocationWeight' is a whole number from 0 to 1000.";
        v.as_u64()
            .filter(|w| *w <= 1000)
            .ok_or_else(|| Error::invalid_property("properties.iotHubs.allocationWeight", rule))
    })?;
    link["applyAllocationPolicy"] = entry.get("applyAllocationPolicy").and_then(Value::as_bool).unwrap_or(true).into();
    link["allocationWeight"] = weight.into();
    Ok(link)
}

async fn by_key(cx: &mut PutContext<'_>, entry: &Value) -> Result<Value> {
    let path = "properties.iotHubs.connectionString";
    let member = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if member(SELECTED).is_some() {
        return Err(Error::invalid_property(
            format!("properties.iotHubs.{SELECTED}"),
            format!("'{SELECTED}' goes with the {AUTHENTICATION} {USER} only."),
        ));
    }
    let text = member(CONNECTION)
        .map_or_else(|| member(HOST).map(|host| format!("HostName={host}")), |text| Some(text.to_owned()));
    let text = text.unwrap_or_default();
    let parsed = ConnectionString::parse(&text).map_err(|e| e.with_target(path))?;
    let host = cx.platform.settings.own_host(parsed.host_name().unwrap_or_default());
    if member(HOST).is_some_and(|given| cx.platform.settings.own_host(given) != host) {
        return Err(Error::invalid_property(
            format!("properties.iotHubs.{HOST}"),
            format!("The 'hostName' is another one than that of the connection string, '{host}'."),
        ));
    }
    let key = parsed.key().unwrap_or_default();
    let masked = key.contains('*') || key.is_empty();
    match (masked, stored_link(cx, &host, KEY_BASED)) {
        // A masked key keeps the stored one, even when the hub is gone meanwhile: the entry must stay removable.
        (true, Some(link)) => Ok(link),
        (true, None) => Err(Error::invalid_property(
            path,
            format!(
                "The key in the connection string of '{host}' is masked or missing, and none is stored. Send the whole connection string."
            ),
        )),
        (false, _) => {
            let hub = hub_at(cx.platform, &host, path).await?;
            let policy = parsed.policy().unwrap_or_default();
            check_hub_key(cx.platform, &hub, policy, key).await?;
            let owner = uid_key(cx.uid);
            let (store, field) = (cx.platform.store.as_ref(), link_field(&host));
            let sealed = cx.platform.keyring.seal(store, &owner, "resources", &owner, &field, text.as_bytes()).await?;
            cx.resource.secrets.insert(field, sealed);
            Ok(json!({"name": host, "location": hub.resource.location, "keyName": policy}))
        }
    }
}

/// A link by the identity of the service: who makes it must be able to read the hub. Whether the identity has its role
/// there is asked at each use.
async fn by_identity(cx: &mut PutContext<'_>, entry: &Value, kind: &'static str) -> Result<Value> {
    let at = |name: &str| format!("properties.iotHubs.{name}");
    let member = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if member(CONNECTION).is_some() {
        return Err(Error::invalid_property(
            at(CONNECTION),
            format!("A hub that is linked with the {AUTHENTICATION} {kind} has no connection string; leave it out."),
        ));
    }
    let host = member(HOST).ok_or_else(|| {
        Error::invalid_property(at(HOST), format!("With the {AUTHENTICATION} {kind}, 'hostName' names the hub."))
    })?;
    let host = cx.platform.settings.own_host(host);
    match (kind, member(SELECTED)) {
        (USER, Some(identity)) => {
            let reference = attached(cx, identity).await?;
            cx.resource.links.insert(link_field(&host), reference);
        }
        (USER, None) => {
            return Err(Error::invalid_property(
                at(SELECTED),
                format!("With the {AUTHENTICATION} {USER}, this names the identity."),
            ));
        }
        (_, Some(_)) => {
            return Err(Error::invalid_property(
                at(SELECTED),
                format!("'{SELECTED}' goes with the {AUTHENTICATION} {USER} only."),
            ));
        }
        (_, None) if cx.resource.identity.as_ref().is_none_or(|i| i.system_principal_id.is_none()) => {
            return Err(Error::invalid_property(
                at(AUTHENTICATION),
                format!(
                    "The link to '{host}' acts as the system-assigned identity, but the service has none. Give it one, name a user-assigned identity, or take the link away first."
                ),
            ));
        }
        (_, None) => {}
    }
    if let Some(link) = stored_link(cx, &host, kind) {
        return Ok(link);
    }
    let hub = hub_at(cx.platform, &host, &at(HOST)).await?;
    cx.platform.authorize(cx.actor, "Microsoft.Devices/IotHubs/read", &hub.id).map_err(authz::linked)?;
    Ok(json!({"name": host, "location": hub.resource.location, AUTHENTICATION: kind}))
}

/// The link of this kind to `host` as it is stored.
fn stored_link(cx: &PutContext<'_>, host: &str, kind: &str) -> Option<Value> {
    let links = cx.existing?.resource.properties.get("iotHubs")?.as_array()?;
    let text = |link: &Value, name: &str| link.get(name).and_then(Value::as_str).map(str::to_owned);
    let same = |link: &&Value| {
        text(link, "name").is_some_and(|name| name.eq_ignore_ascii_case(host))
            && text(link, AUTHENTICATION).as_deref().unwrap_or(KEY_BASED) == kind
    };
    links
        .iter()
        .find(same)
        .filter(|_| kind != KEY_BASED || cx.resource.secrets.contains_key(&link_field(host)))
        .cloned()
}

async fn hub_at(platform: &Platform, host: &str, path: &str) -> Result<Stored> {
    resources::by_lookup(platform, "lookup", &format!("host/{host}")).await?.ok_or_else(|| {
        Error::invalid_property(
            path,
            format!("There is no IoT hub with the host name '{host}' here. Its connection string: az iot hub connection-string show --hub-name '<hub>'"),
        )
    })
}

/// The key must be one of the hub's, with the rights that provisioning needs.
async fn check_hub_key(platform: &Platform, hub: &Stored, policy: &str, key: &str) -> Result<()> {
    let hub = HubRef::of(hub.clone());
    let checked = shared_access::check_key(platform, &hub.holder(), policy, key, linked_hub::LINK_RIGHTS).await?;
    checked.map_err(|refusal| {
        Error::invalid_property(
            "properties.iotHubs.connectionString",
            format!(
                "The connection string of '{}' cannot be used: {}. Take the one that `az iot hub connection-string show --hub-name {}` prints.",
                hub.name,
                linked_hub::why(refusal, policy),
                hub.name
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_shape_says_the_same_in_connection_strings() {
        let newest = json!({"properties": {"iotHubs": [
            {"name": "a", "hostName": "a", "authenticationType": "KeyBased", "connectionString": "HostName=a;SharedAccessKeyName=p;SharedAccessKey=****"},
            {"name": "b", "hostName": "b", "authenticationType": "SystemAssigned", "allocationWeight": 2},
            {"name": "c", "hostName": "c", "authenticationType": "UserAssigned", "selectedUserAssignedIdentityResourceId": "/subscriptions/s/x=y"},
        ]}});
        let mut doc = newest.clone();
        to_connection_strings(&mut doc);
        assert_eq!(
            doc["properties"]["iotHubs"][1],
            json!({"name": "b", "allocationWeight": 2, "connectionString": "HostName=b;AuthenticationType=SystemAssigned"})
        );
        assert!(doc["properties"]["iotHubs"][2].get("selectedUserAssignedIdentityResourceId").is_none());
        from_connection_strings(&mut doc);
        assert_eq!(doc, newest);
    }
}
