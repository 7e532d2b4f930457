//! Microsoft Graph over HTTP: authenticate, hand over, render.

use super::reply::Reply;
use super::request::{Call, shown};
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::Actor;
use ferrohub_service::graph::{self, GraphRequest};
use ferrohub_service::route::RouteInfo;

/// The routes of Graph.
pub(super) fn routes() -> Vec<RouteInfo> {
    graph::routes()
}

/// Who asks.
pub(super) async fn admit(service: &Service, call: &Call) -> Result<Actor> {
    service.authn.bearer(call.authorization(), Audience::Graph).await
}

/// Answers a request of `actor`.
pub(super) async fn handle(service: &Service, call: &Call, actor: Actor) -> Result<Reply> {
    let path = below_version(call)?;
    let request = GraphRequest {
        method: call.method.as_str().to_ascii_uppercase(),
        path,
        query: call.query.clone(),
        body: call.json()?,
        actor,
        base_url: call.base_url(),
        address: call.client.peer.address,
    };
    let (status, body) = service.graph.handle(request).await?;
    Ok(body.map_or_else(|| Reply::empty(status), |body| Reply::json(status, &body)))
}

/// The segments below `/v1.0`, or below `/graph/v1.0` on an origin that Graph shares with others.
fn below_version(call: &Call) -> Result<Vec<String>> {
    let mut segments = call.segments()?;
    if segments.len() > 1 && segments[0].eq_ignore_ascii_case("graph") {
        segments.remove(0);
    }
    if segments.first().is_some_and(|version| version.eq_ignore_ascii_case("v1.0")) {
        segments.remove(0);
        return Ok(segments);
    }
    if segments.first().is_some_and(|version| version.eq_ignore_ascii_case("beta")) {
        return Err(Error::not_implemented("Ferrohub does not have the beta version of Graph; use '/v1.0'."));
    }
    Err(Error::not_found(format!(
        "Microsoft Graph is served below '/v1.0'; there is nothing at '{}'.",
        shown(&call.path)
    ))
    .with_code("NotFound"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::request::tests::call;

    #[test]
    fn only_version_one() {
        assert_eq!(
            below_version(&call("GET", "h", "/V1.0/servicePrincipals(appId='x')", "")).unwrap(),
            ["servicePrincipals(appId='x')"]
        );
        assert_eq!(below_version(&call("GET", "h", "/graph/v1.0/users", "")).unwrap(), ["users"]);
        assert_eq!(below_version(&call("GET", "h", "/graph/graph/v1.0/users", "")).unwrap_err().http_status(), 404);
        assert_eq!(below_version(&call("GET", "h", "/beta/users", "")).unwrap_err().http_status(), 501);
        assert_eq!(below_version(&call("GET", "h", "/users", "")).unwrap_err().http_status(), 404);
    }
}
