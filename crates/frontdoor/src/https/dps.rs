//! Devices that register themselves over HTTPS (reference: iot-hub-and-dps.md A.2).

use super::reply::{Reply, location};
use super::request::{Call, method_not_allowed, shown};
use crate::registration;
use ferrohub_model::api_version;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::provisioning::{OperationStatus, RegisterRequest, TpmChallenge};
use ferrohub_service::route::{Found, RouteInfo, Row, Table, Wants};
use futures_util::future::BoxFuture;
use http::Method;
use http::header::{LOCATION, RETRY_AFTER};
use serde_json::{Value, json};

type Run = for<'a> fn(&'a Service, &'a Call, RegisterRequest, &'a [String]) -> BoxFuture<'a, Result<Reply>>;

const fn row(method: &'static str, path: &'static str, run: Run) -> Row<Run> {
    Row { method, path, wants: Wants::Device, run }
}

const DEVICE: &str = "/{idScope}/registrations/{registrationId}";

static ROUTES: Table<Run> = Table::new(&[
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
]);

/// The routes of a provisioning service for devices.
pub(super) fn routes() -> Vec<RouteInfo> {
    ROUTES.info("dps-device")
}

/// What a device asks for, and as whom.
pub(super) struct Asked {
    proven: bool,
    found: Result<(Run, Vec<String>)>,
    caller: Option<RegisterRequest>,
}

/// Reads the head of a request.
pub(super) fn asked(call: &Call) -> Result<Asked> {
    let segments = call.segments()?;
    let found = match ROUTES.find(call.method.as_str(), &segments) {
        Found::Row(row, path) => Ok((row.run, path)),
        Found::OtherMethods(methods) => Err(method_not_allowed(call, &methods.join(", "))),
        Found::Nothing => Err(unknown(call)),
    };
    let caller = match segments.as_slice() {
        [id_scope, _, registration_id, ..] => Some(caller(call, id_scope, registration_id)),
        _ => None,
    };
    Ok(Asked { proven: false, found, caller })
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
        tpm: None,
        payload: None,
    }
}

impl Asked {
    /// What its key is guessed for.
    pub(super) fn name(&self) -> String {
        self.caller
            .as_ref()
            .map_or_else(String::new, |caller| format!("{}/{}", caller.id_scope, caller.registration_id))
    }

    /// Goes on only if the device proves who it is, also where there is nothing for it. What it asks for proves it again, as
    /// the service stands then.
    pub(super) async fn prove(self, service: &Service) -> Result<Self> {
        if let Some(caller) = &self.caller {
            let proven = service.provisioning.authenticate_device(registration::caller(caller)).await;
            if let Err(error) = &proven {
                service.note_refused(&caller.registration_id, &caller.id_scope, caller.peer.address, error);
            }
            proven?;
        }
        Ok(Self { proven: true, ..self })
    }

    /// Whether its head said who it is.
    pub(super) fn is_proven(&self) -> bool {
        self.proven
    }

    /// Whether it registers without credentials and is enrolled with a TPM, so that its body is read for a challenge.
    pub(super) async fn may_be_challenged(&self, service: &Service, call: &Call) -> Result<bool> {
        let Some(caller) = self.caller.as_ref().filter(|_| self.found.is_ok() && call.method == Method::PUT) else {
            return Ok(false);
        };
        service.provisioning.may_be_challenged(&registration::caller(caller)).await
    }

    /// Answers the request.
    pub(super) async fn handle(self, service: &Service, call: &Call) -> Result<Reply> {
        let (run, path) = self.found?;
        api_version::PROVISIONING.check(call.query("api-version"))?;
        let Some(caller) = self.caller else { return Err(unknown(call)) };
        run(service, call, caller, &path).await
    }
}

async fn register(service: &Service, call: &Call, caller: RegisterRequest, path: &[String]) -> Result<Reply> {
    let request = registration::request(&call.body, caller)?;
    if let Some(challenge) = service.provisioning.tpm_challenge(&request).await? {
        return Ok(Reply::json(401, &challenged(&challenge)));
    }
    let status = service.provisioning.register(request).await?;
    let path = format!("/{}/registrations/{}/register", path[0], path[1]);
    Ok(reply(status).with(LOCATION, location(call, &path)))
}

/// What a device reads that has to prove its TPM (reference: iot-hub-and-dps.md A.6).
fn challenged(challenge: &TpmChallenge) -> Value {
    json!({
        "errorCode": 401_002,
        "message": "Authorization required.",
        "authenticationKey": challenge.authentication_key,
        "keyName": challenge.key_name,
    })
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
