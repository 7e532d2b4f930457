//! Devices that register themselves over HTTPS (reference: iot-hub-and-dps.md A.2).

use super::reply::{Reply, location};
use super::request::{Call, method_not_allowed, shown};
use crate::registration;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::provisioning::{OperationStatus, RegisterRequest};
use http::Method;
use http::header::{LOCATION, RETRY_AFTER};

/// Answers a request.
pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    let segments = call.segments()?;
    let [id_scope, _registrations, registration_id, rest @ ..] = segments.as_slice() else { return Err(unknown(call)) };
    let caller = RegisterRequest {
        id_scope: id_scope.clone(),
        registration_id: registration_id.clone(),
        api_version: call.query("api-version").map(str::to_owned),
        authorization: call.authorization().map(str::to_owned),
        peer_chain: call.peer_chain.to_vec(),
        csr: None,
        payload: None,
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match rest.as_slice() {
        [word] if word.eq_ignore_ascii_case("register") => {
            expect(call, &Method::PUT)?;
            let request = registration::request(&call.body, caller)?;
            let status = service.provisioning.register(request).await?;
            let path = format!("/{id_scope}/registrations/{registration_id}/register");
            Ok(reply(status).with(LOCATION, location(call, &path)))
        }
        [word, operation_id] if word.eq_ignore_ascii_case("operations") => {
            expect(call, &Method::GET)?;
            Ok(reply(service.provisioning.operation_status(registration::caller(&caller), operation_id).await?))
        }
        [] => {
            expect(call, &Method::POST)?;
            let request = registration::request(&call.body, caller)?;
            let found =
                service.provisioning.registration_lookup(registration::caller(&request), request.csr.is_some()).await?;
            Ok(Reply::json_with_etag(200, &found))
        }
        [.., word] if ["getdeviceupdate", "reportdeviceupdatestatus"].contains(&word.to_ascii_lowercase().as_str()) => {
            Err(Error::not_implemented("Device Update is not built.").with_iot_code(501_000))
        }
        _ => Err(unknown(call)),
    }
}

fn reply(status: OperationStatus) -> Reply {
    let (code, retry_after, body) = registration::answer(status);
    let reply = Reply::json(code, &body);
    match retry_after {
        Some(seconds) => reply.with(RETRY_AFTER, seconds.to_string()),
        None => reply,
    }
}

fn expect(call: &Call, method: &Method) -> Result<()> {
    if call.method == *method { Ok(()) } else { Err(method_not_allowed(call, method.as_str())) }
}

fn unknown(call: &Call) -> Error {
    Error::not_found(format!(
        "The provisioning service has nothing at '{}'. Devices use PUT /{{idScope}}/registrations/{{registrationId}}/register and GET .../operations/{{operationId}}.",
        shown(&call.path)
    ))
}
