//! A row of the audit log.

use crate::authz::Actor;
use ferrohub_model::error::Error;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use uuid::Uuid;

/// Characters of a text that a stranger chose: ours.
const CHARS: usize = 256;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A token was asked for.
    SignIn,
    /// Keys were shown.
    KeysRead,
    /// A certificate was issued to a device.
    CertificateIssued,
    /// A certificate was revoked.
    CertificateRevoked,
    /// A device was not let in.
    ConnectionRefused,
    /// An application, a principal or a secret was made, changed or removed.
    DirectoryChanged,
}

impl Kind {
    /// Its name in rows and filters.
    pub fn word(self) -> &'static str {
        match self {
            Self::SignIn => "signIn",
            Self::KeysRead => "keysRead",
            Self::CertificateIssued => "certificateIssued",
            Self::CertificateRevoked => "certificateRevoked",
            Self::ConnectionRefused => "connectionRefused",
            Self::DirectoryChanged => "directoryChanged",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditOutcome {
    /// Well.
    Succeeded,
    /// It was refused or failed.
    Failed,
}

/// What a row holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// When, RFC 3339; set when it is noted.
    pub time: String,
    /// What happened.
    pub kind: Kind,
    /// How it ended.
    pub status: AuditOutcome,
    /// Who, as they call themselves: an application id, a device id, the name of a policy.
    pub who: String,
    /// Object id of who, where they are known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who_id: String,
    /// Address that they come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// To what: a resource id, a host, the audience of a token.
    pub resource: String,
    /// What was done to it: an action, a serial number, how somebody proved who they are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// Code of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The request, where it has an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Uuid>,
    /// What ties it to other rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Uuid>,
    /// The client's name for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// How often it came again within the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u64>,
}

impl AuditEvent {
    /// Something that went well.
    pub fn new(kind: Kind, who: &str, resource: impl Into<String>) -> Self {
        Self {
            time: String::new(),
            kind,
            status: AuditOutcome::Succeeded,
            who: cut(who),
            who_id: String::new(),
            address: None,
            resource: cut(&resource.into()),
            what: String::new(),
            code: None,
            reason: None,
            request_id: None,
            correlation_id: None,
            agent: None,
            repeats: None,
        }
    }

    /// The same by somebody who is known.
    pub fn by(kind: Kind, actor: &Actor, resource: impl Into<String>) -> Self {
        Self { who_id: actor.id().to_owned(), ..Self::new(kind, actor.name(), resource) }
    }

    /// With what was done.
    #[must_use]
    pub fn what(mut self, what: impl Into<String>) -> Self {
        self.what = cut(&what.into());
        self
    }

    /// From this address.
    #[must_use]
    pub fn from(mut self, address: Option<IpAddr>) -> Self {
        self.address = address.map(|address| address.to_canonical().to_string());
        self
    }

    /// Refused.
    #[must_use]
    pub fn refused(mut self, code: impl Into<String>, reason: &str) -> Self {
        self.status = AuditOutcome::Failed;
        self.code = Some(code.into());
        self.reason = Some(cut(reason));
        self
    }

    /// Refused with this error.
    #[must_use]
    pub fn failed(self, error: &Error) -> Self {
        self.refused(error.code, &error.message)
    }
}

/// A text that somebody may have chosen, not longer than a row needs.
fn cut(text: &str) -> String {
    text.chars().take(CHARS).collect()
}
