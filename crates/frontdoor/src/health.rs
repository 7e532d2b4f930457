//! Health and metrics, for a loopback address: no authentication.

use crate::https::reply::Reply;
use crate::listener::Life;
use crate::plain::{self, Sources};
use ferrohub_service::Service;
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
            if path == "/readyz" && !ended.is_stopping() {
                return ready(service.platform.store.ready().await.err());
            }
            answer(&path, ended.is_stopping(), metrics.as_ref())
        }
    });
}

/// Ready while the store takes reads and writes; what it said goes to the log.
fn ready(fault: Option<impl std::fmt::Display>) -> Reply {
    let Some(fault) = fault else { return plain::text(200, "ready\n") };
    tracing::error!(%fault, "the store is not ready");
    plain::text(503, "the store is not ready; the log says why\n")
}

fn answer(path: &str, stopping: bool, metrics: Option<&PrometheusHandle>) -> Reply {
    match (path, metrics) {
        ("/healthz", _) => plain::text(200, "ok\n"),
        ("/readyz", _) if stopping => plain::text(503, "stopping\n"),
        ("/metrics", Some(metrics)) => Reply::bytes("text/plain; version=0.0.4; charset=utf-8", metrics.render()),
        ("/metrics", None) => plain::text(404, "Metrics are switched off.\n"),
        _ => plain::text(404, "Served here are /healthz, /readyz and /metrics.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn states() {
        assert_eq!(answer("/healthz", true, None).status, 200);
        assert_eq!(ready(None::<&str>).status, 200);
        assert_eq!(ready(Some("disk full")).status, 503);
        assert_eq!(answer("/readyz", true, None).status, 503);
        assert_eq!(answer("/x", false, None).status, 404);
        assert_eq!(answer("/metrics", false, None).status, 404);
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || metrics::counter!("things_total").increment(2));
        let reply = answer("/metrics", false, Some(&recorder.handle()));
        assert!(String::from_utf8(reply.body.to_vec()).unwrap().contains("things_total 2"));
    }
}
