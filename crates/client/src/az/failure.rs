//! How a command ends when it does not succeed: exit code and text, as `az` has them.

use ferrohub_model::error::{Error, ErrorKind};
use ferrohub_model::terminal::acts;
use serde_json::Value;

/// Service error other than 404, or an error of the client's own logic.
pub(crate) const EXIT_ERROR: i32 = 1;
/// The command line itself is wrong.
pub(crate) const EXIT_USAGE: i32 = 2;
/// The thing does not exist.
pub(crate) const EXIT_NOT_FOUND: i32 = 3;

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) exit: i32,
    /// Text after `ERROR: `; may have several lines.
    pub(crate) message: String,
    /// HTTP status, where a service answered.
    pub(crate) status: Option<u16>,
    /// ARM error code, where the service gave one.
    pub(crate) code: Option<String>,
}

/// Result of a command or one of its steps.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// An error of the client's own logic: exit 1.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self { exit: EXIT_ERROR, message: message.into(), status: None, code: None }
    }

    /// A wrong command line: exit 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: EXIT_USAGE, ..Self::error(message) }
    }

    /// A missing thing: exit 3.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { exit: EXIT_NOT_FOUND, status: Some(404), ..Self::error(message) }
    }

    /// Nobody is signed in.
    pub(crate) fn not_signed_in() -> Self {
        Self::error("Please run 'az login' to setup account.")
    }

    /// Whether the service said that the thing does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }

    /// The failure of an ARM or Graph call that answered `status` with `body`.
    pub(crate) fn of_arm(status: u16, reason: &str, body: &[u8]) -> Self {
        let exit = if status == 404 { EXIT_NOT_FOUND } else { EXIT_ERROR };
        let parsed: Option<Value> = serde_json::from_slice(body).ok();
        let error = parsed.as_ref().and_then(|body| body.get("error").filter(|error| error.is_object()).or(Some(body)));
        let described = error.filter(|error| error.get("code").is_some() || error.get("message").is_some());
        let Some(error) = described else {
            let message = format!("Operation returned an invalid status '{reason}'");
            return Self { exit, message, status: Some(status), code: None };
        };
        let code = scalar(error.get("code"));
        Self { exit, message: describe_arm(error), status: Some(status), code: Some(code) }
    }

    /// The failure of a hub or DPS data-plane call: the body as Python would print it.
    pub(crate) fn of_data_plane(status: u16, reason: &str, body: &[u8]) -> Self {
        let exit = if status == 404 { EXIT_NOT_FOUND } else { EXIT_ERROR };
        let message = match serde_json::from_slice::<Value>(body) {
            Ok(Value::String(text)) => text,
            Ok(value) => python_repr(&value),
            Err(_) if body.is_empty() => format!("Operation returned an invalid status '{reason}'"),
            Err(_) => String::from_utf8_lossy(body).into_owned(),
        };
        Self { exit, message, status: Some(status), code: None }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = if error.kind == ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_ERROR };
        Self { exit, message: error.message, status: None, code: None }
    }
}

/// `az`'s rendering of an ARM error object: a headline, code, message, target and nested details.
fn describe_arm(error: &Value) -> String {
    let code = scalar(error.get("code"));
    let message = scalar(error.get("message"));
    let mut text = format!("({code}) {message}\nCode: {code}\nMessage: {message}");
    if let Some(target) = error.get("target").and_then(Value::as_str) {
        text.push_str(&format!("\nTarget: {target}"));
    }
    let details = error.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, detail) in details.iter().enumerate() {
        let code = scalar(detail.get("code"));
        let message = scalar(detail.get("message"));
        let lead = if index == 0 { "\nException Details:\t" } else { "\n\t" };
        text.push_str(&format!("{lead}({code}) {message}\n\tCode: {code}\n\tMessage: {message}"));
        if let Some(target) = detail.get("target").and_then(Value::as_str) {
            text.push_str(&format!("\n\tTarget: {target}"));
        }
    }
    text
}

fn scalar(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "None".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// `str()` of a JSON value as Python prints the parsed object.
pub(crate) fn python_str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => python_repr(other),
    }
}

/// `repr()` of a JSON value as Python prints the parsed object.
pub(crate) fn python_repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => python_string(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(python_repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(key, value)| format!("{}: {}", python_string(key), python_repr(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

fn python_string(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if acts(other) && u32::from(other) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(other))),
            other if acts(other) => out.push_str(&format!("\\u{:04x}", u32::from(other))),
            other if other == quote => {
                out.push('\\');
                out.push(other);
            }
            other => out.push(other),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arm_error_prints_as_az_prints_it() {
        let body = br#"{"error":{"code":"Conflict","message":"Something conflicts.","target":"properties.x",
            "details":[{"code":"Inner","message":"inner msg","target":"t"}]}}"#;
        let failure = Failure::of_arm(409, "Conflict", body);
        assert_eq!(failure.exit, 1);
        assert_eq!(failure.code.as_deref(), Some("Conflict"));
        assert_eq!(
            failure.message,
            "(Conflict) Something conflicts.\nCode: Conflict\nMessage: Something conflicts.\nTarget: properties.x\n\
             Exception Details:\t(Inner) inner msg\n\tCode: Inner\n\tMessage: inner msg\n\tTarget: t"
        );
    }

    #[test]
    fn an_old_style_body_and_a_missing_resource() {
        let failure = Failure::of_arm(404, "Not Found", br#"{"code":404001,"message":"gone"}"#);
        assert_eq!((failure.exit, failure.message.as_str()), (3, "(404001) gone\nCode: 404001\nMessage: gone"));
    }

    #[test]
    fn a_body_without_an_error_names_the_reason() {
        let failure = Failure::of_arm(502, "Bad Gateway", b"<html>");
        assert_eq!((failure.exit, failure.message.as_str()), (1, "Operation returned an invalid status 'Bad Gateway'"));
    }

    #[test]
    fn a_data_plane_error_is_a_python_dict() {
        let body = br#"{"Message":"ErrorCode:DeviceNotFound;it's gone","ExceptionMessage":"Tracking ID:1"}"#;
        let failure = Failure::of_data_plane(404, "Not Found", body);
        assert_eq!(failure.exit, 3);
        assert_eq!(
            failure.message,
            r#"{'Message': "ErrorCode:DeviceNotFound;it's gone", 'ExceptionMessage': 'Tracking ID:1'}"#
        );
    }

    #[test]
    fn python_values() {
        let value = serde_json::json!({"a": [1, null, true, 1.5], "b": "x\ny\u{1b}\u{202e}"});
        assert_eq!(python_repr(&value), r"{'a': [1, None, True, 1.5], 'b': 'x\ny\x1b\u202e'}");
    }
}
