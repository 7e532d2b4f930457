//! Another certificate from the hub, before the one that the device has ends (reference: certificates.md, section 3).

use super::connection::ANSWER_TIMEOUT;
use super::hub::HubDevice;
use super::registration::certificates;
use bytes::Bytes;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_wire::hub_delivery::HubDelivery;
use ferrohub_wire::hub_topic::{CREDENTIAL_RESPONSES_FILTER, credential_issue};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest wait for the certificate once the hub has accepted the request: ours (the operation itself lives half a day).
const ISSUE_TIMEOUT: Duration = Duration::from_secs(120);
/// Requests before the device gives up asking the hub: ours.
const ATTEMPTS: u32 = 5;
/// Longest pause between two of them: ours.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// An answer that is not 202.
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    certificates: Vec<String>,
    error_code: u32,
    message: Option<String>,
    info: Option<Value>,
    retry_after: Option<u64>,
}

/// What the hub said at last to one request.
enum Verdict {
    Issued(Vec<Vec<u8>>),
    /// Another request of this device is on its way.
    Pending,
    /// It may go better after this time.
    Later(Duration, Error),
    No(Error),
}

impl HubDevice {
    /// Asks the hub for a certificate for `csr` (base64 DER), waits for it, and gives the chain as DER, leaf first. The connection
    /// goes on with the certificate that it has. A request that is still pending is replaced.
    ///
    /// # Errors
    /// What the hub said, where it says no or is busy for too long; `Unavailable` where the connection ended.
    pub async fn renew(&mut self, csr: &str) -> Result<Vec<Vec<u8>>> {
        if !self.hears_credentials {
            self.connection.subscribe(&[CREDENTIAL_RESPONSES_FILTER]).await?;
            self.hears_credentials = true;
        }
        let mut replaces = false;
        let mut attempt = 1;
        loop {
            match self.ask_for_certificate(csr, replaces).await? {
                Verdict::Issued(chain) => return Ok(chain),
                Verdict::Pending if attempt < ATTEMPTS => replaces = true,
                Verdict::Later(pause, _) if attempt < ATTEMPTS => self.clock.clone().sleep(pause).await,
                Verdict::Later(_, error) | Verdict::No(error) => return Err(error),
                Verdict::Pending => {
                    return Err(Error::conflict("Another certificate request of this device is pending at the hub."));
                }
            }
            attempt += 1;
        }
    }

    async fn ask_for_certificate(&mut self, csr: &str, replaces: bool) -> Result<Verdict> {
        self.requests = self.requests.wrapping_add(1);
        // Answers to a request of an earlier connection may still come, so the name is that of no other one.
        let request_id = format!("r{:x}-{}", self.clock.unix_seconds(), self.requests);
        let mut body = json!({"id": self.device_id, "csr": csr});
        if replaces {
            body["replace"] = json!("*");
        }
        self.connection.publish(credential_issue(&request_id), Bytes::from(body.to_string())).await?;
        let mut deadline = self.clock.monotonic() + ANSWER_TIMEOUT;
        loop {
            let left = deadline.since(self.clock.monotonic());
            let Some(message) = self.connection.wait(left).await? else {
                let error = Error::unavailable("The hub did not answer the certificate request in time.", 1);
                return Ok(Verdict::No(error));
            };
            match HubDelivery::parse(&message.topic) {
                HubDelivery::CredentialResponse { status: 202, rid } if rid == request_id => {
                    deadline = self.clock.monotonic() + ISSUE_TIMEOUT;
                }
                HubDelivery::CredentialResponse { status, rid } if rid == request_id => {
                    return verdict(status, &message.payload);
                }
                _ => self.keep_desired(&message),
            }
        }
    }
}

fn verdict(status: u16, payload: &[u8]) -> Result<Verdict> {
    // An error may lack any member, and be no JSON at all.
    let document: Document = serde_json::from_slice(payload).unwrap_or_default();
    if status == 200 {
        let chain = certificates(&document.certificates, "The hub")?;
        return Ok(if chain.is_empty() {
            Verdict::No(Error::internal("the hub issued no certificate"))
        } else {
            Verdict::Issued(chain)
        });
    }
    if status == 409 {
        return Ok(Verdict::Pending);
    }
    let error = refusal(status, &document);
    // The SDKs' own list, with their first pauses (certificates.md, 3.2).
    let pause = match document.error_code {
        429_002 | 429_003 => 1,
        500_001 => 300,
        503_001 => 5,
        _ if document.retry_after.is_some() => 1,
        _ => return Ok(Verdict::No(error)),
    };
    let pause = Duration::from_secs(document.retry_after.unwrap_or(pause).max(1)).min(LONGEST_PAUSE);
    Ok(Verdict::Later(pause, error))
}

/// An error of the hub as a sentence.
fn refusal(status: u16, document: &Document) -> Error {
    let code = if document.error_code == 0 { u32::from(status) * 1000 } else { document.error_code };
    let more = document.info.as_ref().and_then(|info| info["credentialMessage"].as_str());
    let said = document.message.as_deref().or(more).unwrap_or("it gave no reason");
    let kind = match status {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        412 => ErrorKind::PreconditionFailed,
        429 => ErrorKind::Throttled,
        501 => ErrorKind::NotImplemented,
        500.. => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    };
    let text = format!("The hub refused the certificate request: {said} (error code {code}).");
    Error::new(kind, "RenewalRefused", text).with_iot_code(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_a_hub() {
        let of = |status, body: &str| verdict(status, body.as_bytes()).unwrap();
        let issued = of(200, r#"{"correlationId":"c","certificates":["AQ==","Ag==","Aw=="]}"#);
        assert!(matches!(issued, Verdict::Issued(chain) if chain == [[1], [2], [3]]));
        assert!(matches!(of(200, r#"{"certificates":[]}"#), Verdict::No(_)));
        assert!(verdict(200, br#"{"certificates":["no base64"]}"#).is_err());
        assert!(matches!(of(409, r#"{"errorCode":409004,"info":{"requestId":"r"}}"#), Verdict::Pending));
        for (body, seconds) in [
            (r#"{"errorCode":429002,"message":"backlog"}"#, 1),
            (r#"{"errorCode":429002,"retryAfter":7,"info":null}"#, 7),
            (r#"{"errorCode":500001}"#, 60),
            (r#"{"errorCode":400001,"retryAfter":2}"#, 2),
        ] {
            assert!(
                matches!(of(429, body), Verdict::Later(pause, _) if pause == Duration::from_secs(seconds)),
                "{body}"
            );
        }
        let body =
            r#"{"errorCode":400037,"message":"Credential operation failed","info":{"credentialError":"400000"}}"#;
        let Verdict::No(error) = of(400, body) else { panic!("{body}") };
        assert_eq!(error.numeric_code(), 400_037);
        assert!(error.message.contains("Credential operation failed (error code 400037)"), "{error}");
        let Verdict::No(error) = of(501, "no json") else { panic!("501") };
        assert_eq!((error.kind, error.numeric_code()), (ErrorKind::NotImplemented, 501_000));
    }
}
