//! Azure Resource Manager over HTTP: authenticate, hand over, render.

use super::reply::Reply;
use super::request::Call;
use ferrohub_model::error::Result;
use ferrohub_service::Service;
use ferrohub_service::arm::{ArmRequest, metadata};
use ferrohub_service::authn::Audience;
use http::header::ETAG;
use http::{HeaderName, Method};

/// Answers a request.
pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    let path = call.path.trim_end_matches('/');
    if call.method == Method::GET && path.eq_ignore_ascii_case("/metadata/endpoints") {
        // Read before anyone can have signed in.
        return Ok(Reply::json(200, &metadata::endpoints(&call.base_url(), &service.platform.settings)));
    }
    let actor = service.authn.bearer(call.authorization(), Audience::Arm, &call.base_url()).await?;
    let answer = service
        .arm
        .handle(ArmRequest {
            method: call.method.as_str().to_ascii_uppercase(),
            path: call.path.clone(),
            query: call.query.clone(),
            body: call.json()?,
            if_match: call.header("if-match").map(str::to_owned),
            if_none_match: call.header("if-none-match").map(str::to_owned),
            actor,
            base_url: call.base_url(),
            request_id: call.trace.request_id,
            correlation_id: call.correlation_id,
        })
        .await?;
    let mut reply = match &answer.body {
        Some(body) => Reply::json_with_etag(answer.status, body),
        None => Reply::empty(answer.status),
    };
    for (name, value) in answer.headers {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        if name == ETAG {
            reply.headers.retain(|(known, _)| *known != ETAG);
        }
        reply = reply.with(name, value);
    }
    Ok(reply)
}
