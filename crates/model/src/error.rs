//! The one error type of the product, neutral to every transport.
//!
//! A service returns [`Error`]; the front door maps it with four small tables (ARM, IoT Hub
//! HTTP, MQTT, AMQP). `message` is public text for a person; `context` is for the log only.

use std::fmt;

/// What went wrong, in terms that every transport can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed or breaks a rule (HTTP 400).
    Invalid,
    /// No or bad credentials (HTTP 401).
    Unauthenticated,
    /// Known caller without the right (HTTP 403).
    Forbidden,
    /// The thing does not exist (HTTP 404).
    NotFound,
    /// The verb is not possible on this thing (HTTP 405).
    MethodNotAllowed,
    /// The state of the thing forbids it (HTTP 409).
    Conflict,
    /// An ETag or version did not match (HTTP 412).
    PreconditionFailed,
    /// The message or document is over its limit (HTTP 413).
    TooLarge,
    /// The content type is not understood (HTTP 415).
    UnsupportedMedia,
    /// The caller must slow down (HTTP 429).
    Throttled,
    /// A feature that Ferrohub does not have (HTTP 501).
    NotImplemented,
    /// A queue is full or an engine is busy; try again (HTTP 503).
    Unavailable,
    /// A fault of ours (HTTP 500).
    Internal,
}

/// Who was refused what, where: fills the message of a denial and names the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Display name or application id of the refused principal.
    pub principal: String,
    /// Object id of the refused principal.
    pub principal_id: String,
    /// Action such as `Microsoft.DeviceRegistry/namespaces/devices/write`.
    pub action: String,
    /// Resource id on which the action was wanted.
    pub scope: String,
}

/// Where in the text of a query an error is, for the last of ARM's `details`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryPlace {
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub character: usize,
    /// The word at fault.
    pub token: String,
}

/// An error with a public text, private context and the codes that clients look at.
#[derive(Debug, Clone)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// ARM error code such as `ResourceNotFound`; a default follows from the kind.
    pub code: &'static str,
    /// IoT numeric code such as `404001`; the first three digits are the HTTP status. 0 = from the kind.
    pub iot_code: u32,
    /// Public text for a person: names the thing, what is wrong, what to do.
    pub message: String,
    /// The property or resource the error is about, for ARM's `target`.
    pub target: Option<String>,
    /// Nested errors for ARM's `details`: pairs of code and message.
    pub details: Vec<(String, String)>,
    /// Where in a query it is.
    pub place: Option<Box<QueryPlace>>,
    /// Private context for the log; never sent to a client.
    pub context: Option<String>,
    /// Seconds after which a retry makes sense.
    pub retry_after_seconds: Option<u32>,
    /// Set on a denial.
    pub denial: Option<Box<Denial>>,
    /// Whether the activity log has a row of it already.
    pub recorded: bool,
}

/// Result with the product's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` with ARM code `code` and public text `message`.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            iot_code: 0,
            message: message.into(),
            target: None,
            details: Vec::new(),
            place: None,
            context: None,
            retry_after_seconds: None,
            denial: None,
            recorded: false,
        }
    }

    /// A malformed request: ARM code `BadRequest`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, "BadRequest", message)
    }

    /// A property with a forbidden value: ARM code `InvalidPropertyValue`, target = the property path.
    pub fn invalid_property(path: impl Into<String>, message: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorKind::Invalid, "InvalidPropertyValue", message);
        error.target = Some(path.into());
        error
    }

    /// Missing or wrong credentials.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, "AuthenticationFailed", message)
    }

    /// A refusal without a [`Denial`] record.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, "Forbidden", message)
    }

    /// A missing thing: ARM code `ResourceNotFound`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, "ResourceNotFound", message)
    }

    /// A state that forbids the request: ARM code `Conflict`.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, "Conflict", message)
    }

    /// A failed ETag or version check.
    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::PreconditionFailed, "PreconditionFailed", message)
    }

    /// A feature that is not built.
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotImplemented, "NotImplemented", message)
    }

    /// A full queue or busy engine; the caller may try again after `retry_after_seconds`.
    pub fn unavailable(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let mut error = Self::new(ErrorKind::Unavailable, "ServiceUnavailable", message);
        error.retry_after_seconds = Some(retry_after_seconds);
        error
    }

    /// A fault of ours. The public text stays general; `context` goes to the log.
    pub fn internal(context: impl Into<String>) -> Self {
        let mut error = Self::new(
            ErrorKind::Internal,
            "InternalServerError",
            "Ferrohub met an internal fault; the server's log has the details under this request's id.",
        );
        error.context = Some(context.into());
        error
    }

    /// The same error with another ARM code.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = code;
        self
    }

    /// The same error with an IoT numeric code (six digits, first three the HTTP status).
    #[must_use]
    pub fn with_iot_code(mut self, iot_code: u32) -> Self {
        self.iot_code = iot_code;
        self
    }

    /// The same error with private context for the log.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// The same error with a target.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// HTTP status of the kind.
    pub fn http_status(&self) -> u16 {
        match self.kind {
            ErrorKind::Invalid => 400,
            ErrorKind::Unauthenticated => 401,
            ErrorKind::Forbidden => 403,
            ErrorKind::NotFound => 404,
            ErrorKind::MethodNotAllowed => 405,
            ErrorKind::Conflict => 409,
            ErrorKind::PreconditionFailed => 412,
            ErrorKind::TooLarge => 413,
            ErrorKind::UnsupportedMedia => 415,
            ErrorKind::Throttled => 429,
            ErrorKind::Internal => 500,
            ErrorKind::NotImplemented => 501,
            ErrorKind::Unavailable => 503,
        }
    }

    /// The IoT numeric code: the one set, else status * 1000.
    pub fn numeric_code(&self) -> u32 {
        if self.iot_code != 0 { self.iot_code } else { u32::from(self.http_status()) * 1000 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_code_follows_the_kind_unless_set() {
        assert_eq!(Error::not_found("x").numeric_code(), 404_000);
        assert_eq!(Error::not_found("x").with_iot_code(404_001).numeric_code(), 404_001);
    }

    #[test]
    fn an_internal_error_never_shows_its_context() {
        let error = Error::internal("sqlite: disk image is malformed");
        assert!(!error.to_string().contains("sqlite"));
    }
}
