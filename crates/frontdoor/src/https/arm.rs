//! Azure Resource Manager over HTTP: authenticate, hand over, render.

use super::reply::Reply;
use super::request::{Call, shown};
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::arm::{self, ArmRequest, Client, metadata};
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::Actor;
use ferrohub_service::route::{Found, RouteInfo, Row, Table, Wants};
use http::HeaderName;
use http::header::ETAG;

/// What is answered before anyone can have signed in.
static PUBLIC: Table<()> =
    Table::new(&[Row { method: "GET", path: "/metadata/endpoints", wants: Wants::Nothing, run: () }]);

/// The routes of Resource Manager.
pub(super) fn routes() -> Vec<RouteInfo> {
    [PUBLIC.info("arm"), arm::routes()].concat()
}

/// Who asks; nobody has to say so where the answer is public.
pub(super) async fn admit(service: &Service, call: &Call) -> Result<Option<Actor>> {
    if is_public(call) {
        return Ok(None);
    }
    service.authn.bearer(call.authorization(), Audience::Arm).await.map(Some)
}

fn is_public(call: &Call) -> bool {
    // A path that cannot be read is nothing public.
    call.segments().is_ok_and(|path| matches!(PUBLIC.find(call.method.as_str(), &path), Found::Row(..)))
}

/// Answers a request of `actor`.
pub(super) async fn handle(service: &Service, call: &Call, actor: Option<Actor>) -> Result<Reply> {
    let Some(actor) = actor else {
        let version = call.query("api-version");
        return Ok(Reply::json(200, &metadata::endpoints(&call.base_url(), version, service.settings())));
    };
    let mut request = request_of(call, actor);
    // `az` sends bodies that are no JSON to what is not built (an unquoted `template:` of a deployment): that is what to say.
    match call.json().map_err(|error| service.arm.unbuilt(&call.path).unwrap_or(error)) {
        Ok(body) => request.body = body,
        Err(error) => return Err(service.arm.refused(&request, error).await),
    }
    let answer = service.arm.handle(request).await?;
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
    for (name, count) in remaining(call) {
        reply = reply.with(HeaderName::from_static(name), count.to_string());
    }
    Ok(reply)
}

/// The error of a request of `actor` whose body could not be had.
pub(super) async fn refused(service: &Service, call: &Call, actor: &Actor, error: Error) -> Error {
    service.arm.refused(&request_of(call, actor.clone()), error).await
}

/// What a call asks for, without its body.
fn request_of(call: &Call, actor: Actor) -> ArmRequest {
    ArmRequest {
        method: call.method.as_str().to_ascii_uppercase(),
        path: call.path.clone(),
        query: call.query.clone(),
        body: None,
        if_match: call.header("if-match").map(str::to_owned),
        if_none_match: call.header("if-none-match").map(str::to_owned),
        actor,
        base_url: call.base_url(),
        request_id: call.trace.request_id,
        correlation_id: call.correlation_id,
        client: Client {
            address: call.client.peer.address,
            request_id: call.header("x-ms-client-request-id").map(shown),
        },
    }
}

/// What is left of Azure's buckets (reference: resource-manager.md section 8): all of it, because nothing is taken out. Clients
/// read the headers; nobody is slowed down.
fn remaining(call: &Call) -> Vec<(&'static str, u32)> {
    let in_subscription = call.path.trim_start_matches('/').to_ascii_lowercase().starts_with("subscriptions/");
    let kind = match call.method.as_str() {
        "GET" | "HEAD" => 0,
        "DELETE" => 2,
        _ => 1,
    };
    let (own, global, bucket) = BUCKETS[kind];
    match in_subscription {
        true => vec![(own, bucket), (global, bucket * PRINCIPALS)],
        false => vec![(TENANT[kind], bucket)],
    }
}

/// Headers of a subscription's reads, writes and deletes, with what a principal's bucket holds.
const BUCKETS: [(&str, &str, u32); 3] = [
    ("x-ms-ratelimit-remaining-subscription-reads", "x-ms-ratelimit-remaining-subscription-global-reads", 250),
    ("x-ms-ratelimit-remaining-subscription-writes", "x-ms-ratelimit-remaining-subscription-global-writes", 200),
    ("x-ms-ratelimit-remaining-subscription-deletes", "x-ms-ratelimit-remaining-subscription-global-deletes", 200),
];
/// The same outside of subscriptions.
const TENANT: [&str; 3] = [
    "x-ms-ratelimit-remaining-tenant-reads",
    "x-ms-ratelimit-remaining-tenant-writes",
    "x-ms-ratelimit-remaining-tenant-deletes",
];
/// How many buckets of one principal that of a whole subscription is.
const PRINCIPALS: u32 = 15;
