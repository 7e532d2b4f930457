//! Requests and answers of Resource Manager, free of HTTP.

use crate::authz::Actor;
use serde_json::Value;
use std::net::IpAddr;
use uuid::Uuid;

/// What is known of a client besides who acts: for the activity log.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// Where it is; nothing behind a pipe.
    pub address: Option<IpAddr>,
    /// Its own id of the request (`x-ms-client-request-id`).
    pub request_id: Option<String>,
}

/// A request to Resource Manager, free of HTTP.
#[derive(Debug, Clone)]
pub struct ArmRequest {
    /// Method, upper case.
    pub method: String,
    /// Path as sent, without the query.
    pub path: String,
    /// Query parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// JSON body, if one was sent.
    pub body: Option<Value>,
    /// `If-Match` as sent.
    pub if_match: Option<String>,
    /// `If-None-Match` as sent.
    pub if_none_match: Option<String>,
    /// Who asks.
    pub actor: Actor,
    /// Origin under which the client reached us, such as `https://localhost:8443`; links start with it.
    pub base_url: String,
    /// Id of this request.
    pub request_id: Uuid,
    /// Correlation id, the client's or ours.
    pub correlation_id: Uuid,
    /// Who sent it.
    pub client: Client,
}

impl ArmRequest {
    /// A query parameter by name, ignoring case.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// An answer of Resource Manager, free of HTTP.
#[derive(Debug, Clone)]
pub struct ArmResponse {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Option<Value>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

impl ArmResponse {
    /// An answer without headers.
    pub fn new(status: u16, body: Option<Value>) -> Self {
        Self { status, body, headers: Vec::new() }
    }
}
