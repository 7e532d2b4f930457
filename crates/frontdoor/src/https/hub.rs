//! A hub's service API: identities and twins (reference: iot-hub-and-dps.md C.1).

use super::reply::Reply;
use super::request::{Call, method_not_allowed, shown};
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::hub::{HubRef, Right};
use http::Method;

/// Prefix of every data action here.
const ACTIONS: &str = "Microsoft.Devices/IotHubs";

/// Answers a request.
pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    let segments = call.segments()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some((collection, rest)) = segments.split_first() else { return Err(unknown(call)) };
    if let Some(missing) = not_built(&collection.to_ascii_lowercase(), rest, &call.method) {
        return Err(missing);
    }
    let hub = service.hub.by_request(&call.host(), call.authorization()).await?;
    let door = Door { service, call, hub };
    match (collection.to_ascii_lowercase().as_str(), rest) {
        ("devices", [id]) => door.device(id).await,
        ("twins", [id]) => door.twin(id).await,
        _ => Err(unknown(call)),
    }
}

/// A request at its hub.
struct Door<'a> {
    service: &'a Service,
    call: &'a Call,
    hub: HubRef,
}

impl Door<'_> {
    /// Refuses unless the caller has `right`, or `action` below the hub.
    async fn allow(&self, right: Right, action: &str) -> Result<()> {
        let action = format!("{ACTIONS}/{action}");
        self.service.hub.service_caller(&self.hub, self.call.authorization(), right, &action, &self.service.authn).await
    }

    async fn device(&self, id: &str) -> Result<Reply> {
        let (hubs, call) = (&self.service.hub, self.call);
        let if_match = call.header("if-match");
        match call.method {
            Method::GET => {
                self.allow(Right::RegistryRead, "devices/read").await?;
                Ok(Reply::json_with_etag(200, &hubs.get_device(&self.hub, id).await?))
            }
            Method::PUT => {
                self.allow(Right::RegistryWrite, "devices/write").await?;
                Ok(Reply::json_with_etag(200, &hubs.put_device(&self.hub, id, &call.require_json()?, if_match).await?))
            }
            Method::DELETE => {
                self.allow(Right::RegistryWrite, "devices/delete").await?;
                hubs.delete_device(&self.hub, id, if_match).await?;
                Ok(Reply::empty(204))
            }
            _ => Err(method_not_allowed(call, "GET, PUT or DELETE")),
        }
    }

    async fn twin(&self, id: &str) -> Result<Reply> {
        let (hubs, call) = (&self.service.hub, self.call);
        let if_match = call.header("if-match");
        let twin = match call.method {
            Method::GET => {
                self.allow(Right::ServiceConnect, "twins/read").await?;
                hubs.get_twin(&self.hub, id).await?
            }
            Method::PATCH => {
                self.allow(Right::ServiceConnect, "twins/write").await?;
                hubs.patch_twin(&self.hub, id, &call.require_json()?, if_match).await?
            }
            Method::PUT => {
                self.allow(Right::ServiceConnect, "twins/write").await?;
                hubs.replace_twin(&self.hub, id, &call.require_json()?, if_match).await?
            }
            _ => return Err(method_not_allowed(call, "GET, PATCH or PUT")),
        };
        Ok(Reply::json_with_etag(200, &twin))
    }
}

/// The answer for what IoT Hub has and Ferrohub does not.
fn not_built(collection: &str, rest: &[&str], method: &Method) -> Option<Error> {
    let last = rest.last().map(|segment| segment.to_ascii_lowercase()).unwrap_or_default();
    let what = match (collection, rest, last.as_str()) {
        ("devices", [], _) if *method == Method::POST => {
            "Bulk changes of devices are not built; write them one by one with PUT /devices/{id}."
        }
        ("devices", [], _) => {
            "Listing devices is not built; read one with GET /devices/{id}, or list the namespace's devices through Resource Manager."
        }
        ("devices", [_], "query") => {
            "Queries over devices are not built; read one device with GET /devices/{id} and GET /twins/{id}."
        }
        ("devices", ["keys", "regenerate"], _) => {
            "Regenerating device keys in bulk is not built; write new keys with PUT /devices/{id}."
        }
        ("devices", [_, "modules", ..], _) | ("twins", [_, "modules", ..], _) => {
            "Modules are not built; use device identities."
        }
        ("devices", [_, "files", ..], _) => "File upload is not built.",
        ("devices", [_, "messages", bound, ..], _) if bound.eq_ignore_ascii_case("devicebound") => {
            "Cloud-to-device messages are not built; use desired properties."
        }
        ("devices", [_, "messages", _], "events") => {
            "Telemetry over HTTPS is not built; send it with MQTT over TLS on port 8883."
        }
        ("devices", [_, "commands"], _) | ("messages", _, _) => {
            "Cloud-to-device messages and their feedback are not built; use desired properties."
        }
        ("devices", [_, _], "applyconfigurationcontent") | ("configurations", _, _) => {
            "Configurations and IoT Edge deployments are not built."
        }
        ("twins", [_, "methods"], _) => "Direct methods are not built; use desired properties.",
        ("jobs", _, _) => "Jobs are not built; change twins one by one with PATCH /twins/{id}.",
        ("digitaltwins", _, _) => "The digital twin API is not built; use GET and PATCH /twins/{id}.",
        ("statistics", _, _) => "Statistics are not built.",
        _ => return None,
    };
    Some(Error::not_implemented(what).with_iot_code(501_000))
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
        let get = Method::GET;
        for (path, word) in [
            ("devices/query", "Queries"),
            ("twins/d/methods", "methods"),
            ("twins/d/modules/m", "Modules"),
            ("devices/d/modules", "Modules"),
            ("jobs/v2/query", "Jobs"),
            ("configurations", "Configurations"),
            ("devices/d/files", "File"),
            ("devices/d/messages/events", "MQTT"),
            ("devices/d/messages/deviceBound", "Cloud-to-device"),
            ("messages/serviceBound/feedback", "feedback"),
            ("digitaltwins/d", "digital twin"),
            ("statistics/devices", "Statistics"),
        ] {
            let segments: Vec<&str> = path.split('/').collect();
            let error = not_built(segments[0], &segments[1..], &get).unwrap();
            assert_eq!(error.http_status(), 501);
            assert!(error.message.contains(word), "{path}: {error}");
        }
        assert!(not_built("devices", &["d"], &get).is_none());
        assert!(not_built("twins", &["d"], &get).is_none());
    }
}
