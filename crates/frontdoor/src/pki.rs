//! The publishing point: CA certificates and revocation lists over plain HTTP (RFC 5280, 4.2.1.13 and 4.2.2.1).
//! Both are signed and public, so nothing is gained by TLS here, and clients expect plain HTTP.

use crate::errors;
use crate::https::reply::Reply;
use crate::listener::Life;
use crate::plain::{self, Sources};
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::route::{Found, RouteInfo, Row, Table, Wants};
use std::sync::Arc;
use tokio::net::TcpListener;
use uuid::Uuid;

/// A published thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Published {
    Certificate(Uuid),
    RevocationList(Uuid),
}

/// Serves the publishing point on `listeners`.
pub(crate) fn listen(
    listeners: Vec<TcpListener>,
    life: &Life,
    share: usize,
    sources: &Sources,
    service: &Arc<Service>,
) {
    let (service, trace_of) = (service.clone(), sources.clone());
    plain::listen(listeners, life, share, sources, move |path| {
        let (service, trace_of) = (service.clone(), trace_of.clone());
        async move {
            answer(&service, &path).await.unwrap_or_else(|error| {
                let trace = errors::Trace { request_id: trace_of.random.uuid_v4(), at: trace_of.clock.now() };
                errors::log(&error, &trace);
                plain::text(error.http_status(), format!("{error}\n"))
            })
        }
    });
}

async fn answer(service: &Service, path: &str) -> Result<Reply> {
    match parse(path) {
        Some(Published::Certificate(id)) => {
            Ok(Reply::bytes("application/pkix-cert", service.ca_certificate(id).await?))
        }
        Some(Published::RevocationList(id)) => Ok(Reply::bytes("application/pkix-crl", service.crl(id).await?)),
        None => Err(Error::not_found("Served here are /ca/{id}.cer and /crl/{id}.crl, as certificates name them.")),
    }
}

type Run = fn(Uuid) -> Published;

static ROUTES: Table<Run> = Table::new(&[
    Row { method: "GET", path: "/ca/{id}.cer", wants: Wants::Nothing, run: Published::Certificate },
    Row { method: "GET", path: "/crl/{id}.crl", wants: Wants::Nothing, run: Published::RevocationList },
]);

/// The routes of the publishing point.
pub(crate) fn routes() -> Vec<RouteInfo> {
    ROUTES.info("pki")
}

/// What is published under `path`; the name of a file ends as its route says.
fn parse(path: &str) -> Option<Published> {
    let Found::Row(row, name) = plain::find(&ROUTES, path) else { return None };
    let ending = row.path.rsplit('}').next().unwrap_or_default();
    Uuid::parse_str(name.first()?.strip_suffix(ending)?).ok().map(row.run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let id = Uuid::from_u128(5);
        assert_eq!(parse(&format!("/ca/{id}.cer")), Some(Published::Certificate(id)));
        assert_eq!(parse(&format!("/crl/{id}.crl")), Some(Published::RevocationList(id)));
        for bad in ["/", "/ca/x.cer", "/ca/../x", "/crl/", "/crl/00000000-0000-0000-0000-000000000005.cer"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
