//! The upgrade to WebSocket, behind which devices speak MQTT (reference: iot-hub-and-dps.md A.7, D.1). Who they are is proven by
//! their CONNECT.

use super::nothing_here;
use super::reply::Reply;
use super::request::{Call, method_not_allowed, shown};
use ferrohub_model::error::{Error, Result};
use ferrohub_service::route::{Found, RouteInfo, Row, Table, Wants};
use ferrohub_wire::websocket::accept_key;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, Version};

/// The version of RFC 6455.
const VERSION: &str = "13";
/// The sub-protocol of MQTT (MQTT 3.1.1, 6).
const MQTT: &str = "mqtt";

/// A path at which WebSocket is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Of MQTT, whatever the name of the host.
    Mqtt,
    /// Of AMQP, which is not built.
    Amqp,
    /// The root, where it is only for those who ask for WebSocket: C# devices do so at a provisioning service.
    Root,
}

static ROUTES: Table<Place> = Table::new(&[
    row("/$iothub/websocket", Place::Mqtt),
    row("/$servicebus/websocket", Place::Amqp),
    row("/", Place::Root),
]);

const fn row(path: &'static str, run: Place) -> Row<Place> {
    Row { method: "GET", path, wants: Wants::Nothing, run }
}

/// The routes of this plane.
pub(super) fn routes() -> Vec<RouteInfo> {
    ROUTES.info("websocket")
}

/// What is served at a path, if WebSocket is asked for there.
pub(super) fn place(segments: &[&str]) -> Option<Place> {
    ROUTES.at(segments).map(|row| row.run)
}

/// An upgrade that was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Upgrade {
    /// The client wants its certificate not to count (`iothub-no-client-cert=true`).
    pub(super) without_certificate: bool,
}

/// Whether a request asks for WebSocket.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    names(headers, &UPGRADE).any(|name| name.eq_ignore_ascii_case("websocket"))
}

/// Answers a request for `/$iothub/websocket` or one of its siblings. `None` beside the answer: it stays HTTP.
///
/// # Errors
/// `MethodNotAllowed`, `Invalid` with what is missing, `NotImplemented` for AMQP.
pub(super) fn answer(call: &Call, version: Version) -> Result<(Reply, Option<Upgrade>)> {
    let headers = &call.headers;
    match ROUTES.find(call.method.as_str(), &call.segments()?) {
        Found::Row(Row { run: Place::Mqtt | Place::Root, .. }, _) => {}
        Found::Row(Row { run: Place::Amqp, .. }, _) => return Err(amqp()),
        Found::OtherMethods(methods) => return Err(method_not_allowed(call, &methods.join(", "))),
        Found::Nothing => return Err(nothing_here(call)),
    }
    let connection = names(headers, &CONNECTION).any(|name| name.eq_ignore_ascii_case("upgrade"));
    if !is_asked(headers) || !connection || version < Version::HTTP_11 {
        return Err(invalid(
            "MQTT over WebSocket is served here: send a GET with 'Connection: Upgrade' and 'Upgrade: websocket' over HTTP/1.1.",
        ));
    }
    if headers.contains_key(http::header::TRANSFER_ENCODING)
        || call.header("content-length").is_some_and(|length| length != "0")
    {
        return Err(invalid("A request for WebSocket has no body."));
    }
    if call.header("sec-websocket-version") != Some(VERSION) {
        let error =
            invalid("Only version 13 of WebSocket (RFC 6455) is spoken here: send 'Sec-WebSocket-Version: 13'.");
        let body = crate::errors::hub::body(&error, &call.trace);
        return Ok((Reply::json(426, &body).with(SEC_WEBSOCKET_VERSION, VERSION).with(UPGRADE, "websocket"), None));
    }
    let key = headers.get_all(SEC_WEBSOCKET_KEY).iter().collect::<Vec<_>>();
    let accept = match key.as_slice() {
        [key] => key.to_str().ok().and_then(accept_key),
        _ => None,
    };
    let Some(accept) = accept else {
        return Err(invalid("The Sec-WebSocket-Key header must be there once, with 16 bytes in base64."));
    };
    let reply = Reply::empty(101)
        .with(CONNECTION, "Upgrade")
        .with(UPGRADE, "websocket")
        .with(SEC_WEBSOCKET_ACCEPT, accept)
        .with(SEC_WEBSOCKET_PROTOCOL, protocol(headers)?);
    let without_certificate =
        call.query("iothub-no-client-cert").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    Ok((reply, Some(Upgrade { without_certificate })))
}

/// The offered sub-protocol that is spoken here, as the client spelled it.
fn protocol(headers: &HeaderMap) -> Result<String> {
    let offered = || names(headers, &SEC_WEBSOCKET_PROTOCOL);
    if let Some(mqtt) = offered().find(|name| name.eq_ignore_ascii_case(MQTT)) {
        return Ok(mqtt.to_owned());
    }
    if offered().any(|name| name.to_ascii_uppercase().starts_with("AMQP")) {
        return Err(amqp());
    }
    let all = offered().collect::<Vec<_>>().join(", ");
    Err(invalid(&match all.as_str() {
        "" => "No sub-protocol is offered; send 'Sec-WebSocket-Protocol: mqtt' (MQTT 3.1.1).".to_owned(),
        all => format!("None of the offered sub-protocols ({}) is spoken here; offer 'mqtt' (MQTT 3.1.1).", shown(all)),
    }))
}

/// The names in the lists of a header, which may be there several times.
fn names<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

fn invalid(text: &str) -> Error {
    Error::invalid(text).with_code("ArgumentInvalid").with_iot_code(400_004)
}

fn amqp() -> Error {
    Error::not_implemented(
        "AMQP over WebSocket is not built. Connect with MQTT: over TLS on port 8883, or over WebSocket with the sub-protocol 'mqtt'.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::request::tests::call;
    use http::Method;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    /// A well-formed request with one header changed; an empty value takes the header away.
    fn asked(path: &str, name: &'static str, value: &str) -> Call {
        let mut call = call("GET", "hub1.azure-devices.localhost", path, "");
        for (name, value) in [
            ("connection", "keep-alive, upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
            ("sec-websocket-protocol", "mqtt"),
        ] {
            call.headers.insert(name, value.parse().unwrap());
        }
        call.headers.remove(name);
        if !value.is_empty() {
            call.headers.insert(name, value.parse().unwrap());
        }
        call
    }

    fn header<'a>(reply: &'a Reply, name: &HeaderName) -> Option<&'a str> {
        reply.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn agrees_on_mqtt() {
        for (offered, spoken) in
            [("mqtt", "mqtt"), ("MQTT", "MQTT"), ("mqttv3.1,  mqtt", "mqtt"), ("AMQPWSB10, mqtt", "mqtt")]
        {
            let call = asked("/$iothub/websocket", "sec-websocket-protocol", offered);
            let (reply, upgrade) = answer(&call, Version::HTTP_11).unwrap();
            assert_eq!((reply.status, upgrade), (101, Some(Upgrade { without_certificate: false })));
            assert_eq!(header(&reply, &SEC_WEBSOCKET_PROTOCOL), Some(spoken));
            assert_eq!(header(&reply, &SEC_WEBSOCKET_ACCEPT), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        }
        let call = asked("/$iothub/websocket?iothub-no-client-cert=True", "x", "");
        assert_eq!(answer(&call, Version::HTTP_11).unwrap().1, Some(Upgrade { without_certificate: true }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, value, status, word) in [
            ("connection", "keep-alive", 400, "Connection: Upgrade"),
            ("upgrade", "h2c", 400, "Upgrade: websocket"),
            ("sec-websocket-key", "short", 400, "Sec-WebSocket-Key"),
            ("sec-websocket-key", "", 400, "Sec-WebSocket-Key"),
            ("sec-websocket-protocol", "", 400, "No sub-protocol"),
            ("sec-websocket-protocol", "mqttv3.1", 400, "(mqttv3.1)"),
            ("sec-websocket-protocol", "AMQPWSB10", 501, "AMQP"),
            ("sec-websocket-protocol", "amqp", 501, "AMQP"),
            ("content-length", "4", 400, "no body"),
            ("transfer-encoding", "chunked", 400, "no body"),
        ] {
            let error = answer(&asked("/$iothub/websocket", name, value), Version::HTTP_11).unwrap_err();
            assert_eq!(error.http_status(), status, "{name}: {value}");
            assert!(error.message.contains(word), "{error}");
        }
        assert!(answer(&asked("/", "x", ""), Version::HTTP_10).is_err());
        let error = answer(&asked("/$servicebus/websocket", "x", ""), Version::HTTP_11).unwrap_err();
        assert_eq!(error.http_status(), 501);
        let mut put = asked("/$iothub/websocket", "x", "");
        put.method = Method::PUT;
        assert_eq!(answer(&put, Version::HTTP_11).unwrap_err().http_status(), 405);
    }

    #[test]
    fn another_version_learns_ours() {
        for version in ["", "8", "13, 8"] {
            let call = asked("/$iothub/websocket", "sec-websocket-version", version);
            let (reply, upgrade) = answer(&call, Version::HTTP_11).unwrap();
            assert_eq!((reply.status, upgrade, header(&reply, &SEC_WEBSOCKET_VERSION)), (426, None, Some("13")));
        }
    }
}
