//! The tables that turn the product's one error into each protocol's own shape.
//!
//! | File | Shape |
//! |---|---|
//! | `arm` | Azure Resource Manager and Graph: `{"error":{"code","message"}}` |
//! | `hub` | IoT Hub over HTTPS: `{"Message","ExceptionMessage"}` and `iothub-errorcode` |
//! | `dps` | Device Provisioning Service, HTTPS and MQTT: `{"errorCode","trackingId","message"}` |
//! | `oauth` | The token endpoint: `{"error","error_description","error_codes"}` |
//! | `mqtt` | CONNACK return codes, the statuses of twin answers, the answers to certificate requests |

pub(crate) mod arm;
pub(crate) mod dps;
pub(crate) mod hub;
pub(crate) mod mqtt;
pub(crate) mod oauth;

use ferrohub_model::error::{Error, ErrorKind};
use jiff::Timestamp;
use uuid::Uuid;

/// What an error body says about the request it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trace {
    /// Id of the request; the log line of an internal fault carries the same one.
    pub(crate) request_id: Uuid,
    /// When it failed.
    pub(crate) at: Timestamp,
}

impl Trace {
    /// The id as IoT Hub and DPS write it: 32 hexadecimal digits.
    pub(crate) fn tracking_id(&self) -> String {
        self.request_id.simple().to_string()
    }
}

/// Writes what the client must not see into the log, under the id that the client does see.
pub(crate) fn log(error: &Error, trace: &Trace) {
    let request_id = trace.request_id;
    let context = error.context.as_deref().unwrap_or("");
    match error.kind {
        ErrorKind::Internal => tracing::error!(%request_id, context, "internal fault"),
        ErrorKind::Unavailable => tracing::warn!(%request_id, context, %error, "refused as busy"),
        _ => tracing::debug!(%request_id, context, code = error.code, %error, "request refused"),
    }
}
