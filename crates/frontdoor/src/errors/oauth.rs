//! The token endpoint's error body (RFC 6749 section 5.2, with Entra's additions).

use super::Trace;
use ferrohub_model::error::{Error, ErrorKind};
use serde_json::{Value, json};

/// `{"error","error_description","error_codes","timestamp","trace_id","correlation_id"}`.
pub(crate) fn body(word: &str, description: &str, code: u32, trace: &Trace) -> Value {
    json!({
        "error": word,
        "error_description": description,
        "error_codes": [code],
        "timestamp": trace.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        "trace_id": trace.request_id,
        "correlation_id": trace.request_id
    })
}

/// The shape of an error that did not come from the token service itself, such as a body over the limit.
pub(crate) fn of_error(error: &Error, trace: &Trace) -> Value {
    let (word, code) = match error.kind {
        ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Throttled => ("temporarily_unavailable", 90_033),
        ErrorKind::Unauthenticated => ("invalid_client", 7_000_218),
        _ => ("invalid_request", 900_023),
    };
    body(word, &format!("AADSTS{code}: {}", error.message), code, trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use uuid::Uuid;

    #[test]
    fn msal_finds_word_text_and_code() {
        let trace = Trace { request_id: Uuid::nil(), at: Timestamp::UNIX_EPOCH };
        let value = body("invalid_client", "AADSTS7000215: Invalid client secret provided.", 7_000_215, &trace);
        assert_eq!(value["error"], "invalid_client");
        assert_eq!(value["error_codes"], json!([7_000_215]));
        assert_eq!(value["timestamp"], "1970-01-01 00:00:00Z");
        assert_eq!(of_error(&Error::internal("secret"), &trace)["error"], "temporarily_unavailable");
        assert!(!of_error(&Error::internal("secret"), &trace).to_string().contains("secret"));
    }
}
