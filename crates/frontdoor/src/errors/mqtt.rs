//! Errors on MQTT: CONNACK return codes, and the status in a twin answer's topic.

use super::Trace;
use ferrohub_model::error::{Error, ErrorKind};
use ferrohub_model::renewal::RenewalFailure;
use ferrohub_model::time::{nanoseconds, rfc3339};
use ferrohub_service::hub::renewal_code;
use ferrohub_wire::mqtt::ConnectReturnCode;
use serde_json::{Value, json};
use uuid::Uuid;

/// `InvalidProtocolVersion`: an api-version that is not served.
const UNKNOWN_VERSION: u32 = 400_001;

/// The verdict on a CONNECT that failed (MQTT 3.1.1, table 3.1). The SDKs try again for ever after "server unavailable" and give up after
/// all others, so that is only said of what passes.
pub(crate) fn connect_code(error: &Error) -> ConnectReturnCode {
    if error.numeric_code() == UNKNOWN_VERSION {
        return ConnectReturnCode::UnacceptableProtocol;
    }
    match error.kind {
        ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::UnsupportedMedia => {
            ConnectReturnCode::BadUserNameOrPassword
        }
        ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Throttled => ConnectReturnCode::ServerUnavailable,
        ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Conflict
        | ErrorKind::PreconditionFailed
        | ErrorKind::NotImplemented => ConnectReturnCode::NotAuthorized,
    }
}

/// The status of a twin answer: 400 for a document that breaks a rule or limit, 429 and 5xx as they are
/// (reference: iot-hub-and-dps.md D.2).
pub(crate) fn twin_status(error: &Error) -> u16 {
    match error.kind {
        ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::UnsupportedMedia => 400,
        _ => error.http_status(),
    }
}

/// Status and body of a refused certificate request, with what is told beside it (reference: certificates.md section 3).
pub(crate) fn credential_refusal(error: &Error, info: Option<Value>, trace: &Trace) -> (u16, Value) {
    let body = credential_body(renewal_code(error), &error.message, info, error.retry_after_seconds, trace);
    (twin_status(error), body)
}

/// Status and body of a certificate request that was accepted and then failed.
pub(crate) fn credential_failure(failure: &RenewalFailure, correlation_id: Uuid, trace: &Trace) -> (u16, Value) {
    let mut info = json!({ "correlationId": correlation_id });
    if let Some((code, message)) = &failure.credential {
        info["credentialError"] = code.as_str().into();
        info["credentialMessage"] = message.as_str().into();
    }
    let body = credential_body(failure.code, &failure.message, Some(info), failure.retry_after_seconds, trace);
    (failure.status, body)
}

fn credential_body(code: u32, message: &str, info: Option<Value>, retry_after: Option<u32>, trace: &Trace) -> Value {
    let at = nanoseconds(trace.at);
    let mut body = json!({
        "errorCode": code,
        "message": message,
        "trackingId": format!("{}-G2:-TimeStamp:{at}", trace.tracking_id().to_ascii_uppercase()),
        "timestampUtc": at,
        "info": info
    });
    if let Some(seconds) = retry_after {
        body["retryAfter"] = seconds.into();
    }
    body
}

/// The body of a refused twin request.
pub(crate) fn body(error: &Error, trace: &Trace) -> Value {
    json!({
        "errorCode": error.numeric_code(),
        "trackingId": trace.tracking_id(),
        "message": error.message,
        "timestampUtc": rfc3339(trace.at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_codes() {
        let cases = [
            (Error::invalid("user name"), ConnectReturnCode::BadUserNameOrPassword),
            (Error::unauthenticated("signature"), ConnectReturnCode::NotAuthorized),
            (Error::not_found("device"), ConnectReturnCode::NotAuthorized),
            (Error::forbidden("disabled"), ConnectReturnCode::NotAuthorized),
            (Error::unavailable("queue", 1), ConnectReturnCode::ServerUnavailable),
            (Error::internal("disk"), ConnectReturnCode::ServerUnavailable),
            (Error::not_implemented("modules"), ConnectReturnCode::NotAuthorized),
            (ferrohub_model::api_version::HUB.check(Some("x")).unwrap_err(), ConnectReturnCode::UnacceptableProtocol),
        ];
        for (error, code) in cases {
            assert_eq!(connect_code(&error), code, "{error}");
        }
    }

    #[test]
    fn bodies_of_certificate_requests() {
        let trace = Trace { request_id: Uuid::from_u128(0xab), at: "2026-01-31T00:49:39.467401528Z".parse().unwrap() };
        let (status, body) = credential_refusal(&Error::unavailable("busy", 5), None, &trace);
        let id = "000000000000000000000000000000AB-G2:-TimeStamp:2026-01-31T00:49:39.467401528Z";
        let wanted = json!({
            "errorCode": 503_001, "message": "busy", "trackingId": id, "timestampUtc": "2026-01-31T00:49:39.467401528Z",
            "info": null, "retryAfter": 5
        });
        assert_eq!((status, body), (503, wanted));
        let error = Error::conflict("pending").with_iot_code(409_004);
        let (status, body) = credential_refusal(&error, Some(json!({"requestId": "abcd"})), &trace);
        assert_eq!((status, &body["errorCode"], &body["info"]), (409, &json!(409_004), &json!({"requestId": "abcd"})));
        assert!(body.get("retryAfter").is_none());
        assert_eq!(credential_refusal(&Error::internal("x"), None, &trace).1["errorCode"], 500_001);
        let failure = RenewalFailure {
            status: 400,
            code: 400_037,
            message: "bad".into(),
            credential: Some(("400000".into(), "bad".into())),
            retry_after_seconds: None,
        };
        let (status, body) = credential_failure(&failure, Uuid::nil(), &trace);
        assert_eq!((status, &body["errorCode"]), (400, &json!(400_037)));
        assert_eq!(
            body["info"],
            json!({"correlationId": Uuid::nil(), "credentialError": "400000", "credentialMessage": "bad"})
        );
    }

    #[test]
    fn twin_statuses() {
        assert_eq!(twin_status(&Error::invalid("json")), 400);
        assert_eq!(twin_status(&Error::new(ErrorKind::TooLarge, "RequestTooLarge", "big")), 400);
        assert_eq!(twin_status(&Error::new(ErrorKind::Throttled, "TooManyRequests", "slow")), 429);
        assert_eq!(twin_status(&Error::unavailable("busy", 1)), 503);
        assert_eq!(twin_status(&Error::internal("x")), 500);
    }
}
