//! A hub's service API: identities and twins (reference: iot-hub-and-dps.md C.1).

use super::reply::Reply;
use super::request::{Call, method_not_allowed, shown};
use ferrohub_model::api_version;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::authz::Actor;
use ferrohub_service::hub::{DeviceLogin, HubRef};
use ferrohub_service::route::{self, Found, RouteInfo, Row, Wants};
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

const MODULES: &str = "Modules are not built; use device identities.";
const CONFIGURATIONS: &str = "Configurations and IoT Edge deployments are not built.";
const TO_DEVICES: &str = "Cloud-to-device messages and their feedback are not built; use desired properties.";

static ROUTES: &[Row<Run>] = &[
    not_built(
        "*",
        "/devices/query",
        "Queries over devices are not built; read one device with GET /devices/{id} and GET /twins/{id}.",
    ),
    call("GET", "/devices/{id}", |at, path| Box::pin(at.get_device(&path[0]))),
    call("PUT", "/devices/{id}", |at, path| Box::pin(at.put_device(&path[0]))),
    call("DELETE", "/devices/{id}", |at, path| Box::pin(at.delete_device(&path[0]))),
    call("GET", "/twins/{id}", |at, path| Box::pin(at.get_twin(&path[0]))),
    call("PATCH", "/twins/{id}", |at, path| Box::pin(at.patch_twin(&path[0]))),
    call("PUT", "/twins/{id}", |at, path| Box::pin(at.put_twin(&path[0]))),
    not_built(
        "POST",
        "/devices",
        "Bulk changes of devices are not built; write them one by one with PUT /devices/{id}.",
    ),
    not_built(
        "*",
        "/devices",
        "Listing devices is not built; read one with GET /devices/{id}, or list the namespace's devices through Resource Manager.",
    ),
    not_built(
        "*",
        "/devices/keys/regenerate",
        "Regenerating device keys in bulk is not built; write new keys with PUT /devices/{id}.",
    ),
    not_built("*", "/devices/{id}/modules/**", MODULES),
    not_built("*", "/twins/{id}/modules/**", MODULES),
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
    not_built("*", "/twins/{id}/methods", "Direct methods are not built; use desired properties."),
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
    not_built("*", "/statistics/**", "Statistics are not built."),
];

/// The routes of a hub.
pub(super) fn routes() -> Vec<RouteInfo> {
    route::info("hub", ROUTES)
}

/// Answers a request. Who asks is proven first: a stranger does not learn what there is.
pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    let hub = service.hub.by_request(&call.host(), call.authorization(), call.client.peer).await?;
    let segments = call.segments();
    let found = segments.as_ref().map(|segments| route::find(ROUTES, call.method.as_str(), segments));
    if let Ok(Found::Row(Row { wants: Wants::Device, run: Run::NotBuilt(what), .. }, path)) = &found
        && is_device(call)
    {
        service.hub.attest(&login(call, &hub, &path[0])).await?;
        return Err(Error::not_implemented(*what).with_iot_code(501_000));
    }
    let actor = service.hub.authenticate(&hub, call.authorization()).await?;
    api_version::HUB.check(call.query("api-version"))?;
    call.without_options()?;
    let at = HubCall { service, call, hub, actor };
    match found.map_err(Clone::clone)? {
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

/// A request at its hub.
struct HubCall<'a> {
    service: &'a Service,
    call: &'a Call,
    hub: HubRef,
    actor: Actor,
}

impl HubCall<'_> {
    async fn get_device(&self, id: &str) -> Result<Reply> {
        Ok(Reply::json_with_etag(200, &self.service.hub.get_device(&self.actor, &self.hub, id).await?))
    }

    async fn put_device(&self, id: &str) -> Result<Reply> {
        let (body, if_match) = (self.call.require_json()?, self.call.header("if-match"));
        let device = self.service.hub.put_device(&self.actor, &self.hub, id, &body, if_match).await?;
        Ok(Reply::json_with_etag(200, &device))
    }

    async fn delete_device(&self, id: &str) -> Result<Reply> {
        self.service.hub.delete_device(&self.actor, &self.hub, id, self.call.header("if-match")).await?;
        Ok(Reply::empty(204))
    }

    async fn get_twin(&self, id: &str) -> Result<Reply> {
        Ok(Reply::json_with_etag(200, &self.service.hub.get_twin(&self.actor, &self.hub, id).await?))
    }

    async fn patch_twin(&self, id: &str) -> Result<Reply> {
        let (body, if_match) = (self.call.require_json()?, self.call.header("if-match"));
        let twin = self.service.hub.patch_twin(&self.actor, &self.hub, id, &body, if_match).await?;
        Ok(Reply::json_with_etag(200, &twin))
    }

    async fn put_twin(&self, id: &str) -> Result<Reply> {
        let (body, if_match) = (self.call.require_json()?, self.call.header("if-match"));
        let twin = self.service.hub.replace_twin(&self.actor, &self.hub, id, &body, if_match).await?;
        Ok(Reply::json_with_etag(200, &twin))
    }
}

fn unknown(call: &Call) -> Error {
    Error::not_found(format!(
        "A hub has nothing at '{}'. It serves /devices/{{id}} and /twins/{{id}}.",
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
            ("devices/query", "Queries"),
            ("devices", "Listing"),
            ("devices/keys/regenerate", "Regenerating"),
            ("twins/d/methods", "methods"),
            ("twins/d/modules/m", "Modules"),
            ("devices/d/modules", "Modules"),
            ("jobs/v2/query", "Jobs"),
            ("jobs/create", "export of devices"),
            ("jobs", "import"),
            ("configurations", "Configurations"),
            ("devices/d/files", "File"),
            ("devices/d/messages/events", "MQTT"),
            ("devices/d/messages/devicebound", "Cloud-to-device"),
            ("messages/serviceBound/feedback", "feedback"),
            ("digitaltwins/d", "digital twin"),
            ("statistics/devices", "Statistics"),
        ] {
            let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
            match route::find(ROUTES, "GET", &segments) {
                Found::Row(Row { run: Run::NotBuilt(what), .. }, _) => assert!(what.contains(word), "{path}: {what}"),
                _ => panic!("{path} is built, or unknown"),
            }
        }
        let bulk = route::find(ROUTES, "POST", &["devices".to_owned()]);
        assert!(matches!(bulk, Found::Row(Row { run: Run::NotBuilt(what), .. }, _) if what.contains("Bulk")));
        for path in ["devices/d", "twins/d"] {
            let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
            assert!(matches!(
                route::find(ROUTES, "GET", &segments),
                Found::Row(Row { run: Run::Call(_), .. }, id) if id == ["d"]
            ));
            assert!(matches!(route::find(ROUTES, "POST", &segments), Found::OtherMethods(_)));
        }
    }
}
