//! MQTT 3.1.1 for devices: the CONNECT, then either the hub's or the provisioning service's dialect.
//!
//! | File | What it is |
//! |---|---|
//! | `packets` | packets over a stream |
//! | `hub` | the loop of a device at its hub |
//! | `telemetry` | publishes on their way to the log, acknowledged in order |
//! | `fault` | connections that break because a test asked for it |
//! | `applicants` | how many connections a device that wants to be provisioned has |
//! | `dps` | the loop of a device that wants to be provisioned |
//! | `subscriptions` | topic filters as what a device wants to hear |

mod applicants;
mod dps;
mod fault;
mod hub;
mod keep_alive;
mod packets;
mod renewals;
mod subscriptions;
mod telemetry;
#[cfg(test)]
mod tests;

use crate::client::Client;
use crate::errors::{self, Trace};
use crate::gate::Gate;
use crate::guesses::{Guesses, Kind};
use crate::listener::Life;
use applicants::Applicants;
use fault::Fault;
use ferrohub_model::clock::{Clock, Moment, timeout_at};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits;
use ferrohub_model::random::Random;
use ferrohub_wire::dps_topic::DpsLogin;
use ferrohub_wire::hub_topic::HubLogin;
use ferrohub_wire::mqtt::{ConnAck, Connect, ConnectReturnCode, MqttError, Packet};
use packets::{PacketError, PacketStream};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// What every MQTT connection shares.
pub(crate) struct Mqtt {
    gate: Arc<dyn Gate>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    guesses: Arc<Guesses>,
    applicants: Applicants,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// DISCONNECT: the will is dropped.
    Disconnect,
    /// The peer vanished.
    Vanished,
    /// Nothing came for one and a half keep-alives.
    Silent,
    /// The peer did what the protocol or the hub forbids.
    Offence(String),
    /// The service ended the session: a newer connection, a disabled device, an expired token.
    Service(String),
    /// The log could not take the telemetry.
    Fault(String),
    /// The device asked for it.
    Injected(Fault),
    /// The server stops.
    Stopping,
}

impl End {
    /// Label of the metric.
    fn label(&self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::Vanished => "vanished",
            Self::Silent => "keep-alive",
            Self::Offence(_) => "offence",
            Self::Service(_) => "service",
            Self::Fault(_) => "fault",
            Self::Injected(_) => "injected",
            Self::Stopping => "stopping",
        }
    }
}

impl Mqtt {
    pub(crate) fn new(
        gate: Arc<dyn Gate>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        guesses: Arc<Guesses>,
    ) -> Self {
        Self { gate, clock, random, guesses, applicants: Applicants::default() }
    }

    /// Serves one connection until it ends. `deadline` is the time by which CONNECT must be there.
    pub(crate) async fn serve<S>(&self, stream: S, client: Client, life: &Life, deadline: Moment)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        // Everything here is boxed, so that a device that waits pays for nothing but its wait.
        let Some((packets, connect)) = Box::pin(self.first(stream, life, deadline)).await else { return };
        metrics::gauge!("ferrohub_mqtt_connections").increment(1.0);
        let end = if is_provisioning(connect.user_name.as_deref().unwrap_or_default()) {
            Box::pin(self.provisioning(packets, connect, client, life)).await
        } else {
            match Box::pin(self.admit(packets, connect, client)).await {
                Some((connection, events)) => Some(hub::run(connection, events, life).await),
                None => None,
            }
        };
        metrics::gauge!("ferrohub_mqtt_connections").decrement(1.0);
        if let Some(end) = end {
            metrics::counter!("ferrohub_mqtt_closed_total", "reason" => end.label()).increment(1);
            tracing::debug!(?end, "connection closed");
        }
    }

    /// Waits for the CONNECT of a peer that may be served.
    async fn first<S>(&self, stream: S, life: &Life, deadline: Moment) -> Option<(PacketStream<S>, Box<Connect>)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut packets = PacketStream::new(stream, limits::MQTT_CONNECT_BYTES, self.clock.clone());
        let first = tokio::select! {
            () = life.stopping() => return None,
            first = timeout_at(self.clock.as_ref(), deadline, packets.read()) => first,
        };
        match first {
            Ok(Ok(Some(Packet::Connect(connect)))) if connect.client_id.is_empty() => {
                refuse(packets, ConnectReturnCode::IdentifierRejected).await;
            }
            Ok(Ok(Some(Packet::Connect(connect)))) => return Some((packets, Box::new(connect))),
            Ok(Err(PacketError::Protocol(MqttError::UnsupportedProtocol { level }))) => {
                tracing::debug!(level, "refused: only MQTT 3.1.1 is spoken here");
                refuse(packets, ConnectReturnCode::UnacceptableProtocol).await;
            }
            Ok(Ok(Some(_))) => tracing::debug!("closed: the first packet is not CONNECT"),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "closed before CONNECT");
                packets.close().await;
            }
            Err(_) => tracing::debug!("closed: no CONNECT within {} seconds", limits::CONNECT_TIMEOUT_SECONDS),
        }
        None
    }

    /// Lets a device in, or refuses it. What was only for the login is not kept for as long as the device stays.
    async fn admit<S>(
        &self,
        packets: PacketStream<S>,
        connect: Box<Connect>,
        client: Client,
    ) -> Option<hub::Admitted<'_, S>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let login = match HubLogin::parse(connect.user_name.as_deref().unwrap_or_default()) {
            Ok(login) => login,
            Err(error) => {
                self.refused(packets, &error).await;
                return None;
            }
        };
        if !login.matches_client_id(&connect.client_id) {
            tracing::debug!(client_id = connect.client_id, "refused: the client id is not the one of the user name");
            refuse(packets, ConnectReturnCode::IdentifierRejected).await;
            return None;
        }
        let name = format!("{}/{}", login.host, login.device_id);
        let opened = self.proven(&name, client, |client| hub::open(self, &login, &connect, client)).await;
        match opened {
            Ok((device, events)) => Some((hub::Connection::new(self, device, packets), events)),
            Err(error) => {
                self.refused(packets, &error).await;
                None
            }
        }
    }

    async fn provisioning<S>(
        &self,
        packets: PacketStream<S>,
        connect: Box<Connect>,
        client: Client,
        life: &Life,
    ) -> Option<End>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let login = match DpsLogin::parse(connect.user_name.as_deref().unwrap_or_default()) {
            Ok(login) => login,
            Err(error) => return self.refused(packets, &error).await,
        };
        if !login.matches_client_id(&connect.client_id) {
            tracing::debug!(client_id = connect.client_id, "refused: the client id is not the registration id");
            refuse(packets, ConnectReturnCode::IdentifierRejected).await;
            return None;
        }
        let name = format!("{}/{}", login.id_scope, login.registration_id);
        let opened = self.proven(&name, client, |client| dps::open(self, login, &connect, client)).await;
        match opened {
            Ok(device) => Some(dps::run(self, device, packets, life).await),
            Err(error) => self.refused(packets, &error).await,
        }
    }

    /// Lets in who proves to be `name`; after too many wrong proofs from there, another one is told to wait.
    async fn proven<T, F>(&self, name: &str, client: Client, open: impl FnOnce(Client) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let target = self.guesses.target(Kind::DeviceKey, name, client.origin());
        let place = client.place.clone();
        let opened = self.guesses.judge(&target, open(client).await);
        if let (Ok(_), Some(place)) = (&opened, place) {
            place.prove();
        }
        opened
    }

    async fn refused<S: AsyncRead + AsyncWrite + Unpin>(&self, packets: PacketStream<S>, error: &Error) -> Option<End> {
        errors::log(error, &self.trace());
        if error.kind == ErrorKind::NotImplemented {
            // CONNACK has no room for a reason, and this one is not the device's fault.
            tracing::info!("a device was refused: {error}");
        }
        let code = errors::mqtt::connect_code(error);
        metrics::counter!("ferrohub_mqtt_refused_total", "code" => code.byte().to_string()).increment(1);
        refuse(packets, code).await;
        None
    }

    /// Id and time for an error body.
    fn trace(&self) -> Trace {
        Trace { request_id: self.random.uuid_v4(), at: self.clock.now() }
    }
}

/// The SAS token in a CONNECT's password; an empty password counts as none.
fn token(connect: &Connect) -> Result<Option<String>> {
    match &connect.password {
        Some(bytes) if !bytes.is_empty() => String::from_utf8(bytes.to_vec())
            .map(Some)
            .map_err(|_| Error::invalid("The MQTT password is not text; send a SAS token.")),
        _ => Ok(None),
    }
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(mut packets: PacketStream<S>, code: ConnectReturnCode) {
    packets.send(&Packet::ConnAck(ConnAck { session_present: false, code }));
    packets.close().await;
}

/// Whether a user name has the provisioning service's form `{id scope}/registrations/{registration id}/..`.
/// A hub's device may be called `registrations` too; its query follows at once.
fn is_provisioning(user_name: &str) -> bool {
    let mut parts = user_name.splitn(4, '/');
    let keyword = parts.nth(1).unwrap_or_default();
    let third = parts.next().unwrap_or_default();
    keyword.eq_ignore_ascii_case("registrations") && !third.is_empty() && !third.starts_with('?')
}
