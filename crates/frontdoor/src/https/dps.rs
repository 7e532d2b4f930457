//! Devices that register themselves over HTTPS (reference: iot-hub-and-dps.md A.2).

use super::reply::{Reply, location};
use super::request::{Call, method_not_allowed, shown};
use crate::registration;
use ferrohub_model::api_version;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::provisioning::{OperationStatus, RegisterRequest};
use ferrohub_service::route::{self, Found, RouteInfo, Row, Wants};
use futures_util::future::BoxFuture;
use http::header::{LOCATION, RETRY_AFTER};

type Run = for<'a> fn(&'a Service, &'a Call, RegisterRequest, &'a [String]) -> BoxFuture<'a, Result<Reply>>;

const fn row(method: &'static str, path: &'static str, run: Run) -> Row<Run> {
    Row { method, path, wants: Wants::Device, run }
}

const DEVICE: &str = "/{idScope}/registrations/{registrationId}";

static ROUTES: &[Row<Run>] = &[
    row("PUT", "/{idScope}/registrations/{registrationId}/register", |service, call, caller, path| {
        Box::pin(register(service, call, caller, path))
    }),
    row("GET", "/{idScope}/registrations/{registrationId}/operations/{operationId}", |service, _, caller, path| {
        Box::pin(poll(service, caller, &path[2]))
    }),
    row("POST", DEVICE, |service, call, caller, _| Box::pin(look_up(service, call, caller))),
    row("*", "/{idScope}/registrations/{registrationId}/getDeviceUpdate", |service, _, caller, _| {
        Box::pin(device_update(service, caller))
    }),
    row("*", "/{idScope}/registrations/{registrationId}/onboarding/getDeviceUpdate", |service, _, caller, _| {
        Box::pin(device_update(service, caller))
    }),
    row("*", "/{idScope}/registrations/{registrationId}/reportDeviceUpdateStatus", |service, _, caller, _| {
        Box::pin(device_update(service, caller))
    }),
];

/// The routes of a provisioning service for devices.
pub(super) fn routes() -> Vec<RouteInfo> {
    route::info("dps-device", ROUTES)
}

/// Answers a request. Who asks is proven first, also where there is nothing for them.
pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    let segments = call.segments()?;
    let (run, path) = match route::find(ROUTES, call.method.as_str(), &segments) {
        Found::Row(row, path) => (row.run, path),
        Found::OtherMethods(methods) => {
            attest(service, call, &segments).await?;
            return Err(method_not_allowed(call, &methods.join(", ")));
        }
        Found::Nothing => {
            attest(service, call, &segments).await?;
            return Err(unknown(call));
        }
    };
    api_version::PROVISIONING.check(call.query("api-version"))?;
    let caller = caller(call, &path[0], &path[1]);
    run(service, call, caller, &path).await
}

async fn attest(service: &Service, call: &Call, segments: &[String]) -> Result<()> {
    let [id_scope, _, registration_id, ..] = segments else { return Ok(()) };
    let caller = caller(call, id_scope, registration_id);
    service.provisioning.authenticate_device(registration::caller(&caller)).await.map(drop)
}

fn caller(call: &Call, id_scope: &str, registration_id: &str) -> RegisterRequest {
    RegisterRequest {
        id_scope: id_scope.to_owned(),
        registration_id: registration_id.to_owned(),
        api_version: call.query("api-version").map(str::to_owned),
        authorization: call.authorization().map(str::to_owned),
        peer_chain: call.client.chain.clone(),
        peer: call.client.peer,
        csr: None,
        payload: None,
    }
}

async fn register(service: &Service, call: &Call, caller: RegisterRequest, path: &[String]) -> Result<Reply> {
    let request = registration::request(&call.body, caller)?;
    let status = service.provisioning.register(request).await?;
    let path = format!("/{}/registrations/{}/register", path[0], path[1]);
    Ok(reply(status).with(LOCATION, location(call, &path)))
}

async fn poll(service: &Service, caller: RegisterRequest, operation_id: &str) -> Result<Reply> {
    Ok(reply(service.provisioning.operation_status(registration::caller(&caller), operation_id).await?))
}

async fn look_up(service: &Service, call: &Call, caller: RegisterRequest) -> Result<Reply> {
    let request = registration::request(&call.body, caller)?;
    let found = service.provisioning.registration_lookup(registration::caller(&request), request.csr.is_some()).await?;
    Ok(Reply::json_with_etag(200, &found))
}

async fn device_update(service: &Service, caller: RegisterRequest) -> Result<Reply> {
    service.provisioning.authenticate_device(registration::caller(&caller)).await?;
    Err(Error::not_implemented("Device Update is not built.").with_iot_code(501_000))
}

fn reply(status: OperationStatus) -> Reply {
    let (code, retry_after, body) = registration::answer(status);
    let reply = Reply::json(code, &body);
    match retry_after {
        Some(seconds) => reply.with(RETRY_AFTER, seconds.to_string()),
        None => reply,
    }
}

fn unknown(call: &Call) -> Error {
    Error::not_found(format!(
        "The provisioning service has nothing at '{}'. Devices use PUT /{{idScope}}/registrations/{{registrationId}}/register and GET .../operations/{{operationId}}.",
        shown(&call.path)
    ))
}
