//! IoT Hub's error body and `iothub-errorcode` header (reference: iot-hub-and-dps.md C.4 and C.5).

use super::Trace;
use ferrohub_model::error::Error;
use ferrohub_model::time::rfc3339;
use serde_json::{Value, json};

/// HTTP status: the first three digits of the numeric code, which IoT services define so.
pub(crate) fn status(error: &Error) -> u16 {
    u16::try_from(error.numeric_code() / 1000)
        .ok()
        .filter(|status| (400..=599).contains(status))
        .unwrap_or_else(|| error.http_status())
}

/// One form for all api-versions, in which each SDK finds what it looks for. Node takes the name between `ErrorCode:` and the first `;` and
/// the text up to the next one; C# the same name where `Message` is not JSON, and believes it if the header says so too; Java the number.
pub(crate) fn body(error: &Error, trace: &Trace) -> Value {
    json!({
        "Message": format!("ErrorCode:{};{}", name(error), error.message.replace(';', ",")),
        "ExceptionMessage": format!("Tracking ID:{}", tracking(trace)),
        "errorCode": error.numeric_code(),
        "trackingId": tracking(trace),
        "timestampUtc": rfc3339(trace.at)
    })
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
    (400_036, "BulkRegenerateDeviceKeyOperationFailure"),
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
    (413_003, "TooManyModulesOnDevice"),
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
    fn node_c_sharp_and_java_find_the_code() {
        let body = body(&missing(), &trace());
        let message = body["Message"].as_str().unwrap();
        // azure-iot-http-base, `Http.parseErrorBody`.
        let parts: Vec<&str> = message.split(';').collect();
        assert_eq!(parts, ["ErrorCode:DeviceNotFound", "Device 'x' is not registered."]);
        // Microsoft.Azure.Devices, `ExceptionHandlingHelper`: a text that is JSON is read in another way.
        assert!(serde_json::from_str::<Value>(message).is_err());
        // Its members are found whatever their case, so that a second `message` would hide the first.
        let names: Vec<String> = body.as_object().unwrap().keys().map(|name| name.to_ascii_lowercase()).collect();
        assert_eq!(names.iter().filter(|name| *name == "message").count(), 1);
        // The Java service client, `ErrorMessageParser.bestErrorCode`.
        assert_eq!(body["errorCode"], 404_001);
        assert_eq!(
            body["ExceptionMessage"],
            "Tracking ID:000000000000000000000000000000ab-G:0-TimeStamp:01/01/1970 00:00:00"
        );
    }

    #[test]
    fn no_text_is_cut_at_a_semicolon() {
        let error = Error::invalid("one; two; three");
        assert_eq!(body(&error, &trace())["Message"], "ErrorCode:GenericBadRequest;one, two, three");
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
