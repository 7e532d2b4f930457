//! Device Registry's data plane (reference: device-registry-api.md section 7), of which nothing is built.

use super::reply::Reply;
use super::request::Call;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::authn::Audience;
use ferrohub_service::route::{self, RouteInfo, Row, Wants};

static ROUTES: &[Row<()>] = &[Row { method: "*", path: "/namespaces/**", wants: Wants::Principal, run: () }];

/// The routes of the data plane.
pub(super) fn routes() -> Vec<RouteInfo> {
    route::info("registry", ROUTES)
}

/// Answers a request. Who asks is proven first.
pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    service.authn.bearer(call.authorization(), Audience::Registry, &call.base_url()).await?;
    Err(Error::not_implemented(
        "Ferrohub does not have the data plane of Device Registry yet. Devices of a namespace are read and written through Resource Manager, and provisioned by a provisioning service.",
    ))
}
