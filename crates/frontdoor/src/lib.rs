//! Sockets and shapes: TLS, HTTPS routes, MQTT, and the tables that map errors to each protocol.
//!
//! Nothing is decided here. A request is parsed, its caller proven by the service it is for, handed over and the answer
//! printed; services authenticate, authorize and write. To add a route, add a row to the table of its plane; to add a protocol, add a folder beside `mqtt/` and a table in `errors/`.
//!
//! | Module | What it is |
//! |---|---|
//! | `tls` | the server's certificate; client certificates accepted on proof of possession |
//! | `listener` | bind, accept with a limit, stop in an orderly way |
//! | `places` | who may be inside, and who gives way |
//! | `https` | Resource Manager, the token service, Graph, hubs and provisioning over HTTPS |
//! | `gate`, `service_gate` | what devices may do, whatever protocol they speak |
//! | `mqtt` | devices at hubs and at the provisioning service |
//! | `websocket` | a WebSocket as the stream of bytes that it carries |
//! | `pki`, `health` | plain HTTP: revocation lists and CA certificates; health and metrics |
//! | `client`, `guesses`, `budget` | the other end; wrong credentials and held bytes of it are counted |
//! | `quiet` | how loud strangers may be in the log |
//! | `possession` | the client certificate in a handshake |
//! | `webhook` | the way out: webhooks that the configuration names |
//! | `write_timeout` | a stream whose peer must take what is written to it |
//! | `errors` | one table for each protocol |

mod budget;
mod client;
mod errors;
mod gate;
mod guesses;
mod health;
mod https;
mod json_body;
mod listener;
mod mqtt;
mod pki;
mod places;
mod plain;
mod possession;
mod quiet;
mod registration;
mod service_gate;
mod tls;
mod webhook;
mod websocket;
mod write_timeout;

pub use listener::{Addresses, BindError};
pub use tls::{ServerIdentity, TlsError};
pub use webhook::HttpsWebhooks;

use client::Client;
use ferrohub_model::clock::{Moment, timeout_at};
use ferrohub_model::network::Peer;
use ferrohub_service::Service;
use ferrohub_service::route::RouteInfo;
use guesses::Guesses;
use https::Https;
use listener::{Life, Shares, handshake_timeout, places, serve};
use metrics_exporter_prometheus::PrometheusHandle;
use mqtt::Mqtt;
use plain::Sources;
use quiet::Quiet;
use service_gate::ServiceGate;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tls::{Accepted, Acceptor, Ask};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;
use write_timeout::WriteTimeout;

/// How long a stop waits for requests in work and for telemetry that was read.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// How the door opens.
pub struct FrontdoorConfig {
    /// Where to listen.
    pub addresses: Addresses,
    /// Connections that all ports together may hold, which is what the caller's file descriptors allow.
    /// Each kind of port gets a share of its own, at most [`ferrohub_model::limits::CONNECTIONS`].
    pub connections: usize,
    /// The server's certificate.
    pub identity: ServerIdentity,
    /// What `/metrics` prints.
    pub metrics: Option<PrometheusHandle>,
}

/// Ports that were bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ports {
    /// HTTPS.
    pub https: u16,
    /// MQTT over TLS.
    pub mqtt: u16,
    /// Plain HTTP for revocation lists, if on.
    pub pki: Option<u16>,
    /// Health and metrics, if on.
    pub health: Option<u16>,
}

/// Why the door does not open.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The server's certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Every route of every port that speaks HTTP, from the tables that the routers use.
pub fn routes() -> Vec<RouteInfo> {
    [https::routes(), pki::routes(), health::routes()].concat()
}

/// The front door.
pub struct Frontdoor;

impl Frontdoor {
    /// Binds every address, then serves until [`Running::stop`]. Nothing is served if one address cannot be bound.
    ///
    /// # Errors
    /// [`StartError`] with a sentence that says what to change.
    pub async fn start(config: FrontdoorConfig, service: Arc<Service>) -> Result<Running, StartError> {
        let acceptor = Acceptor::new(&config.identity)?;
        let [https, mqtt, pki, health] = config.addresses.bind().await?;
        let ports = Ports {
            https: port(&https).unwrap_or_default(),
            mqtt: port(&mqtt).unwrap_or_default(),
            pki: port(&pki),
            health: port(&health),
        };
        let (stop, stopped) = watch::channel(false);
        let life = Life::new(stopped, service.clock().clone());
        let sources = Sources { clock: service.clock().clone(), random: service.random().clone() };
        let shares = Shares::of(config.connections, !pki.is_empty());
        tracing::info!(https = shares.https, mqtt = shares.mqtt, "connections served at once");
        let guesses = Arc::new(Guesses::new(sources.clock.clone()));
        let gate = Arc::new(ServiceGate::new(service.clone()));
        let devices = Mqtt::new(gate.clone(), sources.clock.clone(), sources.random.clone(), guesses.clone());
        let devices = Arc::new(devices);
        let door = Https::new(service.clone(), life.clone(), guesses, devices.clone());
        let acceptor = acceptor.with_hosts(gate);
        let handshakes = Handshakes { acceptor, quiet: Arc::new(Quiet::new(sources.clock.clone())) };
        serve_https(https, &life, shares.https, handshakes.clone(), Arc::new(door));
        serve_mqtt(mqtt, &life, shares.mqtt, handshakes, devices);
        pki::listen(pki, &life, shares.pki, &sources, &service);
        health::listen(health, &life, shares.health, &sources, config.metrics, service);
        Ok(Running { ports, stop, life })
    }
}

/// A door that is open.
pub struct Running {
    ports: Ports,
    stop: watch::Sender<bool>,
    life: Life,
}

impl Running {
    /// The ports that were bound.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Accepts nothing more, lets requests finish and telemetry reach the log, closes MQTT sessions; after 15
    /// seconds the connections that are left are dropped.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let left = self.life.finish(STOP_PATIENCE).await;
        if left > 0 {
            tracing::warn!(left, "connections were dropped because they did not end in time");
        }
    }
}

fn port(listeners: &[TcpListener]) -> Option<u16> {
    listeners.first().and_then(|listener| listener.local_addr().ok()).map(|address| address.port())
}

fn serve_https(listeners: Vec<TcpListener>, life: &Life, share: usize, handshakes: Handshakes, https: Arc<Https>) {
    let ended = life.clone();
    serve(listeners, life, &places(share, life), move |stream, peer, place| {
        let (https, handshakes, life) = (https.clone(), handshakes.clone(), ended.clone());
        async move {
            let deadline = life.clock().monotonic() + handshake_timeout();
            let stream = WriteTimeout::new(stream, life.clock().clone());
            let accepted = Box::pin(handshakes.accept(stream, Ask::DeviceNames, peer, &life, deadline)).await;
            if let Some((stream, client)) = accepted {
                https.serve(stream, Client { place: Some(place), ..client }).await;
            }
        }
    });
}

fn serve_mqtt(listeners: Vec<TcpListener>, life: &Life, share: usize, handshakes: Handshakes, mqtt: Arc<Mqtt>) {
    let ended = life.clone();
    serve(listeners, life, &places(share, life), move |stream, peer, place| {
        let (mqtt, handshakes, life) = (mqtt.clone(), handshakes.clone(), ended.clone());
        async move {
            // One deadline for TLS and CONNECT together.
            let deadline = life.clock().monotonic() + handshake_timeout();
            // Boxed: what the handshake needs is not kept for as long as the device stays.
            let accepted = Box::pin(handshakes.accept(stream, Ask::Always, peer, &life, deadline)).await;
            if let Some((stream, client)) = accepted {
                mqtt.serve(stream, Client { place: Some(place), ..client }, &life, deadline).await;
            }
        }
    });
}

/// Does the handshakes of the ports with TLS, and says which ones a person has to look at.
#[derive(Clone)]
struct Handshakes {
    acceptor: Acceptor,
    quiet: Arc<Quiet>,
}

impl Handshakes {
    async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        ask: Ask,
        peer: SocketAddr,
        life: &Life,
        deadline: Moment,
    ) -> Option<(Box<TlsStream<S>>, Client)> {
        let outcome = tokio::select! {
            () = life.stopping() => return None,
            outcome = timeout_at(life.clock().as_ref(), deadline, self.acceptor.accept(stream, ask)) => outcome,
        };
        if !matches!(outcome, Ok(Ok(_))) {
            metrics::counter!("ferrohub_tls_handshakes_failed_total").increment(1);
        }
        match outcome {
            Ok(Ok(Accepted { stream, chain, tls })) => {
                return Some((stream, Client { chain, peer: Peer::new(peer.ip(), tls), place: None }));
            }
            // What a person has to mend: a certificate that we refuse, or ours that the peer refuses.
            Ok(Err(error)) if tls::is_refusal(&error) && self.quiet.may_tell(peer.ip()) => {
                tracing::info!(%peer, reason = %error, "TLS handshake refused");
            }
            Ok(Err(error)) => tracing::debug!(%peer, reason = %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake failed: it took too long"),
        }
        None
    }
}
