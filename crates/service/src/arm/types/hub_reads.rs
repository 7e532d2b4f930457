//! What is read below a hub or a provisioning service beside its own members: quotas, the health of endpoints, and the lists of
//! what Ferrohub has none of, which are empty (reference: iot-hub-and-dps.md G.1 and G.2).

use super::iot_hub_properties::SKUS;
use super::{consumer_groups, keys};
use crate::arm::context::SubContext;
use crate::arm::declaration::SubAnswer;
use crate::hub;
use crate::platform::Platform;
use crate::resources::Stored;
use ferrohub_model::error::{Error, Result};
use serde_json::{Value, json};

/// What is served below a hub.
pub(super) const SUBS: &[(&str, &str)] = &[
    ("POST", "listkeys"),
    ("POST", "IotHubKeys/{name}/listkeys"),
    ("POST", "readEvents"),
    ("GET", "skus"),
    ("GET", "IotHubStats"),
    ("GET", "quotaMetrics"),
    ("GET", "routingEndpointsHealth"),
    ("GET", "eventHubEndpoints/{endpoint}/ConsumerGroups"),
    ("GET", "eventHubEndpoints/{endpoint}/ConsumerGroups/{name}"),
    ("PUT", "eventHubEndpoints/{endpoint}/ConsumerGroups/{name}"),
    ("DELETE", "eventHubEndpoints/{endpoint}/ConsumerGroups/{name}"),
    ("GET", "privateEndpointConnections"),
    ("GET", "privateEndpointConnections/{name}"),
    ("DELETE", "privateEndpointConnections/{name}"),
    ("GET", "privateLinkResources"),
    ("GET", "privateLinkResources/{group}"),
    ("GET", "networkSecurityPerimeterConfigurations"),
    ("GET", "networkSecurityPerimeterConfigurations/{name}"),
];

/// Answers what [`SUBS`] names.
///
/// # Errors
/// What each says of itself.
pub(super) async fn answer(cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
    let value = if cx.is("POST", &["listkeys"]) {
        keys::list(cx, None).await?
    } else if cx.is("POST", &["IotHubKeys", "*", "listkeys"]) {
        keys::list(cx, Some(&cx.tail[1])).await?
    } else if cx.is("POST", &["readEvents"]) {
        let events = hub::read_events_view(cx.platform, cx.actor, cx.stored, cx.body).await?;
        // Who follows a hub asks every second and changes nothing: rows of it would bury the log.
        return Ok(Some(SubAnswer::Written(200, Some(events))));
    } else if cx.is("GET", &["skus"]) {
        skus(cx)
    } else if cx.is("GET", &["IotHubStats"]) {
        hub::statistics(cx.platform, cx.actor, cx.stored).await?
    } else if cx.is("GET", &["quotaMetrics"]) {
        quota_metrics(cx.platform, cx.stored).await?
    } else if cx.is("GET", &["routingEndpointsHealth"]) {
        endpoints_health()
    } else if cx.tail.first().is_some_and(|word| word.eq_ignore_ascii_case("eventHubEndpoints")) {
        return consumer_groups::answer(cx).await.map(Some);
    } else {
        return network(cx);
    };
    Ok(Some(SubAnswer::Done(200, Some(value))))
}

fn skus(cx: &SubContext<'_>) -> Value {
    let capacity = json!({"minimum": 1, "maximum": 200, "default": 1, "scaleType": "Manual"});
    let sku = |(name, tier): &(&str, &str)| json!({"resourceType": cx.decl.full(), "sku": {"name": name, "tier": tier}, "capacity": capacity});
    json!({"value": SKUS.iter().map(sku).collect::<Vec<_>>()})
}

/// Messages of a day by SKU and unit (IoT Hub quotas). Shown and not enforced: the machine is yours.
const DAILY_MESSAGES: &[(&str, u64)] = &[
    ("F1", 8_000),
    ("B1", 400_000),
    ("S1", 400_000),
    ("B2", 6_000_000),
    ("S2", 6_000_000),
    ("B3", 300_000_000),
    ("S3", 300_000_000),
];
/// Devices of a hub, of the free SKU and of the others (IoT Hub quotas). Not enforced either.
const DEVICES: (u64, u64) = (500, 1_000_000);

/// Answers what is about private endpoints and perimeters: nothing is there. `None` for anything else.
///
/// # Errors
/// `ResourceNotFound` for one by name.
pub(super) fn network(cx: &SubContext<'_>) -> Result<Option<SubAnswer>> {
    let (what, empty) = match cx.tail.first().map(|word| word.to_ascii_lowercase()).as_deref() {
        // A bare list: both SDKs read it so.
        Some("privateendpointconnections") => ("private endpoint connection", json!([])),
        Some("privatelinkresources") => ("private link resource", json!({"value": []})),
        Some("networksecurityperimeterconfigurations") => {
            ("network security perimeter configuration", json!({"value": []}))
        }
        _ => return Ok(None),
    };
    match cx.tail.get(1) {
        None => Ok(Some(SubAnswer::Done(200, Some(empty)))),
        Some(name) => Err(Error::not_found(format!(
            "'{}' has no {what} '{}': Ferrohub has none at all; bind the server to the addresses that may be reached.",
            cx.stored.name(),
            name.chars().filter(|c| !c.is_control()).take(80).collect::<String>()
        ))),
    }
}

/// How much of its quotas a hub uses: the messages since midnight UTC, and its devices.
///
/// # Errors
/// When store or log cannot be read.
async fn quota_metrics(platform: &Platform, hub: &Stored) -> Result<Value> {
    let sku = |member: &str| hub.resource.sku.as_ref().and_then(|sku| sku.get(member)).cloned();
    let name = sku("name").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
    let units = sku("capacity").and_then(|units| units.as_u64()).unwrap_or(1);
    let daily =
        DAILY_MESSAGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)).map_or(400_000, |(_, count)| *count);
    let devices = if name.eq_ignore_ascii_case("F1") { DEVICES.0 } else { DEVICES.1 };
    let metric = |name: &str, current: u64, most: u64| json!({"name": name, "currentValue": current, "maxValue": most});
    let metrics = [
        metric("TotalMessages", hub::messages_of_today(platform, hub).await?, daily.saturating_mul(units)),
        metric("TotalDeviceCount", hub::device_count(platform, hub).await?, devices),
    ];
    Ok(json!({ "value": metrics }))
}

/// The health of where messages go: the hub's own event log, which is part of this program.
fn endpoints_health() -> Value {
    json!({"value": [{"endpointId": "events", "healthStatus": "healthy"}]})
}
