//! IoT hubs as devices and services see them: identities, twins, connections and telemetry.
//!
//! Everything is read from the store when it is needed, per connection and per request, so a deleted
//! hub or device stops being served with the commit that deleted it. What is kept in memory is keyed
//! by the version of the rows it was made from. Only telemetry never touches the store.
//!
//! To add a way of authenticating a device: one arm in `connect.rs` and one `Proof`.

pub(crate) mod access;
mod admin;
mod bulk;
pub mod connect;
pub mod device_connection;
mod device_sessions;
mod devices;
pub mod identity;
mod issuing;
mod lists;
mod modules;
pub mod open_session;
mod parents;
mod patience;
pub(crate) mod presence;
pub(crate) mod presence_writer;
pub(crate) mod processes;
mod query;
mod regenerate;
pub mod renewal;
mod shared_read;
pub mod telemetry;
mod trust;
pub mod twins;

pub use access::{NEEDS, rights_enough_for};
pub use admin::{concerns_sessions, device_count, messages_of_today, purge, read_events_view, statistics};
pub use bulk::Failed;
pub use connect::DeviceLogin;
pub use device_connection::DeviceConnection;
pub use identity::{ClientId, Credentials, DeviceSpec, StoredDevice};
pub use issuing::code_of as renewal_code;
pub(crate) use issuing::{RenewalQueues, take_up as take_up_renewals};
pub use open_session::{CloseReason, OpenSession, SessionEvent};
pub use query::QueryPage;
pub use regenerate::Regenerated;
pub use renewal::{RenewalAccepted, RenewalEnded, RenewalRefused};
pub use telemetry::Telemetry;

use crate::authn::Authenticator;
use crate::authz::Actor;
use crate::hub::trust::Trust;
use crate::platform::Platform;
use crate::resources::{self, Stored, tag};
use crate::shared_access::without_port;
use ferrohub_messaging::{ReadFrom, StoredEvent};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use ferrohub_model::network::{Closed, Peer, Target, closed_to};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_wire::sas_token::SasToken;
use std::sync::Arc;
use tokio::sync::{Mutex, Semaphore};
use uuid::Uuid;

/// The tag with which a hub's devices may ask for faults of their connections, as tests of SDKs do; its value is `true`.
pub const FAULTS_TAG: &str = "ferrohub-fault-injection";

/// Partitions of a hub that does not say how many it has (IoT Hub's default for a paid tier).
const DEFAULT_PARTITIONS: u16 = 4;

/// Days for which events are kept where a hub does not say (IoT Hub: 1).
const DEFAULT_RETENTION_DAYS: i64 = 1;

/// Most bytes of one read of the log: ours.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// A hub as read from the store a moment ago. Not to be kept beyond a request or a connection's start.
#[derive(Debug, Clone)]
pub struct HubRef {
    /// Internal id: the owner of its rows and the stream of its events.
    pub uid: Uuid,
    /// ARM id.
    pub(crate) id: ResourceId,
    /// Name.
    pub name: String,
    /// Host name, lower case, without a port.
    pub host: String,
    /// Number of partitions of its event stream.
    pub partition_count: u16,
    /// The resource itself.
    pub(crate) stored: Arc<Stored>,
}

impl HubRef {
    /// The hub that a stored resource is.
    pub fn of(stored: Stored) -> Self {
        let partitions = stored.resource.value(&["eventHubEndpoints", "events", "partitionCount"]);
        let partition_count =
            partitions.and_then(serde_json::Value::as_u64).and_then(|count| u16::try_from(count).ok());
        Self {
            uid: stored.uid,
            id: stored.id.clone(),
            name: stored.name().to_owned(),
            host: stored.resource.text(&["hostName"]).unwrap_or_default().to_lowercase(),
            partition_count: partition_count.filter(|count| *count > 0).unwrap_or(DEFAULT_PARTITIONS),
            stored: Arc::new(stored),
        }
    }

    /// Since when events are kept, milliseconds since the Unix epoch: what is older is past the hub's retention.
    pub fn kept_since_ms(&self, now: jiff::Timestamp) -> i64 {
        let days = self.stored.resource.value(&["eventHubEndpoints", "events", "retentionTimeInDays"]);
        let days = days.and_then(serde_json::Value::as_i64).unwrap_or(DEFAULT_RETENTION_DAYS);
        now.as_millisecond() - days * 24 * 3600 * 1000
    }

    /// Refuses a peer whose address or TLS version the hub does not let in. Azure's answer does not mention the rule; ours is in
    /// the log with it.
    pub(super) fn let_in(&self, peer: Peer) -> Result<()> {
        let Some(closed) = self.closed_to(peer) else { return Ok(()) };
        let text = match closed {
            Closed::Tls => format!("The hub '{}' takes TLS 1.3 only (minTlsVersion); connect with TLS 1.3.", self.name),
            _ => format!("The hub '{}' cannot be reached from this address.", self.name),
        };
        Err(access::unauthorized_access(text).with_context(format!("{peer:?}: {closed:?}")))
    }

    /// Why the hub does not let `peer` in.
    pub(super) fn closed_to(&self, peer: Peer) -> Option<Closed> {
        closed_to(&self.stored.resource.properties, peer, Target::All)
    }

    /// Whether messages of devices go to the hub's event log: there are no routes, so the fallback route has them all.
    pub(super) fn keeps_messages(&self) -> bool {
        let on = self.stored.resource.value(&["routing", "fallbackRoute", "isEnabled"]);
        on.and_then(serde_json::Value::as_bool).unwrap_or(true)
    }

    /// Whether its devices may ask for faults.
    fn allows_faults(&self) -> bool {
        let tags = self.stored.resource.tags.as_ref();
        let tag = tags.and_then(|tags| tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(FAULTS_TAG)));
        tag.is_some_and(|(_, value)| value.as_str().is_some_and(|value| value.eq_ignore_ascii_case("true")))
    }

    /// Whether a switch such as `disableLocalAuth` is on.
    fn is_on(&self, switch: &str) -> bool {
        self.stored.resource.value(&[switch]).and_then(serde_json::Value::as_bool).unwrap_or(false)
    }
}

/// The hubs' data plane.
pub struct HubService {
    platform: Arc<Platform>,
    authenticator: Arc<Authenticator>,
    trust: Arc<Trust>,
    /// Queries that run.
    queries: Semaphore,
    elsewhere: Mutex<lists::Elsewhere>,
}

impl HubService {
    /// A service over `platform` that lets `authenticator` look at bearer tokens.
    pub fn new(platform: Arc<Platform>, authenticator: Arc<Authenticator>) -> Self {
        Self {
            platform,
            authenticator,
            trust: Arc::new(Trust::default()),
            queries: Semaphore::new(limits::HUB_QUERIES_AT_ONCE),
            elsewhere: Mutex::default(),
        }
    }

    /// The hub with this host name; case and a port are ignored.
    ///
    /// # Errors
    /// `IotHubNotFound` (401001) when there is none.
    pub async fn by_host(&self, host: &str) -> Result<HubRef> {
        match self.find(host).await? {
            Some(hub) => Ok(hub),
            None => Err(unknown_hub(host)),
        }
    }

    /// Whether the hub with this host name takes TLS 1.3 only; what is no hub does not.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn takes_tls_1_3_only(&self, host: &str) -> Result<bool> {
        let hub = self.find(host).await?;
        Ok(hub.is_some_and(|hub| hub.stored.resource.text(&["minTlsVersion"]) == Some("1.3")))
    }

    /// The hub that an HTTP request of `peer` is for: by its host, else, on a bare host such as `localhost`, by the
    /// resource of its SAS token. The token is not verified here.
    ///
    /// # Errors
    /// `IotHubNotFound` (401001) when neither names a hub; 401002 where the hub does not let the peer in.
    pub async fn by_request(&self, host: &str, authorization: Option<&str>, peer: Peer) -> Result<HubRef> {
        let hub = self.named(host, authorization).await?;
        hub.let_in(peer)?;
        Ok(hub)
    }

    async fn named(&self, host: &str, authorization: Option<&str>) -> Result<HubRef> {
        if let Some(hub) = self.find(host).await? {
            return Ok(hub);
        }
        let token = authorization.and_then(|text| SasToken::parse(text).ok());
        let audience = token.as_ref().and_then(|token| token.resource.split('/').next());
        match audience {
            Some(audience) => self.by_host(audience).await,
            None => Err(unknown_hub(host)),
        }
    }

    async fn find(&self, host: &str) -> Result<Option<HubRef>> {
        let name = self.platform.settings.own_host(without_port(host));
        let found = resources::by_lookup(&self.platform, "lookup", &format!("host/{name}")).await?;
        Ok(found.filter(|found| found.is(tag::IOT_HUB)).map(HubRef::of))
    }

    /// Events of one partition, at most `max` (and `limits::QUERY_PAGE`).
    ///
    /// # Errors
    /// The refusal of an actor without the right `ServiceConnect` or `IotHubs/readEvents/action`; `PartitionNotFound` (404000) for a partition that the hub does not have; the log's own errors.
    pub async fn read_events(
        &self,
        actor: &Actor,
        hub: &HubRef,
        partition: u16,
        from: ReadFrom,
        max: usize,
    ) -> Result<Vec<StoredEvent>> {
        self.authorize(actor, hub, &access::READ_EVENTS).await?;
        event_page(&self.platform, hub, partition, from, max).await
    }
}

async fn event_page(
    platform: &Platform,
    hub: &HubRef,
    partition: u16,
    from: ReadFrom,
    max: usize,
) -> Result<Vec<StoredEvent>> {
    if partition >= hub.partition_count {
        return Err(Error::not_found(format!(
            "The hub '{}' has the partitions 0 to {}; there is no partition {partition}.",
            hub.name,
            hub.partition_count - 1
        ))
        .with_code("PartitionNotFound"));
    }
    let max = max.clamp(1, limits::QUERY_PAGE);
    let events = platform.log.read(hub.uid, partition, from, max, READ_BYTES).await?;
    // The worker takes old events now and then; who asks in between does not get them either.
    let since_ms = hub.kept_since_ms(platform.now());
    if events.first().is_some_and(|event| event.enqueued_ms < since_ms) {
        let kept = ReadFrom::EnqueuedAfter(since_ms.saturating_sub(1));
        return platform.log.read(hub.uid, partition, kept, max, READ_BYTES).await;
    }
    Ok(events)
}

fn unknown_hub(host: &str) -> Error {
    let shown: String = host.chars().filter(|c| !c.is_control()).take(255).collect();
    Error::unauthenticated(format!(
        "There is no IoT hub with the host name '{shown}'; check the name, or create the hub."
    ))
    .with_code("IotHubNotFound")
    .with_iot_code(401_001)
}

/// Too many writers met on one row.
fn contended(what: &str) -> Error {
    Error::unavailable(format!("{what} is being changed by many at once; try again in a second."), 1)
}
