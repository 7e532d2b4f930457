//! IoT Hub's error body and `iothub-errorcode` header (reference: iot-hub-and-dps.md C.4 and C.5).

use super::Trace;
use ferrohub_model::error::Error;
use ferrohub_model::time::rfc3339;
use serde_json::{Value, json};

/// From this api-version on `Message` holds a JSON text; older ones have the `ErrorCode:Name;` prefix.
const FIRST_NESTED: &str = "2021-04-12";

/// HTTP status: the first three digits of the numeric code, which IoT services define so.
pub(crate) fn status(error: &Error) -> u16 {
    u16::try_from(error.numeric_code() / 1000)
        .ok()
        .filter(|status| (400..=599).contains(status))
        .unwrap_or_else(|| error.http_status())
}

/// `{"Message","ExceptionMessage"}` in the form of the caller's api-version (missing counts as old).
pub(crate) fn body(error: &Error, trace: &Trace, api_version: Option<&str>) -> Value {
    let message = if api_version.and_then(|version| version.get(..10)).is_some_and(|date| date >= FIRST_NESTED) {
        json!({
            "errorCode": error.numeric_code(),
            "trackingId": tracking(trace),
            "message": error.message,
            "timestampUtc": rfc3339(trace.at),
            "info": null
        })
        .to_string()
    } else {
        format!("ErrorCode:{};{}", name(error), error.message)
    };
    json!({ "Message": message, "ExceptionMessage": format!("Tracking ID:{}", tracking(trace)) })
}

fn tracking(trace: &Trace) -> String {
    format!("{}-G:0-TimeStamp:{}", trace.tracking_id(), trace.at.strftime("%m/%d/%Y %H:%M:%S"))
}

/// The word of the `iothub-errorcode` header.
pub(crate) fn name(error: &Error) -> &'static str {
    let code = error.numeric_code();
    NAMES.iter().find(|(number, _)| *number == code).map_or_else(|| generic(status(error)), |(_, name)| name)
}

fn generic(status: u16) -> &'static str {
    match status {
        400 => "GenericBadRequest",
        401 => "GenericUnauthorized",
        403 => "GenericForbidden",
        404 => "GenericNotFound",
        405 => "GenericMethodNotAllowed",
        409 => "GenericConflict",
        412 => "GenericPreconditionFailed",
        413 => "GenericRequestEntityTooLarge",
        415 => "GenericUnsupportedMediaType",
        429 => "GenericTooManyRequests",
        501 => "NotImplemented",
        503 => "ServiceUnavailable",
        _ => "ServerError",
    }
}

/// Numeric codes with their names (IoT Hub's error table) that the hub can answer with.
const NAMES: &[(u32, &str)] = &[
    (400_001, "InvalidProtocolVersion"),
    (400_003, "InvalidOperation"),
    (400_004, "ArgumentInvalid"),
    (400_005, "ArgumentNull"),
    (400_006, "IotHubFormatError"),
    (400_010, "InvalidSchemaVersion"),
    (400_011, "DeviceDefinedMultipleTimes"),
    (400_012, "DeserializationError"),
    (400_013, "BulkRegistryOperationFailure"),
    (400_023, "EtagDoesNotMatch"),
    (400_024, "RequestTimedOut"),
    (400_026, "NullMessage"),
    (400_027, "ConnectionForcefullyClosedOnNewConnection"),
    (400_028, "InvalidDeviceScope"),
    (400_035, "InvalidPolicyKey"),
    (401_001, "IotHubNotFound"),
    (401_002, "IotHubUnauthorizedAccess"),
    (401_003, "IotHubUnauthorized"),
    (403_001, "IotHubSuspended"),
    (403_002, "IotHubQuotaExceeded"),
    (403_004, "DeviceMaximumQueueDepthExceeded"),
    (403_010, "OperationNotAvailableInCurrentTier"),
    (403_012, "DeviceDisabled"),
    (404_001, "DeviceNotFound"),
    (404_002, "JobNotFound"),
    (404_008, "CertificateNotFound"),
    (404_010, "ModuleNotFound"),
    (404_013, "FeatureNotSupported"),
    (404_103, "DeviceNotOnline"),
    (404_301, "ConfigurationNotFound"),
    (405_102, "OperationNotAllowedInCurrentState"),
    (409_001, "DeviceAlreadyExists"),
    (409_002, "LinkCreationConflict"),
    (409_301, "ModuleAlreadyExistsOnDevice"),
    (412_001, "PreconditionFailed"),
    (412_002, "DeviceMessageLockLost"),
    (413_001, "MessageTooLarge"),
    (413_002, "TooManyDevices"),
    (415_101, "IncompatibleDataType"),
    (429_001, "ThrottlingException"),
    (429_002, "ThrottleBacklogLimitExceeded"),
    (500_001, "ServerError"),
    (503_001, "ServiceUnavailable"),
    (503_005, "ServerBusy"),
    (504_101, "GatewayTimeout"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use uuid::Uuid;

    fn trace() -> Trace {
        Trace { request_id: Uuid::from_u128(0xab), at: Timestamp::UNIX_EPOCH }
    }

    fn missing() -> Error {
        Error::not_found("Device 'x' is not registered.").with_iot_code(404_001)
    }

    #[test]
    fn the_older_form_has_the_prefix_that_node_reads() {
        for version in [None, Some("2019-10-01"), Some("2020-09-30"), Some("x")] {
            let body = body(&missing(), &trace(), version);
            assert_eq!(body["Message"], "ErrorCode:DeviceNotFound;Device 'x' is not registered.", "{version:?}");
        }
    }

    #[test]
    fn the_newer_form_nests_json_that_dotnet_reads() {
        let body = body(&missing(), &trace(), Some("2021-04-12"));
        let nested: Value = serde_json::from_str(body["Message"].as_str().unwrap()).unwrap();
        assert_eq!(nested["errorCode"], 404_001);
        assert_eq!(nested["message"], "Device 'x' is not registered.");
        assert_eq!(nested["info"], Value::Null);
        assert_eq!(
            body["ExceptionMessage"],
            "Tracking ID:000000000000000000000000000000ab-G:0-TimeStamp:01/01/1970 00:00:00"
        );
    }

    #[test]
    fn names_and_statuses() {
        assert_eq!(name(&missing()), "DeviceNotFound");
        assert_eq!(name(&Error::not_found("x")), "GenericNotFound");
        assert_eq!(status(&missing()), 404);
        assert_eq!(status(&Error::conflict("x")), 409);
        assert_eq!(status(&Error::conflict("x").with_iot_code(7)), 409);
        assert!(NAMES.is_sorted_by_key(|(code, _)| *code));
    }
}
