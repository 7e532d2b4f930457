//! Health and metrics, for a loopback address: no authentication.

use crate::https::reply::Reply;
use crate::listener::Life;
use crate::plain::{self, Sources};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

/// Serves `/healthz`, `/readyz` and `/metrics` on `listeners`.
pub(crate) fn listen(listeners: Vec<TcpListener>, life: &Life, sources: &Sources, metrics: Option<PrometheusHandle>) {
    let ended = life.clone();
    plain::listen(listeners, life, sources, move |path| {
        let reply = answer(&path, ended.is_stopping(), metrics.as_ref());
        async move { reply }
    });
}

fn answer(path: &str, stopping: bool, metrics: Option<&PrometheusHandle>) -> Reply {
    match (path, metrics) {
        ("/healthz", _) => plain::text(200, "ok\n"),
        ("/readyz", _) if stopping => plain::text(503, "stopping\n"),
        ("/readyz", _) => plain::text(200, "ready\n"),
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
        assert_eq!(answer("/readyz", false, None).status, 200);
        assert_eq!(answer("/readyz", true, None).status, 503);
        assert_eq!(answer("/x", false, None).status, 404);
        assert_eq!(answer("/metrics", false, None).status, 404);
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || metrics::counter!("things_total").increment(2));
        let reply = answer("/metrics", false, Some(&recorder.handle()));
        assert!(String::from_utf8(reply.body.to_vec()).unwrap().contains("things_total 2"));
    }
}
