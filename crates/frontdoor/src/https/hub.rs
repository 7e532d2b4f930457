//! A hub's service API: identities, twins, queries (reference: iot-hub-and-dps.md C.1).

use super::hub_call::HubCall;
use super::reply::Reply;
use super::request::{Call, method_not_allowed, shown};
use ferrohub_model::api_version;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::authz::Actor;
use ferrohub_service::hub::{ClientId, DeviceLogin, HubRef};
use ferrohub_service::route::{Found, RouteInfo, Row, Table, Wants};
use ferrohub_wire::sas_token::SasToken;
use futures_util::future::BoxFuture;

/// What answers a route.
enum Run {
    /// A method of the hub.
    Call(for<'a> fn(&'a HubCall<'a>, &'a [String]) -> BoxFuture<'a, Result<Reply>>),
    /// IoT Hub has it and Ferrohub does not.
    NotBuilt(&'static str),
}

const fn call(
    method: &'static str,
    path: &'static str,
    run: for<'a> fn(&'a HubCall<'a>, &'a [String]) -> BoxFuture<'a, Result<Reply>>,
) -> Row<Run> {
    Row { method, path, wants: Wants::PolicyOrBearer, run: Run::Call(run) }
}

const fn not_built(method: &'static str, path: &'static str, sentence: &'static str) -> Row<Run> {
    Row { method, path, wants: Wants::Known, run: Run::NotBuilt(sentence) }
}

/// The same for what devices use, who prove themselves as devices.
const fn not_built_for_devices(path: &'static str, sentence: &'static str) -> Row<Run> {
    Row { method: "*", path, wants: Wants::Device, run: Run::NotBuilt(sentence) }
}

const CONFIGURATIONS: &str = "Configurations and IoT Edge deployments are not built.";
const METHODS: &str = "Direct methods are not built; use desired properties.";
const TO_DEVICES: &str = "Cloud-to-device messages and their feedback are not built; use desired properties.";

static ROUTES: Table<Run> = Table::new(&[
    call("POST", "/devices/query", |at, _| Box::pin(at.query())),
    call("GET", "/devices", |at, _| Box::pin(at.list_devices())),
    call("POST", "/devices", |at, _| Box::pin(at.bulk())),
    call("POST", "/devices/keys/regenerate", |at, _| Box::pin(at.regenerate_keys())),
    call("GET", "/devices/{id}", |at, path| Box::pin(at.get_device(&path[0]))),
    call("PUT", "/devices/{id}", |at, path| Box::pin(at.put_device(&path[0]))),
    call("DELETE", "/devices/{id}", |at, path| Box::pin(at.delete_device(&path[0]))),
    call("GET", "/twins/{id}", |at, path| Box::pin(at.get_twin(path[0].as_str().into()))),
    call("PATCH", "/twins/{id}", |at, path| Box::pin(at.patch_twin(path[0].as_str().into()))),
    call("PUT", "/twins/{id}", |at, path| Box::pin(at.put_twin(path[0].as_str().into()))),
    call("GET", "/devices/{id}/modules", |at, path| Box::pin(at.list_modules(&path[0]))),
    not_built("*", "/devices/{id}/modules/{module}/devicesAndModulesInDeviceScope", CONFIGURATIONS),
    call("GET", "/devices/{id}/modules/{module}", |at, path| Box::pin(at.get_module(module(path)))),
    call("PUT", "/devices/{id}/modules/{module}", |at, path| Box::pin(at.put_module(module(path)))),
    call("DELETE", "/devices/{id}/modules/{module}", |at, path| Box::pin(at.delete_module(module(path)))),
    call("GET", "/twins/{id}/modules/{module}", |at, path| Box::pin(at.get_twin(module(path)))),
    call("PATCH", "/twins/{id}/modules/{module}", |at, path| Box::pin(at.patch_twin(module(path)))),
    call("PUT", "/twins/{id}/modules/{module}", |at, path| Box::pin(at.put_twin(module(path)))),
    call("GET", "/statistics/devices", |at, _| Box::pin(at.device_statistics())),
    call("GET", "/statistics/service", |at, _| Box::pin(at.service_statistics())),
    not_built_for_devices("/devices/{id}/files/**", "File upload is not built."),
    not_built_for_devices(
        "/devices/{id}/messages/deviceBound/**",
        "Cloud-to-device messages are not built; use desired properties.",
    ),
    not_built_for_devices(
        "/devices/{id}/messages/events",
        "Telemetry over HTTPS is not built; send it with MQTT over TLS on port 8883.",
    ),
    not_built("*", "/devices/{id}/commands", TO_DEVICES),
    not_built("*", "/messages/**", TO_DEVICES),
    not_built("*", "/devices/{id}/applyConfigurationContent", CONFIGURATIONS),
    not_built("*", "/configurations/**", CONFIGURATIONS),
    not_built("*", "/twins/{id}/methods", METHODS),
    not_built("*", "/twins/{id}/modules/{module}/methods", METHODS),
    not_built(
        "*",
        "/jobs/v2/**",
        "Jobs over many devices are not built; change twins one by one with PATCH /twins/{id}.",
    ),
    not_built(
        "*",
        "/jobs/**",
        "The import and export of devices, and their jobs, are not built; read and write them one by one with /devices/{id}.",
    ),
    not_built("*", "/digitaltwins/**", "The digital twin API is not built; use GET and PATCH /twins/{id}."),
]);

/// The module of a path with a device's id and a module's.
fn module(path: &[String]) -> ClientId<'_> {
    ClientId::module(&path[0], &path[1])
}

/// The routes of a hub.
pub(super) fn routes() -> Vec<RouteInfo> {
    ROUTES.info("hub")
}

/// The hub that is meant, and who asks. That is proven first: a stranger does not learn what there is.
pub(super) async fn admit(service: &Service, call: &Call) -> Result<(HubRef, Actor)> {
    let hub = service.hub.by_request(&call.host(), call.authorization(), call.client.peer).await?;
    let segments = call.segments();
    let found = segments.as_ref().map(|segments| ROUTES.find(call.method.as_str(), segments));
    if let Ok(Found::Row(Row { wants: Wants::Device, run: Run::NotBuilt(what), .. }, path)) = &found
        && is_device(call)
    {
        service.hub.attest(&login(call, &hub, &path[0])).await?;
        return Err(Error::not_implemented(*what).with_iot_code(501_000));
    }
    let actor = service.hub.authenticate(&hub, call.authorization()).await?;
    Ok((hub, actor))
}

/// Answers a request of `actor` at `hub`.
pub(super) async fn handle(service: &Service, call: &Call, hub: HubRef, actor: Actor) -> Result<Reply> {
    api_version::HUB.check(call.query("api-version"))?;
    call.without_options()?;
    let segments = call.segments()?;
    let at = HubCall { service, call, hub, actor };
    match ROUTES.find(call.method.as_str(), &segments) {
        Found::Row(Row { run: Run::Call(run), .. }, path) => run(&at, &path).await,
        Found::Row(Row { run: Run::NotBuilt(what), .. }, _) => {
            Err(Error::not_implemented(*what).with_iot_code(501_000))
        }
        Found::OtherMethods(methods) => Err(method_not_allowed(call, &methods.join(", "))),
        Found::Nothing => Err(unknown(call)),
    }
}

/// Whether the request shows what only devices have: a token without a policy, or a certificate and no token.
fn is_device(call: &Call) -> bool {
    match call.authorization().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => SasToken::parse(text).is_ok_and(|token| token.policy.is_none()),
        None => !call.client.chain.is_empty(),
    }
}

fn login(call: &Call, hub: &HubRef, device_id: &str) -> DeviceLogin {
    DeviceLogin {
        model_id: None,
        host: hub.host.clone(),
        device_id: device_id.to_owned(),
        module_id: None,
        token: call.authorization().map(str::to_owned),
        peer_chain: call.client.chain.clone(),
        peer: call.client.peer,
    }
}

fn unknown(call: &Call) -> Error {
    Error::not_found(format!(
        "A hub has nothing at '{}'. It serves /devices, /twins, /statistics and POST /devices/query.",
        shown(&call.path)
    ))
    .with_iot_code(404_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_says_so() {
        for (path, word) in [
            ("twins/d/methods", "methods"),
            ("twins/d/modules/m/methods", "methods"),
            ("devices/d/modules/m/devicesAndModulesInDeviceScope", "Edge"),
            ("jobs/v2/query", "Jobs"),
            ("jobs/create", "export of devices"),
            ("jobs", "import"),
            ("configurations", "Configurations"),
            ("devices/d/files", "File"),
            ("devices/d/messages/events", "MQTT"),
            ("devices/d/messages/devicebound", "Cloud-to-device"),
            ("messages/serviceBound/feedback", "feedback"),
            ("digitaltwins/d", "digital twin"),
        ] {
            let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
            match ROUTES.find("GET", &segments) {
                Found::Row(Row { run: Run::NotBuilt(what), .. }, _) => assert!(what.contains(word), "{path}: {what}"),
                _ => panic!("{path} is built, or unknown"),
            }
        }
        for path in ["devices/d", "twins/d"] {
            let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
            assert!(matches!(
                ROUTES.find("GET", &segments),
                Found::Row(Row { run: Run::Call(_), .. }, id) if id == ["d"]
            ));
            assert!(matches!(ROUTES.find("POST", &segments), Found::OtherMethods(_)));
        }
        for (method, path, ids) in [
            ("GET", "devices", &[][..]),
            ("POST", "devices", &[]),
            ("POST", "devices/query", &[]),
            ("GET", "devices/query", &["query"]),
            ("GET", "devices/d/modules", &["d"]),
            ("PUT", "devices/d/modules/m", &["d", "m"]),
            ("GET", "twins/d/modules/m", &["d", "m"]),
        ] {
            let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
            assert!(
                matches!(ROUTES.find(method, &segments), Found::Row(Row { run: Run::Call(_), .. }, found) if found == ids),
                "{method} {path}"
            );
        }
    }
}
