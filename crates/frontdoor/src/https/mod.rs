//! The HTTPS port: one request from its bytes to its answer.
//!
//! | File | What it is |
//! |---|---|
//! | `route` | which service a request is for, and how errors look there |
//! | `admission` | who sends a request, proven by its head |
//! | `body` | the body, read for those who may send one |
//! | `request`, `reply` | a request and an answer free of hyper |
//! | `arm`, `login`, `graph` | the control plane |
//! | `sign_in`, `pages` | signing in and out in a browser |
//! | `portal`, `portal_files` | the files of the portal |
//! | `at` | the data planes at the portal's origin |
//! | `hub` | a hub's service API |
//! | `registry` | Device Registry's data plane, not built |
//! | `dps`, `dps_service` | provisioning: devices, and enrollment groups |
//! | `websocket` | the upgrade, behind which devices speak MQTT |

mod admission;
mod arm;
mod at;
mod body;
mod dps;
mod dps_service;
mod graph;
mod hub;
mod hub_call;
mod login;
mod pages;
mod portal;
mod portal_files;
mod registry;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod route;
mod sign_in;
mod websocket;

use crate::budget::{Budget, Share};
use crate::client::Client;
use crate::errors::{self, Trace};
use crate::guesses::Guesses;
use crate::listener::{Life, handshake_timeout};
use crate::mqtt::Mqtt;
use crate::websocket::WebSocket;
use admission::Admitted;
use bytes::Bytes;
use ferrohub_model::clock::timeout;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{
    BODIES_BYTES, HTTP_BODY_TIMEOUT, HTTP_HEAD_BYTES, HTTP_HEAD_TIMEOUT, UNPROVEN_BODIES_BYTES, UNPROVEN_BODY_TIMEOUT,
    UNPROVEN_LIFE,
};
use ferrohub_service::Service;
use ferrohub_service::client_here::for_client;
use ferrohub_service::route::RouteInfo;
use futures_util::FutureExt;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use reply::{Head, Reply};
use request::{Call, authority_of, host_of, parse_query, shown};
use route::{Route, Shape};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::Instrument;
use websocket::Upgrade;

/// Time in which a connection that is to end may still do so by itself: ours.
const LAST_WORDS: Duration = Duration::from_secs(15);

/// Target of the lines that say what was asked and answered: `--log-level info,access=debug` shows them.
const ACCESS: &str = "access";

/// Every route of the HTTPS port.
pub(crate) fn routes() -> Vec<RouteInfo> {
    let tables = [
        arm::routes(),
        login::routes(),
        graph::routes(),
        hub::routes(),
        dps::routes(),
        dps_service::routes(),
        registry::routes(),
        portal::routes(),
        at::routes(),
        websocket::routes(),
    ];
    tables.concat()
}

/// What every HTTPS connection shares.
pub(crate) struct Https {
    service: Arc<Service>,
    life: Life,
    guesses: Arc<Guesses>,
    /// Who serves what comes over a WebSocket.
    devices: Arc<Mqtt>,
    /// Bodies of those who have proven who they are, and of those who have not.
    bodies: Arc<Budget>,
    unproven_bodies: Arc<Budget>,
}

impl Https {
    pub(crate) fn new(service: Arc<Service>, life: Life, guesses: Arc<Guesses>, devices: Arc<Mqtt>) -> Self {
        let (bodies, unproven_bodies) = (BODIES_BYTES, UNPROVEN_BODIES_BYTES);
        let budget = |(total, each)| Budget::new(total, each);
        Self { service, life, guesses, devices, bodies: budget(bodies), unproven_bodies: budget(unproven_bodies) }
    }

    /// Serves one connection until the peer or the stopping server ends it, or its time to prove anything is over.
    pub(crate) async fn serve<S>(self: Arc<Self>, stream: S, client: Client)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let client = Arc::new(client);
        let upgraded = Arc::new(OnceLock::new());
        let (this, asking, agreed) = (self.clone(), client.clone(), upgraded.clone());
        let respond = service_fn(move |request| {
            let (this, client, agreed) = (this.clone(), asking.clone(), agreed.clone());
            async move { Ok::<_, Infallible>(this.respond(request, client, &agreed).await) }
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HTTP_HEAD_TIMEOUT)
            .max_buf_size(HTTP_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), respond);
        let unproven = async {
            self.life.clock().sleep(UNPROVEN_LIFE).await;
            if client.is_proven() {
                std::future::pending::<()>().await;
            }
        };
        if !run(&mut connection, &self.life, unproven).await {
            return;
        }
        let Some(upgrade) = upgraded.get() else { return };
        let parts = connection.into_parts();
        self.upgraded(parts.io.into_inner(), parts.read_buf, (*client).clone(), *upgrade).await;
    }

    /// Serves what is behind an upgrade, in the place of the connection and with the time that a CONNECT has.
    async fn upgraded<S>(&self, stream: S, first: Bytes, client: Client, upgrade: Upgrade)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let chain = if upgrade.without_certificate { Vec::new() } else { client.chain };
        let deadline = self.life.clock().monotonic() + handshake_timeout();
        let stream = WebSocket::new(stream, first);
        Box::pin(self.devices.serve(stream, Client { chain, ..client }, &self.life, deadline)).await;
    }

    async fn respond(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        client: Arc<Client>,
        upgraded: &OnceLock<Upgrade>,
    ) -> Response<Full<Bytes>> {
        let trace = Trace { request_id: self.service.random().uuid_v4(), at: self.service.clock().now() };
        let head = Head::of(request.headers(), trace);
        let authority = authority_of(&request);
        let named = authority.as_deref().unwrap_or(&self.service.settings().domain);
        let wants_web_socket = websocket::is_asked(request.headers());
        let at = at::target(&host_of(named), request.uri().path());
        let route = match &at {
            Some(target) => target.route,
            None => Route::of(&host_of(named), request.uri().path(), wants_web_socket),
        };
        let query = parse_query(request.uri().query().unwrap_or_default());
        let shape = route.shape(&format!("https://{named}"), &self.service.tenancy().tenant_id);
        // At `debug`, so that a request costs no line: metrics count them, and what fails on our side is logged below.
        let span = tracing::debug_span!(
            target: ACCESS,
            "request",
            request_id = %trace.request_id,
            service = route.label(),
            method = %request.method(),
            path = shown(request.uri().path()),
        );
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let reply = async {
            let call = authority.map(|authority| Call::of(&request, authority, query, client, &head));
            let call = call.and_then(|call| match at {
                Some(target) => call.at(target),
                None => Ok(call),
            });
            let outcome = match call {
                Ok(call) if route == Route::WebSocket => upgrade(&call, request.version(), upgraded),
                Ok(call) => self.clone().answer(route, call, request.body_mut()).await,
                Err(error) => Err(error),
            };
            let reply = match outcome {
                Ok(reply) => reply,
                Err(error) => {
                    body::discard(request.body_mut(), head.waits_to_send, self.service.clock().as_ref()).await;
                    refuse(&error, &shape, &trace)
                }
            };
            tracing::debug!(target: ACCESS, status = reply.status, "answered");
            reply
        }
        .instrument(span)
        .await;
        // What is not built is no fault of ours, and strangers may ask for it as often as they like.
        if reply.status >= 500 && reply.status != 501 {
            let (request_id, path) = (trace.request_id, shown(uri.path()));
            tracing::warn!(%request_id, service = route.label(), %method, path, status = reply.status, "a request failed");
        }
        metrics::counter!("ferrohub_http_requests_total", "service" => route.label(), "status" => reply.status.to_string()).increment(1);
        reply.into_response(&head)
    }

    /// Asks who sends the request, reads its body, and has it answered.
    async fn answer(self: Arc<Self>, route: Route, mut call: Call, body: &mut Incoming) -> Result<Reply> {
        let fits = body::check_length(body, route.body_limit());
        let admitted = match (caught(self.admit(route, &call)).await, &fits) {
            (Err(_), Err(large)) => return Err(large.clone()),
            (admitted, _) => admitted?,
        };
        let read = match fits {
            Ok(()) => self.body(route, &call, &admitted, body).await,
            Err(large) => Err(large),
        };
        match read {
            Ok((bytes, share)) => {
                call.body = bytes;
                self.dispatch(call, admitted, share).await
            }
            // A write whose body cannot be had is a write that failed.
            Err(error) => match &admitted {
                Admitted::Arm(Some(actor)) => Err(arm::refused(&self.service, &call, actor, error).await),
                _ => Err(error),
            },
        }
    }

    async fn body(
        &self,
        route: Route,
        call: &Call,
        admitted: &Admitted,
        body: &mut Incoming,
    ) -> Result<(Bytes, Share)> {
        body::check_coding(&call.headers)?;
        let (budget, time) = if admitted.is_proven() {
            call.client.prove();
            (&self.bodies, HTTP_BODY_TIMEOUT)
        } else {
            (&self.unproven_bodies, UNPROVEN_BODY_TIMEOUT)
        };
        let mut share = budget.share(call.client.origin());
        let bounds = body::Bounds { bytes: route.body_limit(), time };
        let bytes = body::read(body, bounds, &mut share, self.service.clock().as_ref()).await?;
        Ok((bytes, share))
    }

    async fn dispatch(self: Arc<Self>, call: Call, admitted: Admitted, share: Share) -> Result<Reply> {
        let (life, reads) = (self.life.clone(), call.method.is_safe());
        let handler = async move {
            // In a box of its own, or what is passed on with the request is its thousands of bytes, again and again.
            let reply = Box::pin(self.handle(&call, admitted)).await;
            // The body is held until here.
            drop((call, share));
            reply
        };
        if reads { caught(handler).await } else { shielded(&life, handler).await }
    }

    async fn handle(&self, call: &Call, admitted: Admitted) -> Result<Reply> {
        match admitted {
            Admitted::Arm(actor) => arm::handle(&self.service, call, actor).await,
            Admitted::Portal => portal::handle(&self.service, call),
            Admitted::Login => login::handle(&self.service, call, &self.guesses).await,
            Admitted::Graph(actor) => graph::handle(&self.service, call, actor).await,
            Admitted::Hub(hub, actor) => hub::handle(&self.service, call, hub, actor).await,
            Admitted::DpsDevice(asked) => asked.handle(&self.service, call).await,
            Admitted::DpsService(dps, actor) => dps_service::handle(&self.service, call, dps, actor).await,
        }
    }
}

/// Answers a request for WebSocket, and notes what was agreed on.
fn upgrade(call: &Call, version: Version, upgraded: &OnceLock<Upgrade>) -> Result<Reply> {
    let (reply, agreed) = websocket::answer(call, version)?;
    if let Some(agreed) = agreed {
        // Nothing is asked after an upgrade, so there is only one.
        let _ = upgraded.set(agreed);
    }
    Ok(reply)
}

/// Runs a handler that only reads: it may end with its client, so it needs no task of its own. A panic becomes an answer.
async fn caught<T>(handler: impl Future<Output = Result<T>> + Send) -> Result<T> {
    // Nothing that a panic may leave half done is looked at again: what is shared stands behind locks and versions.
    Box::pin(AssertUnwindSafe(handler).catch_unwind())
        .await
        .unwrap_or_else(|_| Err(Error::internal("the handler of a request panicked")))
}

/// Runs a handler as a task of its own: a client that hangs up does not cancel a write half-way, and a
/// panic becomes an answer. What it has not begun, such as to hash a password, need not begin then.
async fn shielded(life: &Life, handler: impl Future<Output = Result<Reply>> + Send + 'static) -> Result<Reply> {
    let (_here, handler) = for_client(handler);
    match life.spawn(handler.in_current_span()).await {
        Ok(outcome) => outcome,
        Err(failure) => Err(Error::internal(format!("the handler of a request ended early: {failure}"))),
    }
}

/// Drives a connection; on stop, or once `over` has come, the request in work is finished and no other is taken. False where the
/// connection broke or was given up.
pub(crate) async fn run<I, S, B>(
    connection: &mut http1::Connection<I, S>,
    life: &Life,
    over: impl Future<Output = ()>,
) -> bool
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = Pin::new(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = life.stopping() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = over => {
            connection.as_mut().graceful_shutdown();
            // Half a request is none.
            match timeout(life.clock().as_ref(), LAST_WORDS, connection).await {
                Ok(ended) => ended,
                Err(_) => return false,
            }
        }
    };
    if let Err(error) = &ended {
        tracing::debug!(%error, "connection ended");
    }
    ended.is_ok()
}

fn refuse(error: &Error, shape: &Shape, trace: &Trace) -> Reply {
    errors::log(error, trace);
    Reply::error(error, shape, trace)
}

fn nothing_here(call: &Call) -> Error {
    Error::not_found(format!(
        "Nothing is served at '{}' on '{}'. Served are: Resource Manager (/subscriptions, /providers, /tenants, /metadata/endpoints), \
         the token service (/{{tenant}}/oauth2/v2.0/token), Microsoft Graph (/v1.0), hubs ({{hub}}.azure-devices.*) and \
         provisioning services ({{dps}}.azure-devices-provisioning.*), and the portal (/portal/).",
        shown(&call.path),
        call.host()
    ))
    .with_code("NotFound")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_clock::SystemClock;
    use ferrohub_model::clock::Clock as _;

    #[tokio::test]
    async fn a_panic_becomes_an_answer_and_a_hang_up_cancels_nothing() {
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let life = Life::new(stopped, SystemClock::shared());
        for error in [
            shielded(&life, async { panic!("with a secret") }).await.unwrap_err(),
            caught::<Reply>(async { panic!("with a secret") }).await.unwrap_err(),
        ] {
            assert_eq!(error.http_status(), 500);
            assert!(!error.message.contains("secret"));
        }
        let (done, finished) = tokio::sync::oneshot::channel();
        let slow = async move {
            SystemClock.sleep(Duration::from_millis(50)).await;
            let _ = done.send(());
            Ok(Reply::empty(204))
        };
        assert!(timeout(&SystemClock, Duration::from_millis(5), shielded(&life, slow)).await.is_err());
        finished.await.unwrap();
    }

    #[tokio::test]
    async fn a_handler_knows_that_its_client_hung_up() {
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let life = Life::new(stopped, SystemClock::shared());
        let (told, tells) = tokio::sync::oneshot::channel();
        let knows = async move {
            let mut client = ferrohub_service::client_here::of_this_work();
            let there = !client.has_gone();
            client.gone().await;
            let _ = told.send((there, client.has_gone()));
            Ok(Reply::empty(204))
        };
        assert!(timeout(&SystemClock, Duration::from_millis(20), shielded(&life, knows)).await.is_err());
        assert_eq!(tells.await.unwrap(), (true, true));
    }

    #[test]
    fn an_unknown_path_says_what_is_served() {
        let error = nothing_here(&request::tests::call("GET", "localhost:1", "/x", ""));
        assert_eq!(error.http_status(), 404);
        assert!(error.message.contains("'/x' on 'localhost'") && error.message.contains("/subscriptions"), "{error}");
    }
}
