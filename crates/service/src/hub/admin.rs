//! What the control plane asks of a hub: its statistics, its events, and taking its devices away.

use super::{HubRef, access, contended, event_page, identity};
use crate::authz::Actor;
use crate::platform::{Change, Platform};
use crate::registry;
use crate::resources::{self, Stored};
use crate::tables::{DEVICE_SESSIONS, DEVICES, RENEWALS, RESOURCES, TWINS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_messaging::{ReadFrom, StoredEvent};
use ferrohub_model::device::{DeviceStatus, argument_invalid, devices_of, modules_of};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::QUERY_PAGE;
use ferrohub_model::resource::Resource;
use ferrohub_model::time::rfc3339;
use ferrohub_store::{Page, Pages, Row, prefix_end};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Devices that are read to go in one unit of work, of which some go that fill it: five rows each.
const PURGE_ROWS: usize = 96;

/// Removes all devices of a hub that `actor` deletes, with their modules, twins, sessions and ADR devices, and what people made on
/// those, in steps; gives the clients, whose connections the caller tells. May be run again after an interruption. A device that is made
/// meanwhile is there afterwards: the deletion of the hub itself must expect none.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn purge(platform: &Platform, actor: &Actor, hub: &Stored) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    // A module is not made where its device is gone, so that none comes behind.
    for prefix in [devices_of(hub.uid), modules_of(hub.uid, None)] {
        let mut attempts = platform.attempts();
        loop {
            let rows = platform.store.range(&DEVICES, "place", &prefix, Page::first(PURGE_ROWS)).await?;
            if rows.is_empty() {
                break;
            }
            attempts.begin(|| contended(&format!("What belongs to the devices of the hub '{}'", hub.name()))).await?;
            let (clients, change) = unit_of(platform, actor, &rows).await?;
            if platform.try_commit(change).await? {
                gone.extend(clients);
                attempts = platform.attempts();
            }
        }
    }
    Ok(gone)
}

/// The removal of the first of these identities, as many as one unit takes, and their clients.
async fn unit_of(platform: &Platform, actor: &Actor, rows: &[Arc<Row>]) -> Result<(Vec<String>, Change)> {
    let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
    let mirrored = platform.store.get_many(&RESOURCES, &keys).await?;
    let (mut clients, mut change) = (Vec::new(), Change::new());
    for (row, mirrored) in rows.iter().zip(mirrored) {
        let mut one = Change::new();
        // Identity, twin, session, renewals and ADR device share their key.
        for table in [&DEVICES, &TWINS, &DEVICE_SESSIONS, &RENEWALS] {
            one.unit.delete(table, row.key.clone());
        }
        let device = identity::passing(row)?;
        let adr = if mirrored.is_some() { resources::by_uid(platform, device.uid).await? } else { None };
        match adr {
            Some(adr) => registry::remove_mirrored(platform, actor, &adr, &mut one).await?,
            // One that a link brings meanwhile is seen by the next look.
            None => drop(one.unit.expect_absent(&RESOURCES, row.key.clone())),
        }
        if !change.take_in(one) {
            break;
        }
        clients.push(device.client());
    }
    Ok((clients, change))
}

/// Whether a write of a hub changes what its open sessions rest on: policies and their keys, the switches that
/// refuse tokens, the host name that tokens are for, whom the network lets in, where messages go. Tags and other settings do not concern them.
pub fn concerns_sessions(was: &Resource, now: &Resource) -> bool {
    let on = |hub: &Resource, switch: &str| hub.value(&[switch]).and_then(Value::as_bool).unwrap_or(false);
    was.secrets != now.secrets
        || was.value(&["authorizationPolicies"]) != now.value(&["authorizationPolicies"])
        || [&["hostName"][..], &["ipFilterRules"], &["publicNetworkAccess"], &["routing", "fallbackRoute", "isEnabled"]]
            .iter()
            .any(|path| was.value(path) != now.value(path))
        || ["disableLocalAuth", "disableDeviceSAS", "disableModuleSAS"]
            .iter()
            .any(|switch| on(was, switch) != on(now, switch))
}

/// Counts of a hub's devices, as ARM's `IotHubStats` and `/statistics/devices` show them.
///
/// # Errors
/// The refusal of an actor without the right; when the store cannot be read.
pub async fn statistics(platform: &Platform, actor: &Actor, hub: &Stored) -> Result<Value> {
    platform.authorize_need(actor, &access::READ_STATISTICS, &HubRef::of(hub.clone()).holder()).await?;
    let prefix = devices_of(hub.uid);
    let (mut total, mut disabled) = (0u64, 0u64);
    let mut pages = Pages::range(platform.store.as_ref(), &DEVICES, "place", &prefix, QUERY_PAGE);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            total += 1;
            disabled += u64::from(row.part::<Switch>()?.status == DeviceStatus::Disabled);
        }
    }
    Ok(json!({"totalDeviceCount": total, "enabledDeviceCount": total - disabled, "disabledDeviceCount": disabled}))
}

/// How many devices a hub has; modules do not count.
///
/// # Errors
/// When the store cannot be read.
pub async fn device_count(platform: &Platform, hub: &Stored) -> Result<u64> {
    let start = devices_of(hub.uid);
    let end = prefix_end(&start).ok_or_else(|| Error::internal("a prefix of places has no end"))?;
    Ok(platform.store.count_between(&DEVICES, "place", &start, &end).await?)
}

/// How many messages a hub took since midnight (UTC), as far as they are kept.
///
/// # Errors
/// When the log cannot be read.
pub async fn messages_of_today(platform: &Platform, hub: &Stored) -> Result<u64> {
    let now_ms = platform.now().as_millisecond();
    let midnight_ms = now_ms - now_ms.rem_euclid(DAY_MS);
    let mut count = 0;
    for partition in platform.log.partitions(hub.uid).await? {
        let from = ReadFrom::EnqueuedAfter(midnight_ms.saturating_sub(1));
        let first = platform.log.read(hub.uid, partition, from, 1, 1).await?;
        let bounds = platform.log.bounds(hub.uid, partition).await?;
        if let (Some(first), Some(bounds)) = (first.first(), bounds) {
            count += (bounds.last_sequence + 1).saturating_sub(first.sequence);
        }
    }
    Ok(count)
}

/// The part of a stored identity that is counted by.
#[derive(Deserialize)]
struct Switch {
    #[serde(default)]
    status: DeviceStatus,
}

/// Events of one partition as JSON. Body: `{"partition": 0, "fromSequence": 0, "maxEvents": 100}`; without
/// `fromSequence` from the oldest event kept.
///
/// # Errors
/// The refusal of an actor without the right; `ArgumentInvalid` (400004) for a malformed body; `PartitionNotFound` for a partition that the hub does not have.
pub async fn read_events_view(platform: &Platform, actor: &Actor, hub: &Stored, body: Option<&Value>) -> Result<Value> {
    let hub = HubRef::of(hub.clone());
    platform.authorize_need(actor, &access::READ_EVENTS, &hub.holder()).await?;
    let members = ["partition", "fromSequence", "maxEvents"];
    let sent = body.and_then(Value::as_object).into_iter().flat_map(Map::keys);
    if let Some(name) = sent.into_iter().find(|name| !members.contains(&name.as_str())) {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        let text = format!("A read of events knows no '{shown}'; it knows {}.", members.join(", "));
        return Err(argument_invalid(text));
    }
    let partition = number(body, "partition")?.unwrap_or(0);
    let partition = u16::try_from(partition)
        .map_err(|_| argument_invalid("The member 'partition' is a number of a partition, 0 to 65535."))?;
    let from = number(body, "fromSequence")?.map_or(ReadFrom::Beginning, ReadFrom::Sequence);
    let max = number(body, "maxEvents")?.and_then(|max| usize::try_from(max).ok()).unwrap_or(QUERY_PAGE);
    let events = event_page(platform, &hub, partition, from, max).await?;
    Ok(json!({"events": events.iter().map(event_view).collect::<Vec<_>>()}))
}

fn number(body: Option<&Value>, name: &str) -> Result<Option<u64>> {
    match body.and_then(|body| body.get(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(argument_invalid(format!("The member '{name}' is a whole number that is not negative."))),
        },
    }
}

fn event_view(event: &StoredEvent) -> Value {
    let enqueued = Timestamp::from_millisecond(event.enqueued_ms).map(rfc3339).unwrap_or_default();
    let system: Map<String, Value> =
        event.properties.system.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let application: Map<String, Value> =
        event.properties.application.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "partition": event.partition,
        "sequenceNumber": event.sequence,
        "offset": event.offset.to_string(),
        "enqueuedTimeUtc": enqueued,
        "systemProperties": system,
        "applicationProperties": application,
        "body": STANDARD.encode(&event.body),
    })
}
