//! Device Registry's data plane (reference: device-registry-api.md section 7), of which nothing is built.

use super::request::Call;
use ferrohub_model::error::Error;
use ferrohub_service::Service;
use ferrohub_service::authn::Audience;
use ferrohub_service::route::{RouteInfo, Row, Table, Wants};

static ROUTES: Table<()> = Table::new(&[Row { method: "*", path: "/namespaces/**", wants: Wants::Principal, run: () }]);

/// The routes of the data plane.
pub(super) fn routes() -> Vec<RouteInfo> {
    ROUTES.info("registry")
}

/// Refuses a request. Who asks is proven first.
pub(super) async fn refuse(service: &Service, call: &Call) -> Error {
    if let Err(refusal) = service.authn.bearer(call.authorization(), Audience::Registry).await {
        return refusal;
    }
    Error::not_implemented(
        "Ferrohub does not have the data plane of Device Registry yet. Devices of a namespace are read and written through Resource Manager, and provisioned by a provisioning service.",
    )
}
