//! The HTTPS port: one request from its bytes to its answer.
//!
//! | File | What it is |
//! |---|---|
//! | `route` | which service a request is for, and how errors look there |
//! | `request`, `reply` | a request and an answer free of hyper |
//! | `arm`, `login`, `graph` | the control plane |
//! | `hub` | a hub's service API |
//! | `registry` | Device Registry's data plane, not built |
//! | `dps`, `dps_service` | provisioning: devices, and enrollment groups |

mod arm;
mod dps;
mod dps_service;
mod graph;
mod hub;
mod login;
mod registry;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod route;

use crate::client::Client;
use crate::errors::{self, Trace};
use crate::listener::Life;
use bytes::Bytes;
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::{
    HTTP_BODY_TIMEOUT, HTTP_DISCARD_BYTES, HTTP_DISCARD_TIMEOUT, HTTP_HEAD_BYTES, HTTP_HEAD_TIMEOUT,
};
use ferrohub_service::Service;
use ferrohub_service::route::{RouteInfo, Wants};
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use reply::{Head, Reply};
use request::{Call, host_of, parse_query, shown};
use route::{Route, Shape};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::Instrument;

/// Target of the lines that say what was asked and answered: `--log-level info,access=debug` shows them.
const ACCESS: &str = "access";

/// Every route of the HTTPS port.
pub(crate) fn routes() -> Vec<RouteInfo> {
    let web_socket = RouteInfo {
        plane: Route::WebSocket.label(),
        method: "*".into(),
        path: "/$iothub/websocket".into(),
        wants: Wants::Nothing,
    };
    let tables = [
        arm::routes(),
        login::routes(),
        graph::routes(),
        hub::routes(),
        dps::routes(),
        dps_service::routes(),
        registry::routes(),
    ];
    tables.into_iter().flatten().chain([web_socket]).collect()
}

/// What every HTTPS connection shares.
pub(crate) struct Https {
    service: Arc<Service>,
    life: Life,
}

impl Https {
    pub(crate) fn new(service: Arc<Service>, life: Life) -> Self {
        Self { service, life }
    }

    /// Serves one connection until the peer or the stopping server ends it.
    pub(crate) async fn serve<S>(self: Arc<Self>, stream: S, client: Client)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let client = Arc::new(client);
        let this = self.clone();
        let respond = service_fn(move |request| {
            let (this, client) = (this.clone(), client.clone());
            async move { Ok::<_, Infallible>(this.respond(request, client).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HTTP_HEAD_TIMEOUT)
            .max_buf_size(HTTP_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), respond);
        run(connection, &self.life).await;
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>, client: Arc<Client>) -> Response<Full<Bytes>> {
        let trace = Trace { request_id: self.service.random().uuid_v4(), at: self.service.clock().now() };
        let head = Head::of(request.headers(), trace);
        let authority =
            request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
        let route = Route::of(&host_of(&authority), request.uri().path());
        let query = parse_query(request.uri().query().unwrap_or_default());
        let shape = route.shape(&format!("https://{authority}"), &self.service.tenancy().tenant_id);
        // At `debug`, so that a request costs no line: metrics count them, and what fails on our side is logged below.
        let span = tracing::debug_span!(
            target: ACCESS,
            "request",
            request_id = %trace.request_id,
            service = route.label(),
            method = %request.method(),
            path = shown(request.uri().path()),
        );
        let correlation_id = head.correlation_id;
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let reply = async {
            let (ids, clock) = ((trace, correlation_id), self.service.clock().as_ref());
            let outcome = match read(request, route, authority, query, client, ids, clock).await {
                Ok(call) => self.clone().dispatch(route, call).await,
                Err(error) => Err(error),
            };
            let reply = outcome.unwrap_or_else(|error| refuse(&error, &shape, &trace));
            tracing::debug!(target: ACCESS, status = reply.status, "answered");
            reply
        }
        .instrument(span)
        .await;
        if reply.status >= 500 {
            let (request_id, path) = (trace.request_id, shown(uri.path()));
            tracing::warn!(%request_id, service = route.label(), %method, path, status = reply.status, "a request failed");
        }
        metrics::counter!("ferrohub_http_requests_total", "service" => route.label(), "status" => reply.status.to_string()).increment(1);
        reply.into_response(&head)
    }

    async fn dispatch(self: Arc<Self>, route: Route, call: Call) -> Result<Reply> {
        let (life, reads) = (self.life.clone(), call.method.is_safe());
        let handler = async move { self.handle(route, &call).await };
        if reads { caught(handler).await } else { shielded(&life, handler).await }
    }

    async fn handle(&self, route: Route, call: &Call) -> Result<Reply> {
        match route {
            Route::Arm => arm::handle(&self.service, call).await,
            Route::Login => login::handle(&self.service, call).await,
            Route::Graph => graph::handle(&self.service, call).await,
            Route::Hub => hub::handle(&self.service, call).await,
            Route::DpsDevice => dps::handle(&self.service, call).await,
            Route::DpsService => dps_service::handle(&self.service, call).await,
            Route::Registry => registry::handle(&self.service, call).await,
            Route::WebSocket => Err(Error::not_implemented(
                "MQTT and AMQP over WebSocket are not built. Connect with MQTT over TLS on port 8883.",
            )),
            Route::Unknown => Err(nothing_here(call)),
        }
    }
}

/// Runs a handler that only reads: it may end with its client, so it needs no task of its own. A panic becomes an answer.
async fn caught(handler: impl Future<Output = Result<Reply>> + Send) -> Result<Reply> {
    // Nothing that a panic may leave half done is looked at again: what is shared stands behind locks and versions.
    Box::pin(AssertUnwindSafe(handler).catch_unwind())
        .await
        .unwrap_or_else(|_| Err(Error::internal("the handler of a request panicked")))
}

/// Runs a handler as a task of its own: a client that hangs up does not cancel a write half-way, and a
/// panic becomes an answer.
async fn shielded(life: &Life, handler: impl Future<Output = Result<Reply>> + Send + 'static) -> Result<Reply> {
    match life.spawn(handler.in_current_span()).await {
        Ok(outcome) => outcome,
        Err(failure) => Err(Error::internal(format!("the handler of a request ended early: {failure}"))),
    }
}

/// Drives a connection; on stop the request in work is finished and no other is taken.
pub(crate) async fn run<I, S, B>(connection: http1::Connection<I, S>, life: &Life)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = life.stopping() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

fn refuse(error: &Error, shape: &Shape, trace: &Trace) -> Reply {
    errors::log(error, trace);
    Reply::error(error, shape, trace)
}

async fn read(
    request: Request<Incoming>,
    route: Route,
    authority: String,
    query: Vec<(String, String)>,
    client: Arc<Client>,
    (trace, correlation_id): (Trace, uuid::Uuid),
    clock: &dyn Clock,
) -> Result<Call> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b".-_:[]".contains(&c);
    // More than one (RFC 9112, 3.2): whoever stands in front of us may have looked at another one.
    let hosts = request.headers().get_all("host").iter().count();
    if hosts != 1 || authority.is_empty() || !authority.bytes().all(plain) {
        return Err(Error::invalid("The Host header is missing, is there twice, or is not a host name."));
    }
    let (parts, body) = request.into_parts();
    let body = read_body(body, route.body_limit(), clock).await?;
    Ok(Call {
        method: parts.method,
        authority,
        path: parts.uri.path().to_owned(),
        query,
        headers: parts.headers,
        body,
        client,
        trace,
        correlation_id,
    })
}

async fn read_body<B>(mut body: B, limit: usize, clock: &dyn Clock) -> Result<Bytes>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = || {
        Error::new(
            ErrorKind::TooLarge,
            "RequestContentTooLarge",
            format!("The request's body is over the limit of {limit} bytes; send less."),
        )
        .with_iot_code(413_001)
    };
    if body.size_hint().lower() > limit as u64 {
        discard(&mut body, clock).await;
        return Err(too_large());
    }
    match timeout(clock, HTTP_BODY_TIMEOUT, Limited::new(&mut body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            discard(&mut body, clock).await;
            Err(too_large())
        }
        Ok(Err(_)) => Err(Error::invalid("The request's body ended early or is damaged.")),
        Err(_) => Err(Error::invalid(format!(
            "The request's body did not arrive within {} seconds.",
            HTTP_BODY_TIMEOUT.as_secs()
        ))),
    }
}

/// Reads on without keeping anything, so that a client that is still writing gets to see the answer. What is much too
/// long, or comes slowly, is not waited for.
async fn discard<B: Body<Data = Bytes> + Unpin>(body: &mut B, clock: &dyn Clock) {
    let mut left = HTTP_DISCARD_BYTES;
    if body.size_hint().lower() > left as u64 {
        return;
    }
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // Whether it ended or the time did makes no difference to the answer.
    let _ = timeout(clock, HTTP_DISCARD_TIMEOUT, all).await;
}

fn nothing_here(call: &Call) -> Error {
    Error::not_found(format!(
        "Nothing is served at '{}' on '{}'. Served are: Resource Manager (/subscriptions, /providers, /tenants, /metadata/endpoints), \
         the token service (/{{tenant}}/oauth2/v2.0/token), Microsoft Graph (/v1.0), hubs ({{hub}}.azure-devices.*) and \
         provisioning services ({{dps}}.azure-devices-provisioning.*).",
        shown(&call.path),
        call.host()
    ))
    .with_code("NotFound")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_clock::SystemClock;
    use std::time::Duration;

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_before_and_while_it_is_read() {
        let body = Full::new(Bytes::from(vec![b'x'; 11]));
        assert_eq!(read_body(body, 10, &SystemClock).await.unwrap_err().http_status(), 413);
        let chunks = (0..3).map(|_| Ok::<_, Infallible>(hyper::body::Frame::data(Bytes::from_static(b"xxxx"))));
        let unknown_length = http_body_util::StreamBody::new(futures_util::stream::iter(chunks));
        assert_eq!(read_body(unknown_length, 10, &SystemClock).await.unwrap_err().http_status(), 413);
        assert_eq!(read_body(Full::new(Bytes::from_static(b"ok")), 10, &SystemClock).await.unwrap(), "ok");
    }

    #[tokio::test]
    async fn a_panic_becomes_an_answer_and_a_hang_up_cancels_nothing() {
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let life = Life::new(stopped, SystemClock::shared());
        for error in [
            shielded(&life, async { panic!("with a secret") }).await.unwrap_err(),
            caught(async { panic!("with a secret") }).await.unwrap_err(),
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

    #[test]
    fn an_unknown_path_says_what_is_served() {
        let error = nothing_here(&request::tests::call("GET", "localhost:1", "/x", ""));
        assert_eq!(error.http_status(), 404);
        assert!(error.message.contains("'/x' on 'localhost'") && error.message.contains("/subscriptions"), "{error}");
    }
}
