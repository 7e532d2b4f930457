//! A row of the activity log as it is stored.

use crate::arm::request::Client;
use crate::authz::Actor;
use crate::log_query::key_of;
use crate::platform::Platform;
use crate::tables::ACTIVITY;
use ferrohub_model::error::Result;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_store::Put;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::LazyLock;
use uuid::Uuid;

/// Who is named in rows of what nobody did.
static NOBODY: LazyLock<Actor> = LazyLock::new(Actor::nobody);

/// What a row holds. Its id is the key; subscription, group, provider and type are in the resource id. Every write of the control
/// plane makes one, so nothing is kept twice and it is written without a tree of values in between.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    /// When, RFC 3339.
    pub time: Cow<'a, str>,
    /// Action, such as `Microsoft.Devices/IotHubs/write`.
    pub operation_name: Cow<'a, str>,
    /// Where.
    pub resource_id: Cow<'a, str>,
    /// Who, as messages name it: the application id of an application.
    pub caller: Cow<'a, str>,
    /// Object id of who, or what stands for one.
    pub caller_id: Cow<'a, str>,
    /// `systemData`'s word for the kind of who.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub caller_kind: Cow<'a, str>,
    /// HTTP method of the request; empty for work that a service does by itself.
    pub method: Cow<'a, str>,
    /// `Started`, `Succeeded`, `Failed`, or `Active` for what somebody should know of.
    pub status: Cow<'a, str>,
    /// Only where the status does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Cow<'a, str>>,
    /// HTTP status of the answer; 0 where nobody asked.
    pub http_status: u16,
    /// Code and message of a failure or a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// The request that caused it.
    pub request_id: Uuid,
    /// What ties it to other rows.
    pub correlation_id: Uuid,
    /// Address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Cow<'a, str>>,
    /// The client's own id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<Cow<'a, str>>,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<Cow<'a, str>>,
    /// How often it came again within the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u64>,
}

/// Status of a row that begins a long operation.
pub(super) const STARTED: &str = "Started";
/// Status of one that ended well.
pub(super) const SUCCEEDED: &str = "Succeeded";
/// Status of one that did not.
pub(super) const FAILED: &str = "Failed";
/// Status of what nobody asked for and somebody should know of.
pub(super) const ACTIVE: &str = "Active";

/// Who did something, and in answer to what.
pub struct Origin<'a> {
    /// Who.
    pub actor: &'a Actor,
    pub(super) method: &'a str,
    pub(super) request_id: Uuid,
    pub(super) correlation_id: Uuid,
    pub(super) client: Client,
    pub(super) uri: Option<Cow<'a, str>>,
}

impl<'a> Origin<'a> {
    /// A service's own doing as `actor`, tied to the request and the rows with these ids.
    pub fn service(actor: &'a Actor, request_id: Uuid, correlation_id: Uuid) -> Self {
        Self { actor, method: "", request_id, correlation_id, client: Client::default(), uri: None }
    }

    /// Nobody's doing: something came about.
    pub fn nobody() -> Origin<'static> {
        Origin::service(&NOBODY, Uuid::nil(), Uuid::nil())
    }
}

/// How a request ended: the word, the HTTP status, and the cause if it failed.
pub(super) type RequestOutcome = (&'static str, u16, Option<Value>);

impl<'a> Entry<'a> {
    pub(super) fn new(
        platform: &Platform,
        origin: &'a Origin<'a>,
        id: &ResourceId,
        action: &'a str,
        (status, http_status, error): RequestOutcome,
    ) -> Self {
        Self {
            time: rfc3339(platform.now()).into(),
            operation_name: action.into(),
            resource_id: id.to_string().into(),
            caller: origin.actor.name().into(),
            caller_id: origin.actor.id().into(),
            caller_kind: origin.actor.kind_name().into(),
            method: origin.method.into(),
            status: status.into(),
            level: None,
            http_status,
            error,
            request_id: origin.request_id,
            correlation_id: origin.correlation_id,
            address: origin.client.address.map(|address| address.to_canonical().to_string().into()),
            client_request_id: origin.client.request_id.as_deref().map(Into::into),
            uri: origin.uri.clone(),
            repeats: None,
        }
    }

    /// Its row.
    ///
    /// # Errors
    /// Internal, when it does not serialize.
    pub(super) fn put(&self, platform: &Platform) -> Result<Put> {
        Ok(Put::new(&ACTIVITY, key_of(platform, &self.time), vec![], self)?)
    }

    /// The same, owned.
    pub(super) fn kept(self) -> Entry<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        let each = |text: Option<Cow<'a, str>>| text.map(own);
        Entry {
            time: own(self.time),
            operation_name: own(self.operation_name),
            resource_id: own(self.resource_id),
            caller: own(self.caller),
            caller_id: own(self.caller_id),
            caller_kind: own(self.caller_kind),
            method: own(self.method),
            status: own(self.status),
            level: each(self.level),
            http_status: self.http_status,
            error: self.error,
            request_id: self.request_id,
            correlation_id: self.correlation_id,
            address: each(self.address),
            client_request_id: each(self.client_request_id),
            uri: each(self.uri),
            repeats: self.repeats,
        }
    }
}
