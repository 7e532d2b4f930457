//! Errors on MQTT: CONNACK return codes, and the status in a twin answer's topic.

use super::Trace;
use ferrohub_model::error::{Error, ErrorKind};
use ferrohub_model::time::rfc3339;
use ferrohub_wire::mqtt::ConnectReturnCode;
use serde_json::{Value, json};

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

/// The body of a refused twin or credential request.
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
    fn twin_statuses() {
        assert_eq!(twin_status(&Error::invalid("json")), 400);
        assert_eq!(twin_status(&Error::new(ErrorKind::TooLarge, "RequestTooLarge", "big")), 400);
        assert_eq!(twin_status(&Error::new(ErrorKind::Throttled, "TooManyRequests", "slow")), 429);
        assert_eq!(twin_status(&Error::unavailable("busy", 1)), 503);
        assert_eq!(twin_status(&Error::internal("x")), 500);
    }
}
