//! An answer before it becomes bytes, and the headers that every answer has.

use super::request::Call;
use super::route::Shape;
use crate::errors::{self, Trace};
use bytes::Bytes;
use ferrohub_model::error::Error;
use ferrohub_model::time::basic;
use ferrohub_wire::etag;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use uuid::Uuid;

/// Content type of every JSON answer.
const JSON: &str = "application/json; charset=utf-8";

/// Bytes that most answers fit into: ours.
const BODY_BYTES: usize = 1024;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Bytes,
    pub(crate) content_type: &'static str,
}

impl Reply {
    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), content_type: "" }
    }

    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: Vec::new(), body: written(body).into(), content_type: JSON }
    }

    /// An answer of another type.
    pub(crate) fn bytes(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), content_type }
    }

    /// A JSON answer whose `etag`, if it has one, stands in the `ETag` header too.
    pub(crate) fn json_with_etag(status: u16, body: &Value) -> Self {
        let reply = Self::json(status, body);
        match body.get("etag").and_then(Value::as_str) {
            Some(tag) => reply.with(ETAG, etag::quoted(tag)),
            None => reply,
        }
    }

    /// The answer with one more header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// An error in the shape of the route it happened on.
    pub(crate) fn error(error: &Error, shape: &Shape, trace: &Trace) -> Self {
        let mut reply = match shape {
            Shape::Arm { base_url, tenant } => {
                let reply = Self::json(error.http_status(), &errors::arm::body(error));
                match errors::arm::challenge(error, base_url, tenant) {
                    Some(challenge) => reply.with(WWW_AUTHENTICATE, challenge),
                    None => reply,
                }
            }
            Shape::OAuth => Self::json(error.http_status(), &errors::oauth::of_error(error, trace)),
            Shape::Hub => Self::json(errors::hub::status(error), &errors::hub::body(error, trace))
                .with(HeaderName::from_static("iothub-errorcode"), errors::hub::name(error)),
            Shape::Dps => Self::json(errors::dps::status(error), &errors::dps::body(error, trace))
                .with(HeaderName::from_static("x-ms-error-code"), error.numeric_code().to_string()),
        };
        if let Some(seconds) = error.retry_after_seconds {
            reply = reply.with(RETRY_AFTER, seconds.to_string());
        }
        reply
    }

    /// The HTTP response, with the headers that every answer has (reference: resource-manager.md, section 8).
    /// `Strict-Transport-Security` is left out on purpose: on `localhost` it would lock a developer's browser
    /// out of every other local program on plain HTTP.
    pub(crate) fn into_response(self, head: &Head) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body.clone()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.reserve(16);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        headers.insert(EXPIRES, HeaderValue::from_static("-1"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if !self.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        let mut set = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        let request_id = head.trace.request_id.to_string();
        let routing = format!("LOCAL:{}:{request_id}", basic(head.trace.at));
        set(HeaderName::from_static("x-ms-request-id"), request_id);
        set(HeaderName::from_static("x-ms-correlation-request-id"), head.correlation_id.to_string());
        set(HeaderName::from_static("x-ms-routing-request-id"), routing);
        if let Some(id) = &head.echo {
            set(HeaderName::from_static("x-ms-client-request-id"), id.clone());
        }
        for (name, value) in self.headers {
            set(name, value);
        }
        response
    }
}

/// A document as JSON text. Into bytes at once: a value's own `to_string` goes through a formatter for every piece.
fn written(body: &Value) -> Vec<u8> {
    let mut text = Vec::with_capacity(BODY_BYTES);
    // A value always has a text, and a vector takes it.
    let _ = serde_json::to_writer(&mut text, body);
    text
}

/// What the headers of an answer repeat from its request.
pub(crate) struct Head {
    pub(crate) trace: Trace,
    pub(crate) correlation_id: Uuid,
    /// The client's own request id, when it wants it back.
    pub(crate) echo: Option<String>,
}

impl Head {
    /// Reads the request's id headers.
    pub(crate) fn of(headers: &http::HeaderMap, trace: Trace) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let wanted = text("x-ms-return-client-request-id").is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
        Self {
            trace,
            correlation_id: text("x-ms-correlation-request-id")
                .and_then(|id| Uuid::parse_str(id).ok())
                .unwrap_or(trace.request_id),
            echo: text("x-ms-client-request-id").filter(|_| wanted).map(|id| id.chars().take(128).collect()),
        }
    }
}

/// The `Location` of something on the host that the client used.
pub(crate) fn location(call: &Call, path: &str) -> String {
    format!("{}{path}", call.base_url())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use jiff::Timestamp;

    fn trace() -> Trace {
        Trace { request_id: Uuid::from_u128(7), at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn ids_on_every_answer_and_the_echo_only_on_demand() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-client-request-id", "mine".parse().unwrap());
        headers.insert("x-ms-correlation-request-id", "00000000-0000-0000-0000-000000000001".parse().unwrap());
        let response = Reply::empty(204).into_response(&Head::of(&headers, trace()));
        assert_eq!(response.headers()["x-ms-request-id"], "00000000-0000-0000-0000-000000000007");
        assert_eq!(response.headers()["x-ms-correlation-request-id"], "00000000-0000-0000-0000-000000000001");
        assert_eq!(
            response.headers()["x-ms-routing-request-id"],
            "LOCAL:19700101T000000Z:00000000-0000-0000-0000-000000000007"
        );
        assert!(!response.headers().contains_key("x-ms-client-request-id"));
        assert!(!response.headers().contains_key("content-type"));
        headers.insert("x-ms-return-client-request-id", "true".parse().unwrap());
        let response = Reply::empty(204).into_response(&Head::of(&headers, trace()));
        assert_eq!(response.headers()["x-ms-client-request-id"], "mine");
    }

    #[test]
    fn each_shape_has_its_body_and_headers() {
        let error = Error::unauthenticated("Unauthorized").with_iot_code(401_002);
        let arm = Reply::error(&error, &Shape::Arm { base_url: "https://h".into(), tenant: "t".into() }, &trace());
        assert_eq!(arm.status, 401);
        assert!(arm.headers.iter().any(|(name, value)| name == WWW_AUTHENTICATE && value.contains("https://h/t")));
        let hub = Reply::error(&error, &Shape::Hub, &trace());
        assert!(
            hub.headers.contains(&(HeaderName::from_static("iothub-errorcode"), "IotHubUnauthorizedAccess".into()))
        );
        assert!(hub.body.starts_with(b"{\"Message\":\"ErrorCode:IotHubUnauthorizedAccess;"));
        let dps = Reply::error(&error, &Shape::Dps, &trace());
        assert!(dps.headers.contains(&(HeaderName::from_static("x-ms-error-code"), "401002".into())));
        let busy = Reply::error(&Error::unavailable("later", 7), &Shape::OAuth, &trace());
        assert_eq!(busy.status, 503);
        assert!(busy.headers.contains(&(RETRY_AFTER, "7".into())));
    }

    #[test]
    fn the_etag_is_quoted_once() {
        let reply = Reply::json_with_etag(200, &serde_json::json!({"etag": "\"AAA=\""}));
        assert!(reply.headers.contains(&(ETAG, "\"AAA=\"".into())));
    }
}
