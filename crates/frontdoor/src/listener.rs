//! Sockets: bind, accept with a limit, stop in an orderly way.

use crate::places::{Place, Places, Room};
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::limits;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after a failed accept, so that a process out of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection is told, and by what the door waits for them.
#[derive(Clone)]
pub(crate) struct Life {
    /// True once the door closes: accept nothing more, end what runs.
    stop: watch::Receiver<bool>,
    /// Cancelled when waiting has taken too long.
    force: CancellationToken,
    tracker: TaskTracker,
    clock: Arc<dyn Clock>,
}

impl Life {
    pub(crate) fn new(stop: watch::Receiver<bool>, clock: Arc<dyn Clock>) -> Self {
        Self { stop, force: CancellationToken::new(), tracker: TaskTracker::new(), clock }
    }

    /// The clock of all pauses and deadlines.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Returns once the door closes.
    pub(crate) async fn stopping(&self) {
        let mut stop = self.stop.clone();
        // An error means that the sender is gone, which is a stop too.
        let _ = stop.wait_for(|stopping| *stopping).await;
    }

    /// Whether the door is closing.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Runs `task` beside; the door waits for it when it closes.
    pub(crate) fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Waits until all tasks have ended, then, after `grace`, drops the connections that are left.
    /// Returns how many those were.
    pub(crate) async fn finish(&self, grace: Duration) -> usize {
        self.tracker.close();
        if timeout(self.clock.as_ref(), grace, self.tracker.wait()).await.is_ok() {
            return 0;
        }
        let left = self.tracker.len();
        self.force.cancel();
        let _ = timeout(self.clock.as_ref(), Duration::from_secs(1), self.tracker.wait()).await;
        left
    }
}

/// Where a door listens. Port 0 means any free port, the same on all addresses of its kind.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// HTTPS.
    pub https: Vec<SocketAddr>,
    /// MQTT over TLS.
    pub mqtt: Vec<SocketAddr>,
    /// Plain HTTP for CA certificates and revocation lists; empty switches it off.
    pub pki: Vec<SocketAddr>,
    /// Health and metrics: a loopback address, because it asks for no credentials.
    pub health: Option<SocketAddr>,
}

impl Addresses {
    /// Which of them cannot be bound now: at most one of each kind. All are let go again.
    pub async fn faults(&self) -> Vec<BindError> {
        let mut faults = Vec::new();
        for (what, addresses) in self.kinds() {
            faults.extend(bind(what, addresses).await.err());
        }
        faults
    }

    pub(crate) async fn bind(&self) -> Result<[Vec<TcpListener>; 4], BindError> {
        let mut bound = [const { Vec::new() }; 4];
        for ((what, addresses), listeners) in self.kinds().into_iter().zip(&mut bound) {
            *listeners = bind(what, addresses).await?;
        }
        Ok(bound)
    }

    fn kinds(&self) -> [(&'static str, &[SocketAddr]); 4] {
        [
            ("HTTPS (--https-port)", &self.https),
            ("MQTT (--mqtt-port)", &self.mqtt),
            ("CRLs and CA certificates (--pki-port)", &self.pki),
            ("health and metrics (--metrics-port)", self.health.as_slice()),
        ]
    }
}

/// Binds every address. An IPv6 loopback that the machine does not have is only a warning, unless it is the only one.
///
/// # Errors
/// The address with the reason why it cannot be bound.
pub(crate) async fn bind(what: &str, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    let mut port_of_first = 0;
    for address in addresses {
        // Port 0 means "any free one", and the same one on every address.
        let wanted = if address.port() == 0 { SocketAddr::new(address.ip(), port_of_first) } else { *address };
        match TcpListener::bind(wanted).await {
            Ok(listener) => {
                if let Ok(bound) = listener.local_addr() {
                    port_of_first = bound.port();
                }
                listeners.push(listener);
            }
            Err(error) if wanted.is_ipv6() && is_missing_ipv6(&error) && addresses.len() > 1 => {
                tracing::warn!(%wanted, %error, "{what}: this machine has no IPv6; only the other addresses are served");
            }
            Err(source) => return Err(BindError { what: what.into(), address: wanted, source }),
        }
    }
    Ok(listeners)
}

fn is_missing_ipv6(error: &std::io::Error) -> bool {
    // 97 is EAFNOSUPPORT, for which the standard library has no name.
    error.kind() == std::io::ErrorKind::AddrNotAvailable
        || error.kind() == std::io::ErrorKind::Unsupported
        || error.raw_os_error() == Some(97)
}

/// An address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("{what}: cannot listen on {address}: {source}. {}", remedy(source))]
pub struct BindError {
    what: String,
    address: SocketAddr,
    source: std::io::Error,
}

impl BindError {
    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether another program has it.
    pub fn is_taken(&self) -> bool {
        self.source.kind() == std::io::ErrorKind::AddrInUse
    }
}

/// What to do about an address that cannot be bound.
fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrNotAvailable => {
            "This machine does not have that address: choose others with --listen, or leave it out"
        }
        std::io::ErrorKind::PermissionDenied => {
            "Ports below 1024 need a privilege (CAP_NET_BIND_SERVICE): choose another port, or grant it"
        }
        _ => "Choose another port, or stop the program that uses it",
    }
}

/// Accepts until the door closes; `handle` makes the task of one connection, which runs once there is a place for it.
pub(crate) fn serve<H, F>(listeners: Vec<TcpListener>, life: &Life, places: &Arc<Places>, handle: H)
where
    H: Fn(TcpStream, SocketAddr, Arc<Place>) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    for listener in listeners {
        let (life, places, handle) = (life.clone(), places.clone(), handle.clone());
        let task = accept_loop(listener, life.clone(), places, handle);
        life.spawn(task);
    }
}

async fn accept_loop<H, F>(listener: TcpListener, life: Life, places: Arc<Places>, handle: H)
where
    H: Fn(TcpStream, SocketAddr, Arc<Place>) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            () = life.stopping() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = places.arrive(peer.ip()).map(Arc::new) else {
                    metrics::counter!("ferrohub_connections_turned_away_total").increment(1);
                    tracing::debug!(%peer, "turned away: too many connections of this address wait");
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let (force, handle, ended) = (life.force.clone(), handle.clone(), life.clone());
                life.spawn(async move {
                    let deadline = ended.clock.monotonic() + handshake_timeout();
                    let entered = tokio::select! {
                        entered = place.enter(deadline) => entered,
                        () = ended.stopping() => false,
                    };
                    if !entered {
                        return;
                    }
                    // Boxed, because a future that is handed on is there twice in the one that waits for it.
                    let connection = Box::pin(handle(stream, peer, place.clone()));
                    tokio::select! {
                        () = force.cancelled() => {}
                        () = place.taken() => tracing::debug!(%peer, "closed: its place was needed, and it had proven nothing"),
                        () = connection => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                life.clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Connections that each kind of port may hold. None can take the places of another: who fills the
/// HTTPS port must not keep devices out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) https: usize,
    pub(crate) mqtt: usize,
    pub(crate) pki: usize,
    pub(crate) health: usize,
}

impl Shares {
    /// Divides `total` connections: a few for health and metrics, an eighth for the publishing point if it is
    /// on, the rest in halves. At least one and at most [`limits::CONNECTIONS`] each.
    pub(crate) fn of(total: usize, with_pki: bool) -> Self {
        let health = limits::HEALTH_CONNECTIONS.min(total / 8);
        let pki = if with_pki { total / 8 } else { 0 };
        let half = total.saturating_sub(health + pki) / 2;
        let bounded = |share: usize| share.clamp(1, limits::CONNECTIONS);
        Self { https: bounded(half), mqtt: bounded(half), pki: bounded(pki), health: bounded(health) }
    }
}

/// The places of one kind of port where peers prove who they are, and where one credential (an application's, a policy's, a group's) opens any
/// number of connections.
pub(crate) fn places(share: usize, life: &Life) -> Arc<Places> {
    Places::new(Room::of(share, limits::UNPROVEN_PATIENCE).with_some_for_others(), life.clock.clone())
}

/// The places of a port that answers anybody: whoever asks is served at once, so the oldest gives way at once.
pub(crate) fn open_places(share: usize, life: &Life) -> Arc<Places> {
    Places::new(Room::of(share, Duration::ZERO), life.clock.clone())
}

/// Time a peer has for its handshake.
pub(crate) fn handshake_timeout() -> Duration {
    Duration::from_secs(limits::CONNECT_TIMEOUT_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_clock::SystemClock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn local() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = bind("https", &[local()]).await.unwrap();
        let taken = first[0].local_addr().unwrap();
        let error = bind("https", &[taken]).await.unwrap_err().to_string();
        assert!(error.contains(&taken.to_string()) && error.starts_with("https: cannot listen"), "{error}");
        assert!(error.contains("Choose another port"), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_names_the_flag() {
        // TEST-NET-1 (RFC 5737) belongs to nobody.
        let error = bind("https", &["192.0.2.1:0".parse().unwrap()]).await.unwrap_err().to_string();
        assert!(error.contains("--listen") && !error.contains("another port"), "{error}");
    }

    #[test]
    fn shares_stay_within_the_total_and_within_the_limit() {
        for total in [32, 64, 100, 768, 20_000] {
            for with_pki in [false, true] {
                let shares = Shares::of(total, with_pki);
                let pki = if with_pki { shares.pki } else { 0 };
                let sum = shares.https + shares.mqtt + pki + shares.health;
                assert!(sum <= total && sum + 2 > total, "{total}: {shares:?}");
                assert!(shares.https >= total / 3, "{total}: {shares:?}");
            }
        }
        let most = Shares::of(usize::MAX, true);
        assert_eq!((most.https, most.mqtt, most.pki), (limits::CONNECTIONS, limits::CONNECTIONS, limits::CONNECTIONS));
        assert_eq!(Shares::of(0, true), Shares { https: 1, mqtt: 1, pki: 1, health: 1 });
    }

    #[tokio::test]
    async fn stops_accepting_and_drops_what_does_not_end() {
        let (stop, stopped) = watch::channel(false);
        let life = Life::new(stopped, SystemClock::shared());
        let listeners = bind("test", &[local()]).await.unwrap();
        let address = listeners[0].local_addr().unwrap();
        serve(listeners, &life, &places(10, &life), |mut stream, _, _| async move {
            let _ = stream.write_all(b"hello").await;
            std::future::pending::<()>().await;
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut greeting = [0; 5];
        client.read_exact(&mut greeting).await.unwrap();
        stop.send(true).unwrap();
        assert_eq!(life.finish(Duration::from_millis(50)).await, 1);
        assert_eq!(client.read(&mut greeting).await.unwrap(), 0);
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn waits_for_a_free_slot() {
        let (_stop, stopped) = watch::channel(false);
        let life = Life::new(stopped, SystemClock::shared());
        let listeners = bind("test", &[local()]).await.unwrap();
        let address = listeners[0].local_addr().unwrap();
        serve(listeners, &life, &places(1, &life), |mut stream, _, _| async move {
            let _ = stream.write_all(b"x").await;
            let _ = stream.read(&mut [0; 1]).await;
        });
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let mut byte = [0; 1];
        first.read_exact(&mut byte).await.unwrap();
        let waiting = timeout(&SystemClock, Duration::from_millis(50), second.read_exact(&mut byte)).await;
        assert!(waiting.is_err());
        drop(first);
        second.read_exact(&mut byte).await.unwrap();
    }
}
