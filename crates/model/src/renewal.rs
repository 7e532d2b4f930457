//! Renewing a device's certificate through its hub: what a device asks, and the operations that are kept of it
//! (reference: certificates.md section 3).

use crate::error::{Error, Result};
use crate::limits::{CSR_BASE64_BYTES, RENEWALS_PER_DEVICE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// `ArgumentInvalid`: a payload against the rules (measured; reference/certificates.md 3.1).
pub const CODE_BAD_PAYLOAD: u32 = 400_004;
/// The payload is no JSON (measured; reference/certificates.md 3.1).
pub const CODE_NOT_JSON: u32 = 400_006;
/// An operation is pending (measured; reference/certificates.md 3.1).
pub const CODE_PENDING: u32 = 409_004;
/// No pending operation has the request id that is to be replaced (measured; reference/certificates.md 3.1).
pub const CODE_NOTHING_TO_REPLACE: u32 = 412_001;
/// The device, its policy or its hub are not set up for certificates (reference/certificates.md 3.2).
pub const CODE_NOT_SET_UP: u32 = 412_005;
/// Too many operations wait at the hub (reference/certificates.md 3.2).
pub const CODE_BACKLOG_FULL: u32 = 429_002;
/// The operation waited too long for its turn (reference/certificates.md 3.2).
pub const CODE_BACKLOG_TIMEOUT: u32 = 429_003;

/// The members that a request may have.
const MEMBERS: [&str; 3] = ["id", "csr", "replace"];

/// What a device asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalRequest {
    /// Request id, in the form of [`is_request_id`].
    pub request_id: String,
    /// The certificate request as sent, base64 of something.
    pub csr: String,
    /// Which pending operation gives way.
    pub replace: Option<Replace>,
}

/// Which pending operation a new one takes the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replace {
    /// Whichever is pending, if one is.
    Any,
    /// The one with this request id, which must be pending.
    Only(String),
}

impl RenewalRequest {
    /// Reads the payload that the device `device_id` sent under `request_id`. Whether the `csr` is a certificate request is
    /// found out later: the hub accepts first.
    ///
    /// # Errors
    /// 400004 naming the member and the rule.
    pub fn parse(request_id: &str, device_id: &str, body: &Value) -> Result<Self> {
        if !is_request_id(request_id) {
            return Err(bad(
                "The request id ('$rid' in the topic) has 4 to 36 letters, digits and '-', and neither starts nor ends with '-'.",
            ));
        }
        let id = body.get("id").and_then(Value::as_str);
        if id != Some(device_id) {
            return Err(bad("The payload's id does not match the authenticated device ID; send the device's own."));
        }
        if let Some(name) = body.as_object().into_iter().flat_map(serde_json::Map::keys).find(|name| !known(name)) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            return Err(bad(format!("The payload knows no '{shown}'; only 'id', 'csr' and 'replace' are allowed.")));
        }
        let csr = body.get("csr").and_then(Value::as_str).filter(|csr| !csr.is_empty());
        let csr = csr.ok_or_else(|| {
            bad("The 'csr' is invalid or missing; send the base64 text of a DER-encoded PKCS#10 request.")
        })?;
        if csr.len() > CSR_BASE64_BYTES {
            return Err(bad(format!(
                "The 'csr' has {} characters and exceeds the maximum allowed length of {CSR_BASE64_BYTES}; send a smaller request.",
                csr.len()
            )));
        }
        if STANDARD.decode(csr).is_err() {
            return Err(bad(
                "The 'csr' is not valid base64; use the standard alphabet with padding and neither armour nor line breaks.",
            ));
        }
        Ok(Self { request_id: request_id.to_owned(), csr: csr.to_owned(), replace: replace(body.get("replace"))? })
    }
}

fn known(name: &str) -> bool {
    MEMBERS.contains(&name)
}

fn replace(sent: Option<&Value>) -> Result<Option<Replace>> {
    match sent {
        // Java's SDK writes null.
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(any)) if any == "*" => Ok(Some(Replace::Any)),
        Some(Value::String(id)) if is_request_id(id) => Ok(Some(Replace::Only(id.clone()))),
        Some(_) => {
            Err(bad("The 'replace' is '*' or the request id of a pending operation; correct it or leave it out."))
        }
    }
}

/// Whether a text has the form of a request id: 4 to 36 ASCII letters, digits and `-`, which it neither starts nor ends with.
pub fn is_request_id(text: &str) -> bool {
    (4..=36).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// `ArgumentInvalid` (400004) of a renewal.
pub fn bad(message: impl Into<String>) -> Error {
    Error::invalid(message).with_code("ArgumentInvalid").with_iot_code(CODE_BAD_PAYLOAD)
}

/// The operations of one device, oldest first: at most one that is pending, and ended ones until they run out, so that a
/// device that missed an answer asks again with the same request id and gets it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewals {
    /// The operations.
    pub operations: Vec<Renewal>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewal {
    /// The device's name for it.
    pub request_id: String,
    /// Ours.
    pub correlation_id: Uuid,
    /// SHA-256 of the certificate request's text, hex: whoever sends it again means the same operation.
    pub csr_hash: String,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Until when its outcome is kept for the device.
    pub expires: Timestamp,
    /// How it stands.
    pub state: RenewalState,
}

/// How an operation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum RenewalState {
    /// Accepted, to be carried out.
    Pending {
        /// The certificate request, base64.
        csr: String,
    },
    /// The certificate is there.
    Issued {
        /// The certificate, base64 DER.
        leaf: String,
        /// Ids of the authorities above it, its issuer first.
        authorities: Vec<Uuid>,
        /// Whether the device has it.
        delivered: bool,
    },
    /// There is none.
    Failed {
        /// Why.
        failure: RenewalFailure,
        /// Whether the device knows.
        delivered: bool,
    },
}

/// Why an accepted operation ended without a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalFailure {
    /// HTTP status.
    pub status: u16,
    /// IoT number.
    pub code: u32,
    /// Text for a person.
    pub message: String,
    /// What the credential service said, where it was that: number and text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<(String, String)>,
    /// Seconds after which another try makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

impl Renewal {
    /// Whether it is still to be carried out.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, RenewalState::Pending { .. })
    }

    /// Whether its outcome waits for the device at `now`.
    pub fn waits(&self, now: Timestamp) -> bool {
        let told = match &self.state {
            RenewalState::Pending { .. } => true,
            RenewalState::Issued { delivered, .. } | RenewalState::Failed { delivered, .. } => *delivered,
        };
        !told && now < self.expires
    }

    /// Notes whether the device has the outcome; a pending one has none.
    pub fn set_delivered(&mut self, told: bool) {
        match &mut self.state {
            RenewalState::Pending { .. } => {}
            RenewalState::Issued { delivered, .. } | RenewalState::Failed { delivered, .. } => *delivered = told,
        }
    }
}

impl Renewals {
    /// The one that is pending at `now`.
    pub fn pending(&self, now: Timestamp) -> Option<&Renewal> {
        self.operations.iter().find(|operation| operation.is_pending() && now < operation.expires)
    }

    /// Adds a new operation in the place of the one with its request id and of a pending one; the oldest give way.
    pub fn add(&mut self, operation: Renewal) {
        self.operations.retain(|other| !other.is_pending() && other.request_id != operation.request_id);
        let surplus = (self.operations.len() + 1).saturating_sub(RENEWALS_PER_DEVICE);
        self.operations.drain(..surplus);
        self.operations.push(operation);
    }

    /// When the last one runs out.
    pub fn expires(&self) -> Option<Timestamp> {
        self.operations.iter().map(|operation| operation.expires).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(rid: &str, body: &Value) -> Result<RenewalRequest> {
        RenewalRequest::parse(rid, "d1", body)
    }

    #[test]
    fn requests() {
        for (replace, wanted) in
            [(Value::Null, None), (json!("*"), Some(Replace::Any)), (json!("1234"), Some(Replace::Only("1234".into())))]
        {
            let parsed = parse("ab-1", &json!({"id": "d1", "csr": "QUJD", "replace": replace})).unwrap();
            assert_eq!((parsed.csr.as_str(), parsed.replace), ("QUJD", wanted));
        }
        assert_eq!(parse("abcd", &json!({"id": "d1", "csr": "QUJD"})).unwrap().replace, None);
        for (body, word) in [
            (json!([]), "does not match the authenticated device ID"),
            (json!("x"), "does not match"),
            (json!({"csr": "QUJD"}), "does not match"),
            (json!({"id": "", "csr": "QUJD"}), "does not match"),
            (json!({"id": "D1", "csr": "QUJD"}), "does not match"),
            (json!({"id": 1, "csr": "QUJD"}), "does not match"),
            (json!({"id": "d1"}), "invalid or missing"),
            (json!({"id": "d1", "csr": ""}), "invalid or missing"),
            (json!({"id": "d1", "csr": 7}), "invalid or missing"),
            (json!({"id": "d1", "csr": "A".repeat(8196)}), "maximum allowed length"),
            (json!({"id": "d1", "csr": "!!"}), "not valid base64"),
            (json!({"id": "d1", "csr": "QUJD\n"}), "not valid base64"),
            (json!({"id": "d1", "csr": "QUJD", "more": 1}), "only 'id', 'csr' and 'replace'"),
            (json!({"id": "d1", "csr": "QUJD", "replace": ""}), "'replace'"),
            (json!({"id": "d1", "csr": "QUJD", "replace": "-abc"}), "'replace'"),
            (json!({"id": "d1", "csr": "QUJD", "replace": 5}), "'replace'"),
        ] {
            let error = parse("abcd", &body).unwrap_err();
            assert_eq!(error.numeric_code(), CODE_BAD_PAYLOAD);
            assert!(error.message.contains(word), "{body}: {error}");
        }
    }

    #[test]
    fn request_ids() {
        for good in ["1234", "a-b-c", "2c1b9a2e-8b9f-4e3f-9c37-6e2f5d0d8f10"] {
            assert!(is_request_id(good), "{good}");
        }
        for bad in ["", "abc", "-abc", "abc-", "ab cd", "ab/cd", "é123", &"a".repeat(37), "a#bc", "a+bc"] {
            assert!(!is_request_id(bad), "{bad}");
            assert!(parse(bad, &json!({"id": "d1", "csr": "QUJD"})).is_err());
        }
    }

    fn operation(id: &str, state: RenewalState) -> Renewal {
        Renewal {
            request_id: id.into(),
            correlation_id: Uuid::from_u128(1),
            csr_hash: "aa".into(),
            accepted: Timestamp::UNIX_EPOCH,
            expires: Timestamp::from_second(100).unwrap(),
            state,
        }
    }

    #[test]
    fn the_oldest_give_way_and_one_only_is_pending() {
        let done = |delivered| RenewalState::Issued { leaf: "QQ==".into(), authorities: Vec::new(), delivered };
        let mut all = Renewals::default();
        for number in 0..RENEWALS_PER_DEVICE + 3 {
            all.add(operation(&format!("rid-{number}"), done(false)));
        }
        assert_eq!((all.operations.len(), all.operations[0].request_id.as_str()), (RENEWALS_PER_DEVICE, "rid-3"));
        let now = Timestamp::from_second(5).unwrap();
        assert!(all.operations[0].waits(now) && !all.operations[0].waits(all.expires().unwrap()));
        all.add(operation("next", RenewalState::Pending { csr: "QUJD".into() }));
        assert!(!all.operations.last().unwrap().waits(now));
        all.add(operation("other", RenewalState::Pending { csr: "QUJD".into() }));
        assert_eq!(all.pending(now).unwrap().request_id, "other");
        assert_eq!(all.pending(Timestamp::from_second(100).unwrap()), None, "it ran out");
        assert!(all.operations.iter().all(|operation| operation.request_id != "next"));
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Renewals>(&text).unwrap(), all);
    }
}
