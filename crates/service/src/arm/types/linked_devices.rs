//! The devices that a hub had before it was linked: they come to the namespace with the link and go with it. Both are durable operations of
//! the namespace, in bounded batches; who finds the link changed meanwhile stops, because whoever changed it began an operation of its own.

use crate::arm::activity::{self, Origin};
use crate::arm::context::PutContext;
use crate::arm::operation::{self, Failure, Lease, State, StoredOperation};
use crate::hub;
use crate::platform::{Change, Platform};
use crate::registry::endpoint::{Room, endpoints};
use crate::registry::{self, Batch, NAMESPACE};
use crate::resources::{self, Stored, tag};
use crate::tables::{DEVICES, OPERATIONS};
use ferrohub_model::device::devices_of;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::READ_ROWS;
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::uid::{parse_uid_key, uid_key};
use ferrohub_store::{Expect, Page, Pages, Row};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// The operation that brings the devices of a hub.
const BRING: &str = "bringDevices";
/// The one that lets them go.
const RELEASE: &str = "releaseDevices";
/// The member of an endpoint, in the namespace's row, with the operation that brings the devices; no api-version shows it.
const MEMBER: &str = "bringing";
/// Devices of one unit of work: ours.
const BATCH: usize = 100;

/// Lets the devices that a hub has follow its new link; the worker does it.
pub(super) async fn bring(cx: &mut PutContext<'_>, hub: &Stored, entry: &mut Map<String, Value>) -> Result<()> {
    entry.shift_remove(MEMBER);
    if hub::device_count(cx.platform, hub).await? > 0 {
        let id = begin(cx, BRING, hub)?;
        entry.insert(MEMBER.into(), id.into());
    } else {
        // One that is made meanwhile is none of the namespace's yet, and is brought.
        let prefix = devices_of(hub.uid);
        cx.change.unit.expect(Expect::NonePrefixed { table: &DEVICES, column: "place", prefix });
    }
    Ok(())
}

/// Does so again where it failed.
pub(super) async fn bring_again(cx: &mut PutContext<'_>, hub: &Stored, entry: &mut Map<String, Value>) -> Result<()> {
    match stands(cx.platform, entry).await? {
        Bringing::Failed(_) => bring(cx, hub, entry).await,
        Bringing::Done | Bringing::Running => Ok(()),
    }
}

/// Lets the devices go that the link brought.
pub(super) fn release(cx: &mut PutContext<'_>, hub: &Stored) -> Result<()> {
    begin(cx, RELEASE, hub).map(drop)
}

/// How far the devices of an endpoint are.
pub(super) enum Bringing {
    /// There, as far as there were any.
    Done,
    /// On their way.
    Running,
    /// Some are missing.
    Failed(Failure),
}

/// How far the devices of an endpoint are; an operation that was swept away was done long ago.
pub(super) async fn stands(platform: &Platform, entry: &Map<String, Value>) -> Result<Bringing> {
    let Some(id) = entry.get(MEMBER).and_then(Value::as_str) else { return Ok(Bringing::Done) };
    let record = operation::load(platform, id).await?.map(|(record, _)| record);
    Ok(match record {
        Some(StoredOperation { state: State::Running, .. }) => Bringing::Running,
        Some(StoredOperation { state: State::Failed, error: Some(failure), .. }) => Bringing::Failed(failure),
        _ => Bringing::Done,
    })
}

/// The operations that bring devices to a namespace, of those whose end its endpoints show.
pub(super) fn shown_operations(namespace: &Resource) -> Vec<Uuid> {
    let named = endpoints(namespace, Room::Messaging).filter_map(|endpoint| endpoint.entry.get(MEMBER)?.as_str());
    named.filter_map(|id| Uuid::parse_str(id).ok()).collect()
}

fn begin(cx: &mut PutContext<'_>, kind: &str, hub: &Stored) -> Result<String> {
    let correlation = cx.request.correlation_id;
    let input = json!({"hub": uid_key(hub.uid), "namespace": uid_key(cx.uid)});
    let (of, by) = (tag::NAMESPACE, cx.actor.id());
    let mut record = StoredOperation::with(cx.platform, by, correlation, of, kind, cx.id, 200, input);
    let origin = Origin::service(cx.actor, cx.request.request_id, correlation);
    let (row, begun) = activity::begin_of_service(cx.platform, &origin, cx.id, registry::DEVICES_WRITE)?;
    record.begun = Some(begun);
    cx.change.unit.put(row);
    cx.change.unit.put(record.put()?);
    Ok(record.id)
}

/// The steps of both operations: one unit for each batch of devices, in the order of their ids. What was done before a crash is skipped.
/// A link that is made or taken away meanwhile wins.
pub(super) async fn run(platform: &Platform, record: &StoredOperation, lease: &mut Lease) -> Result<()> {
    let uid = |name: &str| record.input.get(name).and_then(Value::as_str).and_then(parse_uid_key);
    let (Some(hub), Some(namespace)) = (uid("hub"), uid("namespace")) else {
        return Err(Error::internal("an operation on the devices of a hub does not say which"));
    };
    let mut walk = Walk { hub, namespace, brings: record.kind == BRING, after: None, done: 0, refused: None };
    let id = ResourceId::parse(&record.resource)?;
    let mut of = 0;
    loop {
        let Some(stored) = resources::by_uid(platform, hub).await? else { return Ok(()) };
        if of == 0 {
            of = usize::try_from(hub::device_count(platform, &stored).await?).unwrap_or(usize::MAX);
        }
        if !walk.step(platform, &id, lease).await? {
            break;
        }
        lease.tell(walk.done, of);
        lease.renew(platform).await?;
    }
    walk.refused.map_or(Ok(()), Err)
}

/// A way through the devices of a hub.
struct Walk {
    hub: Uuid,
    namespace: Uuid,
    brings: bool,
    /// Place of the device that was dealt with last.
    after: Option<String>,
    done: usize,
    refused: Option<Error>,
}

impl Walk {
    /// The next batch; `false` where there is none, or the link is another one by now.
    async fn step(&mut self, platform: &Platform, id: &ResourceId, lease: &mut Lease) -> Result<bool> {
        let mut attempts = platform.attempts();
        loop {
            attempts.begin(|| resources::contended(id)).await?;
            let Some(hub) = resources::by_uid(platform, self.hub).await? else { return Ok(false) };
            if (hub.resource.link(NAMESPACE) == Some(self.namespace)) != self.brings {
                return Ok(false);
            }
            let page = Page { after: self.after.clone(), limit: BATCH };
            let rows = platform.store.range(&DEVICES, "place", &devices_of(self.hub), page).await?;
            let mut change = Change::new();
            let batch = self.batch(platform, &hub, &rows, &mut change).await?;
            let Some(last) = batch.taken.checked_sub(1).and_then(|last| rows.get(last)) else { return Ok(false) };
            if platform.try_commit(change).await? {
                self.after = last.columns.first().cloned().flatten();
                self.done += batch.taken;
                if batch.writes {
                    lease.got_on();
                }
                self.refused = self.refused.take().or(batch.refused);
                return Ok(true);
            }
        }
    }

    async fn batch(&self, platform: &Platform, hub: &Stored, rows: &[Arc<Row>], change: &mut Change) -> Result<Batch> {
        if !self.brings {
            return registry::release(platform, hub, self.namespace, rows, change).await;
        }
        let edge = registry::hub_edge(platform, hub).await?;
        let edge = edge.ok_or_else(|| Error::internal("a linked hub without namespace"))?;
        match registry::bring(platform, hub, &edge, rows, change).await {
            // Another namespace has them: waited for, however long, as long as it is at it.
            Err(error) if error.kind == ErrorKind::Unavailable && is_released(platform, self.hub).await? => {
                Err(error.with_code(operation::WAITS))
            }
            other => other,
        }
    }
}

/// Whether an operation lets the devices of a hub go.
async fn is_released(platform: &Platform, hub: Uuid) -> Result<bool> {
    let hub = uid_key(hub);
    let mut pages = Pages::find(platform.store.as_ref(), &OPERATIONS, "state", "running", READ_ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let record = row.parse::<StoredOperation>()?;
            if record.kind == RELEASE && record.input.get("hub").and_then(Value::as_str) == Some(&hub) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
