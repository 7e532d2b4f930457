//! The Device Provisioning Service's error body, the same on HTTPS and MQTT (reference: iot-hub-and-dps.md A.2).

use super::Trace;
use ferrohub_model::error::Error;
use ferrohub_model::time::rfc3339;
use serde_json::{Value, json};

/// `{"errorCode","trackingId","message","timestampUtc"}`.
pub(crate) fn body(error: &Error, trace: &Trace) -> Value {
    json!({
        "errorCode": error.numeric_code(),
        "trackingId": trace.tracking_id(),
        "message": error.message,
        "timestampUtc": rfc3339(trace.at)
    })
}

/// HTTP status, or the status in an MQTT topic: the first three digits of the numeric code.
pub(crate) fn status(error: &Error) -> u16 {
    super::hub::status(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use uuid::Uuid;

    #[test]
    fn numeric_code_and_time() {
        let trace = Trace { request_id: Uuid::from_u128(1), at: Timestamp::UNIX_EPOCH };
        let error = Error::unauthenticated("Unauthorized").with_iot_code(401_002);
        assert_eq!(
            body(&error, &trace),
            json!({
                "errorCode": 401_002,
                "trackingId": "00000000000000000000000000000001",
                "message": "Unauthorized",
                "timestampUtc": "1970-01-01T00:00:00.0000000Z"
            })
        );
        assert_eq!(status(&error), 401);
        assert_eq!(status(&Error::not_found("x").with_iot_code(404_201)), 404);
    }
}
