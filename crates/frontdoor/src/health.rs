//! Health and metrics, for a loopback address: no authentication.

use crate::https::reply::Reply;
use crate::listener::Life;
use crate::plain::{self, Sources};
use ferrohub_service::route::{Found, RouteInfo, Row, Table, Wants};
use ferrohub_service::{NotReady, Service};
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves `/healthz`, `/readyz` and `/metrics` on `listeners`.
pub(crate) fn listen(
    listeners: Vec<TcpListener>,
    life: &Life,
    share: usize,
    sources: &Sources,
    metrics: Option<PrometheusHandle>,
    service: Arc<Service>,
) {
    let ended = life.clone();
    plain::listen(listeners, life, share, sources, move |path| {
        let (ended, metrics, service) = (ended.clone(), metrics.clone(), service.clone());
        async move {
            match wanted(&path) {
                Some(Wanted::Ready) if !ended.is_stopping() => ready(service.ready().await.err()),
                wanted => answer(wanted, metrics.as_ref()),
            }
        }
    });
}

/// Ready while store and event log take reads and writes; the answer says which of them does not, the log why.
fn ready(fault: Option<NotReady>) -> Reply {
    let Some(fault) = fault else { return plain::text(200, "ready\n") };
    tracing::error!(engine = fault.engine, error = %fault.error, context = fault.error.context, "not ready");
    plain::text(503, format!("{fault}\n"))
}

/// What the paths stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Health,
    Ready,
    Metrics,
}

static ROUTES: Table<Wanted> = Table::new(&[
    Row { method: "GET", path: "/healthz", wants: Wants::Nothing, run: Wanted::Health },
    Row { method: "GET", path: "/readyz", wants: Wants::Nothing, run: Wanted::Ready },
    Row { method: "GET", path: "/metrics", wants: Wants::Nothing, run: Wanted::Metrics },
]);

/// The routes of the port for health and metrics.
pub(crate) fn routes() -> Vec<RouteInfo> {
    ROUTES.info("health")
}

fn wanted(path: &str) -> Option<Wanted> {
    match plain::find(&ROUTES, path) {
        Found::Row(row, _) => Some(row.run),
        Found::OtherMethods(_) | Found::Nothing => None,
    }
}

/// The answer of a server that stops, for `/readyz`.
fn answer(wanted: Option<Wanted>, metrics: Option<&PrometheusHandle>) -> Reply {
    match (wanted, metrics) {
        (Some(Wanted::Health), _) => plain::text(200, "ok\n"),
        (Some(Wanted::Ready), _) => plain::text(503, "stopping\n"),
        (Some(Wanted::Metrics), Some(metrics)) => {
            Reply::bytes("text/plain; version=0.0.4; charset=utf-8", metrics.render())
        }
        (Some(Wanted::Metrics), None) => plain::text(404, "Metrics are switched off.\n"),
        (None, _) => plain::text(404, "Served here are /healthz, /readyz and /metrics.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn states() {
        assert_eq!(answer(wanted("/healthz"), None).status, 200);
        assert_eq!(ready(None).status, 200);
        let error = ferrohub_model::error::Error::unavailable("The disk is full.", 30);
        let reply = ready(Some(NotReady { engine: "event log", error }));
        assert_eq!((reply.status, reply.body.as_ref()), (503, &b"the event log is not ready: The disk is full.\n"[..]));
        assert_eq!(answer(wanted("/readyz"), None).status, 503);
        assert_eq!(answer(wanted("/x"), None).status, 404);
        assert_eq!(answer(wanted("/metrics"), None).status, 404);
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || metrics::counter!("things_total").increment(2));
        let reply = answer(wanted("/metrics"), Some(&recorder.handle()));
        assert!(String::from_utf8(reply.body.to_vec()).unwrap().contains("things_total 2"));
    }
}
